/* taskmanager/state: both backends against a simple model, with random batches, small caches,
 * snapshots at random moments and restores from storage alone. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/schema.h"
#include "taskmanager/state/backend.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define KEY_COUNT  4000
#define BATCH_MAX  300
#define NOTE_BYTES 40
#define KEY_SIZE   64

struct model_row {
    bool is_present;
    bool has_note;
    int64_t total;
    char note[NOTE_BYTES];
};

static char root[64];
static struct file_store *store;
static struct manual_clock manual;
static struct error err;
static struct schema *value_schema;
static char keys[KEY_COUNT][KEY_SIZE + 240];
static struct model_row model[KEY_COUNT];
static struct model_row marked[KEY_COUNT];
static struct random random_state;
static uint64_t next_attempt = 1;

static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static _Atomic uint64_t wake_count;

static void on_wake(void *context)
{
    (void)context;
    (void)pthread_mutex_lock(&wake_lock);
    wake_count++;
    (void)pthread_cond_broadcast(&woken);
    (void)pthread_mutex_unlock(&wake_lock);
}

/* Waits for a wake since `seen`; a lost one would hang the test until its timeout. */
static void wait_for_wake(uint64_t *seen)
{
    (void)pthread_mutex_lock(&wake_lock);
    while (wake_count == *seen)
        (void)pthread_cond_wait(&woken, &wake_lock);
    *seen = wake_count;
    (void)pthread_mutex_unlock(&wake_lock);
}

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static struct schema *make_schema(enum type_kind total, bool with_extra)
{
    struct schema_column columns[3] = {
        {.name = "total", .type = type_of_kind(total), .field_id = 1},
        {.name = "note", .type = type_of_kind(TYPE_STRING), .field_id = 2},
        {.name = "extra", .type = type_of_kind(TYPE_DOUBLE), .field_id = 3},
    };
    columns[0].type.nullable = false;
    return schema_create(columns, with_extra ? 3 : 2, -1);
}

static void setup(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    must(file_store_local_create(storage, &store, &err));
    manual_clock_init(&manual, 1000000);
    value_schema = make_schema(TYPE_BIGINT, false);
    for (int i = 0; i < KEY_COUNT; i++) {
        (void)snprintf(keys[i], KEY_SIZE, "key-%d", i * 7919 % 100003);
        if (i % 97 == 0) /* long keys lie outside of their entries */
            memset(keys[i] + strlen(keys[i]), 'x', 220);
    }
    memset(model, 0, sizeof(model));
    random_init(&random_state, 42);
}

static void teardown(void)
{
    store->ops->destroy(store);
    schema_unref(value_schema);
    struct file_store *whole;
    must(file_store_local_create("/tmp", &whole, &err));
    must(whole->ops->remove_tree(whole, root + strlen("/tmp/"), &err));
    whole->ops->destroy(whole);
}

static struct state_backend_config make_config(enum state_backend_kind kind, char **directory)
{
    const uint64_t attempt = next_attempt++;
    *directory = format_text("%s/attempt-%llu", root, (unsigned long long)attempt);
    return (struct state_backend_config){
        .kind = kind,
        .directory = *directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {attempt},
        .cache_bytes = kind == STATE_BACKEND_MEMORY ? (64 << 20) : (192 << 10),
        .queue_bytes = 128 << 10,
        .clock = &manual.clock,
        .store = store,
        .store_prefix = "job",
        .wake = on_wake,
    };
}

static struct state_backend *make_backend(enum state_backend_kind kind)
{
    char *directory;
    const struct state_backend_config config = make_config(kind, &directory);
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &err));
    free(directory);
    return backend;
}

static const struct type string_key = {.kind = TYPE_STRING};

static struct state *open_state(struct state_backend *backend, int64_t ttl_ms)
{
    struct keyed_state *keyed;
    must(state_backend_operator(backend, "op", &keyed, &err));
    const struct state_descriptor descriptor = {
        .name = "totals",
        .kind = STATE_VALUE,
        .key_types = &string_key,
        .key_count = 1,
        .value = value_schema,
        .ttl_ms = ttl_ms,
    };
    struct state *state = NULL;
    must(keyed->ops->register_state(keyed, &descriptor, &state, &err));
    return state;
}

struct test_batch {
    struct key_batch batch;
    const char *bytes[BATCH_MAX];
    uint32_t sizes[BATCH_MAX];
    uint64_t hashes[BATCH_MAX];
    int rows[BATCH_MAX];
};

static void batch_reset(struct test_batch *batch)
{
    batch->batch =
        (struct key_batch){.bytes = batch->bytes, .sizes = batch->sizes, .hashes = batch->hashes};
}

