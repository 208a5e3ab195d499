/* Who changed since which mark, what is copied before it changes, and what leaves the cache. */
#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#define RELEASE_COUNT_MAX 2048  /* entries of written sets looked at in one call */
#define EVICT_WALK_MAX    16384 /* entries looked at in one call */

/* ---- sets ---- */

static struct write_set *set_create(struct state_backend *backend, uint32_t number)
{
    struct write_set *set = allocate(sizeof(*set));
    set->number = number;
    set->wall_ms = clock_wall_ms(backend->config.clock);
    text_init(&set->captured_bytes, SIZE_MAX / 4);
    return set;
}

void write_set_destroy(struct write_set *set)
{
    if (set == NULL)
        return;
    state_drops_release(set);
    for (size_t i = 0; i < set->list_count; i++) {
        free(set->lists[i].entries);
        free(set->lists[i].drops);
    }
    free(set->lists);
    uint32_t all = UINT32_MAX;
    state_dropped_free(set, &all);
    free(set->dropped);
    free(set->captured);
    text_done(&set->captured_bytes);
    free(set);
}

struct write_list *write_set_list(struct write_set *set, struct state_table *table)
{
    for (size_t i = 0; i < set->list_count; i++) {
        if (set->lists[i].table == table)
            return &set->lists[i];
    }
    set->lists = reallocate_array(set->lists, set->list_count + 1, sizeof(*set->lists));
    set->lists[set->list_count] = (struct write_list){.table = table};
    return &set->lists[set->list_count++];
}

static size_t captured_place(const struct write_set *set, const struct entry *entry)
{
    const size_t mask = set->captured_capacity - 1;
    size_t at = (size_t)((uint64_t)(uintptr_t)entry * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;
    while (set->captured[at].entry != NULL && set->captured[at].entry != entry)
        at = (at + 1) & mask;
    return at;
}

static void captured_grow(struct write_set *set)
{
    struct captured *old = set->captured;
    const size_t old_capacity = set->captured_capacity;
    set->captured_capacity = old_capacity == 0 ? 64 : old_capacity * 2;
    set->captured = allocate_array(set->captured_capacity, sizeof(*set->captured));
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].entry != NULL)
            set->captured[captured_place(set, old[i].entry)] = old[i];
    }
    free(old);
}

static void encode_entry(const struct state_table *table, struct entry *entry, struct text *out)
{
    if (table->is_timers)
        return; /* a timer is all key */
    state_value_encode(&table->codec, entry_slot(&table->table, entry),
                       table->codec.has_ttl ? *entry_write_ms(entry) : 0, out);
}

static bool is_gone(const struct state_table *table, struct entry *entry, int64_t wall_ms)
{
    return (entry->flags & ENTRY_DELETED) != 0 || entry_is_expired(table, entry, wall_ms);
}

/* Under the capture lock. */
static void capture(struct write_set *set, const struct state_table *table, struct entry *entry)
{
    if (set->captured_count * 2 >= set->captured_capacity)
        captured_grow(set);
    struct captured *captured = &set->captured[captured_place(set, entry)];
    *captured =
        (struct captured){.entry = entry, .offset = set->captured_bytes.size, .size = SIZE_MAX};
    set->captured_count++;
    if (!is_gone(table, entry, set->wall_ms)) {
        encode_entry(table, entry, &set->captured_bytes);
        captured->size = set->captured_bytes.size - captured->offset;
    }
}

void write_set_value(struct write_set *set, const struct state_table *table, struct entry *entry,
                     struct text *scratch, const char **ret_bytes, size_t *ret_size)
{
    *ret_bytes = NULL;
    *ret_size = 0;
    if (set->captured_count > 0) {
        const struct captured *captured = &set->captured[captured_place(set, entry)];
        if (captured->entry == entry) {
            if (captured->size != SIZE_MAX) {
                text_append_bytes(scratch, set->captured_bytes.bytes + captured->offset,
                                  captured->size);
                *ret_bytes = scratch->bytes;
                *ret_size = captured->size;
            }
            return;
        }
    }
    entry->written = set->number;
    if (!is_gone(table, entry, set->wall_ms)) {
        encode_entry(table, entry, scratch);
        *ret_bytes = scratch->bytes;
        *ret_size = scratch->size;
    }
}

/* ---- changes ---- */

