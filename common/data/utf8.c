/* UTF-8 (RFC 3629): see value_text.h. */
#include "common/data/value_text.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

static uint64_t load_word(const char *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* The length of the valid character at bytes, or 0. */
static size_t character_size(const uint8_t *bytes, size_t left)
{
    const uint8_t first = bytes[0];
    const size_t size = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
    if (size > left)
        return 0;
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    }
    /* Overlong forms, surrogates, beyond U+10FFFF. */
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
        (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return size;
}

bool utf8_is_valid(const char *bytes, size_t size)
{
    size_t i = 0;
    while (i < size) {
        while (size - i >= 8 && (load_word(bytes + i) & HIGH_BITS) == 0)
            i += 8;
        if (i == size)
            break;
        const size_t length = character_size((const uint8_t *)bytes + i, size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

size_t utf8_length(const char *bytes, size_t size)
{
    size_t continued = 0;
    size_t i = 0;
    for (; size - i >= 8; i += 8) {
        /* A byte continues a character when its two high bits are 10. */
        const uint64_t word = load_word(bytes + i);
        continued += (size_t)__builtin_popcountll(word & ~(word << 1) & HIGH_BITS);
    }
    for (; i < size; i++)
        continued += ((uint8_t)bytes[i] & 0xC0) == 0x80;
    return size - continued;
}
