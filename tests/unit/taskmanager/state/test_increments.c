/* What a checkpoint uploads where few keys change: their share of the state, each time. */
#include "common/base/allocate.h"
#include "taskmanager/state/backend.h"

#include <check.h>
#include <string.h>
#include <unistd.h>

#define BATCH       500
#define BATCHES     800
#define CHECKPOINTS 40

static struct error err;

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static struct state_backend *make_backend(const char *root, struct file_store *store)
{
    SCOPED_TEXT char *directory = format_text("%s/state", root);
    const struct state_backend_config config = {
        .kind = STATE_BACKEND_ROCKSDB,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {1},
        .cache_bytes = (uint64_t)128 << 20,
        .queue_bytes = (uint64_t)64 << 20,
        .clock = clock_system(),
        .store = store,
    };
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &err));
    return backend;
}

static struct state *open_totals(struct state_backend *backend)
{
    static const struct type key_type = {.kind = TYPE_BIGINT};
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(backend, "op", &keyed, &err));
    struct schema_column column = {.name = "total", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct state_descriptor descriptor = {.name = "totals",
                                                .kind = STATE_VALUE,
                                                .key_types = &key_type,
                                                .key_count = 1,
                                                .value = schema};
    struct state *state = NULL;
    must(keyed->ops->register_state(keyed, &descriptor, &state, &err));
    return state;
}

static void add_to(struct state *state, int64_t first_key)
{
    int64_t values[BATCH + 2];
    const char *bytes[BATCH];
    uint32_t sizes[BATCH];
    uint64_t hashes[BATCH];
    void *slots[BATCH];
    uint8_t fresh[BATCH];
    for (int i = 0; i < BATCH; i++) {
        values[i] = first_key + i;
        bytes[i] = (const char *)&values[i];
        sizes[i] = sizeof(values[i]);
        hashes[i] = key_hash(bytes[i], sizes[i]);
    }
    const struct key_batch keys = {
        .count = BATCH, .bytes = bytes, .sizes = sizes, .hashes = hashes};
    for (uint32_t first = 0, count = 0; first < keys.count; first += count, count = 0) {
        const enum step step = state_update(state, &keys, NULL, first, &count, slots, fresh, &err);
        if (step == STEP_FAILED)
            ck_abort_msg("%s", err.message);
        if (step == STEP_WAIT)
            (void)usleep(500);
        for (uint32_t i = 0; i < count; i++)
            ++*(int64_t *)slot_field(&state->layout, slots[i], 0);
    }
}

/* Bytes that it uploaded. */
static uint64_t take_snapshot(struct state_backend *backend, uint64_t id, uint64_t *ret_whole)
{
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){id},
                                      (struct checkpoint_id){id - 1}, &err));
    struct state_snapshot snapshot;
    while (!state_backend_poll_snapshot(backend, &snapshot))
        (void)usleep(500);
    err = snapshot.err;
    must(snapshot.status);
    state_backend_checkpoint_completed(backend, (struct checkpoint_id){id});
    *ret_whole = snapshot.handle.byte_count;
    struct task_state state = {.keyed = snapshot.handle};
    task_state_done(&state);
    return snapshot.uploaded_bytes;
}

/* Merging what has changed must not drag the rest into a checkpoint: not once in many. */
START_TEST(no_increment_carries_the_whole)
{
    char root[] = "/tmp/state-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    struct file_store *store = NULL;
    must(file_store_local_create(storage, &store, &err));
    struct state_backend *backend = make_backend(root, store);
    struct state *state = open_totals(backend);
    for (int64_t i = 0; i < BATCHES; i++)
        add_to(state, i * BATCH);
    uint64_t whole = 0;
    ck_assert_uint_ge(take_snapshot(backend, 1, &whole), whole);
    for (uint64_t id = 2; id < 2 + CHECKPOINTS; id++) {
        for (int64_t i = 0; i < BATCHES / 100; i++)
            add_to(state, i * BATCH);
        ck_assert_uint_lt(take_snapshot(backend, id, &whole) * 20, whole);
    }
    state_backend_destroy(backend);
    store->ops->destroy(store);
    struct file_store *parent = NULL;
    must(file_store_local_create("/tmp", &parent, &err));
    must(parent->ops->remove_tree(parent, root + strlen("/tmp/"), &err));
    parent->ops->destroy(parent);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_increments");
    TCase *tests = tcase_create("increments");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, no_increment_carries_the_whole);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
