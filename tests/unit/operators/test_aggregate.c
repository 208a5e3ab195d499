/* aggregate and its functions through the kit. */
#include "tests/kit/operator_kit.h"

#include "common/base/random.h"
#include "common/base/text.h"
#include "operators/aggregate_plan.h"

#include <check.h>
#include <stdlib.h>

#define KV "k STRING, v INT"

START_TEST(each_gives_the_running_value_after_every_row)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, total INT, low INT, high INT, mean INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"},
                    {"total", "sum(v)"},
                    {"low", "min(v)"},
                    {"high", "max(v)"},
                    {"mean", "avg(v)"}},
        .input = "+I[a, 5]\n+I[a, null]\n+I[b, null]\n+I[a, 2]\n+I[null, 1]\n+I[a, -8]\n"
                 "+I[null, 2]\n+I[, 7]\n+I[b, 3]\n",
        .expected = "+I[a, 1, 5, 5, 5, 5]\n+I[a, 2, 5, 5, 5, 5]\n+I[b, 1, null, null, null, null]\n"
                    "+I[a, 3, 7, 2, 5, 3]\n+I[null, 1, 1, 1, 1, 1]\n+I[a, 4, -1, -8, 5, 0]\n"
                    "+I[null, 2, 3, 1, 2, 1]\n+I[, 1, 7, 7, 7, 7]\n+I[b, 2, 3, 3, 3, 3]\n",
    });
}
END_TEST

START_TEST(texts_are_kept_by_min_max_first_and_last)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k INT, s STRING",
        .output_schema = "k INT, low STRING, high STRING, f STRING, l STRING",
        .keys = {"k"},
        .columns = {{"low", "min(s)"},
                    {"high", "max(s)"},
                    {"f", "first_value(s)"},
                    {"l", "last_value(s)"}},
        .input = "+I[1, null]\n+I[1, middle-that-is-long]\n+I[1, z]\n+I[2, x]\n"
                 "+I[1, a-text-beyond-inline]\n+I[1, null]\n",
        .expected = "+I[1, null, null, null, null]\n"
                    "+I[1, middle-that-is-long, middle-that-is-long, middle-that-is-long, "
                    "middle-that-is-long]\n"
                    "+I[1, middle-that-is-long, z, middle-that-is-long, z]\n+I[2, x, x, x, x]\n"
                    "+I[1, a-text-beyond-inline, z, middle-that-is-long, a-text-beyond-inline]\n"
                    "+I[1, a-text-beyond-inline, z, middle-that-is-long, a-text-beyond-inline]\n",
    });
}
END_TEST

START_TEST(integers_wrap_and_decimals_become_null)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k INT, t TINYINT, b BIGINT, d DECIMAL(38; 0)",
        .output_schema = "k INT, st TINYINT, sb BIGINT, sd DECIMAL(38; 0)",
        .keys = {"k"},
        .columns = {{"st", "sum(t)"}, {"sb", "sum(b)"}, {"sd", "sum(d)"}},
        .input = "+I[1, 127, 9223372036854775807, 99999999999999999999999999999999999999]\n"
                 "+I[1, 1, 1, 1]\n"
                 "+I[1, 0, 0, 99999999999999999999999999999999999999]\n"
                 "+I[1, 0, 0, 99999999999999999999999999999999999999]\n"
                 "+I[1, 0, 0, -99999999999999999999999999999999999999]\n"
                 "+I[1, 0, 0, -99999999999999999999999999999999999999]\n"
                 "+I[1, 0, 0, -2]\n",
        .expected = "+I[1, 127, 9223372036854775807, 99999999999999999999999999999999999999]\n"
                    "+I[1, -128, -9223372036854775808, null]\n"
                    "+I[1, -128, -9223372036854775808, null]\n"
                    "+I[1, -128, -9223372036854775808, null]\n"
                    "+I[1, -128, -9223372036854775808, null]\n"
                    "+I[1, -128, -9223372036854775808, null]\n"
                    "+I[1, -128, -9223372036854775808, 99999999999999999999999999999999999998]\n",
    });
}
END_TEST

