/*
 * Operators between analysis and job graph. Those of one node lie side by side in the order of the
 * data, nodes producers first, so the whole array is in topological order. Rules mark operators
 * as removed and change schemas; everything lives in the compiler's pool, schemas are references.
 */
#ifndef COMPILER_PLAN_H
#define COMPILER_PLAN_H

#include "compiler/compiler.h"

struct plan_operator {
    struct logical_node *node;
    enum operator_role role;
    const char *kind; /* registry key */
    bool is_removed;
    struct named_expression *columns;
    uint32_t column_count;
    struct named_expression *filters;
    uint32_t filter_count;
    char **keys;
    uint32_t key_count;
    bool is_keyed_exchange; /* rows come to it by its keys (or to its only subtask) */
    bool is_merge;          /* aggregate over accumulators of a local half */
    int32_t time_column;    /* windows: of the input as analyzed; -1: none */
    uint32_t parallelism;
    struct schema *input;  /* NULL for a source */
    struct schema *output; /* NULL for a sink */
    struct setting *extra; /* settings beyond connector and format: metadata.<column> */
    uint32_t extra_count;
};

struct plan {
    struct plan_operator *operators;
    uint32_t count;
    uint32_t capacity;
};

/* The neighbour within the same node, or NULL. */
struct plan_operator *plan_before(const struct plan *plan, const struct plan_operator *stage);
/* The operator that gives (takes) the node's rows. */
struct plan_operator *plan_last(const struct plan *plan, const struct logical_node *node);
struct plan_operator *plan_first(const struct plan *plan, const struct logical_node *node);
void plan_done(struct plan *plan);
void plan_set_input(struct plan_operator *stage, struct schema *schema);  /* takes it */
void plan_set_output(struct plan_operator *stage, struct schema *schema); /* takes it */

/* ---- types of expressions (expressions.c) ---- */

/* Compiles an expression of a node; reports with position. NULL if it is wrong. */
struct expression *check_expression(struct compiler *compiler, struct logical_node *node,
                                    const char *clause, const struct named_expression *text,
                                    const struct schema *schema,
                                    const struct expression_options *options);
/* The same for an aggregate call. */
bool check_aggregate(struct compiler *compiler, struct logical_node *node,
                     const struct named_expression *text, const struct schema *schema,
                     struct aggregate_call *ret_call);
struct expression_options expression_options_of(const struct compiler *compiler);

/* ---- analyze.c: all nodes become operators ---- */
void analyze(struct compiler *compiler, struct plan *plan);

/* ---- rules, in this order ---- */
/* Neighbouring calcs of a node become one where no expression has to be computed twice. */
void rule_merge_calcs(struct compiler *compiler, struct plan *plan);
/* Columns that nobody reads are dropped as early as possible; calcs that change nothing vanish. */
void rule_prune_columns(struct compiler *compiler, struct plan *plan);
/* Aggregations whose halves give the exact result are split before the exchange. */
void rule_split_aggregates(struct compiler *compiler, struct plan *plan);
/* Exchanges, chains, vertices: the graph. */
struct job_graph *assemble_graph(struct compiler *compiler, const struct plan *plan);

#endif
