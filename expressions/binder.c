/* Names, types, implicit casts, constant folding: see binder.h. */
#include "expressions/binder.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/nearest.h"
#include "expressions/coercion.h"
#include "expressions/column_pick.h"
#include "expressions/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

bool bind_fail(struct binder *binder, const struct node *node, const char *format, ...)
{
    if (binder->failed)
        return false;
    binder->failed = true;
    problem_set_position(binder->problem, binder->expression->text, node->start);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(binder->problem->message, sizeof(binder->problem->message), format, args);
    va_end(args);
    return false;
}

bool bind_any_nullable(const struct node *node)
{
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i]->type.nullable)
            return true;
    }
    return false;
}

const char *bind_literal_string(const struct node *node, uint32_t i, uint32_t *ret_size)
{
    if (i >= node->arg_count || node->args[i]->kind != NODE_LITERAL)
        return NULL;
    const struct column *literal = node->args[i]->literal;
    if (literal == NULL || !type_is_view(literal->type.kind) || column_is_null(literal, 0))
        return NULL;
    *ret_size = column_views(literal)[0].size;
    return string_view_bytes(literal, &column_views(literal)[0]);
}

/* ---- names ---- */

static bool fail_unknown_column(struct binder *binder, const struct node *node,
                                const struct schema *schema, const char *name)
{
    static const char *const moments[] = {"current_timestamp", "current_date",
                                          "current_time",      "localtimestamp",
                                          "localtime",         "current_row_timestamp"};
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        if (strcasecmp(moments[i], name) == 0)
            return bind_fail(binder, node,
                             "%s is not available: its value would differ when rows are processed "
                             "again after a failure; use a time column of the input",
                             name);
    }
    const char **names = allocate_array((size_t)schema->column_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < schema->column_count; i++)
        names[i] = schema->columns[i].name;
    const char *nearest = nearest_name(name, names, schema->column_count);
    if (nearest != NULL) {
        (void)bind_fail(binder, node, "unknown column \"%.80s\": did you mean \"%.80s\"?", name,
                        nearest);
    } else {
        SCOPED_TEXT_BUFFER struct text list;
        text_init(&list, 300);
        for (uint32_t i = 0; i < schema->column_count && i < 12; i++)
            text_format(&list, "%s%s", i > 0 ? ", " : "", names[i]);
        (void)bind_fail(binder, node, "unknown column \"%.80s\"; there are: %s%s", name, list.bytes,
                        schema->column_count > 12 ? ", ..." : "");
    }
    free(names);
    return false;
}

static bool bind_field_name(struct binder *binder, struct node *node, const char *name)
{
    const struct type row = node->args[0]->type;
    if (row.kind != TYPE_ROW)
        return bind_fail(binder, node,
                         "\"%.80s\" is no field: what stands before the dot is %s, not ROW", name,
                         type_text(row));
    const char **names = allocate_array((size_t)row.child_count + 1, sizeof(char *));
    for (uint32_t i = 0; i < row.child_count; i++) {
        names[i] = row.children[i].name;
        if (strcmp(names[i], name) != 0)
            continue;
        free(names);
        node->index = i;
        node->type = row.children[i].type;
        node->type.nullable |= row.nullable;
        return true;
    }
    const char *nearest = nearest_name(name, names, row.child_count);
    (void)bind_fail(binder, node, "unknown field \"%.80s\" of %.200s%s%.80s%s", name,
                    type_text(row), nearest != NULL ? ": did you mean \"" : "",
                    nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
    free(names);
    return false;
}

static bool bind_name(struct binder *binder, struct node **slot)
{
    struct expression *expression = binder->expression;
    struct node *node = *slot;
    const struct schema *schema = expression->schema;
    uint32_t part = 0;
    uint32_t shift = 0;
    if (expression->row_prefix != NULL && node->part_count > 1 &&
        strcmp(node->parts[0], expression->row_prefix) == 0) {
        shift = schema->column_count;
        schema = expression->prefix_schema;
        part = 1;
    }
    const int32_t index = schema_find(schema, node->parts[part]);
    if (index < 0)
        return fail_unknown_column(binder, node, schema, node->parts[part]);
    const char **parts = node->parts;
    const uint32_t part_count = node->part_count;
    node->kind = NODE_COLUMN;
    node->index = (uint32_t)index + shift;
    node->type = schema->columns[index].type;
    for (uint32_t i = part + 1; i < part_count; i++) {
        struct node *field = node_create(expression, NODE_FIELD, node->start);
        field->end = node->end;
        node_add_arg(expression, field, *slot);
        if (!bind_field_name(binder, field, parts[i]))
            return false;
        *slot = field;
    }
    return true;
}

/* ---- folding ---- */

static void make_literal(struct node *node, struct column *literal)
{
    node->kind = NODE_LITERAL;
    node->literal = literal;
    node->type.nullable = column_is_null(literal, 0);
    node->is_constant = true;
}

static void unref_column(void *column)
{
    column_unref(column);
}

static void fold(struct binder *binder, struct node *node)
{
    struct expression *expression = binder->expression;
    if (node->kind == NODE_LITERAL || node->kind == NODE_COLUMN || expression->keeps_literals_wide)
        return;
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (node->args[i]->kind != NODE_LITERAL || node->args[i]->type.kind == TYPE_NONE)
            return;
    }
    if (node->kind == NODE_SLOT) {
        if (node->let->args[0]->kind == NODE_LITERAL && node->type.kind != TYPE_NONE)
            make_literal(node, node->let->args[0]->literal);
        return;
    }
    struct column *value = node->kind == NODE_LET ? column_ref(node->args[1]->literal)
                                                  : expression_fold(expression, node);
    if (value == NULL)
        return; /* it fails: the rows that need it say so */
    expression_own(expression, value, unref_column);
    make_literal(node, value);
}

