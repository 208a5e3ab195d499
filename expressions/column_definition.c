/* The text behind a column's name in CREATE TABLE: see expression.h. */
#include "common/base/allocate.h"
#include "expressions/parser.h"

/* Types parsed live in an arena that goes with the parser: the definition owns copies. */
static const struct type_field *copy_children(struct type type)
{
    if (type.child_count == 0)
        return NULL;
    struct type_field *fields = allocate_array(type.child_count, sizeof(*fields));
    for (uint16_t i = 0; i < type.child_count; i++) {
        fields[i].name = copy_text(type.children[i].name);
        fields[i].type = type.children[i].type;
        fields[i].type.children = copy_children(type.children[i].type);
    }
    return fields;
}

static void free_children(struct type type)
{
    for (uint16_t i = 0; i < type.child_count; i++) {
        free_children(type.children[i].type);
        free((void *)(uintptr_t)type.children[i].name);
    }
    free((void *)(uintptr_t)type.children);
}

static bool parse_metadata(struct parser *parser, struct column_definition *definition)
{
    if (!parser_need_word(parser, "FROM"))
        return false;
    if (parser->token.kind != TOKEN_STRING)
        return parser_expected(parser, "the metadata's key in single quotes");
    char *key = allocate(parser->token.size + 1);
    (void)lexer_unquote(parser->text, parser->token, key);
    definition->metadata_key = key;
    return parser_advance(parser);
}

/* AS expression: parsed to find errors of grammar early; bound when the schema is known. */
static bool parse_computed(struct parser *parser, struct column_definition *definition)
{
    const uint32_t start = parser->token.start;
    if (parse_expression(parser) == NULL)
        return false;
    definition->computed = copy_text_n(parser->text + start, parser->last_end - start);
    return true;
}

static bool parse_definition(struct parser *parser, struct column_definition *definition)
{
    if (parser->token.kind == TOKEN_END)
        return parser_fail(parser, 0, "a column needs a type, such as STRING or BIGINT NOT NULL");
    if (!parse_type(parser, &definition->type))
        return false;
    if (parser_take_word(parser, "METADATA")) {
        if (!parse_metadata(parser, definition))
            return false;
    } else if (parser_take_word(parser, "AS")) {
        if (!parse_computed(parser, definition))
            return false;
    }
    return parser->token.kind == TOKEN_END ||
           parser_expected(parser, "NOT NULL, AS, METADATA FROM or the end of the column");
}

enum status column_definition_parse(const char *text, struct column_definition *ret_definition,
                                    struct expression_problem *problem)
{
    *problem = (struct expression_problem){.line = 1, .column = 1};
    struct expression *expression = allocate(sizeof(*expression));
    struct column_definition definition = {0};
    struct parser parser;
    const bool ok =
        parser_init(&parser, expression, text, problem) && parse_definition(&parser, &definition);
    if (ok) {
        definition.type.children = copy_children(definition.type);
        *ret_definition = definition;
    } else {
        free(definition.computed);
        free(definition.metadata_key);
    }
    expression_destroy(expression);
    return ok ? STATUS_OK : STATUS_INVALID;
}

void column_definition_done(struct column_definition *definition)
{
    free_children(definition->type);
    free(definition->computed);
    free(definition->metadata_key);
    *definition = (struct column_definition){0};
}
