/* common/data: values from and to text, the calendar, UTF-8. */
#include "common/base/random.h"
#include "common/data/batch_builder.h"
#include "common/data/value_text.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

static struct text out;

static void set_up(void)
{
    text_init(&out, 10000);
}

static void tear_down(void)
{
    text_done(&out);
}

#define FORMATS(call, expected)                                                                    \
    do {                                                                                           \
        text_clear(&out);                                                                          \
        call;                                                                                      \
        ck_assert_str_eq(out.bytes, expected);                                                     \
    } while (0)

/* The text in memory of exactly its size, so that the sanitizer sees every byte too far. */
static char *exact(const char *text)
{
    return memcpy(malloc(strlen(text) + 1), text, strlen(text) + 1);
}

#define PARSES(parse, text, ...)                                                                   \
    __extension__({                                                                                \
        const size_t size_ = strlen(text);                                                         \
        char *copy_ = exact(text);                                                                 \
        char *at_ = realloc(copy_, size_ > 0 ? size_ : 1);                                         \
        const bool parsed_ = parse(at_, size_, __VA_ARGS__);                                       \
        free(at_);                                                                                 \
        parsed_;                                                                                   \
    })

START_TEST(booleans_and_integers)
{
    bool boolean = false;
    ck_assert(PARSES(parse_bool, " TRUE ", &boolean) && boolean);
    ck_assert(PARSES(parse_bool, "No", &boolean) && !boolean);
    ck_assert(!PARSES(parse_bool, "", &boolean));
    ck_assert(!PARSES(parse_bool, "tru", &boolean));
    FORMATS(format_bool(true, &out), "TRUE");
    int64_t number = 5;
    ck_assert(PARSES(parse_int64, "9223372036854775807", &number) && number == INT64_MAX);
    ck_assert(PARSES(parse_int64, "-9223372036854775808", &number) && number == INT64_MIN);
    ck_assert(PARSES(parse_int64, "\t+0012\n", &number) && number == 12);
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      "9223372036854775808",
                                      "1.5",
                                      "1e3",
                                      "0x10",
                                      "1 2",
                                      "--1",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!PARSES(parse_int64, bad[i], &number), "%s", bad[i]);
    ck_assert_int_eq(number, 12);
    FORMATS(format_int64(INT64_MIN, &out), "-9223372036854775808");
    FORMATS(format_int64(0, &out), "0");
}
END_TEST

START_TEST(doubles_print_as_java_prints_them)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1.0, "1.0"},
        {-1.5, "-1.5"},
        {100.0, "100.0"},
        {0.1, "0.1"},
        {0.001, "0.001"},
        {0.00123, "0.00123"},
        {0.0001, "1.0E-4"},
        {9999999.0, "9999999.0"},
        {1e7, "1.0E7"},
        {1.25e10, "1.25E10"},
        {123456.789, "123456.789"},
        {1.0 / 3, "0.3333333333333333"},
        {0.1 + 0.2, "0.30000000000000004"},
        {DBL_MAX, "1.7976931348623157E308"},
        {DBL_MIN, "2.2250738585072014E-308"},
        {(double)NAN, "NaN"},
        {-(double)INFINITY, "-Infinity"},
        {100.5, "100.5"},
        {4e-3, "0.004"},
        {1234567.1234567, "1234567.1234567"},
        {9007199254740993.0, "9.007199254740992E15"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        FORMATS(format_double(cases[i].value, &out), cases[i].text);
    FORMATS(format_float(0.1F, &out), "0.1");
    FORMATS(format_float(1.0F, &out), "1.0");
    FORMATS(format_float(16777216.0F, &out), "1.6777216E7");
    FORMATS(format_float(FLT_MAX, &out), "3.4028235E38");
}
END_TEST

START_TEST(doubles_read_back)
{
    struct random random;
    random_init(&random, 1);
    for (int i = 0; i < 20000; i++) {
        double value = 0;
        const uint64_t bits = random_next(&random);
        if (i % 2 == 0)
            memcpy(&value, &bits, sizeof(value));
        else
            value = (double)(int64_t)(bits % 20000001 - 10000000) / (i % 4 == 1 ? 100 : 4096);
        if (isnan(value))
            continue;
        text_clear(&out);
        format_double(value, &out);
        double back = 0;
        ck_assert_msg(PARSES(parse_double, out.bytes, &back), "%s", out.bytes);
        ck_assert_msg(memcmp(&back, &value, sizeof(value)) == 0, "%s", out.bytes);
        ck_assert(strtod(out.bytes, NULL) == value);
    }
}
END_TEST

