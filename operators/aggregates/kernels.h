/*
 * The loop that all aggregate kernels share, inlined with a function's own row operations, and the
 * loads and stores of values in columns. Only the files of this folder include it.
 */
#ifndef OPERATORS_AGGREGATES_KERNELS_H
#define OPERATORS_AGGREGATES_KERNELS_H

#include "operators/aggregates/aggregate_function.h"

#include <string.h>

#define KERNEL static inline __attribute__((always_inline))

KERNEL void *accumulator_field_at(const struct accumulator *accumulator, void *slot, uint32_t field)
{
    return (char *)slot + accumulator->offsets[field];
}

KERNEL int64_t load_int64(const void *field)
{
    int64_t value;
    memcpy(&value, field, sizeof(value));
    return value;
}

/* Wraps, as Flink's integers do. */
KERNEL void add_int64(void *field, int64_t value)
{
    const uint64_t sum = (uint64_t)load_int64(field) + (uint64_t)value;
    memcpy(field, &sum, sizeof(sum));
}

KERNEL void results_set_null(struct aggregate_results *results, uint32_t position)
{
    if (results->column->validity == NULL)
        column_need_validity(results->column);
    column_set_null(results->column, position);
}

/* For rows that may have been NULL before. */
KERNEL void results_set_valid(struct aggregate_results *results, uint32_t position)
{
    if (results->column->validity != NULL)
        results->column->validity[position / 64] |= UINT64_C(1) << (position % 64);
}

/* rows->argument must be there. add: applies one row that is not NULL; write: the value after it.
 */
KERNEL void
apply_rows(const struct accumulator *accumulator, const struct aggregate_rows *rows,
           struct aggregate_results *each,
           void (*add)(const struct accumulator *, void *, const struct column *, uint32_t, int),
           void (*write)(const struct accumulator *, void *, struct aggregate_results *, uint32_t))
{
    const struct column *argument = rows->argument;
    const bool has_nulls = argument->validity != NULL;
    const uint32_t count = rows->count;
    if (rows->signs == NULL && !has_nulls && each == NULL) {
        for (uint32_t i = 0; i < count; i++)
            add(accumulator, rows->slots[i], argument, rows->rows[i], 1);
        return;
    }
    if (rows->signs == NULL && !has_nulls) {
        for (uint32_t i = 0; i < count; i++) {
            add(accumulator, rows->slots[i], argument, rows->rows[i], 1);
            write(accumulator, rows->slots[i], each, rows->rows[i]);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const int sign = rows->signs != NULL ? rows->signs[i] : 1;
        if (sign != 0 && !(has_nulls && column_is_null(argument, rows->rows[i])))
            add(accumulator, rows->slots[i], argument, rows->rows[i], sign);
        if (each != NULL)
            write(accumulator, rows->slots[i], each, rows->rows[i]);
    }
}

KERNEL void write_results(const struct accumulator *accumulator, void *const *slots,
                          const uint32_t *positions, uint32_t count,
                          struct aggregate_results *results,
                          void (*write)(const struct accumulator *, void *,
                                        struct aggregate_results *, uint32_t))
{
    for (uint32_t i = 0; i < count; i++)
        write(accumulator, slots[i], results, positions[i]);
}

#endif
