/*
 * Columns that nobody reads are dropped as early as possible.
 *
 * Backwards, each operator tells which columns of its input it needs; calcs and unnests then keep
 * only those; forwards, schemas follow. Sources give all they declare, the inputs of a union stay
 * equal, and reduce and sinks need every column. Calcs that change nothing any more vanish.
 */
#include "common/base/check.h"
#include "common/config/watermark_options.h"
#include "compiler/plan.h"

#include <string.h>

struct pruner {
    struct compiler *compiler;
    struct plan *plan;
    bool **needed; /* per operator: per output column, as it was before */
};

/* ---- backwards: who needs what ---- */

static void add_used(struct pruner *pruner, const struct plan_operator *stage, const char *text,
                     bool *used)
{
    const struct expression_options options = expression_options_of(pruner->compiler);
    struct expression_problem problem;
    struct expression *expression = NULL;
    if (expression_compile(text, stage->input, &options, &expression, &problem) != STATUS_OK)
        return;
    expression_used_columns(expression, used);
    expression_destroy(expression);
}

static void add_used_by_call(struct pruner *pruner, const struct plan_operator *stage,
                             const char *text, bool *used)
{
    const struct expression_options options = expression_options_of(pruner->compiler);
    struct expression_problem problem;
    struct aggregate_call call;
    memset(&call, 0, sizeof(call));
    if (aggregate_call_compile(text, stage->input, &options, &call, &problem) != STATUS_OK)
        return;
    if (call.argument != NULL)
        expression_used_columns(call.argument, used);
    if (call.filter != NULL)
        expression_used_columns(call.filter, used);
    aggregate_call_done(&call);
}

/* A batch needs at least one column to have rows worth sending. */
static void need_one(bool *needed, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (needed[i])
            return;
    }
    if (count > 0)
        needed[0] = true;
}

static void need_of_calc(struct pruner *pruner, const struct plan_operator *stage, bool *needed,
                         bool *used)
{
    need_one(needed, stage->column_count);
    for (uint32_t i = 0; i < stage->column_count; i++) {
        if (needed[i])
            add_used(pruner, stage, stage->columns[i].text, used);
    }
    for (uint32_t i = 0; i < stage->filter_count; i++)
        add_used(pruner, stage, stage->filters[i].text, used);
}

static void need_of_unnest(struct pruner *pruner, const struct plan_operator *stage, bool *needed,
                           bool *used)
{
    CHECK(stage->output != NULL);
    const uint32_t last = stage->output->column_count - 1;
    needed[last] = true;
    for (uint32_t i = 0; i < last; i++) {
        const int32_t column = schema_find(stage->input, stage->output->columns[i].name);
        if (needed[i] && column >= 0)
            used[column] = true;
    }
    add_used(pruner, stage, stage->columns[0].text, used);
}

/* It passes rows on as they are, so it needs what is needed of it, and the time. */
static void need_of_watermark(const struct plan_operator *stage, const bool *needed, bool *used)
{
    CHECK(stage->output != NULL);
    for (uint32_t i = 0; i < stage->output->column_count; i++) {
        const int32_t column = schema_find(stage->input, stage->output->columns[i].name);
        if (column >= 0 && (needed[i] || (int32_t)i == stage->output->event_time))
            used[column] = true;
    }
}

/* What the operator reads of its input. */
static void need_of_input(struct pruner *pruner, const struct plan_operator *stage, bool *needed,
                          bool *used)
{
    if (strcmp(stage->kind, "calc") == 0) {
        need_of_calc(pruner, stage, needed, used);
    } else if (strcmp(stage->kind, "unnest") == 0) {
        need_of_unnest(pruner, stage, needed, used);
    } else if (strcmp(stage->kind, WATERMARK_OPERATOR) == 0) {
        need_of_watermark(stage, needed, used);
    } else if (strcmp(stage->kind, "aggregate") == 0 ||
               (stage->role == ROLE_WINDOW && !stage->node->late_is_read)) {
        if (stage->role == ROLE_WINDOW && stage->time_column >= 0)
            used[stage->time_column] = true;
        for (uint32_t i = 0; i < stage->key_count; i++)
            used[schema_find(stage->input, stage->keys[i])] = true;
        for (uint32_t i = 0; i < stage->column_count; i++)
            add_used_by_call(pruner, stage, stage->columns[i].text, used);
        need_one(used, stage->input->column_count);
    } else {
        memset(used, true, stage->input->column_count * sizeof(bool));
    }
}

static void mark(struct pruner *pruner, const struct plan_operator *producer,
                 const struct schema *schema, const bool *used)
{
    if (producer == NULL || producer->output == NULL)
        return;
    bool *needed = pruner->needed[producer - pruner->plan->operators];
    for (uint32_t i = 0; i < producer->output->column_count; i++) {
        const int32_t column =
            schema != NULL ? schema_find(schema, producer->output->columns[i].name) : -1;
        if (schema == NULL || (column >= 0 && used[column]))
            needed[i] = true;
    }
}

