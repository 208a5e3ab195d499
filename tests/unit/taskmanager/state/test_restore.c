/* taskmanager/state: TTL, timers, maps, schema changes, increments, damaged files, full disks. */
#include "common/base/allocate.h"
#include "common/data/schema.h"
#include "taskmanager/state/backend.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BATCH 500

static char root[64];
static struct file_store *store;
static struct file_store faulty; /* fails every upload */
static struct file_store_ops faulty_ops;
static struct manual_clock manual;
static struct error err;
static uint64_t next_attempt = 1;
static struct state_block_cache *cache;

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static void expect_message(const char *part)
{
    if (strstr(err.message, part) == NULL)
        ck_abort_msg("\"%s\" does not say \"%s\"", err.message, part);
}

static void setup(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    must(file_store_local_create(storage, &store, &err));
    manual_clock_init(&manual, 1000000);
    cache = state_block_cache_create(4 << 20);
}

static void teardown(void)
{
    state_block_cache_destroy(cache);
    store->ops->destroy(store);
    struct file_store *whole;
    must(file_store_local_create("/tmp", &whole, &err));
    must(whole->ops->remove_tree(whole, root + strlen("/tmp/"), &err));
    whole->ops->destroy(whole);
}

static struct state_backend *make_backend_with(enum state_backend_kind kind,
                                               struct key_group_range groups,
                                               struct file_store *storage)
{
    const uint64_t attempt = next_attempt++;
    SCOPED_TEXT char *directory = format_text("%s/%llu", root, (unsigned long long)attempt);
    const struct state_backend_config config = {
        .kind = kind,
        .directory = directory,
        .key_groups = groups,
        .max_parallelism = 128,
        .attempt = {attempt},
        .cache_bytes = 16 << 20,
        .queue_bytes = 4 << 20,
        .block_cache = cache,
        .clock = &manual.clock,
        .store = storage,
        .store_prefix = "job",
    };
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &err));
    return backend;
}

static struct state_backend *make_backend(enum state_backend_kind kind)
{
    return make_backend_with(kind, (struct key_group_range){0, 127}, store);
}

static const struct type bigint_key = {.kind = TYPE_BIGINT};

static struct keyed_state *open_operator(struct state_backend *backend)
{
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(backend, "op", &keyed, &err));
    return keyed;
}

static enum status open_fields(struct state_backend *backend, const struct schema_column *columns,
                               uint32_t count, bool has_subkey, int64_t ttl_ms,
                               struct state **ret_state)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, count, -1);
    const struct state_descriptor descriptor = {
        .name = "values",
        .kind = has_subkey ? STATE_MAP : STATE_VALUE,
        .key_types = &bigint_key,
        .key_count = 1,
        .subkey_types = has_subkey ? &bigint_key : NULL,
        .subkey_count = has_subkey ? 1 : 0,
        .value = schema,
        .ttl_ms = ttl_ms,
    };
    struct keyed_state *keyed = open_operator(backend);
    return keyed->ops->register_state(keyed, &descriptor, ret_state, &err);
}

