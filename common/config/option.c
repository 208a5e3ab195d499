/* Option tables: see option.h. */
#include "common/config/option.h"

#include "common/base/nearest.h"
#include "common/graph/job_graph.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTION_NAMES_MAX 512

/* ---- numbers with units ---- */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"ms", 1},           {"milli", 1},       {"millis", 1},      {"millisecond", 1},
    {"s", 1000},         {"sec", 1000},      {"secs", 1000},     {"second", 1000},
    {"m", 60000},        {"min", 60000},     {"mins", 60000},    {"minute", 60000},
    {"h", 3600000},      {"hour", 3600000},  {"d", 86400000},    {"day", 86400000},
    {"hours", 3600000},  {"days", 86400000}, {"minutes", 60000}, {"seconds", 1000},
    {"milliseconds", 1},
};

#define KIBI (INT64_C(1) << 10)
static const struct unit size_units[] = {
    {"b", 1},
    {"byte", 1},
    {"bytes", 1},
    {"k", KIBI},
    {"kb", KIBI},
    {"kib", KIBI},
    {"m", KIBI *KIBI},
    {"mb", KIBI *KIBI},
    {"mib", KIBI *KIBI},
    {"g", KIBI *KIBI *KIBI},
    {"gb", KIBI *KIBI *KIBI},
    {"gib", KIBI *KIBI *KIBI},
    {"t", KIBI *KIBI *KIBI *KIBI},
    {"tb", KIBI *KIBI *KIBI *KIBI},
    {"tib", KIBI *KIBI *KIBI *KIBI},
};

enum unit_parse { UNIT_PARSE_OK, UNIT_PARSE_NO_UNIT, UNIT_PARSE_BAD, UNIT_PARSE_TOO_LARGE };

static const char *skip_spaces(const char *text)
{
    while (*text == ' ' || *text == '\t')
        text++;
    return text;
}

static enum unit_parse parse_with_unit(const char *text, const struct unit *units,
                                       size_t unit_count, int64_t *ret_value)
{
    const char *at = skip_spaces(text);
    if (*at < '0' || *at > '9')
        return UNIT_PARSE_BAD;
    int64_t number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *at - '0', &number))
            return UNIT_PARSE_TOO_LARGE;
    }
    at = skip_spaces(at);
    size_t size = strlen(at);
    while (size > 0 && (at[size - 1] == ' ' || at[size - 1] == '\t'))
        size--;
    if (size == 0) {
        *ret_value = number;
        return UNIT_PARSE_NO_UNIT;
    }
    for (size_t i = 0; i < unit_count; i++) {
        if (strlen(units[i].name) == size && strncasecmp(units[i].name, at, size) == 0)
            return __builtin_mul_overflow(number, units[i].factor, ret_value) ? UNIT_PARSE_TOO_LARGE
                                                                              : UNIT_PARSE_OK;
    }
    return UNIT_PARSE_BAD;
}

enum status parse_duration_ms(const char *text, enum option_units units, int64_t *ret_ms,
                              struct error *err)
{
    int64_t value = 0;
    switch (parse_with_unit(text, duration_units,
                            sizeof(duration_units) / sizeof(duration_units[0]), &value)) {
    case UNIT_PARSE_NO_UNIT:
        if (units == OPTION_UNITS_REQUIRED && value != 0)
            return error_set(err, STATUS_INVALID,
                             "expected a duration with its unit, such as \"%.30sms\" or "
                             "\"%.30ss\", got \"%.80s\"",
                             text, text, text);
        break;
    case UNIT_PARSE_BAD:
        return error_set(err, STATUS_INVALID,
                         "expected a duration such as \"500ms\", \"10 s\", \"5m\", \"2 h\" or "
                         "\"1 d\", got \"%.80s\"",
                         text);
    case UNIT_PARSE_TOO_LARGE:
        return error_set(err, STATUS_INVALID, "the duration \"%.80s\" is too long", text);
    case UNIT_PARSE_OK:
        break;
    }
    *ret_ms = value;
    return STATUS_OK;
}

enum status parse_size_bytes(const char *text, enum option_units units, int64_t *ret_bytes,
                             struct error *err)
{
    int64_t value = 0;
    switch (parse_with_unit(text, size_units, sizeof(size_units) / sizeof(size_units[0]), &value)) {
    case UNIT_PARSE_NO_UNIT:
        if (units == OPTION_UNITS_REQUIRED && value != 0)
            return error_set(err, STATUS_INVALID,
                             "expected a size with its unit, such as \"%.30sb\" or \"%.30sm\", "
                             "got \"%.80s\"",
                             text, text, text);
        break;
    case UNIT_PARSE_BAD:
        return error_set(err, STATUS_INVALID,
                         "expected a size such as \"512b\", \"64k\", \"128m\" or \"2g\", got "
                         "\"%.80s\"",
                         text);
    case UNIT_PARSE_TOO_LARGE:
        return error_set(err, STATUS_INVALID, "the size \"%.80s\" is too large", text);
    case UNIT_PARSE_OK:
        break;
    }
    *ret_bytes = value;
    return STATUS_OK;
}

