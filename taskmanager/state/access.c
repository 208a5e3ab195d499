/* The hot path: batches of keys to slots. Two passes over groups of keys, so that the chunk and
 * then the entry of a key have arrived in the processor's cache when they are needed. */
#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#define GROUP_KEYS    16
#define ROW_LIMIT_MIN 16
#define ROUND_MAX     254

struct access {
    struct state_table *table;
    const struct key_batch *keys;
    const struct key_batch *subkeys;
    uint32_t first;
    uint32_t count; /* rows in this call, beginning with first */
    int64_t wall_ms;
    void **slots;
    uint8_t *fresh; /* NULL: only reading */
};

static struct state_table *table_of(struct state *state)
{
    return (struct state_table *)state;
}

static inline uint64_t access_hash(const struct access *access, uint32_t i)
{
    const uint64_t hash = access->keys->hashes[access->first + i];
    return access->subkeys == NULL ? hash
                                   : entry_hash(hash, access->subkeys->hashes[access->first + i]);
}

static inline struct entry_key access_key(const struct access *access, uint32_t i)
{
    const uint32_t row = access->first + i;
    struct entry_key key = {
        .key = access->keys->bytes[row],
        .key_size = access->keys->sizes[row],
        .hash = access_hash(access, i),
    };
    if (access->subkeys != NULL) {
        key.subkey = access->subkeys->bytes[row];
        key.subkey_size = access->subkeys->sizes[row];
    }
    return key;
}

static inline const struct entry_chunk *home_chunk(const struct entry_table *table, uint64_t hash)
{
    const struct entry_segment *segment = table_segment(table, hash);
    return &segment->chunks[chunk_index(segment, hash)];
}

static inline uint32_t group_end(const struct access *access, uint32_t at)
{
    return access->count - at < GROUP_KEYS ? access->count : at + GROUP_KEYS;
}

/* The three steps of the pipeline: while the entries of one group are compared, those of the next
 * are on their way to the processor, and the chunks of the one after it. */
static inline void group_prefetch(const struct access *access, uint32_t at)
{
    for (uint32_t i = at; i < group_end(access, at); i++)
        __builtin_prefetch(home_chunk(&access->table->table, access_hash(access, i)));
}

/* First tag match of each key: the entry it most likely is, NULL if none. */
static inline void group_match(const struct access *access, uint32_t at,
                               struct entry *candidates[static GROUP_KEYS])
{
    const struct entry_table *table = &access->table->table;
    for (uint32_t i = at; i < group_end(access, at); i++) {
        const uint64_t hash = access_hash(access, i);
        const struct entry_chunk *chunk = home_chunk(table, hash);
        const uint32_t match = chunk_match(chunk, chunk_tag(hash));
        struct entry *candidate = NULL;
        if (match != 0) {
            candidate = arena_cell(table->arena, chunk->refs[__builtin_ctz(match)]);
            __builtin_prefetch(candidate, 1);
        }
        candidates[i - at] = candidate;
    }
}

static inline struct entry *confirm(const struct entry_table *table, const struct entry_key *key,
                                    struct entry *candidate)
{
    if (__builtin_expect(candidate != NULL && entry_matches(table, candidate, key), 1))
        return candidate;
    return entry_table_find(table, key);
}

/* An entry that was deleted or has expired begins anew. */
static void restart_entry(struct state_table *table, struct entry *entry)
{
    state_slot_release(&table->codec.layout, entry_slot(&table->table, entry),
                       &table->backend->arena);
    memset(entry_slot(&table->table, entry), 0, table->table.slot_size);
    entry->flags &= (uint8_t)~ENTRY_DELETED;
}

static inline void give_for_update(struct access *access, uint32_t i, struct entry *entry,
                                   bool is_fresh)
{
    struct state_table *table = access->table;
    state_entry_change(table, entry);
    entry->touched = table->round;
    if (__builtin_expect((entry->flags & ENTRY_DELETED) != 0, 0) ||
        (table->codec.has_ttl && !is_fresh && entry_is_expired(table, entry, access->wall_ms))) {
        restart_entry(table, entry);
        is_fresh = true;
    }
    if (table->codec.has_ttl)
        *entry_write_ms(entry) = access->wall_ms;
    access->fresh[i] = is_fresh ? 1 : 0;
    access->slots[i] = entry_slot(&table->table, entry);
}

static inline void give_for_read(struct access *access, uint32_t i, struct entry *entry)
{
    const struct state_table *table = access->table;
    entry->touched = table->round;
    access->slots[i] =
        (entry->flags & ENTRY_DELETED) != 0 || entry_is_expired(table, entry, access->wall_ms)
            ? NULL
            : entry_slot(&table->table, entry);
}

static inline void give(struct access *access, uint32_t i, struct entry *entry)
{
    if (access->fresh != NULL)
        give_for_update(access, i, entry, false);
    else
        give_for_read(access, i, entry);
}

/* What has come with this call is the first to go, unless a later one asks for it: a key that comes
 * once must not push out keys that come often. */
static inline void note_arrival(const struct state_table *table, struct entry *entry)
{
    entry->touched = (uint8_t)(table->round | ENTRY_ARRIVED);
}

