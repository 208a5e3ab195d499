/* Lists of splits and look-ups in a registry: see connector.h. */
#include "common/api/connector.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

void split_list_add(struct split_list *list, const char *id, const void *state, size_t state_size)
{
    DCHECK(strlen(id) <= SPLIT_ID_BYTES_MAX && state_size <= SPLIT_STATE_BYTES_MAX);
    array_push(list->splits, list->count, list->capacity) = (struct split){
        .id = copy_text(id),
        .state = state_size > 0 ? copy_memory(state, state_size) : NULL,
        .state_size = state_size,
    };
}

void split_list_done(struct split_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->splits[i].id);
        free(list->splits[i].state);
    }
    free(list->splits);
    *list = (struct split_list){0};
}

const struct source_connector *source_connector_find(const struct connector_registry *registry,
                                                     const char *name)
{
    for (const struct source_connector *const *at = registry->sources; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0)
            return *at;
    }
    return NULL;
}

const struct sink_connector *sink_connector_find(const struct connector_registry *registry,
                                                 const char *name)
{
    for (const struct sink_connector *const *at = registry->sinks; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0)
            return *at;
    }
    return NULL;
}

const struct format *format_find(const struct connector_registry *registry, const char *name)
{
    for (const struct format *const *at = registry->formats; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0)
            return *at;
    }
    return NULL;
}

bool sink_takes_changes(const struct sink_connector *sink, const struct operator_spec *spec)
{
    return sink->takes_changes_with != NULL ? sink->takes_changes_with(spec) : sink->takes_changes;
}

enum guarantee sink_guarantee(const struct sink_connector *sink, const struct operator_spec *spec)
{
    return sink->guarantee_with != NULL ? sink->guarantee_with(spec) : sink->guarantee;
}
