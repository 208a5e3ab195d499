/* + - * / % and unary minus, of numbers, times and intervals; || is with the strings. */
#include "expressions/binder.h"
#include "expressions/coercion.h"
#include "expressions/decimal_math.h"
#include "expressions/function.h"
#include "expressions/time_math.h"

#include <math.h>

#define DEFINE_WRAPPING(name, c_type, u_type, op)                                                  \
    static void name##_##c_type(struct call *call)                                                 \
    {                                                                                              \
        c_type *out = RESULT(call, c_type);                                                        \
        KERNEL_LOOP(call, row,                                                                     \
                    out[row] = (c_type)(u_type)((u_type)ARG(call, 0, c_type, row) op(u_type)       \
                                                    ARG(call, 1, c_type, row)););                  \
    }
#define DEFINE_FLOATING(name, c_type, op)                                                          \
    static void name##_##c_type(struct call *call)                                                 \
    {                                                                                              \
        c_type *out = RESULT(call, c_type);                                                        \
        KERNEL_LOOP(call, row,                                                                     \
                    out[row] = ARG(call, 0, c_type, row) op ARG(call, 1, c_type, row););           \
    }
/* Narrow types are computed unsigned in 32 bits: their products would overflow int. */
#define DEFINE_RING(name, op)                                                                      \
    DEFINE_WRAPPING(name, int8_t, uint32_t, op)                                                    \
    DEFINE_WRAPPING(name, int16_t, uint32_t, op)                                                   \
    DEFINE_WRAPPING(name, int32_t, uint32_t, op)                                                   \
    DEFINE_WRAPPING(name, int64_t, uint64_t, op)                                                   \
    DEFINE_FLOATING(name, float, op)                                                               \
    DEFINE_FLOATING(name, double, op)
DEFINE_RING(add, +)
DEFINE_RING(subtract, -)
DEFINE_RING(multiply, *)
DEFINE_FLOATING(divide, float, /)
DEFINE_FLOATING(divide, double, /)

/* The smallest value divided by -1 wraps to itself, its remainder is 0. wide_type: of the quotient
 * as C promotes it; converted in one step, gcc with UBSan warns in spite of the cast. */
#define DEFINE_DIVISION(c_type, wide_type, u_type)                                                 \
    static void divide_##c_type(struct call *call)                                                 \
    {                                                                                              \
        c_type *out = RESULT(call, c_type);                                                        \
        FOR_ROWS(call, row)                                                                        \
        {                                                                                          \
            const c_type a = ARG(call, 0, c_type, row);                                            \
            const c_type b = ARG(call, 1, c_type, row);                                            \
            const wide_type quotient = b == 0 || b == -1 ? 0 : a / b;                              \
            if (b == 0)                                                                            \
                call_raise(call, row, "division by zero");                                         \
            else                                                                                   \
                out[row] = b == -1 ? (c_type)(0 - (u_type)a) : (c_type)quotient;                   \
        }                                                                                          \
    }                                                                                              \
    static void modulo_##c_type(struct call *call)                                                 \
    {                                                                                              \
        c_type *out = RESULT(call, c_type);                                                        \
        FOR_ROWS(call, row)                                                                        \
        {                                                                                          \
            const c_type a = ARG(call, 0, c_type, row);                                            \
            const c_type b = ARG(call, 1, c_type, row);                                            \
            const wide_type remainder = b == 0 || b == -1 ? 0 : a % b;                             \
            if (b == 0)                                                                            \
                call_raise(call, row, "division by zero");                                         \
            else                                                                                   \
                out[row] = (c_type)remainder;                                                      \
        }                                                                                          \
    }
DEFINE_DIVISION(int8_t, int32_t, uint32_t)
DEFINE_DIVISION(int16_t, int32_t, uint32_t)
DEFINE_DIVISION(int32_t, int32_t, uint32_t)
DEFINE_DIVISION(int64_t, int64_t, uint64_t)

static void modulo_float(struct call *call)
{
    float *out = RESULT(call, float);
    KERNEL_LOOP(call, row, out[row] = fmodf(ARG(call, 0, float, row), ARG(call, 1, float, row)););
}

