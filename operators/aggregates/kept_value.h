/*
 * What min, max, first and last share: one value of the argument's type kept in a slot, NULL until
 * there is one. Its rows cannot be taken back: that would need all values.
 */
#ifndef OPERATORS_AGGREGATES_KEPT_VALUE_H
#define OPERATORS_AGGREGATES_KEPT_VALUE_H

#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/kernels.h"

/* Any type but the nested ones. */
static inline uint32_t kept_fields(struct type argument, const char *name,
                                   struct accumulator_field *ret_fields)
{
    if (type_value_size(argument.kind) == 0)
        return 0;
    argument.nullable = true;
    ret_fields[0] = (struct accumulator_field){name, argument};
    return 1;
}

static inline void kept_init(const struct accumulator *accumulator, void *slot)
{
    slot_set_null(slot, accumulator->first_field, true);
}

KERNEL bool kept_is_null(const struct accumulator *accumulator, const void *slot)
{
    return slot_is_null(slot, accumulator->first_field);
}

static inline void kept_set_view(const struct accumulator *accumulator, void *slot,
                                 const struct column *argument, uint32_t row)
{
    const struct string_view *view = &column_views(argument)[row];
    slot_set_null(slot, accumulator->first_field, false);
    state_set_bytes(accumulator->state, slot, accumulator->first_field,
                    string_view_bytes(argument, view), view->size);
}

KERNEL void kept_set_fixed(const struct accumulator *accumulator, void *slot, const void *value,
                           size_t size)
{
    slot_set_null(slot, accumulator->first_field, false);
    memcpy(accumulator_field_at(accumulator, slot, 0), value, size);
}

static inline void kept_write_view(const struct accumulator *accumulator, void *slot,
                                   struct aggregate_results *results, uint32_t position)
{
    if (kept_is_null(accumulator, slot)) {
        results_set_null(results, position);
        return;
    }
    const struct state_bytes *kept = accumulator_field_at(accumulator, slot, 0);
    results_set_valid(results, position);
    column_views(results->column)[position] =
        aggregate_results_bytes(results, kept->bytes, kept->size);
}

KERNEL void kept_write_size(const struct accumulator *accumulator, void *slot,
                            struct aggregate_results *results, uint32_t position, size_t size)
{
    if (kept_is_null(accumulator, slot)) {
        results_set_null(results, position);
        return;
    }
    results_set_valid(results, position);
    memcpy((char *)results->column->values + position * size,
           accumulator_field_at(accumulator, slot, 0), size);
}

static inline void kept_write_fixed(const struct accumulator *accumulator, void *slot,
                                    struct aggregate_results *results, uint32_t position)
{
    kept_write_size(accumulator, slot, results, position,
                    type_value_size(accumulator->types[0].kind));
}

static inline void kept_result(const struct accumulator *accumulator, void *const *slots,
                               const uint32_t *positions, uint32_t count,
                               struct aggregate_results *results)
{
    if (type_is_view(accumulator->types[0].kind))
        write_results(accumulator, slots, positions, count, results, kept_write_view);
    else
        write_results(accumulator, slots, positions, count, results, kept_write_fixed);
}

#endif
