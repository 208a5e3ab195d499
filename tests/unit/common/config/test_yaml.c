/* common/config/yaml: positions, merging, limits, what is refused. */
#include "common/config/yaml.h"

#include "common/base/allocate.h"
#include "common/base/text.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void collect(void *context, uint32_t line, uint32_t column, const char *message)
{
    text_format(context, "%u:%u %s\n", line, column, message);
}

static struct yaml_document *read_good(const char *text)
{
    struct yaml_document *document = NULL;
    struct text problems SCOPED_TEXT_BUFFER;
    text_init(&problems, 10000);
    const enum status code =
        yaml_read(text, strlen(text), "job file", collect, &problems, &document);
    ck_assert_str_eq(problems.bytes, "");
    ck_assert_int_eq(code, STATUS_OK);
    return document;
}

static void expect_bad(const char *text, size_t size, const char *expected)
{
    struct yaml_document *document = NULL;
    struct text problems SCOPED_TEXT_BUFFER;
    text_init(&problems, 10000);
    ck_assert_int_eq(yaml_read(text, size, "job file", collect, &problems, &document),
                     STATUS_INVALID);
    ck_assert_msg(strstr(problems.bytes, expected) != NULL, "expected %s in %s", expected,
                  problems.bytes);
}

START_TEST(scalars_stay_text_and_have_positions)
{
    SCOPED(yaml_document_destroy)
    struct yaml_document *document = read_good("a: no\nb: {c: '1', d, e: \"\"}\nf:\n  - 0x10\n");
    const struct yaml_node *root = yaml_root(document);
    ck_assert_uint_eq(root->count, 3);
    ck_assert_str_eq(yaml_find(root, "a")->text, "no");
    const struct yaml_node *b = yaml_find(root, "b");
    ck_assert(b->is_flow);
    ck_assert_uint_eq(b->line, 2);
    ck_assert_uint_eq(b->column, 4);
    ck_assert(yaml_is_bare(yaml_find(b, "d")));
    ck_assert(!yaml_is_bare(yaml_find(b, "e")));
    ck_assert_int_eq(yaml_find(b, "c")->style, YAML_STYLE_SINGLE);
    const struct yaml_node *item = yaml_find(root, "f")->items[0];
    ck_assert_str_eq(item->text, "0x10");
    ck_assert_uint_eq(item->line, 4);
    ck_assert_uint_eq(item->column, 5);
}
END_TEST

START_TEST(merge_keeps_own_keys_then_the_earlier)
{
    SCOPED(yaml_document_destroy)
    struct yaml_document *document =
        read_good("a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {x: 0, <<: [*a, *b]}\nd: {<<: *b}\n");
    const struct yaml_node *c = yaml_find(yaml_root(document), "c");
    ck_assert_uint_eq(c->count, 3);
    ck_assert_str_eq(yaml_find(c, "x")->text, "0");
    ck_assert_str_eq(yaml_find(c, "y")->text, "1");
    ck_assert_str_eq(yaml_find(c, "z")->text, "2");
    ck_assert_str_eq(yaml_find(yaml_find(yaml_root(document), "d"), "y")->text, "2");
}
END_TEST

static char *repeat(const char *piece, size_t count)
{
    const size_t size = strlen(piece);
    char *text = allocate(size * count + 1);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, piece, size);
    return text;
}

START_TEST(bad_texts_are_refused)
{
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"a: 1\nb: 2\na: 3\n", "3:1 the key \"a\" is here twice: the first is at line 1"},
        {"a: 1\n---\nb: 2\n", "2:1 a second document begins here"},
        {"a: !tag x\n", "1:4 a YAML tag (\"!tag\") is not allowed"},
        {"a: &a [*a]\n", "1:8 the alias *a stands inside its own anchor"},
        {"a: *b\n", "1:4 no anchor &b stands before the alias *b"},
        {"a: {b: c\n", "is no valid YAML"},
        {"? {a: b}\n: c\n", "1:3 a key must be a plain word"},
        {"a: {<<: x}\n", "\"<<\" takes a map or a list of maps"},
        {"a: \"\\0\"\n", "NUL"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_bad(cases[i].text, strlen(cases[i].text), cases[i].expected);
    expect_bad("a: \x01\xff\x00z", 7, "the job file is no text");
    SCOPED_TEXT char *deep = repeat("[", 1000);
    expect_bad(deep, 1000, "1:65 the job file is nested deeper than 64 levels");
    char *blocks = allocate(600000);
    size_t size = 0;
    for (int i = 0; i < 1000; i++)
        size += (size_t)sprintf(blocks + size, "%*sa:\n", i, "");
    expect_bad(blocks, size, "nested deeper than 64 levels");
    free(blocks);
}
END_TEST

START_TEST(alias_bomb_and_size_are_limited)
{
    struct text bomb SCOPED_TEXT_BUFFER;
    text_init(&bomb, 10000);
    text_append(&bomb, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++)
        text_format(&bomb, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
                    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    expect_bad(bomb.bytes, bomb.size, "holds more than 100000 values after its aliases");
    const size_t size = (size_t)YAML_BYTES_MAX + 1;
    SCOPED_TEXT char *large = repeat(" ", size);
    expect_bad(large, size, "the maximum is 4194304 (4 MiB)");
    SCOPED_TEXT char *many = repeat("- x\n", 100001);
    expect_bad(many, strlen(many), "more than 100000 values");
}
END_TEST

START_TEST(empty_text_has_no_root)
{
    SCOPED(yaml_document_destroy) struct yaml_document *document = read_good("# nothing\n");
    ck_assert_ptr_null(yaml_root(document));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("common/config/yaml");
    TCase *tests = tcase_create("yaml");
    tcase_add_test(tests, scalars_stay_text_and_have_positions);
    tcase_add_test(tests, merge_keeps_own_keys_then_the_earlier);
    tcase_add_test(tests, bad_texts_are_refused);
    tcase_add_test(tests, alias_bomb_and_size_are_limited);
    tcase_add_test(tests, empty_text_has_no_root);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
