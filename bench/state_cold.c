/*
 * Keyed state beyond its cache without a job around it: the phases of baseline/state_loop.c through
 * the state backend, with the time the worker waited for the write queue.
 *
 *     state_cold DIRECTORY KEYS UNIFORM_UPDATES ZIPF_UPDATES CACHE_BYTES BLOCK_CACHE_BYTES
 *
 * Prints the seconds of each phase as JSON, one line per phase, with hits and misses of the cache
 * and the bytes of the heap.
 */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/schema.h"
#include "taskmanager/memory_budget.h"
#include "taskmanager/state/backend.h"

#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BATCH    4096
#define EXPONENT 1.05

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static uint64_t wakes;

static void on_wake(void *context)
{
    (void)context;
    (void)pthread_mutex_lock(&lock);
    wakes++;
    (void)pthread_cond_signal(&woken);
    (void)pthread_mutex_unlock(&lock);
}

static uint64_t wakes_seen(void)
{
    (void)pthread_mutex_lock(&lock);
    const uint64_t seen = wakes;
    (void)pthread_mutex_unlock(&lock);
    return seen;
}

static void wait_for_wake(uint64_t seen)
{
    (void)pthread_mutex_lock(&lock);
    while (wakes == seen)
        (void)pthread_cond_wait(&woken, &lock);
    (void)pthread_mutex_unlock(&lock);
}

static void must(enum status status, const struct error *err)
{
    if (status == STATUS_OK)
        return;
    (void)fprintf(stderr, "state_cold: %s\n", err->message);
    exit(1);
}

static double wall_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    (void)getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

struct run {
    struct state_backend *backend;
    struct state *state;
    int64_t keys[BATCH + 2];
    const char *bytes[BATCH];
    uint32_t sizes[BATCH];
    uint64_t hashes[BATCH];
    void *slots[BATCH];
    uint8_t fresh[BATCH];
    double waited;
};

static void open_run(struct run *run, const char *directory, uint64_t cache_bytes,
                     struct state_block_cache *block_cache)
{
    struct error err;
    const struct state_backend_config config = {
        .kind = STATE_BACKEND_ROCKSDB,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {1},
        .cache_bytes = cache_bytes,
        .queue_bytes = cache_bytes / 3,
        .block_cache = block_cache,
        .clock = clock_system(),
        .wake = on_wake,
    };
    must(state_backend_create(&config, &run->backend, &err), &err);
    struct keyed_state *keyed;
    must(state_backend_operator(run->backend, "sums", &keyed, &err), &err);
    struct schema_column column = {.name = "sum", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct type key = {.kind = TYPE_BIGINT};
    const struct state_descriptor descriptor = {
        .name = "sums", .kind = STATE_VALUE, .key_types = &key, .key_count = 1, .value = schema};
    must(keyed->ops->register_state(keyed, &descriptor, &run->state, &err), &err);
}

static void update_all(struct run *run, const struct key_batch *keys)
{
    struct error err;
    const uint32_t offset = run->state->layout.offsets[0];
    for (uint32_t first = 0; first < keys->count;) {
        uint32_t count;
        const uint64_t seen = wakes_seen();
        switch (state_update(run->state, keys, NULL, first, &count, run->slots, run->fresh, &err)) {
        case STEP_DONE:
            for (uint32_t i = 0; i < count; i++)
                ++*(int64_t *)(void *)((char *)run->slots[i] + offset);
            first += count;
            break;
        case STEP_AGAIN:
            break;
        case STEP_WAIT: {
            const double start = wall_seconds();
            wait_for_wake(seen);
            run->waited += wall_seconds() - start;
            break;
        }
        case STEP_FAILED:
            must(err.code, &err);
        }
    }
}

enum phase { PHASE_FILL, PHASE_UNIFORM, PHASE_ZIPF };

static uint64_t draw(enum phase phase, uint64_t row, uint64_t keys, struct random *random)
{
    if (phase == PHASE_FILL)
        return row * UINT64_C(2654435761) % keys;
    if (phase == PHASE_UNIFORM)
        return random_below(random, keys);
    const double tail = 1 - pow((double)keys, 1 - EXPONENT);
    const uint64_t rank = (uint64_t)pow(1 - random_unit(random) * tail, 1 / (1 - EXPONENT)) % keys;
    return rank * UINT64_C(2654435761) % keys;
}

static void run_phase(struct run *run, enum phase phase, uint64_t updates, uint64_t keys,
                      struct random *random)
{
    static const char *const names[] = {"fill", "uniform", "zipf"};
    struct state_metrics before;
    state_backend_metrics(run->backend, &before);
    const double wall = wall_seconds();
    const double cpu = cpu_seconds(RUSAGE_SELF);
    const double mine = cpu_seconds(RUSAGE_THREAD);
    run->waited = 0;
    for (uint64_t row = 0; row < updates;) {
        uint32_t count = 0;
        for (; count < BATCH && row < updates; count++, row++) {
            run->keys[count] = (int64_t)draw(phase, row, keys, random);
            run->bytes[count] = (const char *)&run->keys[count];
            run->sizes[count] = sizeof(int64_t);
            run->hashes[count] = key_hash(run->bytes[count], sizeof(int64_t));
        }
        const struct key_batch batch = {
            .count = count, .bytes = run->bytes, .sizes = run->sizes, .hashes = run->hashes};
        update_all(run, &batch);
    }
    struct state_metrics after;
    state_backend_metrics(run->backend, &after);
    const struct mallinfo2 heap = mallinfo2();
    printf("{\"phase\": \"%s\", \"updates\": %llu, \"wall\": %.3f, \"cpu\": %.3f, "
           "\"worker-cpu\": %.3f, \"waited\": %.3f, \"hits\": %llu, \"misses\": %llu, "
           "\"files\": %llu, \"entries\": %llu, \"resident\": %llu, \"allocated\": %zu, "
           "\"heap-free\": %zu}\n",
           names[phase], (unsigned long long)updates, wall_seconds() - wall,
           cpu_seconds(RUSAGE_SELF) - cpu, cpu_seconds(RUSAGE_THREAD) - mine, run->waited,
           (unsigned long long)(after.cache_hits - before.cache_hits),
           (unsigned long long)(after.cache_misses - before.cache_misses),
           (unsigned long long)(after.written_files - before.written_files),
           (unsigned long long)run->state->ops->entry_count(run->state),
           (unsigned long long)memory_resident_bytes(), heap.uordblks + heap.hblkhd, heap.fordblks);
    (void)fflush(stdout);
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 7) {
        (void)fprintf(stderr, "usage: state_cold DIRECTORY KEYS UNIFORM ZIPF CACHE BLOCK_CACHE\n");
        return 2;
    }
    const uint64_t keys = strtoull(arguments[2], NULL, 10);
    struct run *run = allocate(sizeof(*run));
    struct state_block_cache *block_cache =
        state_block_cache_create(strtoull(arguments[6], NULL, 10));
    open_run(run, arguments[1], strtoull(arguments[5], NULL, 10), block_cache);
    struct random random;
    random_init(&random, 7);
    run_phase(run, PHASE_FILL, keys, keys, &random);
    run_phase(run, PHASE_UNIFORM, strtoull(arguments[3], NULL, 10), keys, &random);
    run_phase(run, PHASE_ZIPF, strtoull(arguments[4], NULL, 10), keys, &random);
    state_backend_destroy(run->backend);
    state_block_cache_destroy(block_cache);
    free(run);
    return 0;
}