/* ---- coercion ---- */

static struct node *null_literal(struct binder *binder, const struct node *at, struct type type)
{
    type.nullable = true;
    struct node *node = node_create(binder->expression, NODE_LITERAL, at->start);
    node->end = at->end;
    node->type = type;
    node->is_bound = true;
    node->literal = column_create_null(type, 1);
    expression_own(binder->expression, node->literal, unref_column);
    make_literal(node, node->literal);
    return node;
}

bool bind_coerce(struct binder *binder, struct node *node, uint32_t i, struct type type)
{
    struct node *arg = node->args[i];
    if (arg->type.kind == TYPE_NONE) {
        node->args[i] = null_literal(binder, arg, type);
        return true;
    }
    if (type_equals(arg->type, type, false) ||
        (type_is_string(arg->type.kind) && type.kind == TYPE_STRING))
        return true;
    kernel_function *kernel = cast_kernel(arg->type, type);
    if (kernel == NULL)
        return bind_fail(binder, arg, "%s is no %s and cannot be cast to it", type_text(arg->type),
                         type_text(type));
    struct node *cast = node_create(binder->expression, NODE_CAST, arg->start);
    cast->end = arg->end;
    cast->name = "cast";
    cast->is_implicit = true;
    cast->is_bound = true;
    node_add_arg(binder->expression, cast, arg);
    cast->type = type;
    cast->type.nullable = arg->type.nullable;
    cast->kernel = kernel;
    fold(binder, cast);
    node->args[i] = cast;
    return true;
}

bool bind_unify(struct binder *binder, struct node *node, uint32_t first, uint32_t step,
                const char *what, struct type *ret_type)
{
    struct type type = node->args[first]->type;
    bool is_nullable = false;
    for (uint32_t i = first; i < node->arg_count; i += step) {
        const struct type next = node->args[i]->type;
        is_nullable |= next.nullable || next.kind == TYPE_NONE;
        if (!type_common(&binder->expression->arena, type, next, &type))
            return bind_fail(binder, node->args[i], "%s have no common type: %s and %s (use CAST)",
                             what, type_text(type), type_text(next));
    }
    if (type.kind == TYPE_NONE)
        return bind_fail(binder, node,
                         "the type of NULL is not known here: write CAST(NULL AS type)");
    for (uint32_t i = first; i < node->arg_count; i += step) {
        if (!bind_coerce(binder, node, i, type))
            return false;
    }
    type.nullable = is_nullable;
    *ret_type = type;
    return true;
}

/* ---- kinds of nodes ---- */

static bool need_boolean(struct binder *binder, struct node *node, uint32_t i, const char *where)
{
    const struct type type = node->args[i]->type;
    if (type.kind == TYPE_BOOLEAN || type.kind == TYPE_NONE)
        return bind_coerce(binder, node, i, type_of_kind(TYPE_BOOLEAN));
    return bind_fail(binder, node->args[i], "%s needs BOOLEAN, not %s", where, type_text(type));
}

