/* Aligned windows through the kit: kinds, emission, lateness, edges of time. */
#include "tests/kit/operator_kit.h"

#include <check.h>
#include <stdlib.h>

#define ROWS    "k STRING, at TIMESTAMP(3), v INT"
#define WINDOWS "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, total INT"
#define T(time) "1970-01-01 00:00:" time

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

static Suite *windows_suite(void)
{
    Suite *suite = suite_create("windows");
    TCase *test = tcase_create("aligned");
    tcase_set_timeout(test, 120);
    tcase_add_test(test, tumbling_windows_fire_once_when_the_watermark_passes);
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
