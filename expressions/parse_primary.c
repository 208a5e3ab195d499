/* Literals, names, calls, CASE, constructors and what may follow them: .field and [index]. */
#include "expressions/parser.h"

#include <string.h>
#include <strings.h>

static struct node *parse_parenthesis(struct parser *parser)
{
    const uint32_t start = parser->token.start;
    if (!parser_need_symbol(parser, "("))
        return NULL;
    struct node *node = parse_expression(parser);
    if (node == NULL || !parser_need_symbol(parser, ")"))
        return NULL;
    node->start = start;
    node->end = parser->last_end;
    return node;
}

static struct node *parse_when_list(struct parser *parser, struct node *let, uint32_t start)
{
    struct expression *expression = parser->expression;
    struct node *node = node_create(expression, NODE_CASE, start);
    if (!parser_at_word(parser, "WHEN")) {
        (void)parser_expected(parser, "WHEN");
        return NULL;
    }
    while (parser_take_word(parser, "WHEN")) {
        struct node *when = parse_expression(parser);
        if (when == NULL || !parser_need_word(parser, "THEN"))
            return NULL;
        if (let != NULL) {
            struct node *slot = node_create(expression, NODE_SLOT, let->args[0]->start);
            slot->end = let->args[0]->end;
            slot->let = let;
            when = parser_call(parser, "=", when->start, slot, when);
        }
        struct node *then = parse_expression(parser);
        if (then == NULL)
            return NULL;
        node_add_arg(expression, node, when);
        node_add_arg(expression, node, then);
    }
    if (parser_take_word(parser, "ELSE")) {
        struct node *otherwise = parse_expression(parser);
        if (otherwise == NULL)
            return NULL;
        node_add_arg(expression, node, otherwise);
    }
    if (!parser_need_word(parser, "END"))
        return NULL;
    node->end = parser->last_end;
    return node;
}

static struct node *parse_case(struct parser *parser)
{
    const uint32_t start = parser->token.start;
    if (!parser_need_word(parser, "CASE"))
        return NULL;
    if (parser_at_word(parser, "WHEN"))
        return parse_when_list(parser, NULL, start);
    struct node *operand = parse_expression(parser);
    if (operand == NULL)
        return NULL;
    struct node *let = node_create(parser->expression, NODE_LET, start);
    node_add_arg(parser->expression, let, operand);
    struct node *body = parse_when_list(parser, let, start);
    if (body == NULL)
        return NULL;
    node_add_arg(parser->expression, let, body);
    let->end = parser->last_end;
    return let;
}

/* Arguments up to the closing symbol; the opening one has been read. */
static bool parse_arguments(struct parser *parser, struct node *call, const char *close)
{
    if (!parser_at_symbol(parser, close)) {
        do {
            struct node *arg = parse_expression(parser);
            if (arg == NULL)
                return false;
            node_add_arg(parser->expression, call, arg);
        } while (parser_take_symbol(parser, ","));
    }
    if (parser->failed || !parser_need_symbol(parser, close))
        return false;
    call->end = parser->last_end;
    return true;
}

