/* Tokens, operators by precedence, problems: see parser.h. */
#include "expressions/parser.h"

#include "common/data/value_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const reserved_words[] = {
    "AND",  "BETWEEN", "CASE", "ELSE", "END",  "FALSE", "IN",   "IS",
    "LIKE", "NOT",     "NULL", "OR",   "THEN", "TRUE",  "WHEN",
};

const char *const *expression_reserved_words(size_t *ret_count)
{
    *ret_count = sizeof(reserved_words) / sizeof(reserved_words[0]);
    return reserved_words;
}

bool word_is_reserved(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof(reserved_words) / sizeof(reserved_words[0]); i++) {
        if (strlen(reserved_words[i]) == size && strncasecmp(reserved_words[i], word, size) == 0)
            return true;
    }
    return false;
}

/* ---- problems ---- */

void problem_set_position(struct expression_problem *problem, const char *text, uint32_t position)
{
    problem->line = 1;
    problem->column = 1;
    for (uint32_t i = 0; i < position; i++) {
        if (text[i] == '\n') {
            problem->line++;
            problem->column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            problem->column++;
        }
    }
}

bool parser_fail(struct parser *parser, uint32_t position, const char *format, ...)
{
    if (parser->failed)
        return false;
    parser->failed = true;
    problem_set_position(parser->problem, parser->text, position);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(parser->problem->message, sizeof(parser->problem->message), format, args);
    va_end(args);
    return false;
}

bool parser_expected(struct parser *parser, const char *what)
{
    const struct token token = parser->token;
    if (token.kind == TOKEN_END)
        return parser_fail(parser, token.start, "expected %s, but the text ends here", what);
    const int size = token.size > 40 ? 40 : (int)token.size;
    return parser_fail(parser, token.start, "expected %s, found %.*s%s", what, size,
                       parser->text + token.start, token.size > 40 ? "..." : "");
}

/* ---- tokens ---- */

bool parser_advance(struct parser *parser)
{
    if (parser->failed)
        return false;
    struct lexer_problem problem;
    parser->last_end = parser->token.start + parser->token.size;
    if (lexer_next(parser->text, parser->text_size, parser->last_end, &parser->token, &problem))
        return true;
    return parser_fail(parser, problem.position, "%s", problem.message);
}

bool parser_init(struct parser *parser, struct expression *expression, const char *text,
                 struct expression_problem *problem)
{
    *parser = (struct parser){.expression = expression, .text = text, .problem = problem};
    const size_t size = strlen(text);
    if (size > EXPRESSION_BYTES_MAX)
        return parser_fail(parser, 0, "the expression has %zu bytes, more than the %d allowed",
                           size, EXPRESSION_BYTES_MAX);
    if (!utf8_is_valid(text, size))
        return parser_fail(parser, 0, "the expression is no valid UTF-8");
    parser->text_size = (uint32_t)size;
    return parser_advance(parser);
}

bool token_is_word(const struct parser *parser, struct token token, const char *word)
{
    return token.kind == TOKEN_WORD && token.size == strlen(word) &&
           strncasecmp(parser->text + token.start, word, token.size) == 0;
}

bool token_is_symbol(const struct parser *parser, struct token token, const char *symbol)
{
    return token.kind == TOKEN_SYMBOL && token.size == strlen(symbol) &&
           memcmp(parser->text + token.start, symbol, token.size) == 0;
}

bool parser_at_word(const struct parser *parser, const char *word)
{
    return token_is_word(parser, parser->token, word);
}

bool parser_at_symbol(const struct parser *parser, const char *symbol)
{
    return token_is_symbol(parser, parser->token, symbol);
}

bool parser_take_word(struct parser *parser, const char *word)
{
    return parser_at_word(parser, word) && parser_advance(parser);
}

bool parser_take_symbol(struct parser *parser, const char *symbol)
{
    return parser_at_symbol(parser, symbol) && parser_advance(parser);
}

bool parser_need_word(struct parser *parser, const char *word)
{
    return parser_at_word(parser, word) ? parser_advance(parser) : parser_expected(parser, word);
}

bool parser_need_symbol(struct parser *parser, const char *symbol)
{
    return parser_at_symbol(parser, symbol) ? parser_advance(parser)
                                            : parser_expected(parser, symbol);
}

struct token parser_peek(const struct parser *parser)
{
    struct lexer_problem problem;
    struct token token = {.kind = TOKEN_END, .start = parser->text_size, .size = 0};
    (void)lexer_next(parser->text, parser->text_size, parser->token.start + parser->token.size,
                     &token, &problem);
    return token;
}