START_TEST(doubles_are_parsed_exactly)
{
    static const char *const good[] = {
        "1",
        "-1.5e3",
        ".5",
        "5.",
        "1e22",
        "1e23",
        "123456789012345678901234567890",
        "0.1e-5",
        "1E400",
        "1e-400",
        "9007199254740993",
        "2.2250738585072011e-308",
        "000.00100",
        ("0.00000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
         "000000000000000000000000000000000000000000000000000000000000000000000000000000000001e17"
         "0"),
    };
    static const char *const bad[] = {"",   ".",   "e5",     "1e",      "1e+", "1.2.3", "0x10",
                                      "1f", "1d5", "nan(1)", "infinit", "1 2", "--1"};
    double value = 0;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(PARSES(parse_double, good[i], &value), "%s", good[i]);
        ck_assert_msg(value == strtod(good[i], NULL), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!PARSES(parse_double, bad[i], &value), "%s", bad[i]);
    ck_assert(PARSES(parse_double, "-Infinity", &value) && isinf(value) && value < 0);
    ck_assert(PARSES(parse_double, "NaN", &value) && isnan(value));
}
END_TEST

START_TEST(decimals)
{
    __int128 value = 0;
    static const struct {
        const char *text;
        unsigned precision;
        unsigned scale;
        const char *expected; /* NULL: refused */
    } cases[] = {
        {"12.345", 10, 2, "12.35"},
        {"-12.345", 10, 2, "-12.35"},
        {"12.344999", 10, 2, "12.34"},
        {"0.005", 10, 2, "0.01"},
        {"0.0049", 10, 2, "0.00"},
        {"-0.05", 10, 1, "-0.1"},
        {"99.995", 4, 2, NULL},
        {"99.994", 4, 2, "99.99"},
        {"1e3", 10, 0, "1000"},
        {"1.5E-1", 5, 3, "0.150"},
        {"1e38", 38, 0, NULL},
        {"00012", 2, 0, "12"},
        {".5", 3, 1, "0.5"},
        {"5.", 3, 1, "5.0"},
        {"0e999999999999", 3, 1, "0.0"},
        {"1e-999999999999", 3, 1, "0.0"},
        {"1e999999999999", 3, 1, NULL},
        {"", 3, 1, NULL},
        {".", 3, 1, NULL},
        {"1.2.3", 3, 1, NULL},
        {"1e", 3, 1, NULL},
        {"abc", 3, 1, NULL},
        {"9.5", 1, 0, NULL},
        {"0.5", 1, 0, "1"},
        {"99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999"},
        {"-0.99999999999999999999999999999999999999", 38, 38,
         "-0.99999999999999999999999999999999999999"},
        {" 7 ", 1, 0, "7"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bool parsed =
            PARSES(parse_decimal, cases[i].text, cases[i].precision, cases[i].scale, &value);
        ck_assert_msg(parsed == (cases[i].expected != NULL), "%s", cases[i].text);
        if (parsed)
            FORMATS(format_decimal(value, cases[i].scale, &out), cases[i].expected);
    }
    __int128 power = 1;
    for (unsigned n = 0; n < TYPE_DECIMAL_PRECISION_MAX; n++, power *= 10)
        ck_assert(decimal_power(n) == power);
    ck_assert(decimal_power(TYPE_DECIMAL_PRECISION_MAX) == power);
    FORMATS(format_decimal(decimal_power(20), 20, &out), "1.00000000000000000000");
    FORMATS(format_decimal(0, 3, &out), "0.000");
    FORMATS(format_decimal(-5, 3, &out), "-0.005");
}
END_TEST

START_TEST(the_calendar_counts_every_day)
{
    int64_t days = days_from_civil(-401, 1, 1);
    for (int64_t year = -401; year < 2500; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= days_of_month(year, month); day++, days++) {
                ck_assert_int_eq(days_from_civil(year, month, day), days);
                const struct civil_date date = civil_from_days(days);
                ck_assert(date.year == year && date.month == month && date.day == day);
            }
        }
    }
    ck_assert_int_eq(days_from_civil(1970, 1, 1), 0);
    ck_assert_int_eq(days_from_civil(2000, 2, 29), 11016);
}
END_TEST

