/* A growing string with a maximum: see text.h. */
#include "common/base/text.h"

#include "common/base/allocate.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void text_init(struct text *text, size_t max)
{
    *text = (struct text){.bytes = allocate(32), .capacity = 32, .max = max};
}

void text_done(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

void text_clear(struct text *text)
{
    text->size = 0;
    text->overflowed = false;
    text->bytes[0] = '\0';
}

static size_t reserve(struct text *text, size_t more)
{
    if (more > text->max - text->size) {
        text->overflowed = true;
        more = text->max - text->size;
    }
    const size_t needed = text->size + more + 1;
    if (needed > text->capacity) {
        const size_t doubled = text->capacity * 2;
        text->capacity = needed > doubled ? needed : doubled;
        text->bytes = reallocate_array(text->bytes, text->capacity, 1);
    }
    return more;
}

void text_append_bytes(struct text *text, const void *bytes, size_t size)
{
    const size_t fits = reserve(text, size);
    if (fits > 0)
        memcpy(text->bytes + text->size, bytes, fits);
    text->size += fits;
    text->bytes[text->size] = '\0';
}

void text_append(struct text *text, const char *string)
{
    text_append_bytes(text, string, strlen(string));
}

void text_append_char(struct text *text, char c)
{
    text_append_bytes(text, &c, 1);
}

void text_format(struct text *text, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    const int length = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (length >= 0 && (size_t)length < sizeof(small)) {
        text_append_bytes(text, small, (size_t)length);
    } else if (length >= 0) {
        SCOPED_TEXT char *large = allocate((size_t)length + 1);
        (void)vsnprintf(large, (size_t)length + 1, format, again);
        text_append_bytes(text, large, (size_t)length);
    }
    va_end(again);
}

/* The length of the valid UTF-8 character at bytes, or 0. */
static size_t utf8_length(const unsigned char *bytes, size_t left)
{
    const unsigned char first = bytes[0];
    size_t length = first < 0x80   ? 1
                    : first < 0xC2 ? 0
                    : first < 0xE0 ? 2
                    : first < 0xF0 ? 3
                    : first < 0xF5 ? 4
                                   : 0;
    if (length > left)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            return 0;
    }
    if ((first == 0xE0 && bytes[1] < 0xA0) || (first == 0xED && bytes[1] > 0x9F) ||
        (first == 0xF0 && bytes[1] < 0x90) || (first == 0xF4 && bytes[1] > 0x8F))
        return 0;
    return length;
}

static void append_json_ascii(struct text *text, char c)
{
    static const char escapes[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
                                   ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
    const unsigned char byte = (unsigned char)c;
    if (byte < sizeof(escapes) && escapes[byte] != 0) {
        const char pair[2] = {'\\', escapes[byte]};
        text_append_bytes(text, pair, 2);
    } else if (byte < 0x20 || byte == 0x7F) {
        text_format(text, "\\u%04x", byte);
    } else {
        text_append_char(text, c);
    }
}

void text_append_json(struct text *text, const char *bytes, size_t size)
{
    text_append_char(text, '"');
    for (size_t i = 0; i < size;) {
        const size_t length = utf8_length((const unsigned char *)bytes + i, size - i);
        if (length == 1) {
            append_json_ascii(text, bytes[i]);
        } else if (length > 1) {
            text_append_bytes(text, bytes + i, length);
        } else {
            text_append(text, "\xEF\xBF\xBD");
        }
        i += length > 0 ? length : 1;
    }
    text_append_char(text, '"');
}

char *text_take(struct text *text)
{
    char *bytes = text->bytes;
    const size_t max = text->max;
    text_init(text, max);
    return bytes;
}
