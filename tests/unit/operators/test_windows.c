/* Aligned windows through the kit: kinds, emission, lateness, edges of time. */
#include "tests/kit/operator_kit.h"

#include <check.h>
#include <stdlib.h>

#define ROWS    "k STRING, at TIMESTAMP(3), v INT"
#define WINDOWS "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, total INT"

START_TEST(tumbling_windows_fire_once_when_the_watermark_passes)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = ROWS,
        .output_schema = WINDOWS,
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}},
        .settings = {{"window", "tumbling"}, {"window.size_ms", "10000"}, {"time_column", "at"}},
        .compare = KIT_BAG,
        .has_late = true,
        .input = "+I[a, 1970-01-01 00:00:01.000, 1]\n+I[b, 1970-01-01 00:00:09.999, 2]\n"
                 "+I[a, 1970-01-01 00:00:10.000, 3]\n+I[a, 1970-01-01 00:00:05.000, 4]\n"
                 "@9998\n+I[null, 1970-01-01 00:00:00.000, 5]\n@9999\n"
                 "+I[a, 1970-01-01 00:00:09.999, 100]\n+I[a, 1970-01-01 00:00:19.999, 6]\n"
                 "@10000\n@40000\n+I[c, 1970-01-01 00:00:50.000, 7]\n@max\n",
        .expected = "+I[a, 1970-01-01 00:00:00.000, 1970-01-01 00:00:10.000, 2, 5]\n"
                    "+I[b, 1970-01-01 00:00:00.000, 1970-01-01 00:00:10.000, 1, 2]\n"
                    "+I[null, 1970-01-01 00:00:00.000, 1970-01-01 00:00:10.000, 1, 5]\n"
                    "late +I[a, 1970-01-01 00:00:09.999, 100]\n"
                    "+I[a, 1970-01-01 00:00:10.000, 1970-01-01 00:00:20.000, 2, 9]\n"
                    "+I[c, 1970-01-01 00:00:50.000, 1970-01-01 00:01:00.000, 1, 7]\n",
    });
}
END_TEST

#define DAY "1970-01-01 00:00:"

/* What cannot be put together from slices is kept per window. */
START_TEST(distinct_first_and_texts_know_overlapping_windows)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = ROWS,
        .output_schema =
            "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), d BIGINT, f "
            "INT, l INT, low STRING, odd BIGINT, mean DOUBLE",
        .keys = {"k"},
        .columns = {{"d", "count(distinct v)"},
                    {"f", "first_value(v)"},
                    {"l", "last_value(v)"},
                    {"low", "min(cast(v as string) || '-a-text-beyond-inline')"},
                    {"odd", "count(*) filter (where v % 2 = 1)"},
                    {"mean", "avg(cast(v as double))"}},
        .settings = {{"window", "hopping"},
                     {"window.size_ms", "2000"},
                     {"window.step_ms", "1000"},
                     {"time_column", "at"}},
        .compare = KIT_BAG,
        .input = "+I[a, " DAY "01.500, 3]\n+I[a, " DAY "00.500, 5]\n+I[a, " DAY "01.900, 3]\n"
                 "@999\n+I[a, " DAY "02.000, 4]\n@2999\n@max\n",
        .expected =
            "+I[a, 1969-12-31 23:59:59.000, " DAY
            "01.000, 1, 5, 5, 5-a-text-beyond-inline, 1, 5.0]\n"
            "+I[a, " DAY "00.000, " DAY "02.000, 2, 3, 3, 3-a-text-beyond-inline, 3, "
            "3.6666666666666665]\n"
            "+I[a, " DAY "01.000, " DAY "03.000, 2, 3, 4, 3-a-text-beyond-inline, 2, "
            "3.3333333333333335]\n"
            "+I[a, " DAY "02.000, " DAY "04.000, 1, 4, 4, 4-a-text-beyond-inline, 0, 4.0]\n",
    });
}
END_TEST

