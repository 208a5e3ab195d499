/* abs, ceil, floor, round, truncate, power, sqrt, exp, logarithms, sign. */
#include "expressions/binder.h"
#include "expressions/decimal_math.h"
#include "expressions/function.h"

#include "common/data/value_text.h"

#include <math.h>

/* Arguments keep their type; integers narrower than BIGINT are computed as it. */
static int64_t load_integer(const struct call *call, uint32_t row)
{
    switch (call->args[0].column->type.kind) {
    case TYPE_TINYINT:
        return ARG(call, 0, int8_t, row);
    case TYPE_SMALLINT:
        return ARG(call, 0, int16_t, row);
    case TYPE_INT:
        return ARG(call, 0, int32_t, row);
    default:
        return ARG(call, 0, int64_t, row);
    }
}

static void store_integer(const struct call *call, uint32_t row, int64_t value)
{
    const size_t size = type_value_size(call->result->type.kind);
    memcpy((char *)call->result->values + row * size, &value, size); /* little-endian */
}

static double load_double(const struct call *call, uint32_t row)
{
    return call->args[0].column->type.kind == TYPE_FLOAT ? (double)ARG(call, 0, float, row)
                                                         : ARG(call, 0, double, row);
}

static void store_double(const struct call *call, uint32_t row, double value)
{
    if (call->result->type.kind == TYPE_FLOAT)
        RESULT(call, float)[row] = (float)value;
    else
        RESULT(call, double)[row] = value;
}

static bool is_integer(const struct call *call)
{
    return type_is_integer(call->args[0].column->type.kind);
}

static bool is_decimal(const struct call *call)
{
    return call->args[0].column->type.kind == TYPE_DECIMAL;
}

static void abs_kernel(struct call *call)
{
    FOR_ROWS(call, row)
    {
        if (is_integer(call)) {
            const int64_t value = load_integer(call, row);
            store_integer(call, row, value < 0 ? (int64_t)(0 - (uint64_t)value) : value);
        } else if (is_decimal(call)) {
            const __int128 value = ARG(call, 0, __int128, row);
            RESULT(call, __int128)[row] = value < 0 ? -value : value;
        } else {
            store_double(call, row, fabs(load_double(call, row)));
        }
    }
}

static void sign_kernel(struct call *call)
{
    FOR_ROWS(call, row)
    {
        if (is_integer(call)) {
            const int64_t value = load_integer(call, row);
            store_integer(call, row, (value > 0) - (value < 0));
        } else if (is_decimal(call)) {
            const __int128 value = ARG(call, 0, __int128, row);
            RESULT(call, __int128)
            [row] = ((value > 0) - (value < 0)) * decimal_power(call->node->type.scale);
        } else {
            const double value = load_double(call, row);
            store_double(call, row, isnan(value) ? value : (value > 0) - (value < 0));
        }
    }
}

static bool bind_same(struct binder *binder, struct node *node)
{
    if (node->args[0]->type.kind == TYPE_NONE &&
        !bind_coerce(binder, node, 0, type_of_kind(TYPE_DOUBLE)))
        return false;
    node->type = node->args[0]->type;
    return true;
}

/* ---- ceil, floor: DECIMAL loses its scale ---- */

static void whole(struct call *call, bool up)
{
    const __int128 power = decimal_power(call->args[0].column->type.scale);
    FOR_ROWS(call, row)
    {
        if (is_integer(call)) {
            store_integer(call, row, load_integer(call, row));
        } else if (is_decimal(call)) {
            const __int128 value = ARG(call, 0, __int128, row);
            const __int128 rest = value % power;
            RESULT(call, __int128)[row] = value / power + (up && rest > 0) - (!up && rest < 0);
        } else {
            const double value = load_double(call, row);
            store_double(call, row, up ? ceil(value) : floor(value));
        }
    }
}

static void ceil_kernel(struct call *call)
{
    whole(call, true);
}

static void floor_kernel(struct call *call)
{
    whole(call, false);
}

static bool bind_whole(struct binder *binder, struct node *node)
{
    if (!bind_same(binder, node))
        return false;
    if (node->type.kind == TYPE_DECIMAL)
        node->type = type_decimal(node->type.precision, 0);
    return true;
}

/* ---- round, truncate ---- */

/* Digits asked for; without a second argument 0. */
static int64_t digits_asked(const struct call *call, uint32_t row)
{
    return call->arg_count < 2 ? 0 : ARG(call, 1, int64_t, row);
}

static bool round_decimal(__int128 value, unsigned scale, int64_t digits, bool cuts,
                          struct decimal_shape to, __int128 *ret_value)
{
    if (digits < (int64_t)scale) {
        const int64_t drop = (int64_t)scale - digits;
        if (drop > 38) {
            *ret_value = 0;
            return true;
        }
        const __int128 power = decimal_power((unsigned)drop);
        const __int128 rest = value % power;
        value -= rest;
        if (!cuts && rest >= power - rest)
            value += power;
        if (!cuts && -rest >= power + rest)
            value -= power;
    }
    return decimal_rescale(value, scale, to, ret_value);
}

/* As its shortest decimal text would be rounded, so that 2.675 becomes 2.68. */
static double round_double(double value, int64_t digits, bool cuts)
{
    const struct decimal_shape exact = {38, 18};
    __int128 decimal;
    if (digits >= 18 || fabs(value) >= 1e18 || !decimal_from_double(value, exact, &decimal) ||
        !round_decimal(decimal, 18, digits, cuts, exact, &decimal))
        return value;
    return decimal_to_double(decimal, 18);
}

