/* Timers: entries without a value, found by (key, kind, time, namespace), in the order of
 * timer_queue.h. The subkey: 1 byte kind, 8 bytes time (big-endian, sign flipped), namespace. */
#include "common/base/allocate.h"
#include "taskmanager/state/timer_queue.h"

#define TIMER_STATE_NAME "_timers"
#define REFILLS_MAX      8 /* key groups read in one call */

static struct timer_queue *queue_of(const struct keyed_operator *owner, enum timer_kind kind)
{
    return owner->queues[kind];
}

static enum status need_table(struct keyed_operator *owner, struct error *err)
{
    if (owner->timers != NULL)
        return STATUS_OK;
    SCOPED(schema_unref) struct schema *nothing = schema_create(NULL, 0, -1);
    const struct state_descriptor descriptor = {.name = TIMER_STATE_NAME,
                                                .kind = STATE_VALUE,
                                                .order = STATE_NAMESPACE_FIRST,
                                                .value = nothing};
    struct state_table *table = NULL;
    TRY(state_table_create(owner, &descriptor, true, &table, err));
    for (int kind = 0; kind < 2; kind++) {
        owner->queues[kind] = allocate(sizeof(struct timer_queue));
        timer_queue_init(owner->queues[kind], table);
    }
    owner->timers = table;
    return STATUS_OK;
}

static void add_loaded(struct keyed_operator *owner)
{
    uint64_t cursor = 0;
    do {
        struct entry *entries[CHUNK_ENTRIES];
        const uint32_t count = entry_table_walk(&owner->timers->table, &cursor, entries);
        for (uint32_t i = 0; i < count; i++) {
            const char *subkey = entry_subkey_bytes(&owner->timers->table, entries[i]);
            timer_queue_add(queue_of(owner, (enum timer_kind)subkey[0]), entries[i]);
        }
    } while (cursor != 0);
}

/* Finds the first timer of each kind and key group, and reads the ones at the front. */
static enum status read_fronts(struct keyed_operator *owner, struct state_iterator *iterator,
                               struct error *err)
{
    struct text SCOPED_TEXT_BUFFER seek;
    text_init(&seek, 64);
    const struct key_group_range groups = owner->backend->config.key_groups;
    text_append_char(&seek, (char)(groups.first >> 8));
    text_append_char(&seek, (char)groups.first);
    for (;;) {
        const char *key;
        const char *value;
        size_t key_size;
        size_t value_size;
        state_iterator_seek(iterator, seek.bytes, seek.size);
        if (!state_iterator_get(iterator, &key, &key_size, &value, &value_size))
            return state_iterator_status(iterator, err);
        const uint32_t group =
            key_size < 3 ? UINT32_MAX : (uint32_t)(uint8_t)key[0] << 8 | (uint8_t)key[1];
        if (group == UINT32_MAX || key_size < 2 + TIMER_HEAD_SIZE || group < groups.first ||
            (uint8_t)key[2] > TIMER_PROCESSING_TIME)
            return error_set(err, STATUS_CORRUPT, "operator %s: a timer is damaged", owner->uid);
        if (group > groups.last)
            return STATUS_OK;
        const uint8_t kind = (uint8_t)key[2];
        struct timer_queue *queue = queue_of(owner, (enum timer_kind)kind);
        timer_queue_lower_horizon(queue, group, key + 2, key_size - 2);
        TRY(timer_queue_refill(queue, group, kind, iterator, err));
        text_clear(&seek);
        text_append_char(&seek, (char)(group >> 8));
        text_append_char(&seek, (char)group);
        text_append_char(&seek, (char)(kind + 1));
    }
}

enum status state_timers_restore(struct keyed_operator *owner, struct error *err)
{
    struct state_backend *backend = owner->backend;
    if (state_meta_find(&backend->restored, owner->uid, TIMER_STATE_NAME) == NULL)
        return STATUS_OK;
    TRY(need_table(owner, err));
    if (backend->database == NULL) {
        add_loaded(owner);
        return STATUS_OK;
    }
    struct state_iterator *iterator =
        state_iterator_create(backend->database, owner->timers->column);
    const enum status status = read_fronts(owner, iterator, err);
    state_iterator_destroy(iterator);
    return status;
}

static struct entry_key timer_key(const struct timer *timer, struct text *subkey)
{
    const uint64_t time = __builtin_bswap64((uint64_t)timer->time_ms ^ (UINT64_C(1) << 63));
    text_append_char(subkey, (char)timer->kind);
    text_append_bytes(subkey, &time, sizeof(time));
    if (timer->name_space_size > 0)
        text_append_bytes(subkey, timer->name_space, timer->name_space_size);
    struct entry_key key = {
        .key = timer->key,
        .key_size = timer->key_size,
        .subkey = subkey->bytes,
        .subkey_size = (uint32_t)subkey->size,
    };
    key.hash = entry_hash(timer->hash, key_hash(key.subkey, key.subkey_size));
    return key;
}

