/* common/config/option: units, types, bounds, tables, nearest names. */
#include "common/config/option.h"

#include "common/graph/job_graph.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *const starts[] = {"earliest", "latest", "group", NULL};

static const struct option_spec table[] = {
    {.name = "path",
     .type = OPTION_STRING,
     .flags = OPTION_REQUIRED | OPTION_MAIN,
     .help = "Where."},
    {.name = "start",
     .type = OPTION_ENUM,
     .fallback = "group",
     .choices = starts,
     .alias = "scan.startup.mode",
     .help = "Where to begin."},
    {.name = "rate", .type = OPTION_INT, .fallback = "0", .min = 0, .max = 1000, .help = "Rows."},
    {.name = "wait",
     .type = OPTION_DURATION,
     .fallback = "10s",
     .min = 1,
     .max = 60000,
     .help = "How long."},
    {.name = "room", .type = OPTION_SIZE, .min = 1024, .max = INT64_MAX, .help = "How much."},
    {.name = "factor", .type = OPTION_DOUBLE, .fallback = "1.5", .help = "How often."},
    {.name = "password", .type = OPTION_INT, .flags = OPTION_SECRET, .help = "Secret."},
    {.name = "properties.*", .type = OPTION_MAP, .help = "Anything."},
    {0},
};
enum { PATH, START, RATE, WAIT, ROOM, FACTOR, PASSWORD, PROPERTIES, COUNT };

struct unit_case {
    const char *text;
    int64_t value; /* -1: error */
};

START_TEST(durations)
{
    static const struct unit_case cases[] = {
        {"500ms", 500},
        {"10 s", 10000},
        {"1m", 60000},
        {"2 h", 7200000},
        {"1 min", 60000},
        {"3d", 259200000},
        {" 7 ms ", 7},
        {"0", 0},
        {"", -1},
        {"ms", -1},
        {"-1s", -1},
        {"1.5s", -1},
        {"1 x", -1},
        {"9223372036854775807h", -1},
        {"99999999999999999999ms", -1},
        {"1s2", -1},
        {"10", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        const enum status code = parse_duration_ms(cases[i].text, OPTION_UNITS_REQUIRED, &ms, NULL);
        ck_assert_int_eq(code == STATUS_OK, cases[i].value >= 0);
        ck_assert_int_eq(ms, cases[i].value);
    }
    int64_t ms = 0;
    ck_assert_int_eq(parse_duration_ms("10", OPTION_UNITS_OPTIONAL, &ms, NULL), STATUS_OK);
    ck_assert_int_eq(ms, 10);
}
END_TEST

START_TEST(sizes)
{
    static const struct unit_case cases[] = {
        {"512b", 512},
        {"64k", 65536},
        {"64 kb", 65536},
        {"128M", 134217728},
        {"2g", INT64_C(2147483648)},
        {"1 TiB", INT64_C(1099511627776)},
        {"x", -1},
        {"1 q", -1},
        {"9223372036854775807k", -1},
        {"10", -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t size = -1;
        const enum status code =
            parse_size_bytes(cases[i].text, OPTION_UNITS_REQUIRED, &size, NULL);
        ck_assert_int_eq(code == STATUS_OK, cases[i].value >= 0);
        ck_assert_int_eq(size, cases[i].value);
    }
    struct error err;
    int64_t size = 0;
    ck_assert_int_eq(parse_size_bytes("10", OPTION_UNITS_REQUIRED, &size, &err), STATUS_INVALID);
    ck_assert_str_eq(err.message,
                     "expected a size with its unit, such as \"10b\" or \"10m\", got \"10\"");
}
END_TEST

START_TEST(settings_become_values)
{
    struct setting settings[] = {{"connector", "kafka"},
                                 {"connector.path", "/in"},
                                 {"connector.scan.startup.mode", "LATEST"},
                                 {"connector.properties.acks", "all"},
                                 {"connector.room", "2k"}};
    struct option_value values[COUNT];
    struct error err;
    ck_assert_int_eq(options_from_settings(table, settings, 5, "connector.", values, &err),
                     STATUS_OK);
    ck_assert_str_eq(values[PATH].text, "/in");
    ck_assert(values[PATH].is_set);
    ck_assert_int_eq(values[START].integer, 1);
    ck_assert_int_eq(values[RATE].integer, 0);
    ck_assert(!values[RATE].is_set);
    ck_assert_int_eq(values[WAIT].integer, 10000);
    ck_assert_int_eq(values[ROOM].integer, 2048);
    ck_assert(values[FACTOR].real > 1.4 && values[FACTOR].real < 1.6);
    ck_assert_ptr_null(values[PASSWORD].text);
}
END_TEST

static void expect_error(const char *key, const char *value, const char *message)
{
    char full_key[100];
    (void)snprintf(full_key, sizeof(full_key), "c.%s", key);
    struct setting settings[] = {{"c.path", "/in"}, {full_key, (char *)(uintptr_t)value}};
    struct option_value values[COUNT];
    struct error err = {0};
    ck_assert_int_eq(options_from_settings(table, settings, 2, "c.", values, &err), STATUS_INVALID);
    ck_assert_str_eq(err.message, message);
}

START_TEST(errors_name_option_and_text)
{
    expect_error("strat", "x", "unknown option \"strat\": did you mean \"start\"?");
    expect_error("zzzzzzz", "x",
                 "unknown option \"zzzzzzz\"; known are: path, start, rate, wait, room, factor, "
                 "password, properties.*");
    expect_error("start", "erliest",
                 "option \"start\": expected earliest, latest or group, got \"erliest\": did you "
                 "mean \"earliest\"?");
    expect_error("rate", "1001", "option \"rate\": must be from 0 to 1000, got \"1001\"");
    expect_error("rate", "1e3", "option \"rate\": expected a whole number, got \"1e3\"");
    expect_error("wait", "2m", "option \"wait\": must be from 1ms to 1m, got \"2m\"");
    expect_error("room", "1000b", "option \"room\": must be at least 1k, got \"1000b\"");
    expect_error("factor", "nan", "option \"factor\": expected a number, got \"nan\"");
    expect_error("password", "abc", "option \"password\": its value (hidden) is not valid");
    struct option_value values[COUNT];
    struct error err = {0};
    ck_assert_int_eq(options_from_settings(table, NULL, 0, "c.", values, &err), STATUS_INVALID);
    ck_assert_str_eq(err.message, "option \"path\" is missing: Where.");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("common/config/option");
    TCase *tests = tcase_create("option");
    tcase_add_test(tests, durations);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, settings_become_values);
    tcase_add_test(tests, errors_name_option_and_text);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
