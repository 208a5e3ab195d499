/* taskmanager/state: TTL, timers, maps, schema changes, increments, damaged files, full disks. */
#include "common/base/allocate.h"
#include "common/data/schema.h"
#include "taskmanager/state/parts.h"
#include "tests/kit/state_kit.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const enum state_backend_kind kinds[2] = {STATE_BACKEND_ROCKSDB, STATE_BACKEND_MEMORY};

/* ---- TTL ---- */

START_TEST(expired_entries_are_never_seen)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, false, 1000);
    struct numbers numbers;
    ck_assert_uint_eq(add_to_counts(state, number_keys(&numbers, 0, 10, 1), NULL, 5), 10);
    kit.manual.us += 600 * 1000;
    ck_assert_uint_eq(add_to_counts(state, number_keys(&numbers, 0, 5, 1), NULL, 1), 0);
    kit.manual.us += 600 * 1000; /* 5..9 have expired */
    ck_assert_int_eq(get_count(state, 4), 6);
    ck_assert_int_eq(get_count(state, 5), -1);
    struct state_snapshot snapshot;
    take_snapshot(backend, 1, 0, &snapshot);
    ck_assert_uint_eq(add_to_counts(state, number_keys(&numbers, 5, 1, 1), NULL, 2), 1);
    ck_assert_int_eq(get_count(state, 5), 2);
    state_backend_destroy(backend);

    backend = make_backend(kinds[_i]);
    must(state_backend_restore(backend, &snapshot.handle, (struct checkpoint_id){1}, &kit.err));
    state = open_count(backend, false, 1000);
    ck_assert_int_eq(get_count(state, 4), 6);
    ck_assert_int_eq(get_count(state, 5), -1);
    kit.manual.us += 500 * 1000;
    ck_assert_int_eq(get_count(state, 4), -1);
    ck_assert_int_eq(state->ops->scan_start(state, &kit.err), STEP_DONE);
    struct state_entry entries[20];
    uint32_t count = 7;
    ck_assert_int_eq(state->ops->scan_next(state, entries, 20, &count, &kit.err), STEP_DONE);
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
    ck_assert_int_eq(keyed->ops->set_timer(keyed, &timer, &kit.err), STEP_DONE);
}