/* A key that is neither in the cache nor in the database. */
static void give_absent(struct access *access, uint32_t i, const struct entry_key *key)
{
    if (access->fresh == NULL) {
        access->slots[i] = NULL;
        return;
    }
    struct entry *entry = state_entry_add(access->table, key);
    give_for_update(access, i, entry, true);
    note_arrival(access->table, entry);
}

/* ---- misses ---- */

struct misses {
    struct access *access;
    uint32_t rows[MISS_COUNT_MAX];
    uint32_t count;
};

/* True if there is no room for another one. */
static bool note_miss(struct misses *misses, uint32_t row)
{
    misses->rows[misses->count++] = row;
    return misses->count == MISS_COUNT_MAX;
}

/* Gives what is in the table. The rest is new where the database is known to be empty, else noted;
 * the call ends with the row of the last miss that one look into the database can answer. */
static void access_table(struct access *access, struct misses *misses)
{
    const struct entry_table *table = &access->table->table;
    struct entry *candidates[2][GROUP_KEYS];
    group_prefetch(access, 0);
    if (access->count > GROUP_KEYS)
        group_prefetch(access, GROUP_KEYS);
    group_match(access, 0, candidates[0]);
    for (uint32_t at = 0; at < access->count; at += GROUP_KEYS) {
        const uint32_t turn = at / GROUP_KEYS % 2;
        if (access->count - at > 2 * GROUP_KEYS)
            group_prefetch(access, at + 2 * GROUP_KEYS);
        if (access->count - at > GROUP_KEYS)
            group_match(access, at + GROUP_KEYS, candidates[1 - turn]);
        for (uint32_t i = at; i < group_end(access, at); i++) {
            const struct entry_key key = access_key(access, i);
            struct entry *entry = confirm(table, &key, candidates[turn][i - at]);
            if (__builtin_expect(entry != NULL, 1))
                give(access, i, entry);
            else if (!access->table->has_stored ||
                     (access->table->drop_count > 0 && state_key_is_dropped(access->table, &key)))
                give_absent(access, i, &key);
            else if (note_miss(misses, i))
                access->count = i + 1;
        }
    }
}

static enum status load_found(void *context, size_t index, const char *value, size_t size,
                              struct error *err)
{
    struct misses *misses = context;
    struct state_table *table = misses->access->table;
    const struct entry_key key = access_key(misses->access, misses->rows[index]);
    if (entry_table_find(&table->table, &key) != NULL)
        return STATUS_OK; /* the key comes twice in the batch */
    return state_entry_load(table, &key, value, size, NULL, err);
}

/* A key to look up, with its first bytes as numbers, so that few comparisons touch the rest. */
struct miss_key {
    uint64_t prefix[2];
    size_t offset;
    uint32_t size;
    uint32_t row;
};

static uint64_t prefix_at(const char *bytes, size_t size, size_t at)
{
    uint64_t prefix = 0;
    if (at < size)
        memcpy(&prefix, bytes + at, size - at < sizeof(prefix) ? size - at : sizeof(prefix));
    return __builtin_bswap64(prefix);
}

static int compare_miss_keys(const void *left, const void *right, void *context)
{
    const struct miss_key *a = left;
    const struct miss_key *b = right;
    for (int i = 0; i < 2; i++) {
        if (a->prefix[i] != b->prefix[i])
            return a->prefix[i] < b->prefix[i] ? -1 : 1;
    }
    const char *bytes = context;
    const uint32_t size = a->size < b->size ? a->size : b->size;
    const int order = memcmp(bytes + a->offset, bytes + b->offset, size);
    if (order != 0)
        return order;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row; /* a key's first row is the fresh one */
}

/* Looks the misses up and sorts their rows in the order of storage: neighbours share files, and
 * their index and filter blocks. */
static enum status fetch(struct misses *misses, struct error *err)
{
    const struct access *access = misses->access;
    struct state_table *table = access->table;
    struct text SCOPED_TEXT_BUFFER bytes;
    text_init(&bytes, SIZE_MAX / 4);
    struct miss_key items[MISS_COUNT_MAX];
    for (uint32_t i = 0; i < misses->count; i++) {
        const uint32_t row = misses->rows[i];
        const struct entry_key key = access_key(access, row);
        const size_t offset = bytes.size;
        state_storage_key(table, &key, access->keys->hashes[access->first + row], &bytes);
        const size_t size = bytes.size - offset;
        items[i] = (struct miss_key){.prefix = {prefix_at(bytes.bytes + offset, size, 0),
                                                prefix_at(bytes.bytes + offset, size, 8)},
                                     .offset = offset,
                                     .size = (uint32_t)size,
                                     .row = row};
    }
    qsort_r(items, misses->count, sizeof(*items), compare_miss_keys, bytes.bytes);
    size_t sizes[MISS_COUNT_MAX];
    const char *keys[MISS_COUNT_MAX];
    for (uint32_t i = 0; i < misses->count; i++) {
        misses->rows[i] = items[i].row;
        keys[i] = bytes.bytes + items[i].offset;
        sizes[i] = items[i].size;
    }
    return state_database_get(table->backend->database, table->column, misses->count, keys, sizes,
                              load_found, misses, err);
}

