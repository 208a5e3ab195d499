/* Entries in storage order: what the cache holds, sorted a key group at a time, merged with what
 * the database holds. In the cache count, before a database: entries that it does not hold as they
 * are. */
#include "common/base/allocate.h"
#include "taskmanager/state/key_run.h"

#define GROUP_SIZE  2    /* bytes of the key group before a storage key */
#define LOOKS_MAX   4096 /* entries looked at in one call */
#define GROUP_LOOKS 64   /* what entering a key group counts for: it seeks */

static struct state_table *table_of(struct state *state)
{
    return (struct state_table *)state;
}

static bool is_in_scan(const struct state_table *table, const struct entry *entry)
{
    return table->backend->database == NULL || entry->stamp != 0;
}

static void scan_add(struct state_table *table, struct entry *entry)
{
    struct state_scan *scan = &table->scan;
    if (is_in_scan(table, entry))
        array_push(scan->entries, scan->entry_count, scan->entry_capacity) = entry;
}

/* What the database shows of a dropped range is gone, also when the drop gets there meanwhile. */
static void copy_drops(struct state_table *table)
{
    struct state_scan *scan = &table->scan;
    scan->drops = allocate_array(table->drop_count + 1, sizeof(*scan->drops));
    scan->drop_count = table->drop_count;
    for (size_t i = 0; i < table->drop_count; i++) {
        state_drop_init(&scan->drops[i]);
        state_drop_copy(&scan->drops[i], table->drops[i]);
    }
}

void state_scan_begin(struct state_table *table, enum scan_kind kind)
{
    struct state_scan *scan = &table->scan;
    state_scan_end(table);
    scan->is_active = true;
    scan->kind = kind;
    scan->entry_count = 0;
    scan->next_entry = 0;
    scan->run_at = 0;
    scan->run = allocate(sizeof(*scan->run));
    key_run_init(scan->run);
    text_init(&scan->prefix, SIZE_MAX / 4);
    text_init(&scan->keys, SIZE_MAX / 4);
    text_init(&scan->seek, SIZE_MAX / 4);
    text_init(&scan->high, SIZE_MAX / 4);
    text_init(&scan->found, SIZE_MAX / 4);
    state_drop_init(&scan->range);
    state_drop_init(&scan->asked);
    scan->group = -1;
    scan->node = NULL;
    scan->is_find = false;
    scan->has_found = false;
    copy_drops(table);
    if (table->backend->database != NULL && table->has_stored)
        scan->iterator = state_iterator_create(table->backend->database, table->column);
}

/* Frees the values that the last call gave from the database. */
static void release_slots(struct state_table *table)
{
    struct state_scan *scan = &table->scan;
    for (uint32_t i = 0; i < scan->slots_used; i++)
        state_slot_release(&table->codec.layout, scan->slots + (size_t)i * table->codec.layout.size,
                           &table->backend->arena);
    scan->slots_used = 0;
}

void state_scan_end(struct state_table *table)
{
    struct state_scan *scan = &table->scan;
    if (!scan->is_active)
        return;
    release_slots(table);
    state_iterator_destroy(scan->iterator);
    scan->iterator = NULL;
    key_run_done(scan->run);
    free(scan->run);
    scan->run = NULL;
    text_done(&scan->prefix);
    text_done(&scan->keys);
    text_done(&scan->seek);
    text_done(&scan->high);
    text_done(&scan->found);
    state_drop_done(&scan->range);
    state_drop_done(&scan->asked);
    for (size_t i = 0; i < scan->drop_count; i++)
        state_drop_done(&scan->drops[i]);
    free(scan->drops);
    scan->drops = NULL;
    scan->drop_count = 0;
    scan->is_active = false;
}

static enum step failed_step(struct state_table *table, struct error *err)
{
    return atomic_load_explicit(&table->backend->has_failed, memory_order_relaxed)
               ? state_backend_failed(table->backend, err)
               : STEP_DONE;
}