static void expect_timer(struct keyed_state *keyed, enum timer_kind kind, int64_t now_ms,
                         int64_t time_ms, int64_t key)
{
    struct timer timer;
    bool found = false;
    ck_assert_int_eq(state_timers_pop(keyed, kind, now_ms, &found, &timer, &kit.err), STEP_DONE);
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
    ck_assert_int_eq(keyed->ops->delete_timer(keyed, &gone, &kit.err), STEP_DONE);
    ck_assert_int_eq(keyed->ops->delete_timer(keyed, &gone, &kit.err), STEP_DONE);
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
        must(state_backend_restore(backend, &snapshots[i].handle, (struct checkpoint_id){1},
                                   &kit.err));
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
    ck_assert_int_eq(state->ops->scan_key(state, bytes, 8, key_hash(bytes, 8), &kit.err),
                     STEP_DONE);
    for (;;) {
        struct state_entry entries[64];
        uint32_t count = 0;
        if (state->ops->scan_next(state, entries, 64, &count, &kit.err) != STEP_DONE)
            ck_abort_msg("%s", kit.err.message);
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
        (void)add_to_counts(state, number_keys(&keys, 1, NUMBERS_MAX, 0),
                            number_keys(&subkeys, i * NUMBERS_MAX, NUMBERS_MAX, 1), 1);
    for (int64_t i = -2; i < 3; i++)
        (void)add_to_counts(state, number_keys(&keys, 0, NUMBERS_MAX, 1),
                            number_keys(&subkeys, i, NUMBERS_MAX, 0), 2);
    check_map(state, 1, 20 * NUMBERS_MAX + 2, 20 * NUMBERS_MAX + 10);
    check_map(state, 7, 5, 10);
    check_map(state, 5000, 0, 0);
    struct state_snapshot snapshot;
    take_snapshot(backend, 1, 0, &snapshot);
    (void)add_to_counts(state, number_keys(&keys, 7, 1, 0), number_keys(&subkeys, 1000, 1, 0), 2);
    uint32_t count = 0;
    number_keys(&keys, 7, 2, 0);
    number_keys(&subkeys, -1, 2, 1);
    ck_assert_int_eq(state_remove(state, &keys.batch, &subkeys.batch, 0, &count, &kit.err),
                     STEP_DONE);
    check_map(state, 7, 4, 8);
    state_backend_destroy(backend);
    backend = make_backend(kinds[_i]);
    must(state_backend_restore(backend, &snapshot.handle, (struct checkpoint_id){1}, &kit.err));
    state = open_count(backend, true, 0);
    (void)add_to_counts(state, number_keys(&keys, 7, 1, 0), number_keys(&subkeys, 1000, 1, 0), 2);
    check_map(state, 7, 6, 12);
    check_map(state, 1, 20 * NUMBERS_MAX + 2, 20 * NUMBERS_MAX + 10);
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
    must(state_backend_restore(*ret_backend, &snapshot->handle, (struct checkpoint_id){1},
                               &kit.err));
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
    ck_assert_int_eq(state_update(state, &numbers.batch, NULL, 0, &count, &slot, &fresh, &kit.err),
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
    ck_assert_int_eq(state_read(state, &numbers.batch, NULL, 0, &count, &slot, &kit.err),
                     STEP_DONE);
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
    (void)add_to_counts(state, number_keys(&numbers, 0, NUMBERS_MAX, 1), NULL, 1);
    struct state_snapshot snapshot;
    take_snapshot(backend, 3, 0, &snapshot);
    state_backend_destroy(backend);
    struct keyed_state_handle *handle = &snapshot.handle;
    const struct checkpoint_id id = {3};

    backend = make_backend(kinds[1 - _i]);
    ck_assert_int_eq(state_backend_restore(backend, handle, id, &kit.err), STATUS_UNSUPPORTED);
    expect_message("state.backend.type");
    state_backend_destroy(backend);
    backend = make_backend_with(kinds[_i], (struct key_group_range){0, 63}, kit.store);
    ck_assert_int_eq(state_backend_restore(backend, handle, id, &kit.err), STATUS_UNSUPPORTED);
    expect_message("rescaling is not supported yet");
    state_backend_destroy(backend);

    for (size_t i = 0; i < handle->file_count; i++) {
        SCOPED_TEXT char *path = format_text("job/%s", handle->files[i].path);
        struct text SCOPED_TEXT_BUFFER content;
        text_init(&content, 10 << 20);
        must(kit.store->ops->get(kit.store, path, &content, &kit.err));
        content.bytes[content.size / 2] ^= 1;
        must(kit.store->ops->put(kit.store, path, content.bytes, content.size, false, &kit.err));
        backend = make_backend(kinds[_i]);
        ck_assert_int_eq(state_backend_restore(backend, handle, id, &kit.err), STATUS_CORRUPT);
        expect_message(handle->files[i].path);
        state_backend_destroy(backend);
        must(kit.store->ops->remove(kit.store, path, &kit.err));
        backend = make_backend(kinds[_i]);
        ck_assert_int_eq(state_backend_restore(backend, handle, id, &kit.err), STATUS_NOT_FOUND);
        expect_message(handle->files[i].path);
        state_backend_destroy(backend);
        content.bytes[content.size / 2] ^= 1;
        must(kit.store->ops->put(kit.store, path, content.bytes, content.size, false, &kit.err));
    }
    for (size_t i = 0; i < handle->meta_size; i++) {
        handle->meta[i] ^= 1;
        backend = make_backend(kinds[1]);
        ck_assert_int_ne(state_backend_restore(backend, handle, id, &kit.err), STATUS_OK);
        state_backend_destroy(backend);
        handle->meta[i] ^= 1;
    }
    backend = make_backend(kinds[_i]);
    must(state_backend_restore(backend, handle, id, &kit.err));
    ck_assert_int_eq(get_count(open_count(backend, false, 0), NUMBERS_MAX - 1), 1);
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
        (void)add_to_counts(state, number_keys(&numbers, i * NUMBERS_MAX, NUMBERS_MAX, 1), NULL, i);
    struct state_snapshot first;
    take_snapshot(backend, 1, 0, &first);
    ck_assert_uint_eq(first.uploaded_bytes, first.handle.byte_count);
    for (int64_t i = 0; i < batches / 100; i++)
        (void)add_to_counts(state, number_keys(&numbers, i * NUMBERS_MAX, NUMBERS_MAX, 1), NULL, 1);
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
    must(state_backend_restore(backend, &third.handle, (struct checkpoint_id){3}, &kit.err));
    state = open_count(backend, false, 0);
    ck_assert_int_eq(get_count(state, 0), 1);
    ck_assert_int_eq(get_count(state, 399 * NUMBERS_MAX), 399);
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

static struct file_store faulty; /* fails every upload */
static struct file_store_ops faulty_ops;

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
    (void)add_to_counts(state, number_keys(&numbers, 0, NUMBERS_MAX, 1), NULL, 1);
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){1}, (struct checkpoint_id){0},
                                      &kit.err));
    struct state_snapshot snapshot;
    wait_snapshot(backend, &snapshot);
    ck_assert_int_eq(snapshot.status, STATUS_IO);
    kit.err = snapshot.err;
    expect_message("checkpoint 1");
    expect_message("No space left on device");
    faulty_ops = *kit.store->ops;
    faulty_ops.upload = fail_upload;
    (void)add_to_counts(state, number_keys(&numbers, 0, NUMBERS_MAX, 1), NULL, 1);
    ck_assert_int_eq(get_count(state, 3), 2);
    state_backend_destroy(backend);
}
END_TEST

