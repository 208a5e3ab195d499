/* Expressions from text to results: the public functions of expression.h. */
#include "expressions/expression.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "expressions/binder.h"
#include "expressions/column_pick.h"
#include "expressions/compile.h"
#include "expressions/evaluate.h"
#include "expressions/parser.h"
#include "expressions/time_zone.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

static _Thread_local bool keep_literals_wide;

void expression_keep_literals_wide(bool wide)
{
    keep_literals_wide = wide;
}

/* ---- compiling ---- */

struct expression *expression_prepare(const char *text, const struct schema *schema,
                                      const struct expression_options *options,
                                      struct expression_problem *problem)
{
    *problem = (struct expression_problem){.line = 1, .column = 1};
    struct expression *expression = allocate(sizeof(*expression));
    expression->text = copy_text(text);
    expression->text_size = (uint32_t)strlen(text);
    expression->schema = schema_ref(schema);
    expression->keeps_literals_wide = keep_literals_wide;
    if (options == NULL)
        return expression;
    if (options->row_prefix != NULL) {
        CHECK(options->prefix_schema != NULL);
        expression->row_prefix = copy_text(options->row_prefix);
        expression->prefix_schema = schema_ref(options->prefix_schema);
    }
    if (options->time_zone != NULL) {
        struct error err;
        if (time_zone_create(options->time_zone, &expression->time_zone, &err) != STATUS_OK) {
            (void)snprintf(problem->message, sizeof(problem->message), "%.500s", err.message);
            expression_destroy(expression);
            return NULL;
        }
    }
    return expression;
}

static bool compile(struct expression *expression, struct expression_problem *problem)
{
    struct parser parser;
    if (!parser_init(&parser, expression, expression->text, problem))
        return false;
    if (parser.token.kind == TOKEN_END)
        return parser_fail(&parser, 0, "the expression is empty");
    struct node *root = parse_expression(&parser);
    if (root == NULL)
        return false;
    if (parser.token.kind != TOKEN_END)
        return parser_expected(&parser, "an operator or the end of the expression");
    struct binder binder = {.expression = expression, .problem = problem};
    if (!bind_node(&binder, &root))
        return false;
    if (root->type.kind == TYPE_NONE)
        return bind_fail(&binder, root,
                         "the type of NULL is not known here: write CAST(NULL AS type)");
    expression->root = root;
    return true;
}

enum status expression_compile(const char *text, const struct schema *schema,
                               const struct expression_options *options,
                               struct expression **ret_expression,
                               struct expression_problem *problem)
{
    struct expression *expression = expression_prepare(text, schema, options, problem);
    if (expression == NULL)
        return STATUS_INVALID;
    if (!compile(expression, problem)) {
        expression_destroy(expression);
        return STATUS_INVALID;
    }
    *ret_expression = expression;
    return STATUS_OK;
}

void expression_destroy(struct expression *expression)
{
    if (expression == NULL)
        return;
    while (expression->owned != NULL) {
        struct owned *owned = expression->owned;
        expression->owned = owned->next;
        owned->release(owned->object);
    }
    node_arena_done(&expression->arena);
    schema_unref(expression->schema);
    schema_unref(expression->prefix_schema);
    time_zone_destroy(expression->time_zone);
    free(expression->row_prefix);
    free(expression->text);
    free(expression);
}

struct column *expression_fold(struct expression *expression, const struct node *node)
{
    struct expression_scratch *scratch = expression_scratch_create(NULL);
    scratch_start(scratch, expression, NULL, 1);
    struct vector value = evaluate_node(scratch, node, NULL, 1);
    if (scratch->error_count > 0) {
        column_unref(value.column);
        value.column = NULL;
    }
    expression_scratch_destroy(scratch);
    return value.column;
}

/* ---- what it is ---- */

struct type expression_type(const struct expression *expression)
{
    return expression->root->type;
}

int32_t expression_as_column(const struct expression *expression)
{
    return expression->root->kind == NODE_COLUMN ? (int32_t)expression->root->index : -1;
}