const char *parser_name(struct parser *parser, const char *what)
{
    const struct token token = parser->token;
    const char *bytes = parser->text + token.start;
    const char *name = NULL;
    if (token.kind == TOKEN_QUOTED) {
        char *copy = node_arena_copy_text(&parser->expression->arena, bytes, token.size);
        copy[lexer_unquote(parser->text, token, copy)] = '\0';
        if (strlen(copy) == 0) {
            (void)parser_fail(parser, token.start, "a quoted name is empty");
            return NULL;
        }
        name = copy;
    } else if (token.kind == TOKEN_WORD) {
        if (word_is_reserved(bytes, token.size)) {
            (void)parser_fail(parser, token.start,
                              "expected %s, found the reserved word %.*s: a column of that name is "
                              "written \"%.*s\"",
                              what, (int)token.size, bytes, (int)token.size, bytes);
            return NULL;
        }
        name = node_arena_copy_text(&parser->expression->arena, bytes, token.size);
    } else {
        (void)parser_expected(parser, what);
        return NULL;
    }
    return parser_advance(parser) ? name : NULL;
}

bool parser_enter(struct parser *parser)
{
    if (++parser->depth <= EXPRESSION_DEPTH_MAX)
        return true;
    return parser_fail(parser, parser->token.start, "nested more than %d levels deep",
                       EXPRESSION_DEPTH_MAX);
}

/* ---- nodes ---- */

struct node *parser_call(struct parser *parser, const char *name, uint32_t start, struct node *a,
                         struct node *b)
{
    struct node *node = node_create(parser->expression, NODE_CALL, start);
    node->name = name;
    if (a != NULL)
        node_add_arg(parser->expression, node, a);
    if (b != NULL)
        node_add_arg(parser->expression, node, b);
    node->end = parser->last_end;
    if (node->depth > NODE_DEPTH_MAX)
        (void)parser_fail(parser, start, "more than %d operators in a chain", NODE_DEPTH_MAX);
    return node;
}

/* ---- operators: OR, AND, NOT, predicates, + - ||, * / %, unary ---- */

static struct node *parse_chain(struct parser *parser, enum node_kind kind, const char *word,
                                struct node *(*parse_part)(struct parser *))
{
    const uint32_t start = parser->token.start;
    struct node *node = parse_part(parser);
    if (node == NULL || !parser_at_word(parser, word))
        return node;
    struct node *chain = node_create(parser->expression, kind, start);
    node_add_arg(parser->expression, chain, node);
    while (parser_take_word(parser, word)) {
        node = parse_part(parser);
        if (node == NULL)
            return NULL;
        node_add_arg(parser->expression, chain, node);
    }
    chain->end = parser->last_end;
    return parser->failed ? NULL : chain;
}

static struct node *negate(struct parser *parser, bool is_negated, uint32_t start,
                           struct node *node)
{
    return is_negated && node != NULL ? parser_call(parser, "not", start, node, NULL) : node;
}

static struct node *parse_is(struct parser *parser, struct node *left)
{
    static const struct {
        const char *word;
        const char *function;
    } tests[] = {
        {"NULL", "is null"}, {"TRUE", "is true"}, {"FALSE", "is false"}, {"UNKNOWN", "is unknown"}};
    const bool is_negated = parser_take_word(parser, "NOT");
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (parser_take_word(parser, tests[i].word)) {
            if (is_negated && i == 0)
                return parser_call(parser, "is not null", left->start, left, NULL);
            return negate(parser, is_negated, left->start,
                          parser_call(parser, tests[i].function, left->start, left, NULL));
        }
    }
    if (!parser_take_word(parser, "DISTINCT")) {
        (void)parser_expected(parser, "NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM behind IS");
        return NULL;
    }
    if (!parser_need_word(parser, "FROM"))
        return NULL;
    struct node *right = parse_addition(parser);
    if (right == NULL)
        return NULL;
    return parser_call(parser, is_negated ? "is not distinct from" : "is distinct from",
                       left->start, left, right);
}

/* x BETWEEN a AND b: x is evaluated once. */
static struct node *parse_between(struct parser *parser, struct node *left)
{
    struct expression *expression = parser->expression;
    struct node *low = parse_addition(parser);
    if (low == NULL || !parser_need_word(parser, "AND"))
        return NULL;
    struct node *high = parse_addition(parser);
    if (high == NULL)
        return NULL;
    struct node *let = node_create(expression, NODE_LET, left->start);
    struct node *slot_low = node_create(expression, NODE_SLOT, left->start);
    struct node *slot_high = node_create(expression, NODE_SLOT, left->start);
    slot_low->let = slot_high->let = let;
    slot_low->end = slot_high->end = left->end;
    struct node *both = node_create(expression, NODE_AND, left->start);
    node_add_arg(expression, both, parser_call(parser, ">=", left->start, slot_low, low));
    node_add_arg(expression, both, parser_call(parser, "<=", left->start, slot_high, high));
    node_add_arg(expression, let, left);
    node_add_arg(expression, let, both);
    both->end = let->end = parser->last_end;
    return let;
}

static struct node *parse_in(struct parser *parser, struct node *left)
{
    if (!parser_need_symbol(parser, "("))
        return NULL;
    struct node *in = parser_call(parser, "in", left->start, left, NULL);
    do {
        struct node *item = parse_expression(parser);
        if (item == NULL)
            return NULL;
        node_add_arg(parser->expression, in, item);
    } while (parser_take_symbol(parser, ","));
    if (!parser_need_symbol(parser, ")"))
        return NULL;
    in->end = parser->last_end;
    return in;
}

