/*
 * Regular expressions: POSIX ERE of the C library, with \d \w \s and (?:...) of Java's translated.
 * A constant pattern is compiled once; others are kept per evaluation as long as they repeat.
 * Bounds: pattern 1,000 bytes, text 64 KiB, no back-references, products of repetitions <= 1,000.
 */
#include "expressions/binder.h"
#include "expressions/characters.h"
#include "expressions/function.h"

#include "common/base/allocate.h"

#include <locale.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#define PATTERN_BYTES_MAX 1000
#define TEXT_BYTES_MAX    65536
#define GROUP_MAX         32
#define REPEAT_MAX        1000

struct pattern {
    regex_t regex;
    char source[PATTERN_BYTES_MAX + 1];
    uint32_t source_size;
    bool is_set;
    uint8_t groups[GROUP_MAX]; /* of the user: which of the translated one */
    uint32_t group_count;      /* with group 0 */
};

static locale_t utf8_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    utf8_locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

/* So that . is a character; matches are rounded to characters where the locale is missing. */
static locale_t enter_locale(void)
{
    (void)pthread_once(&locale_once, make_locale);
    return utf8_locale == (locale_t)0 ? (locale_t)0 : uselocale(utf8_locale);
}

static void leave_locale(locale_t before)
{
    if (before != (locale_t)0)
        (void)uselocale(before);
}

/* ---- translation ---- */

struct translation {
    struct text out;
    struct pattern *pattern;
    uint32_t repeats; /* product of the repetitions seen */
    uint32_t posix_groups;
    const char *problem;
};

/* Copies [...] and returns the position behind it. */
static uint32_t copy_bracket(struct translation *translation, struct slice from, uint32_t at)
{
    uint32_t end = at + 1;
    if (end < from.size && from.bytes[end] == '^')
        end++;
    if (end < from.size && from.bytes[end] == ']')
        end++;
    text_append_bytes(&translation->out, from.bytes + at, end - at);
    while (end < from.size && from.bytes[end] != ']') {
        const char c = from.bytes[end];
        if (c == '[' && end + 1 < from.size && strchr(":.=", from.bytes[end + 1]) != NULL) {
            const char closing[] = {from.bytes[end + 1], ']', '\0'};
            const char *close = memmem(from.bytes + end + 2, from.size - end - 2, closing, 2);
            if (close == NULL)
                break;
            const uint32_t behind = (uint32_t)(close - from.bytes) + 2;
            text_append_bytes(&translation->out, from.bytes + end, behind - end);
            end = behind;
        } else if (c == '\\' && end + 1 < from.size) {
            const char escaped = from.bytes[end + 1];
            const char *class = escaped == 'd'   ? "0-9"
                                : escaped == 'w' ? "a-zA-Z0-9_"
                                : escaped == 's' ? " \t\n\v\f\r"
                                                 : NULL;
            if (class != NULL)
                text_append(&translation->out, class);
            else
                text_append_char(&translation->out, escaped == 't'   ? '\t'
                                                    : escaped == 'n' ? '\n'
                                                                     : escaped);
            end += 2;
        } else {
            text_append_char(&translation->out, c);
            end++;
        }
    }
    if (end >= from.size)
        translation->problem = "a [ has no ]";
    else
        text_append_char(&translation->out, ']');
    return end + 1;
}

static void translate_escape(struct translation *translation, char c)
{
    struct text *out = &translation->out;
    if (c >= '1' && c <= '9')
        translation->problem = "back-references such as \\1 are not supported";
    else if (c == 'd')
        text_append(out, "[0-9]");
    else if (c == 'D')
        text_append(out, "[^0-9]");
    else if (c == 't')
        text_append_char(out, '\t');
    else if (c == 'n')
        text_append_char(out, '\n');
    else if (strchr("wWsSbB", c) != NULL)
        text_format(out, "\\%c", c);
    else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '0')
        translation->problem = "only the escapes \\d \\D \\w \\W \\s \\S \\b \\B \\t \\n are known";
    else
        text_format(out, "\\%c", c);
}