static void mark_columns(const struct node *node, bool *used, uint32_t count, bool *any)
{
    if (node->kind == NODE_COLUMN) {
        *any = true;
        if (used != NULL && node->index < count)
            used[node->index] = true;
    }
    for (uint32_t i = 0; i < node->arg_count; i++)
        mark_columns(node->args[i], used, count, any);
}

bool expression_is_constant(const struct expression *expression)
{
    bool any = false;
    mark_columns(expression->root, NULL, 0, &any);
    return !any;
}

void expression_used_columns(const struct expression *expression, bool *used)
{
    bool any = false;
    const uint32_t prefixed =
        expression->prefix_schema != NULL ? expression->prefix_schema->column_count : 0;
    mark_columns(expression->root, used, expression->schema->column_count + prefixed, &any);
}

void node_format(const struct expression *expression, const struct node *node, struct text *out)
{
    uint32_t at = node->start;
    struct token token;
    struct lexer_problem problem;
    bool glue = true;
    while (at < node->end && lexer_next(expression->text, node->end, at, &token, &problem) &&
           token.kind != TOKEN_END) {
        const char *bytes = expression->text + token.start;
        const bool is_close =
            token.kind == TOKEN_SYMBOL && strchr(")],.", bytes[0]) != NULL && token.size == 1;
        const bool is_open = token.kind == TOKEN_SYMBOL && strchr("([", bytes[0]) != NULL;
        /* A call's parenthesis stands at its name as written. */
        const bool stays = is_open && token.start == at;
        if (!glue && !is_close && !stays)
            text_append_char(out, ' ');
        const bool is_reserved = token.kind == TOKEN_WORD && word_is_reserved(bytes, token.size);
        for (uint32_t i = 0; i < token.size; i++)
            text_append_char(out, is_reserved ? (char)toupper((unsigned char)bytes[i]) : bytes[i]);
        glue = is_open || (token.kind == TOKEN_SYMBOL && bytes[0] == '.');
        at = token.start + token.size;
    }
}

void expression_format(const struct expression *expression, struct text *out)
{
    node_format(expression, expression->root, out);
}

/* ---- evaluating ---- */

struct expression_scratch *expression_scratch_create(struct memory_account *account)
{
    struct expression_scratch *scratch = allocate(sizeof(*scratch));
    scratch->account = account;
    return scratch;
}

void expression_scratch_destroy(struct expression_scratch *scratch)
{
    if (scratch == NULL)
        return;
    while (scratch->free_count > 0)
        free(scratch->free_rows[--scratch->free_count]);
    free(scratch->free_rows);
    free(scratch->errors);
    free(scratch->slots);
    free(scratch);
}

void expression_evaluate(const struct expression *expression, struct expression_scratch *scratch,
                         const struct batch *batch, const uint32_t *rows, uint32_t count,
                         struct evaluation *ret_evaluation)
{
    scratch_start(scratch, expression, batch, batch->row_count);
    struct vector value = evaluate_node(scratch, expression->root, rows, count);
    if (value.mask == 0 && batch->row_count != 1) {
        uint32_t *zeros = scratch_take_rows(scratch);
        memset(zeros, 0, batch->row_count * sizeof(uint32_t));
        struct column *wide = column_gather(value.column, zeros, batch->row_count);
        scratch_give_rows(scratch, zeros);
        column_unref(value.column);
        value.column = wide;
    }
    *ret_evaluation = (struct evaluation){
        .column = value.column,
        .errors = scratch->error_count > 0 ? scratch->errors : NULL,
        .error_count = scratch->error_count,
    };
}