static void modulo_double(struct call *call)
{
    double *out = RESULT(call, double);
    KERNEL_LOOP(call, row, out[row] = fmod(ARG(call, 0, double, row), ARG(call, 1, double, row)););
}

/* ---- DECIMAL ---- */

typedef bool decimal_operation(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                               struct decimal_shape to, __int128 *ret_value);

static void decimal_kernel(struct call *call, decimal_operation *operation, bool divides)
{
    const unsigned scale_a = call->args[0].column->type.scale;
    const unsigned scale_b = call->args[1].column->type.scale;
    const struct decimal_shape to = {call->node->type.precision, call->node->type.scale};
    FOR_ROWS(call, row)
    {
        const __int128 a = ARG(call, 0, __int128, row);
        const __int128 b = ARG(call, 1, __int128, row);
        if (divides && b == 0)
            call_raise(call, row, "division by zero");
        else if (!operation(a, scale_a, b, scale_b, to, &RESULT(call, __int128)[row]))
            call_set_null(call, row);
    }
}

static bool decimal_plus(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                         struct decimal_shape to, __int128 *ret_value)
{
    return decimal_add(a, scale_a, b, scale_b, false, to, ret_value);
}

static bool decimal_minus(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                          struct decimal_shape to, __int128 *ret_value)
{
    return decimal_add(a, scale_a, b, scale_b, true, to, ret_value);
}

static void add_decimal(struct call *call)
{
    decimal_kernel(call, decimal_plus, false);
}

static void subtract_decimal(struct call *call)
{
    decimal_kernel(call, decimal_minus, false);
}

static void multiply_decimal(struct call *call)
{
    decimal_kernel(call, decimal_multiply, false);
}

static void divide_decimal(struct call *call)
{
    decimal_kernel(call, decimal_divide, true);
}

static void modulo_decimal(struct call *call)
{
    decimal_kernel(call, decimal_modulo, true);
}

static struct type decimal_result(char operator, struct type a, struct type b)
{
    const unsigned p1 = a.precision, s1 = a.scale, p2 = b.precision, s2 = b.scale;
    const unsigned scale = s1 > s2 ? s1 : s2;
    const unsigned digits_max = p1 - s1 > p2 - s2 ? p1 - s1 : p2 - s2;
    const unsigned digits_min = p1 - s1 < p2 - s2 ? p1 - s1 : p2 - s2;
    switch (operator) {
    case '*':
        return decimal_adjusted(p1 + p2 + 1, s1 + s2);
    case '/': {
        const unsigned quotient_scale = s1 + p2 + 1 > 6 ? s1 + p2 + 1 : 6;
        return decimal_adjusted(p1 - s1 + s2 + quotient_scale, quotient_scale);
    }
    case '%':
        return decimal_adjusted(digits_min + scale > 0 ? digits_min + scale : 1, scale);
    default:
        return decimal_adjusted(digits_max + scale + 1, scale);
    }
}

/* ---- binding ---- */

#define KERNEL_ROW(name)                                                                           \
    {                                                                                              \
        name##_int8_t, name##_int16_t, name##_int32_t, name##_int64_t, name##_float,               \
            name##_double, name##_decimal                                                          \
    }

static kernel_function *find_kernel(char operator, enum type_kind kind)
{
    static const char operators[] = "+-*/%";
    static kernel_function *const kernels[][7] = {KERNEL_ROW(add), KERNEL_ROW(subtract),
                                                  KERNEL_ROW(multiply), KERNEL_ROW(divide),
                                                  KERNEL_ROW(modulo)};
    /* TINYINT to DECIMAL are neighbours in the enumeration. */
    return kernels[strchr(operators, operator) - operators][kind - TYPE_TINYINT];
}

static bool is_interval(enum type_kind kind)
{
    return kind == TYPE_INTERVAL_MONTH || kind == TYPE_INTERVAL_SECOND;
}

static bool is_time(enum type_kind kind)
{
    return kind == TYPE_DATE || kind == TYPE_TIME || type_is_timestamp(kind);
}

