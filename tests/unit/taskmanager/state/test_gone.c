/* taskmanager/state: what has expired or was dropped leaves snapshots and files too. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/schema.h"
#include "tests/kit/state_kit.h"

#include <check.h>
#include <string.h>

static const enum state_backend_kind kinds[] = {STATE_BACKEND_MEMORY, STATE_BACKEND_ROCKSDB};
static const struct type bigint = {.kind = TYPE_BIGINT};
static const struct type string = {.kind = TYPE_STRING};

static struct state_backend *restore(enum state_backend_kind kind,
                                     const struct state_snapshot *snapshot)
{
    struct state_backend *backend = make_backend(kind);
    must(state_backend_restore(backend, &snapshot->handle, (struct checkpoint_id){1}, &kit.err));
    return backend;
}

/* ---- TTL: a state that is opened without one shows all that is there ---- */

START_TEST(snapshots_leave_out_what_has_expired)
{
    struct numbers numbers;
    struct state_snapshot snapshot;
    struct state_backend *backend = make_backend(kinds[_i]);
    struct state *state = open_count(backend, false, 1000);
    (void)add_to_counts(state, number_keys(&numbers, 0, 10, 1), NULL, 5);
    kit.manual.us += 1200 * 1000;
    (void)add_to_counts(state, number_keys(&numbers, 100, 1, 1), NULL, 7);
    take_snapshot(backend, 1, 0, &snapshot);
    state_backend_destroy(backend);
    backend = restore(kinds[_i], &snapshot);
    state = open_count(backend, false, 0);
    for (int64_t key = 0; key < 10; key++)
        ck_assert_int_eq(get_count(state, key), -1);
    ck_assert_int_eq(get_count(state, 100), 7);
    free_snapshot(&snapshot);
    state_backend_destroy(backend);
}
END_TEST

/* Some of the snapshots make a merge, which runs beside. */
START_TEST(compaction_drops_what_has_expired)
{
    struct numbers numbers;
    struct state_snapshot snapshot;
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct state *state = open_count(backend, false, 1000);
    for (int64_t first = 0; first < 5000; first += 500)
        (void)add_to_counts(state, number_keys(&numbers, first, 500, 1), NULL, first);
    uint64_t checkpoint = 1;
    take_snapshot(backend, checkpoint, 0, &snapshot);
    free_snapshot(&snapshot);
    kit.manual.us += 1200 * 1000;
    for (bool is_gone = false; !is_gone;) {
        ck_assert_uint_lt(++checkpoint, 100);
        for (int64_t first = 50000; first < 55000; first += 500)
            (void)add_to_counts(state, number_keys(&numbers, first, 500, 1), NULL, 1);
        take_snapshot(backend, checkpoint, checkpoint - 1, &snapshot);
        struct state_backend *copy = restore(STATE_BACKEND_ROCKSDB, &snapshot);
        state_backend_checkpoint_completed(backend, (struct checkpoint_id){checkpoint});
        struct state *bare = open_count(copy, false, 0);
        is_gone = get_count(bare, 0) == -1;
        for (int64_t key = 0; key < 5000 && is_gone; key += 50)
            ck_assert_int_eq(get_count(bare, key), -1);
        ck_assert_int_eq(get_count(bare, 50000), (int64_t)checkpoint - 1);
        free_snapshot(&snapshot);
        state_backend_destroy(copy);
    }
    state_backend_destroy(backend);
}
END_TEST

/* ---- windows ---- */

static struct state *open_windows(struct state_backend *backend)
{
    const struct schema_column column = {.name = "text", .type = string, .field_id = 1};
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct state_descriptor descriptor = {
        .name = "windows",
        .kind = STATE_AGGREGATING,
        .order = STATE_NAMESPACE_FIRST,
        .key_types = &bigint,
        .key_count = 1,
        .subkey_types = &bigint,
        .subkey_count = 1,
        .value = schema,
    };
    struct state *state = NULL;
    struct keyed_state *keyed = open_operator(backend);
    must(keyed->ops->register_state(keyed, &descriptor, &state, &kit.err));
    return state;
}

static void fill_window(struct state *state, int64_t window, uint32_t keys, const char *text,
                        uint32_t size)
{
    static struct numbers numbers;
    static struct numbers windows;
    for (uint32_t done = 0; done < keys;) {
        const uint32_t batch = keys - done < NUMBERS_MAX ? keys - done : NUMBERS_MAX;
        (void)number_keys(&numbers, done, batch, 1);
        (void)number_keys(&windows, window, batch, 0);
        for (uint32_t first = 0; first < batch;) {
            void *slots[NUMBERS_MAX];
            uint8_t fresh[NUMBERS_MAX];
            uint32_t count = 0;
            if (again(state_update(state, &numbers.batch, &windows.batch, first, &count, slots,
                                   fresh, &kit.err)))
                continue;
            for (uint32_t i = 0; i < count; i++) {
                ck_assert_int_eq(fresh[i], 1);
                state_set_bytes(state, slots[i], 0, text + (done + first + i) % 64, size);
            }
            first += count;
        }
        done += batch;
    }
}

static uint32_t count_window(struct state *state, int64_t window)
{
    const int64_t end = window + 1;
    const struct state_range range = {
        .from = (const char *)&window, .from_size = 8, .to = (const char *)&end, .to_size = 8};
    uint32_t sum = 0;
    uint32_t count = 0;
    struct state_entry entries[100];
    while (again(state_scan_range(state, &range, &kit.err)))
        ;
    do {
        while (again(state_scan_next(state, entries, 100, &count, &kit.err)))
            ;
        sum += count;
    } while (count > 0);
    return sum;
}

