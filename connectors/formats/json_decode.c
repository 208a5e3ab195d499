/*
 * JSON objects to rows: a scanner that knows the schema. See json.c for the rules.
 *
 * Keys are expected in the order of the columns and found by comparing with the expected name; any
 * other order works and costs a search. Strings without escapes are views of the input; numbers are
 * read in place. Every function returns false with the error filled in.
 */
#include "connectors/formats/json.h"
#include "connectors/formats/line_scan.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/cpu.h"
#include "common/data/value_text.h"

#include <stdarg.h>
#include <stdio.h>

#ifdef __x86_64__
#include <emmintrin.h>
#endif

#define SCAN_LINES 64

struct parse {
    struct json_decoder *decoder;
    struct buffer *buffer;
    const char *bytes; /* of the buffer */
    uint32_t start;    /* of the record */
    uint32_t at;
    uint32_t end;
    struct batch_builder *out;
    struct decode_error *error;
    const char *column; /* being read, for messages; NULL: none */
    unsigned depth;
    bool has_ended_early; /* the record stops within a value */
};

static __attribute__((noinline, cold)) bool fail(struct parse *p, const char *what)
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
    return false;
}

/* "expected BIGINT" */
static __attribute__((noinline, cold)) bool fail_type(struct parse *p, const struct type *type,
                                                      uint32_t at)
{
    struct text text;
    text_init(&text, 200);
    text_append(&text, "expected ");
    type_format(*type, &text);
    p->at = at;
    (void)fail(p, text.bytes);
    text_done(&text);
    return false;
}

