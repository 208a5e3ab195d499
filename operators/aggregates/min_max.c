/* min(x), max(x): NULL over no values. NaN is the largest float; texts compare by their bytes,
 * which for UTF-8 is the order of code points. */
#include "operators/aggregates/aggregate_function.h"
#include "operators/aggregates/kept_value.h"

/* is_better(a, b): a replaces b. */
#define DEFINE_EXTREME(name, c_type, is_better)                                                    \
    KERNEL void name##_add(const struct accumulator *accumulator, void *slot,                      \
                           const struct column *argument, uint32_t row, int sign)                  \
    {                                                                                              \
        c_type value;                                                                              \
        c_type kept;                                                                               \
        (void)sign;                                                                                \
        memcpy(&value, (const char *)argument->values + row * sizeof(value), sizeof(value));       \
        memcpy(&kept, accumulator_field_at(accumulator, slot, 0), sizeof(kept));                   \
        if (kept_is_null(accumulator, slot) || is_better(value, kept))                             \
            kept_set_fixed(accumulator, slot, &value, sizeof(value));                              \
    }                                                                                              \
    KERNEL void name##_write(const struct accumulator *accumulator, void *slot,                    \
                             struct aggregate_results *results, uint32_t position)                 \
    {                                                                                              \
        kept_write_size(accumulator, slot, results, position, sizeof(c_type));                     \
    }                                                                                              \
    static void name##_apply(const struct accumulator *accumulator,                                \
                             const struct aggregate_rows *rows, struct aggregate_results *each)    \
    {                                                                                              \
        apply_rows(accumulator, rows, each, name##_add, name##_write);                             \
    }

#define IS_LESS(a, b)           ((a) < (b))
#define IS_GREATER(a, b)        ((a) > (b))
#define IS_LESS_OR_NAN(a, b)    ((a) < (b) || ((b) != (b) && (a) == (a)))
#define IS_GREATER_OR_NAN(a, b) ((a) > (b) || ((a) != (a) && (b) == (b)))

DEFINE_EXTREME(min_u8, uint8_t, IS_LESS)
DEFINE_EXTREME(min_i8, int8_t, IS_LESS)
DEFINE_EXTREME(min_i16, int16_t, IS_LESS)
DEFINE_EXTREME(min_i32, int32_t, IS_LESS)
DEFINE_EXTREME(min_i64, int64_t, IS_LESS)
DEFINE_EXTREME(min_i128, __int128, IS_LESS)
DEFINE_EXTREME(min_float, float, IS_LESS_OR_NAN)
DEFINE_EXTREME(min_double, double, IS_LESS_OR_NAN)
DEFINE_EXTREME(max_u8, uint8_t, IS_GREATER)
DEFINE_EXTREME(max_i8, int8_t, IS_GREATER)
DEFINE_EXTREME(max_i16, int16_t, IS_GREATER)
DEFINE_EXTREME(max_i32, int32_t, IS_GREATER)
DEFINE_EXTREME(max_i64, int64_t, IS_GREATER)
DEFINE_EXTREME(max_i128, __int128, IS_GREATER)
DEFINE_EXTREME(max_float, float, IS_GREATER_OR_NAN)
DEFINE_EXTREME(max_double, double, IS_GREATER_OR_NAN)

static int compare_bytes(const char *a, uint32_t a_size, const char *b, uint32_t b_size)
{
    const uint32_t both = a_size < b_size ? a_size : b_size;
    const int order = both > 0 ? memcmp(a, b, both) : 0;
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

/* direction 1: max, -1: min. */
KERNEL void view_add(const struct accumulator *accumulator, void *slot,
                     const struct column *argument, uint32_t row, int direction)
{
    if (!kept_is_null(accumulator, slot)) {
        const struct state_bytes *kept = accumulator_field_at(accumulator, slot, 0);
        const struct string_view *view = &column_views(argument)[row];
        const int order =
            compare_bytes(string_view_bytes(argument, view), view->size, kept->bytes, kept->size);
        if (direction > 0 ? order <= 0 : order >= 0)
            return;
    }
    kept_set_view(accumulator, slot, argument, row);
}

KERNEL void min_view_add(const struct accumulator *accumulator, void *slot,
                         const struct column *argument, uint32_t row, int sign)
{
    (void)sign;
    view_add(accumulator, slot, argument, row, -1);
}

KERNEL void max_view_add(const struct accumulator *accumulator, void *slot,
                         const struct column *argument, uint32_t row, int sign)
{
    (void)sign;
    view_add(accumulator, slot, argument, row, 1);
}

static void min_view_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                           struct aggregate_results *each)
{
    apply_rows(accumulator, rows, each, min_view_add, kept_write_view);
}

static void max_view_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                           struct aggregate_results *each)
{
    apply_rows(accumulator, rows, each, max_view_add, kept_write_view);
}

