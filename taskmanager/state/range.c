/* Ranges of a namespace-first state: scans go from key group to key group, in each from namespace
 * to namespace; scan.c merges what they find in the cache and in the database. */
#include "common/base/allocate.h"
#include "taskmanager/state/key_run.h"

#define REMOVE_MAX      4096 /* entries dropped in one call */
#define FIND_GROUPS_MAX 256  /* key groups looked into in one call */
#define KEY_PADDING     16   /* readable bytes behind a canonical key */

static struct state_table *table_of(struct state *state)
{
    return (struct state_table *)state;
}

/* The smallest bytes that are behind everything that begins with these. No subkey begins with the
 * bytes of another, and none with 0xFF. */
static void to_successor(struct text *bytes)
{
    while (bytes->size > 0 && (uint8_t)bytes->bytes[bytes->size - 1] == 0xFF)
        bytes->size--;
    CHECK(bytes->size > 0);
    bytes->bytes[bytes->size - 1]++;
}

static void init_storage_range(const struct state_table *table, const struct state_range *range,
                               struct state_drop *storage)
{
    const struct state_descriptor *descriptor = &table->descriptor;
    state_drop_init(storage);
    if (range->from != NULL) {
        key_storage_from_canonical(descriptor->subkey_types, descriptor->subkey_count, range->from,
                                   range->from_size, &storage->from);
        if (range->is_after)
            to_successor(&storage->from);
    }
    storage->has_to = range->to != NULL;
    if (storage->has_to)
        key_storage_from_canonical(descriptor->subkey_types, descriptor->subkey_count, range->to,
                                   range->to_size, &storage->to);
}

static enum step check_table(struct state_table *table, struct error *err)
{
    if (atomic_load_explicit(&table->backend->has_failed, memory_order_relaxed))
        return state_backend_failed(table->backend, err);
    if (table->has_namespaces)
        return STEP_DONE;
    (void)error_set(err, STATUS_UNSUPPORTED,
                    "operator %s, state %s: only a namespace-first state with a subkey has ranges",
                    table->owner->uid, table->descriptor.name);
    return STEP_FAILED;
}

/* ---- scan ---- */

static uint32_t group_of_bytes(const char *key, size_t size)
{
    return size < 2 ? 0 : (uint32_t)(uint8_t)key[0] << 8 | (uint8_t)key[1];
}

static void bound_of_group(uint32_t group, const struct text *bytes, struct text *out)
{
    text_clear(out);
    text_append_char(out, (char)(group >> 8));
    text_append_char(out, (char)group);
    if (bytes != NULL)
        text_append_bytes(out, bytes->bytes, bytes->size);
}

/* The iterator only moves forward: where it is there already, nothing lies between. Returns the
 * key group that it has come to, UINT32_MAX at the end. */
static uint32_t seek_group(struct state_scan *scan, uint32_t group)
{
    const char *key;
    const char *value;
    size_t key_size;
    size_t value_size;
    bound_of_group(group, &scan->range.from, &scan->seek);
    bool is_valid = state_iterator_get(scan->iterator, &key, &key_size, &value, &value_size);
    if (!is_valid || state_compare_bytes(key, key_size, scan->seek.bytes, scan->seek.size) < 0) {
        state_iterator_seek(scan->iterator, scan->seek.bytes, scan->seek.size);
        is_valid = state_iterator_get(scan->iterator, &key, &key_size, &value, &value_size);
    }
    return is_valid ? group_of_bytes(key, key_size) : UINT32_MAX;
}

bool state_range_next_group(struct state_table *table)
{
    struct state_scan *scan = &table->scan;
    const struct namespace_index *index = &table->namespaces;
    const struct key_group_range groups = table->backend->config.key_groups;
    const uint32_t next = scan->group < 0 ? groups.first : (uint32_t)scan->group + 1;
    scan->run_at = scan->run->count;
    if (next > groups.last)
        return false;
    uint32_t group = next;
    while (group <= groups.last && !namespace_index_has_group(index, group))
        group++;
    if (scan->iterator != NULL) {
        const uint32_t stored = seek_group(scan, next);
        if (stored < group)
            group = stored;
        if (stored == group && group > next)
            (void)seek_group(scan, group);
    }
    if (group > groups.last)
        return false;
    scan->group = (int32_t)group;
    scan->node = namespace_index_find(index, group, scan->range.from.bytes,
                                      (uint32_t)scan->range.from.size, false);
    if (scan->range.has_to)
        bound_of_group(group, &scan->range.to, &scan->high);
    else
        bound_of_group(group + 1, NULL, &scan->high);
    return true;
}

enum step state_table_scan_range(struct state *state, const struct state_range *range,
                                 struct error *err)
{
    struct state_table *table = table_of(state);
    const enum step step = check_table(table, err);
    if (step != STEP_DONE)
        return step;
    state_scan_begin(table, SCAN_RANGE);
    state_drop_done(&table->scan.range);
    init_storage_range(table, range, &table->scan.range);
    return STEP_DONE;
}

