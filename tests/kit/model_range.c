/* Ranges of the model, all entries looked at each time. */
#include "tests/kit/model_parts.h"

#include "common/base/allocate.h"

#include <string.h>

static void append_subkey(const struct model_state *model, const char *subkey, uint32_t size,
                          struct text *out)
{
    key_storage_from_canonical(model->descriptor.subkey_types, model->descriptor.subkey_count,
                               subkey, size, out);
}

static int compare_texts(const struct text *a, const struct text *b)
{
    const int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static bool is_in_range(const struct model_state *model, const struct state_range *range,
                        const struct text *subkey)
{
    struct text SCOPED_TEXT_BUFFER bound;
    text_init(&bound, SIZE_MAX / 4);
    if (range->from != NULL) {
        append_subkey(model, range->from, range->from_size, &bound);
        const int order = compare_texts(subkey, &bound);
        if (order < 0 || (order == 0 && range->is_after))
            return false;
    }
    if (range->to == NULL)
        return true;
    text_clear(&bound);
    append_subkey(model, range->to, range->to_size, &bound);
    return compare_texts(subkey, &bound) < 0;
}

static bool entry_is_in_range(const struct model_state *model, const struct state_range *range,
                              const struct model_entry *entry)
{
    struct text SCOPED_TEXT_BUFFER subkey;
    text_init(&subkey, SIZE_MAX / 4);
    append_subkey(model, entry->subkey, entry->subkey_size, &subkey);
    return is_in_range(model, range, &subkey);
}

static int compare_ranged(const void *a, const void *b)
{
    return compare_texts(&((const struct ranged *)a)->order, &((const struct ranged *)b)->order);
}

static enum step check_namespaces(const struct model_state *model, struct error *err)
{
    if (model->descriptor.order == STATE_NAMESPACE_FIRST && model->descriptor.subkey_count > 0)
        return STEP_DONE;
    (void)error_set(err, STATUS_UNSUPPORTED, "state \"%s\" has no ranges", model->name);
    return STEP_FAILED;
}

/* As if there were one key group. */
enum step model_scan_range(struct state *state, const struct state_range *range, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    const enum step step = check_namespaces(model, err);
    if (step != STEP_DONE)
        return step;
    model_end_scan(model);
    model->ranged = allocate_array(model->count + 1, sizeof(*model->ranged));
    model->scan_at = 0;
    model->scan_end = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_entry *entry = &model->entries[i];
        if (!entry_is_in_range(model, range, entry))
            continue;
        struct ranged *ranged = &model->ranged[model->scan_end++];
        ranged->index = i;
        text_init(&ranged->order, SIZE_MAX / 4);
        append_subkey(model, entry->subkey, entry->subkey_size, &ranged->order);
        key_storage_from_canonical(model->descriptor.key_types, model->descriptor.key_count,
                                   entry->key, entry->key_size, &ranged->order);
    }
    qsort(model->ranged, model->scan_end, sizeof(*model->ranged), compare_ranged);
    model->is_scanning = true;
    return STEP_DONE;
}

/* A hesitant model removes a part and asks to be called again. */
enum step model_remove_range(struct state *state, const struct state_range *range,
                             struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    enum step step = check_namespaces(model, err);
    if (step != STEP_DONE)
        return step;
    model_end_scan(model);
    uint32_t budget = 0;
    step = model_hesitate(model, (uint32_t)model->count, &budget);
    size_t kept = 0;
    for (size_t i = 0; i < model->count; i++) {
        const bool is_in = entry_is_in_range(model, range, &model->entries[i]);
        if (is_in && budget > 0) {
            model_free_entry(model, &model->entries[i]);
            budget--;
            continue;
        }
        if (is_in && step == STEP_DONE)
            step = STEP_AGAIN;
        model->entries[kept++] = model->entries[i];
    }
    model->count = kept;
    return step;
}

enum step model_find_subkey(struct state *state, const struct state_range *range, bool *ret_found,
                            const char **ret_subkey, uint32_t *ret_size, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    uint32_t ignored;
    enum step step = check_namespaces(model, err);
    if (step == STEP_DONE)
        step = model_hesitate(model, 0, &ignored);
    if (step != STEP_DONE)
        return step;
    model_end_scan(model);
    struct text SCOPED_TEXT_BUFFER best;
    struct text SCOPED_TEXT_BUFFER subkey;
    text_init(&best, SIZE_MAX / 4);
    text_init(&subkey, SIZE_MAX / 4);
    const struct model_entry *found = NULL;
    for (size_t i = 0; i < model->count; i++) {
        text_clear(&subkey);
        append_subkey(model, model->entries[i].subkey, model->entries[i].subkey_size, &subkey);
        if (!is_in_range(model, range, &subkey) ||
            (found != NULL && compare_texts(&subkey, &best) >= 0))
            continue;
        found = &model->entries[i];
        text_clear(&best);
        text_append_bytes(&best, subkey.bytes, subkey.size);
    }
    *ret_found = found != NULL;
    if (found != NULL) {
        *ret_subkey = found->subkey;
        *ret_size = found->subkey_size;
    }
    return STEP_DONE;
}
