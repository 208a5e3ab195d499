/* reduce, and local_aggregate with the aggregate that merges its halves. */
#include "common/base/text.h"
#include "tests/kit/operator_kit.h"

#include <check.h>

START_TEST(reduce_folds_rows_of_a_key_in_order)
{
    struct kit_case test = {
        .kind = "reduce",
        .input_schema = "k STRING, v INT, s STRING, n INT",
        .output_schema = "k STRING, v INT, s STRING, n INT",
        .keys = {"k"},
        .columns = {{"v", "acc.v + v"}, {"s", "case when v > 2 then s else acc.s end"}},
        .input = "+I[a, 1, x, 1]\n+I[a, 2, yy, 2]\n+I[b, 7, null, 3]\n"
                 "+I[a, 3, zzzzzzzzzzzzzzz, null]\n+I[b, null, q, 5]\n+I[a, 4, !, 6]\n",
        .expected = "+I[a, 1, x, 1]\n+I[a, 3, x, 2]\n+I[b, 7, null, 3]\n"
                    "+I[a, 6, zzzzzzzzzzzzzzz, null]\n+I[b, null, null, 5]\n"
                    "+I[a, 10, !, 6]\n",
    };
    kit_verify(&test);
    test.settings[0] = (struct kit_column){"emit", "end"};
    test.compare = KIT_BAG;
    test.expected = "+I[a, 10, !, 6]\n+I[b, null, null, 5]\n";
    kit_verify(&test);
    test.settings[0] = (struct kit_column){"emit", "batch"};
    test.compare = KIT_LATEST;
    kit_verify(&test);
    test.settings[0] = (struct kit_column){"emit", "changelog"};
    test.compare = KIT_MATERIALIZED;
    kit_verify(&test);
}
END_TEST

START_TEST(reduce_leaves_out_failed_rows)
{
    kit_verify(&(struct kit_case){
        .kind = "reduce",
        .input_schema = "k INT, v INT",
        .output_schema = "k INT, v INT",
        .keys = {"k"},
        .columns = {{"v", "acc.v / v"}},
        .on_error = ON_ERROR_SKIP,
        .input = "+I[1, 100]\n+I[1, 0]\n+I[2, 0]\n+I[1, 5]\n+I[2, 3]\n",
        .expected = "+I[1, 100]\n+I[2, 0]\n+I[1, 20]\n+I[2, 0]\n",
        .expected_errors = 1,
    });
}
END_TEST

START_TEST(reduce_takes_no_changes)
{
    kit_verify(&(struct kit_case){
        .kind = "reduce",
        .input_schema = "k INT, v INT",
        .output_schema = "k INT, v INT",
        .keys = {"k"},
        .columns = {{"v", "acc.v + v"}},
        .input = "-D[1, 1]\n",
        .failure = "no changes",
    });
}
END_TEST

#define HALF                                                                                       \
    "k STRING, n/count BIGINT NOT NULL, total/sum BIGINT NOT NULL, total/sum_rows BIGINT NOT "     \
    "NULL, low/min INT"

START_TEST(local_halves_fold_rows_until_the_end)
{
    kit_verify(&(struct kit_case){
        .kind = "local_aggregate",
        .input_schema = "k STRING, v INT",
        .output_schema = HALF,
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}, {"low", "min(v)"}},
        .input = "+I[a, 1]\n+I[null, 4]\n+I[a, -3]\n+I[b, null]\n",
        .expected = "+I[a, 2, -2, 2, -3]\n+I[null, 1, 4, 1, 4]\n+I[b, 1, 0, 0, null]\n",
        .runs_without_restore = true,
    });
}
END_TEST

/* More keys than the table holds: what is full leaves in between. */
START_TEST(local_table_is_bounded)
{
    struct text input;
    struct text expected;
    text_init(&input, 1 << 24);
    text_init(&expected, 1 << 24);
    for (int i = 0; i < 40000; i++) {
        text_format(&input, "+I[%d]\n", i);
        text_format(&expected, "+I[%d, 1]\n", i);
    }
    kit_verify(&(struct kit_case){
        .kind = "local_aggregate",
        .input_schema = "k INT",
        .output_schema = "k INT, n/count BIGINT NOT NULL",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}},
        .input = input.bytes,
        .expected = expected.bytes,
        .is_large = true,
    });
    text_done(&input);
    text_done(&expected);
}
END_TEST

