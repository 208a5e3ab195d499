/* Strings made of others: joining, cutting, padding, letter case. */
#include "expressions/binder.h"
#include "expressions/characters.h"
#include "expressions/function.h"

#include <locale.h>
#include <pthread.h>
#include <wctype.h>

/* ---- parts: buffers are shared, nothing is copied ---- */

struct part {
    uint32_t start;
    uint32_t end;
};

typedef struct part part_function(const struct call *call, uint32_t row, struct slice text);

static void cut_parts(struct call *call, part_function *cut)
{
    const struct column *from = call->args[0].column;
    const uint32_t shift = column_share_buffers(call->result, from);
    FOR_ROWS(call, row)
    {
        const struct string_view *view = &column_views(from)[arg_row(call, 0, row)];
        const struct part part = cut(call, row, arg_string(call, 0, row));
        column_views(call->result)[row] =
            string_view_part(from, view, shift, part.start, part.end - part.start);
    }
}

/* Positions count from 1, negative ones from the end; 0 is as 1. */
static struct part cut_substring(const struct call *call, uint32_t row, struct slice text)
{
    const int64_t start = ARG(call, 1, int64_t, row);
    const int64_t length = call->arg_count > 2 ? ARG(call, 2, int64_t, row) : INT64_MAX;
    int64_t skipped = start > 0 ? start - 1 : 0;
    if (start < 0) {
        skipped = (int64_t)characters_count(text) + start;
        if (skipped < 0)
            return (struct part){0, 0};
    }
    const uint32_t from = characters_skip(text, 0, (uint64_t)skipped);
    return (struct part){from, length <= 0 ? from : characters_skip(text, from, (uint64_t)length)};
}

static struct part cut_left(const struct call *call, uint32_t row, struct slice text)
{
    const int64_t count = ARG(call, 1, int64_t, row);
    return (struct part){0, count <= 0 ? 0 : characters_skip(text, 0, (uint64_t)count)};
}

static struct part cut_right(const struct call *call, uint32_t row, struct slice text)
{
    const int64_t count = ARG(call, 1, int64_t, row);
    const int64_t all = characters_count(text);
    const int64_t skipped = count <= 0 ? all : count >= all ? 0 : all - count;
    return (struct part){characters_skip(text, 0, (uint64_t)skipped), text.size};
}

static bool contains_character(struct slice set, struct slice text, uint32_t at, uint32_t size)
{
    for (uint32_t i = 0; i < set.size; i += character_size(set, i)) {
        if (character_size(set, i) == size && memcmp(set.bytes + i, text.bytes + at, size) == 0)
            return true;
    }
    return false;
}

static struct part cut_ends(const struct call *call, uint32_t row, struct slice text, bool left,
                            bool right)
{
    const struct slice blank = {" ", 1};
    const struct slice set = call->arg_count > 1 ? arg_string(call, 1, row) : blank;
    struct part part = {0, text.size};
    while (left && part.start < part.end) {
        const uint32_t size = character_size(text, part.start);
        if (!contains_character(set, text, part.start, size))
            break;
        part.start += size;
    }
    while (right && part.end > part.start) {
        uint32_t at = part.end - 1;
        while (at > part.start && byte_continues(text.bytes[at]))
            at--;
        if (!contains_character(set, text, at, part.end - at))
            break;
        part.end = at;
    }
    return part;
}

static struct part cut_both(const struct call *call, uint32_t row, struct slice text)
{
    return cut_ends(call, row, text, true, true);
}

static struct part cut_leading(const struct call *call, uint32_t row, struct slice text)
{
    return cut_ends(call, row, text, true, false);
}

static struct part cut_trailing(const struct call *call, uint32_t row, struct slice text)
{
    return cut_ends(call, row, text, false, true);
}