/* Slices merge texts and floats too. */
START_TEST(slices_hold_every_kind_of_accumulator)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = ROWS,
        .output_schema =
            "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), low STRING, "
            "mean DOUBLE, exact DECIMAL(38; 2), whole INT",
        .keys = {"k"},
        .columns = {{"low", "min(cast(v as string) || '-a-text-beyond-inline')"},
                    {"mean", "avg(cast(v as double))"},
                    {"exact", "sum(cast(v as decimal(10, 2)))"},
                    {"whole", "avg(v)"}},
        .settings = {{"window", "cumulating"},
                     {"window.size_ms", "3000"},
                     {"window.step_ms", "1000"},
                     {"time_column", "at"}},
        .compare = KIT_BAG,
        .input = "+I[a, " DAY "00.500, -5]\n@999\n+I[a, " DAY "01.500, 3]\n+I[b, " DAY
                 "01.000, null]\n@1999\n+I[a, " DAY "02.999, 4]\n@max\n",
        .expected =
            "+I[a, " DAY "00.000, " DAY "01.000, -5-a-text-beyond-inline, -5.0, -5.00, -5]\n"
            "+I[a, " DAY "00.000, " DAY "02.000, -5-a-text-beyond-inline, -1.0, -2.00, -1]\n"
            "+I[b, " DAY "00.000, " DAY "02.000, null, null, null, null]\n"
            "+I[a, " DAY "00.000, " DAY "03.000, -5-a-text-beyond-inline, "
            "0.6666666666666666, 2.00, 0]\n"
            "+I[b, " DAY "00.000, " DAY "03.000, null, null, null, null]\n",
    });
}
END_TEST

/* Sums of slices are taken back exactly, also beyond 64 bits. */
START_TEST(what_leaves_a_hopping_window_is_taken_back)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = "k STRING, at TIMESTAMP(3), v DECIMAL(38; 0)",
        .output_schema = "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, "
                         "total DECIMAL(38; 0)",
        .keys = {"k"},
        .columns = {{"n", "count(v)"}, {"total", "sum(v)"}},
        .settings = {{"window", "hopping"},
                     {"window.size_ms", "2000"},
                     {"window.step_ms", "1000"},
                     {"time_column", "at"}},
        .compare = KIT_BAG,
        .input = "+I[a, " DAY "00.500, 99999999999999999999999999999999999999]\n"
                 "+I[a, " DAY "01.500, 1]\n+I[a, " DAY "02.500, -18446744073709551616]\n"
                 "+I[a, " DAY "03.500, -7]\n@max\n",
        .expected = "+I[a, 1969-12-31 23:59:59.000, " DAY "01.000, 1, "
                    "99999999999999999999999999999999999999]\n"
                    "+I[a, " DAY "00.000, " DAY "02.000, 2, null]\n"
                    "+I[a, " DAY "01.000, " DAY "03.000, 2, -18446744073709551615]\n"
                    "+I[a, " DAY "02.000, " DAY "04.000, 2, -18446744073709551623]\n"
                    "+I[a, " DAY "03.000, " DAY "05.000, 1, -7]\n",
    });
}
END_TEST

START_TEST(rows_are_taken_back_from_their_window)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = ROWS,
        .output_schema = WINDOWS,
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"total", "sum(v)"}},
        .settings = {{"window", "tumbling"},
                     {"window.size_ms", "10000"},
                     {"window.lateness_ms", "10000"},
                     {"emit", "changelog"},
                     {"input_changes", "true"},
                     {"time_column", "at"}},
        .compare = KIT_MATERIALIZED,
        .input =
            "+I[a, " DAY "01.000, 1]\n+I[b, " DAY "01.000, 2]\n-U[a, " DAY "01.000, 1]\n"
            "+U[a, " DAY "01.000, 5]\n-D[b, " DAY "01.000, 2]\n+I[c, " DAY "02.000, 3]\n@9999\n"
            "-D[c, " DAY "02.000, 3]\n+I[b, " DAY "03.000, 4]\n@max\n",
        .expected = "+I[a, " DAY "00.000, " DAY "10.000, 1, 5]\n"
                    "+I[b, " DAY "00.000, " DAY "10.000, 1, 4]\n",
    });
}
END_TEST

START_TEST(by_the_clock_windows_fire_when_it_is_time)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = "k STRING",
        .output_schema = "k STRING, window_start TIMESTAMP_LTZ(3), window_end TIMESTAMP_LTZ(3), n "
                         "BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}},
        .settings = {{"window", "hopping"},
                     {"window.size_ms", "4000"},
                     {"window.step_ms", "2000"},
                     {"window.time", "processing"}},
        .compare = KIT_BAG,
        .has_clock = true,
        .input = "!1000\n+I[a]\n@5000\n+I[b]\n!1999\n!2000\n+I[a]\n!9000\n+I[c]\n@max\n",
        .expected =
            "+I[a, 1969-12-31 23:59:58.000, " DAY "02.000, 1]\n"
            "+I[b, 1969-12-31 23:59:58.000, " DAY "02.000, 1]\n"
            "+I[a, " DAY "00.000, " DAY "04.000, 2]\n+I[b, " DAY "00.000, " DAY "04.000, 1]\n"
            "+I[a, " DAY "02.000, " DAY "06.000, 1]\n"
            "+I[c, " DAY "06.000, " DAY "10.000, 1]\n+I[c, " DAY "08.000, " DAY "12.000, 1]\n",
    });
}
END_TEST

