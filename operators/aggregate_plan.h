/*
 * What the compiler has to know of aggregate calls: whether they can be retracted, whether an
 * aggregation can be split exactly into a local and a global half, and what flows between the two.
 *
 * A split aggregation is `local_aggregate` (no state; same keys and columns as the user's
 * aggregation, output schema from aggregate_local_schema), a hash exchange, and `aggregate` with
 * the setting merge=true, the local half's output as input and the texts of aggregate_merge_text as
 * columns, under their old names; its output schema is the one it would have had unsplit. Local
 * halves fold rows, so `emit: each` is never split, nor is input with other row kinds than +I.
 */
#ifndef OPERATORS_AGGREGATE_PLAN_H
#define OPERATORS_AGGREGATE_PLAN_H

#include "common/graph/job_graph.h"
#include "expressions/expression.h"

/* Does operators/aggregates know the function for this argument type? The message says which types
 * it takes. */
enum status aggregate_call_check(const struct aggregate_call *call, struct error *err) MUST_CHECK;

/* Can rows be taken back (-U, -D)? If not, the input may hold inserts only. */
bool aggregate_call_is_retractable(const struct aggregate_call *call);

/* Do local halves put together give exactly what one aggregate over all rows gives? */
bool aggregate_call_is_mergeable(const struct aggregate_call *call);

/* Output of local_aggregate: the key columns of the input by name, then for each call its
 * accumulator's fields as "<name>/<field>". All calls must be mergeable. A new reference. */
struct schema *aggregate_local_schema(const struct schema *input, char *const *keys,
                                      uint32_t key_count, const struct named_expression *columns,
                                      const struct aggregate_call *calls, uint32_t count)
    __attribute__((returns_nonnull, warn_unused_result));

/* The text of a call's global half over that schema: sum("total/sum"). To be freed. */
char *aggregate_merge_text(const struct aggregate_call *call, const char *name)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
