/* aggregate and reduce: keys, types, emission, changes. See analyze.h. */
#include "common/base/nearest.h"
#include "compiler/analyze.h"
#include "operators/aggregate_plan.h"

#include <string.h>

static void check_keys(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct yaml_node *clause = node->clauses[CLAUSE_KEY_BY];
    for (uint32_t i = 0; i < node->key_count; i++) {
        const struct yaml_node *where = clause->kind == YAML_LIST ? clause->items[i] : clause;
        const struct schema *schema = analyzer->current;
        const char *names[SCHEMA_COLUMN_MAX];
        for (uint32_t c = 0; c < schema->column_count; c++)
            names[c] = schema->columns[c].name;
        bool is_twice = false;
        for (uint32_t j = 0; j < i; j++)
            is_twice = is_twice || strcmp(node->keys[i], node->keys[j]) == 0;
        if (schema_find(schema, node->keys[i]) >= 0 && !is_twice)
            continue;
        node->is_failed = true;
        const char *nearest = nearest_name(node->keys[i], names, schema->column_count);
        if (is_twice)
            compile_error(analyzer->compiler, where->line, where->column,
                          "node \"%s\": key_by names \"%s\" twice", node->name, node->keys[i]);
        else if (nearest != NULL)
            compile_error(analyzer->compiler, where->line, where->column,
                          "node \"%s\": key_by: there is no column \"%.100s\": did you mean "
                          "\"%s\"?",
                          node->name, node->keys[i], nearest);
        else
            compile_error(analyzer->compiler, where->line, where->column,
                          "node \"%s\": key_by: there is no column \"%.100s\" (an expression is "
                          "given a name with `set`)",
                          node->name, node->keys[i]);
    }
}

static void check_emit(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct yaml_node *clause = node->clauses[CLAUSE_EMIT];
    if (clause != NULL && node->emit == EMIT_END && node->unbounded_source != NULL) {
        compile_error(analyzer->compiler, clause->line, clause->column,
                      "node \"%s\": `emit: end` never comes, because the source \"%s\" does not "
                      "end: use each, batch or changelog",
                      node->name, node->unbounded_source);
        node->is_failed = true;
    }
    const bool is_forgotten = node->window_row != NULL && node->window_row->has_bounds;
    if (node->ttl_ms == 0 && node->key_count > 0 && !is_forgotten)
        compile_warning(analyzer->compiler, node->line, node->column,
                        "node \"%s\" keeps state for every key for ever (unbounded state): `ttl` "
                        "forgets keys that are no longer written",
                        node->name);
}

static bool call_fits(struct analyzer *analyzer, const struct named_expression *column,
                      const struct aggregate_call *call)
{
    if (!analyzer->node->has_changes || aggregate_call_is_retractable(call))
        return true;
    compile_error(analyzer->compiler, column->line, column->column,
                  "node \"%s\": %s cannot take rows back, but its input is a changelog (`emit: "
                  "changelog` before it): use `emit: each` there, or sum, count or avg here",
                  analyzer->node->name, call->function);
    analyzer->node->is_failed = true;
    return false;
}

static void name_twice(struct analyzer *analyzer, const struct named_expression *column)
{
    const struct logical_node *node = analyzer->node;
    for (uint32_t i = 0; i < node->key_count; i++) {
        if (strcmp(node->keys[i], column->name) == 0) {
            compile_error(analyzer->compiler, column->line, column->column,
                          "node \"%s\": aggregate %s: the key has this name already: the result "
                          "holds the keys and then the aggregates",
                          node->name, column->name);
            analyzer->node->is_failed = true;
        }
    }
}

void analyze_aggregate_columns(struct analyzer *analyzer, struct schema_column *ret_keys,
                               struct schema_column *ret_results)
{
    struct logical_node *node = analyzer->node;
    const struct expression_list *list = &node->aggregate;
    for (uint32_t i = 0; i < node->key_count && !node->is_failed; i++) {
        const int32_t index = schema_find(analyzer->current, node->keys[i]);
        ret_keys[i] = analyzer->current->columns[index];
        ret_keys[i].field_id = 0;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        struct aggregate_call call;
        name_twice(analyzer, &list->items[i]);
        if (!check_aggregate(analyzer->compiler, node, &list->items[i], analyzer->current, &call))
            continue;
        if (call_fits(analyzer, &list->items[i], &call)) {
            struct schema_column column = {.name = list->items[i].name, .type = call.result};
            struct schema *keeper = schema_create(&column, 1, -1);
            keep_schema(analyzer, keeper);
            column.type = keeper->columns[0].type;
            ret_results[i] = column;
        }
        aggregate_call_done(&call);
    }
}