START_TEST(dates_and_times)
{
    int32_t days = 0;
    int64_t us = 0;
    ck_assert(PARSES(parse_date, "2024-02-29", &days));
    FORMATS(format_date(days, &out), "2024-02-29");
    ck_assert(PARSES(parse_date, "0001-1-2", &days));
    FORMATS(format_date(days, &out), "0001-01-02");
    FORMATS(format_date((int32_t)days_from_civil(-5, 3, 4), &out), "-0005-03-04");
    FORMATS(format_date((int32_t)days_from_civil(12345, 3, 4), &out), "12345-03-04");
    static const char *const bad[] = {
        "2023-02-29", "2024-13-01", "2024-00-01", "2024-01-32",  "",
        "24-01-01",   "2024-1-",    "2024/01/01", "2024-01-01x", "2024"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!PARSES(parse_date, bad[i], &days), "%s", bad[i]);
    ck_assert(PARSES(parse_time, "23:59:59.1234567", &us));
    ck_assert_int_eq(us, 86399123456);
    FORMATS(format_time(us, 0, &out), "23:59:59");
    FORMATS(format_time(us, 3, &out), "23:59:59.123");
    ck_assert(PARSES(parse_time, "1:02", &us) && us == 3720000000);
    static const char *const bad_times[] = {"24:00", "1", "1:60", "1:00:60", "1:00:00.", ":1", ""};
    for (size_t i = 0; i < sizeof(bad_times) / sizeof(bad_times[0]); i++)
        ck_assert_msg(!PARSES(parse_time, bad_times[i], &us), "%s", bad_times[i]);
    FORMATS(format_interval_month(-14, &out), "-1-02");
    FORMATS(format_interval_second(3 * 86400000000 + 14706789000, &out), "+3 04:05:06.789");
    FORMATS(format_interval_second(-1000, &out), "-0 00:00:00.001");
    FORMATS(format_interval_second(INT64_MIN, &out), "-106751991 04:00:54.775");
}
END_TEST