/* Closes the gaps that evictions leave: without checkpoints the list would grow for ever. */
static void dirty_compact(struct state_table *table)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->dirty_count; i++) {
        struct entry *entry = table->dirty[i];
        if (entry == NULL)
            continue;
        entry->position = (uint32_t)kept;
        table->dirty[kept++] = entry;
    }
    table->dirty_count = kept;
    if (kept > table->dirty_capacity / 2) {
        table->dirty_capacity *= 2;
        table->dirty =
            reallocate_array(table->dirty, table->dirty_capacity, sizeof(struct entry *));
    }
}

static void dirty_push(struct state_table *table, struct entry *entry)
{
    if (table->dirty_count == table->dirty_capacity && table->dirty_count > 0)
        dirty_compact(table);
    entry->stamp = table->backend->epoch;
    entry->position = (uint32_t)table->dirty_count;
    array_push(table->dirty, table->dirty_count, table->dirty_capacity) = entry;
}

/* Under the capture lock. */
static void capture_for_memory(struct state_table *table, struct entry *entry)
{
    struct state_backend *backend = table->backend;
    if (backend->memory_mark == 0 || entry->written == backend->memory_mark)
        return;
    entry->written = backend->memory_mark;
    if ((entry->flags & ENTRY_DELETED) == 0)
        state_memory_record(table, entry, clock_wall_ms(backend->config.clock),
                            &backend->memory_captured);
}

struct write_set *write_set_find(const struct state_backend *backend, uint32_t number)
{
    if (backend->open_set != NULL && backend->open_set->number == number)
        return backend->open_set;
    struct write_set *set = backend->flight;
    while (set != NULL && set->number != number)
        set = set->next_flight;
    return set;
}

void state_entry_dirty(struct state_table *table, struct entry *entry)
{
    struct state_backend *backend = table->backend;
    if (backend->config.kind == STATE_BACKEND_MEMORY) {
        (void)pthread_mutex_lock(&backend->capture_lock);
        capture_for_memory(table, entry);
        (void)pthread_mutex_unlock(&backend->capture_lock);
        entry->stamp = backend->epoch;
        return;
    }
    if (entry->stamp != 0) {
        struct write_set *set = write_set_find(backend, entry->stamp);
        CHECK(set != NULL);
        (void)pthread_mutex_lock(&backend->capture_lock);
        if (entry->written != entry->stamp) {
            capture(set, table, entry);
            entry->written = entry->stamp;
        }
        (void)pthread_mutex_unlock(&backend->capture_lock);
        entry->flags |= ENTRY_STORED; /* that set will have stored it, and points to it */
    }
    dirty_push(table, entry);
}

struct entry *state_entry_add(struct state_table *table, const struct entry_key *key)
{
    struct state_backend *backend = table->backend;
    if (backend->config.kind == STATE_BACKEND_ROCKSDB) {
        struct entry *entry = entry_table_add(&table->table, key);
        dirty_push(table, entry);
        state_entry_index(table, entry);
        return entry;
    }
    (void)pthread_mutex_lock(&backend->capture_lock);
    struct entry *entry = entry_table_add(&table->table, key);
    entry->stamp = backend->epoch;
    entry->written = backend->memory_mark; /* not in what that mark captures */
    (void)pthread_mutex_unlock(&backend->capture_lock);
    state_entry_index(table, entry);
    return entry;
}

void state_entry_free(struct state_table *table, struct entry *entry)
{
    if (!table->is_timers)
        state_slot_release(&table->codec.layout, entry_slot(&table->table, entry),
                           &table->backend->arena);
    if (table->has_namespaces)
        namespace_index_remove(&table->namespaces, entry);
    entry_table_drop(&table->table, entry);
}

void state_entry_remove(struct state_table *table, struct entry *entry)
{
    struct state_backend *backend = table->backend;
    if (backend->config.kind == STATE_BACKEND_MEMORY) {
        (void)pthread_mutex_lock(&backend->capture_lock);
        capture_for_memory(table, entry);
        state_entry_free(table, entry);
        (void)pthread_mutex_unlock(&backend->capture_lock);
        return;
    }
    state_entry_change(table, entry);
    if ((entry->flags & ENTRY_STORED) == 0) {
        table->dirty[entry->position] = NULL;
        state_entry_free(table, entry);
        return;
    }
    if (!table->is_timers) {
        state_slot_release(&table->codec.layout, entry_slot(&table->table, entry), &backend->arena);
        memset(entry_slot(&table->table, entry), 0, table->table.slot_size);
    }
    entry->flags |= ENTRY_DELETED;
}

/* ---- room ---- */

/* What becomes of an entry whose set is in the database. */
static void release_entry(struct state_table *table, struct entry *entry, uint32_t number)
{
    if (entry->stamp != number)
        return; /* changed since, and dirty again */
    entry->stamp = 0;
    entry->flags |= ENTRY_STORED;
    if (table->scan.is_active)
        return;
    if ((entry->flags & ENTRY_DELETED) != 0)
        state_entry_free(table, entry);
}