static uint32_t copy_repetition(struct translation *translation, struct slice from, uint32_t at)
{
    uint32_t end = at;
    uint32_t number = 0;
    uint32_t largest = 1;
    while (end < from.size && from.bytes[end] != '}') {
        const char c = from.bytes[end++];
        number =
            c >= '0' && c <= '9' && number <= REPEAT_MAX ? number * 10 + (uint32_t)(c - '0') : 0;
        largest = number > largest ? number : largest;
    }
    if (largest > REPEAT_MAX || translation->repeats * largest > REPEAT_MAX)
        translation->problem = "repetitions such as {n,m} multiply to more than 1000";
    else
        translation->repeats *= largest;
    if (end == from.size) {
        translation->problem = "a { has no }";
        return end;
    }
    text_append_bytes(&translation->out, from.bytes + at, end + 1 - at);
    return end + 1;
}

static uint32_t open_group(struct translation *translation, struct slice from, uint32_t at)
{
    struct pattern *pattern = translation->pattern;
    translation->posix_groups++;
    text_append_char(&translation->out, '(');
    if (translation->posix_groups >= GROUP_MAX)
        translation->problem = "there are more than 31 groups";
    if (at + 1 < from.size && from.bytes[at + 1] == '?') {
        if (at + 2 < from.size && from.bytes[at + 2] == ':')
            return at + 3;
        translation->problem = "of the (?...) forms only (?:...) is supported";
        return at + 2;
    }
    if (translation->problem == NULL)
        pattern->groups[pattern->group_count++] = (uint8_t)translation->posix_groups;
    return at + 1;
}

static uint32_t translate_one(struct translation *translation, struct slice from, uint32_t at)
{
    const char c = from.bytes[at];
    const char next = at + 1 < from.size ? from.bytes[at + 1] : '\0';
    if (c == '\\' && at + 1 == from.size) {
        translation->problem = "it ends in a backslash";
        return at + 1;
    }
    if (c == '\\') {
        translate_escape(translation, next);
        return at + 2;
    }
    if (c == '[')
        return copy_bracket(translation, from, at);
    if (c == '{')
        return copy_repetition(translation, from, at);
    if (c == '(')
        return open_group(translation, from, at);
    if (strchr("*+?}", c) != NULL && (next == '?' || next == '+'))
        translation->problem = "lazy and possessive repetitions (*?, ++) are not supported";
    text_append_char(&translation->out, c);
    return at + 1;
}

/* false: problem (of size bytes) says why the pattern is refused. */
static bool pattern_compile(struct pattern *pattern, struct slice source, char *problem,
                            size_t size)
{
    struct translation translation = {.pattern = pattern, .repeats = 1};
    text_init(&translation.out, PATTERN_BYTES_MAX * 16);
    pattern->group_count = 1;
    pattern->groups[0] = 0;
    if (source.size > PATTERN_BYTES_MAX)
        translation.problem = "it is longer than 1000 bytes";
    else if (memchr(source.bytes, '\0', source.size) != NULL)
        translation.problem = "it holds a NUL";
    for (uint32_t at = 0; at < source.size && translation.problem == NULL;)
        at = translate_one(&translation, source, at);
    if (translation.problem == NULL) {
        const locale_t before = enter_locale();
        const int code = regcomp(&pattern->regex, translation.out.bytes, REG_EXTENDED);
        leave_locale(before);
        if (code == 0) {
            memcpy(pattern->source, source.bytes, source.size);
            pattern->source_size = source.size;
            pattern->is_set = true;
        } else {
            (void)regerror(code, &pattern->regex, problem, size);
        }
    } else {
        (void)snprintf(problem, size, "%s", translation.problem);
    }
    text_done(&translation.out);
    return pattern->is_set;
}

static void pattern_done(struct pattern *pattern)
{
    if (pattern->is_set)
        regfree(&pattern->regex);
    pattern->is_set = false;
}

static void pattern_destroy(void *object)
{
    pattern_done(object);
    free(object);
}

/* ---- matching ---- */

struct matcher {
    struct call *call;
    const struct pattern *constant;
    struct pattern *own; /* the last one compiled here */
    locale_t before;
};

