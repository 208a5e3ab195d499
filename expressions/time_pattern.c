/* Java's patterns for times: see time_pattern.h. */
#include "expressions/time_pattern.h"

#include "common/data/value_text.h"

#include <strings.h>

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* One element: a run of a letter, or literal text (letter 0). */
struct element {
    char letter;
    uint32_t count;
    const char *literal;
    uint32_t literal_size;
};

/* Takes the element at *at. A quote '' is a literal quote. */
static struct element next_element(struct slice pattern, uint32_t *at)
{
    const char c = pattern.bytes[*at];
    struct element element = {0};
    if (is_letter(c)) {
        element.letter = c == 'u' ? 'y' : c;
        while (*at < pattern.size && pattern.bytes[*at] == c) {
            element.count++;
            (*at)++;
        }
        return element;
    }
    element.literal = pattern.bytes + *at;
    element.literal_size = 1;
    if (c != '\'') {
        (*at)++;
        return element;
    }
    if (*at + 1 < pattern.size && pattern.bytes[*at + 1] == '\'') {
        *at += 2;
        return element;
    }
    const char *start = element.literal + 1;
    const char *end = memchr(start, '\'', pattern.size - *at - 1);
    if (end == NULL)
        end = pattern.bytes + pattern.size;
    element.literal = start;
    element.literal_size = (uint32_t)(end - start);
    *at = (uint32_t)(end - pattern.bytes) + 1;
    return element;
}

const char *time_pattern_check(struct slice pattern)
{
    if (pattern.size > TIME_PATTERN_BYTES_MAX)
        return "it is longer than 200 bytes";
    for (uint32_t at = 0; at < pattern.size;) {
        const struct element element = next_element(pattern, &at);
        if (element.letter != 0 && strchr("yMdHhmsSaE", element.letter) == NULL)
            return "of the letters only y M d H h m s S a E are known (others go in 'quotes')";
        if (element.count > 9)
            return "a letter stands more than 9 times";
    }
    return NULL;
}

/* ---- formatting ---- */

struct fields {
    struct civil_date date;
    int64_t days;
    int hour, minute, second;
    int64_t ns;
};

static struct fields split_moment(struct moment moment)
{
    struct fields fields = {.days = floor_divide(moment.us, DAY_US)};
    const int64_t of_day = moment.us - fields.days * DAY_US;
    fields.date = civil_from_days(fields.days);
    fields.hour = (int)(of_day / INT64_C(3600000000));
    fields.minute = (int)(of_day / 60000000 % 60);
    fields.second = (int)(of_day / 1000000 % 60);
    fields.ns = of_day % 1000000 * 1000 + moment.ns;
    return fields;
}

static void format_number(struct text *out, int64_t value, uint32_t digits)
{
    text_format(out, "%0*lld", (int)digits, (long long)value);
}

static void format_name(struct text *out, const char *name, bool is_short)
{
    text_append_bytes(out, name, is_short ? 3 : strlen(name));
}

static void format_element(struct text *out, struct element element, const struct fields *fields)
{
    static const int64_t powers[] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                     10000,      1000,      100,      10,      1};
    const uint32_t count = element.count;
    switch (element.letter) {
    case 'y':
        if (count == 2)
            format_number(out, (fields->date.year % 100 + 100) % 100, 2);
        else
            format_number(out, fields->date.year, count);
        return;
    case 'M':
        if (count >= 3)
            format_name(out, months[fields->date.month - 1], count == 3);
        else
            format_number(out, fields->date.month, count);
        return;
    case 'd':
        format_number(out, fields->date.day, count);
        return;
    case 'H':
        format_number(out, fields->hour, count);
        return;
    case 'h':
        format_number(out, (fields->hour + 11) % 12 + 1, count);
        return;
    case 'm':
        format_number(out, fields->minute, count);
        return;
    case 's':
        format_number(out, fields->second, count);
        return;
    case 'S':
        format_number(out, fields->ns / powers[count], count);
        return;
    case 'a':
        text_append(out, fields->hour < 12 ? "AM" : "PM");
        return;
    case 'E':
        format_name(out, weekdays[((fields->days + 3) % 7 + 7) % 7], count <= 3);
        return;
    default:
        text_append_bytes(out, element.literal, element.literal_size);
        return;
    }
}

void time_pattern_format(struct slice pattern, struct moment moment, struct text *out)
{
    const struct fields fields = split_moment(moment);
    for (uint32_t at = 0; at < pattern.size;)
        format_element(out, next_element(pattern, &at), &fields);
}

/* ---- parsing ---- */