static struct node *parse_call(struct parser *parser, const char *written, uint32_t start)
{
    const size_t size = strlen(written);
    char *name = node_arena_copy_text(&parser->expression->arena, written, size);
    for (size_t i = 0; i < size; i++)
        name[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    if (!parser_need_symbol(parser, "("))
        return NULL;
    struct node *call = parse_special_call(parser, name, start);
    if (call != NULL || parser->failed)
        return call;
    call = parser_call(parser, name, start, NULL, NULL);
    if (parser_at_symbol(parser, "*") && token_is_symbol(parser, parser_peek(parser), ")")) {
        call->is_star = true;
        (void)parser_advance(parser);
    } else if (parser_at_word(parser, "DISTINCT")) {
        call->is_distinct = parser_advance(parser);
    }
    return parse_arguments(parser, call, ")") ? call : NULL;
}

static struct node *parse_constructor(struct parser *parser, const char *name, const char *open,
                                      const char *close)
{
    struct node *call = parser_call(parser, name, parser->token.start, NULL, NULL);
    if (!parser_advance(parser) || !parser_need_symbol(parser, open))
        return NULL;
    return parse_arguments(parser, call, close) ? call : NULL;
}

static struct node *parse_name_or_call(struct parser *parser)
{
    struct expression *expression = parser->expression;
    const uint32_t start = parser->token.start;
    const bool is_word = parser->token.kind == TOKEN_WORD;
    const char *name = parser_name(parser, "an expression");
    if (name == NULL)
        return NULL;
    if (is_word && parser_at_symbol(parser, "("))
        return parse_call(parser, name, start);
    struct node *node = node_create(expression, NODE_NAME, start);
    const char *parts[EXPRESSION_DEPTH_MAX];
    uint32_t count = 0;
    parts[count++] = name;
    while (count < EXPRESSION_DEPTH_MAX && parser_take_symbol(parser, ".")) {
        name = parser_name(parser, "a name behind the dot");
        if (name == NULL)
            return NULL;
        parts[count++] = name;
    }
    node->parts = node_arena_allocate(&expression->arena, count * sizeof(*parts));
    memcpy(node->parts, parts, count * sizeof(*parts));
    node->part_count = count;
    node->end = parser->last_end;
    return parser->failed ? NULL : node;
}

static struct node *parse_boolean_or_null(struct parser *parser)
{
    struct node *node = NULL;
    if (parser_at_word(parser, "TRUE") || parser_at_word(parser, "FALSE")) {
        struct type type = type_of_kind(TYPE_BOOLEAN);
        type.nullable = false;
        node = node_create_literal(parser->expression, type, parser->token.start);
        *(uint8_t *)node->literal->values = parser_at_word(parser, "TRUE");
    } else {
        node = node_create(parser->expression, NODE_LITERAL, parser->token.start);
        node->type.nullable = true;
    }
    if (!parser_advance(parser))
        return NULL;
    node->end = parser->last_end;
    return node;
}

static struct node *parse_string(struct parser *parser)
{
    char *bytes = node_arena_allocate(&parser->expression->arena, parser->token.size);
    const size_t size = lexer_unquote(parser->text, parser->token, bytes);
    struct node *node = node_create_string(parser->expression, bytes, size, parser->token.start);
    if (!parser_advance(parser))
        return NULL;
    node->end = parser->last_end;
    return node;
}

static struct node *parse_simple(struct parser *parser)
{
    switch (parser->token.kind) {
    case TOKEN_NUMBER:
        return parse_number(parser);
    case TOKEN_STRING:
        return parse_string(parser);
    case TOKEN_QUOTED:
        return parse_name_or_call(parser);
    case TOKEN_WORD:
        break;
    case TOKEN_SYMBOL:
        if (parser_at_symbol(parser, "("))
            return parse_parenthesis(parser);
        (void)parser_expected(parser, "an expression");
        return NULL;
    case TOKEN_END:
        (void)parser_expected(parser, "an expression");
        return NULL;
    }
    if (parser_at_word(parser, "CASE"))
        return parse_case(parser);
    if (parser_at_word(parser, "TRUE") || parser_at_word(parser, "FALSE") ||
        parser_at_word(parser, "NULL"))
        return parse_boolean_or_null(parser);
    const struct token after = parser_peek(parser);
    if (parser_at_word(parser, "ARRAY") && token_is_symbol(parser, after, "["))
        return parse_constructor(parser, "array", "[", "]");
    if (parser_at_word(parser, "MAP") && token_is_symbol(parser, after, "["))
        return parse_constructor(parser, "map", "[", "]");
    if (parser_at_word(parser, "ROW") && token_is_symbol(parser, after, "("))
        return parse_constructor(parser, "row", "(", ")");
    struct node *literal = parse_typed_literal(parser);
    if (literal != NULL || parser->failed)
        return literal;
    return parse_name_or_call(parser);
}

struct node *parse_primary(struct parser *parser)
{
    if (!parser_enter(parser))
        return NULL;
    struct expression *expression = parser->expression;
    struct node *node = parse_simple(parser);
    while (node != NULL && !parser->failed) {
        if (parser_take_symbol(parser, "[")) {
            struct node *index = parse_expression(parser);
            if (index == NULL || !parser_need_symbol(parser, "]"))
                return NULL;
            node = parser_call(parser, "item", node->start, node, index);
        } else if (parser_take_symbol(parser, ".")) {
            struct node *field = node_create(expression, NODE_FIELD, node->start);
            field->name = parser_name(parser, "the name of a field");
            if (field->name == NULL)
                return NULL;
            node_add_arg(expression, field, node);
            field->end = parser->last_end;
            node = field;
        } else {
            break;
        }
        if (node->depth > NODE_DEPTH_MAX)
            (void)parser_fail(parser, node->start, "more than %d accesses in a chain",
                              NODE_DEPTH_MAX);
    }
    parser_leave(parser);
    return parser->failed ? NULL : node;
}