static struct state *open_count(struct state_backend *backend, bool has_subkey, int64_t ttl_ms)
{
    struct schema_column column = {.name = "count", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    struct state *state = NULL;
    must(open_fields(backend, &column, 1, has_subkey, ttl_ms, &state));
    return state;
}

struct numbers {
    struct key_batch batch;
    int64_t values[BATCH + 2];
    const char *bytes[BATCH];
    uint32_t sizes[BATCH];
    uint64_t hashes[BATCH];
};

static const struct key_batch *number_keys(struct numbers *numbers, int64_t first, uint32_t count,
                                           int64_t step)
{
    numbers->batch = (struct key_batch){.count = count,
                                        .bytes = numbers->bytes,
                                        .sizes = numbers->sizes,
                                        .hashes = numbers->hashes};
    for (uint32_t i = 0; i < count; i++) {
        numbers->values[i] = first + (int64_t)i * step;
        numbers->bytes[i] = (const char *)&numbers->values[i];
        numbers->sizes[i] = 8;
        numbers->hashes[i] = key_hash(numbers->bytes[i], 8);
    }
    return &numbers->batch;
}

static bool again(enum step step)
{
    if (step == STEP_FAILED)
        ck_abort_msg("%s", err.message);
    if (step == STEP_WAIT)
        (void)usleep(1000);
    return step != STEP_DONE;
}

/* Adds `delta` to the counts of those keys; returns how many were fresh. */
static uint32_t add(struct state *state, const struct key_batch *keys,
                    const struct key_batch *subkeys, int64_t delta)
{
    void *slots[BATCH];
    uint8_t fresh[BATCH];
    uint32_t fresh_count = 0;
    for (uint32_t first = 0; first < keys->count;) {
        uint32_t count = 0;
        if (again(state_update(state, keys, subkeys, first, &count, slots, fresh, &err)))
            continue;
        for (uint32_t i = 0; i < count; i++) {
            *(int64_t *)slot_field(&state->layout, slots[i], 0) += delta;
            fresh_count += fresh[i];
        }
        first += count;
    }
    return fresh_count;
}

/* The count of one key, -1 if it is absent. */
static int64_t get(struct state *state, int64_t key)
{
    struct numbers numbers;
    void *slot = NULL;
    uint32_t count = 0;
    number_keys(&numbers, key, 1, 1);
    while (again(state_read(state, &numbers.batch, NULL, 0, &count, &slot, &err)))
        ;
    return slot == NULL ? -1 : *(int64_t *)slot_field(&state->layout, slot, 0);
}

static void wait_snapshot(struct state_backend *backend, struct state_snapshot *snapshot)
{
    while (!state_backend_poll_snapshot(backend, snapshot))
        (void)usleep(1000);
}

static void take_snapshot(struct state_backend *backend, uint64_t id, uint64_t base,
                          struct state_snapshot *snapshot)
{
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){id},
                                      (struct checkpoint_id){base}, &err));
    wait_snapshot(backend, snapshot);
    err = snapshot->err;
    must(snapshot->status);
}

static void free_snapshot(struct state_snapshot *snapshot)
{
    struct task_state state = {.keyed = snapshot->handle};
    task_state_done(&state);
}

static const enum state_backend_kind kinds[2] = {STATE_BACKEND_ROCKSDB, STATE_BACKEND_MEMORY};

/* ---- TTL ---- */

START_TEST(expired_entries_are_never_seen)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, false, 1000);
    struct numbers numbers;
    ck_assert_uint_eq(add(state, number_keys(&numbers, 0, 10, 1), NULL, 5), 10);
    manual.us += 600 * 1000;
    ck_assert_uint_eq(add(state, number_keys(&numbers, 0, 5, 1), NULL, 1), 0);
    manual.us += 600 * 1000; /* 5..9 have expired */
    ck_assert_int_eq(get(state, 4), 6);
    ck_assert_int_eq(get(state, 5), -1);
    struct state_snapshot snapshot;
    take_snapshot(backend, 1, 0, &snapshot);
    ck_assert_uint_eq(add(state, number_keys(&numbers, 5, 1, 1), NULL, 2), 1);
    ck_assert_int_eq(get(state, 5), 2);
    state_backend_destroy(backend);

    backend = make_backend(kinds[_i]);
    must(state_backend_restore(backend, &snapshot.handle, (struct checkpoint_id){1}, &err));
    state = open_count(backend, false, 1000);
    ck_assert_int_eq(get(state, 4), 6);
    ck_assert_int_eq(get(state, 5), -1);
    manual.us += 500 * 1000;
    ck_assert_int_eq(get(state, 4), -1);
    ck_assert_int_eq(state->ops->scan_start(state, &err), STEP_DONE);
    struct state_entry entries[20];
    uint32_t count = 7;
    ck_assert_int_eq(state->ops->scan_next(state, entries, 20, &count, &err), STEP_DONE);
    ck_assert_uint_eq(count, 0);
    free_snapshot(&snapshot);
    state_backend_destroy(backend);
}
END_TEST

