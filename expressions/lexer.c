/* SQL tokens: see lexer.h. */
#include "expressions/lexer.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of UTF-8 beyond ASCII are letters. */
static bool is_word_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_word(char c)
{
    return is_word_start(c) || is_digit(c) || c == '$';
}

static bool lex_quoted(const char *text, uint32_t size, struct token *token,
                       struct lexer_problem *problem)
{
    const char quote = text[token->start];
    uint32_t at = token->start + 1;
    for (; at < size; at++) {
        if (text[at] != quote)
            continue;
        if (at + 1 < size && text[at + 1] == quote) {
            at++;
            continue;
        }
        token->kind = quote == '\'' ? TOKEN_STRING : TOKEN_QUOTED;
        token->size = at + 1 - token->start;
        return true;
    }
    problem->position = token->start;
    problem->message = quote == '\'' ? "the string that begins here has no closing quote '"
                                     : "the quoted name that begins here has no closing quote";
    return false;
}

static bool lex_number(const char *text, uint32_t size, struct token *token,
                       struct lexer_problem *problem)
{
    uint32_t at = token->start;
    while (at < size && is_digit(text[at]))
        at++;
    if (at < size && text[at] == '.') {
        at++;
        while (at < size && is_digit(text[at]))
            at++;
    }
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        uint32_t exponent = at + 1;
        if (exponent < size && (text[exponent] == '+' || text[exponent] == '-'))
            exponent++;
        if (exponent < size && is_digit(text[exponent])) {
            at = exponent;
            while (at < size && is_digit(text[at]))
                at++;
        }
    }
    if (at < size && is_word(text[at])) {
        problem->position = token->start;
        problem->message = "a number and a letter stand together: names that begin with a digit "
                           "need quotes (\"1st\")";
        return false;
    }
    token->kind = TOKEN_NUMBER;
    token->size = at - token->start;
    return true;
}

static bool lex_symbol(const char *text, uint32_t size, struct token *token,
                       struct lexer_problem *problem)
{
    static const char *const doubles[] = {"||", "<>", "!=", "<=", ">="};
    const char *at = text + token->start;
    const uint32_t left = size - token->start;
    token->kind = TOKEN_SYMBOL;
    for (size_t i = 0; i < sizeof(doubles) / sizeof(doubles[0]); i++) {
        if (left >= 2 && memcmp(at, doubles[i], 2) == 0) {
            token->size = 2;
            return true;
        }
    }
    if (left >= 2 && ((at[0] == '-' && at[1] == '-') || (at[0] == '/' && at[1] == '*'))) {
        problem->position = token->start;
        problem->message = "comments are not part of an expression (for minus a negative number "
                           "write - (-1))";
        return false;
    }
    if (at[0] != '\0' && strchr("()[],.+-*/%=<>", at[0]) != NULL) {
        token->size = 1;
        return true;
    }
    problem->position = token->start;
    problem->message = at[0] == ';'   ? "an expression has no ; at its end"
                       : at[0] == '&' ? "unexpected &: the logical and is AND"
                       : at[0] == '|' ? "unexpected |: write OR, or || to join strings"
                       : at[0] == '!' ? "unexpected !: write NOT, or <> for unequal"
                                      : "a character that no expression has here";
    return false;
}

bool lexer_next(const char *text, uint32_t text_size, uint32_t position, struct token *ret_token,
                struct lexer_problem *problem)
{
    while (position < text_size && is_space(text[position]))
        position++;
    struct token token = {.kind = TOKEN_END, .start = position, .size = 0};
    if (position < text_size) {
        const char c = text[position];
        const bool number =
            is_digit(c) || (c == '.' && position + 1 < text_size && is_digit(text[position + 1]) &&
                            (position == 0 || !(is_word(text[position - 1]) ||
                                                strchr("\"`)]", text[position - 1]) != NULL)));
        bool ok = true;
        if (is_word_start(c)) {
            token.kind = TOKEN_WORD;
            while (token.start + token.size < text_size && is_word(text[token.start + token.size]))
                token.size++;
        } else if (c == '\'' || c == '"' || c == '`') {
            ok = lex_quoted(text, text_size, &token, problem);
        } else if (number) {
            ok = lex_number(text, text_size, &token, problem);
        } else {
            ok = lex_symbol(text, text_size, &token, problem);
        }
        if (!ok)
            return false;
    }
    *ret_token = token;
    return true;
}

size_t lexer_unquote(const char *text, struct token token, char *out)
{
    const char *from = text + token.start + 1;
    const char *end = text + token.start + token.size - 1;
    const char quote = text[token.start];
    size_t size = 0;
    for (; from < end; from++) {
        out[size++] = *from;
        if (*from == quote)
            from++;
    }
    return size;
}
