/* Rates of counters between two looks: see rate.h. */
#include "jobmanager/rest/rate.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <pthread.h>

struct rate_entry {
    struct job_id job;
    uint32_t counter;
    uint64_t value;
    int64_t look_ms;
    int64_t rate;
};

struct rate_table {
    pthread_mutex_t lock;
    struct rate_entry *entries;
    size_t count;
    size_t capacity;
};

struct rate_table *rate_table_create(void)
{
    struct rate_table *table = allocate(sizeof(*table));
    CHECK(pthread_mutex_init(&table->lock, NULL) == 0);
    return table;
}

void rate_table_destroy(struct rate_table *table)
{
    if (table == NULL)
        return;
    (void)pthread_mutex_destroy(&table->lock);
    free(table->entries);
    free(table);
}

static void forget_old(struct rate_table *table, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (now_ms - table->entries[i].look_ms < RATE_KEEP_MS)
            table->entries[kept++] = table->entries[i];
    }
    table->count = kept;
}

static struct rate_entry *find_entry(struct rate_table *table, struct job_id job, uint32_t counter)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].counter == counter &&
            id128_equals(table->entries[i].job.value, job.value))
            return &table->entries[i];
    }
    return NULL;
}

int64_t rate_per_second(struct rate_table *table, struct job_id job, uint32_t counter,
                        uint64_t value, int64_t now_ms)
{
    int64_t rate = 0;
    (void)pthread_mutex_lock(&table->lock);
    struct rate_entry *entry = find_entry(table, job, counter);
    if (entry == NULL) {
        forget_old(table, now_ms);
        if (table->count < RATE_ENTRIES_MAX)
            array_push(table->entries, table->count, table->capacity) = (struct rate_entry){
                .job = job, .counter = counter, .value = value, .look_ms = now_ms};
    } else if (value < entry->value) {
        /* The attempt was restarted: its counters began anew. */
        entry->value = value;
        entry->look_ms = now_ms;
        entry->rate = 0;
    } else {
        const int64_t passed_ms = now_ms - entry->look_ms;
        if (passed_ms >= RATE_MIN_MS) {
            entry->rate = (int64_t)(value - entry->value) * 1000 / passed_ms;
            entry->value = value;
            entry->look_ms = now_ms;
        }
        rate = entry->rate;
    }
    (void)pthread_mutex_unlock(&table->lock);
    return rate;
}