enum step state_table_scan_start(struct state *state, struct error *err)
{
    struct state_table *table = table_of(state);
    if (failed_step(table, err) != STEP_DONE)
        return STEP_FAILED;
    state_scan_begin(table, SCAN_ALL);
    struct state_scan *scan = &table->scan;
    uint64_t cursor = 0;
    do {
        struct entry *entries[CHUNK_ENTRIES];
        const uint32_t count = entry_table_walk(&table->table, &cursor, entries);
        for (uint32_t i = 0; i < count; i++)
            scan_add(table, entries[i]);
    } while (cursor != 0);
    key_run_sort_by_group(table, scan->entries, &scan->entry_count);
    if (scan->iterator != NULL)
        state_iterator_seek(scan->iterator, "", 0);
    return STEP_DONE;
}

/* Where a key's subkeys follow the key in storage, they are one range; elsewhere all ranges would
 * have to be searched. */
enum step state_table_scan_key(struct state *state, const char *key, uint32_t key_size,
                               uint64_t hash, struct error *err)
{
    struct state_table *table = table_of(state);
    if (failed_step(table, err) != STEP_DONE)
        return STEP_FAILED;
    if (table->descriptor.order != STATE_KEY_FIRST) {
        (void)error_set(err, STATUS_UNSUPPORTED,
                        "operator %s, state %s: a namespace-first state cannot be scanned by key",
                        table->owner->uid, table->descriptor.name);
        return STEP_FAILED;
    }
    state_scan_begin(table, SCAN_KEY);
    struct state_scan *scan = &table->scan;
    /* All sub-entries of a key lie in the segment of its hash. */
    const struct entry_segment *segment = table_segment(&table->table, hash);
    for (uint32_t i = 0; i < segment->chunk_count; i++) {
        const struct entry_chunk *chunk = &segment->chunks[i];
        for (uint32_t j = 0; j < CHUNK_ENTRIES; j++) {
            if (chunk->tags[j] == 0)
                continue;
            struct entry *entry = arena_cell(&table->backend->arena, chunk->refs[j]);
            if (entry->hash >> 32 == hash >> 32 && entry->key_size == key_size &&
                (entry_byte_size(key_size) == 0 ||
                 memcmp(entry_key_bytes(&table->table, entry), key, key_size) == 0))
                scan_add(table, entry);
        }
    }
    const uint32_t group = key_group_of(hash, table->backend->config.max_parallelism);
    text_append_char(&scan->prefix, (char)(group >> 8));
    text_append_char(&scan->prefix, (char)group);
    key_storage_from_canonical(table->descriptor.key_types, table->descriptor.key_count, key,
                               key_size, &scan->prefix);
    if (scan->iterator != NULL)
        state_iterator_seek(scan->iterator, scan->prefix.bytes, scan->prefix.size);
    return STEP_DONE;
}

/* ---- one entry after another ---- */

/* A range: the next namespace of the key group that has entries in the cache. All of them count: a
 * set may be written between two calls, and the iterator does not see what it brought. */
static bool load_namespace(struct state_table *table)
{
    struct state_scan *scan = &table->scan;
    const struct namespace_index *index = &table->namespaces;
    scan->entry_count = 0;
    while (scan->node != NULL && scan->entry_count == 0) {
        const struct namespace_node *node = scan->node;
        if (!state_drop_holds(&scan->range, node->bytes, node->size))
            return false;
        for (uint32_t ref = node->first; ref != 0;) {
            struct entry *entry = arena_cell(index->arena, ref);
            ref = namespace_link_of(index, entry)->next;
            if (ref != 0)
                __builtin_prefetch(arena_cell(index->arena, ref));
            array_push(scan->entries, scan->entry_count, scan->entry_capacity) = entry;
        }
        scan->node = namespace_index_find(index, node->group, node->bytes, node->size, true);
    }
    if (scan->entry_count == 0)
        return false;
    key_run_load(scan->run, table, scan->entries, scan->entry_count);
    scan->run_at = 0;
    return true;
}

