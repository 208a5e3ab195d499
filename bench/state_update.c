/* How fast keyed state is: updates of resident keys (100,000, Zipf 1.05 and uniform). Run
 * by hand; state_cold has more keys than the cache holds. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/schema.h"
#include "taskmanager/state/backend.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOT_KEYS   100000
#define BATCH      4096
#define HOT_ROUNDS 2000

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

static double seconds(clockid_t which)
{
    struct timespec now;
    (void)clock_gettime(which, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void must(enum status status, const struct error *err)
{
    if (status != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", err->message);
        exit(1);
    }
}

struct run {
    struct state_backend *backend;
    struct state *state;
};

static struct run open_run(enum state_backend_kind kind, const char *directory,
                           struct file_store *store)
{
    struct error err;
    const struct state_backend_config config = {
        .kind = kind,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {1},
        .cache_bytes = (uint64_t)64 << 20,
        .queue_bytes = (uint64_t)32 << 20,
        .clock = clock_system(),
        .store = store,
        .wake = on_wake,
    };
    struct run run;
    must(state_backend_create(&config, &run.backend, &err), &err);
    struct keyed_state *keyed;
    must(state_backend_operator(run.backend, "count", &keyed, &err), &err);
    struct schema_column column = {.name = "count", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct type key = {.kind = TYPE_STRING};
    const struct state_descriptor descriptor = {
        .name = "counts", .kind = STATE_VALUE, .key_types = &key, .key_count = 1, .value = schema};
    must(keyed->ops->register_state(keyed, &descriptor, &run.state, &err), &err);
    return run;
}

static void update_all(const struct run *run, const struct key_batch *keys)
{
    static void *slots[BATCH];
    static uint8_t fresh[BATCH];
    struct error err;
    const uint32_t offset = run->state->layout.offsets[0];
    for (uint32_t first = 0; first < keys->count;) {
        uint32_t count;
        (void)pthread_mutex_lock(&lock);
        const uint64_t seen = wakes;
        (void)pthread_mutex_unlock(&lock);
        switch (state_update(run->state, keys, NULL, first, &count, slots, fresh, &err)) {
        case STEP_DONE:
            for (uint32_t i = 0; i < count; i++)
                ++*(int64_t *)(void *)((char *)slots[i] + offset);
            first += count;
            break;
        case STEP_AGAIN:
            break;
        case STEP_WAIT:
            (void)pthread_mutex_lock(&lock);
            while (wakes == seen)
                (void)pthread_cond_wait(&woken, &lock);
            (void)pthread_mutex_unlock(&lock);
            break;
        case STEP_FAILED:
            must(STATUS_IO, &err);
        }
    }
}

struct words {
    char (*text)[32];
    const char *bytes[BATCH];
    uint32_t sizes[BATCH];
    uint64_t hashes[BATCH];
};

static void hot(const struct run *run, bool is_zipf, const char *name)
{
    struct words *words = allocate(sizeof(*words));
    words->text = allocate_array(HOT_KEYS + 1, 32);
    double *cumulative = allocate_array(HOT_KEYS, sizeof(double));
    double sum = 0;
    for (int i = 0; i < HOT_KEYS; i++) {
        (void)snprintf(words->text[i], 32, "w%x", (unsigned)i * 2654435761U);
        sum += is_zipf ? pow(i + 1, -1.05) : 1;
        cumulative[i] = sum;
    }
    struct random random;
    random_init(&random, 7);
    enum { BATCHES = 64 };
    uint32_t *rows = allocate_array((size_t)BATCHES * BATCH, sizeof(uint32_t));
    for (int i = 0; i < BATCHES * BATCH; i++) {
        const double at = random_unit(&random) * sum;
        int low = 0;
        int high = HOT_KEYS - 1;
        while (low < high) {
            const int middle = (low + high) / 2;
            if (cumulative[middle] < at)
                low = middle + 1;
            else
                high = middle;
        }
        rows[i] = (uint32_t)low;
    }
    uint64_t *hashes = allocate_array(HOT_KEYS, sizeof(uint64_t));
    for (int i = 0; i < HOT_KEYS; i++)
        hashes[i] = key_hash(words->text[i], (uint32_t)strlen(words->text[i]));
    double spent = 0;
    /* Real batches hold their strings inline, one after another: copied here, not counted. */
    char(*inlined)[32] = allocate_array(BATCH + 1, 32);
    for (int round = 0; round < HOT_ROUNDS; round++) {
        const uint32_t *part = rows + (size_t)(round % BATCHES) * BATCH;
        for (int i = 0; i < BATCH; i++) {
            memcpy(inlined[i], words->text[part[i]], 32);
            words->bytes[i] = inlined[i];
            words->sizes[i] = (uint32_t)strlen(inlined[i]);
            words->hashes[i] = hashes[part[i]];
        }
        const struct key_batch keys = {
            .count = BATCH, .bytes = words->bytes, .sizes = words->sizes, .hashes = words->hashes};
        const double start = seconds(CLOCK_THREAD_CPUTIME_ID);
        update_all(run, &keys);
        if (round >= HOT_ROUNDS / 10)
            spent += seconds(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    (void)printf("%-32s %6.1f ns a key\n", name,
                 spent / (HOT_ROUNDS - HOT_ROUNDS / 10) / BATCH * 1e9);
    free(inlined);
    free(hashes);
    free(rows);
    free(cumulative);
    free(words->text);
    free(words);
}

int main(void)
{
    char root[] = "/tmp/state-bench-XXXXXX";
    if (mkdtemp(root) == NULL)
        return 1;
    SCOPED_TEXT char *directory = format_text("%s/state", root);
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    struct error err;
    struct file_store *store;
    must(file_store_local_create(storage, &store, &err), &err);
    struct run run = open_run(STATE_BACKEND_MEMORY, directory, store);
    hot(&run, true, "hot, memory, Zipf 1.05");
    hot(&run, false, "hot, memory, uniform");
    state_backend_destroy(run.backend);
    run = open_run(STATE_BACKEND_ROCKSDB, directory, store);
    hot(&run, true, "hot, rocksdb, Zipf 1.05");
    must(state_backend_begin_snapshot(run.backend, (struct checkpoint_id){1},
                                      (struct checkpoint_id){0}, &err),
         &err);
    struct state_snapshot snapshot;
    while (!state_backend_poll_snapshot(run.backend, &snapshot))
        (void)usleep(1000);
    must(snapshot.status, &snapshot.err);
    (void)printf("%-32s %6lld us held, %lld ms to durable\n", "snapshot of 100,000 dirty keys",
                 (long long)snapshot.pause_us,
                 (long long)(snapshot.durable_us - snapshot.begun_us) / 1000);
    hot(&run, true, "hot, rocksdb, after a snapshot");
    state_backend_destroy(run.backend);
    store->ops->destroy(store);
    struct file_store *whole;
    must(file_store_local_create("/tmp", &whole, &err), &err);
    must(whole->ops->remove_tree(whole, root + strlen("/tmp/"), &err), &err);
    whole->ops->destroy(whole);
    return 0;
}
