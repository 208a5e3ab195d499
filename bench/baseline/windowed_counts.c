/*
 * The plain program that windowed counts are measured against: reads the rows of generate_json, and
 * keeps count and sum of "cents" per "key" and tumbling window of event time. Event time runs
 * SPREAD times slower than "at", rows may be late by DELAY_MS. A window leaves as text, as soon as
 * no row of it can come. Arguments: window in milliseconds, spread, files. Prints rows, results and
 * their bytes.
 */
#include "bench/baseline/json_rows.h"

#define DELAY_MS   1000
#define OPEN_MAX   16
#define TIME_FIRST INT64_C(1700000000000)

struct entry {
    uint32_t size; /* 0: free */
    uint32_t hash;
    int64_t count;
    int64_t sum;
    char key[KEY_MAX];
};

struct window {
    int64_t end;
    struct entry *entries; /* NULL: not open */
    uint32_t capacity;     /* a power of two */
    uint32_t used;
};

struct windows {
    int64_t size_ms;
    int64_t spread;
    int64_t latest_ms;
    struct window open[OPEN_MAX];
    uint64_t results;
    uint64_t result_bytes;
    uint64_t late;
};

static struct entry *make_entries(uint32_t capacity)
{
    struct entry *entries = calloc(capacity, sizeof(*entries));
    if (entries == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return entries;
}

static void grow(struct window *window)
{
    const struct window old = *window;
    window->capacity = old.capacity * 2;
    window->entries = make_entries(window->capacity);
    for (uint32_t i = 0; i < old.capacity; i++) {
        if (old.entries[i].size == 0)
            continue;
        uint32_t at = old.entries[i].hash & (window->capacity - 1);
        while (window->entries[at].size != 0)
            at = (at + 1) & (window->capacity - 1);
        window->entries[at] = old.entries[i];
    }
    free(old.entries);
}

static void leave(struct windows *windows, struct window *window)
{
    char text[200];
    for (uint32_t i = 0; i < window->capacity; i++) {
        const struct entry *entry = &window->entries[i];
        if (entry->size == 0)
            continue;
        const int size =
            snprintf(text, sizeof(text), "%.*s,%" PRId64 ",%" PRId64 ",%" PRId64 "\n",
                     (int)entry->size, entry->key, window->end, entry->count, entry->sum);
        windows->result_bytes += (uint64_t)size;
        windows->results++;
    }
    free(window->entries);
    *window = (struct window){0};
}

static void pass_time(struct windows *windows, int64_t watermark_ms)
{
    for (int i = 0; i < OPEN_MAX; i++) {
        if (windows->open[i].entries != NULL && windows->open[i].end - 1 <= watermark_ms)
            leave(windows, &windows->open[i]);
    }
}

static struct window *find_window(struct windows *windows, int64_t end)
{
    struct window *found = NULL;
    for (int i = 0; i < OPEN_MAX; i++) {
        if (windows->open[i].entries == NULL)
            found = &windows->open[i];
        else if (windows->open[i].end == end)
            return &windows->open[i];
    }
    if (found == NULL) {
        fputs("too many open windows\n", stderr);
        exit(1);
    }
    *found = (struct window){.end = end, .entries = make_entries(1024), .capacity = 1024};
    return found;
}

static void add(void *context, const struct row *row)
{
    struct windows *windows = context;
    const int64_t time = TIME_FIRST + (row->numbers[2] - TIME_FIRST) / windows->spread;
    const int64_t end = time - time % windows->size_ms + windows->size_ms;
    if (end - 1 <= windows->latest_ms - DELAY_MS - 1) {
        windows->late++;
        return;
    }
    struct window *window = find_window(windows, end);
    const char *key = row->strings[0];
    const uint32_t size = row->sizes[0];
    const uint32_t hash = hash_of(key, size);
    uint32_t at = hash & (window->capacity - 1);
    while (window->entries[at].size != 0 &&
           !(window->entries[at].hash == hash && window->entries[at].size == size &&
             memcmp(window->entries[at].key, key, size) == 0))
        at = (at + 1) & (window->capacity - 1);
    struct entry *entry = &window->entries[at];
    const int is_new = entry->size == 0;
    if (is_new) {
        entry->size = size;
        entry->hash = hash;
        memcpy(entry->key, key, size);
    }
    entry->count++;
    entry->sum += row->numbers[1];
    if (is_new && ++window->used * 2 > window->capacity)
        grow(window);
    if (time > windows->latest_ms) {
        windows->latest_ms = time;
        pass_time(windows, time - DELAY_MS - 1);
    }
}

int main(int count, char **arguments)
{
    struct windows windows = {.latest_ms = INT64_MIN / 2};
    uint64_t rows = 0;
    windows.size_ms = count > 2 ? strtoll(arguments[1], NULL, 10) : 0;
    windows.spread = count > 2 ? strtoll(arguments[2], NULL, 10) : 0;
    if (windows.size_ms <= 0 || windows.spread <= 0) {
        fputs("usage: windowed_counts WINDOW_MS SPREAD FILE...\n", stderr);
        return 2;
    }
    for (int i = 3; i < count; i++)
        rows += read_rows(arguments[i], &windows, add);
    pass_time(&windows, INT64_MAX);
    printf("%" PRIu64 " rows, %" PRIu64 " results of %" PRIu64 " bytes, %" PRIu64 " late\n", rows,
           windows.results, windows.result_bytes, windows.late);
    return 0;
}