/* ---- timers ---- */

static struct timer make_timer(enum timer_kind kind, int64_t time_ms, const int64_t *key)
{
    return (struct timer){.kind = kind,
                          .time_ms = time_ms,
                          .key = (const char *)key,
                          .key_size = 8,
                          .hash = key_hash((const char *)key, 8),
                          .name_space = "ns",
                          .name_space_size = 2};
}

static void set(struct keyed_state *keyed, enum timer_kind kind, int64_t time_ms,
                const int64_t *key)
{
    const struct timer timer = make_timer(kind, time_ms, key);
    ck_assert_int_eq(keyed->ops->set_timer(keyed, &timer, &err), STEP_DONE);
}

static void expect_timer(struct keyed_state *keyed, enum timer_kind kind, int64_t now_ms,
                         int64_t time_ms, int64_t key)
{
    struct timer timer;
    bool found = false;
    ck_assert_int_eq(state_timers_pop(keyed, kind, now_ms, &found, &timer, &err), STEP_DONE);
    ck_assert_int_eq(found, time_ms != INT64_MAX);
    if (!found)
        return;
    ck_assert_int_eq(timer.kind, kind);
    ck_assert_int_eq(timer.time_ms, time_ms);
    ck_assert_int_eq(memcmp(timer.key, &key, 8), 0);
    ck_assert_uint_eq(timer.hash, key_hash((const char *)&key, 8));
    ck_assert_uint_eq(timer.name_space_size, 2);
    ck_assert_int_eq(memcmp(timer.name_space, "ns", 2), 0);
}

START_TEST(timers_are_kept_ordered_and_once)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct keyed_state *keyed = open_operator(backend);
    (void)open_count(backend, false, 0);
    static const int64_t numbers[3] = {1, 2, 3};
    set(keyed, TIMER_EVENT_TIME, 300, &numbers[0]);
    set(keyed, TIMER_EVENT_TIME, -5, &numbers[1]);
    set(keyed, TIMER_EVENT_TIME, 300, &numbers[0]);
    set(keyed, TIMER_EVENT_TIME, 200, &numbers[2]);
    set(keyed, TIMER_EVENT_TIME, 250, &numbers[2]);
    set(keyed, TIMER_PROCESSING_TIME, 100, &numbers[2]);
    const struct timer gone = make_timer(TIMER_EVENT_TIME, 250, &numbers[2]);
    ck_assert_int_eq(keyed->ops->delete_timer(keyed, &gone, &err), STEP_DONE);
    ck_assert_int_eq(keyed->ops->delete_timer(keyed, &gone, &err), STEP_DONE);
    struct state_snapshot snapshots[2];
    take_snapshot(backend, 1, 0, &snapshots[0]);
    ck_assert_int_eq(state_timers_next_ms(keyed, TIMER_EVENT_TIME), -5);
    expect_timer(keyed, TIMER_EVENT_TIME, -6, INT64_MAX, 0);
    expect_timer(keyed, TIMER_EVENT_TIME, 200, -5, 2);
    take_snapshot(backend, 2, 1, &snapshots[1]);
    expect_timer(keyed, TIMER_EVENT_TIME, 200, 200, 3);
    expect_timer(keyed, TIMER_EVENT_TIME, 200, INT64_MAX, 0);
    expect_timer(keyed, TIMER_EVENT_TIME, 1000, 300, 1);
    expect_timer(keyed, TIMER_EVENT_TIME, 1000, INT64_MAX, 0);
    state_backend_destroy(backend);
    for (int i = 0; i < 2; i++) {
        backend = make_backend(kinds[_i]);
        must(state_backend_restore(backend, &snapshots[i].handle, (struct checkpoint_id){1}, &err));
        keyed = open_operator(backend);
        if (i == 0)
            expect_timer(keyed, TIMER_EVENT_TIME, 1000, -5, 2);
        expect_timer(keyed, TIMER_EVENT_TIME, 1000, 200, 3);
        expect_timer(keyed, TIMER_EVENT_TIME, 1000, 300, 1);
        expect_timer(keyed, TIMER_EVENT_TIME, 1000, INT64_MAX, 0);
        ck_assert_int_eq(state_timers_next_ms(keyed, TIMER_EVENT_TIME), INT64_MAX);
        expect_timer(keyed, TIMER_PROCESSING_TIME, 1000, 100, 3);
        free_snapshot(&snapshots[i]);
        state_backend_destroy(backend);
    }
}
END_TEST

