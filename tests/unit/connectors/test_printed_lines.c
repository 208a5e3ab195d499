/* connectors/printed_lines: the last lines, long ones in part, no character cut. */
#include "connectors/printed_lines.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static void add(const char *lines)
{
    printed_lines_add(lines, strlen(lines));
}

static void expect_end(const char *expected)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, (size_t)64 * 1024 * 1024);
    printed_lines_read(&out);
    const size_t size = strlen(expected);
    ck_assert_uint_ge(out.size, size);
    ck_assert_str_eq(out.bytes + out.size - size, expected);
}

static size_t count_lines(void)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, (size_t)64 * 1024 * 1024);
    printed_lines_read(&out);
    size_t count = 0;
    for (size_t i = 0; i < out.size; i++)
        count += out.bytes[i] == '\n';
    return count;
}

START_TEST(the_last_thousand_are_kept)
{
    ck_assert_uint_eq(count_lines(), 0);
    add("");
    ck_assert_uint_eq(count_lines(), 0);
    add("a\n\nb\n");
    expect_end("a\n\nb\n");
    ck_assert_uint_eq(count_lines(), 3);
    struct text many SCOPED_TEXT_BUFFER;
    text_init(&many, 1 << 20);
    for (int i = 0; i < 2500; i++)
        text_format(&many, "line %d\n", i);
    printed_lines_add(many.bytes, many.size);
    ck_assert_uint_eq(count_lines(), PRINTED_LINES_MAX);
    expect_end("line 2498\nline 2499\n");
    add("one more\n");
    ck_assert_uint_eq(count_lines(), PRINTED_LINES_MAX);
    expect_end("line 2499\none more\n");
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 1 << 20);
    printed_lines_read(&out);
    ck_assert_int_eq(strncmp(out.bytes, "line 1501\n", 10), 0);
}
END_TEST

START_TEST(long_lines_are_kept_in_part)
{
    /* The limit lies within a character of two bytes. */
    struct text line SCOPED_TEXT_BUFFER;
    text_init(&line, 1 << 20);
    text_append_char(&line, 'x');
    for (int i = 0; i < PRINTED_LINE_BYTES_MAX; i++)
        text_append(&line, "\xc3\xa4");
    text_append_char(&line, '\n');
    printed_lines_add(line.bytes, line.size);
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 1 << 20);
    printed_lines_read(&out);
    ck_assert_uint_eq(out.size, PRINTED_LINE_BYTES_MAX - 1 + 3 + 1);
    ck_assert_str_eq(out.bytes + out.size - 6, "\xc3\xa4...\n");
    /* A line that fits is kept whole. */
    text_clear(&line);
    for (int i = 0; i < PRINTED_LINE_BYTES_MAX; i++)
        text_append_char(&line, 'y');
    text_append_char(&line, '\n');
    printed_lines_add(line.bytes, line.size);
    expect_end(line.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connectors/printed_lines");
    TCase *tests = tcase_create("all");
    tcase_add_test(tests, the_last_thousand_are_kept);
    tcase_add_test(tests, long_lines_are_kept_in_part);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