static void matcher_start(struct matcher *matcher, struct call *call)
{
    *matcher = (struct matcher){.call = call, .constant = call->node->state};
    if (matcher->constant == NULL)
        matcher->own = allocate(sizeof(*matcher->own));
    matcher->before = enter_locale();
}

static void matcher_done(struct matcher *matcher)
{
    leave_locale(matcher->before);
    if (matcher->own != NULL)
        pattern_destroy(matcher->own);
}

/* The pattern of the row; NULL: the row failed. */
static const struct pattern *matcher_pattern(struct matcher *matcher, uint32_t row)
{
    if (matcher->constant != NULL)
        return matcher->constant;
    const struct slice source = arg_string(matcher->call, 1, row);
    struct pattern *own = matcher->own;
    if (own->is_set && own->source_size == source.size &&
        memcmp(own->source, source.bytes, source.size) == 0)
        return own;
    char problem[160];
    pattern_done(own);
    if (pattern_compile(own, source, problem, sizeof(problem)))
        return own;
    call_raise(matcher->call, row, "bad regular expression: %s", problem);
    return NULL;
}

/* Finds from `start` on; parts are rounded to whole characters. */
static bool find_match(const struct pattern *pattern, struct slice text, uint32_t start,
                       regmatch_t *matches)
{
    matches[0].rm_so = (regoff_t)start;
    matches[0].rm_eo = (regoff_t)text.size;
    const int flags = REG_STARTEND | (start > 0 ? REG_NOTBOL : 0);
    if (regexec(&pattern->regex, text.bytes, GROUP_MAX, matches, flags) != 0)
        return false;
    for (size_t i = 0; i < GROUP_MAX; i++) {
        regmatch_t *match = &matches[i];
        while (match->rm_so > 0 && (uint32_t)match->rm_so < text.size &&
               byte_continues(text.bytes[match->rm_so]))
            match->rm_so--;
        while (match->rm_eo > 0 && (uint32_t)match->rm_eo < text.size &&
               byte_continues(text.bytes[match->rm_eo]))
            match->rm_eo++;
    }
    return true;
}

static bool text_fits(struct call *call, uint32_t row, struct slice text)
{
    if (text.size <= TEXT_BYTES_MAX)
        return true;
    call_raise(call, row, "a text of %u bytes is too long for a regular expression (64 KiB)",
               text.size);
    return false;
}

static void regexp(struct call *call)
{
    struct matcher matcher;
    matcher_start(&matcher, call);
    FOR_ROWS(call, row)
    {
        regmatch_t matches[GROUP_MAX];
        const struct slice text = arg_string(call, 0, row);
        const struct pattern *pattern = matcher_pattern(&matcher, row);
        if (pattern != NULL && text_fits(call, row, text))
            RESULT(call, uint8_t)[row] = find_match(pattern, text, 0, matches);
    }
    matcher_done(&matcher);
}

static void regexp_extract(struct call *call)
{
    struct matcher matcher;
    matcher_start(&matcher, call);
    const struct column *from = call->args[0].column;
    const uint32_t shift = column_share_buffers(call->result, from);
    FOR_ROWS(call, row)
    {
        regmatch_t matches[GROUP_MAX];
        const struct slice text = arg_string(call, 0, row);
        const int64_t group = call->arg_count > 2 ? ARG(call, 2, int64_t, row) : 0;
        const struct pattern *pattern = matcher_pattern(&matcher, row);
        if (pattern == NULL || !text_fits(call, row, text))
            continue;
        if (group < 0 || group >= pattern->group_count || !find_match(pattern, text, 0, matches)) {
            call_set_null(call, row);
            continue;
        }
        const regmatch_t match = matches[pattern->groups[group]];
        const struct string_view *view = &column_views(from)[arg_row(call, 0, row)];
        if (match.rm_so < 0)
            call_set_null(call, row);
        else
            column_views(call->result)[row] = string_view_part(
                from, view, shift, (uint32_t)match.rm_so, (uint32_t)(match.rm_eo - match.rm_so));
    }
    matcher_done(&matcher);
}

