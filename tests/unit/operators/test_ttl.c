/* `ttl` in keyed operators: the last write of a key counts, in every mode, also across restores.
 * Row i of an input comes at i * 400 ms; what was not written for 1,000 ms has expired. */
#include "tests/kit/operator_kit.h"

#include <check.h>

#define KV "k STRING, v INT"

/* A value belongs to the key's group, and a group that has expired takes its values along. A value
 * that did not come for as long counts anew while its key lives on, as in Flink. */
START_TEST(distinct_values_expire)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, d BIGINT, total INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"d", "count(distinct v)"}, {"total", "sum(distinct v)"}},
        .settings = {{"ttl_ms", "1000"}},
        .advance_ms = 400,
        .input = "+I[a, 1]\n+I[a, 2]\n+I[a, 1]\n+I[b, 9]\n+I[b, 9]\n+I[b, null]\n"
                 "+I[a, 2]\n+I[a, 1]\n+I[a, 1]\n+I[a, 1]\n+I[a, 2]\n+I[b, 9]\n",
        .expected = "+I[a, 1, 1, 1]\n+I[a, 2, 2, 3]\n+I[a, 3, 2, 3]\n+I[b, 1, 1, 9]\n"
                    "+I[b, 2, 1, 9]\n+I[b, 3, 1, 9]\n"
                    "+I[a, 1, 1, 2]\n" /* all of a has expired */
                    "+I[a, 2, 2, 3]\n+I[a, 3, 2, 3]\n+I[a, 4, 2, 3]\n"
                    "+I[a, 5, 3, 5]\n" /* 2 had expired */
                    "+I[b, 1, 1, 9]\n",
    });
}
END_TEST

/* What is taken back of a group or a value that has expired changes nothing. */
START_TEST(retractions_of_expired_rows_are_ignored)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, d BIGINT",
        .keys = {"k"},
        .columns = {{"d", "count(distinct v)"}},
        .settings = {{"emit", "changelog"}, {"input_changes", "true"}, {"ttl_ms", "1000"}},
        .compare = KIT_ORDERED,
        .advance_ms = 400,
        .input = "+I[a, 1]\n+I[a, 2]\n+I[b, 1]\n+I[b, 1]\n+I[b, 1]\n+I[a, 3]\n-D[a, 3]\n",
        .expected = "+I[a, 1]\n-U[a, 1]\n+U[a, 2]\n+I[b, 1]\n+I[a, 1]\n-D[a, 1]\n",
    });
}
END_TEST

/* A key that comes again after it has expired is new. */
START_TEST(changelog_begins_anew_with_a_key_that_expired)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, total INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}},
        .settings = {{"emit", "changelog"}, {"ttl_ms", "1000"}},
        .compare = KIT_ORDERED,
        .advance_ms = 400,
        .input = "+I[a, 1]\n+I[a, 2]\n+I[b, 3]\n+I[b, 4]\n+I[b, 5]\n+I[a, 6]\n+I[b, 7]\n",
        .expected = "+I[a, 1, 1]\n-U[a, 1, 1]\n+U[a, 2, 3]\n+I[b, 1, 3]\n-U[b, 1, 3]\n"
                    "+U[b, 2, 7]\n-U[b, 2, 7]\n+U[b, 3, 12]\n+I[a, 1, 6]\n-U[b, 3, 12]\n"
                    "+U[b, 4, 19]\n",
    });
}
END_TEST

/* At the end only what has not expired has a result; the end comes 400 ms after the last row. */
START_TEST(the_end_gives_no_key_that_expired)
{
    struct kit_case test = {
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, d BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"d", "count(distinct v)"}},
        .settings = {{"emit", "end"}, {"ttl_ms", "1000"}},
        .compare = KIT_BAG,
        .advance_ms = 400,
        .input = "+I[a, 1]\n+I[b, 2]\n+I[a, 3]\n+I[c, 4]\n+I[d, 5]\n+I[c, 4]\n",
        .expected = "+I[c, 2, 1]\n+I[d, 1, 1]\n",
    };
    kit_verify(&test);
    test.kind = "reduce";
    test.output_schema = test.input_schema;
    test.columns[0] = (struct kit_column){"v", "acc.v + v"};
    test.columns[1] = (struct kit_column){NULL, NULL};
    test.expected = "+I[c, 8]\n+I[d, 5]\n";
    kit_verify(&test);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ttl");
    TCase *tests = tcase_create("ttl");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, distinct_values_expire);
    tcase_add_test(tests, retractions_of_expired_rows_are_ignored);
    tcase_add_test(tests, changelog_begins_anew_with_a_key_that_expired);
    tcase_add_test(tests, the_end_gives_no_key_that_expired);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
