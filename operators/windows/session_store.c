/* Sessions in keyed state: see session_store.h. */
#include "operators/windows/session_store.h"

#include "common/base/allocate.h"
#include "operators/keyed_fold.h"

#define SCAN_ENTRIES 64

static const struct type bigint_type = {.kind = TYPE_BIGINT, .nullable = false};

/* The accumulators' fields, then those of enum session_field under ids that no name can have. */
static struct schema *make_schema(const struct aggregate_parts *parts)
{
    static const char *const names[] = {"/start", "/end", "/more", "/fired"};
    const uint32_t count = parts->schema->column_count;
    struct schema_column *columns = allocate_array(count + SESSION_FIELD_COUNT, sizeof(*columns));
    memcpy(columns, parts->schema->columns, count * sizeof(*columns));
    for (uint32_t i = 0; i < SESSION_FIELD_COUNT; i++)
        columns[count + i] =
            (struct schema_column){.name = names[i], .type = bigint_type, .field_id = i + 1};
    struct schema *schema = schema_create(columns, count + SESSION_FIELD_COUNT, -1);
    free(columns);
    return schema;
}

enum status session_store_open(struct session_store *store, const struct operator_env *env,
                               struct aggregate_parts *parts, const struct type *key_types,
                               struct error *err)
{
    store->parts = parts;
    store->schema = make_schema(parts);
    key_batch_init(&store->key);
    key_batch_init(&store->keys);
    key_batch_init(&store->subkeys);
    struct state_descriptor descriptor = {
        .name = "sessions",
        .kind = STATE_AGGREGATING,
        .order = STATE_KEY_FIRST,
        .key_types = key_types,
        .key_count = env->spec->key_count,
        .value = store->schema,
    };
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &store->first, err));
    descriptor.name = "more_sessions";
    descriptor.kind = STATE_MAP;
    descriptor.subkey_types = &bigint_type;
    descriptor.subkey_count = 1;
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &store->more, err));
    for (uint32_t i = 0; i < SESSION_FIELD_COUNT; i++)
        store->offsets[i] = store->first->layout.offsets[parts->schema->column_count + i];
    aggregate_parts_place(parts, store->first->layout.offsets, store->first);
    session_list_open(&store->list, parts, store->first);
    return STATUS_OK;
}

void session_store_close(struct session_store *store)
{
    if (store->list.parts != NULL)
        session_list_close(&store->list);
    schema_unref(store->schema);
    key_batch_done(&store->key);
    key_batch_done(&store->keys);
    key_batch_done(&store->subkeys);
    free(store->ids);
    *store = (struct session_store){0};
}

static void reserve(struct key_batch *keys, size_t count)
{
    if (count <= keys->capacity)
        return;
    keys->capacity = (uint32_t)count * 2;
    keys->bytes = reallocate_array(keys->bytes, keys->capacity, sizeof(*keys->bytes));
    keys->sizes = reallocate_array(keys->sizes, keys->capacity, sizeof(*keys->sizes));
    keys->hashes = reallocate_array(keys->hashes, keys->capacity, sizeof(*keys->hashes));
}

/* The key once for each id. */
static void repeat_key(struct session_store *store)
{
    reserve(&store->keys, store->id_count);
    store->keys.count = (uint32_t)store->id_count;
    for (size_t i = 0; i < store->id_count; i++) {
        store->keys.bytes[i] = store->key.bytes[0];
        store->keys.sizes[i] = store->key.sizes[0];
        store->keys.hashes[i] = store->key.hashes[0];
    }
    window_subkeys(&store->subkeys, store->ids, NULL, (uint32_t)store->id_count);
}

static void add_id(struct session_store *store, int64_t id)
{
    if (store->id_count + 3 > store->id_capacity) {
        store->id_capacity = (store->id_count + 3) * 2;
        store->ids = reallocate_array(store->ids, store->id_capacity, sizeof(*store->ids));
    }
    store->ids[store->id_count++] = id;
}

static void take_slot(struct session_store *store, void *slot)
{
    session_list_add(&store->list, session_value(store, slot, SESSION_START),
                     session_value(store, slot, SESSION_END),
                     session_value(store, slot, SESSION_FIRED) != 0, slot);
}

static enum step read_first(struct session_store *store, struct error *err)
{
    void *slot = NULL;
    uint32_t count = 0;
    const enum step step = state_read(store->first, &store->key, NULL, 0, &count, &slot, err);
    if (step != STEP_DONE)
        return step;
    store->stage = STORE_LOADED;
    if (slot == NULL)
        return STEP_DONE;
    /* A place that was made for a row that is still to come. */
    if (session_value(store, slot, SESSION_END) != 0 ||
        session_value(store, slot, SESSION_START) != 0)
        take_slot(store, slot);
    if (session_value(store, slot, SESSION_MORE) > 0)
        store->stage = STORE_SCAN;
    return STEP_DONE;
}

