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

int main(void)
{
    Suite *suite = suite_create("state_eviction");
    TCase *tests = tcase_create("eviction");
    tcase_add_checked_fixture(tests, state_kit_init, state_kit_done);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_entry_is_in_a_set_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