#define DEFINE_CUT(name)                                                                           \
    static void name(struct call *call)                                                            \
    {                                                                                              \
        cut_parts(call, cut_##name);                                                               \
    }
DEFINE_CUT(substring)
DEFINE_CUT(left)
DEFINE_CUT(right)
DEFINE_CUT(both)
DEFINE_CUT(leading)
DEFINE_CUT(trailing)

/* ---- new strings ---- */

/* Room for size bytes; NULL: the row fails because that is too long. */
static char *reserve(struct call *call, struct string_writer *writer, uint32_t row, uint64_t size)
{
    if (size <= EXPRESSION_STRING_BYTES_MAX)
        return string_writer_reserve(writer, (uint32_t)size);
    call_raise(call, row, "the text would be longer than 16 MiB");
    return NULL;
}

static void concat(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        uint64_t size = 0;
        for (uint32_t i = 0; i < call->arg_count; i++)
            size += arg_string(call, i, row).size;
        char *out = reserve(call, &writer, row, size);
        if (out == NULL)
            continue;
        for (uint32_t i = 0; i < call->arg_count; i++) {
            const struct slice text = arg_string(call, i, row);
            memcpy(out, text.bytes, text.size);
            out += text.size;
        }
        string_writer_commit(&writer, row, (uint32_t)size);
    }
}

/* NULL parts are left out; a NULL separator gives NULL. */
static void concat_ws_row(struct call *call, struct string_writer *writer, uint32_t row)
{
    const struct slice separator = arg_string(call, 0, row);
    uint64_t size = 0;
    for (uint32_t i = 1; i < call->arg_count; i++) {
        if (!arg_is_null(call, i, row))
            size += arg_string(call, i, row).size + separator.size;
    }
    char *out = reserve(call, writer, row, size);
    if (out == NULL)
        return;
    uint32_t at = 0;
    bool is_first = true;
    for (uint32_t i = 1; i < call->arg_count; i++) {
        if (arg_is_null(call, i, row))
            continue;
        if (!is_first) {
            memcpy(out + at, separator.bytes, separator.size);
            at += separator.size;
        }
        const struct slice text = arg_string(call, i, row);
        memcpy(out + at, text.bytes, text.size);
        at += text.size;
        is_first = false;
    }
    string_writer_commit(writer, row, at);
}

static void concat_ws(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        if (arg_is_null(call, 0, row))
            call_set_null(call, row);
        else
            concat_ws_row(call, &writer, row);
    }
}

static void replace(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        const struct slice from = arg_string(call, 1, row);
        const struct slice to = arg_string(call, 2, row);
        uint64_t size = text.size;
        const char *at = text.bytes;
        const char *end = text.bytes + text.size;
        const char *found;
        while (from.size > 0 &&
               (found = memmem(at, (size_t)(end - at), from.bytes, from.size)) != NULL) {
            size = size - from.size + to.size;
            at = found + from.size;
        }
        char *out = reserve(call, &writer, row, size);
        if (out == NULL)
            continue;
        at = text.bytes;
        while (from.size > 0 &&
               (found = memmem(at, (size_t)(end - at), from.bytes, from.size)) != NULL) {
            memcpy(out, at, (size_t)(found - at));
            out += found - at;
            memcpy(out, to.bytes, to.size);
            out += to.size;
            at = found + from.size;
        }
        memcpy(out, at, (size_t)(end - at));
        string_writer_commit(&writer, row, (uint32_t)size);
    }
}

static void reverse(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        char *out = string_writer_reserve(&writer, text.size);
        for (uint32_t at = 0; at < text.size;) {
            const uint32_t size = character_size(text, at);
            memcpy(out + text.size - at - size, text.bytes + at, size);
            at += size;
        }
        string_writer_commit(&writer, row, text.size);
    }
}

static void repeat(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        const int64_t wanted = ARG(call, 1, int64_t, row);
        const uint64_t times = wanted < 0 || text.size == 0 ? 0 : (uint64_t)wanted;
        char *out = reserve(call, &writer, row,
                            times > EXPRESSION_STRING_BYTES_MAX ? UINT64_MAX : times * text.size);
        if (out == NULL)
            continue;
        for (uint64_t i = 0; i < times; i++)
            memcpy(out + i * text.size, text.bytes, text.size);
        string_writer_commit(&writer, row, (uint32_t)(times * text.size));
    }
}