START_TEST(a_full_local_disk_fails_the_backend)
{
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    for (int64_t i = 0; i < 40; i++)
        (void)add_to_counts(state, number_keys(&numbers, i * NUMBERS_MAX, NUMBERS_MAX, 1), NULL, 1);
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {.rlim_cur = 20000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){1}, (struct checkpoint_id){0},
                                      &kit.err));
    struct state_snapshot snapshot;
    wait_snapshot(backend, &snapshot);
    ck_assert_int_ne(snapshot.status, STATUS_OK);
    void *slots[NUMBERS_MAX];
    uint8_t fresh[NUMBERS_MAX];
    uint32_t count;
    enum step step;
    do {
        step = state_update(state, &numbers.batch, NULL, 0, &count, slots, fresh, &kit.err);
    } while (step == STEP_DONE);
    ck_assert_int_eq(step, STEP_FAILED);
    ck_assert_int_ne(kit.err.message[0], '\0');
    state_backend_destroy(backend);
}
END_TEST

START_TEST(memory_has_a_limit)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_MEMORY);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    void *slots[NUMBERS_MAX];
    uint8_t fresh[NUMBERS_MAX];
    uint32_t count;
    enum step step = STEP_DONE;
    for (int64_t i = 0; i < 2000 && step == STEP_DONE; i++) {
        number_keys(&numbers, i * NUMBERS_MAX, NUMBERS_MAX, 1);
        step = state_update(state, &numbers.batch, NULL, 0, &count, slots, fresh, &kit.err);
    }
    ck_assert_int_eq(step, STEP_FAILED);
    expect_message("state.backend.type: rocksdb");
    state_backend_destroy(backend);
}
END_TEST

/* Checkpoints that are durable here and fail elsewhere leave no trace that grows; an increment on
 * the newest completed one stays possible. */
START_TEST(bases_of_increments_are_bounded)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    const struct key_batch *keys = number_keys(&numbers, 0, 10, 1);
    struct state_snapshot snapshot;
    for (uint64_t id = 1; id <= 200; id++) {
        (void)add_to_counts(state, keys, NULL, 1);
        take_snapshot(backend, id, id == 1 ? 0 : 1, &snapshot);
        free_snapshot(&snapshot);
        if (id == 1)
            state_backend_checkpoint_completed(backend, (struct checkpoint_id){1});
        ck_assert_uint_le(backend->base_count, 64);
        ck_assert_uint_eq(backend->bases[0].checkpoint.value, 1);
    }
    state_backend_checkpoint_completed(backend, (struct checkpoint_id){200});
    ck_assert_uint_eq(backend->base_count, 1);
    state_backend_destroy(backend);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_restore");
    TCase *tests = tcase_create("restore");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, state_kit_init, state_kit_done);
    tcase_add_loop_test(tests, expired_entries_are_never_seen, 0, 2);
    tcase_add_loop_test(tests, timers_are_kept_ordered_and_once, 0, 2);
    tcase_add_loop_test(tests, maps_are_scanned_by_key, 0, 2);
    tcase_add_loop_test(tests, schemas_may_grow_and_widen, 0, 2);
    tcase_add_loop_test(tests, what_cannot_be_restored_is_named, 0, 2);
    tcase_add_test(tests, increments_upload_what_changed);
    tcase_add_loop_test(tests, full_checkpoint_storage_fails_only_the_snapshot, 0, 2);
    tcase_add_loop_test(tests, a_full_local_disk_fails_the_backend, 0, 2);
    tcase_add_test(tests, memory_has_a_limit);
    tcase_add_test(tests, bases_of_increments_are_bounded);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
