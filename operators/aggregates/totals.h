/*
 * What sum and avg share: a total and the number of values in it.
 *
 *   integers   BIGINT, wrapping (modulo 2^64, so that any narrower result wraps as it should)
 *   floats     DOUBLE
 *   DECIMAL    192 bits: the low 128 as DECIMAL(38, s), the high 64 as BIGINT. Sums are exact in
 *              any order, and rows can be taken back after an overflow; whether the result fits is
 *              asked only when it is read.
 */
#ifndef OPERATORS_AGGREGATES_TOTALS_H
#define OPERATORS_AGGREGATES_TOTALS_H

#include "common/data/value_text.h"
#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/kernels.h"

enum total_kind { TOTAL_NONE, TOTAL_INTEGER, TOTAL_REAL, TOTAL_DECIMAL };

static inline enum total_kind total_kind_of(struct type type)
{
    if (type_is_integer(type.kind))
        return TOTAL_INTEGER;
    if (type.kind == TYPE_FLOAT || type.kind == TYPE_DOUBLE)
        return TOTAL_REAL;
    return type.kind == TYPE_DECIMAL ? TOTAL_DECIMAL : TOTAL_NONE;
}

/* The fields of a total, with names of its function. 0: no such total. */
static inline uint32_t total_fields(struct type argument, const char *total, const char *high,
                                    const char *rows, struct accumulator_field *ret_fields)
{
    struct type bigint = type_of_kind(TYPE_BIGINT);
    bigint.nullable = false;
    struct type low = bigint;
    const enum total_kind kind = total_kind_of(argument);
    if (kind == TOTAL_NONE)
        return 0;
    if (kind == TOTAL_REAL)
        low = type_of_kind(TYPE_DOUBLE);
    if (kind == TOTAL_DECIMAL)
        low = type_decimal(TYPE_DECIMAL_PRECISION_MAX, argument.scale);
    low.nullable = false;
    uint32_t count = 0;
    ret_fields[count++] = (struct accumulator_field){total, low};
    ret_fields[count++] = (struct accumulator_field){rows, bigint};
    if (kind == TOTAL_DECIMAL)
        ret_fields[count++] = (struct accumulator_field){high, bigint};
    return count;
}

KERNEL int64_t total_rows(const struct accumulator *accumulator, void *slot)
{
    return load_int64(accumulator_field_at(accumulator, slot, 1));
}

#define DEFINE_TOTAL_INTEGER(name, c_type)                                                         \
    KERNEL void total_add_##name(const struct accumulator *accumulator, void *slot,                \
                                 const struct column *argument, uint32_t row, int sign)            \
    {                                                                                              \
        const int64_t value = ((const c_type *)argument->values)[row];                             \
        add_int64(accumulator_field_at(accumulator, slot, 0),                                      \
                  sign > 0 ? value : (int64_t)(0 - (uint64_t)value));                              \
        add_int64(accumulator_field_at(accumulator, slot, 1), sign);                               \
    }

#define DEFINE_TOTAL_REAL(name, c_type)                                                            \
    KERNEL void total_add_##name(const struct accumulator *accumulator, void *slot,                \
                                 const struct column *argument, uint32_t row, int sign)            \
    {                                                                                              \
        const double value = (double)((const c_type *)argument->values)[row];                      \
        double total;                                                                              \
        void *field = accumulator_field_at(accumulator, slot, 0);                                  \
        memcpy(&total, field, sizeof(total));                                                      \
        total = sign > 0 ? total + value : total - value;                                          \
        memcpy(field, &total, sizeof(total));                                                      \
        add_int64(accumulator_field_at(accumulator, slot, 1), sign);                               \
    }

DEFINE_TOTAL_INTEGER(tinyint, int8_t)
DEFINE_TOTAL_INTEGER(smallint, int16_t)
DEFINE_TOTAL_INTEGER(int, int32_t)
DEFINE_TOTAL_INTEGER(bigint, int64_t)
DEFINE_TOTAL_REAL(float, float)
DEFINE_TOTAL_REAL(double, double)

/* Adds high * 2^128 + low to the 192 bits. */
KERNEL void total_add_wide(const struct accumulator *accumulator, void *slot, __int128 value,
                           int64_t high)
{
    void *field = accumulator_field_at(accumulator, slot, 0);
    unsigned __int128 low;
    memcpy(&low, field, sizeof(low));
    /* low is the unsigned part of the two's complement, high its upper word. */
    const unsigned __int128 sum = low + (unsigned __int128)value;
    const int64_t carry = sum < low ? 1 : 0;
    memcpy(field, &sum, sizeof(sum));
    add_int64(accumulator_field_at(accumulator, slot, 2), high + carry);
}

KERNEL void total_add_decimal(const struct accumulator *accumulator, void *slot,
                              const struct column *argument, uint32_t row, int sign)
{
    __int128 value;
    memcpy(&value, (const char *)argument->values + (size_t)row * sizeof(value), sizeof(value));
    if (sign < 0)
        value = -value; /* at most 38 digits: fits */
    total_add_wide(accumulator, slot, value, value < 0 ? -1 : 0);
    add_int64(accumulator_field_at(accumulator, slot, 1), sign);
}

