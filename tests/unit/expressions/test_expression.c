/* The interface: problems, errors per row, filters, aggregates, column definitions, split twins. */
#include "common/base/allocate.h"
#include "common/base/cpu.h"
#include "common/base/random.h"
#include "common/data/batch_builder.h"
#include "expressions/expression.h"
#include "expressions/split.h"
#include "expressions/time_zone.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct schema *make_schema(void)
{
    struct schema_column columns[] = {{"word", type_of_kind(TYPE_STRING), 0},
                                      {"amount", type_of_kind(TYPE_INT), 0}};
    return schema_create(columns, 2, -1);
}

static struct batch *make_batch(const struct schema *schema)
{
    static const char *const words[] = {"1", "x", "3", "y", "5"};
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (int i = 0; i < 5; i++) {
        batch_builder_bytes(&builder, 0, words[i], 1);
        if (i == 4)
            batch_builder_null(&builder, 1);
        else
            batch_builder_int(&builder, 1, i);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

static struct expression *must_compile(const char *text, const struct schema *schema)
{
    struct expression *expression = NULL;
    struct expression_problem problem;
    if (expression_compile(text, schema, NULL, &expression, &problem) != STATUS_OK)
        ck_abort_msg("%s: %s", text, problem.message);
    return expression;
}

START_TEST(problems_say_where_and_what)
{
    static const struct {
        const char *text;
        uint32_t line;
        uint32_t column;
        const char *message;
    } cases[] = {
        {"", 1, 1, "the expression is empty"},
        {"wrod", 1, 1, "unknown column \"wrod\": did you mean \"word\"?"},
        {"amount +\n  lenght(word)", 2, 3, "unknown function \"lenght\": did you mean \"length\"?"},
        {"amount +", 1, 9, "expected an expression, but the text ends here"},
        {"amount amount", 1, 8, "expected an operator or the end"},
        {"(amount", 1, 8, "expected )"},
        {"'ä' || x", 1, 8, "unknown column \"x\""},
        {"'abc", 1, 1, "no closing quote"},
        {"amount ; 1", 1, 8, "no ; at its end"},
        {"amount -- c", 1, 8, "comments"},
        {"case amount end", 1, 13, "expected WHEN"},
        {"select", 1, 1, "unknown column \"select\"; there are: word, amount"},
        {"in", 1, 1, "reserved word in"},
        {"word is 5", 1, 9, "expected NULL, TRUE, FALSE"},
        {"sum(amount)", 1, 1, "sum is an aggregate function"},
        {"count(*)", 1, 1, "count is an aggregate function"},
        {"lower(*)", 1, 1, "takes neither * nor DISTINCT"},
        {"lower(word, 1)", 1, 1, "lower does not take (STRING, INT); it is used as lower(text)"},
        {"word.x", 1, 1, "no field"},
        {"12abc", 1, 1, "a number and a letter"},
        {"cast(word as)", 1, 13, "expected a type"},
        {"word & word", 1, 6, "unexpected &"},
    };
    SCOPED(schema_unref) struct schema *schema = make_schema();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct expression *expression = NULL;
        struct expression_problem problem;
        ck_assert_int_eq(expression_compile(cases[i].text, schema, NULL, &expression, &problem),
                         STATUS_INVALID);
        if (strstr(problem.message, cases[i].message) == NULL || problem.line != cases[i].line ||
            problem.column != cases[i].column)
            ck_abort_msg("%s\n  expected %u:%u %s\n  found %u:%u %s", cases[i].text, cases[i].line,
                         cases[i].column, cases[i].message, problem.line, problem.column,
                         problem.message);
        ck_assert_ptr_null(expression);
    }
}
END_TEST

static char *repeated(const char *part, size_t count, const char *middle, const char *end)
{
    struct text text;
    text_init(&text, 1000000);
    for (size_t i = 0; i < count; i++)
        text_append(&text, part);
    text_append(&text, middle);
    for (size_t i = 0; i < count; i++)
        text_append(&text, end);
    char *bytes = text_take(&text);
    text_done(&text);
    return bytes;
}

static void check_refused(char *text, const char *message)
{
    SCOPED(schema_unref) struct schema *schema = make_schema();
    struct expression *expression = NULL;
    struct expression_problem problem;
    ck_assert_int_eq(expression_compile(text, schema, NULL, &expression, &problem), STATUS_INVALID);
    if (strstr(problem.message, message) == NULL)
        ck_abort_msg("expected %s, found %s", message, problem.message);
    free(text);
}

START_TEST(limits_hold)
{
    check_refused(repeated("(", 1000, "1", ")"), "levels deep");
    check_refused(repeated("case when true then ", 1000, "1", " end"), "levels deep");
    check_refused(repeated("lower(", 1000, "word", ")"), "levels deep");
    check_refused(repeated("1 + ", 5000, "1", ""), "operators in a chain");
    check_refused(repeated("amount[1]", 1, "", "[1]"), "only ARRAY and MAP");
    SCOPED_TEXT char *type = repeated("array<", 100, "int", ">");
    check_refused(format_text("cast(word as %s)", type), "levels deep");
    check_refused(repeated("1234567890", 7000, "", ""), "more than the 65536");
    SCOPED(schema_unref) struct schema *schema = make_schema();
    /* A long chain of conditions is no depth. */
    SCOPED_TEXT char *text = repeated("amount = 1 or ", 2000, "amount = 2", "");
    expression_destroy(must_compile(text, schema));
    SCOPED_TEXT char *nested = repeated("(amount between 0 and 1) and ", 100, "true", "");
    expression_destroy(must_compile(nested, schema));
}
END_TEST

START_TEST(errors_are_marked_by_row)
{
    SCOPED(schema_unref) struct schema *schema = make_schema();
    SCOPED(batch_unref) struct batch *batch = make_batch(schema);
    struct expression *expression = must_compile("cast(word as int) + 10", schema);
    struct expression_scratch *scratch = expression_scratch_create(NULL);
    struct evaluation evaluation;
    expression_evaluate(expression, scratch, batch, NULL, 5, &evaluation);
    ck_assert_uint_eq(evaluation.error_count, 2);
    ck_assert_uint_eq(evaluation.errors[0], 1u << 1 | 1u << 3);
    ck_assert_int_eq(((int32_t *)evaluation.column->values)[2], 13);
    SCOPED_TEXT_BUFFER struct text message;
    text_init(&message, 1000);
    expression_row_error(expression, scratch, batch, 3, &message);
    ck_assert_str_eq(message.bytes, "not a valid INT in cast(word as int) where word is 'y'");
    ck_assert_uint_eq(evaluation.errors[0], 1u << 1 | 1u << 3);
    column_unref(evaluation.column);
    /* Rows that are not asked for do not fail. */
    static const uint32_t good[] = {0, 2, 4};
    expression_evaluate(expression, scratch, batch, good, 3, &evaluation);
    ck_assert_uint_eq(evaluation.error_count, 0);
    ck_assert_ptr_null(evaluation.errors);
    column_unref(evaluation.column);
    expression_scratch_destroy(scratch);
    expression_destroy(expression);
}
END_TEST

START_TEST(filter_keeps_true_rows)
{
    static const struct {
        const char *text;
        uint32_t kept;
        uint32_t first;
        uint32_t errors;
    } cases[] = {
        {"amount >= 2", 2, 2, 0},
        {"true", 5, 0, 0},
        {"false", 0, 0, 0},
        {"cast(word as int) > 1", 2, 2, 2},
        {"word >= '5' and cast(word as int) > 1", 1, 4, 2},
        {"word < '9' and cast(word as int) > 1", 2, 2, 0},
        {"word = 'x' or cast(word as int) > 1", 3, 1, 1},
    };
    SCOPED(schema_unref) struct schema *schema = make_schema();
    SCOPED(batch_unref) struct batch *batch = make_batch(schema);
    struct expression_scratch *scratch = expression_scratch_create(NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct expression *expression = must_compile(cases[i].text, schema);
        struct evaluation evaluation;
        uint32_t rows[5];
        const uint32_t kept =
            expression_filter(expression, scratch, batch, NULL, 5, rows, &evaluation);
        ck_assert_msg(kept == cases[i].kept && evaluation.error_count == cases[i].errors &&
                          (kept == 0 || rows[0] == cases[i].first),
                      "%s: kept %u, errors %u", cases[i].text, kept, evaluation.error_count);
        column_unref(evaluation.column);
        expression_destroy(expression);
    }
    expression_scratch_destroy(scratch);
}
END_TEST

START_TEST(expressions_tell_what_they_are)
{
    SCOPED(schema_unref) struct schema *schema = make_schema();
    struct expression *column = must_compile("(amount)", schema);
    ck_assert_int_eq(expression_as_column(column), 1);
    expression_destroy(column);
    struct expression *expression =
        must_compile("case   when amount>1 then\n lower( word )else 'a' end", schema);
    bool used[2] = {false, false};
    expression_used_columns(expression, used);
    ck_assert(used[0] && used[1]);
    ck_assert_int_eq(expression_as_column(expression), -1);
    ck_assert(!expression_is_constant(expression));
    SCOPED_TEXT_BUFFER struct text text;
    text_init(&text, 200);
    expression_format(expression, &text);
    ck_assert_str_eq(text.bytes, "CASE WHEN amount > 1 THEN lower(word) ELSE 'a' END");
    expression_destroy(expression);
    struct expression *constant = must_compile("1 / 0", schema);
    ck_assert(expression_is_constant(constant));
    expression_destroy(constant);
}
END_TEST

START_TEST(prefix_names_a_second_schema)
{
    SCOPED(schema_unref) struct schema *schema = make_schema();
    struct expression_options options = {.row_prefix = "acc", .prefix_schema = schema};
    struct expression *expression;
    struct expression_problem problem;
    ck_assert_int_eq(
        expression_compile("acc.amount + amount", schema, &options, &expression, &problem),
        STATUS_OK);
    bool used[4] = {false, false, false, false};
    expression_used_columns(expression, used);
    ck_assert(!used[0] && used[1] && !used[2] && used[3]);
    expression_destroy(expression);
    ck_assert_int_eq(expression_compile("acc.amuont", schema, &options, &expression, &problem),
                     STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(problem.message, "did you mean \"amount\""));
}
END_TEST

START_TEST(aggregate_calls)
{
    static const struct {
        const char *text;
        const char *result; /* "function TYPE", or a problem */
    } cases[] = {
        {"count(*)", "count BIGINT NOT NULL"},
        {"COUNT(DISTINCT word)", "count BIGINT NOT NULL"},
        {"sum(amount)", "sum INT"},
        {"sum(cast(amount as decimal(10, 2)))", "sum DECIMAL(38, 2)"},
        {"avg(cast(amount as decimal(10, 2)))", "avg DECIMAL(38, 6)"},
        {"avg(amount + 1e0) filter (where word <> '')", "avg DOUBLE"},
        {"last_value(split(word))", "last_value ARRAY<STRING NOT NULL>"},
        {"min(split(word))", "problem: min takes a type with an order"},
        {"sum(word)", "problem: sum takes a number, not STRING"},
        {"smu(amount)", "problem: did you mean \"sum\"?"},
        {"lower(word)", "problem: no aggregate function"},
        {"sum(amount) + 1", "problem: no aggregate function"},
        {"amount", "problem: expected one call"},
        {"sum(*)", "problem: sum is used as"},
        {"sum(amount, 1)", "problem: sum is used as"},
        {"first(distinct word)", "problem: takes no DISTINCT"},
        {"count(amuont)", "problem: did you mean \"amount\"?"},
        {"sum(amount) filter (where word)", "problem: FILTER needs BOOLEAN"},
        {"sum(amount) filter (where wrod = 1)", "problem: did you mean \"word\"?"},
    };
    SCOPED(schema_unref) struct schema *schema = make_schema();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct aggregate_call call;
        struct expression_problem problem;
        SCOPED_TEXT_BUFFER struct text found;
        text_init(&found, 1000);
        if (aggregate_call_compile(cases[i].text, schema, NULL, &call, &problem) == STATUS_OK) {
            text_format(&found, "%s ", call.function);
            type_format(call.result, &found);
            aggregate_call_done(&call);
        } else {
            text_format(&found, "problem: %s", problem.message);
        }
        const bool is_problem = strncmp(cases[i].result, "problem: ", 9) == 0;
        if (is_problem ? strstr(found.bytes, cases[i].result + 9) == NULL
                       : strcmp(found.bytes, cases[i].result) != 0)
            ck_abort_msg("%s: expected %s, found %s", cases[i].text, cases[i].result, found.bytes);
    }
}
END_TEST

