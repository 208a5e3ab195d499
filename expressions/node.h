/*
 * The tree of an expression: made by the parser, typed and resolved in place by the binder, read
 * by the evaluator. Everything lives in the expression's arena.
 */
#ifndef EXPRESSIONS_NODE_H
#define EXPRESSIONS_NODE_H

#include "common/data/batch.h"
#include "expressions/expression.h"
#include "expressions/node_arena.h"

enum node_kind {
    NODE_LITERAL,  /* literal: a column of one row */
    NODE_NAME,     /* parts; the binder turns it into a column or fields of one */
    NODE_COLUMN,   /* column `index` of the batch */
    NODE_FIELD,    /* field `index` of the ROW args[0] */
    NODE_CALL,     /* kernel over args */
    NODE_CAST,     /* args[0] to target; a call with a kernel after binding */
    NODE_AND,      /* n-ary, three-valued; later arguments only where still open */
    NODE_OR,       /* the same */
    NODE_CASE,     /* condition, value, ..., [else]; simple forms are a NODE_LET around it */
    NODE_COALESCE, /* the first that is not NULL */
    NODE_LET,      /* args[0] evaluated once, its value used by slots in args[1] */
    NODE_SLOT,     /* the value of args[0] of let */
};

/* A chain such as a + b + c + ... nests to the left. */
#define NODE_DEPTH_MAX 1000

struct function;
struct call;
typedef void kernel_function(struct call *call);

struct node {
    enum node_kind kind;
    uint32_t start; /* range in the text, for messages */
    uint32_t end;
    struct type type;
    const char *name; /* NODE_CALL: function, lower case; NODE_NAME: last part */
    uint32_t name_size;
    uint32_t part_count; /* NODE_NAME */
    const char **parts;
    uint32_t arg_count;
    uint32_t arg_capacity;
    struct node **args;
    uint32_t depth; /* of the tree below, 1 for a leaf */
    uint32_t index;
    bool is_bound;
    bool is_constant;
    bool is_try;      /* NODE_CAST: NULL instead of an error */
    bool is_implicit; /* NODE_CAST made by the binder */
    bool is_distinct; /* f(DISTINCT x), only aggregates take it */
    bool is_star;     /* f(*) */
    struct node *let;
    struct column *literal;
    const struct function *function;
    kernel_function *kernel;
    void *state; /* what the function prepared from constant arguments */
};

/* Something of an expression that is released with it. */
struct owned {
    struct owned *next;
    void *object;
    void (*release)(void *object);
};

struct expression {
    struct node_arena arena;
    struct owned *owned;
    char *text;
    uint32_t text_size;
    struct schema *schema;
    struct schema *prefix_schema; /* or NULL */
    char *row_prefix;             /* or NULL */
    struct time_zone *time_zone;  /* NULL: UTC */
    struct node *root;
    struct node *filter; /* FILTER (WHERE ...) of an aggregate call, else NULL */
    uint32_t let_depth;
    bool keeps_literals_wide; /* tests: literals as whole columns, nothing folded */
};

struct node *node_create(struct expression *expression, enum node_kind kind, uint32_t start);
void node_add_arg(struct expression *expression, struct node *node, struct node *arg);
/* Releases object with the expression. */
void expression_own(struct expression *expression, void *object, void (*release)(void *object));
/* The SQL text of a node as written, canonical in spacing and case of reserved words. */
void node_format(const struct expression *expression, const struct node *node, struct text *out);

/* A literal of one row; the value is to be written into ->literal. */
struct node *node_create_literal(struct expression *expression, struct type type, uint32_t start);
struct node *node_create_string(struct expression *expression, const char *bytes, size_t size,
                                uint32_t start);

/* For tests: literals are evaluated as full columns and nothing is folded, so that kernels meet
 * columns where the text has constants. Applies to later compilations of this thread. */
void expression_keep_literals_wide(bool wide);

#endif
