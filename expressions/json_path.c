/* Values inside a JSON text by path: see json_path.h. */
#include "expressions/json_path.h"

/* ---- the path ---- */

static const char *parse_step(struct slice text, uint32_t *at, struct json_step *step)
{
    const char *bytes = text.bytes;
    if (bytes[*at] == '.') {
        step->start = ++*at;
        while (*at < text.size && strchr(".[ ", bytes[*at]) == NULL)
            (*at)++;
        step->size = *at - step->start;
        return step->size == 0 ? "a name is missing behind a dot" : NULL;
    }
    if (bytes[*at] != '[' || *at + 1 >= text.size)
        return "expected .name or [index]";
    const char quote = bytes[++*at];
    if (quote == '\'' || quote == '"') {
        step->start = ++*at;
        while (*at < text.size && bytes[*at] != quote)
            (*at)++;
        step->size = *at - step->start;
        if (*at + 1 >= text.size || bytes[*at + 1] != ']')
            return "a quoted name has no end ']";
        *at += 2;
        return NULL;
    }
    const uint32_t start = *at;
    step->is_index = true;
    while (*at < text.size && bytes[*at] >= '0' && bytes[*at] <= '9' && *at - start < 9)
        step->index = step->index * 10 + (uint32_t)(bytes[(*at)++] - '0');
    if (*at == start || *at >= text.size || bytes[*at] != ']')
        return "expected [index] with a number from 0, or ['name']";
    (*at)++;
    return NULL;
}

const char *json_path_parse(struct slice text, struct json_path *ret_path)
{
    struct json_path path = {.count = 0};
    uint32_t at = 0;
    if (text.size > 4 && memcmp(text.bytes, "lax ", 4) == 0)
        at = 4;
    else if (text.size > 7 && memcmp(text.bytes, "strict ", 7) == 0)
        at = 7;
    if (at >= text.size || text.bytes[at] != '$')
        return "it has to begin with $";
    at++;
    while (at < text.size) {
        if (path.count == JSON_PATH_STEPS_MAX)
            return "it has more than 32 steps";
        struct json_step step = {0};
        const char *problem = parse_step(text, &at, &step);
        if (problem != NULL)
            return problem;
        path.steps[path.count++] = step;
    }
    *ret_path = path;
    return NULL;
}

/* ---- the scanner ---- */

struct scanner {
    const char *at;
    const char *end;
};

static void skip_space(struct scanner *scanner)
{
    while (scanner->at < scanner->end && (*scanner->at == ' ' || *scanner->at == '\t' ||
                                          *scanner->at == '\n' || *scanner->at == '\r'))
        scanner->at++;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool skip_string(struct scanner *scanner)
{
    if (scanner->at >= scanner->end || *scanner->at != '"')
        return false;
    for (scanner->at++; scanner->at < scanner->end; scanner->at++) {
        const unsigned char c = (unsigned char)*scanner->at;
        if (c == '"') {
            scanner->at++;
            return true;
        }
        if (c < 0x20)
            return false;
        if (c != '\\')
            continue;
        if (++scanner->at >= scanner->end)
            return false;
        if (*scanner->at == 'u') {
            for (int i = 1; i <= 4; i++) {
                if (scanner->end - scanner->at <= i || !is_hex(scanner->at[i]))
                    return false;
            }
            scanner->at += 4;
            /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): NUL is no escape */
        } else if (memchr("\"\\/bfnrt", *scanner->at, 8) == NULL) {
            return false;
        }
    }
    return false;
}

static bool skip_digits(struct scanner *scanner)
{
    const char *start = scanner->at;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
        scanner->at++;
    return scanner->at > start;
}

static bool skip_number(struct scanner *scanner)
{
    if (scanner->at < scanner->end && *scanner->at == '-')
        scanner->at++;
    const char *start = scanner->at;
    if (!skip_digits(scanner) || (*start == '0' && scanner->at - start > 1))
        return false;
    if (scanner->at < scanner->end && *scanner->at == '.') {
        scanner->at++;
        if (!skip_digits(scanner))
            return false;
    }
    if (scanner->at < scanner->end && (*scanner->at == 'e' || *scanner->at == 'E')) {
        scanner->at++;
        if (scanner->at < scanner->end && (*scanner->at == '+' || *scanner->at == '-'))
            scanner->at++;
        return skip_digits(scanner);
    }
    return true;
}

static bool skip_word(struct scanner *scanner, const char *word)
{
    const size_t size = strlen(word);
    if ((size_t)(scanner->end - scanner->at) < size || memcmp(scanner->at, word, size) != 0)
        return false;
    scanner->at += size;
    return true;
}

static bool skip_value(struct scanner *scanner, uint32_t depth);

/* "name" : ; the scanner is behind the colon. */
static bool take_name(struct scanner *scanner, struct slice *ret_name)
{
    skip_space(scanner);
    const char *start = scanner->at;
    if (!skip_string(scanner))
        return false;
    *ret_name = (struct slice){start, (uint32_t)(scanner->at - start)};
    skip_space(scanner);
    return skip_word(scanner, ":");
}

/* Behind an element: true and *ret_more, or false if neither , nor the end follows. */
static bool take_separator(struct scanner *scanner, char close, bool *ret_more)
{
    skip_space(scanner);
    if (scanner->at >= scanner->end || (*scanner->at != ',' && *scanner->at != close))
        return false;
    *ret_more = *scanner->at == ',';
    scanner->at++;
    return true;
}

static bool at_empty(struct scanner *scanner, char close)
{
    skip_space(scanner);
    if (scanner->at >= scanner->end || *scanner->at != close)
        return false;
    scanner->at++;
    return true;
}

