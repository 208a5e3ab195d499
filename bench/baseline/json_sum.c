/*
 * The plain program that the keyed sum is measured against: reads the rows of generate_json, sums
 * "cents" per "key". The parser knows the layout's fields in their order, but reads every byte of
 * every field and checks it. Arguments: files. Prints rows, keys and the sum of all sums.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES (256 * 1024)
#define KEY_MAX     32

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

struct row {
    int64_t numbers[3]; /* id, cents, at */
    const char *strings[4];
    uint32_t sizes[4]; /* key, city, status, note */
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

static void add(struct table *table, const char *key, uint32_t size, int64_t value)
{
    uint32_t hash = 2166136261U;
    for (uint32_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)key[i]) * 16777619U;
    uint32_t at = hash & (table->capacity - 1);
    for (; table->entries[at].size != 0; at = (at + 1) & (table->capacity - 1)) {
        struct entry *entry = &table->entries[at];
        if (entry->hash == hash && entry->size == size && memcmp(entry->key, key, size) == 0) {
            entry->sum += value;
            return;
        }
    }
    struct entry *entry = &table->entries[at];
    entry->size = size;
    entry->hash = hash;
    entry->sum = value;
    memcpy(entry->key, key, size);
    if (++table->used * 2 > table->capacity)
        grow(table);
}

static bool take(const char **at, const char *end, const char *text)
{
    const size_t size = strlen(text);
    if ((size_t)(end - *at) < size || memcmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

static bool take_number(const char **at, const char *end, int64_t *ret_value)
{
    int64_t value = 0;
    const char *first = *at;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        value = value * 10 + (**at - '0');
    *ret_value = value;
    return *at > first && *at - first <= 18;
}

static bool take_string(const char **at, const char *end, const char **ret_text, uint32_t *ret_size)
{
    if (!take(at, end, "\""))
        return false;
    *ret_text = *at;
    while (*at < end && **at != '"' && **at != '\\')
        (*at)++;
    *ret_size = (uint32_t)(*at - *ret_text);
    return take(at, end, "\"");
}

static bool parse_row(const char *at, const char *end, struct row *row)
{
    return take(&at, end, "{\"id\":") && take_number(&at, end, &row->numbers[0]) &&
           take(&at, end, ",\"key\":") && take_string(&at, end, &row->strings[0], &row->sizes[0]) &&
           take(&at, end, ",\"cents\":") && take_number(&at, end, &row->numbers[1]) &&
           take(&at, end, ",\"at\":") && take_number(&at, end, &row->numbers[2]) &&
           take(&at, end, ",\"city\":") &&
           take_string(&at, end, &row->strings[1], &row->sizes[1]) &&
           take(&at, end, ",\"status\":") &&
           take_string(&at, end, &row->strings[2], &row->sizes[2]) &&
           take(&at, end, ",\"note\":") &&
           take_string(&at, end, &row->strings[3], &row->sizes[3]) && take(&at, end, "}") &&
           at == end && row->sizes[0] > 0 && row->sizes[0] <= KEY_MAX;
}

static uint64_t sum_file(struct table *table, const char *path)
{
    static char block[2 * BLOCK_BYTES];
    const int fd = open(path, O_RDONLY);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    uint64_t rows = 0;
    size_t kept = 0;
    for (ssize_t count; (count = read(fd, block + kept, BLOCK_BYTES)) > 0;) {
        const char *at = block;
        const char *end = block + kept + count;
        for (const char *line; (line = memchr(at, '\n', (size_t)(end - at))) != NULL;
             at = line + 1) {
            struct row row;
            if (!parse_row(at, line, &row)) {
                fprintf(stderr, "%s: row %" PRIu64 " has another layout\n", path, rows);
                exit(1);
            }
            add(table, row.strings[0], row.sizes[0], row.numbers[1]);
            rows++;
        }
        kept = (size_t)(end - at);
        if (kept > BLOCK_BYTES) {
            fprintf(stderr, "%s: a row is too long\n", path);
            exit(1);
        }
        memmove(block, at, kept);
    }
    (void)close(fd);
    return rows;
}

int main(int count, char **arguments)
{
    struct table table = {0};
    grow(&table);
    uint64_t rows = 0;
    for (int i = 1; i < count; i++)
        rows += sum_file(&table, arguments[i]);
    int64_t sum = 0;
    for (uint32_t i = 0; i < table.capacity; i++)
        sum += table.entries[i].sum;
    printf("%" PRIu64 " rows, %" PRIu32 " keys, sum %" PRId64 "\n", rows, table.used, sum);
    return 0;
}
