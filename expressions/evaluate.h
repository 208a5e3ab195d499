/* Evaluation of bound trees: see expression.h for the contract. */
#ifndef EXPRESSIONS_EVALUATE_H
#define EXPRESSIONS_EVALUATE_H

#include "expressions/kernel.h"

#define EXPRESSION_LET_MAX EXPRESSION_DEPTH_MAX

struct expression_scratch {
    struct memory_account *account;
    const struct expression *expression;
    const struct batch *batch; /* NULL while folding */
    uint32_t row_count;
    uint64_t *errors;
    uint32_t error_words;
    uint32_t error_count;
    bool errors_dirty;
    struct text *message; /* wanted for the one row evaluated */
    struct vector *slots; /* by let depth */
    uint32_t **free_rows;
    size_t free_count;
    size_t free_capacity;
    uint32_t rows_capacity; /* entries in each array of free_rows */
};

/* Prepares for a batch of row_count rows: clears errors. */
void scratch_start(struct expression_scratch *scratch, const struct expression *expression,
                   const struct batch *batch, uint32_t row_count);
/* The caller owns the reference in the vector. */
struct vector evaluate_node(struct expression_scratch *scratch, const struct node *node,
                            const uint32_t *rows, uint32_t count);

#endif
