/* The registry of aggregate functions, and calls such as sum(euro) FILTER (WHERE paid). */
#include "expressions/aggregates.h"

#include "common/base/allocate.h"
#include "common/base/nearest.h"
#include "expressions/binder.h"
#include "expressions/compile.h"
#include "expressions/parser.h"

static bool count_type(struct type argument, struct type *ret_type)
{
    (void)argument;
    *ret_type = type_of_kind(TYPE_BIGINT);
    ret_type->nullable = false;
    return true;
}

static bool sum_type(struct type argument, struct type *ret_type)
{
    if (!type_is_numeric(argument.kind))
        return false;
    *ret_type = argument.kind == TYPE_DECIMAL
                    ? type_decimal(TYPE_DECIMAL_PRECISION_MAX, argument.scale)
                    : argument;
    ret_type->nullable = true;
    return true;
}

static bool avg_type(struct type argument, struct type *ret_type)
{
    if (!type_is_numeric(argument.kind))
        return false;
    *ret_type =
        argument.kind == TYPE_DECIMAL
            ? type_decimal(TYPE_DECIMAL_PRECISION_MAX, argument.scale > 6 ? argument.scale : 6)
            : argument;
    ret_type->nullable = true;
    return true;
}

static bool ordered_type(struct type argument, struct type *ret_type)
{
    if (argument.kind == TYPE_NONE || argument.kind == TYPE_ARRAY || argument.kind == TYPE_MAP ||
        argument.kind == TYPE_ROW)
        return false;
    *ret_type = argument;
    ret_type->nullable = true;
    return true;
}

static bool value_type(struct type argument, struct type *ret_type)
{
    *ret_type = argument;
    ret_type->nullable = true;
    return argument.kind != TYPE_NONE;
}

static const struct aggregate_function functions[] = {
    {"count", true, true, count_type, "any type", "count(*), count([DISTINCT] value)",
     "rows, or rows whose value is not NULL", "BIGINT NOT NULL"},
    {"sum", false, true, sum_type, "a number", "sum([DISTINCT] number)",
     "sum of the values that are not NULL, NULL if there is none; integers keep their type and "
     "wrap "
     "(cast to BIGINT for large sums)",
     "the argument's type; DECIMAL(38, s) of DECIMAL(p, s)"},
    {"avg", false, true, avg_type, "a number", "avg([DISTINCT] number)",
     "mean of the values that are not NULL; of integers it is truncated",
     "the argument's type; DECIMAL(38, max(6, s)) of DECIMAL(p, s)"},
    {"min", false, true, ordered_type, "a type with an order", "min(value)", "smallest value",
     "the argument's type"},
    {"max", false, true, ordered_type, "a type with an order", "max(value)", "largest value",
     "the argument's type"},
    {"first_value", false, false, value_type, "any type", "first_value(value)",
     "the value of the first row of the key in which it is not NULL", "the argument's type"},
    {"first", false, false, value_type, "any type", "first(value)", "the same as first_value",
     "the argument's type"},
    {"last_value", false, false, value_type, "any type", "last_value(value)",
     "the value of the latest row of the key in which it is not NULL", "the argument's type"},
    {"last", false, false, value_type, "any type", "last(value)", "the same as last_value",
     "the argument's type"},
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

const struct aggregate_function *aggregate_functions(size_t *ret_count)
{
    *ret_count = FUNCTION_COUNT;
    return functions;
}

const struct aggregate_function *aggregate_signature_find(const char *name)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++) {
        if (strcmp(functions[i].name, name) == 0)
            return &functions[i];
    }
    return NULL;
}

static bool fail_no_aggregate(struct parser *parser, uint32_t position, const char *name)
{
    const char *names[FUNCTION_COUNT];
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        names[i] = functions[i].name;
    const char *nearest = nearest_name(name, names, FUNCTION_COUNT);
    if (nearest == NULL)
        return parser_fail(parser, position,
                           "\"%.80s\" is no aggregate function; there are count, sum, avg, min, "
                           "max, first_value, last_value",
                           name);
    return parser_fail(parser, position,
                       "unknown aggregate function \"%.80s\": did you mean \"%s\"?", name, nearest);
}