/* ---- maps ---- */

static void check_map(struct state *state, int64_t key, uint32_t expected, int64_t expected_sum)
{
    uint32_t met = 0;
    int64_t sum = 0;
    int64_t last = INT64_MIN;
    const char *bytes = (const char *)&key;
    ck_assert_int_eq(state->ops->scan_key(state, bytes, 8, key_hash(bytes, 8), &err), STEP_DONE);
    for (;;) {
        struct state_entry entries[64];
        uint32_t count = 0;
        if (state->ops->scan_next(state, entries, 64, &count, &err) != STEP_DONE)
            ck_abort_msg("%s", err.message);
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count; i++) {
            int64_t subkey;
            ck_assert_int_eq(memcmp(entries[i].key, &key, 8), 0);
            ck_assert_uint_eq(entries[i].subkey_size, 8);
            memcpy(&subkey, entries[i].subkey, 8);
            ck_assert_int_gt(subkey, last); /* in order of subkeys */
            last = subkey;
            sum += *(int64_t *)slot_field(&state->layout, entries[i].slot, 0);
        }
        met += count;
    }
    ck_assert_uint_eq(met, expected);
    ck_assert_int_eq(sum, expected_sum);
}

START_TEST(maps_are_scanned_by_key)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, true, 0);
    struct numbers keys;
    struct numbers subkeys;
    /* One key with many entries makes its segment wide; others have a few. */
    for (int64_t i = 0; i < 20; i++)
        (void)add(state, number_keys(&keys, 1, BATCH, 0),
                  number_keys(&subkeys, i * BATCH, BATCH, 1), 1);
    for (int64_t i = -2; i < 3; i++)
        (void)add(state, number_keys(&keys, 0, BATCH, 1), number_keys(&subkeys, i, BATCH, 0), 2);
    check_map(state, 1, 20 * BATCH + 2, 20 * BATCH + 10);
    check_map(state, 7, 5, 10);
    check_map(state, 5000, 0, 0);
    struct state_snapshot snapshot;
    take_snapshot(backend, 1, 0, &snapshot);
    (void)add(state, number_keys(&keys, 7, 1, 0), number_keys(&subkeys, 1000, 1, 0), 2);
    uint32_t count = 0;
    number_keys(&keys, 7, 2, 0);
    number_keys(&subkeys, -1, 2, 1);
    ck_assert_int_eq(state_remove(state, &keys.batch, &subkeys.batch, 0, &count, &err), STEP_DONE);
    check_map(state, 7, 4, 8);
    state_backend_destroy(backend);
    backend = make_backend(kinds[_i]);
    must(state_backend_restore(backend, &snapshot.handle, (struct checkpoint_id){1}, &err));
    state = open_count(backend, true, 0);
    (void)add(state, number_keys(&keys, 7, 1, 0), number_keys(&subkeys, 1000, 1, 0), 2);
    check_map(state, 7, 6, 12);
    check_map(state, 1, 20 * BATCH + 2, 20 * BATCH + 10);
    free_snapshot(&snapshot);
    state_backend_destroy(backend);
}
END_TEST

