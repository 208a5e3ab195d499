/* Lists over maps from position to element: see state_list.h. */
#include "common/api/state_list.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

enum { FIELD_FIRST, FIELD_NEXT, FIELD_COUNT };

enum status state_list_register(struct state_list *list, struct keyed_state *keyed,
                                const struct state_descriptor *descriptor, struct error *err)
{
    DCHECK(descriptor->kind == STATE_LIST && descriptor->subkey_count == 0);
    *list = (struct state_list){0};
    struct type position = type_of_kind(TYPE_BIGINT);
    position.nullable = false;
    struct state_descriptor elements = *descriptor;
    elements.order = STATE_KEY_FIRST;
    elements.subkey_types = &position;
    elements.subkey_count = 1;
    TRY(keyed->ops->register_state(keyed, &elements, &list->elements, err));
    const struct schema_column columns[FIELD_COUNT] = {
        [FIELD_FIRST] = {.name = "first", .type = position},
        [FIELD_NEXT] = {.name = "next", .type = position},
    };
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, FIELD_COUNT, -1);
    SCOPED_TEXT char *name = format_text("%s.ends", descriptor->name);
    struct state_descriptor ends = *descriptor;
    ends.name = name;
    ends.kind = STATE_VALUE;
    ends.order = STATE_KEY_FIRST;
    ends.value = schema;
    return keyed->ops->register_state(keyed, &ends, &list->ends, err);
}

static int64_t *end_of(const struct state_list *list, void *slot, uint32_t field)
{
    return slot_field(&list->ends->layout, slot, field);
}

static void set_position(struct state_list *list, uint32_t i, int64_t position)
{
    list->positions[i] = position;
    list->position_bytes[i] = (const char *)&list->positions[i];
    list->position_sizes[i] = sizeof(position);
    list->position_hashes[i] = key_hash(list->position_bytes[i], sizeof(position));
}

/* Takes the next position of each key, several of a key that comes several times. */
static enum step reserve(struct state_list *list, const struct key_batch *keys, uint32_t first,
                         struct error *err)
{
    void *slots[STATE_LIST_BATCH_MAX];
    uint8_t fresh[STATE_LIST_BATCH_MAX];
    struct key_batch part = *keys;
    if (part.count - first > STATE_LIST_BATCH_MAX)
        part.count = first + STATE_LIST_BATCH_MAX;
    uint32_t count = 0;
    const enum step step = state_update(list->ends, &part, NULL, first, &count, slots, fresh, err);
    if (step != STEP_DONE)
        return step;
    for (uint32_t i = 0; i < count; i++)
        set_position(list, i, (*end_of(list, slots[i], FIELD_NEXT))++);
    list->reserved_first = first;
    list->reserved_count = count;
    return STEP_DONE;
}

enum step state_list_append(struct state_list *list, const struct key_batch *keys, uint32_t first,
                            uint32_t *ret_count, void **ret_slots, struct error *err)
{
    if (list->reserved_count == 0) {
        const enum step step = reserve(list, keys, first, err);
        if (step != STEP_DONE)
            return step;
    }
    const uint32_t skip = first - list->reserved_first;
    DCHECK(skip < list->reserved_count);
    const uint32_t left = list->reserved_count - skip;
    struct key_batch part = {
        .count = left,
        .bytes = keys->bytes + first,
        .sizes = keys->sizes + first,
        .hashes = keys->hashes + first,
    };
    const struct key_batch positions = {
        .count = left,
        .bytes = list->position_bytes + skip,
        .sizes = list->position_sizes + skip,
        .hashes = list->position_hashes + skip,
    };
    uint8_t fresh[STATE_LIST_BATCH_MAX];
    uint32_t count = 0;
    const enum step step =
        state_update(list->elements, &part, &positions, 0, &count, ret_slots, fresh, err);
    if (step != STEP_DONE)
        return step;
    if (skip + count == list->reserved_count)
        list->reserved_count = 0;
    *ret_count = count;
    return STEP_DONE;
}

enum step state_list_start(struct state_list *list, const char *key, uint32_t key_size,
                           uint64_t hash, struct error *err)
{
    return list->elements->ops->scan_key(list->elements, key, key_size, hash, err);
}

enum step state_list_sizes(struct state_list *list, const struct key_batch *keys, uint32_t first,
                           uint32_t *ret_count, int64_t *ret_sizes, struct error *err)
{
    void *slots[STATE_LIST_BATCH_MAX];
    struct key_batch part = *keys;
    if (part.count - first > STATE_LIST_BATCH_MAX)
        part.count = first + STATE_LIST_BATCH_MAX;
    uint32_t count = 0;
    const enum step step = state_read(list->ends, &part, NULL, first, &count, slots, err);
    if (step != STEP_DONE)
        return step;
    for (uint32_t i = 0; i < count; i++)
        ret_sizes[i] = slots[i] == NULL ? 0
                                        : *end_of(list, slots[i], FIELD_NEXT) -
                                              *end_of(list, slots[i], FIELD_FIRST);
    *ret_count = count;
    return STEP_DONE;
}

/* The removed elements' positions go before `first` moves on: a call that is cut off there removes
 * them again, which changes nothing. */
enum step state_list_remove_first(struct state_list *list, const char *key, uint32_t key_size,
                                  uint64_t hash, int64_t count, struct error *err)
{
    const struct key_batch one = {.count = 1, .bytes = &key, .sizes = &key_size, .hashes = &hash};
    DCHECK(list->reserved_count == 0 && count <= STATE_LIST_BATCH_MAX);
    void *slot = NULL;
    uint8_t fresh;
    uint32_t handled = 0;
    enum step step = state_update(list->ends, &one, NULL, 0, &handled, &slot, &fresh, err);
    if (step != STEP_DONE)
        return step;
    int64_t *head = end_of(list, slot, FIELD_FIRST);
    const int64_t size = *end_of(list, slot, FIELD_NEXT) - *head;
    const uint32_t gone = (uint32_t)(count < size ? count : size);
    if (gone == 0)
        return STEP_DONE;
    const char *bytes[STATE_LIST_BATCH_MAX];
    uint32_t sizes[STATE_LIST_BATCH_MAX];
    uint64_t hashes[STATE_LIST_BATCH_MAX];
    for (uint32_t i = 0; i < gone; i++) {
        set_position(list, i, *head + i);
        bytes[i] = key;
        sizes[i] = key_size;
        hashes[i] = hash;
    }
    const struct key_batch keys = {.count = gone, .bytes = bytes, .sizes = sizes, .hashes = hashes};
    const struct key_batch positions = {.count = gone,
                                        .bytes = list->position_bytes,
                                        .sizes = list->position_sizes,
                                        .hashes = list->position_hashes};
    /* The slot of `ends` stays in place: the other state's calls may evict, but not what was just
     * used in the current epoch. */
    for (uint32_t first = 0; first < gone; first += handled) {
        step = state_remove(list->elements, &keys, &positions, first, &handled, err);
        if (step != STEP_DONE)
            return step;
    }
    *head += gone;
    return STEP_DONE;
}