static void swap_arguments(struct node *node)
{
    struct node *first = node->args[0];
    node->args[0] = node->args[1];
    node->args[1] = first;
}

/* time +- interval, time - time, interval +- interval, interval * number. */
static bool bind_time_arithmetic(struct binder *binder, struct node *node, char operator)
{
    if (operator== '+' && is_interval(node->args[0]->type.kind) &&
        is_time(node->args[1]->type.kind))
        swap_arguments(node);
    if (operator== '*' && type_is_integer(node->args[0]->type.kind))
        swap_arguments(node);
    const struct type a = node->args[0]->type;
    const struct type b = node->args[1]->type;
    const bool adds = operator== '+' || operator== '-';
    const bool subtracts = operator== '-';
    if (adds && is_time(a.kind) && is_interval(b.kind)) {
        if (a.kind == TYPE_TIME && b.kind == TYPE_INTERVAL_MONTH)
            return bind_fail(binder, node, "a TIME has no months");
        node->type = a;
        /* A day plus hours is a moment of a day. */
        if (a.kind == TYPE_DATE && b.kind == TYPE_INTERVAL_SECOND) {
            struct type timestamp = type_of_kind(TYPE_TIMESTAMP);
            if (!bind_coerce(binder, node, 0, timestamp))
                return false;
            node->type = timestamp;
        }
        node->kernel = subtracts ? subtract_interval : add_interval;
        return true;
    }
    if (subtracts && is_time(a.kind) && is_time(b.kind)) {
        struct type type;
        if (!bind_unify(binder, node, 0, 1, "the times", &type))
            return false;
        node->type = type_of_kind(TYPE_INTERVAL_SECOND);
        node->kernel = subtract_times;
        return true;
    }
    if (adds && is_interval(a.kind) && a.kind == b.kind) {
        node->type = a;
        node->kernel =
            find_kernel(operator, a.kind == TYPE_INTERVAL_MONTH ? TYPE_INT : TYPE_BIGINT);
        return true;
    }
    if (operator== '*' && is_interval(a.kind) && type_is_integer(b.kind)) {
        const enum type_kind kind = a.kind == TYPE_INTERVAL_MONTH ? TYPE_INT : TYPE_BIGINT;
        node->type = a;
        node->kernel = find_kernel('*', kind);
        return bind_coerce(binder, node, 1, type_of_kind(kind));
    }
    return bind_fail(binder, node, "%s %c %s is not defined", type_text(a), operator, type_text(b));
}

static bool bind_decimal(struct binder *binder, struct node *node, char operator)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (!bind_coerce(binder, node, i, decimal_of(node->args[i]->type)))
            return false;
    }
    node->type = decimal_result(operator, node->args[0]->type, node->args[1]->type);
    node->kernel = find_kernel(operator, TYPE_DECIMAL);
    return true;
}

static bool bind_arithmetic(struct binder *binder, struct node *node)
{
    const char operator= strcmp(node->name, "mod") == 0 ? '%' : node->name[0];
    for (uint32_t i = 0; i < 2; i++) {
        const struct type other = node->args[1 - i]->type;
        if (node->args[i]->type.kind == TYPE_NONE &&
            !bind_coerce(binder, node, i,
                         is_time(other.kind)       ? type_of_kind(TYPE_INTERVAL_SECOND)
                         : other.kind == TYPE_NONE ? type_of_kind(TYPE_INT)
                                                   : other))
            return false;
    }
    const struct type a = node->args[0]->type;
    const struct type b = node->args[1]->type;
    if (!type_is_numeric(a.kind) || !type_is_numeric(b.kind)) {
        if (is_time(a.kind) || is_time(b.kind) || is_interval(a.kind) || is_interval(b.kind))
            return bind_time_arithmetic(binder, node, operator);
        const struct node *wrong = type_is_numeric(a.kind) ? node->args[1] : node->args[0];
        const bool joins = operator== '+' && type_is_string(wrong->type.kind);
        return bind_fail(binder, wrong, "%c needs numbers, not %s%s", operator,
                         type_text(wrong->type),
                         joins                              ? ": strings are joined by ||"
                         : type_is_string(wrong->type.kind) ? ": use CAST(... AS DOUBLE)"
                                                            : "");
    }
    struct type type;
    if (!type_common(&binder->expression->arena, a, b, &type))
        return bind_fail(binder, node, "%s %c %s is not defined", type_text(a), operator,
                         type_text(b));
    if (type.kind == TYPE_DECIMAL)
        return bind_decimal(binder, node, operator);
    node->type = type;
    node->kernel = find_kernel(operator, type.kind);
    return bind_coerce(binder, node, 0, type) && bind_coerce(binder, node, 1, type);
}