static void mark_producers(struct pruner *pruner, const struct plan_operator *stage,
                           const bool *used)
{
    const struct plan_operator *before = plan_before(pruner->plan, stage);
    const struct logical_node *node = stage->node;
    if (before != NULL) {
        mark(pruner, before, stage->input, used);
        return;
    }
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (!node->inputs[i].is_errors && !node->inputs[i].is_late)
            mark(pruner, plan_last(pruner->plan, node->inputs[i].node),
                 node->input_count == 1 ? stage->input : NULL, used);
    }
}

/* ---- forwards: new columns and schemas ---- */

static void keep_needed(struct pruner *pruner, struct plan_operator *stage, const bool *needed)
{
    const bool is_calc = strcmp(stage->kind, "calc") == 0;
    if (!is_calc && strcmp(stage->kind, "unnest") != 0)
        return;
    const struct schema *old = stage->output;
    struct pool *pool = &pruner->compiler->pool;
    struct schema_column *columns = pool_take(pool, old->column_count, sizeof(*columns));
    struct named_expression *kept = pool_take(pool, old->column_count, sizeof(*kept));
    uint32_t count = 0;
    int32_t event_time = -1;
    for (uint32_t i = 0; i < old->column_count; i++) {
        if (!needed[i])
            continue;
        if ((int32_t)i == old->event_time)
            event_time = (int32_t)count;
        columns[count] =
            (struct schema_column){.name = old->columns[i].name, .type = old->columns[i].type};
        if (is_calc)
            kept[count] = stage->columns[i];
        count++;
    }
    if (is_calc) {
        stage->columns = kept;
        stage->column_count = count;
    }
    plan_set_output(stage, schema_create(columns, count, event_time));
}

/* The columns of `columns`, with the event time column of `schema`. */
static struct schema *with_event_time(const struct schema *schema, const struct schema *columns)
{
    return schema_create(columns->columns, columns->column_count,
                         schema_find(columns, schema->columns[schema->event_time].name));
}

static void follow_input(struct pruner *pruner, struct plan_operator *stage)
{
    const struct plan_operator *before = plan_before(pruner->plan, stage);
    const struct logical_node *node = stage->node;
    if (before == NULL && node->input_count == 1 && !node->inputs[0].is_errors &&
        !node->inputs[0].is_late)
        before = plan_last(pruner->plan, node->inputs[0].node);
    if (before == NULL)
        return;
    plan_set_input(stage, schema_ref(before->output));
    if (strcmp(stage->kind, "reduce") == 0)
        plan_set_output(stage, schema_ref(before->output));
    if (strcmp(stage->kind, WATERMARK_OPERATOR) == 0)
        plan_set_output(stage, with_event_time(stage->output, before->output));
}

/* Same columns in the same order, no condition, and not the node's only operator. */
static bool changes_nothing(struct pruner *pruner, const struct plan_operator *stage)
{
    if (strcmp(stage->kind, "calc") != 0 || stage->filter_count > 0 ||
        stage->column_count != stage->input->column_count ||
        plan_first(pruner->plan, stage->node) == plan_last(pruner->plan, stage->node))
        return false;
    for (uint32_t i = 0; i < stage->column_count; i++) {
        if (strcmp(stage->columns[i].name, stage->input->columns[i].name) != 0 ||
            strcmp(stage->columns[i].text, quote_name(pruner->compiler, stage->columns[i].name)) !=
                0)
            return false;
    }
    return schema_equals(stage->input, stage->output, true);
}

void rule_prune_columns(struct compiler *compiler, struct plan *plan)
{
    struct pruner pruner = {.compiler = compiler, .plan = plan};
    pruner.needed = pool_take(&compiler->pool, plan->count, sizeof(bool *));
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct schema *output = plan->operators[i].output;
        if (output != NULL)
            pruner.needed[i] = pool_take(&compiler->pool, output->column_count + 1, sizeof(bool));
    }
    for (uint32_t i = plan->count; i > 0; i--) {
        struct plan_operator *stage = &plan->operators[i - 1];
        if (stage->is_removed || stage->input == NULL)
            continue;
        bool *used = pool_take(&compiler->pool, stage->input->column_count + 1, sizeof(bool));
        need_of_input(&pruner, stage, pruner.needed[i - 1], used);
        mark_producers(&pruner, stage, used);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        struct plan_operator *stage = &plan->operators[i];
        if (stage->is_removed)
            continue;
        if (stage->input != NULL)
            follow_input(&pruner, stage);
        if (stage->output != NULL && stage->input != NULL)
            keep_needed(&pruner, stage, pruner.needed[i]);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        struct plan_operator *stage = &plan->operators[i];
        if (!stage->is_removed && stage->input != NULL && changes_nothing(&pruner, stage))
            stage->is_removed = true;
    }
}
