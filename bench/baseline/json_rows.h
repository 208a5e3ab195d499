/*
 * Reading the rows of generate_json, for the plain programs: the parser knows the layout's fields
 * in their order, but reads every byte of every field and checks it.
 */
#ifndef BENCH_BASELINE_JSON_ROWS_H
#define BENCH_BASELINE_JSON_ROWS_H

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

struct row {
    int64_t numbers[3]; /* id, cents, at */
    const char *strings[4];
    uint32_t sizes[4]; /* key, city, status, note */
};

static inline bool take(const char **at, const char *end, const char *text)
{
    const size_t size = strlen(text);
    if ((size_t)(end - *at) < size || memcmp(*at, text, size) != 0)
        return false;
    *at += size;
    return true;
}

static inline bool take_number(const char **at, const char *end, int64_t *ret_value)
{
    int64_t value = 0;
    const char *first = *at;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        value = value * 10 + (**at - '0');
    *ret_value = value;
    return *at > first && *at - first <= 18;
}

static inline bool take_string(const char **at, const char *end, const char **ret_text,
                               uint32_t *ret_size)
{
    if (!take(at, end, "\""))
        return false;
    *ret_text = *at;
    while (*at < end && **at != '"' && **at != '\\')
        (*at)++;
    *ret_size = (uint32_t)(*at - *ret_text);
    return take(at, end, "\"");
}

static inline bool parse_row(const char *at, const char *end, struct row *row)
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

/* Calls add for every row; a row of another layout ends the program. Returns how many there were.
 */
static inline uint64_t read_rows(const char *path, void *context,
                                 void (*add)(void *context, const struct row *row))
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
            add(context, &row);
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

static inline uint32_t hash_of(const char *key, uint32_t size)
{
    uint32_t hash = 2166136261U;
    for (uint32_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)key[i]) * 16777619U;
    return hash;
}

#endif
