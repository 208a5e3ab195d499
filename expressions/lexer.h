/*
 * SQL tokens: words (any case), "quoted" or `quoted` names, 'strings' ('' is a quote), numbers,
 * symbols. Comments are no part of expressions. The text is not copied; tokens point into it.
 */
#ifndef EXPRESSIONS_LEXER_H
#define EXPRESSIONS_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_QUOTED, /* a name in "" or backquotes */
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_SYMBOL,
};

struct token {
    enum token_kind kind;
    uint32_t start; /* byte offset in the text */
    uint32_t size;  /* bytes with quotes */
};

/* Why the text holds no token there. */
struct lexer_problem {
    uint32_t position;
    const char *message;
};

/* The token at or behind `position`. false: problem says why there is none. */
bool lexer_next(const char *text, uint32_t text_size, uint32_t position, struct token *ret_token,
                struct lexer_problem *problem);

/* The content of a quoted name or string without quotes and with doubled quotes made single; out
 * has room for token.size bytes. Returns the size. */
size_t lexer_unquote(const char *text, struct token token, char *out);

#endif
