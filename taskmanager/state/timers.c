/* Timers: entries without a value, found by (key, kind, time, namespace), and a heap of them for
 * each kind. They are not evicted. The subkey: 1 byte kind, 8 bytes time (big-endian, sign
 * flipped), 32-bit namespace size (big-endian), namespace. */
#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#define TIMER_STATE_NAME "_timers"
#define TIMER_HEAD_SIZE  13
#define HEAP_ARITY       4

static uint32_t *heap_place(const struct keyed_operator *owner, struct entry *entry)
{
    return entry_slot(&owner->timers->table, entry);
}

static const char *timer_bytes(const struct keyed_operator *owner, const struct entry *entry)
{
    return entry_subkey_bytes(&owner->timers->table, entry);
}

static int64_t timer_time(const char *subkey)
{
    uint64_t time;
    memcpy(&time, subkey + 1, sizeof(time));
    return (int64_t)(__builtin_bswap64(time) ^ (UINT64_C(1) << 63));
}

static int compare_bytes(const char *a, uint32_t a_size, const char *b, uint32_t b_size)
{
    const uint32_t size = a_size < b_size ? a_size : b_size;
    const int order = size == 0 ? 0 : memcmp(a, b, size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* Time, then key, then namespace: the same order after a restore. */
static bool is_before(const struct keyed_operator *owner, const struct entry *a,
                      const struct entry *b)
{
    const char *a_bytes = timer_bytes(owner, a);
    const char *b_bytes = timer_bytes(owner, b);
    const int by_time = memcmp(a_bytes + 1, b_bytes + 1, 8);
    if (by_time != 0)
        return by_time < 0;
    const struct entry_table *table = &owner->timers->table;
    const int by_key = compare_bytes(entry_key_bytes(table, a), entry_byte_size(a->key_size),
                                     entry_key_bytes(table, b), entry_byte_size(b->key_size));
    if (by_key != 0)
        return by_key < 0;
    return compare_bytes(a_bytes, a->subkey_size, b_bytes, b->subkey_size) < 0;
}

static void heap_set(struct keyed_operator *owner, struct timer_heap *heap, size_t at,
                     struct entry *entry)
{
    heap->entries[at] = entry;
    *heap_place(owner, entry) = (uint32_t)at;
}

static void heap_up(struct keyed_operator *owner, struct timer_heap *heap, size_t at)
{
    struct entry *entry = heap->entries[at];
    while (at > 0) {
        const size_t parent = (at - 1) / HEAP_ARITY;
        if (!is_before(owner, entry, heap->entries[parent]))
            break;
        heap_set(owner, heap, at, heap->entries[parent]);
        at = parent;
    }
    heap_set(owner, heap, at, entry);
}

static void heap_down(struct keyed_operator *owner, struct timer_heap *heap, size_t at)
{
    struct entry *entry = heap->entries[at];
    for (;;) {
        const size_t first = at * HEAP_ARITY + 1;
        if (first >= heap->count)
            break;
        size_t least = first;
        for (size_t i = first + 1; i < heap->count && i < first + HEAP_ARITY; i++) {
            if (is_before(owner, heap->entries[i], heap->entries[least]))
                least = i;
        }
        if (!is_before(owner, heap->entries[least], entry))
            break;
        heap_set(owner, heap, at, heap->entries[least]);
        at = least;
    }
    heap_set(owner, heap, at, entry);
}

static void heap_add(struct keyed_operator *owner, struct entry *entry)
{
    struct timer_heap *heap = &owner->heaps[(unsigned char)timer_bytes(owner, entry)[0]];
    array_push(heap->entries, heap->count, heap->capacity) = entry;
    heap_up(owner, heap, heap->count - 1);
}

static void heap_remove(struct keyed_operator *owner, struct entry *entry)
{
    struct timer_heap *heap = &owner->heaps[(unsigned char)timer_bytes(owner, entry)[0]];
    const size_t at = *heap_place(owner, entry);
    DCHECK(heap->entries[at] == entry);
    struct entry *last = heap->entries[--heap->count];
    if (at == heap->count)
        return;
    heap_set(owner, heap, at, last);
    heap_up(owner, heap, at);
    heap_down(owner, heap, *heap_place(owner, last));
}

/* ---- entries ---- */

static enum status need_table(struct keyed_operator *owner, struct error *err)
{
    if (owner->timers != NULL)
        return STATUS_OK;
    SCOPED(schema_unref) struct schema *nothing = schema_create(NULL, 0, -1);
    const struct state_descriptor descriptor = {.name = TIMER_STATE_NAME,
                                                .kind = STATE_VALUE,
                                                .order = STATE_NAMESPACE_FIRST,
                                                .value = nothing};
    return state_table_create(owner, &descriptor, true, &owner->timers, err);
}

static enum status add_restored(struct keyed_operator *owner)
{
    uint64_t cursor = 0;
    do {
        struct entry *entries[CHUNK_ENTRIES];
        const uint32_t count = entry_table_walk(&owner->timers->table, &cursor, entries);
        for (uint32_t i = 0; i < count; i++)
            heap_add(owner, entries[i]);
    } while (cursor != 0);
    return STATUS_OK;
}

enum status state_timers_restore(struct keyed_operator *owner, struct error *err)
{
    struct state_backend *backend = owner->backend;
    if (state_meta_find(&backend->restored, owner->uid, TIMER_STATE_NAME) == NULL)
        return STATUS_OK;
    TRY(need_table(owner, err));
    struct state_table *table = owner->timers;
    if (backend->database != NULL) {
        struct state_iterator *iterator = state_iterator_create(backend->database, table->column);
        state_iterator_seek(iterator, "", 0);
        enum status status = STATUS_OK;
        const char *key;
        const char *value;
        size_t key_size;
        size_t value_size;
        while (status == STATUS_OK &&
               state_iterator_get(iterator, &key, &key_size, &value, &value_size)) {
            status = state_load_record(table, key, key_size, value, value_size, err);
            state_iterator_next(iterator);
        }
        if (status == STATUS_OK)
            status = state_iterator_status(iterator, err);
        state_iterator_destroy(iterator);
        TRY(status);
    }
    return add_restored(owner);
}

static struct entry_key timer_key(const struct timer *timer, struct text *subkey)
{
    const uint64_t time = __builtin_bswap64((uint64_t)timer->time_ms ^ (UINT64_C(1) << 63));
    const uint32_t size = __builtin_bswap32(timer->name_space_size);
    text_append_char(subkey, (char)timer->kind);
    text_append_bytes(subkey, &time, sizeof(time));
    text_append_bytes(subkey, &size, sizeof(size));
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
    struct text SCOPED_TEXT_BUFFER subkey;
    text_init(&subkey, SIZE_MAX / 4);
    const struct entry_key key = timer_key(timer, &subkey);
    struct state_table *table = owner->timers;
    struct entry *entry = entry_table_find(&table->table, &key);
    if (entry != NULL && (entry->flags & ENTRY_DELETED) == 0)
        return STEP_DONE;
    if (entry != NULL) {
        state_entry_change(table, entry);
        entry->flags &= (uint8_t)~ENTRY_DELETED;
    } else {
        entry = state_entry_add(table, &key);
    }
    heap_add(owner, entry);
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
    struct text SCOPED_TEXT_BUFFER subkey;
    text_init(&subkey, SIZE_MAX / 4);
    const struct entry_key key = timer_key(timer, &subkey);
    struct entry *entry = entry_table_find(&owner->timers->table, &key);
    if (entry != NULL && (entry->flags & ENTRY_DELETED) == 0) {
        heap_remove(owner, entry);
        state_entry_remove(owner->timers, entry);
    }
    return STEP_DONE;
}

enum step state_timers_pop(struct keyed_state *keyed, enum timer_kind kind, int64_t now_ms,
                           bool *ret_found, struct timer *ret_timer, struct error *err)
{
    struct keyed_operator *owner = (struct keyed_operator *)keyed;
    *ret_found = false;
    if (state_timers_next_ms(keyed, kind) > now_ms || owner->heaps[kind].count == 0)
        return STEP_DONE;
    const enum step room = state_backend_make_room(owner->backend, err);
    if (room != STEP_DONE)
        return room;
    struct entry *entry = owner->heaps[kind].entries[0];
    const struct entry_table *table = &owner->timers->table;
    const char *subkey = timer_bytes(owner, entry);
    const uint32_t key_size = entry_byte_size(entry->key_size);
    text_clear(&owner->popped);
    text_append_bytes(&owner->popped, subkey + TIMER_HEAD_SIZE,
                      entry->subkey_size - TIMER_HEAD_SIZE);
    const size_t key_offset = owner->popped.size;
    text_append_bytes(&owner->popped, entry_key_bytes(table, entry), key_size);
    /* Key ranges are followed by 16 readable bytes. */
    text_append_bytes(&owner->popped, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    *ret_timer = (struct timer){
        .kind = kind,
        .time_ms = timer_time(subkey),
        .key = owner->popped.bytes + key_offset,
        .key_size = entry->key_size,
        .name_space = owner->popped.bytes,
        .name_space_size = entry->subkey_size - TIMER_HEAD_SIZE,
    };
    ret_timer->hash = key_hash(ret_timer->key, ret_timer->key_size);
    heap_remove(owner, entry);
    state_entry_remove(owner->timers, entry);
    *ret_found = true;
    return STEP_DONE;
}

int64_t state_timers_next_ms(const struct keyed_state *keyed, enum timer_kind kind)
{
    const struct keyed_operator *owner = (const struct keyed_operator *)keyed;
    const struct timer_heap *heap = &owner->heaps[kind];
    return heap->count == 0 ? INT64_MAX : timer_time(timer_bytes(owner, heap->entries[0]));
}

void state_timers_done(struct keyed_operator *owner)
{
    for (int i = 0; i < 2; i++)
        free(owner->heaps[i].entries);
    text_done(&owner->popped);
}