static bool skip_container(struct scanner *scanner, uint32_t depth)
{
    const bool is_object = *scanner->at == '{';
    const char close = is_object ? '}' : ']';
    scanner->at++;
    if (depth >= JSON_DEPTH_MAX)
        return false;
    if (at_empty(scanner, close))
        return true;
    bool more = true;
    while (more) {
        struct slice name;
        if (is_object && !take_name(scanner, &name))
            return false;
        if (!skip_value(scanner, depth + 1) || !take_separator(scanner, close, &more))
            return false;
    }
    return true;
}

static bool skip_value(struct scanner *scanner, uint32_t depth)
{
    skip_space(scanner);
    if (scanner->at >= scanner->end)
        return false;
    switch (*scanner->at) {
    case '{':
    case '[':
        return skip_container(scanner, depth);
    case '"':
        return skip_string(scanner);
    case 't':
        return skip_word(scanner, "true");
    case 'f':
        return skip_word(scanner, "false");
    case 'n':
        return skip_word(scanner, "null");
    default:
        return skip_number(scanner);
    }
}

/* ---- strings ---- */

static uint32_t hex_value(const char *bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = bytes[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

static uint32_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    const uint32_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (uint32_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (c & 0x3F));
        c >>= 6;
    }
    out[0] = (char)((0xF00 >> size & 0xF0) | c);
    return size;
}

/* \uXXXX at from (behind the u); pairs of surrogates are one character. */
static uint32_t take_unicode(const char **from, const char *end, char *out)
{
    uint32_t c = hex_value(*from);
    *from += 4;
    if (c >= 0xD800 && c < 0xDC00 && end - *from >= 6 && (*from)[0] == '\\' && (*from)[1] == 'u') {
        const uint32_t low = hex_value(*from + 2);
        if (low >= 0xDC00 && low < 0xE000) {
            *from += 6;
            return put_utf8(out, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
        }
    }
    return put_utf8(out, c >= 0xD800 && c < 0xE000 ? 0xFFFD : c);
}

uint32_t json_unescape(struct slice string, char *out)
{
    const char *from = string.bytes + 1;
    const char *end = string.bytes + string.size - 1;
    uint32_t size = 0;
    while (from < end) {
        if (*from != '\\') {
            out[size++] = *from++;
            continue;
        }
        const char c = from[1];
        from += 2;
        if (c == 'u')
            size += take_unicode(&from, end, out + size);
        else
            out[size++] = c == 'b'   ? '\b'
                          : c == 'f' ? '\f'
                          : c == 'n' ? '\n'
                          : c == 'r' ? '\r'
                          : c == 't' ? '\t'
                                     : c;
    }
    return size;
}

#define NAME_BYTES_MAX 1024

static bool name_is(struct slice name, struct slice wanted)
{
    char plain[NAME_BYTES_MAX];
    if (memchr(name.bytes, '\\', name.size) == NULL)
        return name.size - 2 == wanted.size &&
               memcmp(name.bytes + 1, wanted.bytes, wanted.size) == 0;
    return name.size <= sizeof(plain) && json_unescape(name, plain) == wanted.size &&
           memcmp(plain, wanted.bytes, wanted.size) == 0;
}

/* ---- following the path ---- */

static enum json_result enter_object(struct scanner *scanner, struct slice wanted,
                                     struct slice *ret_value)
{
    bool found = false;
    bool more = true;
    scanner->at++;
    if (at_empty(scanner, '}'))
        return JSON_MISSING;
    while (more) {
        struct slice name;
        if (!take_name(scanner, &name))
            return JSON_BROKEN;
        skip_space(scanner);
        const char *start = scanner->at;
        if (!skip_value(scanner, 1))
            return JSON_BROKEN;
        if (name_is(name, wanted)) {
            found = true;
            *ret_value = (struct slice){start, (uint32_t)(scanner->at - start)};
        }
        if (!take_separator(scanner, '}', &more))
            return JSON_BROKEN;
    }
    return found ? JSON_FOUND : JSON_MISSING;
}

static enum json_result enter_array(struct scanner *scanner, uint32_t index,
                                    struct slice *ret_value)
{
    enum json_result result = JSON_MISSING;
    bool more = true;
    scanner->at++;
    if (at_empty(scanner, ']'))
        return JSON_MISSING;
    for (uint32_t i = 0; more; i++) {
        skip_space(scanner);
        const char *start = scanner->at;
        if (!skip_value(scanner, 1))
            return JSON_BROKEN;
        if (i == index) {
            *ret_value = (struct slice){start, (uint32_t)(scanner->at - start)};
            result = JSON_FOUND;
        }
        if (!take_separator(scanner, ']', &more))
            return JSON_BROKEN;
    }
    return result;
}

enum json_result json_path_find(const struct json_path *path, struct slice path_text,
                                struct slice json, struct slice *ret_value)
{
    struct scanner scanner = {json.bytes, json.bytes + json.size};
    skip_space(&scanner);
    const char *start = scanner.at;
    if (!skip_value(&scanner, 0))
        return JSON_BROKEN;
    struct slice value = {start, (uint32_t)(scanner.at - start)};
    skip_space(&scanner);
    if (scanner.at != scanner.end)
        return JSON_BROKEN;
    for (uint32_t i = 0; i < path->count; i++) {
        const struct json_step *step = &path->steps[i];
        const struct slice name = {path_text.bytes + step->start, step->size};
        scanner = (struct scanner){value.bytes, value.bytes + value.size};
        enum json_result result = JSON_MISSING;
        if (!step->is_index && value.bytes[0] == '{')
            result = enter_object(&scanner, name, &value);
        else if (step->is_index && value.bytes[0] == '[')
            result = enter_array(&scanner, step->index, &value);
        if (result != JSON_FOUND)
            return result;
    }
    *ret_value = value;
    return JSON_FOUND;
}
