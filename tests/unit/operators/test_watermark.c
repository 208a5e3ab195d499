/* The operator watermark through the kit: which rows pass, and the time that is reported. */
#include "tests/kit/operator_kit.h"

#include <check.h>

#define FUTURE "2237-01-01 00:00:00"

static struct kit_case base_case(void)
{
    return (struct kit_case){
        .kind = "watermark",
        .input_schema = "k STRING, at TIMESTAMP_LTZ(3)",
        .output_schema = "k STRING, at TIMESTAMP_LTZ(3)",
        .settings = {{"watermark.column", "at"}},
        .on_error = ON_ERROR_DEAD_LETTER,
    };
}

START_TEST(rows_pass_and_the_largest_time_is_told)
{
    struct kit_case test = base_case();
    test.input = "+I[a, 1970-01-01 00:00:02.000]\n-U[b, 1970-01-01 00:00:09.999]\n"
                 "+U[c, 1969-12-31 23:59:59.000]\n";
    test.expected = "+I[a, 1970-01-01 00:00:02.000]\n-U[b, 1970-01-01 00:00:09.999]\n"
                    "+U[c, 1969-12-31 23:59:59.000]\n";
    test.expected_event_time_ms = 9999;
    kit_verify(&test);
    /* A part of a millisecond counts downwards, before 1970 too. */
    test.input_schema = test.output_schema = "k STRING, at TIMESTAMP(9)";
    test.input = test.expected = "+I[a, 1969-12-31 23:59:59.999999999]\n";
    test.expected_event_time_ms = -1;
    kit_verify(&test);
}
END_TEST

START_TEST(time_does_not_jump)
{
    struct kit_case test = base_case();
    test.input = "+I[a, 1970-01-01 00:00:02.000]\n+I[x, " FUTURE ".000]\n+I[y, null]\n"
                 "+U[b, 1970-01-01 00:00:01.000]\n";
    test.expected = "+I[a, 1970-01-01 00:00:02.000]\n+U[b, 1970-01-01 00:00:01.000]\n";
    test.expected_errors = 2;
    test.expected_event_time_ms = 2000;
    kit_verify(&test);
    test.on_error = ON_ERROR_FAIL;
    test.failure = "column \"at\": " FUTURE ".000 is more than 3600 s ahead";
    kit_verify(&test);
    test.input = "+I[y, null]\n";
    test.failure = "column \"at\": the event time is NULL";
    kit_verify(&test);
}
END_TEST

START_TEST(any_time_is_taken_on_request)
{
    struct kit_case test = base_case();
    test.settings[1] = (struct kit_column){"watermark.max_ahead", "0s"};
    test.input = test.expected = "+I[x, " FUTURE ".000]\n";
    test.expected_event_time_ms = INT64_C(8425728000000);
    kit_verify(&test);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watermark");
    TCase *tests = tcase_create("watermark");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, rows_pass_and_the_largest_time_is_told);
    tcase_add_test(tests, time_does_not_jump);
    tcase_add_test(tests, any_time_is_taken_on_request);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