/* The total if 38 digits hold it. */
KERNEL bool total_decimal(const struct accumulator *accumulator, void *slot, __int128 *ret_total)
{
    __int128 low;
    memcpy(&low, accumulator_field_at(accumulator, slot, 0), sizeof(low));
    const int64_t high = load_int64(accumulator_field_at(accumulator, slot, 2));
    if (high != (low < 0 ? -1 : 0))
        return false;
    const __int128 limit = decimal_power(TYPE_DECIMAL_PRECISION_MAX);
    if (low >= limit || low <= -limit)
        return false;
    *ret_total = low;
    return true;
}

KERNEL double total_real(const struct accumulator *accumulator, void *slot)
{
    double total;
    memcpy(&total, accumulator_field_at(accumulator, slot, 0), sizeof(total));
    return total;
}

KERNEL void write_int(struct aggregate_results *results, uint32_t position, int64_t value)
{
    void *values = results->column->values;
    results_set_valid(results, position);
    if (results->column->type.kind == TYPE_BIGINT)
        ((int64_t *)values)[position] = value;
    else if (results->column->type.kind == TYPE_INT)
        ((int32_t *)values)[position] = (int32_t)value;
    else if (results->column->type.kind == TYPE_SMALLINT)
        ((int16_t *)values)[position] = (int16_t)value;
    else
        ((int8_t *)values)[position] = (int8_t)value;
}

KERNEL void write_real(struct aggregate_results *results, uint32_t position, double value)
{
    results_set_valid(results, position);
    if (results->column->type.kind == TYPE_FLOAT)
        ((float *)results->column->values)[position] = (float)value;
    else
        ((double *)results->column->values)[position] = value;
}

KERNEL void write_decimal(struct aggregate_results *results, uint32_t position, __int128 value)
{
    results_set_valid(results, position);
    memcpy((char *)results->column->values + (size_t)position * sizeof(value), &value,
           sizeof(value));
}

/* The total's add for each argument kind, with the function's own write for each total kind. */
#define TOTAL_APPLY(accumulator, rows, each, integer_write, real_write, decimal_write)             \
    do {                                                                                           \
        const enum type_kind kind_ = (accumulator)->argument.kind;                                 \
        if (kind_ == TYPE_TINYINT)                                                                 \
            apply_rows(accumulator, rows, each, total_add_tinyint, integer_write);                 \
        else if (kind_ == TYPE_SMALLINT)                                                           \
            apply_rows(accumulator, rows, each, total_add_smallint, integer_write);                \
        else if (kind_ == TYPE_INT)                                                                \
            apply_rows(accumulator, rows, each, total_add_int, integer_write);                     \
        else if (kind_ == TYPE_BIGINT)                                                             \
            apply_rows(accumulator, rows, each, total_add_bigint, integer_write);                  \
        else if (kind_ == TYPE_FLOAT)                                                              \
            apply_rows(accumulator, rows, each, total_add_float, real_write);                      \
        else if (kind_ == TYPE_DOUBLE)                                                             \
            apply_rows(accumulator, rows, each, total_add_double, real_write);                     \
        else                                                                                       \
            apply_rows(accumulator, rows, each, total_add_decimal, decimal_write);                 \
    } while (0)

/* Halves of integer and decimal totals are added; sums of floats depend on their order, so they are
 * not split. */
static inline bool total_is_mergeable(struct type argument)
{
    const enum total_kind kind = total_kind_of(argument);
    return kind == TOTAL_INTEGER || kind == TOTAL_DECIMAL;
}

static inline void total_merge_real(const struct accumulator *accumulator, void *slot, double value)
{
    void *field = accumulator_field_at(accumulator, slot, 0);
    double total;
    memcpy(&total, field, sizeof(total));
    total += value;
    memcpy(field, &total, sizeof(total));
}

static inline void total_merge(const struct accumulator *accumulator,
                               const struct aggregate_rows *rows, struct column *const *fields)
{
    const enum total_kind kind = total_kind_of(accumulator->argument);
    for (uint32_t i = 0; i < rows->count; i++) {
        const uint32_t row = rows->rows[i];
        void *slot = rows->slots[i];
        const bool is_taken_back = rows->signs != NULL && rows->signs[i] < 0;
        /* All bits set for a number that is negated: -x = ~x + 1. */
        const uint64_t mask = is_taken_back ? UINT64_MAX : 0;
        if (kind == TOTAL_DECIMAL) {
            __int128 low;
            memcpy(&low, (const char *)fields[0]->values + (size_t)row * sizeof(low), sizeof(low));
            uint64_t high = (uint64_t)((const int64_t *)fields[2]->values)[row];
            if (is_taken_back) {
                high = ~high + (low == 0);
                low = (__int128)(~(unsigned __int128)low + 1);
            }
            total_add_wide(accumulator, slot, low, (int64_t)high);
        } else if (kind == TOTAL_REAL) {
            total_merge_real(accumulator, slot, ((const double *)fields[0]->values)[row]);
        } else {
            const uint64_t value = (uint64_t)((const int64_t *)fields[0]->values)[row];
            add_int64(accumulator_field_at(accumulator, slot, 0), (int64_t)((value ^ mask) - mask));
        }
        const uint64_t values = (uint64_t)((const int64_t *)fields[1]->values)[row];
        add_int64(accumulator_field_at(accumulator, slot, 1), (int64_t)((values ^ mask) - mask));
    }
}

/* Sums of floats cannot be taken back exactly. */
static inline bool total_can_unmerge(struct type argument)
{
    return total_kind_of(argument) != TOTAL_REAL;
}

#endif
