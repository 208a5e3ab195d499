/* What leaves the cache: an entry that is used again while its eviction set still fills up. */
#include "taskmanager/state/parts.h"
#include "tests/kit/state_kit.h"

#include <check.h>

#define KEYS   40
#define ROUNDS 20

#define BALLAST_BYTES ((size_t)1 << 20)

/* A full cache has its entries written and lets some go: all may but those of the last call. */
static void evict(struct state_backend *backend, struct state *state, struct key_batch keys)
{
    const uint64_t limit = backend->config.cache_bytes;
    backend->config.cache_bytes = backend->arena.used_bytes - 1;
    keys.count = 1;
    enum step step;
    do {
        void *slot = NULL;
        uint32_t count = 0;
        step = state_read(state, &keys, NULL, 0, &count, &slot, &kit.err);
    } while (again(step));
    backend->config.cache_bytes = limit;
}

START_TEST(an_entry_is_in_a_set_once)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct state *state = open_count(backend, false, 0);
    struct numbers numbers;
    const struct key_batch *keys = number_keys(&numbers, 0, KEYS, 1);
    ck_assert_uint_eq(add_to_counts(state, keys, NULL, 1), KEYS);
    /* The cache is nearly full, so that the hand goes round; the entries do not fill a set. */
    void *ballast = arena_take_bytes(&backend->arena, BALLAST_BYTES);
    backend->config.cache_bytes = backend->arena.used_bytes * 32 / 31;
    for (int i = 0; i < ROUNDS; i++)
        ck_assert_uint_eq(add_to_counts(state, keys, NULL, 1), 0);
    ck_assert_ptr_nonnull(backend->open_set);
    evict(backend, state, *keys);
    for (int i = 0; i < ROUNDS; i++)
        ck_assert_uint_eq(add_to_counts(state, keys, NULL, 1), 0);
    for (int64_t key = 0; key < KEYS; key++)
        ck_assert_int_eq(get_count(state, key), 1 + 2 * ROUNDS);
    arena_give_bytes(&backend->arena, ballast, BALLAST_BYTES);
    ck_assert_uint_gt(backend->evicted_entries, 0);
    state_backend_destroy(backend);
}
END_TEST

/* A state of another operator, as the panes of windows are beside their slices. */
static struct state *open_other(struct state_backend *backend)
{
    struct schema_column column = {.name = "count", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    static const struct type bigint = {.kind = TYPE_BIGINT};
    const struct state_descriptor descriptor = {.name = "other",
                                                .kind = STATE_VALUE,
                                                .key_types = &bigint,
                                                .key_count = 1,
                                                .value = schema};
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(backend, "other", &keyed, &kit.err));
    struct state *state = NULL;
    must(keyed->ops->register_state(keyed, &descriptor, &state, &kit.err));
    return state;
}

/* Everything is in a state that is being scanned, which keeps it, and it is too much: another state
 * must be served all the same, since the scan goes on behind it. */
START_TEST(a_scan_does_not_stop_another_state)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct state *scanned = open_count(backend, false, 0);
    struct state *other = open_other(backend);
    struct numbers numbers;
    const struct key_batch *keys = number_keys(&numbers, 0, KEYS, 1);
    ck_assert_uint_eq(add_to_counts(scanned, keys, NULL, 1), KEYS);
    struct state_entry entry;
    uint32_t count = 0;
    while (again(scanned->ops->scan_start(scanned, &kit.err)))
        ;
    while (again(scanned->ops->scan_next(scanned, &entry, 1, &count, &kit.err)))
        ;
    ck_assert_uint_eq(count, 1);
    backend->config.cache_bytes = backend->arena.used_bytes / 2;
    ck_assert_uint_eq(add_to_counts(other, keys, NULL, 1), KEYS);
    uint32_t found = 1;
    do {
        while (again(scanned->ops->scan_next(scanned, &entry, 1, &count, &kit.err)))
            ;
        found += count;
    } while (count > 0);
    ck_assert_uint_eq(found, KEYS);
    state_backend_destroy(backend);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_eviction");
    TCase *tests = tcase_create("eviction");
    tcase_add_checked_fixture(tests, state_kit_init, state_kit_done);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_entry_is_in_a_set_once);
    tcase_add_test(tests, a_scan_does_not_stop_another_state);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