static void leave_cache(struct state_table *table, struct entry *entry)
{
    if (table->is_timers) {
        state_timer_written(table, entry);
        return;
    }
    state_entry_free(table, entry);
    table->backend->evicted_entries++;
}

static bool release_set(struct write_set *set, uint32_t *budget)
{
    state_drops_release(set);
    while (set->done_list < set->list_count) {
        struct write_list *list = &set->lists[set->done_list];
        while (set->done_entry<list->count && * budget> 0) {
            struct entry *entry = list->entries[set->done_entry++];
            if (set->done_entry + 8 < list->count)
                __builtin_prefetch(list->entries[set->done_entry + 8]);
            (*budget)--;
            if (entry == NULL || entry->is_dropped != 0)
                continue;
            const bool is_unchanged = entry->stamp == set->number;
            release_entry(list->table, entry, set->number);
            /* An eviction takes what it has written out of the cache, unless it was used again. */
            if (set->work == NULL && is_unchanged && !list->table->scan.is_active &&
                entry->stamp == 0 && entry->touched == 0 && (entry->flags & ENTRY_DELETED) == 0)
                leave_cache(list->table, entry);
        }
        if (set->done_entry < list->count)
            return false;
        set->done_list++;
        set->done_entry = 0;
    }
    state_dropped_free(set, budget);
    return set->dropped_count == 0;
}

void state_release_written(struct state_backend *backend)
{
    uint32_t budget = RELEASE_COUNT_MAX;
    while (backend->flight != NULL && budget > 0) {
        struct write_set *set = backend->flight;
        if (!atomic_load_explicit(&set->is_written, memory_order_acquire) ||
            !release_set(set, &budget))
            return;
        backend->flight = set->next_flight;
        if (backend->flight == NULL)
            backend->flight_last = NULL;
        backend->flight_bytes -= set->byte_count;
        write_set_destroy(set);
    }
}

static void launch(struct state_backend *backend, struct write_set *set)
{
    state_drops_attach(backend, set);
    for (size_t i = 0; i < set->list_count; i++)
        set->lists[i].table->has_stored = backend->database != NULL;
    if (backend->flight_last != NULL)
        backend->flight_last->next_flight = set;
    else
        backend->flight = set;
    backend->flight_last = set;
    backend->flight_bytes += set->byte_count;
    state_queue_push(backend, set);
}

void state_launch_open_set(struct state_backend *backend)
{
    struct write_set *set = backend->open_set;
    if (set == NULL)
        return;
    backend->open_set = NULL;
    launch(backend, set);
}

void state_start_open_set(struct state_backend *backend)
{
    if (backend->open_set == NULL)
        backend->open_set = set_create(backend, ++backend->last_number);
}

void state_evict_dirty(struct state_backend *backend, struct state_table *table,
                       struct entry *entry)
{
    state_start_open_set(backend);
    struct write_set *set = backend->open_set;
    /* It has been in this set before and was changed since: the set holds the captured value, and
     * an entry only once. Its turn comes when the set is on its way. */
    if (entry->written == set->number)
        return;
    struct write_list *list = write_set_list(set, table);
    table->dirty[entry->position] = NULL;
    entry->stamp = set->number;
    entry->touched = 0;
    array_push(list->entries, list->count, list->capacity) = entry;
    set->entry_count++;
    set->byte_count += arena_slab_of(entry)->cell_size;
}

static void evict_entry(struct state_backend *backend, struct state_table *table,
                        struct entry *entry)
{
    if ((entry->touched & ~ENTRY_ARRIVED) == table->round)
        return;
    if (entry->touched != 0 && (entry->touched & ENTRY_ARRIVED) == 0)
        entry->touched = 0;
    else if (entry->stamp == 0) {
        state_entry_free(table, entry);
        backend->evicted_entries++;
    } else if (entry->stamp == backend->epoch)
        state_evict_dirty(backend, table, entry);
}

