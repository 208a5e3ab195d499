/* first_value(x), last_value(x): by arrival, values that are NULL left out, as in Flink. Which of
 * two halves came first is not known, so they are not split; parts of a session are merged in the
 * order of their time. */
#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/kept_value.h"

KERNEL void keep_fixed(const struct accumulator *accumulator, void *slot,
                       const struct column *argument, uint32_t row)
{
    const size_t size = type_value_size(accumulator->types[0].kind);
    kept_set_fixed(accumulator, slot, (const char *)argument->values + row * size, size);
}

KERNEL void first_fixed_add(const struct accumulator *accumulator, void *slot,
                            const struct column *argument, uint32_t row, int sign)
{
    (void)sign;
    if (kept_is_null(accumulator, slot))
        keep_fixed(accumulator, slot, argument, row);
}

KERNEL void last_fixed_add(const struct accumulator *accumulator, void *slot,
                           const struct column *argument, uint32_t row, int sign)
{
    (void)sign;
    keep_fixed(accumulator, slot, argument, row);
}

KERNEL void first_view_add(const struct accumulator *accumulator, void *slot,
                           const struct column *argument, uint32_t row, int sign)
{
    (void)sign;
    if (kept_is_null(accumulator, slot))
        kept_set_view(accumulator, slot, argument, row);
}

KERNEL void last_view_add(const struct accumulator *accumulator, void *slot,
                          const struct column *argument, uint32_t row, int sign)
{
    (void)sign;
    kept_set_view(accumulator, slot, argument, row);
}

static void first_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                        struct aggregate_results *each)
{
    if (type_is_view(accumulator->types[0].kind))
        apply_rows(accumulator, rows, each, first_view_add, kept_write_view);
    else
        apply_rows(accumulator, rows, each, first_fixed_add, kept_write_fixed);
}

static void last_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                       struct aggregate_results *each)
{
    if (type_is_view(accumulator->types[0].kind))
        apply_rows(accumulator, rows, each, last_view_add, kept_write_view);
    else
        apply_rows(accumulator, rows, each, last_fixed_add, kept_write_fixed);
}

static uint32_t first_fields(struct type argument, struct accumulator_field *ret_fields)
{
    return kept_fields(argument, "first", ret_fields);
}

static uint32_t last_fields(struct type argument, struct accumulator_field *ret_fields)
{
    return kept_fields(argument, "last", ret_fields);
}

static void first_merge(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                        struct column *const *fields)
{
    struct aggregate_rows halves = *rows;
    halves.argument = fields[0];
    first_apply(accumulator, &halves, NULL);
}

static void last_merge(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                       struct column *const *fields)
{
    struct aggregate_rows halves = *rows;
    halves.argument = fields[0];
    last_apply(accumulator, &halves, NULL);
}

static bool never_in_any_order(struct type argument)
{
    (void)argument;
    return false;
}

const struct aggregate_function aggregate_first = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "first_value",
    .is_retractable = false,
    .fields = first_fields,
    .init = kept_init,
    .apply = first_apply,
    .merge = first_merge,
    .is_mergeable = never_in_any_order,
    .result = kept_result,
    .is_ordered = true,
};

const struct aggregate_function aggregate_last = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "last_value",
    .is_retractable = false,
    .fields = last_fields,
    .init = kept_init,
    .apply = last_apply,
    .merge = last_merge,
    .is_mergeable = never_in_any_order,
    .result = kept_result,
    .is_ordered = true,
};