/* Answers the misses: one look into the database for all of them. */
static enum status access_misses(struct misses *misses, struct error *err)
{
    struct access *access = misses->access;
    if (misses->count == 0)
        return STATUS_OK;
    TRY(fetch(misses, err));
    for (uint32_t i = 0; i < misses->count; i++) {
        const struct entry_key key = access_key(access, misses->rows[i]);
        struct entry *entry = entry_table_find(&access->table->table, &key);
        if (entry != NULL) {
            give(access, misses->rows[i], entry);
            note_arrival(access->table, entry);
        } else
            give_absent(access, misses->rows[i], &key);
    }
    return STATUS_OK;
}

/* The slots of the call before are given up. */
static void next_round(struct state_table *table)
{
    table->round = table->round == ROUND_MAX ? 2 : (uint8_t)(table->round + 2);
}

/* What one call adds and keeps in place is bounded by a share of the cache. */
static uint32_t row_limit(const struct state_table *table)
{
    const uint64_t rows = table->backend->config.cache_bytes / 16 / (table->table.key_offset + 16);
    if (rows > BATCH_ROWS_MAX)
        return BATCH_ROWS_MAX;
    return rows < ROW_LIMIT_MIN ? ROW_LIMIT_MIN : (uint32_t)rows;
}

static enum step access_rows(struct access *access, uint32_t *ret_count, struct error *err)
{
    struct state_table *table = access->table;
    struct state_backend *backend = table->backend;
    DCHECK(access->first < access->keys->count);
    state_scan_end(table);
    next_round(table);
    const enum step room = state_backend_make_room(backend, err);
    if (room != STEP_DONE)
        return room;
    access->count = access->keys->count - access->first;
    if (table->codec.has_ttl)
        access->wall_ms = clock_wall_ms(backend->config.clock);
    if (access->count > row_limit(table))
        access->count = row_limit(table);
    struct misses misses;
    misses.access = access;
    misses.count = 0;
    access_table(access, &misses);
    backend->cache_hits += access->count - misses.count;
    backend->cache_misses += misses.count;
    if (access_misses(&misses, err) != STATUS_OK)
        return STEP_FAILED;
    *ret_count = access->count;
    return STEP_DONE;
}

static enum step table_update(struct state *state, const struct key_batch *keys,
                              const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                              void **ret_slots, uint8_t *ret_fresh, struct error *err)
{
    struct access access = {.table = table_of(state),
                            .keys = keys,
                            .subkeys = subkeys,
                            .first = first,
                            .slots = ret_slots,
                            .fresh = ret_fresh};
    return access_rows(&access, ret_count, err);
}

static enum step table_read(struct state *state, const struct key_batch *keys,
                            const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                            void **ret_slots, struct error *err)
{
    struct access access = {.table = table_of(state),
                            .keys = keys,
                            .subkeys = subkeys,
                            .first = first,
                            .slots = ret_slots};
    return access_rows(&access, ret_count, err);
}

static enum step table_remove(struct state *state, const struct key_batch *keys,
                              const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                              struct error *err)
{
    struct state_table *table = table_of(state);
    state_scan_end(table);
    next_round(table);
    const enum step room = state_backend_make_room(table->backend, err);
    if (room != STEP_DONE)
        return room;
    const struct access access = {.table = table, .keys = keys, .subkeys = subkeys, .first = first};
    uint32_t count = keys->count - first;
    if (count > BATCH_ROWS_MAX)
        count = BATCH_ROWS_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct entry_key key = access_key(&access, i);
        struct entry *entry = entry_table_find(&table->table, &key);
        if (entry == NULL && table->has_stored) {
            /* Not in the cache: a tombstone needs no look into the database. */
            entry = state_entry_add(table, &key);
            entry->flags |= ENTRY_STORED;
        }
        if (entry != NULL && (entry->flags & ENTRY_DELETED) == 0)
            state_entry_remove(table, entry);
    }
    *ret_count = count;
    return STEP_DONE;
}

static void table_set_bytes(struct state *state, void *slot, uint32_t field, const void *bytes,
                            uint32_t size)
{
    struct state_table *table = table_of(state);
    DCHECK(slot_entry(&table->table, slot)->stamp == table->backend->epoch);
    state_slot_set_bytes(slot_field(&table->codec.layout, slot, field), bytes, size,
                         &table->backend->arena);
}

static uint64_t table_entry_count(const struct state *state)
{
    return ((const struct state_table *)state)->table.entry_count;
}

const struct state_ops state_table_ops = {
    .update = table_update,
    .read = table_read,
    .remove = table_remove,
    .set_bytes = table_set_bytes,
    .scan_start = state_table_scan_start,
    .scan_key = state_table_scan_key,
    .scan_next = state_table_scan_next,
    .entry_count = table_entry_count,
    .scan_range = state_table_scan_range,
    .remove_range = state_table_remove_range,
    .find_subkey = state_table_find_subkey,
};
