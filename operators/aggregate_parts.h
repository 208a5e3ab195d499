/*
 * The aggregate calls of one operator: compiled, placed in a slot, and evaluated over a batch.
 * Shared by `aggregate` and `local_aggregate`.
 */
#ifndef OPERATORS_AGGREGATE_PARTS_H
#define OPERATORS_AGGREGATE_PARTS_H

#include "common/api/operator.h"
#include "expressions/expression.h"
#include "operators/aggregates/aggregate_function.h"
#include "operators/row_failures.h"

struct aggregate_part {
    const struct named_expression *named;
    struct aggregate_call call;
    struct accumulator accumulator;
    int32_t merge_columns[AGGREGATE_FIELD_MAX]; /* of the input, when merging */
    /* The batch at work. */
    struct column *argument;
    struct column *fields[AGGREGATE_FIELD_MAX]; /* borrowed from the batch */
    const int8_t *signs;                        /* of rows; NULL: all 1 */
    int8_t *own_signs;                          /* what signs may point to */
};

struct aggregate_parts {
    const struct operator_spec *spec;
    struct expression_scratch *scratch;
    struct expression_options options;
    struct aggregate_part *parts;
    uint32_t count;
    bool is_merge;
    bool has_rows;         /* field 0 counts the group's rows */
    uint32_t rows_offset;  /* of it in the slot */
    struct schema *schema; /* of the slot */
    /* The batch at work: the rows taken, in order, and their signs. */
    uint32_t *rows;
    uint32_t row_count;
    uint32_t row_capacity;
    int8_t *row_signs;
    bool has_signs;
    bool *is_kept; /* per row of the batch, scratch for filters */
    struct row_failures failures;
};

/* result types: the output column of the call's name if the output schema has one. */
enum status aggregate_parts_open(struct aggregate_parts *parts, const struct operator_env *env,
                                 bool is_merge, bool has_rows, struct error *err) MUST_CHECK;
void aggregate_parts_close(struct aggregate_parts *parts);

/* Says where the fields lie. state: for bytes, may be NULL if no field has any. */
void aggregate_parts_place(struct aggregate_parts *parts, const uint32_t *offsets,
                           struct state *state);

/* Evaluates filters and arguments over the batch; rows that fail are taken out and kept in
 * failures. STATUS_UNSUPPORTED: a row would have to be taken back from a part that cannot. */
enum status aggregate_parts_evaluate(struct aggregate_parts *parts, const struct batch *in,
                                     struct error *err) MUST_CHECK;
/* Drops what the last evaluation holds. */
void aggregate_parts_release(struct aggregate_parts *parts);

/* Signs of part's own, a copy of the ones in force, to be changed. */
int8_t *aggregate_part_own_signs(struct aggregate_parts *parts, struct aggregate_part *part);

/* Makes the zeroed slots marked fresh accumulators of no rows. */
void aggregate_parts_init_slots(const struct aggregate_parts *parts, void *const *slots,
                                const uint8_t *fresh, uint32_t count);
/* Counts the rows [first, first + count) in the hidden field. */
void aggregate_parts_count_rows(const struct aggregate_parts *parts, void *const *slots,
                                uint32_t first, uint32_t count);
/* Applies the rows [first, first + count) to one part; each as in aggregate_function.apply. */
void aggregate_part_apply(const struct aggregate_parts *parts, const struct aggregate_part *part,
                          void *const *slots, uint32_t first, uint32_t count,
                          struct aggregate_results *each);

static inline int64_t aggregate_slot_rows(const struct aggregate_parts *parts, const void *slot)
{
    int64_t rows;
    memcpy(&rows, (const char *)slot + parts->rows_offset, sizeof(rows));
    return rows;
}

#endif
