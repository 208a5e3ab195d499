/* The budget of a TaskManager: its parts, and what is measured of the overhead. */
#include "taskmanager/memory_budget.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define MIB UINT64_C(1048576)

static struct memory_budget budget;

static void setup(void)
{
    struct error err;
    struct config *config = config_create();
    ck_assert_int_eq(memory_budget_init(&budget, config, 256 * MIB, &err), STATUS_OK);
    config_destroy(config);
}

START_TEST(the_parts_are_the_whole)
{
    ck_assert_uint_eq(budget.total_bytes, 256 * MIB);
    ck_assert_uint_eq(budget.overhead.limit_bytes + budget.exchange.limit_bytes +
                          budget.state_cache.limit_bytes + budget.write_queue.limit_bytes +
                          budget.rocksdb.limit_bytes + budget.operators.limit_bytes,
                      budget.total_bytes);
}
END_TEST

/* Sanitizers have a malloc of their own, which does not tell. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
START_TEST(overhead_is_the_heap_that_no_part_has_booked)
{
    memory_budget_measure(&budget);
    const uint64_t before = memory_used(&budget.overhead);
    ck_assert_uint_gt(before, MIB / 4);
    ck_assert_uint_le(before, memory_resident_bytes() + 2 * MIB);
    char *block = malloc(32 * MIB);
    ck_assert_ptr_nonnull(block);
    memset(block, 1, 32 * MIB);
    memory_budget_measure(&budget);
    const uint64_t with_block = memory_used(&budget.overhead);
    ck_assert_uint_ge(with_block, before + 31 * MIB);
    memory_force(&budget.operators, 32 * MIB);
    memory_budget_measure(&budget);
    ck_assert_uint_le(memory_used(&budget.overhead), with_block - 31 * MIB);
    ck_assert_int_eq(block[MIB], 1);
    free(block);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("memory_budget");
    TCase *tests = tcase_create("budget");
    tcase_add_checked_fixture(tests, setup, NULL);
    tcase_add_test(tests, the_parts_are_the_whole);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    tcase_add_test(tests, overhead_is_the_heap_that_no_part_has_booked);
#endif
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