START_TEST(averages_truncate_or_round)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k INT, i INT, d DECIMAL(10; 2), f DOUBLE",
        .output_schema = "k INT, ai INT, ad DECIMAL(38; 6), af DOUBLE",
        .keys = {"k"},
        .columns = {{"ai", "avg(i)"}, {"ad", "avg(d)"}, {"af", "avg(f)"}},
        .input = "+I[1, 1, 1.00, 1.5]\n+I[1, 2, 1.00, 2]\n+I[1, -9, 0.00, 1]\n"
                 "+I[2, -1, -1.00, 0.5]\n+I[2, -2, -1.00, 0.5]\n+I[2, 0, 0.00, null]\n",
        .expected = "+I[1, 1, 1.000000, 1.5]\n+I[1, 1, 1.000000, 1.75]\n+I[1, -2, 0.666667, 1.5]\n"
                    "+I[2, -1, -1.000000, 0.5]\n+I[2, -1, -1.000000, 0.5]\n"
                    "+I[2, -1, -0.666667, 0.5]\n",
    });
}
END_TEST

START_TEST(dates_times_and_floats_have_extremes)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k INT, d DATE, t TIMESTAMP(3), f FLOAT, m DECIMAL(5; 1)",
        .output_schema = "k INT, d DATE, t TIMESTAMP(3), f FLOAT, m DECIMAL(5; 1)",
        .keys = {"k"},
        .columns = {{"d", "min(d)"}, {"t", "max(t)"}, {"f", "max(f)"}, {"m", "min(m)"}},
        .input = "+I[1, 2024-02-29, 2024-01-01 00:00:00.000, -1.5, 7.5]\n"
                 "+I[1, 1969-12-31, 2023-01-01 00:00:00.000, -2.5, -3.5]\n",
        .expected = "+I[1, 2024-02-29, 2024-01-01 00:00:00.000, -1.5, 7.5]\n"
                    "+I[1, 1969-12-31, 2024-01-01 00:00:00.000, -1.5, -3.5]\n",
    });
}
END_TEST

START_TEST(filters_choose_the_rows_of_one_call)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, big BIGINT, total INT",
        .keys = {"k"},
        .columns = {{"n", "count(v)"},
                    {"big", "count(*) filter (where v > 3)"},
                    {"total", "sum(v) filter (where v > 3)"}},
        .input = "+I[a, 1]\n+I[a, 5]\n+I[a, null]\n+I[b, 9]\n+I[a, 4]\n",
        .expected = "+I[a, 1, 0, null]\n+I[a, 2, 1, 5]\n+I[a, 2, 1, 5]\n+I[b, 1, 1, 9]\n"
                    "+I[a, 3, 2, 9]\n",
    });
}
END_TEST

START_TEST(distinct_values_count_once)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k STRING, s STRING, v INT",
        .output_schema = "k STRING, n BIGINT, total INT, some BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(distinct s)"},
                    {"total", "sum(distinct v)"},
                    {"some", "count(distinct v) filter (where s <> 'x')"}},
        .input = "+I[a, x, 1]\n+I[a, y, 1]\n+I[a, x, 2]\n+I[b, x, 2]\n+I[a, null, null]\n"
                 "+I[a, y, 2]\n",
        .expected = "+I[a, 1, 1, 0]\n+I[a, 2, 1, 1]\n+I[a, 2, 3, 1]\n+I[b, 1, 2, 0]\n"
                    "+I[a, 2, 3, 1]\n+I[a, 2, 3, 2]\n",
    });
}
END_TEST

START_TEST(batch_gives_the_latest_of_each_key)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, l INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"l", "last_value(v)"}},
        .settings = {{"emit", "batch"}},
        .compare = KIT_LATEST,
        .input = "+I[a, 1]\n+I[b, 2]\n+I[a, 3]\n+I[null, 4]\n+I[a, 5]\n+I[b, 6]\n",
        .expected = "+I[a, 3, 5]\n+I[b, 2, 6]\n+I[null, 1, 4]\n",
    });
}
END_TEST

START_TEST(end_gives_one_row_for_each_key)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k STRING, j INT, v INT",
        .output_schema = "k STRING, j INT, n BIGINT, total INT",
        .keys = {"k", "j"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}},
        .settings = {{"emit", "end"}},
        .compare = KIT_BAG,
        .input = "+I[a, 1, 1]\n+I[a, 2, 2]\n+I[a, 1, 3]\n+I[null, null, 4]\n+I[null, null, 5]\n",
        .expected = "+I[a, 1, 2, 4]\n+I[a, 2, 1, 2]\n+I[null, null, 2, 9]\n",
    });
}
END_TEST