static void round_row(struct call *call, uint32_t row, bool cuts)
{
    const int64_t digits = digits_asked(call, row);
    const struct type type = call->node->type;
    if (is_integer(call)) {
        __int128 value;
        (void)round_decimal(load_integer(call, row), 0, digits, cuts, (struct decimal_shape){38, 0},
                            &value);
        store_integer(call, row, (int64_t)(unsigned __int128)value);
    } else if (is_decimal(call)) {
        if (!round_decimal(ARG(call, 0, __int128, row), call->args[0].column->type.scale, digits,
                           cuts, (struct decimal_shape){type.precision, type.scale},
                           &RESULT(call, __int128)[row]))
            call_set_null(call, row);
    } else {
        store_double(call, row, round_double(load_double(call, row), digits, cuts));
    }
}

static void round_kernel(struct call *call)
{
    FOR_ROWS(call, row) round_row(call, row, false);
}

static void truncate_kernel(struct call *call)
{
    FOR_ROWS(call, row) round_row(call, row, true);
}

/* DECIMAL: Flink's type for a constant number of digits, else the argument's. */
static bool bind_round(struct binder *binder, struct node *node)
{
    if (!bind_same(binder, node))
        return false;
    if (node->type.kind != TYPE_DECIMAL)
        return true;
    int64_t digits = 0;
    if (node->arg_count == 2) {
        const struct node *arg = node->args[1];
        if (arg->kind != NODE_LITERAL || column_is_null(arg->literal, 0))
            return true;
        digits = ((const int64_t *)arg->literal->values)[0];
    }
    const int64_t precision = node->type.precision;
    const int64_t scale = node->type.scale;
    if (digits >= scale)
        return true;
    const int64_t kept = digits < 0 ? 0 : digits;
    const int64_t wanted = 1 + precision - scale + kept;
    node->type = type_decimal((unsigned)(wanted > 38 ? 38 : wanted), (unsigned)kept);
    return true;
}

/* ---- of DOUBLE ---- */

#define DEFINE_DOUBLE(name, expression)                                                            \
    static void name##_kernel(struct call *call)                                                   \
    {                                                                                              \
        FOR_ROWS(call, row)                                                                        \
        {                                                                                          \
            const double x = ARG(call, 0, double, row);                                            \
            RESULT(call, double)[row] = expression;                                                \
        }                                                                                          \
    }
DEFINE_DOUBLE(sqrt, sqrt(x))
DEFINE_DOUBLE(exp, exp(x))
DEFINE_DOUBLE(ln, log(x))
DEFINE_DOUBLE(log10, log10(x))
DEFINE_DOUBLE(log2, log2(x))

static void power_kernel(struct call *call)
{
    FOR_ROWS(call, row)
    RESULT(call, double)[row] = pow(ARG(call, 0, double, row), ARG(call, 1, double, row));
}

#define SAME "type of the argument"

const struct function functions_number[] = {
    {"abs", "e", 0, 0, abs_kernel, bind_same, "abs(x)", "absolute value", "abs(-3)", SAME},
    {"sign", "e", 0, 0, sign_kernel, bind_same, "sign(x)", "-1, 0 or 1", "sign(-3.5)", SAME},
    {"ceil", "e", 0, 0, ceil_kernel, bind_whole, "ceil(x)", "smallest whole number >= x",
     "ceil(1.2)", SAME ", DECIMAL(p, 0) of DECIMAL"},
    {"ceiling", "e", 0, 0, ceil_kernel, bind_whole, "ceiling(x)", "the same as ceil",
     "ceiling(1.2)", SAME ", DECIMAL(p, 0) of DECIMAL"},
    {"floor", "e", 0, 0, floor_kernel, bind_whole, "floor(x)", "largest whole number <= x",
     "floor(-1.2)", SAME ", DECIMAL(p, 0) of DECIMAL"},
    {"round", "e?i", 0, FUNCTION_GIVES_NULL, round_kernel, bind_round, "round(x [, digits])",
     "rounded half away from zero to so many digits behind the point", "round(2.675e0, 2)", SAME},
    {"truncate", "e?i", 0, FUNCTION_GIVES_NULL, truncate_kernel, bind_round,
     "truncate(x [, digits])", "cut to so many digits behind the point", "truncate(2.679e0, 2)",
     SAME},
    {"power", "dd", 'd', 0, power_kernel, NULL, "power(x, y)", "x raised to y", "power(2, 10)",
     "DOUBLE"},
    {"sqrt", "d", 'd', 0, sqrt_kernel, NULL, "sqrt(x)", "square root; NaN of a negative number",
     "sqrt(2.25)", "DOUBLE"},
    {"exp", "d", 'd', 0, exp_kernel, NULL, "exp(x)", "e raised to x", "exp(0)", "DOUBLE"},
    {"ln", "d", 'd', 0, ln_kernel, NULL, "ln(x)", "natural logarithm; NaN of a negative number",
     "ln(1)", "DOUBLE"},
    {"log10", "d", 'd', 0, log10_kernel, NULL, "log10(x)", "logarithm to base 10", "log10(1000)",
     "DOUBLE"},
    {"log2", "d", 'd', 0, log2_kernel, NULL, "log2(x)", "logarithm to base 2", "log2(8)", "DOUBLE"},
};
DEFINE_FAMILY_COUNT(number);