/* To `length` characters; a negative length or an empty pad that is needed gives NULL. */
static void pad_row(struct call *call, struct string_writer *writer, uint32_t row, bool at_left)
{
    const struct slice text = arg_string(call, 0, row);
    const int64_t length = ARG(call, 1, int64_t, row);
    const struct slice pad = arg_string(call, 2, row);
    const int64_t characters = characters_count(text);
    if (length < 0 || (length > characters && pad.size == 0)) {
        call_set_null(call, row);
        return;
    }
    const uint32_t kept = characters_skip(text, 0, (uint64_t)length);
    const uint64_t missing = length > characters ? (uint64_t)(length - characters) : 0;
    const uint64_t pad_characters = pad.size > 0 ? characters_count(pad) : 1;
    const uint64_t whole = missing / pad_characters;
    const uint32_t rest = characters_skip(pad, 0, missing % pad_characters);
    char *out =
        reserve(call, writer, row,
                whole > EXPRESSION_STRING_BYTES_MAX ? UINT64_MAX : kept + whole * pad.size + rest);
    if (out == NULL)
        return;
    char *padding = at_left ? out : out + kept;
    memcpy(at_left ? out + whole * pad.size + rest : out, text.bytes, kept);
    for (uint64_t i = 0; i < whole; i++)
        memcpy(padding + i * pad.size, pad.bytes, pad.size);
    memcpy(padding + whole * pad.size, pad.bytes, rest);
    string_writer_commit(writer, row, (uint32_t)(kept + whole * pad.size + rest));
}

static void lpad(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row) pad_row(call, &writer, row, true);
}

static void rpad(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row) pad_row(call, &writer, row, false);
}

static uint32_t put_character(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static void chr(struct call *call)
{
    FOR_ROWS(call, row)
    {
        /* As Flink: the low byte of the number, as a character of Latin-1. */
        const int64_t code = ARG(call, 0, int64_t, row);
        char out[4];
        const uint32_t size = code < 0 ? 0 : put_character(out, (uint32_t)(code & 0xFF));
        column_views(call->result)[row] = string_view_inline(out, size);
    }
}

/* ---- letter case ---- */

static locale_t utf8_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;

/* Without that locale (a minimal image) only ASCII letters change. */
static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static uint32_t get_character(struct slice text, uint32_t at, uint32_t size)
{
    const unsigned char *bytes = (const unsigned char *)text.bytes + at;
    uint32_t c = size == 1 ? bytes[0] : bytes[0] & (0x7Fu >> size);
    for (uint32_t i = 1; i < size; i++)
        c = c << 6 | (bytes[i] & 0x3F);
    return c;
}

static uint32_t change_case(uint32_t c, bool to_upper)
{
    if (c < 0x80) {
        if (to_upper)
            return c >= 'a' && c <= 'z' ? c - 32 : c;
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    if (utf8_locale == (locale_t)0)
        return c;
    return (uint32_t)(to_upper ? towupper_l((wint_t)c, utf8_locale)
                               : towlower_l((wint_t)c, utf8_locale));
}

static bool is_word_character(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0x80;
}

enum letter_case { CASE_LOWER, CASE_UPPER, CASE_INITIAL };

static void letters(struct call *call, enum letter_case wanted)
{
    (void)pthread_once(&locale_once, make_locale);
    struct string_writer writer = string_writer_start(call, call->result);
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        /* A changed letter has at most one byte more (two become three). */
        char *out = reserve(call, &writer, row, text.size + text.size / 2 + 4);
        if (out == NULL)
            continue;
        uint32_t size = 0;
        bool in_word = false;
        for (uint32_t at = 0; at < text.size;) {
            const uint32_t length = character_size(text, at);
            const uint32_t c = get_character(text, at, length);
            const bool to_upper = wanted == CASE_UPPER || (wanted == CASE_INITIAL && !in_word);
            size += put_character(out + size, change_case(c, to_upper));
            in_word = is_word_character(c);
            at += length;
        }
        string_writer_commit(&writer, row, size);
    }
}

static void lower(struct call *call)
{
    letters(call, CASE_LOWER);
}

static void upper(struct call *call)
{
    letters(call, CASE_UPPER);
}

static void initcap(struct call *call)
{
    letters(call, CASE_INITIAL);
}

/* ---- numbers of strings ---- */

static void char_length(struct call *call)
{
    FOR_ROWS(call, row)
    RESULT(call, int32_t)[row] = (int32_t)characters_count(arg_string(call, 0, row));
}

static void octet_length(struct call *call)
{
    FOR_ROWS(call, row) RESULT(call, int32_t)[row] = (int32_t)arg_string(call, 0, row).size;
}

static void ascii(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        RESULT(call, int32_t)[row] = text.size == 0 ? 0 : (unsigned char)text.bytes[0];
    }
}