static void batch_add(struct test_batch *batch, const char *key, uint32_t size, int row)
{
    const uint32_t i = batch->batch.count++;
    batch->bytes[i] = key;
    batch->sizes[i] = size;
    batch->hashes[i] = key_hash(key, size);
    batch->rows[i] = row;
}

static void random_batch(struct test_batch *batch, int range)
{
    batch_reset(batch);
    const uint32_t count = 1 + (uint32_t)random_below(&random_state, BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        const int row = (int)random_below(&random_state, (uint64_t)range);
        batch_add(batch, keys[row], (uint32_t)strlen(keys[row]), row);
    }
}

static uint64_t seen_wakes;

static bool is_handled(enum step step)
{
    if (step == STEP_FAILED)
        ck_abort_msg("%s", err.message);
    if (step == STEP_WAIT)
        wait_for_wake(&seen_wakes);
    return step == STEP_DONE;
}

static void update_row(struct state *state, void *slot, bool is_fresh, struct model_row *row)
{
    const struct value_layout *layout = &state->layout;
    int64_t *total = slot_field(layout, slot, 0);
    const struct state_bytes *note = slot_field(layout, slot, 1);
    ck_assert_int_eq(is_fresh, !row->is_present);
    if (is_fresh) {
        *row = (struct model_row){.is_present = true};
        slot_set_null(slot, 1, true);
    }
    ck_assert_int_eq(*total, row->total);
    ck_assert_int_eq(slot_is_null(slot, 1), !row->has_note);
    if (row->has_note) {
        ck_assert_uint_eq(note->size, strlen(row->note));
        ck_assert(note->size == 0 || memcmp(note->bytes, row->note, note->size) == 0);
    }
    row->total += (int64_t)random_below(&random_state, 1000);
    *total = row->total;
    if (random_below(&random_state, 4) == 0) {
        row->has_note = true;
        (void)snprintf(row->note, NOTE_BYTES, "%.*s", (int)random_below(&random_state, NOTE_BYTES),
                       "a note of some length that may change");
        slot_set_null(slot, 1, false);
        state_set_bytes(state, slot, 1, row->note, (uint32_t)strlen(row->note));
    }
}

static void do_update(struct state *state, int range)
{
    struct test_batch batch;
    random_batch(&batch, range);
    void *slots[BATCH_MAX];
    uint8_t fresh[BATCH_MAX];
    for (uint32_t first = 0; first < batch.batch.count;) {
        uint32_t count = 0;
        seen_wakes = wake_count;
        if (!is_handled(state_update(state, &batch.batch, NULL, first, &count, slots, fresh, &err)))
            continue;
        ck_assert_uint_ge(count, 1);
        for (uint32_t i = 0; i < count; i++)
            update_row(state, slots[i], fresh[i] != 0, &model[batch.rows[first + i]]);
        first += count;
    }
}

static void check_row(const struct state *state, void *slot, const struct model_row *row)
{
    ck_assert_int_eq(slot != NULL, row->is_present);
    if (slot == NULL)
        return;
    const int64_t *total = slot_field(&state->layout, slot, 0);
    const struct state_bytes *note = slot_field(&state->layout, slot, 1);
    ck_assert_int_eq(*total, row->total);
    ck_assert_int_eq(slot_is_null(slot, 1), !row->has_note);
    if (row->has_note) {
        ck_assert_uint_eq(note->size, strlen(row->note));
        ck_assert(note->size == 0 || memcmp(note->bytes, row->note, note->size) == 0);
    }
}

static void do_read(struct state *state, const struct model_row *rows)
{
    struct test_batch batch;
    random_batch(&batch, KEY_COUNT);
    void *slots[BATCH_MAX];
    for (uint32_t first = 0; first < batch.batch.count;) {
        uint32_t count = 0;
        seen_wakes = wake_count;
        if (!is_handled(state_read(state, &batch.batch, NULL, first, &count, slots, &err)))
            continue;
        for (uint32_t i = 0; i < count; i++)
            check_row(state, slots[i], &rows[batch.rows[first + i]]);
        first += count;
    }
}

static void do_remove(struct state *state)
{
    struct test_batch batch;
    random_batch(&batch, KEY_COUNT);
    batch.batch.count = (batch.batch.count + 3) / 4;
    for (uint32_t first = 0; first < batch.batch.count;) {
        uint32_t count = 0;
        seen_wakes = wake_count;
        if (!is_handled(state_remove(state, &batch.batch, NULL, first, &count, &err)))
            continue;
        for (uint32_t i = 0; i < count; i++)
            model[batch.rows[first + i]].is_present = false;
        first += count;
    }
}