static struct node *parse_like(struct parser *parser, struct node *left)
{
    struct node *pattern = parse_addition(parser);
    if (pattern == NULL)
        return NULL;
    struct node *like = parser_call(parser, "like", left->start, left, pattern);
    if (parser_take_word(parser, "ESCAPE")) {
        struct node *escape = parse_addition(parser);
        if (escape == NULL)
            return NULL;
        node_add_arg(parser->expression, like, escape);
        like->end = parser->last_end;
    }
    return like;
}

static struct node *parse_predicate_tail(struct parser *parser, struct node *left)
{
    static const char *const comparisons[] = {"<>", "!=", "<=", ">=", "=", "<", ">"};
    static const char *const names[] = {"<>", "<>", "<=", ">=", "=", "<", ">"};
    for (size_t i = 0; i < sizeof(comparisons) / sizeof(comparisons[0]); i++) {
        if (parser_take_symbol(parser, comparisons[i])) {
            struct node *right = parse_addition(parser);
            return right == NULL ? NULL : parser_call(parser, names[i], left->start, left, right);
        }
    }
    if (parser_take_word(parser, "IS"))
        return parse_is(parser, left);
    const bool is_negated = parser_take_word(parser, "NOT");
    struct node *node = NULL;
    if (parser_take_word(parser, "BETWEEN"))
        node = parse_between(parser, left);
    else if (parser_take_word(parser, "IN"))
        node = parse_in(parser, left);
    else if (parser_take_word(parser, "LIKE"))
        node = parse_like(parser, left);
    else if (is_negated)
        (void)parser_expected(parser, "BETWEEN, IN or LIKE behind NOT");
    else
        return left;
    return negate(parser, is_negated, left->start, node);
}

static bool at_predicate(const struct parser *parser)
{
    static const char *const symbols[] = {"<>", "!=", "<=", ">=", "=", "<", ">"};
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        if (parser_at_symbol(parser, symbols[i]))
            return true;
    }
    return parser_at_word(parser, "IS") || parser_at_word(parser, "NOT") ||
           parser_at_word(parser, "BETWEEN") || parser_at_word(parser, "IN") ||
           parser_at_word(parser, "LIKE");
}

static struct node *parse_predicate(struct parser *parser)
{
    struct node *node = parse_addition(parser);
    while (node != NULL && !parser->failed && at_predicate(parser))
        node = parse_predicate_tail(parser, node);
    return parser->failed ? NULL : node;
}

static struct node *parse_not(struct parser *parser)
{
    const uint32_t start = parser->token.start;
    bool is_negated = false;
    while (parser_take_word(parser, "NOT"))
        is_negated = !is_negated;
    struct node *node = parse_predicate(parser);
    return negate(parser, is_negated, start, node);
}

static struct node *parse_and(struct parser *parser)
{
    return parse_chain(parser, NODE_AND, "AND", parse_not);
}

struct node *parse_expression(struct parser *parser)
{
    if (!parser_enter(parser))
        return NULL;
    struct node *node = parse_chain(parser, NODE_OR, "OR", parse_and);
    parser_leave(parser);
    return parser->failed ? NULL : node;
}

struct node *parse_unary(struct parser *parser)
{
    const uint32_t start = parser->token.start;
    bool is_negative = false;
    while (parser_at_symbol(parser, "-") || parser_at_symbol(parser, "+")) {
        is_negative ^= parser_at_symbol(parser, "-");
        if (!parser_advance(parser))
            return NULL;
    }
    if (is_negative && parser->token.kind == TOKEN_NUMBER) {
        struct token before = parser->token;
        const struct token after = parser_peek(parser);
        if (!token_is_symbol(parser, after, "[") && !token_is_symbol(parser, after, ".")) {
            /* -9223372036854775808 is a BIGINT although 9223372036854775808 is none. */
            parser->token.start = start;
            parser->token.size = before.start + before.size - start;
            return parse_number(parser);
        }
    }
    struct node *node = parse_primary(parser);
    if (node == NULL || !is_negative)
        return node;
    return parser_call(parser, "negate", start, node, NULL);
}

static struct node *parse_multiplication(struct parser *parser)
{
    static const char *const symbols[] = {"*", "/", "%"};
    struct node *left = parse_unary(parser);
    for (;;) {
        size_t i = 0;
        while (i < 3 && !parser_at_symbol(parser, symbols[i]))
            i++;
        if (left == NULL || i == 3)
            return parser->failed ? NULL : left;
        (void)parser_advance(parser);
        struct node *right = parse_unary(parser);
        left = right == NULL ? NULL : parser_call(parser, symbols[i], left->start, left, right);
    }
}

struct node *parse_addition(struct parser *parser)
{
    static const char *const symbols[] = {"+", "-", "||"};
    struct node *left = parse_multiplication(parser);
    for (;;) {
        size_t i = 0;
        while (i < 3 && !parser_at_symbol(parser, symbols[i]))
            i++;
        if (left == NULL || i == 3)
            return parser->failed ? NULL : left;
        (void)parser_advance(parser);
        struct node *right = parse_multiplication(parser);
        left = right == NULL ? NULL : parser_call(parser, symbols[i], left->start, left, right);
    }
}