/* Loads the next key group of the cache's entries when the last one is used up. */
static bool run_has_next(struct state_table *table)
{
    struct state_scan *scan = &table->scan;
    if (scan->run_at < scan->run->count)
        return true;
    if (scan->kind == SCAN_RANGE)
        return load_namespace(table);
    if (scan->next_entry == scan->entry_count)
        return false;
    struct entry *const *entries = scan->entries + scan->next_entry;
    const size_t count = key_run_group_size(table, entries, scan->entry_count - scan->next_entry);
    key_run_load(scan->run, table, entries, count);
    scan->next_entry += count;
    scan->run_at = 0;
    return true;
}

struct stored {
    const char *key;
    const char *value;
    size_t key_size;
    size_t value_size;
};

static bool is_in_bounds(const struct state_scan *scan, const struct stored *stored)
{
    switch (scan->kind) {
    case SCAN_ALL:
        return true;
    case SCAN_KEY:
        return stored->key_size >= scan->prefix.size &&
               memcmp(stored->key, scan->prefix.bytes, scan->prefix.size) == 0;
    case SCAN_RANGE:
        return state_compare_bytes(stored->key, stored->key_size, scan->high.bytes,
                                   scan->high.size) < 0;
    }
    UNREACHABLE();
}

/* The drop that a stored key lies in, or NULL. */
static const struct state_drop *drop_of(const struct state_scan *scan, const struct stored *stored)
{
    for (size_t i = 0; stored->key_size >= GROUP_SIZE && i < scan->drop_count; i++) {
        if (state_drop_holds(&scan->drops[i], stored->key + GROUP_SIZE,
                             stored->key_size - GROUP_SIZE))
            return &scan->drops[i];
    }
    return NULL;
}

/* Behind the drop in the key group of a stored key. */
static void seek_behind(struct state_scan *scan, const struct stored *stored,
                        const struct state_drop *drop)
{
    uint32_t group = (uint32_t)(uint8_t)stored->key[0] << 8 | (uint8_t)stored->key[1];
    if (!drop->has_to)
        group++;
    text_clear(&scan->seek);
    text_append_char(&scan->seek, (char)(group >> 8));
    text_append_char(&scan->seek, (char)group);
    if (drop->has_to)
        text_append_bytes(&scan->seek, drop->to.bytes, drop->to.size);
    state_iterator_seek(scan->iterator, scan->seek.bytes, scan->seek.size);
}

static bool next_stored(struct state_scan *scan, struct stored *stored)
{
    if (scan->iterator == NULL)
        return false;
    for (;;) {
        if (!state_iterator_get(scan->iterator, &stored->key, &stored->key_size, &stored->value,
                                &stored->value_size) ||
            !is_in_bounds(scan, stored))
            return false;
        const struct state_drop *drop = drop_of(scan, stored);
        if (drop == NULL)
            return true;
        seek_behind(scan, stored, drop);
    }
}

static void give_cached(struct state_table *table, struct entry *cached, int64_t wall_ms,
                        struct state_entry *entry, uint32_t *count)
{
    if ((cached->flags & ENTRY_DELETED) != 0 || entry_is_expired(table, cached, wall_ms))
        return;
    *entry = (struct state_entry){
        .key = entry_key_bytes(&table->table, cached),
        .key_size = cached->key_size,
        .hash = cached->hash,
        .slot = entry_slot(&table->table, cached),
    };
    if (table->descriptor.subkey_count > 0) {
        entry->hash = key_hash(entry->key, entry->key_size);
        entry->subkey = entry_subkey_bytes(&table->table, cached);
        entry->subkey_size = cached->subkey_size;
    }
    (*count)++;
}

