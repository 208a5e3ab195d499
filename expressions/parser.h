/*
 * Recursive descent over SQL expressions, types and column definitions. The first problem ends
 * parsing; it carries line and column.
 */
#ifndef EXPRESSIONS_PARSER_H
#define EXPRESSIONS_PARSER_H

#include "expressions/lexer.h"
#include "expressions/node.h"

struct parser {
    struct expression *expression; /* tree and arena */
    const char *text;
    uint32_t text_size;
    struct token token; /* the next one */
    uint32_t last_end;  /* end of the token before it */
    uint32_t depth;
    uint32_t type_depth;
    bool failed;
    struct expression_problem *problem;
};

/* The text must outlive the parser. false: problem says why. */
bool parser_init(struct parser *parser, struct expression *expression, const char *text,
                 struct expression_problem *problem);

/* Every parse function returns NULL after a problem. */
struct node *parse_expression(struct parser *parser);
struct node *parse_primary(struct parser *parser); /* parse_primary.c */
struct node *parse_unary(struct parser *parser);
struct node *parse_addition(struct parser *parser);
/* Special forms such as CAST(x AS t); the name has been read and "(" is next. NULL without a
 * problem: no special form. */
struct node *parse_special_call(struct parser *parser, const char *name, uint32_t start);
bool parse_type(struct parser *parser, struct type *ret_type); /* parse_type.c */
/* DATE '...', INTERVAL '...' and so on; NULL without a problem: the words begin none. */
struct node *parse_typed_literal(struct parser *parser); /* parse_literal.c */
struct node *parse_number(struct parser *parser);

/* Problems: always false, so that callers may return it. */
bool parser_fail(struct parser *parser, uint32_t position, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* "expected X, found Y" at the next token. */
bool parser_expected(struct parser *parser, const char *what);
void problem_set_position(struct expression_problem *problem, const char *text, uint32_t position);

bool parser_advance(struct parser *parser);
bool parser_at_word(const struct parser *parser, const char *word);
bool parser_at_symbol(const struct parser *parser, const char *symbol);
/* Takes it if it is next. */
bool parser_take_word(struct parser *parser, const char *word);
bool parser_take_symbol(struct parser *parser, const char *symbol);
bool parser_need_word(struct parser *parser, const char *word);
bool parser_need_symbol(struct parser *parser, const char *symbol);
/* The token behind the next one, END if there is none. */
struct token parser_peek(const struct parser *parser);
bool token_is_word(const struct parser *parser, struct token token, const char *word);
bool token_is_symbol(const struct parser *parser, struct token token, const char *symbol);
/* A name: word that is not reserved, or quoted; copied into the arena. NULL after a problem. */
const char *parser_name(struct parser *parser, const char *what);

bool word_is_reserved(const char *word, size_t size);

/* A call of a function by name with args. */
struct node *parser_call(struct parser *parser, const char *name, uint32_t start, struct node *a,
                         struct node *b);
bool parser_enter(struct parser *parser);
static inline void parser_leave(struct parser *parser)
{
    parser->depth--;
}

#endif
