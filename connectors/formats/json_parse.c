/* Pieces of JSON text: see json_parse.h. */
#include "connectors/formats/json_parse.h"

#include "common/data/value_text.h"

#include <stdio.h>

void json_report(struct json_parse *p, const char *what)
{
    char got[40];
    p->has_ended_early = p->at >= p->end;
    if (p->has_ended_early)
        (void)snprintf(got, sizeof(got), "the end");
    else
        (void)snprintf(got, sizeof(got), "%.*s", (int)(p->end - p->at < 20 ? p->end - p->at : 20),
                       p->bytes + p->at);
    for (char *c = got; *c != '\0'; c++)
        *c = (unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7F ? '?' : *c;
    const bool has_column = p->column != NULL;
    (void)decode_failed(p->error, p->start, p->end - p->start,
                        "%s%.100s%s%s, got %s at position %u of the record",
                        has_column ? "column \"" : "", has_column ? p->column : "",
                        has_column ? "\": " : "", what, got, p->at - p->start);
}

void json_report_type(struct json_parse *p, const struct type *type, uint32_t at)
{
    struct text text;
    text_init(&text, 200);
    text_append(&text, "expected ");
    type_format(*type, &text);
    p->at = at;
    json_report(p, text.bytes);
    text_done(&text);
}

uint32_t json_find_special_scalar(const char *bytes, uint32_t at, uint32_t end)
{
    while (at < end && bytes[at] != '"' && bytes[at] != '\\' && (unsigned char)bytes[at] >= 0x20)
        at++;
    return at;
}

static bool read_hex4(struct json_parse *p, unsigned *ret_value)
{
    unsigned value = 0;
    for (unsigned i = 0; i < 4; i++, p->at++) {
        const char c = p->at < p->end ? p->bytes[p->at] : 0;
        unsigned digit = 0;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned)((c | 0x20) - 'a' + 10);
        else
            return json_fail(p, "expected four hexadecimal digits");
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

static void append_utf8(struct text *out, unsigned c)
{
    if (c < 0x80) {
        text_append_char(out, (char)c);
    } else if (c < 0x800) {
        const char two[2] = {(char)(0xC0 | c >> 6), (char)(0x80 | (c & 63))};
        text_append_bytes(out, two, 2);
    } else if (c < 0x10000) {
        const char three[3] = {(char)(0xE0 | c >> 12), (char)(0x80 | (c >> 6 & 63)),
                               (char)(0x80 | (c & 63))};
        text_append_bytes(out, three, 3);
    } else {
        const char four[4] = {(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                              (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))};
        text_append_bytes(out, four, 4);
    }
}

/* Behind "\u". */
static bool read_unicode(struct json_parse *p, struct text *out)
{
    unsigned c = 0;
    if (!read_hex4(p, &c))
        return false;
    if (c >= 0xD800 && c < 0xDC00) {
        unsigned low = 0;
        if (p->end - p->at < 6 || p->bytes[p->at] != '\\' || p->bytes[p->at + 1] != 'u')
            return json_fail(p, "expected the second half of a surrogate pair");
        p->at += 2;
        if (!read_hex4(p, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return json_fail(p, "expected the second half of a surrogate pair");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    } else if (c >= 0xDC00 && c < 0xE000) {
        return json_fail(p, "half of a surrogate pair");
    }
    append_utf8(out, c);
    return true;
}

/* At a backslash. */
static bool read_escape(struct json_parse *p, struct text *out)
{
    const char c = p->at + 1 < p->end ? p->bytes[p->at + 1] : 0;
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found = c != 0 ? strchr(from, c) : NULL;
    if (found == NULL && c != 'u')
        return json_fail(p, "unknown escape");
    p->at += 2;
    if (found == NULL)
        return read_unicode(p, out);
    text_append_char(out, to[found - from]);
    return true;
}

bool json_read_escaped(struct json_parse *p, uint32_t first, struct json_string *ret_string)
{
    struct text *out = &p->decoder->string;
    text_clear(out);
    text_append_bytes(out, p->bytes + first, p->at - first);
    while (p->at < p->end && p->bytes[p->at] == '\\') {
        if (!read_escape(p, out))
            return false;
        const uint32_t from = p->at;
        p->at = json_find_special(p, p->at);
        text_append_bytes(out, p->bytes + from, p->at - from);
    }
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return json_fail(p, "expected the end of a string");
    p->at++;
    *ret_string = (struct json_string){out->bytes, (uint32_t)out->size, false};
    return true;
}

static inline bool is_digit(const struct json_parse *p)
{
    return p->at < p->end && (unsigned)(p->bytes[p->at] - '0') < 10;
}

static void skip_digits(struct json_parse *p)
{
    while (is_digit(p))
        p->at++;
}

bool json_skip_number(struct json_parse *p, bool *ret_is_integer)
{
    if (p->at < p->end && p->bytes[p->at] == '-')
        p->at++;
    if (!is_digit(p))
        return false;
    const bool has_zero = p->bytes[p->at] == '0';
    p->at++;
    if (!has_zero)
        skip_digits(p);
    *ret_is_integer = true;
    if (p->at < p->end && p->bytes[p->at] == '.') {
        p->at++;
        *ret_is_integer = false;
        if (!is_digit(p))
            return false;
        skip_digits(p);
    }
    if (p->at < p->end && (p->bytes[p->at] | 0x20) == 'e') {
        p->at++;
        *ret_is_integer = false;
        if (p->at < p->end && (p->bytes[p->at] == '+' || p->bytes[p->at] == '-'))
            p->at++;
        if (!is_digit(p))
            return false;
        skip_digits(p);
    }
    return true;
}

bool json_read_long_integer(struct json_parse *p, uint32_t first, int64_t *ret_value)
{
    bool is_integer = false;
    p->at = first;
    return json_skip_number(p, &is_integer) && is_integer &&
           parse_int64(p->bytes + first, p->at - first, ret_value);
}

static bool skip_entries(struct json_parse *p, bool is_object)
{
    const char close = is_object ? '}' : ']';
    p->at++;
    if (++p->depth > JSON_DEPTH_MAX)
        return json_fail(p, "nested too deeply");
    if (!json_take_char(p, close)) {
        do {
            struct json_string key;
            json_skip_space(p);
            if (is_object) {
                if (p->at >= p->end || p->bytes[p->at] != '"')
                    return json_fail(p, "expected a key");
                if (!json_read_string(p, &key))
                    return false;
                if (!json_take_char(p, ':'))
                    return json_fail(p, "expected ':'");
            }
            if (!json_skip_value(p))
                return false;
        } while (json_take_char(p, ','));
        if (!json_take_char(p, close))
            return json_fail(p, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    p->depth--;
    return true;
}

bool json_skip_value(struct json_parse *p)
{
    json_skip_space(p);
    const char c = p->at < p->end ? p->bytes[p->at] : 0;
    struct json_string string;
    bool is_integer = false;
    if (c == '"')
        return json_read_string(p, &string);
    if (c == '{' || c == '[')
        return skip_entries(p, c == '{');
    if ((c == 't' && json_take_word(p, "true", 4)) || (c == 'f' && json_take_word(p, "false", 5)) ||
        (c == 'n' && json_take_word(p, "null", 4)))
        return true;
    return json_skip_number(p, &is_integer) || json_fail(p, "expected a value");
}