/* The keys are offsets into scan->keys until the call ends; a NULL key marks them. */
static enum status give_stored(struct state_table *table, const struct stored *stored,
                               int64_t wall_ms, struct state_entry *entry, uint32_t *count,
                               struct error *err)
{
    struct state_scan *scan = &table->scan;
    int64_t write_ms;
    if (table->codec.has_ttl &&
        state_value_write_ms(stored->value, stored->value_size, &write_ms) &&
        wall_ms - write_ms >= table->descriptor.ttl_ms)
        return STATUS_OK;
    struct state_decoded_key key;
    TRY(state_key_decode(table, stored->key, stored->key_size, &scan->keys, &key, err));
    char *slot = scan->slots + (size_t)scan->slots_used * table->codec.layout.size;
    memset(slot, 0, table->codec.layout.size);
    scan->slots_used++;
    TRY(state_value_decode(&table->codec, stored->value, stored->value_size, slot, &write_ms,
                           &table->backend->arena, err));
    *entry = (struct state_entry){
        .hash = key.key_offset,
        .key_size = key.key_size,
        .subkey_size = key.subkey_size,
        .subkey = table->descriptor.subkey_count > 0 ? (const char *)key.subkey_offset : NULL,
        .slot = slot,
    };
    (*count)++;
    return STATUS_OK;
}

static void fix_keys(struct state_table *table, struct state_entry *entries, uint32_t count)
{
    const char *bytes = table->scan.keys.bytes;
    for (uint32_t i = 0; i < count; i++) {
        struct state_entry *entry = &entries[i];
        if (entry->key != NULL)
            continue;
        entry->key = bytes + entry->hash;
        if (table->descriptor.subkey_count > 0)
            entry->subkey = bytes + (size_t)(uintptr_t)entry->subkey;
        entry->hash = key_hash(entry->key, entry->key_size);
    }
}

static enum status merge(struct state_table *table, struct state_entry *entries, uint32_t capacity,
                         uint32_t *ret_count, bool *ret_is_end, struct error *err)
{
    struct state_scan *scan = &table->scan;
    const int64_t wall_ms = table->codec.has_ttl ? clock_wall_ms(table->backend->config.clock) : 0;
    uint32_t count = 0;
    *ret_is_end = false;
    for (uint32_t looks = 0; count < capacity && looks < LOOKS_MAX; looks++) {
        struct stored stored = {0};
        const bool has_stored = next_stored(scan, &stored);
        const bool has_cached = run_has_next(table);
        if (!has_stored && !has_cached) {
            looks += GROUP_LOOKS;
            if (scan->kind == SCAN_RANGE && state_range_next_group(table))
                continue;
            *ret_is_end = true;
            break;
        }
        int order = has_cached ? -1 : 1;
        if (has_stored && has_cached)
            order = state_compare_bytes(key_run_key(scan->run, scan->run_at),
                                        scan->run->items[scan->run_at].size, stored.key,
                                        stored.key_size);
        if (order <= 0)
            give_cached(table, scan->run->items[scan->run_at++].entry, wall_ms, &entries[count],
                        &count);
        else
            TRY(give_stored(table, &stored, wall_ms, &entries[count], &count, err));
        if (order >= 0)
            state_iterator_next(scan->iterator);
    }
    *ret_count = count;
    return scan->iterator == NULL ? STATUS_OK : state_iterator_status(scan->iterator, err);
}

enum status state_scan_some(struct state_table *table, struct state_entry *entries,
                            uint32_t capacity, uint32_t *ret_count, bool *ret_is_end,
                            struct error *err)
{
    struct state_scan *scan = &table->scan;
    DCHECK(scan->is_active && capacity > 0);
    release_slots(table);
    text_clear(&scan->keys);
    if (capacity > scan->slot_capacity) {
        free(scan->slots);
        scan->slots = allocate_array(capacity, table->codec.layout.size + 8U);
        scan->slot_capacity = capacity;
    }
    TRY(merge(table, entries, capacity, ret_count, ret_is_end, err));
    fix_keys(table, entries, *ret_count);
    return STATUS_OK;
}

enum step state_table_scan_next(struct state *state, struct state_entry *entries, uint32_t capacity,
                                uint32_t *ret_count, struct error *err)
{
    struct state_table *table = table_of(state);
    uint32_t count = 0;
    bool is_end = false;
    if (state_scan_some(table, entries, capacity, &count, &is_end, err) != STATUS_OK)
        return STEP_FAILED;
    if (count == 0 && !is_end)
        return STEP_AGAIN;
    *ret_count = count;
    if (count == 0)
        state_scan_end(table);
    return STEP_DONE;
}
