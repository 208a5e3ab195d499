/*
 * A growing string with a maximum: a buffer without bound cannot be written.
 *
 * Beyond its maximum a text keeps what fits and remembers the overflow; writers check once at the
 * end. The content is always terminated by NUL and may itself hold NUL bytes (size counts them).
 */
#ifndef COMMON_BASE_TEXT_H
#define COMMON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    char *bytes; /* never NULL after text_init */
    size_t size; /* without the terminating NUL */
    size_t capacity;
    size_t max;
    bool overflowed;
};

void text_init(struct text *text, size_t max);
void text_done(struct text *text);
void text_clear(struct text *text);
void text_append(struct text *text, const char *string);
void text_append_bytes(struct text *text, const void *bytes, size_t size);
void text_append_char(struct text *text, char c);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void text_append_json(struct text *text, const char *bytes, size_t size);
/* The content, to be freed by the caller; the text is empty afterwards. */
char *text_take(struct text *text) __attribute__((warn_unused_result));

#define SCOPED_TEXT_BUFFER __attribute__((cleanup(text_done)))

#endif
