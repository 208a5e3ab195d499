/* count(*), count(x): rows, or rows where the argument is not NULL. */
#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/kernels.h"

static uint32_t count_fields(struct type argument, struct accumulator_field *ret_fields)
{
    (void)argument;
    ret_fields[0] = (struct accumulator_field){"count", type_of_kind(TYPE_BIGINT)};
    ret_fields[0].type.nullable = false;
    return 1;
}

KERNEL void count_add(const struct accumulator *accumulator, void *slot,
                      const struct column *argument, uint32_t row, int sign)
{
    (void)argument;
    (void)row;
    add_int64(accumulator_field_at(accumulator, slot, 0), sign);
}

KERNEL void count_write(const struct accumulator *accumulator, void *slot,
                        struct aggregate_results *results, uint32_t position)
{
    ((int64_t *)results->column->values)[position] =
        load_int64(accumulator_field_at(accumulator, slot, 0));
}

static void count_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                        struct aggregate_results *each)
{
    /* count(*) has no argument: it counts as if it had one without NULLs. */
    static const struct column no_nulls;
    struct aggregate_rows all = *rows;
    if (all.argument == NULL)
        all.argument = &no_nulls;
    apply_rows(accumulator, &all, each, count_add, count_write);
}

KERNEL void count_merge_add(const struct accumulator *accumulator, void *slot,
                            const struct column *argument, uint32_t row, int sign)
{
    const int64_t value = ((const int64_t *)argument->values)[row];
    add_int64(accumulator_field_at(accumulator, slot, 0),
              sign > 0 ? value : (int64_t)(0 - (uint64_t)value));
}

static void count_merge(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                        struct column *const *fields)
{
    struct aggregate_rows halves = *rows;
    halves.argument = fields[0];
    apply_rows(accumulator, &halves, NULL, count_merge_add, count_write);
}

static void count_result(const struct accumulator *accumulator, void *const *slots,
                         const uint32_t *positions, uint32_t count,
                         struct aggregate_results *results)
{
    write_results(accumulator, slots, positions, count, results, count_write);
}

static bool count_can_unmerge(struct type argument)
{
    (void)argument;
    return true;
}

const struct aggregate_function aggregate_count = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "count",
    .is_retractable = true,
    .fields = count_fields,
    .apply = count_apply,
    .merge = count_merge,
    .result = count_result,
    .can_unmerge = count_can_unmerge,
};