struct extreme_kernels {
    void (*u8)(const struct accumulator *, const struct aggregate_rows *,
               struct aggregate_results *);
    void (*i8)(const struct accumulator *, const struct aggregate_rows *,
               struct aggregate_results *);
    void (*i16)(const struct accumulator *, const struct aggregate_rows *,
                struct aggregate_results *);
    void (*i32)(const struct accumulator *, const struct aggregate_rows *,
                struct aggregate_results *);
    void (*i64)(const struct accumulator *, const struct aggregate_rows *,
                struct aggregate_results *);
    void (*i128)(const struct accumulator *, const struct aggregate_rows *,
                 struct aggregate_results *);
    void (*real)(const struct accumulator *, const struct aggregate_rows *,
                 struct aggregate_results *);
    void (*real_double)(const struct accumulator *, const struct aggregate_rows *,
                        struct aggregate_results *);
    void (*view)(const struct accumulator *, const struct aggregate_rows *,
                 struct aggregate_results *);
};

static const struct extreme_kernels min_kernels = {
    min_u8_apply,   min_i8_apply,    min_i16_apply,    min_i32_apply,  min_i64_apply,
    min_i128_apply, min_float_apply, min_double_apply, min_view_apply,
};
static const struct extreme_kernels max_kernels = {
    max_u8_apply,   max_i8_apply,    max_i16_apply,    max_i32_apply,  max_i64_apply,
    max_i128_apply, max_float_apply, max_double_apply, max_view_apply,
};

static void extreme_apply(const struct extreme_kernels *kernels,
                          const struct accumulator *accumulator, const struct aggregate_rows *rows,
                          struct aggregate_results *each)
{
    switch (accumulator->types[0].kind) {
    case TYPE_BOOLEAN:
        kernels->u8(accumulator, rows, each);
        break;
    case TYPE_TINYINT:
        kernels->i8(accumulator, rows, each);
        break;
    case TYPE_SMALLINT:
        kernels->i16(accumulator, rows, each);
        break;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_MONTH:
        kernels->i32(accumulator, rows, each);
        break;
    case TYPE_BIGINT:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
    case TYPE_INTERVAL_SECOND:
        kernels->i64(accumulator, rows, each);
        break;
    case TYPE_FLOAT:
        kernels->real(accumulator, rows, each);
        break;
    case TYPE_DOUBLE:
        kernels->real_double(accumulator, rows, each);
        break;
    case TYPE_DECIMAL:
        kernels->i128(accumulator, rows, each);
        break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
        kernels->view(accumulator, rows, each);
        break;
    case TYPE_NONE:
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_ROW:
        break; /* refused by fields */
    }
}

static void min_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                      struct aggregate_results *each)
{
    extreme_apply(&min_kernels, accumulator, rows, each);
}

static void max_apply(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                      struct aggregate_results *each)
{
    extreme_apply(&max_kernels, accumulator, rows, each);
}

static void min_merge(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                      struct column *const *fields)
{
    struct aggregate_rows halves = *rows;
    halves.argument = fields[0];
    min_apply(accumulator, &halves, NULL);
}

static void max_merge(const struct accumulator *accumulator, const struct aggregate_rows *rows,
                      struct column *const *fields)
{
    struct aggregate_rows halves = *rows;
    halves.argument = fields[0];
    max_apply(accumulator, &halves, NULL);
}

/* A local half has no state to keep bytes in. */
static bool extreme_is_mergeable(struct type argument)
{
    return !type_is_view(argument.kind);
}

static uint32_t min_fields(struct type argument, struct accumulator_field *ret_fields)
{
    return kept_fields(argument, "min", ret_fields);
}

static uint32_t max_fields(struct type argument, struct accumulator_field *ret_fields)
{
    return kept_fields(argument, "max", ret_fields);
}

const struct aggregate_function aggregate_min = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "min",
    .is_retractable = false,
    .fields = min_fields,
    .init = kept_init,
    .apply = min_apply,
    .merge = min_merge,
    .is_mergeable = extreme_is_mergeable,
    .result = kept_result,
};

const struct aggregate_function aggregate_max = {
    .abi_size = sizeof(struct aggregate_function),
    .name = "max",
    .is_retractable = false,
    .fields = max_fields,
    .init = kept_init,
    .apply = max_apply,
    .merge = max_merge,
    .is_mergeable = extreme_is_mergeable,
    .result = kept_result,
};
