/* unnest and calc through the kit. */
#include "common/base/text.h"
#include "tests/kit/operator_kit.h"

#include <check.h>

START_TEST(unnest_gives_a_row_for_each_element)
{
    kit_verify(&(struct kit_case){
        .kind = "unnest",
        .input_schema = "line STRING",
        .output_schema = "word STRING",
        .columns = {{"word", "split(line)"}},
        .input = "+I[a bb a word that is longer than twelve]\n+I[]\n+I[null]\n+I[  c ]\n"
                 "+I[a-second-word-beyond-inline]\n",
        .expected = "+I[a]\n+I[bb]\n+I[a]\n+I[word]\n+I[that]\n+I[is]\n+I[longer]\n+I[than]\n"
                    "+I[twelve]\n+I[c]\n+I[a-second-word-beyond-inline]\n",
    });
}
END_TEST

START_TEST(unnest_repeats_other_columns_and_row_kinds)
{
    kit_verify(&(struct kit_case){
        .kind = "unnest",
        .input_schema = "id INT, line STRING",
        .output_schema = "id INT, word STRING, line STRING",
        .columns = {{"word", "split(line)"}},
        .input = "+I[1, x y]\n-D[2, a-word-beyond-inline z]\n+I[3, null]\n+I[null, q]\n",
        .expected = "+I[1, x, x y]\n+I[1, y, x y]\n"
                    "-D[2, a-word-beyond-inline, a-word-beyond-inline z]\n"
                    "-D[2, z, a-word-beyond-inline z]\n+I[null, q, q]\n",
    });
}
END_TEST

/* Lists of several output batches: the operator resumes within a list and between lists. */
START_TEST(unnest_goes_on_where_it_stopped)
{
    enum { WORDS = 9001 };
    struct text input;
    struct text expected;
    text_init(&input, 1 << 24);
    text_init(&expected, 1 << 24);
    for (int line = 0; line < 2; line++) {
        text_format(&input, "+I[%d, ", line);
        for (int i = 0; i < WORDS; i++) {
            text_format(&input, "%sword-%d", i > 0 ? " " : "", 1000000 + i * 7919);
            text_format(&expected, "+I[word-%d, %d]\n", 1000000 + i * 7919, line);
        }
        text_append(&input, "]\n");
    }
    kit_verify(&(struct kit_case){
        .kind = "unnest",
        .input_schema = "id INT, line STRING",
        .output_schema = "word STRING, id INT",
        .columns = {{"word", "split(line)"}},
        .input = input.bytes,
        .expected = expected.bytes,
    });
    text_done(&input);
    text_done(&expected);
}
END_TEST

START_TEST(unnest_takes_one_array)
{
    kit_verify(&(struct kit_case){
        .kind = "unnest",
        .input_schema = "a STRING",
        .output_schema = "x STRING",
        .columns = {{"x", "split(a)"}, {"y", "split(a)"}},
        .input = "+I[a]\n",
        .failure = "exactly one column",
    });
    kit_verify(&(struct kit_case){
        .kind = "unnest",
        .input_schema = "a STRING",
        .output_schema = "x STRING",
        .columns = {{"x", "a"}},
        .input = "+I[a]\n",
        .failure = "no ARRAY",
    });
}
END_TEST

START_TEST(calc_filters_and_computes)
{
    kit_verify(&(struct kit_case){
        .kind = "calc",
        .input_schema = "k STRING, v INT",
        .output_schema = "v INT, twice INT, k STRING",
        .columns = {{"v", "v"}, {"twice", "v * 2"}, {"k", "k"}},
        .filters = {"v > 1", "k <> 'no'"},
        .input = "+I[a, 1]\n+I[b, 2]\n-U[no, 3]\n+U[c, 4]\n+I[d, null]\n+I[null, 5]\n",
        .expected = "+I[2, 4, b]\n+U[4, 8, c]\n",
    });
}
END_TEST

START_TEST(calc_gives_failed_rows_to_on_error)
{
    struct kit_case test = {
        .kind = "calc",
        .input_schema = "a INT, b INT",
        .output_schema = "q INT",
        .columns = {{"q", "a / b"}},
        .filters = {"10 / a > 0"},
        .input = "+I[4, 2]\n+I[0, 1]\n+I[3, 0]\n+I[9, 3]\n",
        .failure = "column",
    };
    test.filters[0] = NULL;
    kit_verify(&test);
    test.filters[0] = "10 / a > 0";
    test.failure = NULL;
    test.expected = "+I[2]\n+I[3]\n";
    test.expected_errors = 2;
    test.on_error = ON_ERROR_SKIP;
    kit_verify(&test);
    test.on_error = ON_ERROR_DEAD_LETTER;
    kit_verify(&test);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("unnest and calc");
    TCase *tests = tcase_create("unnest and calc");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, unnest_gives_a_row_for_each_element);
    tcase_add_test(tests, unnest_repeats_other_columns_and_row_kinds);
    tcase_add_test(tests, unnest_goes_on_where_it_stopped);
    tcase_add_test(tests, unnest_takes_one_array);
    tcase_add_test(tests, calc_filters_and_computes);
    tcase_add_test(tests, calc_gives_failed_rows_to_on_error);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
