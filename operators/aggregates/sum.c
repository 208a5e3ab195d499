/* sum(x): NULL over no values; integers wrap at the argument's width, DECIMAL overflow is NULL. */
#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/totals.h"

static uint32_t sum_fields(struct type argument, struct accumulator_field *ret_fields)
{
    return total_fields(argument, "sum", "sum_high", "sum_rows", ret_fields);
}

KERNEL void sum_write_integer(const struct accumulator *accumulator, void *slot,
                              struct aggregate_results *results, uint32_t position)
{
    if (total_rows(accumulator, slot) == 0)
        results_set_null(results, position);
    else
        write_int(results, position, load_int64(accumulator_field_at(accumulator, slot, 0)));
}

KERNEL void sum_write_real(const struct accumulator *accumulator, void *slot,
                           struct aggregate_results *results, uint32_t position)
{
    if (total_rows(accumulator, slot) == 0)
        results_set_null(results, position);
    else
        write_real(results, position, total_real(accumulator, slot));
}

KERNEL void sum_write_decimal(const struct accumulator *accumulator, void *slot,
                              struct aggregate_results *results, uint32_t position)
{
    __int128 total;
    if (total_rows(accumulator, slot) == 0 || !total_decimal(accumulator, slot, &total))
        results_set_null(results, position);
    else
        write_decimal(results, position, total);
}

static void sum_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                      struct aggregate_results *each)
{
    TOTAL_APPLY(accumulator, rows, each, sum_write_integer, sum_write_real, sum_write_decimal);
}

static void sum_result(const struct accumulator *accumulator, void *const *slots,
                       const uint32_t *positions, uint32_t count, struct aggregate_results *results)
{
    const enum total_kind kind = total_kind_of(accumulator->argument);
    if (kind == TOTAL_INTEGER)
        write_results(accumulator, slots, positions, count, results, sum_write_integer);
    else if (kind == TOTAL_REAL)
        write_results(accumulator, slots, positions, count, results, sum_write_real);
    else
        write_results(accumulator, slots, positions, count, results, sum_write_decimal);
}

const struct aggregate_function aggregate_sum = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "sum",
    .is_retractable = true,
    .fields = sum_fields,
    .apply = sum_apply,
    .merge = total_merge,
    .is_mergeable = total_is_mergeable,
    .result = sum_result,
    .can_unmerge = total_can_unmerge,
};