enum step state_set_timer(struct keyed_state *keyed, const struct timer *timer, struct error *err)
{
    struct keyed_operator *owner = (struct keyed_operator *)keyed;
    if (need_table(owner, err) != STATUS_OK)
        return STEP_FAILED;
    const enum step room = state_backend_make_room(owner->backend, err);
    if (room != STEP_DONE)
        return room;
    struct text *subkey = &owner->subkey;
    text_clear(subkey);
    const struct entry_key key = timer_key(timer, subkey);
    struct state_table *table = owner->timers;
    struct timer_queue *queue = queue_of(owner, timer->kind);
    struct entry *entry = entry_table_find(&table->table, &key);
    if (entry != NULL && (entry->flags & ENTRY_DELETED) == 0)
        return STEP_DONE;
    if (entry != NULL) {
        state_entry_change(table, entry);
        entry->flags &= (uint8_t)~ENTRY_DELETED;
    } else {
        const uint32_t group = key_group_of(timer->hash, owner->backend->config.max_parallelism);
        const bool may_be_stored = timer_queue_may_be_stored(queue, &key, group);
        entry = state_entry_add(table, &key);
        if (may_be_stored)
            entry->flags |= ENTRY_STORED;
    }
    timer_queue_add(queue, entry);
    return STEP_DONE;
}

enum step state_delete_timer(struct keyed_state *keyed, const struct timer *timer,
                             struct error *err)
{
    struct keyed_operator *owner = (struct keyed_operator *)keyed;
    if (owner->timers == NULL)
        return STEP_DONE;
    const enum step room = state_backend_make_room(owner->backend, err);
    if (room != STEP_DONE)
        return room;
    struct text *subkey = &owner->subkey;
    text_clear(subkey);
    const struct entry_key key = timer_key(timer, subkey);
    struct state_table *table = owner->timers;
    struct timer_queue *queue = queue_of(owner, timer->kind);
    struct entry *entry = entry_table_find(&table->table, &key);
    if (entry != NULL && (entry->flags & ENTRY_DELETED) != 0)
        return STEP_DONE;
    if (entry != NULL) {
        timer_queue_remove(queue, entry);
    } else {
        const uint32_t group = key_group_of(timer->hash, owner->backend->config.max_parallelism);
        if (!timer_queue_may_be_stored(queue, &key, group))
            return STEP_DONE;
        entry = state_entry_add(table, &key);
        entry->flags |= ENTRY_STORED;
    }
    state_entry_remove(table, entry);
    return STEP_DONE;
}

/* ---- what is due ---- */

/* The earliest timer of the queue; NULL with STEP_DONE: none is due. */
static enum step find_due(struct keyed_operator *owner, enum timer_kind kind, int64_t now_ms,
                          struct entry **ret_entry, struct error *err)
{
    struct timer_queue *queue = queue_of(owner, kind);
    for (uint32_t refills = 0;; refills++) {
        *ret_entry = NULL;
        if (queue->heap_count == 0 || timer_queue_next_ms(queue) > now_ms)
            return STEP_DONE;
        uint32_t group = 0;
        *ret_entry = timer_queue_head(queue, &group);
        if (*ret_entry != NULL)
            return STEP_DONE;
        if (refills == REFILLS_MAX)
            return STEP_AGAIN;
        struct state_iterator *iterator =
            state_iterator_create(owner->backend->database, owner->timers->column);
        const enum status status = timer_queue_refill(queue, group, (uint8_t)kind, iterator, err);
        state_iterator_destroy(iterator);
        if (status != STATUS_OK)
            return STEP_FAILED;
    }
}

static void give_timer(struct keyed_operator *owner, const struct entry *entry,
                       enum timer_kind kind, struct timer *ret_timer)
{
    const struct entry_table *table = &owner->timers->table;
    const char *subkey = entry_subkey_bytes(table, entry);
    const uint32_t name_space_size = entry->subkey_size - TIMER_HEAD_SIZE;
    text_clear(&owner->popped);
    text_append_bytes(&owner->popped, subkey + TIMER_HEAD_SIZE, name_space_size);
    text_append_bytes(&owner->popped, entry_key_bytes(table, entry),
                      entry_byte_size(entry->key_size));
    /* Key ranges are followed by 16 readable bytes. */
    text_append_bytes(&owner->popped, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    *ret_timer = (struct timer){
        .kind = kind,
        .time_ms = timer_time(subkey),
        .key = owner->popped.bytes + name_space_size,
        .key_size = entry->key_size,
        .name_space = owner->popped.bytes,
        .name_space_size = name_space_size,
    };
    ret_timer->hash = key_hash(ret_timer->key, ret_timer->key_size);
}

enum step state_timers_pop(struct keyed_state *keyed, enum timer_kind kind, int64_t now_ms,
                           bool *ret_found, struct timer *ret_timer, struct error *err)
{
    struct keyed_operator *owner = (struct keyed_operator *)keyed;
    *ret_found = false;
    if (owner->timers == NULL || queue_of(owner, kind)->heap_count == 0 ||
        state_timers_next_ms(keyed, kind) > now_ms)
        return STEP_DONE;
    enum step step = state_backend_make_room(owner->backend, err);
    struct entry *entry = NULL;
    if (step == STEP_DONE)
        step = find_due(owner, kind, now_ms, &entry, err);
    if (step != STEP_DONE || entry == NULL)
        return step;
    give_timer(owner, entry, kind, ret_timer);
    timer_queue_fire(queue_of(owner, kind), entry);
    *ret_found = true;
    return STEP_DONE;
}

int64_t state_timers_next_ms(const struct keyed_state *keyed, enum timer_kind kind)
{
    const struct keyed_operator *owner = (const struct keyed_operator *)keyed;
    return owner->timers == NULL ? INT64_MAX : timer_queue_next_ms(queue_of(owner, kind));
}

void state_timers_done(struct keyed_operator *owner)
{
    for (int kind = 0; kind < 2; kind++) {
        if (owner->queues[kind] != NULL)
            timer_queue_done(owner->queues[kind]);
        free(owner->queues[kind]);
    }
    text_done(&owner->popped);
    text_done(&owner->subkey);
}
