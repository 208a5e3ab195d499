/* AND, OR, NOT, IS ..., and the conditional forms, most of which the evaluator does itself. */
#include "expressions/binder.h"
#include "expressions/function.h"

static void not_kernel(struct call *call)
{
    uint8_t *out = RESULT(call, uint8_t);
    KERNEL_LOOP(call, row, out[row] = !ARG(call, 0, uint8_t, row););
}

static void is_null(struct call *call)
{
    uint8_t *out = RESULT(call, uint8_t);
    KERNEL_LOOP(call, row, out[row] = arg_is_null(call, 0, row););
}

static void is_not_null(struct call *call)
{
    uint8_t *out = RESULT(call, uint8_t);
    KERNEL_LOOP(call, row, out[row] = !arg_is_null(call, 0, row););
}

static void is_true(struct call *call)
{
    uint8_t *out = RESULT(call, uint8_t);
    KERNEL_LOOP(call, row,
                out[row] = !arg_is_null(call, 0, row) && ARG(call, 0, uint8_t, row) != 0;);
}

static void is_false(struct call *call)
{
    uint8_t *out = RESULT(call, uint8_t);
    KERNEL_LOOP(call, row,
                out[row] = !arg_is_null(call, 0, row) && ARG(call, 0, uint8_t, row) == 0;);
}

/* NULL alone has no type; the kernel needs a column. */
static bool bind_null_test(struct binder *binder, struct node *node)
{
    return node->args[0]->type.kind != TYPE_NONE ||
           bind_coerce(binder, node, 0, type_of_kind(TYPE_BOOLEAN));
}

#define TEST_FLAGS (FUNCTION_SEES_NULL | FUNCTION_NOT_NULL)

const struct function functions_logic[] = {
    {"and", NULL, 'b', FUNCTION_SYNTAX, NULL, NULL, "a AND b",
     "three-valued; b is not computed for rows in which a is false", "TRUE AND NOT FALSE",
     "BOOLEAN"},
    {"or", NULL, 'b', FUNCTION_SYNTAX, NULL, NULL, "a OR b",
     "three-valued; b is not computed for rows in which a is true", "FALSE OR TRUE", "BOOLEAN"},
    {"not", "b", 'b', FUNCTION_ANY_VALUE, not_kernel, NULL, "NOT a", "NULL stays NULL", "NOT FALSE",
     "BOOLEAN"},
    {"is null", "x", 'b', TEST_FLAGS, is_null, bind_null_test, "a IS NULL", "never NULL",
     "NULL IS NULL", "BOOLEAN"},
    {"is not null", "x", 'b', TEST_FLAGS, is_not_null, bind_null_test, "a IS NOT NULL",
     "never NULL", "1 IS NOT NULL", "BOOLEAN"},
    {"is true", "b", 'b', TEST_FLAGS, is_true, NULL, "a IS [NOT] TRUE", "never NULL",
     "TRUE IS TRUE", "BOOLEAN"},
    {"is false", "b", 'b', TEST_FLAGS, is_false, NULL, "a IS [NOT] FALSE", "never NULL",
     "FALSE IS FALSE", "BOOLEAN"},
    {"is unknown", "b", 'b', TEST_FLAGS, is_null, NULL, "a IS [NOT] UNKNOWN",
     "IS NULL of a BOOLEAN", "CAST(NULL AS BOOLEAN) IS UNKNOWN", "BOOLEAN"},
    {"case", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "CASE [a] WHEN b THEN c ... [ELSE d] END",
     "the first result whose condition is true (or b equals a); others are not computed",
     "CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", "common type"},
    {"if", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "if(condition, then, else)",
     "a CASE of one condition", "if(1 < 2, 'yes', 'no')", "common type"},
    {"coalesce", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "coalesce(a, b, ...)",
     "the first argument that is not NULL; later ones are not computed", "coalesce(NULL, 2)",
     "common type"},
    {"ifnull", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "ifnull(a, b)", "coalesce of two",
     "ifnull(NULL, 2)", "common type"},
    {"nullif", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "nullif(a, b)", "NULL if a = b, else a",
     "nullif(1, 2)", "type of a"},
    {"cast", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "CAST(a AS type)",
     "fails for a text that is no such value; DECIMAL overflow is NULL, integers wrap",
     "CAST('12' AS INT)", "type"},
    {"try_cast", NULL, 0, FUNCTION_SYNTAX, NULL, NULL, "TRY_CAST(a AS type)",
     "CAST that gives NULL instead of failing", "TRY_CAST('12' AS INT)", "type"},
};
DEFINE_FAMILY_COUNT(logic);