/* One step of the clock hand over one table, then the next one. Returns entries looked at. */
static uint32_t evict_some(struct state_backend *backend, uint64_t goal_bytes)
{
    struct state_table *table = backend->tables[backend->evict_table];
    const uint64_t share = backend->config.cache_bytes / 8;
    const uint64_t set_bytes = share < EVICT_BYTES ? share : EVICT_BYTES;
    uint32_t looked = 0;
    if (table->is_timers) {
        looked = state_timers_evict(table, goal_bytes);
        if (backend->open_set != NULL && backend->open_set->byte_count >= set_bytes)
            state_launch_open_set(backend);
    } else if (!table->scan.is_active) {
        do {
            struct entry *entries[CHUNK_ENTRIES];
            const uint32_t count = entry_table_walk(&table->table, &table->clock_hand, entries);
            for (uint32_t i = 0; i < count; i++)
                __builtin_prefetch(entries[i]);
            for (uint32_t i = 0; i < count; i++)
                evict_entry(backend, table, entries[i]);
            looked += count + 1;
            if (backend->open_set != NULL && backend->open_set->byte_count >= set_bytes)
                state_launch_open_set(backend);
        } while (table->clock_hand != 0 && looked < EVICT_WALK_MAX &&
                 backend->arena.used_bytes > goal_bytes + backend->flight_bytes);
    }
    if (table->clock_hand == 0 || table->is_timers || table->scan.is_active)
        backend->evict_table = (backend->evict_table + 1) % (uint32_t)backend->table_count;
    return looked;
}

static bool is_scanned(const struct state_backend *backend)
{
    for (size_t i = 0; i < backend->table_count; i++) {
        if (backend->tables[i]->scan.is_active)
            return true;
    }
    return false;
}

enum step state_backend_make_room(struct state_backend *backend, struct error *err)
{
    if (atomic_load_explicit(&backend->has_failed, memory_order_relaxed))
        return state_backend_failed(backend, err);
    const uint64_t limit = backend->config.cache_bytes;
    if (backend->flight != NULL)
        state_release_written(backend);
    if (backend->config.kind == STATE_BACKEND_MEMORY) {
        if (backend->arena.used_bytes <= limit)
            return STEP_DONE;
        (void)error_set(err, STATUS_LIMIT,
                        "the state in memory has reached its limit of %llu bytes: use "
                        "state.backend.type: rocksdb, or give the TaskManager more memory",
                        (unsigned long long)limit);
        return STEP_FAILED;
    }
    /* Evicts ahead of the limit, so that the writer works while the worker goes on. */
    const uint64_t goal = limit - limit / 16;
    if (backend->arena.used_bytes <= goal + backend->flight_bytes &&
        backend->arena.used_bytes <= limit)
        return STEP_DONE;
    for (uint32_t looked = 0, turn = 0; looked < EVICT_WALK_MAX && turn <= backend->table_count;
         turn++) {
        if (backend->arena.used_bytes <= goal + backend->flight_bytes ||
            backend->flight_bytes >= backend->config.queue_bytes)
            break;
        looked += evict_some(backend, goal);
    }
    if (backend->arena.used_bytes <= limit)
        return STEP_DONE;
    state_launch_open_set(backend);
    /* Everything had been used: the hand has to come round once more. But what a scanned table
     * holds cannot leave before the scan ends, and the scan may wait for just this call. */
    if (backend->flight == NULL)
        return is_scanned(backend) ? STEP_DONE : STEP_AGAIN;
    /* The oldest set may have been written meanwhile: its wake was before this call. */
    return atomic_load_explicit(&backend->flight->is_written, memory_order_acquire) ? STEP_AGAIN
                                                                                    : STEP_WAIT;
}

/* ---- marks ---- */

void state_mark(struct state_backend *backend, struct snapshot_work *work)
{
    state_launch_open_set(backend);
    struct write_set *set = set_create(backend, backend->epoch);
    set->work = work;
    backend->epoch = ++backend->last_number;
    if (backend->config.kind == STATE_BACKEND_MEMORY) {
        (void)pthread_mutex_lock(&backend->capture_lock);
        backend->memory_mark = set->number;
        text_clear(&backend->memory_captured);
        (void)pthread_mutex_unlock(&backend->capture_lock);
        for (size_t i = 0; i < backend->table_count; i++)
            (void)write_set_list(set, backend->tables[i]);
        launch(backend, set);
        return;
    }
    for (size_t i = 0; i < backend->table_count; i++) {
        struct state_table *table = backend->tables[i];
        if (table->dirty_count == 0)
            continue;
        struct write_list *list = write_set_list(set, table);
        *list = (struct write_list){.table = table,
                                    .entries = table->dirty,
                                    .count = table->dirty_count,
                                    .capacity = table->dirty_capacity};
        set->entry_count += list->count;
        set->byte_count += list->count * (table->table.key_offset + 16);
        table->dirty = NULL;
        table->dirty_count = 0;
        table->dirty_capacity = 0;
    }
    launch(backend, set);
}
