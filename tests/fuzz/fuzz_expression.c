/*
 * Expressions, aggregate calls and column definitions: what compiles has a canonical text that
 * compiles to the same, and evaluates, over values at the ends of their ranges, to the same result
 * row by row as all at once.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/allocate.h"
#include "expressions/expression.h"

#include <float.h>
#include <math.h>

enum { ROW_COUNT = 8 };

static const struct type_field array_of_text[] = {{"", {.kind = TYPE_STRING, .nullable = true}}};
static const struct schema_column columns[] = {
    {.name = "ok", .type = {.kind = TYPE_BOOLEAN, .nullable = true}},
    {.name = "t", .type = {.kind = TYPE_TINYINT}},
    {.name = "i", .type = {.kind = TYPE_INT, .nullable = true}},
    {.name = "b", .type = {.kind = TYPE_BIGINT, .nullable = true}},
    {.name = "d", .type = {.kind = TYPE_DOUBLE, .nullable = true}},
    {.name = "euro", .type = {.kind = TYPE_DECIMAL, .nullable = true, .precision = 38, .scale = 2}},
    {.name = "s", .type = {.kind = TYPE_STRING, .nullable = true}},
    {.name = "day", .type = {.kind = TYPE_DATE, .nullable = true}},
    {.name = "at", .type = {.kind = TYPE_TIMESTAMP, .nullable = true, .precision = 3}},
    {.name = "ltz", .type = {.kind = TYPE_TIMESTAMP_LTZ, .nullable = true, .precision = 9}},
    {.name = "clock", .type = {.kind = TYPE_TIME, .nullable = true, .precision = 3}},
    {.name = "tags",
     .type = {.kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = array_of_text}},
};

static void append_row(struct batch_builder *builder, int row)
{
    static const int64_t bigints[] = {0, 1, -1, INT64_MAX, INT64_MIN, 100, 59};
    static const double doubles[] = {0, -0.0, 1.5, (double)NAN, (double)INFINITY, DBL_MAX, -1e300};
    static const char *const strings[] = {
        "", "a b", "12", "caf\xC3\xA9 and more", "2024-02-29", "x,y,,z", "\xF0\x9F\x98\x80"};
    const int64_t number = bigints[row];
    batch_builder_bool(builder, 0, row % 2 == 0);
    batch_builder_int(builder, 1, (int8_t)number);
    batch_builder_int(builder, 2, (int32_t)number);
    batch_builder_int(builder, 3, number);
    batch_builder_double(builder, 4, doubles[row]);
    batch_builder_decimal(builder, 5, (__int128)number * (row == 3 ? INT64_MAX : 1));
    batch_builder_bytes(builder, 6, strings[row], strlen(strings[row]));
    batch_builder_int(builder, 7, row == 3 ? 2932896 : row == 4 ? -719528 : row * 1000);
    batch_builder_int(builder, 8, number);
    batch_builder_int(builder, 9, number);
    batch_builder_int(builder, 10, row * INT64_C(10000000000));
    batch_builder_begin(builder, 11);
    for (int i = 0; i < row; i++)
        batch_builder_bytes(builder, 0, strings[i], strlen(strings[i]));
    batch_builder_end(builder);
}

static struct schema *schema;
static struct batch *batch;

static void make_batch(void)
{
    schema = schema_create(columns, sizeof(columns) / sizeof(columns[0]), -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (int row = 0; row < ROW_COUNT - 1; row++) {
        append_row(&builder, row);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    batch_builder_int(&builder, 1, 7);
    batch_builder_null_missing(&builder);
    batch_builder_end_row(&builder, ROW_INSERT);
    batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
}

static void check_problem(enum status code, const struct expression_problem *problem)
{
    CHECK(code != STATUS_OK && problem->message[0] != '\0');
    CHECK(problem->line > 0 && problem->column > 0);
}

/* The rows' values and errors as text. */
static void append_results(const struct expression *expression, struct expression_scratch *scratch,
                           const uint32_t *rows, uint32_t count, struct text *out)
{
    struct evaluation result = {0};
    expression_evaluate(expression, scratch, batch, rows, count, &result);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows != NULL ? rows[i] : i;
        if (result.errors != NULL && (result.errors[row / 64] >> (row % 64) & 1) != 0) {
            CHECK(result.error_count > 0);
            expression_row_error(expression, scratch, batch, row, out);
        } else {
            column_format_value(result.column, row, out);
        }
        text_append_char(out, '\n');
    }
    column_unref(result.column);
}

static void check_evaluation(const struct expression *expression)
{
    struct expression_scratch *scratch = expression_scratch_create(NULL);
    SCOPED_TEXT_BUFFER struct text all;
    SCOPED_TEXT_BUFFER struct text single;
    text_init(&all, 1 << 24);
    text_init(&single, 1 << 24);
    append_results(expression, scratch, NULL, ROW_COUNT, &all);
    for (uint32_t row = 0; row < ROW_COUNT; row++)
        append_results(expression, scratch, &row, 1, &single);
    fuzz_check_equal(all.bytes, all.size, single.bytes, single.size);
    expression_scratch_destroy(scratch);
}

static void check_expression(const char *text)
{
    static const struct expression_options options = {.time_zone = "Europe/Berlin"};
    struct expression *first = NULL;
    struct expression *second = NULL;
    struct expression_problem problem = {0};
    const enum status code = expression_compile(text, schema, &options, &first, &problem);
    if (code != STATUS_OK) {
        check_problem(code, &problem);
        return;
    }
    SCOPED_TEXT_BUFFER struct text canonical;
    SCOPED_TEXT_BUFFER struct text again;
    text_init(&canonical, 1 << 24);
    text_init(&again, 1 << 24);
    expression_format(first, &canonical);
    if (canonical.size <= EXPRESSION_BYTES_MAX) {
        CHECK(expression_compile(canonical.bytes, schema, &options, &second, &problem) ==
              STATUS_OK);
        expression_format(second, &again);
        fuzz_check_equal(canonical.bytes, canonical.size, again.bytes, again.size);
        CHECK(type_equals(expression_type(first), expression_type(second), true));
        expression_destroy(second);
    }
    check_evaluation(first);
    expression_destroy(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    if (batch == NULL)
        make_batch();
    const uint8_t form = fuzz_take_byte(&bytes, &size);
    SCOPED_TEXT char *text = copy_text_n((const char *)bytes, size);
    struct expression_problem problem = {0};
    if (form == 'a') {
        struct aggregate_call call = {0};
        const enum status code = aggregate_call_compile(text, schema, NULL, &call, &problem);
        if (code != STATUS_OK)
            check_problem(code, &problem);
        else
            aggregate_call_done(&call);
    } else if (form == 'c') {
        struct column_definition definition = {0};
        const enum status code = column_definition_parse(text, &definition, &problem);
        if (code != STATUS_OK)
            check_problem(code, &problem);
        else
            column_definition_done(&definition);
    } else {
        check_expression(text);
    }
    return 0;
}
