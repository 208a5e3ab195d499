/* Times from and to text and numbers: date_format, to_timestamp, unix_timestamp, ... */
#include "expressions/binder.h"
#include "expressions/function.h"
#include "expressions/time_math.h"
#include "expressions/time_pattern.h"

#include "common/data/value_text.h"

static const struct slice default_pattern = {"yyyy-MM-dd HH:mm:ss", 19};

static const struct time_zone *zone_of(const struct call *call)
{
    return scratch_expression(call->scratch)->time_zone;
}

/* The pattern in argument i (the default without one); false: the row failed. */
static bool row_pattern(const struct call *call, uint32_t i, uint32_t row, struct slice *ret)
{
    if (i >= call->arg_count) {
        *ret = default_pattern;
        return true;
    }
    *ret = arg_string(call, i, row);
    const char *problem = time_pattern_check(*ret);
    if (problem != NULL)
        call_raise(call, row, "bad time pattern: %s", problem);
    return problem == NULL;
}

/* A constant pattern is checked at submit. */
static bool bind_pattern(struct binder *binder, struct node *node, uint32_t i)
{
    if (binder->expression->keeps_literals_wide)
        return true;
    struct slice pattern;
    pattern.bytes = bind_literal_string(node, i, &pattern.size);
    const char *problem = pattern.bytes == NULL ? NULL : time_pattern_check(pattern);
    return problem == NULL || bind_fail(binder, node->args[i], "bad time pattern: %s", problem);
}

static bool bind_second_pattern(struct binder *binder, struct node *node)
{
    return bind_pattern(binder, node, 1);
}

/* ---- to text ---- */

static void put_formatted(struct call *call, struct string_writer *writer, struct text *out,
                          uint32_t row, struct moment moment)
{
    struct slice pattern;
    if (!row_pattern(call, 1, row, &pattern))
        return;
    text_clear(out);
    time_pattern_format(pattern, moment, out);
    string_writer_put(writer, row, out->bytes, (uint32_t)out->size);
}

#define FORMATTED_BYTES_MAX 4096

static void date_format(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    struct text out;
    text_init(&out, FORMATTED_BYTES_MAX);
    FOR_ROWS(call, row)
    put_formatted(call, &writer, &out, row,
                  moment_load(call->args[0].column, arg_row(call, 0, row), zone_of(call)));
    text_done(&out);
}

static bool bind_date_format(struct binder *binder, struct node *node)
{
    const enum type_kind kind = node->args[0]->type.kind;
    if ((type_is_string(kind) || kind == TYPE_NONE) &&
        !bind_coerce(binder, node, 0, type_of_kind(TYPE_TIMESTAMP)))
        return false;
    const enum type_kind now = node->args[0]->type.kind;
    if (now != TYPE_DATE && !type_is_timestamp(now))
        return bind_fail(binder, node, "date_format needs a DATE or a timestamp, not %s",
                         type_text(node->args[0]->type));
    return bind_pattern(binder, node, 1);
}

#define SECONDS_MAX INT64_C(6000000000000) /* the year 192,000 */

static void from_unixtime(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    struct text out;
    text_init(&out, FORMATTED_BYTES_MAX);
    FOR_ROWS(call, row)
    {
        const int64_t seconds = ARG(call, 0, int64_t, row);
        if (seconds > SECONDS_MAX || seconds < -SECONDS_MAX) {
            call_set_null(call, row);
            continue;
        }
        const int64_t local = seconds + time_zone_offset(zone_of(call), seconds);
        put_formatted(call, &writer, &out, row, (struct moment){local * 1000000, 0});
    }
    text_done(&out);
}

/* ---- from text: NULL if it does not match ---- */

static bool read_moment(struct call *call, uint32_t row, struct moment *ret_moment)
{
    const struct slice text = arg_string(call, 0, row);
    if (call->arg_count < 2) { /* without a pattern: what CAST reads */
        int64_t ns;
        int32_t days;
        if (parse_date(text.bytes, text.size, &days)) {
            *ret_moment = (struct moment){days * DAY_US, 0};
            return true;
        }
        if (!parse_timestamp(text.bytes, text.size, 6, &ns, NULL, NULL))
            return false;
        *ret_moment = (struct moment){ns, 0};
        return true;
    }
    struct slice pattern;
    return row_pattern(call, 1, row, &pattern) && time_pattern_parse(pattern, text, ret_moment);
}

/* Of the type of the result: DATE, TIMESTAMP, TIMESTAMP_LTZ. */
static void to_moment(struct call *call)
{
    FOR_ROWS(call, row)
    {
        struct moment moment;
        if (!read_moment(call, row, &moment) ||
            !moment_store(call->result, row, moment, zone_of(call)))
            call_set_null(call, row);
    }
}