static void drop_until(struct state *state, int64_t window)
{
    const struct state_range range = {.to = (const char *)&window, .to_size = 8};
    while (again(state_remove_range(state, &range, &kit.err)))
        ;
}

/* Windows come and go: neither what a checkpoint holds nor what it uploads grows with them. */
START_TEST(dropped_windows_leave_the_files)
{
    char text[200];
    struct random random;
    random_init(&random, 7);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)random_below(&random, 256);
    kit.cache_bytes = 1 << 20;
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct state *state = open_windows(backend);
    uint64_t largest_early = 0;
    uint64_t largest_late = 0;
    size_t most_files = 0;
    for (uint64_t window = 1; window <= 60; window++) {
        struct state_snapshot snapshot;
        fill_window(state, (int64_t)window, 2000, text, 100);
        if (window > 1)
            ck_assert_uint_eq(count_window(state, (int64_t)window - 1), 2000);
        drop_until(state, (int64_t)window);
        ck_assert_uint_eq(count_window(state, (int64_t)window - 1), 0);
        take_snapshot(backend, window, window - 1, &snapshot);
        uint64_t *largest = window <= 30 ? &largest_early : &largest_late;
        if (snapshot.handle.byte_count > *largest)
            *largest = snapshot.handle.byte_count;
        if (snapshot.handle.file_count > most_files)
            most_files = snapshot.handle.file_count;
        state_backend_checkpoint_completed(backend, (struct checkpoint_id){window});
        free_snapshot(&snapshot);
    }
    ck_assert_uint_le(largest_late, largest_early * 3 / 2);
    ck_assert_uint_lt(most_files, 60);
    state_backend_destroy(backend);
}
END_TEST

#define LARGE_KEYS 1500

/* Keys of key group 0. */
static void large_batch(struct numbers *numbers, struct numbers *windows, int64_t *next_key,
                        int64_t window)
{
    (void)number_keys(numbers, 0, 100, 1);
    for (uint32_t i = 0; i < 100; (*next_key)++) {
        numbers->values[i] = *next_key;
        numbers->hashes[i] = key_hash(numbers->bytes[i], 8);
        i += key_group_of(numbers->hashes[i], 128) == 0 ? 1 : 0;
    }
    (void)number_keys(windows, window, 100, 0);
}

static void fill_large(struct state *state, int64_t window, struct random *random)
{
    int64_t next_key = 0;
    for (uint32_t done = 0; done < LARGE_KEYS; done += 100) {
        static struct numbers numbers;
        static struct numbers windows;
        large_batch(&numbers, &windows, &next_key, window);
        for (uint32_t first = 0; first < 100;) {
            void *slots[100];
            uint8_t fresh[100];
            uint32_t count = 0;
            if (again(state_update(state, &numbers.batch, &windows.batch, first, &count, slots,
                                   fresh, &kit.err)))
                continue;
            for (uint32_t i = 0; i < count; i++) {
                uint64_t text[125];
                for (int t = 0; t < 125; t++)
                    text[t] = random_next(random);
                state_set_bytes(state, slots[i], 0, text, sizeof(text));
            }
            first += count;
        }
    }
}

/* So much of one key group that whole files can be deleted, while an older checkpoint has them. */
START_TEST(files_of_large_windows_are_deleted)
{
    const struct key_group_range one = {0, 0};
    struct random random;
    random_init(&random, 7);
    kit.cache_bytes = 2 << 20;
    struct state_snapshot before;
    struct state_snapshot after;
    struct state_backend *backend = make_backend_with(STATE_BACKEND_ROCKSDB, one, kit.store);
    struct state *state = open_windows(backend);
    for (int64_t window = 1; window <= 12; window++)
        fill_large(state, window, &random);
    uint64_t checkpoint = 1;
    take_snapshot(backend, checkpoint, 0, &before);
    ck_assert_uint_gt(before.handle.byte_count, 16 << 20);
    drop_until(state, 12);
    do {
        take_snapshot(backend, checkpoint + 1, checkpoint, &after);
        ck_assert_uint_lt(++checkpoint, 100);
        const bool is_small = after.handle.byte_count < before.handle.byte_count / 3;
        if (is_small)
            break;
        free_snapshot(&after);
        fill_large(state, 100 + (int64_t)checkpoint, &random);
        const int64_t from = 100;
        const struct state_range range = {.from = (const char *)&from, .from_size = 8};
        while (again(state_remove_range(state, &range, &kit.err)))
            ;
    } while (true);
    ck_assert_uint_eq(count_window(state, 12), LARGE_KEYS);
    state_backend_destroy(backend);
    backend = make_backend_with(STATE_BACKEND_ROCKSDB, one, kit.store);
    must(state_backend_restore(backend, &before.handle, (struct checkpoint_id){1}, &kit.err));
    state = open_windows(backend);
    for (int64_t window = 1; window <= 12; window++)
        ck_assert_uint_eq(count_window(state, window), LARGE_KEYS);
    state_backend_destroy(backend);
    backend = make_backend_with(STATE_BACKEND_ROCKSDB, one, kit.store);
    must(state_backend_restore(backend, &after.handle, (struct checkpoint_id){2}, &kit.err));
    state = open_windows(backend);
    ck_assert_uint_eq(count_window(state, 3), 0);
    ck_assert_uint_eq(count_window(state, 12), LARGE_KEYS);
    free_snapshot(&before);
    free_snapshot(&after);
    state_backend_destroy(backend);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_gone");
    TCase *tests = tcase_create("gone");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, state_kit_init, state_kit_done);
    tcase_add_loop_test(tests, snapshots_leave_out_what_has_expired, 0, 2);
    tcase_add_test(tests, compaction_drops_what_has_expired);
    tcase_add_test(tests, dropped_windows_leave_the_files);
    tcase_add_test(tests, files_of_large_windows_are_deleted);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