START_TEST(column_definitions)
{
    static const struct {
        const char *text;
        const char *result;
    } cases[] = {
        {"bigint not null", "BIGINT NOT NULL||"},
        {"decimal(12, 2)", "DECIMAL(12, 2)||"},
        {"varchar", "STRING||"},
        {"timestamp(3) with local time zone", "TIMESTAMP_LTZ(3)||"},
        {"timestamp_ltz(3) as to_timestamp_ltz(ts, 3)",
         "TIMESTAMP_LTZ(3)|to_timestamp_ltz(ts, 3)|"},
        {"int metadata from 'partition'", "INT||partition"},
        {"array<row<a int, \"b c\" map<string, double> not null>>",
         "ARRAY<ROW<a INT, `b c` MAP<STRING, DOUBLE> NOT NULL>>||"},
        {"bigitn", "problem: did you mean BIGINT?"},
        {"", "problem: a column needs a type"},
        {"int metadata", "problem: expected FROM"},
        {"int as", "problem: expected an expression"},
        {"int nt null", "problem: expected NOT NULL, AS, METADATA"},
        {"array<int", "problem: expected >"},
        {"timestamp(10)", "problem: from 0 to 9"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct column_definition definition;
        struct expression_problem problem;
        SCOPED_TEXT_BUFFER struct text found;
        text_init(&found, 1000);
        if (column_definition_parse(cases[i].text, &definition, &problem) == STATUS_OK) {
            type_format(definition.type, &found);
            text_format(&found, "|%s|%s", definition.computed != NULL ? definition.computed : "",
                        definition.metadata_key != NULL ? definition.metadata_key : "");
            column_definition_done(&definition);
        } else {
            text_format(&found, "problem: %s", problem.message);
        }
        const bool is_problem = strncmp(cases[i].result, "problem: ", 9) == 0;
        if (is_problem ? strstr(found.bytes, cases[i].result + 9) == NULL
                       : strcmp(found.bytes, cases[i].result) != 0)
            ck_abort_msg("%s: expected %s, found %s", cases[i].text, cases[i].result, found.bytes);
    }
}
END_TEST

/* Random texts of letters and all kinds of space: the twins give the same bytes. */
START_TEST(split_twins_agree)
{
    static const char alphabet[] = "ab cdefgh \t\n\r\v\f \x1f\x0e\x08!\xc3\xa4";
    static const unsigned features[] = {CPU_SSE42, CPU_SSE42 | CPU_AVX2,
                                        CPU_SSE42 | CPU_AVX2 | CPU_AVX512};
    struct random random;
    random_init(&random, 7);
    struct buffer *buffer = buffer_create(NULL, 400);
    for (int round = 0; round < 3000; round++) {
        const uint32_t size = (uint32_t)random_below(&random, 300);
        const uint64_t dense = random_below(&random, 3);
        for (uint32_t i = 0; i < size; i++)
            buffer->bytes[i] = dense > 0 && random_below(&random, 8) > 0
                                   ? 'x'
                                   : alphabet[random_below(&random, sizeof(alphabet) - 1)];
        memset(buffer->bytes + size, round % 2 ? ' ' : 'z', 64);
        struct string_view views[3][200];
        uint32_t counts[3];
        memset(views, 0, sizeof(views));
        for (size_t f = 0; f < 3; f++) {
            const unsigned before = cpu_restrict(features[f]);
            ck_assert_uint_le(split_count(buffer->bytes, size), 200);
            counts[f] = split_words(buffer->bytes, size, 3, 1000, views[f]);
            ck_assert_uint_eq(counts[f], split_count(buffer->bytes, size));
            (void)cpu_restrict(before);
            ck_assert_uint_eq(counts[f], counts[0]);
            ck_assert_int_eq(memcmp(views[f], views[0], sizeof(views[0])), 0);
        }
    }
    buffer_unref(buffer);
}
END_TEST

START_TEST(time_zones)
{
    struct time_zone *zone = NULL;
    struct error err;
    ck_assert_int_eq(time_zone_create("UTC", &zone, &err), STATUS_OK);
    ck_assert_ptr_null(zone);
    ck_assert_int_eq(time_zone_create("-03:30", &zone, &err), STATUS_OK);
    ck_assert_int_eq(time_zone_offset(zone, 0), -12600);
    time_zone_destroy(zone);
    ck_assert_int_ne(time_zone_create("../etc/passwd", &zone, &err), STATUS_OK);
    ck_assert_int_ne(time_zone_create("Mars/Phobos", &zone, &err), STATUS_OK);
    if (time_zone_create("Europe/Berlin", &zone, &err) != STATUS_OK)
        return;                                                 /* no tz database here */
    ck_assert_int_eq(time_zone_offset(zone, 1706745600), 3600); /* 2024-02-01 */
    ck_assert_int_eq(time_zone_offset(zone, 1711846799), 3600); /* 2024-03-31 00:59:59 UTC */
    ck_assert_int_eq(time_zone_offset(zone, 1711846800), 7200);
    ck_assert_int_eq(time_zone_offset(zone, 4085924400), 7200); /* July 2099: by the rule */
    ck_assert_int_eq(time_zone_offset(zone, 4102444800), 3600); /* January 2100 */
    ck_assert_int_eq(time_zone_offset_local(zone, 1711850400 + 1800), 3600); /* in the gap */
    ck_assert_int_eq(time_zone_offset_local(zone, 1729996200), 7200);        /* twice: earlier */
    time_zone_destroy(zone);
    SCOPED(schema_unref) struct schema *schema = make_schema();
    SCOPED(batch_unref) struct batch *batch = make_batch(schema);
    struct expression_options options = {.time_zone = "Europe/Berlin"};
    struct expression *expression;
    struct expression_problem problem;
    ck_assert_int_eq(expression_compile("hour(to_timestamp_ltz(1720000000, 0)) || ''", schema,
                                        &options, &expression, &problem),
                     STATUS_INVALID);
    ck_assert_int_eq(expression_compile("cast(to_timestamp_ltz(1720000000, 0) as string)", schema,
                                        &options, &expression, &problem),
                     STATUS_OK);
    struct expression_scratch *scratch = expression_scratch_create(NULL);
    struct evaluation evaluation;
    expression_evaluate(expression, scratch, batch, NULL, 5, &evaluation);
    SCOPED_TEXT_BUFFER struct text text;
    text_init(&text, 100);
    column_format_value(evaluation.column, 4, &text);
    ck_assert_str_eq(text.bytes, "2024-07-03 11:46:40.000");
    column_unref(evaluation.column);
    expression_scratch_destroy(scratch);
    expression_destroy(expression);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("expression");
    TCase *tests = tcase_create("expression");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, problems_say_where_and_what);
    tcase_add_test(tests, limits_hold);
    tcase_add_test(tests, errors_are_marked_by_row);
    tcase_add_test(tests, filter_keeps_true_rows);
    tcase_add_test(tests, expressions_tell_what_they_are);
    tcase_add_test(tests, prefix_names_a_second_schema);
    tcase_add_test(tests, aggregate_calls);
    tcase_add_test(tests, column_definitions);
    tcase_add_test(tests, split_twins_agree);
    tcase_add_test(tests, time_zones);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
