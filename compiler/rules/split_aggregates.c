/*
 * local_aggregate before the exchange, aggregate with merge behind it, where the two give exactly
 * what one would: emit batch or end, mergeable calls, rows that are only added, and a real
 * exchange.
 */
#include "common/base/allocate.h"
#include "compiler/plan.h"
#include "operators/aggregate_plan.h"

#include <string.h>

static uint32_t producer_parallelism(const struct plan *plan, const struct plan_operator *stage)
{
    const struct plan_operator *before = plan_before(plan, stage);
    if (before != NULL)
        return before->parallelism;
    uint32_t most = 0;
    for (uint32_t i = 0; i < stage->node->input_count; i++) {
        const struct plan_operator *from = plan_last(plan, stage->node->inputs[i].node);
        if (from != NULL && from->parallelism > most)
            most = from->parallelism;
    }
    return most;
}

struct split_calls {
    struct aggregate_call *calls;
    uint32_t count;
};

static bool compile_calls(struct compiler *compiler, const struct plan_operator *stage,
                          struct split_calls *split)
{
    const struct expression_options options = expression_options_of(compiler);
    bool is_mergeable = true;
    for (uint32_t i = 0; i < stage->column_count && is_mergeable; i++) {
        struct expression_problem problem;
        if (aggregate_call_compile(stage->columns[i].text, stage->input, &options, &split->calls[i],
                                   &problem) != STATUS_OK)
            return false;
        split->count++;
        is_mergeable = aggregate_call_is_mergeable(&split->calls[i]);
    }
    return is_mergeable;
}

/* Puts a local half before the aggregate: the plan has room for it (an operator reserved by the
 * caller) and moves nothing else. */
static void split_one(struct compiler *compiler, struct plan *plan, uint32_t index,
                      const struct split_calls *split)
{
    struct plan_operator *global = &plan->operators[index];
    struct plan_operator *local = &plan->operators[index - 1];
    schema_unref(local->input);
    schema_unref(local->output);
    memset(local, 0, sizeof(*local));
    local->node = global->node;
    local->role = ROLE_LOCAL_AGGREGATE;
    local->kind = "local_aggregate";
    local->columns = global->columns;
    local->column_count = global->column_count;
    local->keys = global->keys;
    local->key_count = global->key_count;
    local->input = schema_ref(global->input);
    local->output = aggregate_local_schema(global->input, global->keys, global->key_count,
                                           global->columns, split->calls, split->count);
    struct named_expression *columns =
        pool_take(&compiler->pool, global->column_count + 1, sizeof(*columns));
    for (uint32_t i = 0; i < global->column_count; i++) {
        SCOPED_TEXT char *text = aggregate_merge_text(&split->calls[i], global->columns[i].name);
        columns[i] = global->columns[i];
        columns[i].text = pool_text(&compiler->pool, text);
    }
    global->columns = columns;
    global->is_merge = true;
    plan_set_input(global, schema_ref(local->output));
}

static bool may_split(const struct plan *plan, const struct plan_operator *stage)
{
    const struct logical_node *node = stage->node;
    if (stage->is_removed || stage->role != ROLE_AGGREGATE)
        return false;
    for (uint32_t i = 0; i < node->input_count; i++) {
        if (node->inputs[i].node->has_changes && !node->inputs[i].is_errors)
            return false;
    }
    return (node->emit == EMIT_BATCH || node->emit == EMIT_END) &&
           (stage->parallelism > 1 || producer_parallelism(plan, stage) > 1);
}

void rule_split_aggregates(struct compiler *compiler, struct plan *plan)
{
    for (uint32_t i = 1; i < plan->count; i++) {
        struct plan_operator *stage = &plan->operators[i];
        if (!may_split(plan, stage))
            continue;
        /* analyze put a reserved slot right before every aggregate. */
        struct plan_operator *slot = &plan->operators[i - 1];
        if (slot->role != ROLE_LOCAL_AGGREGATE || !slot->is_removed)
            continue;
        const uint32_t parallelism = producer_parallelism(plan, stage);
        struct split_calls split = {
            .calls = pool_take(&compiler->pool, stage->column_count + 1, sizeof(*split.calls))};
        if (compile_calls(compiler, stage, &split)) {
            split_one(compiler, plan, i, &split);
            plan->operators[i - 1].parallelism = parallelism;
        }
        for (uint32_t c = 0; c < split.count; c++)
            aggregate_call_done(&split.calls[c]);
    }
}