/* ---- one value ---- */

static enum status parse_bool_option(const char *text, bool *ret_value, struct error *err)
{
    if (strcasecmp(text, "true") == 0)
        *ret_value = true;
    else if (strcasecmp(text, "false") == 0)
        *ret_value = false;
    else
        return error_set(err, STATUS_INVALID, "expected true or false, got \"%.80s\"", text);
    return STATUS_OK;
}

static enum status parse_int_option(const char *text, int64_t *ret_value, struct error *err)
{
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || isspace((unsigned char)*text))
        return error_set(err, STATUS_INVALID, "expected a whole number, got \"%.80s\"", text);
    if (errno == ERANGE)
        return error_set(err, STATUS_INVALID, "the number %.80s is out of range", text);
    *ret_value = value;
    return STATUS_OK;
}

static enum status parse_double_option(const struct option_spec *spec, const char *text,
                                       double *ret_value, struct error *err)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || isspace((unsigned char)*text) || !isfinite(value))
        return error_set(err, STATUS_INVALID, "expected a number, got \"%.80s\"", text);
    if ((spec->min != 0 || spec->max != 0) &&
        (value < (double)spec->min || value > (double)spec->max))
        return error_set(err, STATUS_INVALID, "expected a number from %lld to %lld, got %.80s",
                         (long long)spec->min, (long long)spec->max, text);
    *ret_value = value;
    return STATUS_OK;
}

