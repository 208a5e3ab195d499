/*
 * Rows that an operator's expressions could not be evaluated for: gathered during an evaluation
 * (their messages exist only then), dropped from the rows at work, and handed to on_error one by
 * one as there is room. At most one failure a row is kept.
 */
#ifndef OPERATORS_ROW_FAILURES_H
#define OPERATORS_ROW_FAILURES_H

#include "common/api/operator.h"
#include "expressions/expression.h"

struct row_failure {
    uint32_t row;
    char *message;
};

struct row_failures {
    struct row_failure *failures;
    size_t count;
    size_t capacity;
    size_t delivered;
};

void row_failures_done(struct row_failures *failures);

/* Takes the rows that failed in the evaluation just made out of rows[0..count) (order is kept) and
 * returns how many are left. where: the named expression, for the message. */
uint32_t row_failures_collect(struct row_failures *failures, const struct evaluation *evaluation,
                              const struct expression *expression,
                              struct expression_scratch *scratch, const struct batch *batch,
                              const struct named_expression *where, uint32_t *rows, uint32_t count);

/* Gives all of them to on_error. STEP_AGAIN: call again before anything else. */
enum step row_failures_deliver(struct row_failures *failures, struct operator_env *env,
                               const struct batch *batch, struct emitter *out, struct error *err);

/* Compiles an expression of the spec; the error names operator, expression and place. */
enum status
spec_expression_compile(const struct operator_spec *spec, const struct named_expression *named,
                        const struct schema *schema, const struct expression_options *options,
                        struct expression **ret_expression, struct error *err) MUST_CHECK;
/* That error for a problem that another compilation found. */
enum status spec_expression_problem(const struct operator_spec *spec,
                                    const struct named_expression *named,
                                    const struct expression_problem *problem, struct error *err);

#endif