/* ---- schemas ---- */

static enum status reopen(enum state_backend_kind kind, const struct state_snapshot *snapshot,
                          const struct schema_column *columns, uint32_t count,
                          struct state_backend **ret_backend, struct state **ret_state)
{
    *ret_backend = make_backend(kind);
    must(state_backend_restore(*ret_backend, &snapshot->handle, (struct checkpoint_id){1}, &err));
    return open_fields(*ret_backend, columns, count, false, 0, ret_state);
}

START_TEST(schemas_may_grow_and_widen)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct schema_column columns[3] = {
        {.name = "a", .type = type_of_kind(TYPE_INT), .field_id = 1},
        {.name = "b", .type = type_of_kind(TYPE_FLOAT), .field_id = 2},
        {.name = "c", .type = type_of_kind(TYPE_STRING), .field_id = 3},
    };
    struct state *state = NULL;
    must(open_fields(backend, columns, 3, false, 0, &state));
    struct numbers numbers;
    void *slot = NULL;
    uint8_t fresh;
    uint32_t count = 0;
    number_keys(&numbers, 77, 1, 0);
    ck_assert_int_eq(state_update(state, &numbers.batch, NULL, 0, &count, &slot, &fresh, &err),
                     STEP_DONE);
    *(int32_t *)slot_field(&state->layout, slot, 0) = -12;
    *(float *)slot_field(&state->layout, slot, 1) = 1.5F;
    state_set_bytes(state, slot, 2, "hello", 5);
    struct state_snapshot snapshot;
    take_snapshot(backend, 1, 0, &snapshot);
    state_backend_destroy(backend);

    struct schema_column changed[3] = {
        {.name = "b", .type = type_of_kind(TYPE_DOUBLE), .field_id = 2},
        {.name = "new", .type = type_of_kind(TYPE_BIGINT), .field_id = 9},
        {.name = "a2", .type = type_of_kind(TYPE_BIGINT), .field_id = 1},
    };
    must(reopen(kinds[_i], &snapshot, changed, 3, &backend, &state));
    ck_assert_int_eq(state_read(state, &numbers.batch, NULL, 0, &count, &slot, &err), STEP_DONE);
    ck_assert_ptr_nonnull(slot);
    ck_assert(*(double *)slot_field(&state->layout, slot, 0) == 1.5);
    ck_assert(slot_is_null(slot, 1));
    ck_assert_int_eq(*(int64_t *)slot_field(&state->layout, slot, 2), -12);
    state_backend_destroy(backend);

    changed[2].type = type_of_kind(TYPE_SMALLINT);
    ck_assert_int_eq(reopen(kinds[_i], &snapshot, changed, 3, &backend, &state), STATUS_INVALID);
    expect_message("operator op, state values: field a2 (id 1) was INT");
    expect_message("SMALLINT");
    state_backend_destroy(backend);
    changed[2].type = type_of_kind(TYPE_BIGINT);
    changed[1].type.nullable = false;
    ck_assert_int_eq(reopen(kinds[_i], &snapshot, changed, 3, &backend, &state), STATUS_INVALID);
    expect_message("NOT NULL");
    state_backend_destroy(backend);
    free_snapshot(&snapshot);
}
END_TEST

/* ---- restore ---- */

