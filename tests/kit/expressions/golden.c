/* Golden tests of expressions: see golden.h. */
#include "tests/kit/expressions/golden.h"

#include "common/data/batch_builder.h"
#include "expressions/expression.h"
#include "expressions/node.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define ROWS 70 /* more than one word of a bitmap */

/* n: 7, s: 'Hello World', t: true, d: 2.5, nil: NULL, ok: true (of each type of interest). */
static struct schema *golden_schema(void)
{
    struct schema_column columns[] = {
        {"n", type_of_kind(TYPE_BIGINT), 0},     {"s", type_of_kind(TYPE_STRING), 0},
        {"t", type_of_kind(TYPE_BOOLEAN), 0},    {"d", type_of_kind(TYPE_DOUBLE), 0},
        {"nil", type_of_kind(TYPE_BIGINT), 0},   {"nils", type_of_kind(TYPE_STRING), 0},
        {"nilt", type_of_kind(TYPE_BOOLEAN), 0}, {"long", type_of_kind(TYPE_STRING), 0},
    };
    return schema_create(columns, sizeof(columns) / sizeof(columns[0]), -1);
}

static struct batch *golden_batch(const struct schema *schema)
{
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (int i = 0; i < ROWS; i++) {
        batch_builder_int(&builder, 0, 7);
        batch_builder_bytes(&builder, 1, "Hello World", 11);
        batch_builder_bool(&builder, 2, true);
        batch_builder_double(&builder, 3, 2.5);
        batch_builder_null(&builder, 4);
        batch_builder_null(&builder, 5);
        batch_builder_null(&builder, 6);
        batch_builder_bytes(&builder, 7, "the quick brown fox jumps over the lazy dog", 43);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

/* What row 66 gives. */
static void show_result(const struct expression *expression, const struct batch *batch,
                        const uint32_t *rows, uint32_t count, struct text *out)
{
    struct expression_scratch *scratch = expression_scratch_create(NULL);
    struct evaluation evaluation;
    expression_evaluate(expression, scratch, batch, rows, count, &evaluation);
    if (evaluation.error_count > 0) {
        ck_assert_uint_eq(evaluation.error_count, count);
        text_append(out, "error: ");
        expression_row_error(expression, scratch, batch, 66, out);
    } else {
        ck_assert_ptr_null(evaluation.errors);
        ck_assert_uint_eq(evaluation.column->row_count, batch->row_count);
        column_format_value(evaluation.column, 66, out);
    }
    column_unref(evaluation.column);
    expression_scratch_destroy(scratch);
}

static bool matches(const char *found, const char *expected)
{
    if (strncmp(expected, "error: ", 7) == 0)
        return strncmp(found, "error: ", 7) == 0 && strstr(found + 7, expected + 7) != NULL;
    return strcmp(found, expected) == 0;
}

static void check_one(const struct golden *golden, const struct schema *schema,
                      const struct batch *batch, bool wide)
{
    struct expression *expression = NULL;
    struct expression_problem problem;
    expression_keep_literals_wide(wide);
    const enum status status =
        expression_compile(golden->text, schema, NULL, &expression, &problem);
    expression_keep_literals_wide(false);
    if (strncmp(golden->expected, "problem: ", 9) == 0) {
        if (status == STATUS_OK || strstr(problem.message, golden->expected + 9) == NULL)
            ck_abort_msg("%s\n  expected %s\n  found %s", golden->text, golden->expected,
                         status == STATUS_OK ? "no problem" : problem.message);
        expression_destroy(expression);
        return;
    }
    if (status != STATUS_OK)
        ck_abort_msg("%s\n  expected %s\n  problem at %u:%u: %s", golden->text, golden->expected,
                     problem.line, problem.column, problem.message);
    static const uint32_t some[] = {1, 5, 63, 64, 66, 69};
    for (int part = 0; part < 2; part++) {
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, 100000);
        show_result(expression, batch, part ? some : NULL, part ? 6 : batch->row_count, &out);
        if (!matches(out.bytes, golden->expected))
            ck_abort_msg("%s (%s literals, %s rows)\n  expected %s\n  found    %s", golden->text,
                         wide ? "wide" : "constant", part ? "some" : "all", golden->expected,
                         out.bytes);
    }
    expression_destroy(expression);
}

static void check_all(const struct golden *goldens, size_t count, bool constant, bool wide)
{
    SCOPED(schema_unref) struct schema *schema = golden_schema();
    SCOPED(batch_unref) struct batch *batch = golden_batch(schema);
    for (size_t i = 0; i < count; i++) {
        const bool fails = strncmp(goldens[i].expected, "error: ", 7) == 0;
        if (constant || !fails)
            check_one(&goldens[i], schema, batch, false);
        if (wide)
            check_one(&goldens[i], schema, batch, true);
    }
}

void golden_check(const struct golden *goldens, size_t count)
{
    check_all(goldens, count, true, true);
}

void golden_check_run(const struct golden *goldens, size_t count)
{
    check_all(goldens, count, false, true);
}

void golden_check_compile(const struct golden *goldens, size_t count)
{
    check_all(goldens, count, true, false);
}
