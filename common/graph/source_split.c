/* Lists of splits. */
#include "common/graph/source_split.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

void source_split_list_add(struct source_split_list *list, const char *id, const void *state,
                           size_t state_size)
{
    struct source_split *split = &array_push(list->splits, list->count, list->capacity);
    split->id = copy_text(id);
    split->state = copy_text_n(state_size > 0 ? state : "", state_size);
    split->state_size = state_size;
}

struct source_split source_split_list_take_first(struct source_split_list *list)
{
    CHECK(list->count > 0);
    const struct source_split first = list->splits[0];
    list->count--;
    memmove(list->splits, list->splits + 1, list->count * sizeof(*list->splits));
    return first;
}

void source_split_list_copy(struct source_split_list *to, const struct source_split_list *from)
{
    *to = (struct source_split_list){0};
    for (size_t i = 0; i < from->count; i++) {
        const struct source_split *split = &from->splits[i];
        source_split_list_add(to, split->id, split->state, split->state_size);
    }
}

void source_split_done(struct source_split *split)
{
    free(split->id);
    free(split->state);
    *split = (struct source_split){0};
}

void source_split_list_done(struct source_split_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        source_split_done(&list->splits[i]);
    free(list->splits);
    *list = (struct source_split_list){0};
}

void source_state_copy(struct source_state *to, const struct source_state *from)
{
    *to = (struct source_state){.uid = copy_text(from->uid), .is_complete = from->is_complete};
    source_split_list_copy(&to->pending, &from->pending);
    for (size_t i = 0; i < from->seen_count; i++)
        array_push(to->seen, to->seen_count, to->seen_capacity) = copy_text(from->seen[i]);
}

void source_state_done(struct source_state *state)
{
    free(state->uid);
    source_split_list_done(&state->pending);
    for (size_t i = 0; i < state->seen_count; i++)
        free(state->seen[i]);
    free(state->seen);
    *state = (struct source_state){0};
}