static inline void skip_space(struct parse *p)
{
    while (p->at < p->end) {
        const char c = p->bytes[p->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            break;
        p->at++;
    }
}

static inline bool take_char(struct parse *p, char c)
{
    skip_space(p);
    if (p->at >= p->end || p->bytes[p->at] != c)
        return false;
    p->at++;
    return true;
}

/* ---- strings ---- */

struct string {
    const char *bytes;
    uint32_t size;
    bool is_shared; /* lies in the buffer: nothing was escaped */
};

static uint32_t find_special_scalar(const char *bytes, uint32_t at, uint32_t end)
{
    while (at < end && bytes[at] != '"' && bytes[at] != '\\' && (unsigned char)bytes[at] >= 0x20)
        at++;
    return at;
}

/* The first quote, backslash or control character. Reads up to 15 bytes behind end. */
static inline uint32_t find_special(const struct parse *p, uint32_t at)
{
#ifdef __x86_64__
    if (p->decoder->uses_vectors) {
        const __m128i quote = _mm_set1_epi8('"');
        const __m128i backslash = _mm_set1_epi8('\\');
        const __m128i control = _mm_set1_epi8(0x1F);
        for (; at < p->end; at += 16) {
            const __m128i part = _mm_loadu_si128((const __m128i *)(p->bytes + at));
            const __m128i found = _mm_or_si128(
                _mm_or_si128(_mm_cmpeq_epi8(part, quote), _mm_cmpeq_epi8(part, backslash)),
                _mm_cmpeq_epi8(_mm_min_epu8(part, control), part));
            const unsigned mask = (unsigned)_mm_movemask_epi8(found);
            if (mask != 0) {
                const uint32_t place = at + (uint32_t)__builtin_ctz(mask);
                return place < p->end ? place : p->end;
            }
        }
        return p->end;
    }
#endif
    return find_special_scalar(p->bytes, at, p->end);
}

static bool read_hex4(struct parse *p, unsigned *ret_value)
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
            return fail(p, "expected four hexadecimal digits");
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
static bool read_unicode(struct parse *p, struct text *out)
{
    unsigned c = 0;
    if (!read_hex4(p, &c))
        return false;
    if (c >= 0xD800 && c < 0xDC00) {
        unsigned low = 0;
        if (p->end - p->at < 6 || p->bytes[p->at] != '\\' || p->bytes[p->at + 1] != 'u')
            return fail(p, "expected the second half of a surrogate pair");
        p->at += 2;
        if (!read_hex4(p, &low))
            return false;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(p, "expected the second half of a surrogate pair");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    } else if (c >= 0xDC00 && c < 0xE000) {
        return fail(p, "half of a surrogate pair");
    }
    append_utf8(out, c);
    return true;
}

/* At a backslash. */
static bool read_escape(struct parse *p, struct text *out)
{
    const char c = p->at + 1 < p->end ? p->bytes[p->at + 1] : 0;
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const char *found = c != 0 ? strchr(from, c) : NULL;
    if (found == NULL && c != 'u')
        return fail(p, "unknown escape");
    p->at += 2;
    if (found == NULL)
        return read_unicode(p, out);
    text_append_char(out, to[found - from]);
    return true;
}

/* A string with escapes, from its first byte on. */
static __attribute__((noinline)) bool read_escaped(struct parse *p, uint32_t first,
                                                   struct string *ret_string)
{
    struct text *out = &p->decoder->string;
    text_clear(out);
    text_append_bytes(out, p->bytes + first, p->at - first);
    while (p->at < p->end && p->bytes[p->at] == '\\') {
        if (!read_escape(p, out))
            return false;
        const uint32_t from = p->at;
        p->at = find_special(p, p->at);
        text_append_bytes(out, p->bytes + from, p->at - from);
    }
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return fail(p, "expected the end of a string");
    p->at++;
    *ret_string = (struct string){out->bytes, (uint32_t)out->size, false};
    return true;
}

/* At the opening quote. */
static inline bool read_string(struct parse *p, struct string *ret_string)
{
    const uint32_t first = ++p->at;
    p->at = find_special(p, first);
    if (__builtin_expect(p->at < p->end && p->bytes[p->at] == '"', 1)) {
        *ret_string = (struct string){p->bytes + first, p->at - first, true};
        p->at++;
        return true;
    }
    if (p->at < p->end && p->bytes[p->at] == '\\')
        return read_escaped(p, first, ret_string);
    return fail(p, "expected the end of a string");
}

/* ---- numbers and words ---- */

static inline bool is_digit(const struct parse *p)
{
    return p->at < p->end && (unsigned)(p->bytes[p->at] - '0') < 10;
}

static void skip_digits(struct parse *p)
{
    while (is_digit(p))
        p->at++;
}

/* Moves over a number by the grammar; false: there is none. */
static bool skip_number(struct parse *p, bool *ret_is_integer)
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

static inline bool take_word(struct parse *p, const char *word, uint32_t size)
{
    if (p->end - p->at < size || memcmp(p->bytes + p->at, word, size) != 0)
        return false;
    p->at += size;
    return true;
}

/* Any integer by the grammar. */
static __attribute__((noinline)) bool read_long_integer(struct parse *p, uint32_t first,
                                                        int64_t *ret_value)
{
    bool is_integer = false;
    p->at = first;
    return skip_number(p, &is_integer) && is_integer &&
           parse_int64(p->bytes + first, p->at - first, ret_value);
}

/* Up to 18 digits in one loop; what is longer or looks odd goes the long way. */
static inline bool read_integer(struct parse *p, int64_t *ret_value)
{
    const uint32_t start = p->at;
    const char *at = p->bytes + start;
    const char *end = p->bytes + p->end;
    const bool is_negative = at < end && *at == '-';
    at += is_negative;
    const char *first = at;
    uint64_t value = 0;
    while (at < end && (unsigned)(*at - '0') < 10)
        value = value * 10 + (unsigned)(*at++ - '0');
    const size_t size = (size_t)(at - first);
    const char next = at < end ? *at : ',';
    if (size == 0 || size > 18 || (*first == '0' && size > 1) || next == '.' ||
        (next | 0x20) == 'e')
        return read_long_integer(p, start, ret_value);
    p->at = (uint32_t)(at - p->bytes);
    *ret_value = is_negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* ---- what is ignored ---- */

static bool skip_value(struct parse *p);

static bool skip_entries(struct parse *p, bool is_object)
{
    const char close = is_object ? '}' : ']';
    p->at++;
    if (++p->depth > JSON_DEPTH_MAX)
        return fail(p, "nested too deeply");
    if (!take_char(p, close)) {
        do {
            struct string key;
            skip_space(p);
            if (is_object) {
                if (p->at >= p->end || p->bytes[p->at] != '"')
                    return fail(p, "expected a key");
                if (!read_string(p, &key))
                    return false;
                if (!take_char(p, ':'))
                    return fail(p, "expected ':'");
            }
            if (!skip_value(p))
                return false;
        } while (take_char(p, ','));
        if (!take_char(p, close))
            return fail(p, is_object ? "expected ',' or '}'" : "expected ',' or ']'");
    }
    p->depth--;
    return true;
}

static bool skip_value(struct parse *p)
{
    skip_space(p);
    const char c = p->at < p->end ? p->bytes[p->at] : 0;
    struct string string;
    bool is_integer = false;
    if (c == '"')
        return read_string(p, &string);
    if (c == '{' || c == '[')
        return skip_entries(p, c == '{');
    if ((c == 't' && take_word(p, "true", 4)) || (c == 'f' && take_word(p, "false", 5)) ||
        (c == 'n' && take_word(p, "null", 4)))
        return true;
    return skip_number(p, &is_integer) || fail(p, "expected a value");
}

/* ---- declared values ---- */

static bool read_value(struct parse *p, uint32_t column, const struct type *type);

static bool append_string(struct parse *p, uint32_t column, const struct type *type,
                          const struct string *string, uint32_t first)
{
    if (type->kind == TYPE_BYTES) {
        text_clear(&p->decoder->bytes);
        if (!base64_decode(string->bytes, string->size, &p->decoder->bytes)) {
            p->at = first;
            return fail(p, "expected base64");
        }
        batch_builder_bytes(p->out, column, p->decoder->bytes.bytes, p->decoder->bytes.size);
        return true;
    }
    if (!scalar_length_fits(type, string->bytes, string->size))
        return fail_type(p, type, first);
    if (string->is_shared)
        batch_builder_shared(p->out, column, p->buffer, (uint32_t)(string->bytes - p->bytes),
                             string->size);
    else
        batch_builder_bytes(p->out, column, string->bytes, string->size);
    return true;
}

static bool read_integer_value(struct parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    int64_t integer = 0;
    if (!read_integer(p, &integer))
        return fail_type(p, type, first);
    if (type->kind == TYPE_BIGINT)
        batch_builder_int(p->out, column, integer);
    else if (!scalar_int_append(p->out, column, type, integer))
        return fail_type(p, type, first);
    return true;
}

/* FLOAT, DOUBLE, DECIMAL */
static bool read_number(struct parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    bool is_integer = false;
    return (skip_number(p, &is_integer) &&
            scalar_text_append(p->out, column, type, p->bytes + first, p->at - first,
                               TIMESTAMP_FORM_SQL)) ||
           fail_type(p, type, first);
}

/* STRING, CHAR, VARCHAR, BYTES */
static inline bool read_string_value(struct parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    struct string string;
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return fail_type(p, type, first);
    if (!read_string(p, &string))
        return false;
    if (type->kind != TYPE_STRING || !string.is_shared)
        return append_string(p, column, type, &string, first);
    batch_builder_shared(p->out, column, p->buffer, first + 1, string.size);
    return true;
}

static bool read_boolean(struct parse *p, uint32_t column, const struct type *type)
{
    const bool is_true = p->at < p->end && p->bytes[p->at] == 't';
    if (!take_word(p, is_true ? "true" : "false", is_true ? 4 : 5))
        return fail_type(p, type, p->at);
    batch_builder_bool(p->out, column, is_true);
    return true;
}

/* DATE, TIME, timestamps */
static bool read_text_value(struct parse *p, uint32_t column, const struct type *type)
{
    const uint32_t first = p->at;
    int64_t ms = 0;
    if (type_is_timestamp(type->kind) && p->decoder->timestamps == TIMESTAMP_FORM_EPOCH_MS)
        return (read_integer(p, &ms) && scalar_epoch_ms_append(p->out, column, type, ms)) ||
               fail_type(p, type, first);
    struct string string;
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return fail_type(p, type, first);
    if (!read_string(p, &string))
        return false;
    return scalar_text_append(p->out, column, type, string.bytes, string.size,
                              TIMESTAMP_FORM_SQL) ||
           fail_type(p, type, first);
}

static bool read_array(struct parse *p, uint32_t column, const struct type *type)
{
    const struct type *entry = &type->children[0].type;
    if (p->at >= p->end || p->bytes[p->at] != '[')
        return fail_type(p, type, p->at);
    p->at++;
    batch_builder_begin(p->out, column);
    if (!take_char(p, ']')) {
        do {
            if (!read_value(p, 0, entry))
                return false;
        } while (take_char(p, ','));
        if (!take_char(p, ']'))
            return fail(p, "expected ',' or ']'");
    }
    batch_builder_end(p->out);
    return true;
}

static bool read_map(struct parse *p, uint32_t column, const struct type *type)
{
    if (p->at >= p->end || p->bytes[p->at] != '{')
        return fail_type(p, type, p->at);
    p->at++;
    batch_builder_begin(p->out, column);
    if (!take_char(p, '}')) {
        do {
            skip_space(p);
            if (p->at >= p->end || p->bytes[p->at] != '"')
                return fail(p, "expected a key");
            if (!read_string_value(p, 0, &type->children[0].type))
                return false;
            if (!take_char(p, ':'))
                return fail(p, "expected ':'");
            if (!read_value(p, 1, &type->children[1].type))
                return false;
        } while (take_char(p, ','));
        if (!take_char(p, '}'))
            return fail(p, "expected ',' or '}'");
    }
    batch_builder_end(p->out);
    return true;
}

/* The field of that name; `expected` is tried first. UINT32_MAX: none. */
static inline uint32_t find_field(const struct type_field *fields, uint32_t count,
                                  const struct string *key, uint32_t expected)
{
    if (expected < count && strlen(fields[expected].name) == key->size &&
        memcmp(fields[expected].name, key->bytes, key->size) == 0)
        return expected;
    for (uint32_t i = 0; i < count; i++) {
        if (strlen(fields[i].name) == key->size &&
            memcmp(fields[i].name, key->bytes, key->size) == 0)
            return i;
    }
    return UINT32_MAX;
}

/* The value of a field whose key has been read. */
static inline bool read_column(struct parse *p, const struct type_field *fields, uint32_t column)
{
    if (p->depth > 1)
        return read_value(p, column, &fields[column].type);
    p->column = fields[column].name;
    const bool is_good = read_value(p, column, &fields[column].type);
    if (is_good)
        p->column = NULL;
    return is_good;
}

/* Is the next key, written without spaces, that of the column expected? Then it is taken. */
static inline bool is_expected_key(struct parse *p, const struct type_field *fields,
                                   uint32_t expected)
{
    const struct json_decoder *decoder = p->decoder;
    if (fields != decoder->fields || expected >= decoder->schema->column_count)
        return false;
    const struct json_key *key = &decoder->keys[expected];
    if (p->end - p->at < key->size || memcmp(p->bytes + p->at, key->text, key->size) != 0)
        return false;
    p->at += key->size;
    return true;
}

/* How far an object of declared fields has been read. */
struct object_progress {
    uint32_t next;  /* the column expected */
    uint32_t found; /* declared fields, repeats included */
    bool in_order;
};

/* A field whose key is not the expected one. */
static __attribute__((noinline)) bool read_other_field(struct parse *p,
                                                       const struct type_field *fields,
                                                       uint32_t count,
                                                       struct object_progress *progress)
{
    struct string key;
    if (p->at >= p->end || p->bytes[p->at] != '"')
        return fail(p, "expected a key");
    if (!read_string(p, &key))
        return false;
    const uint32_t column = find_field(fields, count, &key, progress->next);
    if (!take_char(p, ':'))
        return fail(p, "expected ':'");
    if (column == UINT32_MAX)
        return skip_value(p);
    /* While columns only rise, none can have come before. */
    progress->in_order = progress->in_order && column >= progress->next;
    if (!progress->in_order && batch_builder_has(p->out, column))
        batch_builder_drop(p->out, column);
    progress->next = column + 1;
    progress->found++;
    return read_column(p, fields, column);
}

static bool fill_missing(struct parse *p, const struct type_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (batch_builder_has(p->out, i))
            continue;
        if (!fields[i].type.nullable) {
            char what[200];
            (void)snprintf(what, sizeof(what), "field \"%.100s\" is NOT NULL and missing",
                           fields[i].name);
            return fail(p, what);
        }
        batch_builder_null(p->out, i);
    }
    return true;
}

/* An object of declared fields, at its brace. */
static bool read_object(struct parse *p, const struct type_field *fields, uint32_t count)
{
    struct object_progress progress = {.in_order = true};
    p->at++;
    p->depth++;
    if (!take_char(p, '}')) {
        do {
            skip_space(p);
            if (progress.in_order && is_expected_key(p, fields, progress.next)) {
                if (!read_column(p, fields, progress.next))
                    return false;
                progress.next++;
                progress.found++;
            } else if (!read_other_field(p, fields, count, &progress)) {
                return false;
            }
        } while (take_char(p, ','));
        if (!take_char(p, '}'))
            return fail(p, "expected ',' or '}'");
    }
    p->depth--;
    /* All in their order and as many as there are, the last one last: nothing is missing. */
    if (progress.in_order && progress.found == count && progress.next == count)
        return true;
    return fill_missing(p, fields, count);
}

static bool read_row(struct parse *p, uint32_t column, const struct type *type)
{
    if (p->at >= p->end || p->bytes[p->at] != '{')
        return fail_type(p, type, p->at);
    batch_builder_begin(p->out, column);
    if (!read_object(p, type->children, type->child_count))
        return false;
    batch_builder_end(p->out);
    return true;
}

static bool read_value(struct parse *p, uint32_t column, const struct type *type)
{
    skip_space(p);
    if (p->at < p->end && p->bytes[p->at] == 'n' && take_word(p, "null", 4)) {
        if (!type->nullable)
            return fail_type(p, type, p->at - 4);
        batch_builder_null(p->out, column);
        return true;
    }
    switch (type->kind) {
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
        return read_integer_value(p, column, type);
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
        return read_string_value(p, column, type);
    case TYPE_BOOLEAN:
        return read_boolean(p, column, type);
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_DECIMAL:
        return read_number(p, column, type);
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        return read_text_value(p, column, type);
    case TYPE_ARRAY:
        return read_array(p, column, type);
    case TYPE_MAP:
        return read_map(p, column, type);
    case TYPE_ROW:
        return read_row(p, column, type);
    case TYPE_NONE:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
        break;
    }
    UNREACHABLE(); /* json_check_schema has refused it */
}

/* ---- records ---- */

/* One record in [start, end); blank ones give no row. */
static bool read_record(struct parse *p, bool is_ascii)
{
    const struct json_decoder *decoder = p->decoder;
    p->has_ended_early = false;
    if (!is_ascii && !utf8_is_valid(p->bytes + p->start, p->end - p->start)) {
        p->at = p->start + (uint32_t)utf8_first_bad_byte(p->bytes + p->start, p->end - p->start);
        return fail(p, "expected valid UTF-8");
    }
    p->at = p->start;
    p->depth = 0;
    p->column = NULL;
    skip_space(p);
    if (p->at == p->end)
        return true;
    if (p->bytes[p->at] != '{')
        return fail(p, "expected an object");
    if (!read_object(p, decoder->fields, decoder->schema->column_count))
        return false;
    skip_space(p);
    if (p->at != p->end)
        return fail(p, "expected the end of the line behind the object");
    batch_builder_end_row(p->out, ROW_INSERT);
    return true;
}

/* A line that is no record. A message of several lines may still be one as a whole. */
static enum decode after_bad_line(struct parse *p, uint32_t offset, uint32_t limit, bool is_end,
                                  uint32_t *ret_consumed)
{
    batch_builder_undo_row(p->out);
    if (!is_end || p->start != offset || p->end == limit || !p->has_ended_early)
        return DECODE_ERROR;
    struct parse whole = *p;
    struct decode_error ignored;
    whole.error = &ignored;
    whole.end = limit;
    if (!read_record(&whole, false)) {
        batch_builder_undo_row(p->out);
        return DECODE_ERROR;
    }
    *ret_consumed = limit - offset;
    return DECODE_DONE;
}

enum decode json_decode(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                        bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                        struct decode_error *ret_error)
{
    const uint32_t limit = offset + size;
    struct parse p = {.decoder = self,
                      .buffer = buffer,
                      .bytes = buffer->bytes,
                      .start = offset,
                      .out = out,
                      .error = ret_error};
    struct line_end lines[SCAN_LINES + 1];
    struct line_scan scan = {.count = SCAN_LINES, .next = offset};
    while (scan.count == SCAN_LINES) {
        scan = line_scan(buffer->bytes, scan.next, limit, lines, SCAN_LINES);
        uint32_t count = scan.count;
        if (count < SCAN_LINES && is_end && scan.next < limit)
            lines[count++] = (struct line_end){.end = limit, .is_ascii = scan.is_ascii};
        for (uint32_t i = 0; i < count; i++) {
            *ret_consumed = p.start - offset;
            if (batch_builder_is_full(out))
                return DECODE_FULL;
            p.end = lines[i].end;
            const bool good = read_record(&p, lines[i].is_ascii != 0);
            *ret_consumed = (p.end < limit ? p.end + 1 : limit) - offset;
            if (!good)
                return after_bad_line(&p, offset, limit, is_end, ret_consumed);
            p.start = offset + *ret_consumed;
        }
    }
    *ret_consumed = p.start - offset;
    return DECODE_DONE;
}

enum status json_decoder_open(void *self, const struct operator_spec *spec,
                              const struct schema *schema, struct error *err)
{
    struct json_decoder *decoder = self;
    struct option_value values[JSON_OPTION_COUNT];
    TRY(options_from_settings(json_options, spec->settings, spec->setting_count, "format.", values,
                              err));
    TRY(json_check_schema(schema, true, err));
    decoder->schema = schema_ref(schema);
    decoder->timestamps = (enum timestamp_form)values[JSON_TIMESTAMPS].integer;
    decoder->uses_vectors = cpu_has(CPU_SSE42);
    decoder->fields = allocate_array(schema->column_count, sizeof(struct type_field));
    for (uint32_t i = 0; i < schema->column_count; i++)
        decoder->fields[i] = (struct type_field){schema->columns[i].name, schema->columns[i].type};
    decoder->keys = allocate_array(schema->column_count, sizeof(struct json_key));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct text key;
        text_init(&key, 8 * SCHEMA_NAME_BYTES_MAX);
        text_append_json(&key, schema->columns[i].name, strlen(schema->columns[i].name));
        text_append_char(&key, ':');
        decoder->keys[i] = (struct json_key){.size = (uint32_t)key.size, .text = key.bytes};
    }
    text_init(&decoder->string, (size_t)UINT32_MAX / 4);
    text_init(&decoder->bytes, (size_t)UINT32_MAX / 4);
    return STATUS_OK;
}

void json_decoder_close(void *self)
{
    struct json_decoder *decoder = self;
    for (uint32_t i = 0; decoder->keys != NULL && i < decoder->schema->column_count; i++)
        free(decoder->keys[i].text);
    free(decoder->keys);
    schema_unref(decoder->schema);
    free(decoder->fields);
    text_done(&decoder->string);
    text_done(&decoder->bytes);
    *decoder = (struct json_decoder){0};
}
