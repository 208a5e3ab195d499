/* Sorting entries by storage key: see key_run.h. */
#include "taskmanager/state/key_run.h"

#include "common/base/allocate.h"

#define GROUP_PREFIX_SIZE 2

void key_run_init(struct key_run *run)
{
    *run = (struct key_run){0};
    text_init(&run->keys, SIZE_MAX / 4);
}

void key_run_done(struct key_run *run)
{
    text_done(&run->keys);
    free(run->items);
    *run = (struct key_run){0};
}

static uint64_t prefix_of(const char *key, size_t size)
{
    uint64_t prefix = 0;
    if (size >= GROUP_PREFIX_SIZE + sizeof(prefix)) {
        memcpy(&prefix, key + GROUP_PREFIX_SIZE, sizeof(prefix));
    } else if (size > GROUP_PREFIX_SIZE) {
        memcpy(&prefix, key + GROUP_PREFIX_SIZE, size - GROUP_PREFIX_SIZE);
    }
    return __builtin_bswap64(prefix);
}

static int compare_items(const void *left, const void *right, void *context)
{
    const struct key_run_item *a = left;
    const struct key_run_item *b = right;
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    const char *keys = context;
    const uint32_t size = a->size < b->size ? a->size : b->size;
    const int order = memcmp(keys + a->offset, keys + b->offset, size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

void key_run_load(struct key_run *run, const struct state_table *table,
                  struct entry *const *entries, size_t count)
{
    text_clear(&run->keys);
    run->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + 8 < count)
            __builtin_prefetch(entries[i + 8]);
        struct key_run_item *item = &array_push(run->items, run->count, run->capacity);
        item->offset = run->keys.size;
        item->entry = entries[i];
        state_storage_key_of(table, entries[i], &run->keys);
        item->size = (uint32_t)(run->keys.size - item->offset);
        item->prefix = prefix_of(run->keys.bytes + item->offset, item->size);
    }
    if (count > 1)
        qsort_r(run->items, run->count, sizeof(*run->items), compare_items, run->keys.bytes);
}

void key_run_sort_by_group(const struct state_table *table, struct entry **entries, size_t *count)
{
    const uint32_t group_count = table->backend->config.max_parallelism;
    SCOPED(free) void *starts_memory = allocate_array(group_count + 1, sizeof(size_t));
    SCOPED(free) void *copy_memory_of = allocate_array(*count + 1, sizeof(struct entry *));
    SCOPED(free) void *groups_memory = allocate_array(*count + 1, sizeof(uint16_t));
    size_t *starts = starts_memory;
    struct entry **copy = copy_memory_of;
    uint16_t *groups = groups_memory;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (i + 16 < *count && entries[i + 16] != NULL)
            __builtin_prefetch(entries[i + 16]);
        if (entries[i] == NULL)
            continue;
        groups[kept] = (uint16_t)state_key_group(table, entries[i]);
        starts[groups[kept] + 1]++;
        copy[kept++] = entries[i];
    }
    for (uint32_t g = 0; g < group_count; g++)
        starts[g + 1] += starts[g];
    for (size_t i = 0; i < kept; i++)
        entries[starts[groups[i]]++] = copy[i];
    *count = kept;
}

size_t key_run_group_size(const struct state_table *table, struct entry *const *entries,
                          size_t count)
{
    const uint32_t group = state_key_group(table, entries[0]);
    size_t size = 1;
    while (size < count && state_key_group(table, entries[size]) == group)
        size++;
    return size;
}