static void analyze_aggregate(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct expression_list *list = &node->aggregate;
    const uint32_t most = node->key_count + list->count;
    struct schema_column *columns = pool_take(&analyzer->compiler->pool, most, sizeof(*columns));
    analyze_aggregate_columns(analyzer, columns, columns + node->key_count);
    if (node->is_failed)
        return;
    /* A place for the local half (rules/split_aggregates.c). */
    add_operator(analyzer, ROLE_LOCAL_AGGREGATE, "local_aggregate", schema_ref(analyzer->current))
        ->is_removed = true;
    struct plan_operator *stage =
        add_operator(analyzer, ROLE_AGGREGATE, "aggregate", schema_create(columns, most, -1));
    stage->columns = list->items;
    stage->column_count = list->count;
    /* A group that has lost its last row is no group any more; without keys it is one of no rows.
     */
    if (node->has_changes && node->key_count > 0) {
        stage->extra = pool_take(&analyzer->compiler->pool, 1, sizeof(*stage->extra));
        stage->extra[stage->extra_count++] =
            (struct setting){pool_text(&analyzer->compiler->pool, "input_changes"),
                             pool_text(&analyzer->compiler->pool, "true")};
    }
}

/* A value of another type than its column is cast, as an assignment in SQL is. */
static void cast_to_column(struct analyzer *analyzer, struct named_expression *column,
                           struct type from, struct type to)
{
    if (type_equals(from, to, false))
        return;
    struct text cast SCOPED_TEXT_BUFFER;
    text_init(&cast, EXPRESSION_BYTES_MAX);
    struct type nullable = to;
    nullable.nullable = true;
    text_format(&cast, "cast((%s) as ", column->text);
    type_format(nullable, &cast);
    text_append_char(&cast, ')');
    column->text = pool_text(&analyzer->compiler->pool, cast.bytes);
}

static void analyze_reduce(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    const struct schema *schema = analyzer->current;
    struct expression_options options = expression_options_of(analyzer->compiler);
    options.row_prefix = "acc";
    options.prefix_schema = schema;
    for (uint32_t i = 0; i < node->reduce.count; i++) {
        struct named_expression *column = &node->reduce.items[i];
        const int32_t index = schema_find(schema, column->name);
        if (index < 0) {
            compile_error(analyzer->compiler, column->line, column->column,
                          "node \"%s\": reduce: the input has no column \"%s\": the result has the "
                          "input's columns",
                          node->name, column->name);
            node->is_failed = true;
            continue;
        }
        SCOPED(expression_destroy)
        struct expression *expression =
            check_expression(analyzer->compiler, node, "reduce", column, schema, &options);
        if (expression == NULL)
            continue;
        cast_to_column(analyzer, column, expression_type(expression), schema->columns[index].type);
        SCOPED(expression_destroy)
        struct expression *assigned =
            check_expression(analyzer->compiler, node, "reduce", column, schema, &options);
        (void)assigned;
    }
    if (node->is_failed)
        return;
    struct plan_operator *stage =
        add_operator(analyzer, ROLE_REDUCE, "reduce", schema_ref(analyzer->current));
    stage->columns = node->reduce.items;
    stage->column_count = node->reduce.count;
}

/* One group lives on one subtask; what comes before it runs beside its producers. */
static void widen_before_single(struct analyzer *analyzer)
{
    const struct logical_node *node = analyzer->node;
    uint32_t parallelism = 1;
    for (uint32_t i = 0; i < node->input_count; i++) {
        const struct plan_operator *from = plan_last(analyzer->plan, node->inputs[i].node);
        if (from != NULL && from->parallelism > parallelism)
            parallelism = from->parallelism;
    }
    for (uint32_t i = 0; i < node->operator_count; i++)
        analyzer->plan->operators[node->first_operator + i].parallelism = parallelism;
}

void analyze_keyed(struct analyzer *analyzer)
{
    struct logical_node *node = analyzer->node;
    check_keys(analyzer);
    check_emit(analyzer);
    if (node->aggregate.count > 0) {
        /* A projection of its own, so that the exchange carries only what is used. */
        if (!node->is_failed && node->set.count == 0 && node->where.count == 0)
            add_identity(analyzer, ROLE_CALC);
        if (node->key_count == 0)
            widen_before_single(analyzer);
        if (node->clauses[CLAUSE_WINDOW] != NULL)
            analyze_window(analyzer);
        else
            analyze_aggregate(analyzer);
    } else {
        analyze_reduce(analyzer);
    }
    if (node->is_failed)
        return;
    struct plan_operator *stage = &analyzer->plan->operators[analyzer->plan->count - 1];
    stage->keys = node->keys;
    stage->key_count = node->key_count;
    stage->is_keyed_exchange = true;
    node->output_keys = node->keys;
    node->output_key_count = node->key_count;
    node->has_changes = node->emit == EMIT_CHANGELOG;
}
