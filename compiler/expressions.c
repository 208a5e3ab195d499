/* Type checks of a node's expressions, with positions in the job's text. See plan.h. */
#include "compiler/plan.h"
#include "operators/aggregate_plan.h"

#include <string.h>

struct expression_options expression_options_of(const struct compiler *compiler)
{
    return (struct expression_options){.time_zone =
                                           config_text(compiler->config, CONFIG_TIME_ZONE)};
}

static void report(struct compiler *compiler, struct logical_node *node, const char *clause,
                   const struct named_expression *text, const struct expression_problem *problem)
{
    struct text hint SCOPED_TEXT_BUFFER;
    text_init(&hint, 600);
    diagnose_expression(compiler, text->text, text->line, text->column, &hint);
    uint32_t line = text->line;
    uint32_t column = text->column;
    position_in_source(compiler, text->text, problem->line, problem->column, &line, &column);
    const char *name = text->name != NULL ? text->name : "";
    compile_error(compiler, line, column, "node \"%s\": %s%s%s: %s%s", node->name, clause,
                  name[0] != '\0' ? " " : "", name, problem->message, hint.bytes);
    node->is_failed = true;
}

struct expression *check_expression(struct compiler *compiler, struct logical_node *node,
                                    const char *clause, const struct named_expression *text,
                                    const struct schema *schema,
                                    const struct expression_options *options)
{
    const struct expression_options usual = expression_options_of(compiler);
    struct expression *expression = NULL;
    struct expression_problem problem = {.line = 1, .column = 1};
    if (strlen(text->text) > EXPRESSION_BYTES_MAX) {
        compile_error(compiler, text->line, text->column,
                      "node \"%s\": an expression has at most %d bytes", node->name,
                      EXPRESSION_BYTES_MAX);
        node->is_failed = true;
        return NULL;
    }
    if (expression_compile(text->text, schema, options != NULL ? options : &usual, &expression,
                           &problem) != STATUS_OK) {
        report(compiler, node, clause, text, &problem);
        return NULL;
    }
    return expression;
}

bool check_aggregate(struct compiler *compiler, struct logical_node *node,
                     const struct named_expression *text, const struct schema *schema,
                     struct aggregate_call *ret_call)
{
    const struct expression_options options = expression_options_of(compiler);
    struct expression_problem problem = {.line = 1, .column = 1};
    struct aggregate_call call;
    memset(&call, 0, sizeof(call));
    if (aggregate_call_compile(text->text, schema, &options, &call, &problem) != STATUS_OK) {
        report(compiler, node, "aggregate", text, &problem);
        return false;
    }
    struct error err;
    if (aggregate_call_check(&call, &err) != STATUS_OK) {
        compile_error(compiler, text->line, text->column, "node \"%s\": aggregate %s: %s",
                      node->name, text->name, err.message);
        node->is_failed = true;
        aggregate_call_done(&call);
        return false;
    }
    *ret_call = call;
    return true;
}
