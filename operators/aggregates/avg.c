/* avg(x): NULL over no values; the average of integers truncates, of DECIMAL rounds half up. */
#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/totals.h"

static uint32_t avg_fields(struct type argument, struct accumulator_field *ret_fields)
{
    return total_fields(argument, "avg_sum", "avg_high", "avg_rows", ret_fields);
}

KERNEL void avg_write_integer(const struct accumulator *accumulator, void *slot,
                              struct aggregate_results *results, uint32_t position)
{
    const int64_t rows = total_rows(accumulator, slot);
    const int64_t total = load_int64(accumulator_field_at(accumulator, slot, 0));
    if (rows == 0)
        results_set_null(results, position);
    else if (rows == -1) /* only after unmatched retractions: INT64_MIN / -1 would trap */
        write_int(results, position, (int64_t)(0 - (uint64_t)total));
    else
        write_int(results, position, total / rows);
}

KERNEL void avg_write_real(const struct accumulator *accumulator, void *slot,
                           struct aggregate_results *results, uint32_t position)
{
    const int64_t rows = total_rows(accumulator, slot);
    if (rows == 0)
        results_set_null(results, position);
    else
        write_real(results, position, total_real(accumulator, slot) / (double)rows);
}

/* total / rows with `more` further digits, rounded half away from zero; false if 38 digits cannot
 * hold it. Long division: what is left of the total is smaller than rows, so its multiple fits. */
static bool divide_decimal(__int128 total, int64_t rows, unsigned more, __int128 *ret_quotient)
{
    const __int128 power = decimal_power(more);
    const __int128 whole = total / rows;
    const __int128 rest = (total % rows) * power;
    const __int128 twice_left = rest % rows * 2;
    const __int128 size = rows < 0 ? -(__int128)rows : rows;
    __int128 result;
    if (__builtin_mul_overflow(whole, power, &result) ||
        __builtin_add_overflow(result, rest / rows, &result))
        return false;
    if (twice_left >= size || twice_left <= -size)
        result += (total < 0) == (rows < 0) ? 1 : -1;
    const __int128 limit = decimal_power(TYPE_DECIMAL_PRECISION_MAX);
    if (result >= limit || result <= -limit)
        return false;
    *ret_quotient = result;
    return true;
}

static void avg_write_decimal(const struct accumulator *accumulator, void *slot,
                              struct aggregate_results *results, uint32_t position)
{
    const int64_t rows = total_rows(accumulator, slot);
    const unsigned scale = results->column->type.scale;
    const unsigned from = accumulator->types[0].scale;
    __int128 total;
    __int128 quotient;
    if (rows == 0 || scale < from || scale - from > 18 ||
        !total_decimal(accumulator, slot, &total) ||
        !divide_decimal(total, rows, scale - from, &quotient))
        results_set_null(results, position);
    else
        write_decimal(results, position, quotient);
}

static void avg_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                      struct aggregate_results *each)
{
    TOTAL_APPLY(accumulator, rows, each, avg_write_integer, avg_write_real, avg_write_decimal);
}

static void avg_result(const struct accumulator *accumulator, void *const *slots,
                       const uint32_t *positions, uint32_t count, struct aggregate_results *results)
{
    const enum total_kind kind = total_kind_of(accumulator->argument);
    if (kind == TOTAL_INTEGER)
        write_results(accumulator, slots, positions, count, results, avg_write_integer);
    else if (kind == TOTAL_REAL)
        write_results(accumulator, slots, positions, count, results, avg_write_real);
    else
        write_results(accumulator, slots, positions, count, results, avg_write_decimal);
}

const struct aggregate_function aggregate_avg = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "avg",
    .is_retractable = true,
    .fields = avg_fields,
    .apply = avg_apply,
    .merge = total_merge,
    .is_mergeable = total_is_mergeable,
    .result = avg_result,
    .can_unmerge = total_can_unmerge,
};