static int find_row(const char *key, uint32_t size)
{
    for (int i = 0; i < KEY_COUNT; i++) {
        if (strlen(keys[i]) == size && memcmp(keys[i], key, size) == 0)
            return i;
    }
    return -1;
}

static void check_all(struct state *state, const struct model_row *rows)
{
    static bool seen[KEY_COUNT];
    memset(seen, 0, sizeof(seen));
    ck_assert_int_eq(state->ops->scan_start(state, &err), STEP_DONE);
    for (;;) {
        struct state_entry entries[100];
        uint32_t count = 0;
        const enum step step = state->ops->scan_next(state, entries, 100, &count, &err);
        if (step != STEP_DONE)
            ck_abort_msg("%s", err.message);
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count; i++) {
            const int row = find_row(entries[i].key, entries[i].key_size);
            ck_assert_int_ge(row, 0);
            ck_assert(!seen[row]);
            seen[row] = true;
            ck_assert_uint_eq(entries[i].hash, key_hash(entries[i].key, entries[i].key_size));
            check_row(state, entries[i].slot, &rows[row]);
        }
    }
    for (int i = 0; i < KEY_COUNT; i++)
        ck_assert_int_eq(seen[i], rows[i].is_present);
}

static void free_handle(struct keyed_state_handle *handle)
{
    struct task_state state = {.keyed = *handle};
    task_state_done(&state);
    *handle = (struct keyed_state_handle){0};
}

static void wait_snapshot(struct state_backend *backend, struct state_snapshot *snapshot)
{
    for (;;) {
        uint64_t seen = wake_count;
        if (state_backend_poll_snapshot(backend, snapshot))
            return;
        wait_for_wake(&seen);
    }
}

static void check_restore(enum state_backend_kind kind, const struct keyed_state_handle *handle,
                          const struct model_row *rows)
{
    struct state_backend *backend = make_backend(kind);
    must(state_backend_restore(backend, handle, (struct checkpoint_id){1}, &err));
    struct state *state = open_state(backend, 0);
    do_read(state, rows);
    check_all(state, rows);
    for (int i = 0; i < 3; i++)
        do_read(state, rows);
    state_backend_destroy(backend);
}

static void check_random(enum state_backend_kind kind, uint64_t seed)
{
    random_init(&random_state, seed);
    memset(model, 0, sizeof(model));
    struct state_backend *backend = make_backend(kind);
    struct state *state = open_state(backend, 0);
    uint64_t checkpoint = 0;
    uint64_t completed = 0;
    bool is_running = false;
    struct state_snapshot snapshot = {0};
    for (int i = 0; i < 250; i++) {
        const uint64_t dice = random_below(&random_state, 40);
        if (dice < 22)
            do_update(state, dice < 8 ? 100 : KEY_COUNT);
        else if (dice < 28)
            do_read(state, model);
        else if (dice < 32)
            do_remove(state);
        else if (dice < 33)
            check_all(state, model);
        else if (dice < 38 && !is_running) {
            memcpy(marked, model, sizeof(model));
            must(state_backend_begin_snapshot(backend, (struct checkpoint_id){++checkpoint},
                                              (struct checkpoint_id){completed}, &err));
            is_running = true;
        } else if (dice == 38 && is_running) {
            state_backend_abort_snapshot(backend, (struct checkpoint_id){checkpoint});
            is_running = false;
        }
        if (is_running && (state_backend_poll_snapshot(backend, &snapshot) || i % 50 == 49)) {
            if (i % 50 == 49 && snapshot.checkpoint.value != checkpoint)
                wait_snapshot(backend, &snapshot);
            must(snapshot.status);
            ck_assert_uint_eq(snapshot.checkpoint.value, checkpoint);
            check_restore(kind, &snapshot.handle, marked);
            completed = checkpoint;
            state_backend_checkpoint_completed(backend, (struct checkpoint_id){completed});
            free_handle(&snapshot.handle);
            is_running = false;
            snapshot.checkpoint.value = 0;
        }
    }
    check_all(state, model);
    struct state_metrics metrics;
    state_backend_metrics(backend, &metrics);
    if (kind == STATE_BACKEND_ROCKSDB)
        ck_assert_uint_gt(metrics.evicted_entries, 0);
    ck_assert_uint_gt(completed, 0);
    state_backend_destroy(backend);
}

START_TEST(random_batches_in_memory)
{
    check_random(STATE_BACKEND_MEMORY, (uint64_t)_i + 1);
}
END_TEST

START_TEST(random_batches_in_rocksdb)
{
    check_random(STATE_BACKEND_ROCKSDB, (uint64_t)_i + 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_backend");
    TCase *tests = tcase_create("model");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, random_batches_in_memory, 0, 2);
    tcase_add_loop_test(tests, random_batches_in_rocksdb, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