struct parsed {
    int64_t year, month, day, hour, minute, second, ns;
    bool has_half; /* hours of 1 to 12 with a */
    bool is_pm;
    bool is_half_hour;
};

/* A number of min to max digits. */
static bool take_number(struct slice text, uint32_t *at, uint32_t min, uint32_t max,
                        int64_t *ret_value)
{
    const uint32_t start = *at;
    int64_t value = 0;
    while (*at < text.size && *at - start < max && text.bytes[*at] >= '0' && text.bytes[*at] <= '9')
        value = value * 10 + (text.bytes[(*at)++] - '0');
    *ret_value = value;
    return *at - start >= min;
}

static bool take_name(struct slice text, uint32_t *at, const char *const *names, size_t count,
                      bool is_short, int64_t *ret_index)
{
    for (size_t i = 0; i < count; i++) {
        const size_t size = is_short ? 3 : strlen(names[i]);
        if (text.size - *at >= size && strncasecmp(text.bytes + *at, names[i], size) == 0) {
            *at += (uint32_t)size;
            *ret_index = (int64_t)i + 1;
            return true;
        }
    }
    return false;
}

static bool take_fraction(struct slice text, uint32_t *at, uint32_t count, int64_t *ret_ns)
{
    const uint32_t start = *at;
    if (!take_number(text, at, count, count, ret_ns))
        return false;
    for (uint32_t digits = *at - start; digits < 9; digits++)
        *ret_ns *= 10;
    return true;
}

static bool parse_element(struct slice text, uint32_t *at, struct element element,
                          struct parsed *parsed)
{
    static const char *const halves[] = {"AM", "PM"};
    const uint32_t count = element.count;
    /* A single letter takes one or two digits, a double one exactly two. */
    const uint32_t max = count < 2 ? 2 : count;
    int64_t index;
    switch (element.letter) {
    case 'y':
        if (count == 2) {
            if (!take_number(text, at, 2, 2, &parsed->year))
                return false;
            parsed->year += 2000;
            return true;
        }
        return take_number(text, at, count < 4 ? 1 : 4, 4, &parsed->year);
    case 'M':
        return count >= 3 ? take_name(text, at, months, 12, count == 3, &parsed->month)
                          : take_number(text, at, count, max, &parsed->month);
    case 'd':
        return take_number(text, at, count, max, &parsed->day);
    case 'h':
        parsed->is_half_hour = true;
        return take_number(text, at, count, max, &parsed->hour) && parsed->hour >= 1 &&
               parsed->hour <= 12;
    case 'H':
        return take_number(text, at, count, max, &parsed->hour);
    case 'm':
        return take_number(text, at, count, max, &parsed->minute);
    case 's':
        return take_number(text, at, count, max, &parsed->second);
    case 'S':
        return take_fraction(text, at, count, &parsed->ns);
    case 'a':
        parsed->has_half = true;
        if (text.size - *at < 2)
            return false;
        parsed->is_pm = strncasecmp(text.bytes + *at, halves[1], 2) == 0;
        *at += 2;
        return parsed->is_pm || strncasecmp(text.bytes + *at - 2, halves[0], 2) == 0;
    case 'E':
        return take_name(text, at, weekdays, 7, count <= 3, &index);
    default:
        if (element.literal == NULL || text.size - *at < element.literal_size ||
            memcmp(text.bytes + *at, element.literal, element.literal_size) != 0)
            return false;
        *at += element.literal_size;
        return true;
    }
}

bool time_pattern_parse(struct slice pattern, struct slice text, struct moment *ret_moment)
{
    struct parsed parsed = {.year = 1970, .month = 1, .day = 1};
    uint32_t in_text = 0;
    for (uint32_t at = 0; at < pattern.size;) {
        if (!parse_element(text, &in_text, next_element(pattern, &at), &parsed))
            return false;
    }
    if (parsed.is_half_hour)
        parsed.hour = parsed.hour % 12 + (parsed.has_half && parsed.is_pm ? 12 : 0);
    if (in_text != text.size || parsed.month < 1 || parsed.month > 12 || parsed.day < 1 ||
        parsed.day > days_of_month(parsed.year, (int)parsed.month) || parsed.hour > 23 ||
        parsed.minute > 59 || parsed.second > 59)
        return false;
    const int64_t days = days_from_civil(parsed.year, (int)parsed.month, (int)parsed.day);
    const int64_t seconds = (parsed.hour * 60 + parsed.minute) * 60 + parsed.second;
    ret_moment->us = days * DAY_US + seconds * 1000000 + parsed.ns / 1000;
    ret_moment->ns = (int32_t)(parsed.ns % 1000);
    return true;
}
