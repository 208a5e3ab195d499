/* Keyed state as sorted arrays: see model_state.h. */
#include "tests/kit/model_parts.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

static void lay_out(struct value_layout *layout, const struct schema *schema)
{
    layout->field_count = schema->column_count;
    layout->offsets = allocate_array(schema->column_count + 1, sizeof(uint32_t));
    layout->schema = schema;
    uint32_t at = (schema->column_count + 63) / 64 * 8;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const bool is_bytes = type_is_view(schema->columns[i].type.kind) ||
                              type_value_size(schema->columns[i].type.kind) == 0;
        const size_t size =
            is_bytes ? sizeof(struct state_bytes) : type_value_size(schema->columns[i].type.kind);
        layout->offsets[i] = at;
        layout->has_bytes |= is_bytes;
        at += ((uint32_t)size + 7) / 8 * 8;
    }
    layout->size = at;
}

static bool field_is_bytes(const struct model_state *model, uint32_t field)
{
    const enum type_kind kind = model->schema->columns[field].type.kind;
    return type_is_view(kind) || type_value_size(kind) == 0;
}

static void free_slot(const struct model_state *model, char *slot)
{
    for (uint32_t f = 0; f < model->schema->column_count; f++) {
        if (field_is_bytes(model, f))
            free(((struct state_bytes *)slot_field(&model->state.layout, slot, f))->bytes);
    }
    free(slot);
}

static char *copy_slot(const struct model_state *model, char *slot)
{
    char *copy = copy_memory(slot, model->state.layout.size);
    for (uint32_t f = 0; f < model->schema->column_count; f++) {
        struct state_bytes *bytes = slot_field(&model->state.layout, copy, f);
        if (field_is_bytes(model, f) && bytes->bytes != NULL) {
            bytes->bytes = copy_memory(bytes->bytes, bytes->size + 1U);
            bytes->capacity = bytes->size + 1U;
        }
    }
    return copy;
}

char *model_copy_key(const char *bytes, uint32_t size)
{
    const size_t used = size == KEY_NULL ? 0 : size;
    char *copy = allocate(used + 64);
    if (used > 0)
        memcpy(copy, bytes, used);
    return copy;
}

