/* Names and types of a parsed expression resolved against a schema; implicit casts inserted. */
#ifndef EXPRESSIONS_BINDER_H
#define EXPRESSIONS_BINDER_H

#include "expressions/function.h"
#include "expressions/node.h"

struct binder {
    struct expression *expression;
    struct expression_problem *problem;
    bool failed;
};

/* Types the tree below *slot; the node may be replaced (folded). false: problem says why. */
bool bind_node(struct binder *binder, struct node **slot);

/* Always false, so that callers may return it. The position is that of the node. */
bool bind_fail(struct binder *binder, const struct node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The type both can be cast to without loss of meaning (Flink's least restrictive type). */
bool type_common(struct node_arena *arena, struct type a, struct type b, struct type *ret_type);
/* Casts argument i to the type (nullability aside) unless it has it. false: there is no such cast
 * (a problem has been set). */
bool bind_coerce(struct binder *binder, struct node *node, uint32_t i, struct type type);
/* Casts arguments first, first + step, ... to their common type. `what` names them in problems. */
bool bind_unify(struct binder *binder, struct node *node, uint32_t first, uint32_t step,
                const char *what, struct type *ret_type);
/* Is any argument nullable? */
bool bind_any_nullable(const struct node *node);
/* The literal string in argument i, NULL if it is no literal (or NULL). */
const char *bind_literal_string(const struct node *node, uint32_t i, uint32_t *ret_size);
/* "INT" for messages: valid until the fourth call after it. */
const char *type_text(struct type type);

/* cast.c */
kernel_function *cast_kernel(struct type from, struct type to);

/* expression.c: evaluates a node without columns; NULL if it fails. One row. */
struct column *expression_fold(struct expression *expression, const struct node *node);

/* functions.c: the row of that name the arguments fit, NULL with a problem. */
bool bind_call(struct binder *binder, struct node *node);

#endif
