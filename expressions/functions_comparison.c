/* =, <>, <, <=, >, >=, IS DISTINCT FROM, IN, GREATEST, LEAST. */
#include "expressions/binder.h"
#include "expressions/compare_value.h"
#include "expressions/function.h"

enum comparison { COMPARE_EQ, COMPARE_NE, COMPARE_LT, COMPARE_LE, COMPARE_GT, COMPARE_GE };
#define COMPARISON_COUNT 6

#define DEFINE_COMPARE(name, c_type, op)                                                           \
    static void compare_##name(struct call *call)                                                  \
    {                                                                                              \
        uint8_t *out = RESULT(call, uint8_t);                                                      \
        KERNEL_LOOP(call, row,                                                                     \
                    out[row] = ARG(call, 0, c_type, row) op ARG(call, 1, c_type, row););           \
    }
#define DEFINE_COMPARES(name, c_type)                                                              \
    DEFINE_COMPARE(name##_eq, c_type, ==)                                                          \
    DEFINE_COMPARE(name##_ne, c_type, !=)                                                          \
    DEFINE_COMPARE(name##_lt, c_type, <)                                                           \
    DEFINE_COMPARE(name##_le, c_type, <=)                                                          \
    DEFINE_COMPARE(name##_gt, c_type, >)                                                           \
    DEFINE_COMPARE(name##_ge, c_type, >=)

DEFINE_COMPARES(u8, uint8_t)
DEFINE_COMPARES(i8, int8_t)
DEFINE_COMPARES(i16, int16_t)
DEFINE_COMPARES(i32, int32_t)
DEFINE_COMPARES(i64, int64_t)
DEFINE_COMPARES(f32, float)
DEFINE_COMPARES(f64, double)
DEFINE_COMPARES(i128, __int128)

/* Strings and nested values through one three-way comparison. */
#define DEFINE_ORDER(name, op)                                                                     \
    static void compare_any_##name(struct call *call)                                              \
    {                                                                                              \
        uint8_t *out = RESULT(call, uint8_t);                                                      \
        const struct column *a = call->args[0].column;                                             \
        const struct column *b = call->args[1].column;                                             \
        KERNEL_LOOP(call, row,                                                                     \
                    out[row] =                                                                     \
                        compare_values(a, arg_row(call, 0, row), b, arg_row(call, 1, row)) op 0;); \
    }
DEFINE_ORDER(eq, ==)
DEFINE_ORDER(ne, !=)
DEFINE_ORDER(lt, <)
DEFINE_ORDER(le, <=)
DEFINE_ORDER(gt, >)
DEFINE_ORDER(ge, >=)

static void compare_view_equality(struct call *call, uint8_t equal)
{
    uint8_t *out = RESULT(call, uint8_t);
    const struct column *a = call->args[0].column;
    const struct column *b = call->args[1].column;
    const struct string_view *x = column_views(a);
    const struct string_view *y = column_views(b);
    KERNEL_LOOP(call, row,
                out[row] = views_equal(a, &x[arg_row(call, 0, row)], b, &y[arg_row(call, 1, row)])
                               ? equal
                               : !equal;);
}

static void compare_view_eq(struct call *call)
{
    compare_view_equality(call, 1);
}

static void compare_view_ne(struct call *call)
{
    compare_view_equality(call, 0);
}

#define KERNELS(name)                                                                              \
    {                                                                                              \
        compare_##name##_eq, compare_##name##_ne, compare_##name##_lt, compare_##name##_le,        \
            compare_##name##_gt, compare_##name##_ge                                               \
    }

static kernel_function *find_kernel(enum type_kind kind, enum comparison comparison)
{
    static kernel_function *const u8[] = KERNELS(u8);
    static kernel_function *const i8[] = KERNELS(i8);
    static kernel_function *const i16[] = KERNELS(i16);
    static kernel_function *const i32[] = KERNELS(i32);
    static kernel_function *const i64[] = KERNELS(i64);
    static kernel_function *const f32[] = KERNELS(f32);
    static kernel_function *const f64[] = KERNELS(f64);
    static kernel_function *const i128[] = KERNELS(i128);
    static kernel_function *const any[] = KERNELS(any);
    if (type_is_view(kind) && comparison == COMPARE_EQ)
        return compare_view_eq;
    if (type_is_view(kind) && comparison == COMPARE_NE)
        return compare_view_ne;
    switch (type_value_size(kind)) {
    case 1:
        return kind == TYPE_BOOLEAN ? u8[comparison] : i8[comparison];
    case 2:
        return i16[comparison];
    case 4:
        return kind == TYPE_FLOAT ? f32[comparison] : i32[comparison];
    case 8:
        return kind == TYPE_DOUBLE ? f64[comparison] : i64[comparison];
    case 16:
        return kind == TYPE_DECIMAL ? i128[comparison] : any[comparison];
    default:
        return any[comparison];
    }
}

static bool is_time(enum type_kind kind)
{
    return kind == TYPE_DATE || kind == TYPE_TIME || type_is_timestamp(kind);
}

/* A string beside a time is read as one, as in Flink. */
static bool cast_text_to_time(struct binder *binder, struct node *node)
{
    for (uint32_t i = 0; i < node->arg_count; i++) {
        const struct type other = node->args[1 - (i & 1)]->type;
        if (type_is_string(node->args[i]->type.kind) && is_time(other.kind)) {
            struct type wanted = other;
            if (type_is_timestamp(wanted.kind) && wanted.precision < 6)
                wanted.precision = 6;
            return bind_coerce(binder, node, i, wanted);
        }
    }
    return true;
}

static bool bind_operands(struct binder *binder, struct node *node, struct type *ret_type)
{
    if (node->arg_count == 2 && !cast_text_to_time(binder, node))
        return false;
    if (!bind_unify(binder, node, 0, 1, "the values compared", ret_type))
        return false;
    if (!type_is_comparable(ret_type->kind == TYPE_NONE ? node->args[0]->type : *ret_type))
        return bind_fail(binder, node, "values of type %s cannot be compared",
                         type_text(*ret_type));
    return true;
}

static bool bind_comparison(struct binder *binder, struct node *node)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    struct type type;
    if (!bind_operands(binder, node, &type))
        return false;
    for (unsigned i = 0; i < COMPARISON_COUNT; i++) {
        if (strcmp(node->name, names[i]) == 0)
            node->kernel = find_kernel(type.kind, (enum comparison)i);
    }
    return true;
}

static bool bind_same_type(struct binder *binder, struct node *node)
{
    struct type type;
    return bind_operands(binder, node, &type);
}

static void distinct_from(struct call *call, uint8_t distinct)
{
    uint8_t *out = RESULT(call, uint8_t);
    FOR_ROWS(call, row)
    {
        const bool null_a = arg_is_null(call, 0, row);
        const bool null_b = arg_is_null(call, 1, row);
        bool equal = null_a && null_b;
        if (!null_a && !null_b)
            equal = compare_values(call->args[0].column, arg_row(call, 0, row),
                                   call->args[1].column, arg_row(call, 1, row)) == 0;
        out[row] = equal ? !distinct : distinct;
    }
}

static void is_distinct_from(struct call *call)
{
    distinct_from(call, 1);
}

static void is_not_distinct_from(struct call *call)
{
    distinct_from(call, 0);
}

static void in_list_row(struct call *call, uint32_t row)
{
    bool has_null = false;
    RESULT(call, uint8_t)[row] = 0;
    for (uint32_t i = 1; i < call->arg_count; i++) {
        if (arg_is_null(call, i, row)) {
            has_null = true;
        } else if (compare_values(call->args[0].column, arg_row(call, 0, row), call->args[i].column,
                                  arg_row(call, i, row)) == 0) {
            RESULT(call, uint8_t)[row] = 1;
            return;
        }
    }
    if (has_null)
        call_set_null(call, row);
}

static void in_list(struct call *call)
{
    FOR_ROWS(call, row)
    {
        if (arg_is_null(call, 0, row))
            call_set_null(call, row);
        else
            in_list_row(call, row);
    }
}

/* The argument that is largest (sign 1) or smallest (-1) as an index. */
static void pick_extreme(struct call *call, int sign)
{
    struct column *result = call->result;
    const bool is_view = type_is_view(result->type.kind);
    uint32_t *shifts = scratch_take_rows(call->scratch);
    for (uint32_t i = 0; is_view && i < call->arg_count; i++)
        shifts[i] = column_share_buffers(result, call->args[i].column);
    const size_t size = type_value_size(result->type.kind);
    FOR_ROWS(call, row)
    {
        uint32_t best = 0;
        for (uint32_t i = 1; i < call->arg_count; i++) {
            const int order = compare_values(call->args[i].column, arg_row(call, i, row),
                                             call->args[best].column, arg_row(call, best, row));
            if (order != 0 && (order > 0) == (sign > 0))
                best = i;
        }
        const uint32_t from = arg_row(call, best, row);
        memcpy((char *)result->values + row * size,
               (const char *)call->args[best].column->values + from * size, size);
        if (is_view && column_views(result)[row].size > STRING_VIEW_INLINE)
            column_views(result)[row].ref.buffer += shifts[best];
    }
    scratch_give_rows(call->scratch, shifts);
}

static void greatest(struct call *call)
{
    pick_extreme(call, 1);
}

static void least(struct call *call)
{
    pick_extreme(call, -1);
}

static bool bind_extreme(struct binder *binder, struct node *node)
{
    if (node->arg_count > 1000)
        return bind_fail(binder, node, "%s takes at most 1000 arguments", node->name);
    if (!bind_operands(binder, node, &node->type))
        return false;
    if (type_value_size(node->type.kind) == 0)
        return bind_fail(binder, node, "%s does not take %s", node->name, type_text(node->type));
    return true;
}

#define COMPARISON(symbol, text, sample, value)                                                    \
    {                                                                                              \
        symbol, "xx", 'b', 0, NULL, bind_comparison, "a " symbol " b", text, sample, value         \
    }

const struct function functions_comparison[] = {
    COMPARISON("=", "equal; NULL if one is NULL", "1 = 1.0", "BOOLEAN"),
    COMPARISON("<>", "not equal; also written !=", "'a' <> 'b'", "BOOLEAN"),
    COMPARISON("<", "less", "1 < 2", "BOOLEAN"),
    COMPARISON("<=", "less or equal", "2 <= 2", "BOOLEAN"),
    COMPARISON(">", "greater", "DATE '2024-02-01' > DATE '2024-01-31'", "BOOLEAN"),
    COMPARISON(">=", "greater or equal", "'b' >= 'a'", "BOOLEAN"),
    {"is distinct from", "xx", 'b', FUNCTION_SEES_NULL | FUNCTION_NOT_NULL, is_distinct_from,
     bind_same_type, "a IS DISTINCT FROM b", "unequal, where NULL equals NULL only",
     "NULL IS DISTINCT FROM 1", "BOOLEAN"},
    {"is not distinct from", "xx", 'b', FUNCTION_SEES_NULL | FUNCTION_NOT_NULL,
     is_not_distinct_from, bind_same_type, "a IS NOT DISTINCT FROM b",
     "equal, where NULL equals NULL", "1 IS NOT DISTINCT FROM 1", "BOOLEAN"},
    {"between", NULL, 'b', FUNCTION_SYNTAX, NULL, NULL, "a [NOT] BETWEEN low AND high",
     "low <= a AND a <= high; a is computed once", "2 BETWEEN 1 AND 3", "BOOLEAN"},
    {"in", "xx*", 'b', FUNCTION_SEES_NULL, in_list, bind_same_type, "a [NOT] IN (b, ...)",
     "equal to one of the list; NULL if none is and one is NULL", "'b' IN ('a', 'b')", "BOOLEAN"},
    {"greatest", "x*", 0, 0, greatest, bind_extreme, "greatest(a, b, ...)",
     "the largest argument; NULL if one is NULL", "greatest(1, 3, 2)", "common type"},
    {"least", "x*", 0, 0, least, bind_extreme, "least(a, b, ...)",
     "the smallest argument; NULL if one is NULL", "least(1, 3, 2)", "common type"},
};
DEFINE_FAMILY_COUNT(comparison);