int model_compare_keys(const char *a, uint32_t a_size, const char *b, uint32_t b_size)
{
    if (a_size == KEY_NULL || b_size == KEY_NULL)
        return (b_size == KEY_NULL) - (a_size == KEY_NULL);
    const uint32_t both = a_size < b_size ? a_size : b_size;
    const int order = both > 0 ? memcmp(a, b, both) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* The index of the first entry that is not before the wanted one. */
static size_t find_entry(const struct model_state *model, const struct key_batch *keys,
                         const struct key_batch *subkeys, uint32_t i, bool *ret_found)
{
    size_t low = 0;
    size_t high = model->count;
    *ret_found = false;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const struct model_entry *entry = &model->entries[middle];
        int order = model_compare_keys(entry->key, entry->key_size, keys->bytes[i], keys->sizes[i]);
        if (order == 0 && subkeys != NULL)
            order = model_compare_keys(entry->subkey, entry->subkey_size, subkeys->bytes[i],
                                       subkeys->sizes[i]);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum step model_hesitate(struct model_state *model, uint32_t left, uint32_t *ret_count)
{
    struct model_keyed *keyed = model->keyed;
    *ret_count = left;
    if (!keyed->is_hesitant)
        return STEP_DONE;
    for (size_t i = 0; i < model->count; i++) {
        char *moved = copy_slot(model, model->entries[i].slot);
        free_slot(model, model->entries[i].slot);
        model->entries[i].slot = moved;
    }
    const uint64_t choice = random_below(&keyed->random, 8);
    if (choice < 2)
        return choice == 0 ? STEP_AGAIN : STEP_WAIT;
    if (choice < 6 && left > 0)
        *ret_count = 1 + (uint32_t)random_below(&keyed->random, left);
    return STEP_DONE;
}

void model_end_scan(struct model_state *model)
{
    for (size_t i = 0; model->ranged != NULL && i < model->scan_end; i++)
        text_done(&model->ranged[i].order);
    free(model->ranged);
    model->ranged = NULL;
    model->is_scanning = false;
}

static enum step model_update(struct state *state, const struct key_batch *keys,
                              const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                              void **ret_slots, uint8_t *ret_fresh, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    (void)err;
    CHECK(first < keys->count && (subkeys == NULL || subkeys->count == keys->count));
    CHECK((model->descriptor.subkey_types != NULL) == (subkeys != NULL));
    model_end_scan(model);
    const enum step step = model_hesitate(model, keys->count - first, ret_count);
    for (uint32_t i = first; step == STEP_DONE && i < first + *ret_count; i++) {
        bool found;
        const size_t at = find_entry(model, keys, subkeys, i, &found);
        ret_fresh[i - first] = !found;
        if (!found) {
            (void)array_push(model->entries, model->count, model->capacity);
            memmove(&model->entries[at + 1], &model->entries[at],
                    (model->count - 1 - at) * sizeof(model->entries[0]));
            model->entries[at] = (struct model_entry){
                .key = model_copy_key(keys->bytes[i], keys->sizes[i]),
                .key_size = keys->sizes[i],
                .hash = keys->hashes[i],
                .subkey =
                    subkeys != NULL ? model_copy_key(subkeys->bytes[i], subkeys->sizes[i]) : NULL,
                .subkey_size = subkeys != NULL ? subkeys->sizes[i] : 0,
                .slot = allocate(model->state.layout.size),
            };
        }
        ret_slots[i - first] = model->entries[at].slot;
    }
    return step;
}

static enum step model_read(struct state *state, const struct key_batch *keys,
                            const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                            void **ret_slots, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    (void)err;
    const enum step step = model_hesitate(model, keys->count - first, ret_count);
    for (uint32_t i = first; step == STEP_DONE && i < first + *ret_count; i++) {
        bool found;
        const size_t at = find_entry(model, keys, subkeys, i, &found);
        ret_slots[i - first] = found ? model->entries[at].slot : NULL;
    }
    return step;
}

void model_free_entry(const struct model_state *model, struct model_entry *entry)
{
    free_slot(model, entry->slot);
    free(entry->key);
    free(entry->subkey);
}

static enum step model_remove(struct state *state, const struct key_batch *keys,
                              const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                              struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    (void)err;
    model_end_scan(model);
    const enum step step = model_hesitate(model, keys->count - first, ret_count);
    for (uint32_t i = first; step == STEP_DONE && i < first + *ret_count; i++) {
        bool found;
        const size_t at = find_entry(model, keys, subkeys, i, &found);
        if (!found)
            continue;
        model_free_entry(model, &model->entries[at]);
        memmove(&model->entries[at], &model->entries[at + 1],
                (model->count - 1 - at) * sizeof(model->entries[0]));
        model->count--;
    }
    return step;
}

static void model_set_bytes(struct state *state, void *slot, uint32_t field, const void *bytes,
                            uint32_t size)
{
    const struct model_state *model = (const struct model_state *)state;
    CHECK(field_is_bytes(model, field));
    struct state_bytes *kept = slot_field(&model->state.layout, slot, field);
    char *copy = allocate(size + 1U); /* the source may be what is replaced */
    if (size > 0)
        memcpy(copy, bytes, size);
    free(kept->bytes);
    *kept = (struct state_bytes){.bytes = copy, .size = size, .capacity = size + 1U};
}

static enum step model_scan_start(struct state *state, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    uint32_t ignored;
    (void)err;
    model_end_scan(model);
    const enum step step = model_hesitate(model, 0, &ignored);
    model->is_scanning = step == STEP_DONE;
    model->scan_at = 0;
    model->scan_end = model->count;
    return step;
}

static enum step model_scan_key(struct state *state, const char *key, uint32_t key_size,
                                uint64_t hash, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    (void)hash;
    (void)err;
    model_end_scan(model);
    size_t first = 0;
    while (first < model->count &&
           model_compare_keys(model->entries[first].key, model->entries[first].key_size, key,
                              key_size) < 0)
        first++;
    size_t end = first;
    while (end < model->count &&
           model_compare_keys(model->entries[end].key, model->entries[end].key_size, key,
                              key_size) == 0)
        end++;
    model->is_scanning = true;
    model->scan_at = first;
    model->scan_end = end;
    return STEP_DONE;
}

static enum step model_scan_next(struct state *state, struct state_entry *entries,
                                 uint32_t capacity, uint32_t *ret_count, struct error *err)
{
    struct model_state *model = (struct model_state *)state;
    (void)err;
    CHECK(model->is_scanning);
    const size_t left = model->scan_end - model->scan_at;
    uint32_t count = left < capacity ? (uint32_t)left : capacity;
    const enum step step = model_hesitate(model, count, &count);
    if (step != STEP_DONE)
        return step;
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = model->scan_at + i;
        const struct model_entry *entry =
            &model->entries[model->ranged != NULL ? model->ranged[at].index : at];
        entries[i] = (struct state_entry){
            .hash = entry->hash,
            .key = entry->key,
            .key_size = entry->key_size,
            .subkey = entry->subkey,
            .subkey_size = entry->subkey_size,
            .slot = entry->slot,
        };
    }
    model->scan_at += count;
    *ret_count = count;
    return STEP_DONE;
}

static uint64_t model_entry_count(const struct state *state)
{
    return ((const struct model_state *)state)->count;
}

static const struct state_ops model_state_ops = {
    .update = model_update,
    .read = model_read,
    .remove = model_remove,
    .set_bytes = model_set_bytes,
    .scan_start = model_scan_start,
    .scan_key = model_scan_key,
    .scan_next = model_scan_next,
    .entry_count = model_entry_count,
    .scan_range = model_scan_range,
    .remove_range = model_remove_range,
    .find_subkey = model_find_subkey,
};

static struct model_state *add_state(struct model_keyed *keyed, const char *name,
                                     const struct schema *schema)
{
    CHECK(keyed->state_count < MODEL_STATE_MAX);
    struct model_state *model = &keyed->states[keyed->state_count++];
    model->state.ops = &model_state_ops;
    model->keyed = keyed;
    model->name = copy_text(name);
    model->schema = schema_ref(schema);
    lay_out(&model->state.layout, model->schema);
    return model;
}

static enum status model_register(struct keyed_state *keyed_state,
                                  const struct state_descriptor *descriptor,
                                  struct state **ret_state, struct error *err)
{
    struct model_keyed *keyed = (struct model_keyed *)keyed_state;
    struct model_state *model = NULL;
    for (uint32_t i = 0; i < keyed->state_count && model == NULL; i++) {
        if (strcmp(keyed->states[i].name, descriptor->name) == 0)
            model = &keyed->states[i];
    }
    if (model != NULL &&
        (model->is_registered || !schema_equals(model->schema, descriptor->value, true)))
        return error_set(err, STATUS_INVALID, "state \"%s\" is there already or has another schema",
                         descriptor->name);
    if (model == NULL)
        model = add_state(keyed, descriptor->name, descriptor->value);
    model->is_registered = true;
    model->descriptor = *descriptor;
    model->descriptor.name = model->name;
    model->state.descriptor = &model->descriptor;
    *ret_state = &model->state;
    return STATUS_OK;
}

static const struct keyed_state_ops model_keyed_ops = {
    .register_state = model_register,
    .set_timer = model_set_timer,
    .delete_timer = model_delete_timer,
};

struct model_keyed *model_keyed_create(uint64_t seed, bool is_hesitant,
                                       const struct model_keyed *from)
{
    struct model_keyed *keyed = allocate(sizeof(*keyed));
    keyed->keyed.ops = &model_keyed_ops;
    keyed->is_hesitant = is_hesitant;
    random_init(&keyed->random, seed);
    for (uint32_t s = 0; from != NULL && s < from->state_count; s++) {
        const struct model_state *old = &from->states[s];
        struct model_state *model = add_state(keyed, old->name, old->schema);
        for (size_t i = 0; i < old->count; i++) {
            const struct model_entry *entry = &old->entries[i];
            array_push(model->entries, model->count, model->capacity) = (struct model_entry){
                .key = model_copy_key(entry->key, entry->key_size),
                .key_size = entry->key_size,
                .hash = entry->hash,
                .subkey = entry->subkey != NULL ? model_copy_key(entry->subkey, entry->subkey_size)
                                                : NULL,
                .subkey_size = entry->subkey_size,
                .slot = copy_slot(old, entry->slot),
            };
        }
    }
    if (from != NULL)
        model_timers_copy(keyed, from);
    return keyed;
}

void model_keyed_destroy(struct model_keyed *keyed)
{
    if (keyed == NULL)
        return;
    model_timers_done(keyed);
    for (uint32_t s = 0; s < keyed->state_count; s++) {
        struct model_state *model = &keyed->states[s];
        for (size_t i = 0; i < model->count; i++)
            model_free_entry(model, &model->entries[i]);
        model_end_scan(model);
        free(model->entries);
        free(model->state.layout.offsets);
        free(model->name);
        schema_unref(model->schema);
    }
    free(keyed);
}

struct keyed_state *model_keyed_state(struct model_keyed *keyed)
{
    return &keyed->keyed;
}

static void append_hex(struct text *out, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        text_format(out, "%02x", ((const uint8_t *)bytes)[i]);
}

void model_keyed_format(const struct model_keyed *keyed, struct text *out)
{
    for (uint32_t s = 0; s < keyed->state_count; s++) {
        const struct model_state *model = &keyed->states[s];
        text_format(out, "%s\n", model->name);
        for (size_t i = 0; i < model->count; i++) {
            const struct model_entry *entry = &model->entries[i];
            append_hex(out, entry->key, entry->key_size == KEY_NULL ? 0 : entry->key_size);
            text_append(out, "/");
            append_hex(out, entry->subkey, entry->subkey_size == KEY_NULL ? 0 : entry->subkey_size);
            for (uint32_t f = 0; f < model->schema->column_count; f++) {
                const void *field = slot_field(&model->state.layout, entry->slot, f);
                const struct state_bytes *bytes = field;
                text_append(out, " ");
                if (slot_is_null(entry->slot, f))
                    text_append(out, "null");
                else if (field_is_bytes(model, f))
                    append_hex(out, bytes->bytes, bytes->size);
                else
                    append_hex(out, field, type_value_size(model->schema->columns[f].type.kind));
            }
            text_append(out, "\n");
        }
    }
    model_timers_format(keyed, out);
}
