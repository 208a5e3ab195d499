/*
 * Neighbouring calcs of one node become one.
 *
 * The second can run inside the first when each of its expressions is either a plain column, which
 * takes over the first one's expression, or reads only columns that the first passes under their
 * own name, and so means the same on the first one's input. Conditions of both hold.
 */
#include "compiler/plan.h"

#include <string.h>

struct pair {
    struct compiler *compiler;
    struct plan_operator *first;
    struct plan_operator *second;
    bool *passes; /* per output column of first: passed on under its own name */
};

static struct expression *compile_on(const struct pair *pair, const char *text,
                                     const struct schema *schema)
{
    const struct expression_options options = expression_options_of(pair->compiler);
    struct expression_problem problem;
    struct expression *expression = NULL;
    if (expression_compile(text, schema, &options, &expression, &problem) != STATUS_OK)
        return NULL;
    return expression;
}

/* Filled for each column of the first calc's output. */
static void find_passed(struct pair *pair)
{
    const struct plan_operator *first = pair->first;
    for (uint32_t i = 0; i < first->column_count; i++) {
        SCOPED(expression_destroy)
        struct expression *expression = compile_on(pair, first->columns[i].text, first->input);
        const int32_t column = expression != NULL ? expression_as_column(expression) : -1;
        pair->passes[i] =
            column >= 0 && strcmp(first->input->columns[column].name, first->columns[i].name) == 0;
    }
}

static bool reads_only_passed(const struct pair *pair, const struct expression *expression)
{
    bool used[SCHEMA_COLUMN_MAX] = {false};
    expression_used_columns(expression, used);
    for (uint32_t i = 0; i < pair->first->column_count; i++) {
        if (used[i] && !pair->passes[i])
            return false;
    }
    return true;
}

/* The texts of second's columns over first's input, or false. */
static bool compose(const struct pair *pair, struct named_expression *ret_columns)
{
    const struct plan_operator *second = pair->second;
    for (uint32_t i = 0; i < second->filter_count; i++) {
        SCOPED(expression_destroy)
        struct expression *filter = compile_on(pair, second->filters[i].text, pair->first->output);
        if (filter == NULL || !reads_only_passed(pair, filter))
            return false;
    }
    for (uint32_t i = 0; i < second->column_count; i++) {
        SCOPED(expression_destroy)
        struct expression *column = compile_on(pair, second->columns[i].text, pair->first->output);
        if (column == NULL)
            return false;
        const int32_t plain = expression_as_column(column);
        ret_columns[i] = second->columns[i];
        if (plain >= 0) {
            ret_columns[i] = pair->first->columns[plain];
            ret_columns[i].name = second->columns[i].name;
        } else if (!reads_only_passed(pair, column)) {
            return false;
        }
    }
    return true;
}

static void merge(struct pair *pair, struct named_expression *columns)
{
    struct plan_operator *first = pair->first;
    struct plan_operator *second = pair->second;
    const uint32_t filter_count = first->filter_count + second->filter_count;
    struct named_expression *filters =
        pool_take(&pair->compiler->pool, filter_count + 1, sizeof(*filters));
    if (first->filter_count > 0)
        memcpy(filters, first->filters, first->filter_count * sizeof(*filters));
    if (second->filter_count > 0)
        memcpy(filters + first->filter_count, second->filters,
               second->filter_count * sizeof(*filters));
    first->filters = filters;
    first->filter_count = filter_count;
    first->columns = columns;
    first->column_count = second->column_count;
    first->role = ROLE_CALC;
    plan_set_output(first, schema_ref(second->output));
    second->is_removed = true;
}

void rule_merge_calcs(struct compiler *compiler, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        struct plan_operator *second = &plan->operators[i];
        struct plan_operator *first = second->is_removed ? NULL : plan_before(plan, second);
        if (first == NULL || strcmp(first->kind, "calc") != 0 || strcmp(second->kind, "calc") != 0)
            continue;
        struct pair pair = {.compiler = compiler, .first = first, .second = second};
        pair.passes = pool_take(&compiler->pool, first->column_count + 1, sizeof(bool));
        find_passed(&pair);
        struct named_expression *columns =
            pool_take(&compiler->pool, second->column_count + 1, sizeof(*columns));
        if (compose(&pair, columns))
            merge(&pair, columns);
        else if (second->role == ROLE_WHERE && first->role == ROLE_WHERE)
            second->role = ROLE_SELECT;
    }
}
