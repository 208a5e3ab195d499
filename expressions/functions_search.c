/* Finding in strings: LIKE, position and the like. */
#include "expressions/binder.h"
#include "expressions/characters.h"
#include "expressions/function.h"

/* ---- LIKE: % any characters, _ one ---- */

/* Does the pattern's element at p match the text at t? Gives the sizes taken. */
static bool matches_one(struct slice text, uint32_t t, struct slice pattern, uint32_t p,
                        struct slice escape, uint32_t *ret_text, uint32_t *ret_pattern)
{
    uint32_t literal = p;
    if (escape.size > 0 && pattern.size - p > escape.size &&
        memcmp(pattern.bytes + p, escape.bytes, escape.size) == 0) {
        literal = p + escape.size;
    } else if (pattern.bytes[p] == '_') {
        *ret_text = character_size(text, t);
        *ret_pattern = 1;
        return true;
    }
    const uint32_t size = character_size(pattern, literal);
    *ret_text = size;
    *ret_pattern = literal + size - p;
    return text.size - t >= size && memcmp(text.bytes + t, pattern.bytes + literal, size) == 0;
}

/* Greedy with one place to go back to, the last %: O(text * pattern) at worst. */
static bool like_matches(struct slice text, struct slice pattern, struct slice escape)
{
    uint32_t t = 0;
    uint32_t p = 0;
    uint32_t back_p = UINT32_MAX;
    uint32_t back_t = 0;
    while (t < text.size || p < pattern.size) {
        uint32_t text_size;
        uint32_t pattern_size;
        const bool is_percent = p < pattern.size && pattern.bytes[p] == '%' &&
                                !(escape.size == 1 && escape.bytes[0] == '%');
        if (is_percent) {
            back_p = ++p;
            back_t = t;
        } else if (p < pattern.size && t < text.size &&
                   matches_one(text, t, pattern, p, escape, &text_size, &pattern_size)) {
            t += text_size;
            p += pattern_size;
        } else if (back_p != UINT32_MAX && back_t < text.size) {
            back_t += character_size(text, back_t);
            t = back_t;
            p = back_p;
        } else {
            return false;
        }
    }
    return true;
}

static void like(struct call *call)
{
    FOR_ROWS(call, row)
    {
        struct slice escape = {"", 0};
        if (call->arg_count > 2) {
            escape = arg_string(call, 2, row);
            if (characters_count(escape) != 1) {
                call_raise(call, row, "ESCAPE needs one character");
                continue;
            }
        }
        RESULT(call, uint8_t)
        [row] = like_matches(arg_string(call, 0, row), arg_string(call, 1, row), escape);
    }
}

/* ---- positions, in characters from 1; 0 if there is none ---- */

static int32_t find_position(struct slice text, struct slice part, int64_t start)
{
    if (start < 1)
        return 0;
    const uint32_t from = characters_skip(text, 0, (uint64_t)start - 1);
    const char *found = memmem(text.bytes + from, text.size - from, part.bytes, part.size);
    if (found == NULL)
        return 0;
    const struct slice before = {text.bytes, (uint32_t)(found - text.bytes)};
    return (int32_t)characters_count(before) + 1;
}

/* position(part IN text), locate(part, text [, start]) */
static void position(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const int64_t start = call->arg_count > 2 ? ARG(call, 2, int64_t, row) : 1;
        RESULT(call, int32_t)
        [row] = find_position(arg_string(call, 1, row), arg_string(call, 0, row), start);
    }
}

static void instr(struct call *call)
{
    FOR_ROWS(call, row)
    RESULT(call, int32_t)
    [row] = find_position(arg_string(call, 0, row), arg_string(call, 1, row), 1);
}

static void starts_with(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        const struct slice part = arg_string(call, 1, row);
        RESULT(call, uint8_t)
        [row] = part.size <= text.size && memcmp(text.bytes, part.bytes, part.size) == 0;
    }
}

static void ends_with(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        const struct slice part = arg_string(call, 1, row);
        RESULT(call, uint8_t)
        [row] = part.size <= text.size &&
                memcmp(text.bytes + text.size - part.size, part.bytes, part.size) == 0;
    }
}

const struct function functions_search[] = {
    {"like", "ss?s", 'b', 0, like, NULL, "text [NOT] LIKE pattern [ESCAPE character]",
     "the whole text matches: % any characters, _ one", "'apple' LIKE 'a%e'", "BOOLEAN"},
    {"position", "ss", 'n', 0, position, NULL, "position(part IN text)",
     "where the part begins, from 1; 0 if nowhere", "position('l' IN 'hello')", "INT"},
    {"locate", "ss?i", 'n', 0, position, NULL, "locate(part, text [, start])",
     "position, searched from start on", "locate('l', 'hello', 4)", "INT"},
    {"instr", "ss", 'n', 0, instr, NULL, "instr(text, part)", "position with swapped arguments",
     "instr('hello', 'l')", "INT"},
    {"starts_with", "ss", 'b', 0, starts_with, NULL, "starts_with(text, part)",
     "does it begin with the part", "starts_with('hello', 'he')", "BOOLEAN"},
    {"startswith", "ss", 'b', 0, starts_with, NULL, "startswith(text, part)",
     "the same as starts_with", "startswith('hello', 'he')", "BOOLEAN"},
    {"ends_with", "ss", 'b', 0, ends_with, NULL, "ends_with(text, part)",
     "does it end with the part", "ends_with('hello', 'lo')", "BOOLEAN"},
    {"endswith", "ss", 'b', 0, ends_with, NULL, "endswith(text, part)", "the same as ends_with",
     "endswith('hello', 'lo')", "BOOLEAN"},
};
DEFINE_FAMILY_COUNT(search);