START_TEST(what_cannot_be_restored_is_named)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    (void)add(state, number_keys(&numbers, 0, BATCH, 1), NULL, 1);
    struct state_snapshot snapshot;
    take_snapshot(backend, 3, 0, &snapshot);
    state_backend_destroy(backend);
    struct keyed_state_handle *handle = &snapshot.handle;
    const struct checkpoint_id id = {3};

    backend = make_backend(kinds[1 - _i]);
    ck_assert_int_eq(state_backend_restore(backend, handle, id, &err), STATUS_UNSUPPORTED);
    expect_message("state.backend.type");
    state_backend_destroy(backend);
    backend = make_backend_with(kinds[_i], (struct key_group_range){0, 63}, store);
    ck_assert_int_eq(state_backend_restore(backend, handle, id, &err), STATUS_UNSUPPORTED);
    expect_message("rescaling is not supported yet");
    state_backend_destroy(backend);

    for (size_t i = 0; i < handle->file_count; i++) {
        SCOPED_TEXT char *path = format_text("job/%s", handle->files[i].path);
        struct text SCOPED_TEXT_BUFFER content;
        text_init(&content, 10 << 20);
        must(store->ops->get(store, path, &content, &err));
        content.bytes[content.size / 2] ^= 1;
        must(store->ops->put(store, path, content.bytes, content.size, false, &err));
        backend = make_backend(kinds[_i]);
        ck_assert_int_eq(state_backend_restore(backend, handle, id, &err), STATUS_CORRUPT);
        expect_message(handle->files[i].path);
        state_backend_destroy(backend);
        must(store->ops->remove(store, path, &err));
        backend = make_backend(kinds[_i]);
        ck_assert_int_eq(state_backend_restore(backend, handle, id, &err), STATUS_NOT_FOUND);
        expect_message(handle->files[i].path);
        state_backend_destroy(backend);
        content.bytes[content.size / 2] ^= 1;
        must(store->ops->put(store, path, content.bytes, content.size, false, &err));
    }
    for (size_t i = 0; i < handle->meta_size; i++) {
        handle->meta[i] ^= 1;
        backend = make_backend(kinds[1]);
        ck_assert_int_ne(state_backend_restore(backend, handle, id, &err), STATUS_OK);
        state_backend_destroy(backend);
        handle->meta[i] ^= 1;
    }
    backend = make_backend(kinds[_i]);
    must(state_backend_restore(backend, handle, id, &err));
    ck_assert_int_eq(get(open_count(backend, false, 0), BATCH - 1), 1);
    state_backend_destroy(backend);
    free_snapshot(&snapshot);
}
END_TEST

/* ---- increments ---- */

START_TEST(increments_upload_what_changed)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    const int64_t batches = 400;
    for (int64_t i = 0; i < batches; i++)
        (void)add(state, number_keys(&numbers, i * BATCH, BATCH, 1), NULL, i);
    struct state_snapshot first;
    take_snapshot(backend, 1, 0, &first);
    ck_assert_uint_eq(first.uploaded_bytes, first.handle.byte_count);
    for (int64_t i = 0; i < batches / 100; i++)
        (void)add(state, number_keys(&numbers, i * BATCH, BATCH, 1), NULL, 1);
    struct state_snapshot second;
    take_snapshot(backend, 2, 1, &second);
    ck_assert_uint_lt(second.uploaded_bytes * 20, first.uploaded_bytes);
    /* Checkpoint 2 was never completed: its files are not referenced. */
    struct state_snapshot third;
    take_snapshot(backend, 3, 1, &third);
    for (size_t i = 0; i < third.handle.file_count; i++)
        ck_assert_ptr_null(strstr(third.handle.files[i].path, "/2-"));
    state_backend_destroy(backend);

    backend = make_backend(STATE_BACKEND_ROCKSDB);
    must(state_backend_restore(backend, &third.handle, (struct checkpoint_id){3}, &err));
    state = open_count(backend, false, 0);
    ck_assert_int_eq(get(state, 0), 1);
    ck_assert_int_eq(get(state, 399 * BATCH), 399);
    /* The restored files are the base of the next increment of the new attempt. */
    struct state_snapshot fourth;
    take_snapshot(backend, 4, 3, &fourth);
    ck_assert_uint_lt(fourth.uploaded_bytes * 20, first.uploaded_bytes);
    state_backend_destroy(backend);
    free_snapshot(&first);
    free_snapshot(&second);
    free_snapshot(&third);
    free_snapshot(&fourth);
}
END_TEST