START_TEST(the_global_window_ends_with_the_input)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = "k STRING, v INT",
        .output_schema = "k STRING, n BIGINT, d BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}, {"d", "count(distinct v)"}},
        .settings = {{"window", "global"}},
        .compare = KIT_BAG,
        .input = "+I[a, 1]\n@100\n+I[a, 1]\n+I[b, 2]\n@max\n",
        .expected = "+I[a, 2, 1]\n+I[b, 1, 1]\n",
    });
}
END_TEST

START_TEST(rows_without_a_usable_time_are_row_errors)
{
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = "k STRING, at TIMESTAMP(3), v STRING",
        .output_schema =
            "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), total BIGINT",
        .keys = {"k"},
        .columns = {{"total", "sum(cast(v as bigint))"}},
        .settings = {{"window", "hopping"},
                     {"window.size_ms", "2000"},
                     {"window.step_ms", "1000"},
                     {"window.lateness_ms", "1"},
                     {"time_column", "at"}},
        .on_error = ON_ERROR_SKIP,
        .compare = KIT_BAG,
        .input = "+I[a, null, 1]\n+I[a, " DAY "00.500, x]\n+I[a, " DAY "00.500, 2]\n@max\n",
        .expected = "+I[a, 1969-12-31 23:59:59.000, " DAY "01.000, 2]\n"
                    "+I[a, " DAY "00.000, " DAY "02.000, 2]\n",
        .expected_errors = 2,
    });
}
END_TEST

START_TEST(every_so_many_rows_make_a_window)
{
    kit_verify(&(struct kit_case){
        .kind = "count_aggregate",
        .input_schema = "k STRING, v INT",
        .output_schema = "k STRING, n BIGINT, total INT, f INT, top STRING",
        .keys = {"k"},
        .columns = {{"n", "count(*)"},
                    {"total", "sum(v)"},
                    {"f", "first_value(v)"},
                    {"top", "max(cast(v as string) || '-a-text-beyond-inline')"}},
        .settings = {{"window", "count"}, {"window.rows", "3"}},
        .input = "+I[a, 1]\n+I[a, 2]\n+I[b, 9]\n+I[a, 3]\n+I[a, 4]\n+I[b, 8]\n+I[a, null]\n+I[a, "
                 "5]\n+I[b, 7]\n+I[a, 6]\n",
        .expected = "+I[a, 3, 6, 1, 3-a-text-beyond-inline]\n"
                    "+I[a, 3, 9, 4, 5-a-text-beyond-inline]\n"
                    "+I[b, 3, 24, 9, 9-a-text-beyond-inline]\n",
    });
    kit_verify(&(struct kit_case){
        .kind = "count_aggregate",
        .input_schema = "k STRING, v INT",
        .output_schema = "total INT, k STRING",
        .keys = {"k"},
        .columns = {{"total", "sum(v)"}},
        .settings = {{"window", "count"}, {"window.rows", "2"}, {"emit", "each"}},
        .input = "+I[a, 1]\n+I[a, 2]\n+I[b, 9]\n+I[a, 3]\n",
        .expected = "+I[1, a]\n+I[3, a]\n+I[9, b]\n+I[3, a]\n",
    });
}
END_TEST

static Suite *windows_suite(void)
{
    Suite *suite = suite_create("windows");
    TCase *test = tcase_create("aligned");
    tcase_set_timeout(test, 120);
    tcase_add_test(test, tumbling_windows_fire_once_when_the_watermark_passes);
    tcase_add_test(test, distinct_first_and_texts_know_overlapping_windows);
    tcase_add_test(test, slices_hold_every_kind_of_accumulator);
    tcase_add_test(test, what_leaves_a_hopping_window_is_taken_back);
    tcase_add_test(test, rows_are_taken_back_from_their_window);
    tcase_add_test(test, by_the_clock_windows_fire_when_it_is_time);
    tcase_add_test(test, the_global_window_ends_with_the_input);
    tcase_add_test(test, rows_without_a_usable_time_are_row_errors);
    tcase_add_test(test, every_so_many_rows_make_a_window);
    suite_add_tcase(suite, test);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(windows_suite());
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
