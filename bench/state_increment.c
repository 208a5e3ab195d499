/*
 * What checkpoints upload of much state that changes in one range of keys, through the state
 * backend alone.
 *
 *     state_increment DIRECTORY KEYS VALUE_BYTES CHECKPOINTS
 *
 * Fills the keys, then changes the first hundredth of them before each checkpoint. Prints one line
 * of JSON: size of the state, and the percentages uploaded (all of them, and the largest).
 */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/schema.h"
#include "taskmanager/state/backend.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH            256
#define VALUE_BYTES_MAX  65536
#define FILL_CHECKPOINTS 10
#define SETTLING         3

struct run {
    struct state_backend *backend;
    struct state *state;
    struct random random;
    size_t value_bytes;
    char value[VALUE_BYTES_MAX];
    uint64_t newest; /* completed checkpoint */
    uint64_t state_bytes;
};

static void must(enum status status, const struct error *err)
{
    if (status == STATUS_OK)
        return;
    (void)fprintf(stderr, "state_increment: %s\n", err->message);
    exit(1);
}

static void open_run(struct run *run, const char *directory, struct file_store *store)
{
    struct error err;
    const struct state_backend_config config = {
        .kind = STATE_BACKEND_ROCKSDB,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {1},
        .cache_bytes = (uint64_t)64 << 20,
        .queue_bytes = (uint64_t)32 << 20,
        .clock = clock_system(),
        .store = store,
    };
    must(state_backend_create(&config, &run->backend, &err), &err);
    struct keyed_state *keyed;
    must(state_backend_operator(run->backend, "last", &keyed, &err), &err);
    const struct schema_column column = {.name = "payload", .type = type_of_kind(TYPE_BYTES)};
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct type key = {.kind = TYPE_BIGINT};
    const struct state_descriptor descriptor = {
        .name = "last", .kind = STATE_VALUE, .key_types = &key, .key_count = 1, .value = schema};
    must(keyed->ops->register_state(keyed, &descriptor, &run->state, &err), &err);
}

static void write_keys(struct run *run, uint64_t first_key, uint64_t count)
{
    struct error err;
    int64_t values[BATCH + 2];
    const char *bytes[BATCH];
    uint32_t sizes[BATCH];
    uint64_t hashes[BATCH];
    void *slots[BATCH];
    uint8_t fresh[BATCH];
    for (uint64_t done = 0; done < count;) {
        uint32_t rows = 0;
        for (; rows < BATCH && done < count; rows++, done++) {
            values[rows] = (int64_t)(first_key + done);
            bytes[rows] = (const char *)&values[rows];
            sizes[rows] = sizeof(int64_t);
            hashes[rows] = key_hash(bytes[rows], sizeof(int64_t));
        }
        const struct key_batch keys = {
            .count = rows, .bytes = bytes, .sizes = sizes, .hashes = hashes};
        for (uint32_t first = 0, given = 0; first < rows; first += given, given = 0) {
            switch (state_update(run->state, &keys, NULL, first, &given, slots, fresh, &err)) {
            case STEP_DONE:
                for (uint32_t i = 0; i < given; i++) {
                    for (size_t at = 0; at + 8 <= run->value_bytes; at += 8) {
                        const uint64_t noise = random_next(&run->random);
                        memcpy(run->value + at, &noise, sizeof(noise));
                    }
                    state_set_bytes(run->state, slots[i], 0, run->value,
                                    (uint32_t)run->value_bytes);
                }
                break;
            case STEP_AGAIN:
            case STEP_WAIT:
                (void)usleep(500);
                break;
            case STEP_FAILED:
                must(err.code, &err);
            }
        }
    }
}

/* Percentage of the state that the checkpoint uploaded. */
static double checkpoint(struct run *run)
{
    struct error err;
    const struct checkpoint_id id = {run->newest + 1};
    must(state_backend_begin_snapshot(run->backend, id, (struct checkpoint_id){run->newest}, &err),
         &err);
    struct state_snapshot snapshot;
    while (!state_backend_poll_snapshot(run->backend, &snapshot))
        (void)usleep(1000);
    must(snapshot.status, &snapshot.err);
    state_backend_checkpoint_completed(run->backend, id);
    run->newest = id.value;
    run->state_bytes = snapshot.handle.byte_count;
    struct task_state handle = {.keyed = snapshot.handle};
    task_state_done(&handle);
    return (double)snapshot.uploaded_bytes / (double)run->state_bytes * 100;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 5) {
        (void)fprintf(stderr, "usage: state_increment DIRECTORY KEYS VALUE_BYTES CHECKPOINTS\n");
        return 2;
    }
    const uint64_t keys = strtoull(arguments[2], NULL, 10);
    const int count = atoi(arguments[4]);
    struct run *run = allocate(sizeof(*run));
    run->value_bytes = strtoull(arguments[3], NULL, 10);
    random_init(&run->random, 7);
    if (run->value_bytes > VALUE_BYTES_MAX || count < 1)
        return 2;
    SCOPED_TEXT char *directory = format_text("%s/state", arguments[1]);
    SCOPED_TEXT char *storage = format_text("%s/storage", arguments[1]);
    struct error err;
    struct file_store *store;
    must(file_store_local_create(storage, &store, &err), &err);
    open_run(run, directory, store);
    for (uint64_t i = 0; i < FILL_CHECKPOINTS; i++) {
        write_keys(run, keys / FILL_CHECKPOINTS * i, keys / FILL_CHECKPOINTS);
        (void)checkpoint(run);
    }
    for (int i = 0; i < SETTLING; i++)
        (void)checkpoint(run);
    double largest = 0;
    printf("{\"uploaded\": [");
    for (int i = 0; i < count; i++) {
        write_keys(run, 0, keys / 100);
        const double percent = checkpoint(run);
        largest = percent > largest ? percent : largest;
        printf("%s%.1f", i > 0 ? ", " : "", percent);
        (void)fflush(stdout);
    }
    printf("], \"largest\": %.1f, \"state-mib\": %.0f}\n", largest,
           (double)run->state_bytes / (1 << 20));
    state_backend_destroy(run->backend);
    store->ops->destroy(store);
    free(run);
    return 0;
}