/* One call with its FILTER, bound; the argument becomes the expression's root. */
static bool compile_call(struct expression *expression, struct parser *parser,
                         const struct aggregate_function **ret_function, struct node **ret_call,
                         struct node **ret_filter)
{
    struct node *call = parse_expression(parser);
    if (call == NULL)
        return false;
    if (call->kind != NODE_CALL)
        return parser_fail(parser, call->start,
                           "expected one call of an aggregate function, such as count(*) or "
                           "sum(x); compute with results in \"select\"");
    const struct aggregate_function *function = aggregate_signature_find(call->name);
    if (function == NULL)
        return fail_no_aggregate(parser, call->start, call->name);
    struct node *filter = NULL;
    if (parser_take_word(parser, "FILTER")) {
        if (!parser_need_symbol(parser, "(") || !parser_need_word(parser, "WHERE"))
            return false;
        filter = parse_expression(parser);
        if (filter == NULL || !parser_need_symbol(parser, ")"))
            return false;
    }
    if (parser->token.kind != TOKEN_END)
        return parser_expected(parser, "the end of the aggregate call");
    if (call->is_star ? !function->takes_star : call->arg_count != 1)
        return parser_fail(parser, call->start, "%s is used as %s", function->name,
                           function->signature);
    if (call->is_distinct && !function->takes_distinct)
        return parser_fail(parser, call->start, "%s takes no DISTINCT", function->name);
    struct binder binder = {.expression = expression, .problem = parser->problem};
    if (!call->is_star && !bind_node(&binder, &call->args[0]))
        return false;
    *ret_function = function;
    *ret_call = call;
    *ret_filter = filter;
    return true;
}

static char *slice_text(const char *text, const struct node *node)
{
    return copy_text_n(text + node->start, node->end - node->start);
}

enum status aggregate_call_compile(const char *text, const struct schema *schema,
                                   const struct expression_options *options,
                                   struct aggregate_call *ret_call,
                                   struct expression_problem *problem)
{
    const struct aggregate_function *function = NULL;
    struct node *call = NULL;
    struct node *filter = NULL;
    struct parser parser;
    SCOPED(expression_destroy)
    struct expression *expression = expression_prepare(text, schema, options, problem);
    if (expression == NULL || !parser_init(&parser, expression, expression->text, problem) ||
        !compile_call(expression, &parser, &function, &call, &filter) || call == NULL)
        return STATUS_INVALID;
    struct aggregate_call result = {.is_distinct = call->is_distinct, .is_star = call->is_star};
    const struct type argument = call->is_star ? type_of_kind(TYPE_BIGINT) : call->args[0]->type;
    if (!function->result_type(argument, &result.result)) {
        (void)parser_fail(&parser, call->start, "%s takes %s, not %s", function->name,
                          function->arguments, type_text(argument));
        return STATUS_INVALID;
    }
    if (filter != NULL) {
        /* An expression of its own; positions in problems are those of the whole text. */
        SCOPED_TEXT char *filter_text = slice_text(expression->text, filter);
        const enum status status =
            expression_compile(filter_text, schema, options, &result.filter, problem);
        if (status != STATUS_OK) {
            problem_set_position(problem, expression->text, filter->start);
            return status;
        }
        if (result.filter->root->type.kind != TYPE_BOOLEAN) {
            (void)parser_fail(&parser, filter->start, "FILTER needs BOOLEAN, not %s",
                              type_text(result.filter->root->type));
            expression_destroy(result.filter);
            return STATUS_INVALID;
        }
    }
    result.function = copy_text(function->name);
    if (!call->is_star) {
        expression->root = call->args[0];
        result.argument = take_pointer(&expression);
    }
    *ret_call = result;
    return STATUS_OK;
}

void aggregate_call_done(struct aggregate_call *call)
{
    free(call->function);
    expression_destroy(call->argument);
    expression_destroy(call->filter);
    *call = (struct aggregate_call){0};
}