/* ---- removal ---- */

/* False: the budget is used up. */
static bool drop_entries(struct state_table *table, const struct state_drop *range)
{
    const struct namespace_index *index = &table->namespaces;
    const struct key_group_range groups = table->backend->config.key_groups;
    uint32_t budget = REMOVE_MAX;
    for (uint32_t group = groups.first; group <= groups.last; group++) {
        struct namespace_node *node;
        while ((node = namespace_index_find(index, group, range->from.bytes,
                                            (uint32_t)range->from.size, false)) != NULL &&
               state_drop_holds(range, node->bytes, node->size)) {
            /* The node goes with its last entry. */
            for (uint32_t ref = node->first; ref != 0; budget--) {
                if (budget == 0)
                    return false;
                struct entry *entry = arena_cell(index->arena, ref);
                ref = namespace_link_of(index, entry)->next;
                if (ref != 0)
                    __builtin_prefetch(arena_cell(index->arena, ref), 1);
                state_entry_drop(table, entry);
            }
        }
    }
    return true;
}

enum step state_table_remove_range(struct state *state, const struct state_range *range,
                                   struct error *err)
{
    struct state_table *table = table_of(state);
    const enum step step = check_table(table, err);
    if (step != STEP_DONE)
        return step;
    state_scan_end(table);
    struct state_drop storage;
    init_storage_range(table, range, &storage);
    enum step result = STEP_DONE;
    const bool is_empty =
        storage.has_to && state_compare_bytes(storage.from.bytes, storage.from.size,
                                              storage.to.bytes, storage.to.size) >= 0;
    if (!is_empty && !drop_entries(table, &storage))
        result = STEP_AGAIN;
    else if (!is_empty && table->backend->config.kind == STATE_BACKEND_ROCKSDB)
        result = state_drop_add(table, &storage, err);
    state_drop_done(&storage);
    return result;
}

/* ---- enumeration ---- */

static bool is_same(const struct state_drop *a, const struct state_drop *b)
{
    return a->has_to == b->has_to &&
           state_compare_bytes(a->from.bytes, a->from.size, b->from.bytes, b->from.size) == 0 &&
           (!a->has_to ||
            state_compare_bytes(a->to.bytes, a->to.size, b->to.bytes, b->to.size) == 0);
}

static void begin_find(struct state_table *table, const struct state_range *range)
{
    struct state_scan *scan = &table->scan;
    struct state_drop storage;
    init_storage_range(table, range, &storage);
    if (!scan->is_active || !scan->is_find || !is_same(&scan->asked, &storage)) {
        state_scan_begin(table, SCAN_RANGE);
        state_drop_copy(&scan->range, &storage);
        state_drop_copy(&scan->asked, &storage);
        scan->is_find = true;
    }
    state_drop_done(&storage);
}

/* The first entry of a key group: in the groups behind it only smaller namespaces count. */
static void note_found(struct state_table *table, const struct state_entry *entry)
{
    struct state_scan *scan = &table->scan;
    const uint32_t size = entry_byte_size(entry->subkey_size);
    scan->has_found = true;
    scan->found_size = entry->subkey_size;
    text_clear(&scan->found);
    text_append_bytes(&scan->found, entry->subkey, size);
    text_append_bytes(&scan->found, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", KEY_PADDING);
    scan->range.has_to = true;
    text_clear(&scan->range.to);
    key_storage_from_canonical(table->descriptor.subkey_types, table->descriptor.subkey_count,
                               scan->found.bytes, scan->found_size, &scan->range.to);
}

static enum step find_some(struct state_table *table, struct error *err)
{
    for (uint32_t groups = 0; groups < FIND_GROUPS_MAX; groups++) {
        struct state_entry entry;
        uint32_t count = 0;
        bool is_end = false;
        if (state_scan_some(table, &entry, 1, &count, &is_end, err) != STATUS_OK)
            return STEP_FAILED;
        if (count > 0) {
            note_found(table, &entry);
            is_end = !state_range_next_group(table);
        }
        if (is_end)
            return STEP_DONE;
        if (count == 0)
            return STEP_AGAIN;
    }
    return STEP_AGAIN;
}

enum step state_table_find_subkey(struct state *state, const struct state_range *range,
                                  bool *ret_found, const char **ret_subkey, uint32_t *ret_size,
                                  struct error *err)
{
    struct state_table *table = table_of(state);
    enum step step = check_table(table, err);
    if (step != STEP_DONE)
        return step;
    begin_find(table, range);
    step = find_some(table, err);
    if (step != STEP_DONE)
        return step;
    struct state_scan *scan = &table->scan;
    *ret_found = scan->has_found;
    if (scan->has_found) {
        text_clear(&table->scratch);
        text_append_bytes(&table->scratch, scan->found.bytes, scan->found.size);
        *ret_subkey = table->scratch.bytes;
        *ret_size = scan->found_size;
    }
    state_scan_end(table);
    return STEP_DONE;
}