static enum step scan_more(struct session_store *store, struct error *err)
{
    if (!store->is_scanning) {
        const enum step step = store->more->ops->scan_key(
            store->more, store->key.bytes[0], store->key.sizes[0], store->key.hashes[0], err);
        if (step != STEP_DONE)
            return step;
        store->is_scanning = true;
    }
    for (;;) {
        struct state_entry entries[SCAN_ENTRIES];
        uint32_t count = 0;
        const enum step step = state_scan_next(store->more, entries, SCAN_ENTRIES, &count, err);
        if (step != STEP_DONE)
            return step;
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count; i++) {
            add_id(store, session_value(store, entries[i].slot, SESSION_START));
            take_slot(store, entries[i].slot);
        }
    }
    store->is_scanning = false;
    store->stage = STORE_LOADED;
    session_list_sort(&store->list);
    return STEP_DONE;
}

enum step session_store_load(struct session_store *store, const struct key_batch *keys,
                             uint32_t index, struct error *err)
{
    enum step step = STEP_DONE;
    if (store->stage == STORE_READ) {
        reserve(&store->key, 1);
        store->key.count = 1;
        store->key.bytes[0] = keys->bytes[index];
        store->key.sizes[0] = keys->sizes[index];
        store->key.hashes[0] = keys->hashes[index];
        session_list_clear(&store->list);
        store->id_count = 0;
        step = read_first(store, err);
    }
    if (step == STEP_DONE && store->stage == STORE_SCAN)
        step = scan_more(store, err);
    return step;
}

void session_store_leave(struct session_store *store)
{
    session_list_clear(&store->list);
    store->stage = STORE_READ;
}

/* ---- back ---- */

static void put_slot(struct session_store *store, struct state *state, void *slot,
                     const struct session *session)
{
    const uint8_t fresh = 1;
    void *source = session->slot;
    aggregate_parts_init_slots(store->parts, &slot, &fresh, 1);
    aggregate_parts_place(store->parts, state->layout.offsets, state);
    accumulators_merge(store->parts, &slot, &source, 1, 1);
    aggregate_parts_place(store->parts, store->first->layout.offsets, store->first);
    session_set(store, slot, SESSION_START, session->start);
    session_set(store, slot, SESSION_END, session->end);
    session_set(store, slot, SESSION_FIRED, session->is_fired ? 1 : 0);
    session_set(store, slot, SESSION_MORE, 0);
}

static enum step remove_more(struct session_store *store, struct error *err)
{
    while (store->next < store->id_count) {
        uint32_t count = 0;
        const enum step step = state_remove(store->more, &store->keys, &store->subkeys,
                                            (uint32_t)store->next, &count, err);
        if (step != STEP_DONE)
            return step;
        store->next += count;
    }
    return STEP_DONE;
}

/* The newest session is the one that rows will look for first. */
static enum step put_first(struct session_store *store, struct error *err)
{
    const size_t count = store->list.count;
    void *slot = NULL;
    uint8_t fresh = 0;
    uint32_t done = 0;
    const enum step step =
        state_update(store->first, &store->key, NULL, 0, &done, &slot, &fresh, err);
    if (step != STEP_DONE)
        return step;
    put_slot(store, store->first, slot, &store->list.sessions[count - 1]);
    session_set(store, slot, SESSION_MORE, (int64_t)count - 1);
    return STEP_DONE;
}

static enum step put_more(struct session_store *store, struct error *err)
{
    while (store->next < store->id_count) {
        uint32_t count = 0;
        void *slots[SCAN_ENTRIES];
        uint8_t fresh[SCAN_ENTRIES];
        /* No more than slots has room for. */
        const uint32_t all = store->keys.count;
        if (all - store->next > SCAN_ENTRIES)
            store->keys.count = store->subkeys.count = (uint32_t)store->next + SCAN_ENTRIES;
        const enum step step = state_update(store->more, &store->keys, &store->subkeys,
                                            (uint32_t)store->next, &count, slots, fresh, err);
        store->keys.count = store->subkeys.count = all;
        if (step != STEP_DONE)
            return step;
        for (uint32_t i = 0; i < count; i++)
            put_slot(store, store->more, slots[i], &store->list.sessions[store->next + i]);
        store->next += count;
    }
    return STEP_DONE;
}

static enum step put_stage(struct session_store *store, struct error *err)
{
    uint32_t count = 0;
    switch (store->stage) {
    case STORE_READ:
    case STORE_SCAN:
    case STORE_LOADED:
        repeat_key(store);
        store->next = 0;
        store->stage = STORE_REMOVE_FIRST;
        return STEP_DONE;
    case STORE_REMOVE_FIRST:
        return state_remove(store->first, &store->key, NULL, 0, &count, err);
    case STORE_REMOVE_MORE:
        return remove_more(store, err);
    case STORE_PUT_FIRST:
        return store->list.count == 0 ? STEP_DONE : put_first(store, err);
    case STORE_PUT_MORE:
        return put_more(store, err);
    }
    return STEP_DONE;
}

enum step session_store_put(struct session_store *store, struct error *err)
{
    for (;;) {
        const enum store_stage stage = store->stage;
        const enum step step = put_stage(store, err);
        if (step != STEP_DONE)
            return step;
        if (stage == STORE_PUT_MORE)
            break;
        if (stage > STORE_LOADED)
            store->stage++;
        if (stage == STORE_PUT_FIRST) {
            store->id_count = 0;
            for (size_t i = 0; i + 1 < store->list.count; i++)
                add_id(store, store->list.sessions[i].start);
            repeat_key(store);
            store->next = 0;
        }
    }
    store->stage = STORE_READ;
    return STEP_DONE;
}
