/*
 * What YAML does to expressions, and the line as it has to be (docs/jobs.md, "Expressions in
 * YAML"): in {...} and [...] the characters , [ ] { } end a text; everywhere ": ", " #" and some
 * first characters mean something else. Double quotes always work.
 */
#include "compiler/compiler.h"

#include <string.h>

#define SHOWN_LINE_BYTES_MAX 300

static const char *line_at(const struct compiler *compiler, uint32_t line, size_t *ret_size)
{
    const char *at = compiler->text;
    const char *end = compiler->text + compiler->text_size;
    for (uint32_t i = 1; i < line && at < end; i++) {
        const char *next = memchr(at, '\n', (size_t)(end - at));
        if (next == NULL)
            return NULL;
        at = next + 1;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t size = (size_t)((stop != NULL ? stop : end) - at);
    while (size > 0 && (at[size - 1] == '\r' || at[size - 1] == ' '))
        size--;
    *ret_size = size;
    return size > 0 && size <= SHOWN_LINE_BYTES_MAX ? at : NULL;
}

static void append_quoted(const char *text, size_t size, struct text *out)
{
    text_append_char(out, '"');
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"' || text[i] == '\\')
            text_append_char(out, '\\');
        text_append_char(out, text[i]);
    }
    text_append_char(out, '"');
}

static void append_corrected(const char *line, size_t size, size_t start, size_t end,
                             struct text *out)
{
    size_t first = 0;
    while (first < start && line[first] == ' ')
        first++;
    text_append(out, "; write: ");
    text_append_bytes(out, line + first, start - first);
    append_quoted(line + start, end - start, out);
    text_append_bytes(out, line + end, size - end);
}

/* Where the expression that begins at start ends, parentheses and quotes considered. */
static size_t expression_end(const char *line, size_t size, size_t start)
{
    size_t at = start;
    unsigned depth = 0;
    char quote = '\0';
    for (; at < size; at++) {
        const char c = line[at];
        if (quote != '\0') {
            if (c == quote)
                quote = '\0';
        } else if (c == '\'' || c == '"' || c == '`') {
            quote = c;
        } else if (c == '(' || c == '[') {
            depth++;
        } else if ((c == ')' || c == ']') && depth > 0) {
            depth--;
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            break;
        }
    }
    while (at > start && line[at - 1] == ' ')
        at--;
    return at;
}

static bool is_unbalanced(const char *text)
{
    int depth = 0;
    char quote = '\0';
    for (; *text != '\0'; text++) {
        if (quote != '\0') {
            quote = *text == quote ? '\0' : quote;
        } else if (*text == '\'' || *text == '"' || *text == '`') {
            quote = *text;
        } else if (*text == '(' || *text == '[') {
            depth++;
        } else if (*text == ')' || *text == ']') {
            depth--;
        }
    }
    return depth != 0 || quote != '\0';
}

void diagnose_expression(struct compiler *compiler, const char *text, uint32_t line,
                         uint32_t column, struct text *out)
{
    size_t size = 0;
    const char *source = line_at(compiler, line, &size);
    if (source == NULL || column == 0 || column > size)
        return;
    const size_t start = column - 1;
    const char first = source[start];
    if (first == '"' || first == '|' || first == '>')
        return;
    if (first == '\'') {
        /* word: 'abc' is the column abc to us, since YAML took the quotes. */
        const char *end = memchr(source + start + 1, '\'', size - start - 1);
        if (end == NULL || (size_t)(end - source) != start + 1 + strlen(text))
            return;
        text_append(out, ": YAML took the single quotes away");
        append_corrected(source, size, start, (size_t)(end - source) + 1, out);
        return;
    }
    const size_t end = expression_end(source, size, start);
    if (is_unbalanced(text) && end > start + strlen(text)) {
        text_append(out, ": YAML ends the text at , [ ] { } inside {...} and [...], and at \" #\"");
        append_corrected(source, size, start, end, out);
    }
}

void position_in_source(struct compiler *compiler, const char *text, uint32_t problem_line,
                        uint32_t problem_column, uint32_t *line, uint32_t *column)
{
    size_t size = 0;
    const char *source = line_at(compiler, *line, &size);
    if (source == NULL || *column == 0 || *column > size || problem_line == 0)
        return;
    const char first = source[*column - 1];
    if (first == '|' || first == '>') {
        source = line_at(compiler, *line + problem_line, &size);
        size_t indent = 0;
        while (source != NULL && indent < size && source[indent] == ' ')
            indent++;
        if (source == NULL || first == '>')
            return;
        *line += problem_line;
        *column = (uint32_t)indent + problem_column;
        return;
    }
    const size_t start = *column - 1 + (first == '"' || first == '\'');
    const size_t text_size = strlen(text);
    if (problem_line == 1 && start + text_size <= size &&
        memcmp(source + start, text, text_size) == 0)
        *column = (uint32_t)start + problem_column;
}

void diagnose_yaml_error(struct compiler *compiler, uint32_t line, struct text *out)
{
    /* libyaml stops at the line or at the next one. */
    for (uint32_t back = 0; back < 2 && back < line; back++) {
        size_t size = 0;
        const char *source = line_at(compiler, line - back, &size);
        if (source == NULL)
            continue;
        const char *colon = memmem(source, size, ": ", 2);
        if (colon == NULL)
            continue;
        size_t start = (size_t)(colon - source) + 2;
        while (start < size && source[start] == ' ')
            start++;
        const bool is_suspect =
            start < size && (strchr("'\"*&!|>%@[{`", source[start]) != NULL ||
                             memmem(source + start, size - start, ": ", 2) != NULL);
        if (!is_suspect || source[start] == '|' || source[start] == '>')
            continue;
        if (source[start] == '{' || source[start] == '[') {
            text_append(out, "; inside {...} and [...] put a text that holds , [ ] { } or ${...} "
                             "in double quotes, or write one key per line");
            return;
        }
        append_corrected(source, size, start, size, out);
        return;
    }
}
