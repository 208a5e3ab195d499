/* common/config/secrets: files before variables, names, several references, graphs. */
#include "common/config/secrets.h"

#include "common/base/allocate.h"
#include "common/graph/job_graph.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct variable {
    const char *name;
    const char *value;
};

static const struct variable variables[] = {
    {"MILLSTREAM_SECRET_plain", "as written"},
    {"MILLSTREAM_SECRET_KAFKA_PASSWORD_1", "in capitals"},
    {"MILLSTREAM_SECRET_BOTH", "variable"},
    {"MILLSTREAM_SECRET_EMPTY", ""},
    {NULL, NULL},
};

static const char *get_variable(void *context, const char *name)
{
    for (const struct variable *at = context; at->name != NULL; at++) {
        if (strcmp(at->name, name) == 0)
            return at->value;
    }
    return NULL;
}

static char directory[64];
static struct secret_places places;

static void write_secret(const char *name, const void *bytes, size_t size)
{
    SCOPED_TEXT char *path = format_text("%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
    strcpy(directory, "/tmp/millstream-secrets-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    places = (struct secret_places){.directory = directory,
                                    .get_env = get_variable,
                                    .env_context = (void *)(uintptr_t)variables};
}

static void teardown(void)
{
    static const char *const names[] = {"BOTH", "line", "crlf", "two", "empty", "nul", "long"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        SCOPED_TEXT char *path = format_text("%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    SCOPED_TEXT char *nested = format_text("%s/nested", directory);
    (void)rmdir(nested);
    ck_assert_int_eq(rmdir(directory), 0);
}

static void expect(const char *value, const char *expected)
{
    struct error err = {0};
    char *resolved = NULL;
    ck_assert_msg(secret_resolve(&places, value, &resolved, &err) == STATUS_OK, "%s: %s", value,
                  err.message);
    ck_assert_str_eq(resolved, expected);
    free(resolved);
}

static void expect_failure(const char *value, const char *part)
{
    struct error err = {0};
    char *resolved = NULL;
    ck_assert_int_eq(secret_resolve(&places, value, &resolved, &err), STATUS_INVALID);
    ck_assert_ptr_null(resolved);
    ck_assert_msg(strstr(err.message, part) != NULL, "%s: %s", part, err.message);
}

START_TEST(files_come_before_variables)
{
    write_secret("BOTH", "file", 4);
    expect("${secret:BOTH}", "file");
    expect("${secret:plain}", "as written");
    expect("${secret:kafka-password.1}", "in capitals");
    expect("${secret:EMPTY}", "");
    places.directory = NULL;
    expect("${secret:BOTH}", "variable");
}
END_TEST

START_TEST(one_line_end_is_not_part_of_the_value)
{
    write_secret("line", "s3cret\n", 7);
    write_secret("crlf", "s3cret\r\n", 8);
    write_secret("two", "a\nb\n\n", 5);
    write_secret("empty", "", 0);
    expect("${secret:line}", "s3cret");
    expect("${secret:crlf}", "s3cret");
    expect("${secret:two}", "a\nb\n");
    expect("${secret:empty}", "");
}
END_TEST

START_TEST(references_within_texts)
{
    expect("no reference, ${other} $${", "no reference, ${other} $${");
    expect("user=\"me\" password=\"${secret:plain}\";", "user=\"me\" password=\"as written\";");
    expect("${secret:BOTH}${secret:plain}!", "variableas written!");
    ck_assert(secret_is_in("x${secret:a}"));
    ck_assert(!secret_is_in("x${env:a}"));
    /* What a secret holds is not looked at again. */
    write_secret("BOTH", "${secret:plain}", 15);
    expect("${secret:BOTH}", "${secret:plain}");
}
END_TEST

START_TEST(what_is_missing_or_malformed_is_named)
{
    char host[256];
    ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
    expect_failure("${secret:no-such}", "secret \"no-such\" is missing on");
    expect_failure("${secret:no-such}", host);
    expect_failure("${secret:no-such}", directory);
    expect_failure("${secret:no-such}", "MILLSTREAM_SECRET_NO_SUCH");
    expect_failure("${secret:plain", "closing brace");
    expect_failure("${secret:}", "no name of a secret");
    expect_failure("${secret:../BOTH}", "no name of a secret");
    expect_failure("${secret:a/b}", "no name of a secret");
    expect_failure("${secret:.hidden}", "no name of a secret");
    write_secret("nul", "a\0b", 3);
    expect_failure("${secret:nul}", "holds a NUL byte");
    SCOPED_TEXT char *longer = allocate(SECRET_VALUE_BYTES_MAX + 2);
    memset(longer, 'x', SECRET_VALUE_BYTES_MAX + 1);
    write_secret("long", longer, SECRET_VALUE_BYTES_MAX + 1);
    expect_failure("${secret:long}", "longer than");
    SCOPED_TEXT char *nested = format_text("%s/nested", directory);
    ck_assert_int_eq(mkdir(nested, 0700), 0);
    expect_failure("${secret:nested}", "cannot read");
}
END_TEST

START_TEST(only_options_of_connectors_and_formats)
{
    struct setting sink[] = {{copy_text("connector"), copy_text("kafka")},
                             {copy_text("connector.password"), copy_text("${secret:plain}")},
                             {copy_text("format.token"), copy_text("-${secret:BOTH}-")},
                             {copy_text("note"), copy_text("${secret:plain}")}};
    struct setting calc[] = {{copy_text("connector.x"), copy_text("${secret:plain}")}};
    struct operator_spec operators[] = {
        {.name = (char *)"out", .kind = (char *)"sink", .settings = sink, .setting_count = 4},
        {.name = (char *)"calc", .kind = (char *)"calc", .settings = calc, .setting_count = 1}};
    struct job_graph graph = {.operators = operators, .operator_count = 2};
    struct error err = {0};
    ck_assert_msg(secrets_resolve_graph(&places, &graph, &err) == STATUS_OK, "%s", err.message);
    ck_assert_str_eq(sink[1].value, "as written");
    ck_assert_str_eq(sink[2].value, "-variable-");
    ck_assert_str_eq(sink[3].value, "${secret:plain}");
    ck_assert_str_eq(calc[0].value, "${secret:plain}");
    free(sink[1].value);
    sink[1].value = copy_text("${secret:gone}");
    ck_assert_int_eq(secrets_resolve_graph(&places, &graph, &err), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "node \"out\", option password: secret \"gone\""));
    for (size_t i = 0; i < 4; i++) {
        free(sink[i].key);
        free(sink[i].value);
    }
    free(calc[0].key);
    free(calc[0].value);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("common/config/secrets");
    TCase *tests = tcase_create("all");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, files_come_before_variables);
    tcase_add_test(tests, one_line_end_is_not_part_of_the_value);
    tcase_add_test(tests, references_within_texts);
    tcase_add_test(tests, what_is_missing_or_malformed_is_named);
    tcase_add_test(tests, only_options_of_connectors_and_formats);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