START_TEST(one_group_without_keys_even_over_nothing)
{
    struct kit_case test = {
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "n BIGINT, total INT, low STRING",
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}, {"low", "min(k)"}},
        .settings = {{"emit", "end"}},
        .input = "",
        .expected = "+I[0, null, null]\n",
    };
    kit_verify(&test);
    test.input = "+I[b, 1]\n+I[a, 2]\n";
    test.expected = "+I[2, 3, a]\n";
    kit_verify(&test);
}
END_TEST

START_TEST(nothing_comes_of_nothing)
{
    static const char *const modes[] = {"each", "batch", "end", "changelog"};
    for (int i = 0; i < 4; i++)
        kit_verify(&(struct kit_case){
            .kind = "aggregate",
            .input_schema = KV,
            .output_schema = "k STRING, n BIGINT",
            .keys = {"k"},
            .columns = {{"n", "count(*)"}},
            .settings = {{"emit", modes[i]}},
            .input = "",
            .expected = "",
        });
}
END_TEST

START_TEST(changelog_of_retractions)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, total INT, differing BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}, {"differing", "count(distinct v)"}},
        .settings = {{"emit", "changelog"}},
        .compare = KIT_MATERIALIZED,
        .input = "+I[a, 1]\n+I[b, 2]\n-U[a, 1]\n+U[a, 7]\n-D[b, 2]\n+I[c, 1]\n+I[c, 1]\n-D[c, 1]\n"
                 "+I[d, 3]\n-D[d, 3]\n+I[d, null]\n",
        .expected = "+I[a, 1, 7, 1]\n+I[c, 1, 1, 1]\n+I[d, 1, null, 0]\n",
    });
}
END_TEST

START_TEST(changelog_of_inserts)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = "k STRING, v STRING",
        .output_schema = "k STRING, high STRING",
        .keys = {"k"},
        .columns = {{"high", "max(v)"}},
        .settings = {{"emit", "changelog"}},
        .compare = KIT_MATERIALIZED,
        .input = "+I[a, five-is-a-long-text]\n+I[a, 3]\n+I[a, nine-is-a-long-text]\n+I[b, null]\n",
        .expected = "+I[a, nine-is-a-long-text]\n+I[b, null]\n",
    });
}
END_TEST

START_TEST(retraction_with_each_and_end)
{
    struct kit_case test = {
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, total INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}},
        .settings = {{"input_changes", "true"}},
        .input = "+I[a, 1]\n+I[b, 5]\n-D[a, 1]\n+I[b, 2]\n-D[b, 5]\n",
        .expected = "+I[a, 1, 1]\n+I[b, 1, 5]\n+I[a, 0, null]\n+I[b, 2, 7]\n+I[b, 1, 2]\n",
    };
    kit_verify(&test);
    test.settings[1] = (struct kit_column){"emit", "end"};
    test.expected = "+I[b, 1, 2]\n";
    kit_verify(&test);
}
END_TEST

START_TEST(what_cannot_be_taken_back_is_refused)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, low INT",
        .keys = {"k"},
        .columns = {{"low", "min(v)"}},
        .input = "+I[a, 1]\n-D[a, 1]\n",
        .failure = "takes rows back",
    });
}
END_TEST

START_TEST(failed_rows_are_left_out)
{
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, total INT, some INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"},
                    {"total", "sum(10 / v)"},
                    {"some", "sum(v) filter (where 10 / (v - 1) > 0)"}},
        .on_error = ON_ERROR_DEAD_LETTER,
        .input = "+I[a, 2]\n+I[a, 0]\n+I[b, 5]\n+I[a, 1]\n+I[b, 10]\n",
        .expected = "+I[a, 1, 5, 2]\n+I[b, 1, 2, 5]\n+I[b, 2, 3, 15]\n",
        .expected_errors = 2,
    });
}
END_TEST