#define TRIM_HELP "without these characters (blanks if not given)"

const struct function functions_text[] = {
    {"||", "ss", 's', 0, concat, NULL, "a || b", "joined; NULL if one is NULL", "'ab' || 'c'",
     "STRING"},
    {"concat", "s*", 's', 0, concat, NULL, "concat(a, ...)", "joined; NULL if one is NULL",
     "concat('a', 'b', 'c')", "STRING"},
    {"concat_ws", "ss*", 's', FUNCTION_SEES_NULL, concat_ws, NULL, "concat_ws(separator, a, ...)",
     "joined with a separator, without those that are NULL", "concat_ws('-', 'a', NULL, 'b')",
     "STRING"},
    {"lower", "s", 's', 0, lower, NULL, "lower(text)", "in small letters", "lower('ABC')",
     "STRING"},
    {"upper", "s", 's', 0, upper, NULL, "upper(text)", "in capital letters", "upper('abc')",
     "STRING"},
    {"initcap", "s", 's', 0, initcap, NULL, "initcap(text)",
     "each word with a capital, the rest small", "initcap('hello world')", "STRING"},
    {"substring", "si?i", 's', 0, substring, NULL,
     "substring(text, start [, length]) or substring(text FROM start [FOR length])",
     "characters from start (1 is the first, negative from the end)", "substring('hello', 2, 3)",
     "STRING"},
    {"substr", "si?i", 's', 0, substring, NULL, "substr(text, start [, length])",
     "the same as substring", "substr('hello', -3)", "STRING"},
    {"left", "si", 's', 0, left, NULL, "left(text, count)", "the first characters",
     "left('hello', 2)", "STRING"},
    {"right", "si", 's', 0, right, NULL, "right(text, count)", "the last characters",
     "right('hello', 2)", "STRING"},
    {"trim", "s?s", 's', 0, both, NULL,
     "trim([BOTH | LEADING | TRAILING] [characters] FROM text) or trim(text)",
     "both ends " TRIM_HELP, "trim(BOTH 'x' FROM 'xxax')", "STRING"},
    {"ltrim", "s?s", 's', 0, leading, NULL, "ltrim(text [, characters])", "the start " TRIM_HELP,
     "ltrim('  a')", "STRING"},
    {"rtrim", "s?s", 's', 0, trailing, NULL, "rtrim(text [, characters])", "the end " TRIM_HELP,
     "rtrim('a  ')", "STRING"},
    {"replace", "sss", 's', 0, replace, NULL, "replace(text, from, to)", "every from made to",
     "replace('banana', 'an', 'o')", "STRING"},
    {"reverse", "s", 's', 0, reverse, NULL, "reverse(text)", "its characters backwards",
     "reverse('abc')", "STRING"},
    {"repeat", "si", 's', 0, repeat, NULL, "repeat(text, times)", "the text so many times",
     "repeat('ab', 3)", "STRING"},
    {"lpad", "sis", 's', FUNCTION_GIVES_NULL, lpad, NULL, "lpad(text, length, pad)",
     "filled at the left, or cut, to length characters", "lpad('7', 3, '0')", "STRING"},
    {"rpad", "sis", 's', FUNCTION_GIVES_NULL, rpad, NULL, "rpad(text, length, pad)",
     "filled at the right, or cut, to length characters", "rpad('7', 3, '.')", "STRING"},
    {"chr", "i", 's', 0, chr, NULL, "chr(code)", "the character of the code modulo 256", "chr(65)",
     "STRING"},
    {"ascii", "s", 'n', 0, ascii, NULL, "ascii(text)", "the first byte as a number, 0 if empty",
     "ascii('A')", "INT"},
    {"char_length", "s", 'n', 0, char_length, NULL, "char_length(text)", "characters",
     "char_length('hello')", "INT"},
    {"character_length", "s", 'n', 0, char_length, NULL, "character_length(text)", "characters",
     "character_length('hello')", "INT"},
    {"length", "s", 'n', 0, char_length, NULL, "length(text)", "characters", "length('hello')",
     "INT"},
    {"octet_length", "s", 'n', 0, octet_length, NULL, "octet_length(text)", "bytes of UTF-8",
     "octet_length('hello')", "INT"},
};
DEFINE_FAMILY_COUNT(text);