static bool bind_chain(struct binder *binder, struct node *node)
{
    for (uint32_t i = 0; i < node->arg_count; i++) {
        if (!need_boolean(binder, node, i, node->kind == NODE_AND ? "AND" : "OR"))
            return false;
    }
    node->type = type_of_kind(TYPE_BOOLEAN);
    node->type.nullable = bind_any_nullable(node);
    return true;
}

static bool bind_case(struct binder *binder, struct node *node)
{
    const bool has_else = node->arg_count % 2 == 1;
    if (has_else) { /* so that every second argument, counted from 1, is a value */
        node_add_arg(binder->expression, node, node->args[node->arg_count - 1]);
    }
    for (uint32_t i = 0; i + (has_else ? 2 : 0) < node->arg_count; i += 2) {
        if (!need_boolean(binder, node, i, "a condition"))
            return false;
    }
    if (!bind_unify(binder, node, 1, 2, "the results of CASE", &node->type))
        return false;
    if (has_else) {
        node->args[node->arg_count - 2] = node->args[node->arg_count - 1];
        node->arg_count--;
    } else {
        node->type.nullable = true;
    }
    return true;
}

static bool bind_coalesce(struct binder *binder, struct node *node)
{
    if (!bind_unify(binder, node, 0, 1, "the arguments of COALESCE", &node->type))
        return false;
    node->type.nullable = true;
    for (uint32_t i = 0; i < node->arg_count; i++)
        node->type.nullable &= node->args[i]->type.nullable;
    return true;
}

static bool bind_cast(struct binder *binder, struct node *node)
{
    struct type type = node->type;
    const struct type from = node->args[0]->type;
    if (from.kind == TYPE_NONE) {
        make_literal(node, null_literal(binder, node, type)->literal);
        node->arg_count = 0;
        return true;
    }
    type.nullable = from.nullable || node->is_try;
    node->type = type;
    node->kernel = cast_kernel(from, type);
    if (node->kernel == NULL)
        return bind_fail(binder, node, "there is no cast from %s to %s", type_text(from),
                         type_text(type));
    return true;
}

static bool bind_let(struct binder *binder, struct node *node)
{
    node->index = binder->expression->let_depth++;
    if (node->index >= EXPRESSION_DEPTH_MAX)
        return bind_fail(binder, node, "nested more than %d levels deep", EXPRESSION_DEPTH_MAX);
    const bool ok = bind_node(binder, &node->args[1]);
    binder->expression->let_depth--;
    if (!ok)
        return false;
    node->type = node->args[1]->type;
    /* Slots of NULL have become NULLs of the types they need; the value itself is not read. */
    return node->args[0]->type.kind != TYPE_NONE ||
           bind_coerce(binder, node, 0, type_of_kind(TYPE_BOOLEAN));
}

static bool bind_kind(struct binder *binder, struct node **slot)
{
    struct node *node = *slot;
    switch (node->kind) {
    case NODE_LITERAL:
        node->is_constant = true;
        return true;
    case NODE_NAME:
        return bind_name(binder, slot);
    case NODE_COLUMN:
        return true;
    case NODE_FIELD:
        return bind_field_name(binder, node, node->name);
    case NODE_CALL:
        return bind_call(binder, node);
    case NODE_CAST:
        return bind_cast(binder, node);
    case NODE_AND:
    case NODE_OR:
        return bind_chain(binder, node);
    case NODE_CASE:
        return bind_case(binder, node);
    case NODE_COALESCE:
        return bind_coalesce(binder, node);
    case NODE_LET:
        return bind_let(binder, node);
    case NODE_SLOT:
        node->type = node->let->args[0]->type;
        return true;
    }
    UNREACHABLE();
}

bool bind_node(struct binder *binder, struct node **slot)
{
    struct node *node = *slot;
    if (node->is_bound)
        return true;
    node->is_bound = true;
    const uint32_t before = node->kind == NODE_LET ? 1 : node->arg_count;
    for (uint32_t i = 0; i < before; i++) {
        if (!bind_node(binder, &node->args[i]))
            return false;
    }
    if (!bind_kind(binder, slot))
        return false;
    fold(binder, *slot);
    return true;
}