/* -x as 0 - x, but for floating point, where 0 - 0 has the wrong sign, and DECIMAL. */
static void negate_number(struct call *call)
{
    switch (call->node->type.kind) {
    case TYPE_TINYINT:
        KERNEL_LOOP(call, row,
                    RESULT(call, int8_t)[row] = (int8_t)(0 - ARG(call, 0, int8_t, row)););
        return;
    case TYPE_SMALLINT:
        KERNEL_LOOP(call, row,
                    RESULT(call, int16_t)[row] = (int16_t)(0 - ARG(call, 0, int16_t, row)););
        return;
    case TYPE_INT:
    case TYPE_INTERVAL_MONTH:
        KERNEL_LOOP(call, row, RESULT(call, uint32_t)[row] = 0 - ARG(call, 0, uint32_t, row););
        return;
    case TYPE_BIGINT:
    case TYPE_INTERVAL_SECOND:
        KERNEL_LOOP(call, row, RESULT(call, uint64_t)[row] = 0 - ARG(call, 0, uint64_t, row););
        return;
    case TYPE_FLOAT:
        KERNEL_LOOP(call, row, RESULT(call, float)[row] = -ARG(call, 0, float, row););
        return;
    case TYPE_DOUBLE:
        KERNEL_LOOP(call, row, RESULT(call, double)[row] = -ARG(call, 0, double, row););
        return;
    default:
        KERNEL_LOOP(call, row, RESULT(call, __int128)[row] = -ARG(call, 0, __int128, row););
        return;
    }
}

static bool bind_negate(struct binder *binder, struct node *node)
{
    if (node->args[0]->type.kind == TYPE_NONE &&
        !bind_coerce(binder, node, 0, type_of_kind(TYPE_INT)))
        return false;
    node->type = node->args[0]->type;
    if (type_is_numeric(node->type.kind) || is_interval(node->type.kind))
        return true;
    return bind_fail(binder, node, "- needs a number or an interval, not %s",
                     type_text(node->type));
}

#define NUMBER_TEXT "common type; DECIMAL by Flink's rules"

const struct function functions_arithmetic[] = {
    {"+", "xx", 0, 0, NULL, bind_arithmetic, "a + b",
     "sum; integers wrap, DECIMAL overflow is NULL; time + interval", "1 + 2", NUMBER_TEXT},
    {"-", "xx", 0, 0, NULL, bind_arithmetic, "a - b", "difference; time - interval, time - time",
     "5 - 3", NUMBER_TEXT},
    {"*", "xx", 0, 0, NULL, bind_arithmetic, "a * b", "product; interval * integer", "2 * 3",
     NUMBER_TEXT},
    {"/", "xx", 0, FUNCTION_GIVES_NULL, NULL, bind_arithmetic, "a / b",
     "quotient, truncated for integers; by zero the row fails (DOUBLE: infinity)", "7 / 2",
     NUMBER_TEXT},
    {"%", "xx", 0, FUNCTION_GIVES_NULL, NULL, bind_arithmetic, "a % b",
     "remainder with the sign of a; by zero the row fails", "-7 % 3", NUMBER_TEXT},
    {"mod", "xx", 0, FUNCTION_GIVES_NULL, NULL, bind_arithmetic, "mod(a, b)", "a % b", "mod(7, 3)",
     NUMBER_TEXT},
    {"negate", "x", 0, 0, negate_number, bind_negate, "-a", "negated", "- (1 + 2)", "type of a"},
};
DEFINE_FAMILY_COUNT(arithmetic);