/* 10,000 rows over few keys against plain arithmetic. */
START_TEST(random_rows_agree_with_plain_arithmetic)
{
    enum { ROWS = 10000, KEYS = 37 };
    struct text input;
    struct text expected;
    text_init(&input, 1 << 24);
    text_init(&expected, 1 << 24);
    struct random random;
    random_init(&random, 42);
    int64_t counts[KEYS] = {0};
    int64_t totals[KEYS] = {0};
    int64_t values[KEYS] = {0};
    int32_t highs[KEYS] = {0};
    for (int i = 0; i < ROWS; i++) {
        const unsigned key =
            (unsigned)(random_below(&random, KEYS) * random_below(&random, KEYS) / KEYS);
        const int32_t value = (int32_t)random_next(&random);
        const bool is_null = random_below(&random, 10) == 0;
        counts[key]++;
        if (!is_null) {
            totals[key] += value;
            highs[key] = values[key]++ == 0 || value > highs[key] ? value : highs[key];
        }
        if (is_null)
            text_format(&input, "+I[key-number-%u, null]\n", key);
        else
            text_format(&input, "+I[key-number-%u, %d]\n", key, value);
        if (values[key] == 0)
            text_format(&expected, "+I[key-number-%u, %lld, null, null, null]\n", key,
                        (long long)counts[key]);
        else
            text_format(&expected, "+I[key-number-%u, %lld, %d, %d, %d]\n", key,
                        (long long)counts[key], (int32_t)(uint32_t)totals[key], highs[key],
                        (int32_t)(totals[key] / values[key]));
    }
    kit_verify(&(struct kit_case){
        .kind = "aggregate",
        .input_schema = KV,
        .output_schema = "k STRING, n BIGINT, total INT, high INT, mean INT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}, {"high", "max(v)"}, {"mean", "avg(v)"}},
        .input = input.bytes,
        .expected = expected.bytes,
        .is_large = true,
    });
    text_done(&input);
    text_done(&expected);
}
END_TEST

/* The text of a call's other half, and the schema between the two. */
START_TEST(plan_of_a_split_aggregation)
{
    struct schema *input = operator_kit_schema("k STRING, v INT");
    struct named_expression columns[2] = {{.name = (char *)(uintptr_t) "n"},
                                          {.name = (char *)(uintptr_t) "mean"}};
    char *keys[1] = {(char *)(uintptr_t) "k"};
    struct aggregate_call calls[2];
    struct expression_problem problem;
    ck_assert_int_eq(aggregate_call_compile("count(*)", input, NULL, &calls[0], &problem),
                     STATUS_OK);
    ck_assert_int_eq(aggregate_call_compile("avg(v)", input, NULL, &calls[1], &problem), STATUS_OK);
    ck_assert(aggregate_call_is_mergeable(&calls[1]));
    struct schema *local = aggregate_local_schema(input, keys, 1, columns, calls, 2);
    ck_assert_uint_eq(local->column_count, 4);
    ck_assert_int_eq(schema_find(local, "k"), 0);
    ck_assert_int_eq(schema_find(local, "n/count"), 1);
    ck_assert_int_eq(schema_find(local, "mean/avg_sum"), 2);
    ck_assert_int_eq(schema_find(local, "mean/avg_rows"), 3);
    char *merge = aggregate_merge_text(&calls[1], "mean");
    ck_assert_str_eq(merge, "avg(\"mean/avg_sum\")");
    free(merge);
    schema_unref(local);
    aggregate_call_done(&calls[0]);
    aggregate_call_done(&calls[1]);
    schema_unref(input);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aggregate");
    TCase *tests = tcase_create("aggregate");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_gives_the_running_value_after_every_row);
    tcase_add_test(tests, texts_are_kept_by_min_max_first_and_last);
    tcase_add_test(tests, integers_wrap_and_decimals_become_null);
    tcase_add_test(tests, averages_truncate_or_round);
    tcase_add_test(tests, dates_times_and_floats_have_extremes);
    tcase_add_test(tests, filters_choose_the_rows_of_one_call);
    tcase_add_test(tests, distinct_values_count_once);
    tcase_add_test(tests, batch_gives_the_latest_of_each_key);
    tcase_add_test(tests, end_gives_one_row_for_each_key);
    tcase_add_test(tests, one_group_without_keys_even_over_nothing);
    tcase_add_test(tests, nothing_comes_of_nothing);
    tcase_add_test(tests, changelog_of_retractions);
    tcase_add_test(tests, changelog_of_inserts);
    tcase_add_test(tests, retraction_with_each_and_end);
    tcase_add_test(tests, what_cannot_be_taken_back_is_refused);
    tcase_add_test(tests, failed_rows_are_left_out);
    tcase_add_test(tests, random_rows_agree_with_plain_arithmetic);
    tcase_add_test(tests, plan_of_a_split_aggregation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
