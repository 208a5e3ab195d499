/* Operators between analysis and job graph: see plan.h. */
#include "compiler/plan.h"

#include "common/base/allocate.h"

struct plan_operator *plan_before(const struct plan *plan, const struct plan_operator *stage)
{
    const struct logical_node *node = stage->node;
    struct plan_operator *first = plan->operators + node->first_operator;
    for (struct plan_operator *at = plan->operators + (stage - plan->operators); at > first;) {
        at--;
        if (!at->is_removed)
            return at;
    }
    return NULL;
}

struct plan_operator *plan_last(const struct plan *plan, const struct logical_node *node)
{
    for (uint32_t i = node->operator_count; i > 0; i--) {
        struct plan_operator *at = &plan->operators[node->first_operator + i - 1];
        if (!at->is_removed)
            return at;
    }
    return NULL;
}

struct plan_operator *plan_first(const struct plan *plan, const struct logical_node *node)
{
    for (uint32_t i = 0; i < node->operator_count; i++) {
        struct plan_operator *at = &plan->operators[node->first_operator + i];
        if (!at->is_removed)
            return at;
    }
    return NULL;
}

void plan_set_input(struct plan_operator *stage, struct schema *schema)
{
    schema_unref(stage->input);
    stage->input = schema;
}

void plan_set_output(struct plan_operator *stage, struct schema *schema)
{
    schema_unref(stage->output);
    stage->output = schema;
}

void plan_done(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        schema_unref(plan->operators[i].input);
        schema_unref(plan->operators[i].output);
    }
    free(plan->operators);
    *plan = (struct plan){0};
}