/* $1 stands for a group, \$ for a dollar. */
static void append_replacement(struct text *out, const struct pattern *pattern,
                               const regmatch_t *matches, struct slice text, struct slice with)
{
    for (uint32_t i = 0; i < with.size; i++) {
        const char c = with.bytes[i];
        const char next = i + 1 < with.size ? with.bytes[i + 1] : '\0';
        if (c == '\\' && i + 1 < with.size) {
            text_append_char(out, next);
            i++;
        } else if (c == '$' && next >= '0' && next <= '9' &&
                   (uint32_t)(next - '0') < pattern->group_count) {
            const regmatch_t match = matches[pattern->groups[next - '0']];
            if (match.rm_so >= 0)
                text_append_bytes(out, text.bytes + match.rm_so,
                                  (size_t)(match.rm_eo - match.rm_so));
            i++;
        } else {
            text_append_char(out, c);
        }
    }
}

static void replace_matches(struct text *out, const struct pattern *pattern, struct slice text,
                            struct slice with)
{
    regmatch_t matches[GROUP_MAX];
    uint32_t at = 0;
    while (at <= text.size && find_match(pattern, text, at, matches)) {
        const uint32_t start = (uint32_t)matches[0].rm_so;
        const uint32_t end = (uint32_t)matches[0].rm_eo;
        text_append_bytes(out, text.bytes + at, start > at ? start - at : 0);
        append_replacement(out, pattern, matches, text, with);
        at = end;
        if (end > start)
            continue;
        if (at >= text.size)
            return;
        const uint32_t size = character_size(text, at);
        text_append_bytes(out, text.bytes + at, size);
        at += size;
    }
    if (at < text.size)
        text_append_bytes(out, text.bytes + at, text.size - at);
}

static void regexp_replace(struct call *call)
{
    struct matcher matcher;
    matcher_start(&matcher, call);
    struct string_writer writer = string_writer_start(call, call->result);
    struct text out;
    text_init(&out, EXPRESSION_STRING_BYTES_MAX);
    FOR_ROWS(call, row)
    {
        const struct slice text = arg_string(call, 0, row);
        const struct pattern *pattern = matcher_pattern(&matcher, row);
        if (pattern == NULL || !text_fits(call, row, text))
            continue;
        text_clear(&out);
        replace_matches(&out, pattern, text, arg_string(call, 2, row));
        if (out.overflowed)
            call_raise(call, row, "the text would be longer than 16 MiB");
        else
            string_writer_put(&writer, row, out.bytes, (uint32_t)out.size);
    }
    text_done(&out);
    matcher_done(&matcher);
}

/* A constant pattern is compiled here, so that a wrong one is found at submit. */
static bool bind_pattern(struct binder *binder, struct node *node)
{
    struct slice source;
    source.bytes = bind_literal_string(node, 1, &source.size);
    if (source.bytes == NULL || binder->expression->keeps_literals_wide)
        return true;
    char problem[160];
    struct pattern *pattern = allocate(sizeof(*pattern));
    if (!pattern_compile(pattern, source, problem, sizeof(problem))) {
        free(pattern);
        return bind_fail(binder, node->args[1], "bad regular expression: %s", problem);
    }
    expression_own(binder->expression, pattern, pattern_destroy);
    node->state = pattern;
    return true;
}

const struct function functions_regexp[] = {
    {"regexp", "ss", 'b', 0, regexp, bind_pattern, "regexp(text, pattern)",
     "does a part match the POSIX extended regular expression", "regexp('apple', 'p+')", "BOOLEAN"},
    {"regexp_extract", "ss?i", 's', FUNCTION_GIVES_NULL, regexp_extract, bind_pattern,
     "regexp_extract(text, pattern [, group])",
     "the first match or one of its groups; NULL without a match",
     "regexp_extract('id=42', 'id=([0-9]+)', 1)", "STRING"},
    {"regexp_replace", "sss", 's', 0, regexp_replace, bind_pattern,
     "regexp_replace(text, pattern, replacement)",
     "every match replaced; $1 in the replacement is group 1",
     "regexp_replace('a1b22', '[0-9]+', '#')", "STRING"},
};
DEFINE_FAMILY_COUNT(regexp);
