/*
 * The plain program that the keyed sum is measured against: reads the rows of generate_json, sums
 * "cents" per "key". Arguments: files. Prints rows, keys and the sum of all sums.
 */
#include "bench/baseline/json_rows.h"

struct entry {
    uint32_t size; /* 0: free */
    uint32_t hash;
    int64_t sum;
    char key[KEY_MAX];
};

struct table {
    struct entry *entries;
    uint32_t capacity; /* a power of two */
    uint32_t used;
};

static void grow(struct table *table)
{
    const struct table old = *table;
    table->capacity = old.capacity == 0 ? 1024 : old.capacity * 2;
    table->entries = calloc(table->capacity, sizeof(struct entry));
    if (table->entries == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].size == 0)
            continue;
        uint32_t at = old.entries[i].hash & (table->capacity - 1);
        while (table->entries[at].size != 0)
            at = (at + 1) & (table->capacity - 1);
        table->entries[at] = old.entries[i];
    }
    free(old.entries);
}

static void add(void *context, const struct row *row)
{
    struct table *table = context;
    const char *key = row->strings[0];
    const uint32_t size = row->sizes[0];
    const uint32_t hash = hash_of(key, size);
    uint32_t at = hash & (table->capacity - 1);
    for (; table->entries[at].size != 0; at = (at + 1) & (table->capacity - 1)) {
        struct entry *entry = &table->entries[at];
        if (entry->hash == hash && entry->size == size && memcmp(entry->key, key, size) == 0) {
            entry->sum += row->numbers[1];
            return;
        }
    }
    struct entry *entry = &table->entries[at];
    entry->size = size;
    entry->hash = hash;
    entry->sum = row->numbers[1];
    memcpy(entry->key, key, size);
    if (++table->used * 2 > table->capacity)
        grow(table);
}

int main(int count, char **arguments)
{
    struct table table = {0};
    grow(&table);
    uint64_t rows = 0;
    for (int i = 1; i < count; i++)
        rows += read_rows(arguments[i], &table, add);
    int64_t sum = 0;
    for (uint32_t i = 0; i < table.capacity; i++)
        sum += table.entries[i].sum;
    printf("%" PRIu64 " rows, %" PRIu32 " keys, sum %" PRId64 "\n", rows, table.used, sum);
    return 0;
}