START_TEST(merging_halves_gives_the_whole)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = HALF,
        .output_schema = "k STRING, n BIGINT, total INT, low INT",
        .keys = {"k"},
        .columns = {{"n", "count(\"n/count\")"},
                    {"total", "sum(\"total/sum\")"},
                    {"low", "min(\"low/min\")"}},
        .settings = {{"emit", "end"}, {"merge", "true"}},
        .compare = KIT_BAG,
        .input = "+I[a, 2, -2, 2, -3]\n+I[b, 1, 0, 0, null]\n+I[a, 5, 2147483647, 4, -9]\n",
        .expected = "+I[a, 7, 2147483645, -9]\n+I[b, 1, null, null]\n",
    });
}
END_TEST

/* More keys than the smallest cache holds, all of them met again: every mode of emit. */
START_TEST(entries_leave_the_cache_and_come_back)
{
    enum { KEYS = 1000 };
    static const struct {
        const char *mode;
        enum kit_compare compare;
    } modes[] = {{"each", KIT_ORDERED},
                 {"batch", KIT_LATEST},
                 {"end", KIT_BAG},
                 {"changelog", KIT_MATERIALIZED}};
    struct text input;
    text_init(&input, 1 << 24);
    for (int i = 0; i < 2 * KEYS; i++)
        text_format(&input, "+I[a-key-too-long-for-a-view-%d, %d]\n", i % KEYS, i);
    for (size_t m = 0; m < sizeof(modes) / sizeof(modes[0]); m++) {
        struct text expected;
        text_init(&expected, 1 << 24);
        for (int i = modes[m].compare == KIT_ORDERED ? 0 : KEYS; i < 2 * KEYS; i++)
            text_format(&expected, "+I[a-key-too-long-for-a-view-%d, %d, %d]\n", i % KEYS,
                        i < KEYS ? i : 2 * i - KEYS, 1 + i / KEYS);
        kit_verify(&(struct kit_case){
            .kind = "aggregate",
            .input_schema = "k STRING, v INT",
            .output_schema = "k STRING, total INT, n BIGINT",
            .keys = {"k"},
            .columns = {{"total", "sum(v)"}, {"n", "count(*)"}},
            .settings = {{"emit", modes[m].mode}},
            .compare = modes[m].compare,
            .input = input.bytes,
            .expected = expected.bytes,
            .is_large = true,
        });
        text_done(&expected);
    }
    text_done(&input);
}
END_TEST

/* The last write counts, also across restores. */
START_TEST(ttl_forgets_keys_that_are_not_written)
{
    struct kit_case test = {
        .kind = "aggregate",
        .input_schema = "k STRING, v INT",
        .output_schema = "k STRING, n BIGINT, total INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}},
        .settings = {{"ttl_ms", "1000"}},
        .advance_ms = 400,
        .input = "+I[a, 1]\n+I[a, 2]\n+I[b, 3]\n+I[a, 4]\n+I[b, 5]\n+I[b, 6]\n+I[a, 7]\n",
        .expected = "+I[a, 1, 1]\n+I[a, 2, 3]\n+I[b, 1, 3]\n+I[a, 3, 7]\n+I[b, 2, 8]\n"
                    "+I[b, 3, 14]\n+I[a, 1, 7]\n",
    };
    kit_verify(&test);
    test.kind = "reduce";
    test.output_schema = test.input_schema;
    test.columns[0] = (struct kit_column){"v", "acc.v + v"};
    test.columns[1] = (struct kit_column){NULL, NULL};
    test.expected = "+I[a, 1]\n+I[a, 3]\n+I[b, 3]\n+I[a, 7]\n+I[b, 8]\n+I[b, 14]\n+I[a, 7]\n";
    kit_verify(&test);
}
END_TEST

START_TEST(what_has_no_halves_is_refused)
{
    kit_verify(&(struct kit_case){
        .kind = "local_aggregate",
        .input_schema = "k STRING, v DOUBLE",
        .output_schema = "k STRING, t DOUBLE",
        .keys = {"k"},
        .columns = {{"t", "sum(v)"}},
        .input = "",
        .failure = "cannot be split",
    });
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reduce and local_aggregate");
    TCase *tests = tcase_create("reduce and local_aggregate");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, reduce_folds_rows_of_a_key_in_order);
    tcase_add_test(tests, reduce_leaves_out_failed_rows);
    tcase_add_test(tests, reduce_takes_no_changes);
    tcase_add_test(tests, local_halves_fold_rows_until_the_end);
    tcase_add_test(tests, local_table_is_bounded);
    tcase_add_test(tests, merging_halves_gives_the_whole);
    tcase_add_test(tests, entries_leave_the_cache_and_come_back);
    tcase_add_test(tests, ttl_forgets_keys_that_are_not_written);
    tcase_add_test(tests, what_has_no_halves_is_refused);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
