/*
 * Pieces of JSON text, read in place: white space, strings, numbers, values to be ignored. For
 * json_decode.c alone; inline is what runs for every field.
 *
 * A function that returns bool fills the error in before it returns false, unless it says here what
 * false means. On failure `at` is anywhere.
 */
#ifndef CONNECTORS_FORMATS_JSON_PARSE_H
#define CONNECTORS_FORMATS_JSON_PARSE_H

#include "connectors/formats/json.h"

#include <string.h>

#ifdef __x86_64__
#include <emmintrin.h>
#endif

/* One record, and how far it has been read. */
struct json_parse {
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

struct json_string {
    const char *bytes;
    uint32_t size;
    bool is_shared; /* lies in the buffer: nothing was escaped */
};

/* "<what>, got ...", at the place reached. */
void json_report(struct json_parse *p, const char *what) __attribute__((cold));
/* "expected BIGINT", with what stands at `at`. */
void json_report_type(struct json_parse *p, const struct type *type, uint32_t at)
    __attribute__((cold));

static inline bool json_fail(struct json_parse *p, const char *what)
{
    json_report(p, what);
    return false;
}

static inline bool json_fail_type(struct json_parse *p, const struct type *type, uint32_t at)
{
    json_report_type(p, type, at);
    return false;
}

static inline void json_skip_space(struct json_parse *p)
{
    while (p->at < p->end) {
        const char c = p->bytes[p->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            break;
        p->at++;
    }
}

static inline bool json_take_char(struct json_parse *p, char c)
{
    json_skip_space(p);
    if (p->at >= p->end || p->bytes[p->at] != c)
        return false;
    p->at++;
    return true;
}

/* The portable twin of json_find_special. */
uint32_t json_find_special_scalar(const char *bytes, uint32_t at, uint32_t end);

/* The first quote, backslash or control character. Reads up to 15 bytes behind end. */
static inline uint32_t json_find_special(const struct json_parse *p, uint32_t at)
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
    return json_find_special_scalar(p->bytes, at, p->end);
}

/* A string with escapes, from its first byte on; p->at is at the first escape. */
bool json_read_escaped(struct json_parse *p, uint32_t first, struct json_string *ret_string);

/* At the opening quote. */
static inline bool json_read_string(struct json_parse *p, struct json_string *ret_string)
{
    const uint32_t first = ++p->at;
    p->at = json_find_special(p, first);
    if (__builtin_expect(p->at < p->end && p->bytes[p->at] == '"', 1)) {
        *ret_string = (struct json_string){p->bytes + first, p->at - first, true};
        p->at++;
        return true;
    }
    if (p->at < p->end && p->bytes[p->at] == '\\')
        return json_read_escaped(p, first, ret_string);
    return json_fail(p, "expected the end of a string");
}

/* false: the word is not there; nothing was moved. */
static inline bool json_take_word(struct json_parse *p, const char *word, uint32_t size)
{
    if (p->end - p->at < size || memcmp(p->bytes + p->at, word, size) != 0)
        return false;
    p->at += size;
    return true;
}

/* Moves over a number by the grammar; false: there is none, without an error. */
bool json_skip_number(struct json_parse *p, bool *ret_is_integer);
/* Any integer by the grammar, from `first` on; false: as skip_number. */
bool json_read_long_integer(struct json_parse *p, uint32_t first, int64_t *ret_value);

/* Up to 18 digits in one loop; what is longer or looks odd goes the long way. */
static inline bool json_read_integer(struct json_parse *p, int64_t *ret_value)
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
        return json_read_long_integer(p, start, ret_value);
    p->at = (uint32_t)(at - p->bytes);
    *ret_value = is_negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* Any value, checked by the grammar. */
bool json_skip_value(struct json_parse *p);

#endif