static enum status parse_enum_option(const struct option_spec *spec, const char *text,
                                     int64_t *ret_value, struct error *err)
{
    size_t count = 0;
    for (; spec->choices[count] != NULL; count++) {
        if (strcasecmp(spec->choices[count], text) == 0) {
            *ret_value = (int64_t)count;
            return STATUS_OK;
        }
    }
    struct text names SCOPED_TEXT_BUFFER;
    text_init(&names, 400);
    for (size_t i = 0; i < count; i++)
        text_format(&names, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", spec->choices[i]);
    const char *nearest = nearest_name(text, spec->choices, count);
    if (nearest != NULL)
        return error_set(err, STATUS_INVALID, "expected %s, got \"%.80s\": did you mean \"%s\"?",
                         names.bytes, text, nearest);
    return error_set(err, STATUS_INVALID, "expected %s, got \"%.80s\"", names.bytes, text);
}

/* The bound of a size or duration as people write it: the largest unit that divides it. */
static void format_bound(enum option_type type, int64_t value, char *out, size_t size)
{
    const char *unit = "";
    if (type == OPTION_DURATION) {
        unit = "ms";
        if (value != 0 && value % 3600000 == 0) {
            value /= 3600000;
            unit = "h";
        } else if (value != 0 && value % 60000 == 0) {
            value /= 60000;
            unit = "m";
        } else if (value != 0 && value % 1000 == 0) {
            value /= 1000;
            unit = "s";
        }
    } else if (type == OPTION_SIZE) {
        static const char *const names[] = {"b", "k", "m", "g"};
        size_t i = 0;
        for (; i < 3 && value != 0 && value % KIBI == 0; i++)
            value /= KIBI;
        unit = names[i];
    }
    (void)snprintf(out, size, "%lld%s", (long long)value, unit);
}

static enum status check_bounds(const struct option_spec *spec, const char *text, int64_t value,
                                struct error *err)
{
    if ((spec->min == 0 && spec->max == 0) || (value >= spec->min && value <= spec->max))
        return STATUS_OK;
    char low[40];
    char high[40];
    format_bound(spec->type, spec->min, low, sizeof(low));
    format_bound(spec->type, spec->max, high, sizeof(high));
    if (spec->max == INT64_MAX)
        return error_set(err, STATUS_INVALID, "must be at least %s, got \"%.80s\"", low, text);
    return error_set(err, STATUS_INVALID, "must be from %s to %s, got \"%.80s\"", low, high, text);
}

static enum status parse_by_type(const struct option_spec *spec, const char *text,
                                 enum option_units units, struct option_value *value,
                                 struct error *err)
{
    switch (spec->type) {
    case OPTION_STRING:
    case OPTION_LIST:
    case OPTION_MAP:
        return STATUS_OK;
    case OPTION_BOOL:
        return parse_bool_option(text, &value->boolean, err);
    case OPTION_DOUBLE:
        return parse_double_option(spec, text, &value->real, err);
    case OPTION_ENUM:
        return parse_enum_option(spec, text, &value->integer, err);
    case OPTION_INT:
        TRY(parse_int_option(text, &value->integer, err));
        break;
    case OPTION_SIZE:
        TRY(parse_size_bytes(text, units, &value->integer, err));
        break;
    case OPTION_DURATION:
        TRY(parse_duration_ms(text, units, &value->integer, err));
        break;
    }
    return check_bounds(spec, text, value->integer, err);
}

enum status option_parse(const struct option_spec *spec, const char *text, enum option_units units,
                         struct option_value *ret_value, struct error *err)
{
    struct option_value value = {.text = text, .is_set = true, .integer = 0};
    const enum status code = parse_by_type(spec, text, units, &value, err);
    if (code != STATUS_OK && (spec->flags & OPTION_SECRET) != 0)
        return error_set(err, code, "option \"%s\": its value (hidden) is not valid", spec->name);
    if (code != STATUS_OK)
        return error_wrap(err, code, "option \"%s\"", spec->name);
    *ret_value = value;
    return STATUS_OK;
}

/* ---- tables ---- */

const struct option_spec *option_find(const struct option_spec *table, const char *name)
{
    if (table == NULL)
        return NULL;
    for (const struct option_spec *spec = table; spec->name != NULL; spec++) {
        if (strcmp(spec->name, name) == 0 ||
            (spec->alias != NULL && strcmp(spec->alias, name) == 0))
            return spec;
        /* "properties.*" takes every key below "properties." */
        const size_t size = strlen(spec->name);
        if (spec->type == OPTION_MAP && size > 1 && spec->name[size - 1] == '*' &&
            strncmp(spec->name, name, size - 1) == 0 && name[size - 1] != '\0')
            return spec;
    }
    return NULL;
}

const char *option_nearest(const struct option_spec *table, const char *name)
{
    const char *names[OPTION_NAMES_MAX];
    size_t count = 0;
    for (const struct option_spec *spec = table;
         spec != NULL && spec->name != NULL && count + 2 <= OPTION_NAMES_MAX; spec++) {
        names[count++] = spec->name;
        if (spec->alias != NULL)
            names[count++] = spec->alias;
    }
    return nearest_name(name, names, count);
}

static enum status unknown_option(const struct option_spec *table, const char *name,
                                  struct error *err)
{
    const char *nearest = option_nearest(table, name);
    if (nearest != NULL)
        return error_set(err, STATUS_INVALID, "unknown option \"%.100s\": did you mean \"%s\"?",
                         name, nearest);
    struct text known SCOPED_TEXT_BUFFER;
    text_init(&known, 500);
    for (const struct option_spec *spec = table; spec != NULL && spec->name != NULL; spec++)
        text_format(&known, "%s%s", known.size == 0 ? "" : ", ", spec->name);
    return error_set(err, STATUS_INVALID, "unknown option \"%.100s\"; known are: %s", name,
                     known.size > 0 ? known.bytes : "none");
}

static enum status fill_defaults(const struct option_spec *table, struct option_value *values,
                                 struct error *err)
{
    for (size_t i = 0; table[i].name != NULL; i++) {
        if (values[i].is_set)
            continue;
        values[i] = (struct option_value){.text = NULL, .is_set = false, .integer = 0};
        if ((table[i].flags & OPTION_REQUIRED) != 0)
            return error_set(err, STATUS_INVALID, "option \"%s\" is missing: %s", table[i].name,
                             table[i].help);
        if (table[i].fallback != NULL && table[i].type != OPTION_MAP) {
            TRY(option_parse(&table[i], table[i].fallback, OPTION_UNITS_OPTIONAL, &values[i], err));
            values[i].is_set = false;
        }
    }
    return STATUS_OK;
}

enum status options_from_settings(const struct option_spec *table, const struct setting *settings,
                                  size_t setting_count, const char *prefix,
                                  struct option_value *values, struct error *err)
{
    if (table == NULL)
        return STATUS_OK;
    const size_t prefix_size = strlen(prefix);
    for (size_t i = 0; table[i].name != NULL; i++)
        values[i] = (struct option_value){.text = NULL, .is_set = false, .integer = 0};
    for (size_t i = 0; i < setting_count; i++) {
        if (strncmp(settings[i].key, prefix, prefix_size) != 0)
            continue;
        const char *name = settings[i].key + prefix_size;
        const struct option_spec *spec = option_find(table, name);
        if (spec == NULL)
            return unknown_option(table, name, err);
        if (spec->type == OPTION_MAP)
            continue;
        TRY(option_parse(spec, settings[i].value, OPTION_UNITS_OPTIONAL, &values[spec - table],
                         err));
    }
    return fill_defaults(table, values, err);
}