uint32_t expression_filter(const struct expression *expression, struct expression_scratch *scratch,
                           const struct batch *batch, const uint32_t *rows, uint32_t count,
                           uint32_t *ret_rows, struct evaluation *ret_evaluation)
{
    scratch_start(scratch, expression, batch, batch->row_count);
    const struct vector value = evaluate_node(scratch, expression->root, rows, count);
    const uint8_t *values = value.column->values;
    uint32_t kept = 0;
    if (rows == NULL && value.mask != 0 && value.column->validity == NULL &&
        scratch->error_count == 0) {
        for (uint32_t row = 0; row < count; row++) {
            ret_rows[kept] = row;
            kept += values[row];
        }
    } else {
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t row = rows != NULL ? rows[i] : i;
            const uint32_t from = row & value.mask;
            if (scratch->error_count > 0 && (scratch->errors[row / 64] >> (row % 64) & 1) != 0)
                continue;
            if (!column_is_null(value.column, from) && values[from] != 0)
                ret_rows[kept++] = row;
        }
    }
    *ret_evaluation = (struct evaluation){
        .column = value.column,
        .errors = scratch->error_count > 0 ? scratch->errors : NULL,
        .error_count = scratch->error_count,
    };
    return kept;
}

/* ---- failed rows ---- */

#define SHOWN_VALUE_BYTES  80
#define SHOWN_SOURCE_BYTES 120

/* At most max bytes, cut at a character, with "..." where something is missing. */
static void append_shortened(struct text *out, const struct text *from, size_t max)
{
    size_t size = from->size;
    const bool is_cut = size > max || from->overflowed;
    if (size > max)
        size = max;
    while (is_cut && size > 0 && size < from->size &&
           ((unsigned char)from->bytes[size] & 0xC0) == 0x80)
        size--;
    text_append_bytes(out, from->bytes, size);
    if (is_cut)
        text_append(out, "...");
}

static void append_values(const struct call *call, uint32_t row, struct text *out)
{
    uint32_t shown = 0;
    for (uint32_t i = 0; i < call->arg_count && shown < 3; i++) {
        const struct node *arg = call->node->args[i];
        const struct column *column = call->args[i].column;
        if (arg->kind == NODE_LITERAL)
            continue;
        SCOPED_TEXT_BUFFER struct text source;
        SCOPED_TEXT_BUFFER struct text value;
        text_init(&source, SHOWN_SOURCE_BYTES);
        text_init(&value, SHOWN_VALUE_BYTES + 4);
        node_format(call->scratch->expression, arg, &source);
        column_format_value(column, arg_row(call, i, row), &value);
        text_append(out, shown == 0 ? " where " : ", ");
        append_shortened(out, &source, SHOWN_VALUE_BYTES);
        text_append(out, " is ");
        const bool is_text = type_is_string(column->type.kind);
        text_append(out, is_text ? "'" : "");
        append_shortened(out, &value, SHOWN_VALUE_BYTES);
        text_append(out, is_text ? "'" : "");
        shown++;
    }
}

void call_raise(const struct call *call, uint32_t row, const char *cause, ...)
{
    struct expression_scratch *scratch = call->scratch;
    const uint64_t bit = UINT64_C(1) << (row % 64);
    if ((scratch->errors[row / 64] & bit) != 0)
        return;
    scratch->errors[row / 64] |= bit;
    scratch->errors_dirty = true;
    scratch->error_count++;
    struct text *out = scratch->message;
    if (out == NULL)
        return;
    char text[200];
    va_list args;
    va_start(args, cause);
    (void)vsnprintf(text, sizeof(text), cause, args);
    va_end(args);
    text_append(out, text);
    SCOPED_TEXT_BUFFER struct text source;
    text_init(&source, SHOWN_SOURCE_BYTES);
    node_format(scratch->expression, call->node, &source);
    text_append(out, " in ");
    append_shortened(out, &source, SHOWN_SOURCE_BYTES);
    append_values(call, row, out);
}

void expression_row_error(const struct expression *expression, struct expression_scratch *scratch,
                          const struct batch *batch, uint32_t row, struct text *out)
{
    /* The row is computed once more, in a scratch of its own so that the caller's mask stays. */
    struct expression_scratch *again = expression_scratch_create(scratch->account);
    scratch_start(again, expression, batch, batch->row_count);
    again->message = out;
    column_unref(evaluate_node(again, expression->root, &row, 1).column);
    expression_scratch_destroy(again);
}
