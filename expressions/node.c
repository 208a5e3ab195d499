/* Nodes and what an expression owns: see node.h. */
#include "expressions/node.h"

#include "common/base/allocate.h"

struct node *node_create(struct expression *expression, enum node_kind kind, uint32_t start)
{
    struct node *node = node_arena_allocate(&expression->arena, sizeof(*node));
    node->kind = kind;
    node->start = start;
    node->end = start;
    node->depth = 1;
    return node;
}

void node_add_arg(struct expression *expression, struct node *node, struct node *arg)
{
    if (node->arg_count == node->arg_capacity) {
        node->arg_capacity = node->arg_capacity == 0 ? 2 : node->arg_capacity * 2;
        struct node **args =
            node_arena_allocate(&expression->arena, node->arg_capacity * sizeof(struct node *));
        if (node->arg_count > 0)
            memcpy(args, node->args, node->arg_count * sizeof(struct node *));
        node->args = args;
    }
    node->args[node->arg_count++] = arg;
    if (arg->depth + 1 > node->depth)
        node->depth = arg->depth + 1;
    if (arg->end > node->end)
        node->end = arg->end;
}

void expression_own(struct expression *expression, void *object, void (*release)(void *object))
{
    struct owned *owned = node_arena_allocate(&expression->arena, sizeof(*owned));
    owned->object = object;
    owned->release = release;
    owned->next = expression->owned;
    expression->owned = owned;
}

static void unref_column(void *column)
{
    column_unref(column);
}

struct node *node_create_literal(struct expression *expression, struct type type, uint32_t start)
{
    struct node *node = node_create(expression, NODE_LITERAL, start);
    node->type = type;
    node->literal = column_create(type, 1);
    expression_own(expression, node->literal, unref_column);
    return node;
}

struct node *node_create_string(struct expression *expression, const char *bytes, size_t size,
                                uint32_t start)
{
    struct type type = type_of_kind(TYPE_STRING);
    type.nullable = false;
    struct node *node = node_create_literal(expression, type, start);
    if (size <= STRING_VIEW_INLINE) {
        column_views(node->literal)[0] = string_view_inline(bytes, (uint32_t)size);
    } else {
        struct buffer *buffer = buffer_create(NULL, (uint32_t)size);
        memcpy(buffer->bytes, bytes, size);
        buffer->size = (uint32_t)size;
        const uint32_t index = column_add_buffer(node->literal, buffer);
        column_views(node->literal)[0] = string_view_make(buffer, index, 0, (uint32_t)size);
        buffer_unref(buffer);
    }
    return node;
}