/* ---- failures ---- */

static enum status fail_upload(struct file_store *unused, const char *local_path, const char *path,
                               uint32_t *ret_crc32c, uint64_t *ret_size, struct error *error)
{
    (void)unused, (void)local_path, (void)ret_crc32c, (void)ret_size;
    return error_set(error, STATUS_IO, "write %s: No space left on device", path);
}

static enum status ignore_remove(struct file_store *unused, const char *path, struct error *error)
{
    (void)unused, (void)path, (void)error;
    return STATUS_OK;
}

START_TEST(full_checkpoint_storage_fails_only_the_snapshot)
{
    faulty_ops = (struct file_store_ops){.upload = fail_upload, .remove = ignore_remove};
    faulty.ops = &faulty_ops;
    struct state_backend *backend =
        make_backend_with(kinds[_i], (struct key_group_range){0, 127}, &faulty);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    (void)add(state, number_keys(&numbers, 0, BATCH, 1), NULL, 1);
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){1}, (struct checkpoint_id){0},
                                      &err));
    struct state_snapshot snapshot;
    wait_snapshot(backend, &snapshot);
    ck_assert_int_eq(snapshot.status, STATUS_IO);
    err = snapshot.err;
    expect_message("checkpoint 1");
    expect_message("No space left on device");
    faulty_ops = *store->ops;
    faulty_ops.upload = fail_upload;
    (void)add(state, number_keys(&numbers, 0, BATCH, 1), NULL, 1);
    ck_assert_int_eq(get(state, 3), 2);
    state_backend_destroy(backend);
}
END_TEST

START_TEST(a_full_local_disk_fails_the_backend)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    for (int64_t i = 0; i < 40; i++)
        (void)add(state, number_keys(&numbers, i * BATCH, BATCH, 1), NULL, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {.rlim_cur = 20000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){1}, (struct checkpoint_id){0},
                                      &err));
    struct state_snapshot snapshot;
    wait_snapshot(backend, &snapshot);
    ck_assert_int_ne(snapshot.status, STATUS_OK);
    void *slots[BATCH];
    uint8_t fresh[BATCH];
    uint32_t count;
    enum step step;
    do {
        step = state_update(state, &numbers.batch, NULL, 0, &count, slots, fresh, &err);
    } while (step == STEP_DONE);
    ck_assert_int_eq(step, STEP_FAILED);
    ck_assert_int_ne(err.message[0], '\0');
    state_backend_destroy(backend);
}
END_TEST

START_TEST(memory_has_a_limit)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_MEMORY);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    void *slots[BATCH];
    uint8_t fresh[BATCH];
    uint32_t count;
    enum step step = STEP_DONE;
    for (int64_t i = 0; i < 2000 && step == STEP_DONE; i++) {
        number_keys(&numbers, i * BATCH, BATCH, 1);
        step = state_update(state, &numbers.batch, NULL, 0, &count, slots, fresh, &err);
    }
    ck_assert_int_eq(step, STEP_FAILED);
    expect_message("state.backend.type: rocksdb");
    state_backend_destroy(backend);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_restore");
    TCase *tests = tcase_create("restore");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, expired_entries_are_never_seen, 0, 2);
    tcase_add_loop_test(tests, timers_are_kept_ordered_and_once, 0, 2);
    tcase_add_loop_test(tests, maps_are_scanned_by_key, 0, 2);
    tcase_add_loop_test(tests, schemas_may_grow_and_widen, 0, 2);
    tcase_add_loop_test(tests, what_cannot_be_restored_is_named, 0, 2);
    tcase_add_test(tests, increments_upload_what_changed);
    tcase_add_loop_test(tests, full_checkpoint_storage_fails_only_the_snapshot, 0, 2);
    tcase_add_loop_test(tests, a_full_local_disk_fails_the_backend, 0, 2);
    tcase_add_test(tests, memory_has_a_limit);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
