/*
 * Aggregate functions: what each one keeps for a group and how a batch changes it.
 *
 * A group's accumulator is a few fields of a slot (common/api/state.h). A fresh slot is all zero;
 * `init` then makes it the accumulator of no rows where zeros are not that already. All kernels
 * work a column at a time over arrays of slots; the same slot may occur many times in one call and
 * entries are handled in order, so that `each` sees the value after every single row.
 *
 * Functions register through this struct (functions.c); plug-ins will use the same one.
 */
#ifndef OPERATORS_AGGREGATES_AGGREGATE_FUNCTION_H
#define OPERATORS_AGGREGATES_AGGREGATE_FUNCTION_H

#include "common/api/state.h"
#include "common/data/batch.h"

#include <stdbool.h>
#include <stdint.h>

#define AGGREGATE_FIELD_MAX 4

/* One field of an accumulator. The name identifies it across versions of a job (state) and between
 * the halves of a split aggregation (stream); it never changes. */
struct accumulator_field {
    const char *name;
    struct type type;
};

struct aggregate_function;

/* A function placed in slots. */
struct accumulator {
    const struct aggregate_function *function;
    struct type argument; /* kind TYPE_NONE for count(*) */
    struct type result;
    uint32_t field_count;
    uint32_t first_field;                  /* its fields are first_field + i in the slot */
    uint32_t offsets[AGGREGATE_FIELD_MAX]; /* of them in the slot */
    struct type types[AGGREGATE_FIELD_MAX];
    struct state *state; /* for fields of bytes; NULL where there is none */
};

/* Entries to work on. Entry i is row rows[i] of the columns and belongs to slots[i]. */
struct aggregate_rows {
    uint32_t count;
    void *const *slots;
    const uint32_t *rows;
    const int8_t *signs;           /* 1: accumulate, -1: retract, 0: leave; NULL: all 1 */
    const struct column *argument; /* NULL for count(*) */
};

/* Where results go: entry i to row positions[i] of the column, which was made by
 * aggregate_result_column. Bytes are copied into buffers of the column. */
struct aggregate_results {
    struct column *column;
    uint32_t chunk; /* index of the buffer that bytes are appended to */
    bool has_chunk;
};

struct aggregate_function {
    uint32_t abi_size; /* sizeof(struct aggregate_function): fields are only appended */
    const char *name;
    bool is_retractable; /* signs may hold -1 */
    /* The accumulator for an argument type; 0 if the function does not take it. */
    uint32_t (*fields)(struct type argument, struct accumulator_field *ret_fields);
    /* Makes a zeroed slot the accumulator of no rows. [zeros are that] */
    void (*init)(const struct accumulator *accumulator, void *slot);
    /* Applies the entries in order. With `each`, row rows->rows[i] of its column gets the value
     * after entry i, whatever its sign. */
    void (*apply)(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                  struct aggregate_results *each);
    /* Adds accumulators that another instance made: fields[j] is a column of its field j. Signs as
     * can_unmerge says. NULL: its halves cannot be put together. */
    void (*merge)(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                  struct column *const *fields);
    /* Do halves of rows in any order give exactly what all rows give? [for any argument] */
    bool (*is_mergeable)(struct type argument);
    /* The values of `count` slots, entry i to row positions[i]. */
    void (*result)(const struct accumulator *accumulator, void *const *slots,
                   const uint32_t *positions, uint32_t count, struct aggregate_results *results);
    /* May merge take back (sign -1) what it has added, exactly? [no] */
    bool (*can_unmerge)(struct type argument);
    /* The result depends on the order of rows: what is merged counts as later than what is there.
     */
    bool is_ordered;
};

extern const struct aggregate_function aggregate_count;
extern const struct aggregate_function aggregate_sum;
extern const struct aggregate_function aggregate_avg;
extern const struct aggregate_function aggregate_min;
extern const struct aggregate_function aggregate_max;
extern const struct aggregate_function aggregate_first;
extern const struct aggregate_function aggregate_last;

/* By the registry name of expressions ("sum", "first_value"), or NULL. */
const struct aggregate_function *aggregate_implementation_find(const char *name);

/* A result column of row_count rows: its validity is there if the type is nullable, its values are
 * zeroed where views are kept. */
void aggregate_results_init(struct aggregate_results *results, struct type type,
                            uint32_t row_count);
/* The finished column; the results are empty afterwards. */
struct column *aggregate_results_take(struct aggregate_results *results);
void aggregate_results_done(struct aggregate_results *results);
/* A view of a copy of the bytes in the column's own buffers. */
struct string_view aggregate_results_bytes(struct aggregate_results *results, const char *bytes,
                                           uint32_t size);

#endif
