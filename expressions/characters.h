/* Characters of valid UTF-8 strings: positions in strings count these, not bytes. */
#ifndef EXPRESSIONS_CHARACTERS_H
#define EXPRESSIONS_CHARACTERS_H

#include "expressions/kernel.h"

static inline bool byte_continues(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Bytes of the character at `at` (which is inside the string). */
static inline uint32_t character_size(struct slice text, uint32_t at)
{
    uint32_t end = at + 1;
    while (end < text.size && byte_continues(text.bytes[end]))
        end++;
    return end - at;
}

/* The byte position `count` characters behind `at`, at most the end. */
static inline uint32_t characters_skip(struct slice text, uint32_t at, uint64_t count)
{
    while (count-- > 0 && at < text.size)
        at += character_size(text, at);
    return at;
}

static inline uint32_t characters_count(struct slice text)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < text.size; i++)
        count += !byte_continues(text.bytes[i]);
    return count;
}

#endif