static void unix_timestamp(struct call *call)
{
    FOR_ROWS(call, row)
    {
        struct moment moment;
        if (!read_moment(call, row, &moment)) {
            call_set_null(call, row);
            continue;
        }
        const int64_t local = floor_divide(moment.us, 1000000);
        RESULT(call, int64_t)[row] = local - time_zone_offset_local(zone_of(call), local);
    }
}

static bool bind_unix_timestamp(struct binder *binder, struct node *node)
{
    if (node->arg_count == 0)
        return bind_fail(binder, node,
                         "unix_timestamp() without a text is not available: its value would differ "
                         "when rows are processed again after a failure");
    return bind_pattern(binder, node, 1);
}

static bool bind_to_timestamp(struct binder *binder, struct node *node)
{
    node->type = type_of_kind(TYPE_TIMESTAMP);
    node->type.precision = 3;
    return bind_pattern(binder, node, 1);
}

/* ---- to_timestamp_ltz(number, precision), to_timestamp_ltz(text [, pattern]) ---- */

static void ltz_from_number(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const int64_t value = ARG(call, 0, int64_t, row);
        const int64_t precision = call->arg_count > 1 ? ARG(call, 1, int64_t, row) : 3;
        const int64_t factor = precision == 0 ? 1000000 : precision == 3 ? 1000 : 1;
        if (precision != 0 && precision != 3 && precision != 6)
            call_raise(call, row, "the precision has to be 0 (seconds), 3 (ms) or 6 (us)");
        else if (__builtin_mul_overflow(value, factor, &RESULT(call, int64_t)[row]))
            call_set_null(call, row);
    }
}

static bool bind_ltz_from_number(struct binder *binder, struct node *node)
{
    node->type = type_of_kind(TYPE_TIMESTAMP_LTZ);
    node->type.precision = 3;
    if (node->arg_count < 2)
        return true;
    const struct node *arg = node->args[1];
    if (arg->kind != NODE_LITERAL || column_is_null(arg->literal, 0))
        return true;
    const int64_t precision = ((const int64_t *)arg->literal->values)[0];
    if (precision != 0 && precision != 3 && precision != 6)
        return bind_fail(binder, arg, "the precision has to be 0 (seconds), 3 (ms) or 6 (us)");
    if (precision == 6)
        node->type.precision = 6;
    return true;
}

static bool bind_ltz_from_text(struct binder *binder, struct node *node)
{
    node->type = type_of_kind(TYPE_TIMESTAMP_LTZ);
    node->type.precision = 3;
    return bind_pattern(binder, node, 1);
}

#define NULL_UNLESS FUNCTION_GIVES_NULL

const struct function functions_time_text[] = {
    {"date_format", "xs", 's', 0, date_format, bind_date_format, "date_format(time, pattern)",
     "as text by Java's pattern letters y M d H h m s S a E",
     "date_format(TIMESTAMP '2024-02-29 13:14:15', 'yyyy/MM/dd HH:mm')", "STRING"},
    {"to_timestamp", "s?s", 0, NULL_UNLESS, to_moment, bind_to_timestamp,
     "to_timestamp(text [, pattern])", "NULL if the text does not match",
     "to_timestamp('29.02.2024', 'dd.MM.yyyy')", "TIMESTAMP(3)"},
    {"to_timestamp_ltz", "i?i", 0, NULL_UNLESS, ltz_from_number, bind_ltz_from_number,
     "to_timestamp_ltz(number, precision)",
     "the instant so many seconds (0), milliseconds (3) or microseconds (6) after 1970",
     "to_timestamp_ltz(1700000000123, 3)", "TIMESTAMP_LTZ(3)"},
    {"to_timestamp_ltz", "s?s", 0, NULL_UNLESS, to_moment, bind_ltz_from_text,
     "to_timestamp_ltz(text [, pattern])", "local time of the session; NULL if it does not match",
     "to_timestamp_ltz('2024-02-29 13:14:15')", "TIMESTAMP_LTZ(3)"},
    {"to_date", "s?s", 'D', NULL_UNLESS, to_moment, bind_second_pattern,
     "to_date(text [, pattern])", "NULL if the text does not match", "to_date('2024-02-29')",
     "DATE"},
    {"unix_timestamp", "?ss", 'i', NULL_UNLESS, unix_timestamp, bind_unix_timestamp,
     "unix_timestamp(text [, pattern])", "seconds since 1970 of a local time; NULL if no match",
     "unix_timestamp('1970-01-02 00:00:00')", "BIGINT"},
    {"from_unixtime", "i?s", 's', NULL_UNLESS, from_unixtime, bind_second_pattern,
     "from_unixtime(seconds [, pattern])", "the local time of the session as text",
     "from_unixtime(86400)", "STRING"},
};
DEFINE_FAMILY_COUNT(time_text);