START_TEST(timestamps)
{
    int64_t ticks = 0;
    int32_t zone = 7;
    bool has_zone = true;
    ck_assert(PARSES(parse_timestamp, "2024-01-31 10:00:00.123456789", 9, &ticks, NULL, NULL));
    ck_assert_int_eq(ticks, INT64_C(1706695200123456789));
    FORMATS(format_timestamp(ticks, 9, &out), "2024-01-31 10:00:00.123456789");
    FORMATS(format_timestamp(ticks, 7, &out), "2024-01-31 10:00:00.1234567");
    ck_assert(PARSES(parse_timestamp, "2024-01-31T10:00:00.9876", 3, &ticks, &zone, &has_zone));
    ck_assert_int_eq(ticks, INT64_C(1706695200987000));
    ck_assert(zone == 0 && !has_zone);
    FORMATS(format_timestamp(ticks, 0, &out), "2024-01-31 10:00:00");
    FORMATS(format_timestamp(ticks, 3, &out), "2024-01-31 10:00:00.987");
    FORMATS(format_timestamp(-1, 6, &out), "1969-12-31 23:59:59.999999");
    FORMATS(format_timestamp(INT64_MIN, 6, &out), "-290308-12-21 19:59:05.224192");
    ck_assert(PARSES(parse_timestamp, "2024-01-31", 3, &ticks, NULL, NULL));
    FORMATS(format_timestamp(ticks, 3, &out), "2024-01-31 00:00:00.000");
    ck_assert(PARSES(parse_timestamp, "2024-01-31 10:00-0230", 3, &ticks, &zone, &has_zone));
    ck_assert(zone == -9000 && has_zone);
    FORMATS(format_timestamp(ticks, 0, &out), "2024-01-31 10:00:00");
    ck_assert(PARSES(parse_timestamp, "2024-01-31T10:00:00Z", 3, &ticks, &zone, &has_zone));
    ck_assert(zone == 0 && has_zone);
    ck_assert(PARSES(parse_timestamp, "2024-01-31T10:00:00+05", 3, &ticks, &zone, &has_zone));
    ck_assert_int_eq(zone, 18000);
    static const char *const bad[] = {"2024-01-31T",
                                      "2024-01-31 10",
                                      "2024-01-31 10:00:00 ZZ",
                                      "2024-01-31 10:00+19:00",
                                      "2024-01-31 10:00+1",
                                      "2024-01-31x10:00",
                                      "2024-01-31 10:00+01:60"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(!PARSES(parse_timestamp, bad[i], 3, &ticks, &zone, &has_zone), "%s", bad[i]);
    ck_assert(!PARSES(parse_timestamp, "2024-01-31 10:00:00Z", 3, &ticks, NULL, NULL));
    ck_assert(!PARSES(parse_timestamp, "1600-01-01 00:00:00", 9, &ticks, NULL, NULL));
    ck_assert(PARSES(parse_timestamp, "1600-01-01 00:00:00", 6, &ticks, NULL, NULL));
}
END_TEST

START_TEST(utf8)
{
    static const char *const good[] = {"",
                                       "plain ascii text",
                                       "\xC3\xA9",
                                       "12345678\xE2\x82\xAC",
                                       "\xF0\x9F\x98\x80",
                                       "\xF4\x8F\xBF\xBF"};
    static const size_t lengths[] = {0, 16, 1, 9, 1, 1};
    static const char *const bad[] = {"\x80",         "\xC3",
                                      "\xC0\x80",     "\xE0\x80\x80",
                                      "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                      "abcdefg\xFF",  "abcdefgh\xE2\x82"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert(utf8_is_valid(good[i], strlen(good[i])));
        ck_assert_uint_eq(utf8_length(good[i], strlen(good[i])), lengths[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert(!utf8_is_valid(bad[i], strlen(bad[i])));
    char many[40];
    for (size_t size = 0; size < sizeof(many); size++) {
        size_t expected = 0;
        for (size_t i = 0; i < size; i++) {
            many[i] = (i % 3 == 1) ? '\xC3' : (i % 3 == 2) ? '\xA9' : 'x';
            expected += i % 3 != 2;
        }
        ck_assert_uint_eq(utf8_length(many, size), expected);
    }
}
END_TEST

START_TEST(rows_print_for_people)
{
    static const struct type_field entry[] = {{"", {.kind = TYPE_STRING, .nullable = true}},
                                              {"", {.kind = TYPE_INT, .nullable = true}}};
    static const struct type_field fields[] = {
        {"d", {.kind = TYPE_DECIMAL, .nullable = true, .precision = 5, .scale = 2}},
        {"t", {.kind = TYPE_TIMESTAMP, .nullable = true, .precision = 3}}};
    static const struct schema_column columns[] = {
        {.name = "s", .type = {.kind = TYPE_STRING}},
        {.name = "b", .type = {.kind = TYPE_BOOLEAN, .nullable = true}},
        {.name = "l", .type = {.kind = TYPE_ARRAY, .child_count = 1, .children = entry}},
        {.name = "m", .type = {.kind = TYPE_MAP, .child_count = 2, .children = entry}},
        {.name = "r", .type = {.kind = TYPE_ROW, .child_count = 2, .children = fields}},
    };
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 5, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    batch_builder_bytes(&builder, 0, "apple, a rather long one", 24);
    batch_builder_null(&builder, 1);
    batch_builder_begin(&builder, 2);
    batch_builder_bytes(&builder, 0, "x", 1);
    batch_builder_null(&builder, 0);
    batch_builder_end(&builder);
    batch_builder_begin(&builder, 3);
    batch_builder_bytes(&builder, 0, "k", 1);
    batch_builder_int(&builder, 1, -4);
    batch_builder_end(&builder);
    batch_builder_begin(&builder, 4);
    batch_builder_decimal(&builder, 0, 1250);
    batch_builder_int(&builder, 1, 0);
    batch_builder_end(&builder);
    batch_builder_end_row(&builder, ROW_UPDATE_AFTER);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    FORMATS(batch_format_row(batch, 0, &out),
            "+U[apple, a rather long one, null, [x, null], {k=-4}, "
            "(12.50, 1970-01-01 00:00:00.000)]");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("value_text");
    TCase *tests = tcase_create("value_text");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, booleans_and_integers);
    tcase_add_test(tests, doubles_print_as_java_prints_them);
    tcase_add_test(tests, doubles_read_back);
    tcase_add_test(tests, doubles_are_parsed_exactly);
    tcase_add_test(tests, decimals);
    tcase_add_test(tests, the_calendar_counts_every_day);
    tcase_add_test(tests, dates_and_times);
    tcase_add_test(tests, timestamps);
    tcase_add_test(tests, utf8);
    tcase_add_test(tests, rows_print_for_people);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
