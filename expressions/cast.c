/* Casts: which exist, and their kernels. Parsing of text is common/data/value_text. */
#include "expressions/binder.h"
#include "expressions/decimal_math.h"
#include "expressions/time_math.h"

#include "common/data/value_text.h"

#include <math.h>

/* A text that is no value of the type: NULL with TRY_CAST, else the row fails. */
static void reject(struct call *call, uint32_t row)
{
    if (call->node->is_try)
        call_set_null(call, row);
    else
        call_raise(call, row, "not a valid %s", type_text(call->node->type));
}

/* ---- numbers ---- */

#define DEFINE_CONVERT(name, from_type, to_type)                                                   \
    static void name(struct call *call)                                                            \
    {                                                                                              \
        to_type *out = RESULT(call, to_type);                                                      \
        KERNEL_LOOP(call, row, out[row] = (to_type)ARG(call, 0, from_type, row););                 \
    }
DEFINE_CONVERT(int_to_bigint, int32_t, int64_t)
DEFINE_CONVERT(int_to_double, int32_t, double)
DEFINE_CONVERT(bigint_to_double, int64_t, double)
DEFINE_CONVERT(float_to_double, float, double)

struct number {
    enum { NUMBER_INTEGER, NUMBER_FLOATING, NUMBER_DECIMAL } form;
    int64_t integer;
    double floating;
    __int128 decimal;
};

static struct number load_number(const struct column *column, uint32_t row)
{
    struct number number = {.form = NUMBER_INTEGER};
    switch (column->type.kind) {
    case TYPE_BOOLEAN:
        number.integer = ((const uint8_t *)column->values)[row];
        break;
    case TYPE_TINYINT:
        number.integer = ((const int8_t *)column->values)[row];
        break;
    case TYPE_SMALLINT:
        number.integer = ((const int16_t *)column->values)[row];
        break;
    case TYPE_INT:
        number.integer = ((const int32_t *)column->values)[row];
        break;
    case TYPE_BIGINT:
        number.integer = ((const int64_t *)column->values)[row];
        break;
    case TYPE_FLOAT:
        number.form = NUMBER_FLOATING;
        number.floating = (double)((const float *)column->values)[row];
        break;
    case TYPE_DOUBLE:
        number.form = NUMBER_FLOATING;
        number.floating = ((const double *)column->values)[row];
        break;
    default:
        number.form = NUMBER_DECIMAL;
        number.decimal = ((const __int128 *)column->values)[row];
        break;
    }
    return number;
}

/* As Java's (long) and (int): cut, limited to the range, NaN is 0. */
static int64_t double_to_integer(double value, int64_t min, int64_t max)
{
    if (isnan(value))
        return 0;
    if (value <= (double)min)
        return min;
    return value >= (double)max ? max : (int64_t)value;
}

static int64_t number_to_integer(const struct number *number, unsigned scale, bool is_bigint)
{
    if (number->form == NUMBER_INTEGER)
        return number->integer;
    if (number->form == NUMBER_FLOATING)
        return double_to_integer(number->floating, is_bigint ? INT64_MIN : INT32_MIN,
                                 is_bigint ? INT64_MAX : INT32_MAX);
    return (int64_t)(unsigned __int128)(number->decimal / decimal_power(scale));
}

static double number_to_double(const struct number *number, unsigned scale)
{
    if (number->form == NUMBER_INTEGER)
        return (double)number->integer;
    return number->form == NUMBER_FLOATING ? number->floating
                                           : decimal_to_double(number->decimal, scale);
}

/* false: it does not fit, which is NULL. */
static bool number_to_decimal(const struct number *number, unsigned scale, struct type type,
                              __int128 *ret_value)
{
    const struct decimal_shape to = {type.precision, type.scale};
    if (number->form == NUMBER_FLOATING)
        return decimal_from_double(number->floating, to, ret_value);
    return number->form == NUMBER_INTEGER ? decimal_rescale(number->integer, 0, to, ret_value)
                                          : decimal_rescale(number->decimal, scale, to, ret_value);
}

static void store_number(struct call *call, uint32_t row, const struct number *number)
{
    const unsigned scale = call->args[0].column->type.scale;
    const struct type type = call->node->type;
    switch (type.kind) {
    case TYPE_BOOLEAN:
        RESULT(call, uint8_t)
        [row] = number->form == NUMBER_DECIMAL ? number->decimal != 0
                                               : number_to_double(number, scale) != 0.0;
        return;
    case TYPE_TINYINT:
        RESULT(call, int8_t)[row] = (int8_t)number_to_integer(number, scale, false);
        return;
    case TYPE_SMALLINT:
        RESULT(call, int16_t)[row] = (int16_t)number_to_integer(number, scale, false);
        return;
    case TYPE_INT:
        RESULT(call, int32_t)[row] = (int32_t)number_to_integer(number, scale, false);
        return;
    case TYPE_BIGINT:
        RESULT(call, int64_t)[row] = number_to_integer(number, scale, true);
        return;
    case TYPE_FLOAT:
        RESULT(call, float)[row] = (float)number_to_double(number, scale);
        return;
    case TYPE_DOUBLE:
        RESULT(call, double)[row] = number_to_double(number, scale);
        return;
    default:
        if (!number_to_decimal(number, scale, type, &RESULT(call, __int128)[row]))
            call_set_null(call, row);
        return;
    }
}

static void cast_number(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const struct number number = load_number(call->args[0].column, arg_row(call, 0, row));
        store_number(call, row, &number);
    }
}

/* ---- from text ---- */

static struct slice trimmed(struct slice text)
{
    while (text.size > 0 && text.bytes[0] == ' ') {
        text.bytes++;
        text.size--;
    }
    while (text.size > 0 && text.bytes[text.size - 1] == ' ')
        text.size--;
    return text;
}

static bool parse_integer(const struct call *call, uint32_t row, struct slice text, int64_t min,
                          int64_t max)
{
    int64_t value;
    if (!parse_int64(text.bytes, text.size, &value)) {
        __int128 whole; /* "12.7" is 12, as in Flink */
        struct slice digits = text;
        const char *point = memchr(text.bytes, '.', text.size);
        if (point == NULL || !parse_decimal(text.bytes, text.size, 38, 18, &whole))
            return false;
        digits.size = (uint32_t)(point - text.bytes);
        if (!parse_int64(digits.bytes, digits.size, &value))
            return false;
    }
    if (value < min || value > max)
        return false;
    const size_t size = type_value_size(call->node->type.kind);
    memcpy((char *)call->result->values + row * size, &value, size); /* little-endian */
    return true;
}

static bool parse_moment(const struct call *call, uint32_t row, struct slice text)
{
    const struct time_zone *zone = scratch_expression(call->scratch)->time_zone;
    const struct type type = call->node->type;
    const bool is_ltz = type.kind == TYPE_TIMESTAMP_LTZ;
    int64_t *out = &RESULT(call, int64_t)[row];
    int32_t east = 0;
    bool has_zone = false;
    int32_t days;
    if (parse_date(text.bytes, text.size, &days))
        return moment_store(call->result, row, (struct moment){days * DAY_US, 0}, zone);
    if (!parse_timestamp(text.bytes, text.size, type.precision, out, is_ltz ? &east : NULL,
                         is_ltz ? &has_zone : NULL))
        return false;
    if (!is_ltz)
        return true;
    const int64_t ticks = type_timestamp_ticks(type);
    if (!has_zone)
        east = time_zone_offset_local(zone, floor_divide(*out, ticks));
    *out -= east * ticks;
    return true;
}

static bool parse_value(const struct call *call, uint32_t row, struct slice text)
{
    const struct type type = call->node->type;
    double floating;
    bool truth;
    switch (type.kind) {
    case TYPE_BOOLEAN:
        if (!parse_bool(text.bytes, text.size, &truth))
            return false;
        RESULT(call, uint8_t)[row] = truth;
        return true;
    case TYPE_TINYINT:
        return parse_integer(call, row, text, INT8_MIN, INT8_MAX);
    case TYPE_SMALLINT:
        return parse_integer(call, row, text, INT16_MIN, INT16_MAX);
    case TYPE_INT:
        return parse_integer(call, row, text, INT32_MIN, INT32_MAX);
    case TYPE_BIGINT:
        return parse_integer(call, row, text, INT64_MIN, INT64_MAX);
    case TYPE_FLOAT:
        if (!parse_double(text.bytes, text.size, &floating))
            return false;
        RESULT(call, float)[row] = (float)floating;
        return true;
    case TYPE_DOUBLE:
        return parse_double(text.bytes, text.size, &RESULT(call, double)[row]);
    case TYPE_DATE: {
        int64_t ticks;
        if (parse_date(text.bytes, text.size, &RESULT(call, int32_t)[row]))
            return true;
        if (!parse_timestamp(text.bytes, text.size, 6, &ticks, NULL, NULL))
            return false;
        RESULT(call, int32_t)[row] = (int32_t)floor_divide(ticks, DAY_US);
        return true;
    }
    case TYPE_TIME:
        return parse_time(text.bytes, text.size, &RESULT(call, int64_t)[row]);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        return parse_moment(call, row, text);
    default:
        return false;
    }
}

/* A number too large is NULL, another text is rejected. */
static void text_to_decimal(struct call *call, uint32_t row, struct slice text)
{
    const struct type type = call->node->type;
    double value;
    if (parse_decimal(text.bytes, text.size, type.precision, type.scale,
                      &RESULT(call, __int128)[row]))
        return;
    if (parse_double(text.bytes, text.size, &value) && !isnan(value) && !isinf(value))
        call_set_null(call, row);
    else
        reject(call, row);
}

static void cast_from_text(struct call *call)
{
    const bool is_decimal = call->node->type.kind == TYPE_DECIMAL;
    FOR_ROWS(call, row)
    {
        const struct slice text = trimmed(arg_string(call, 0, row));
        if (is_decimal)
            text_to_decimal(call, row, text);
        else if (!parse_value(call, row, text))
            reject(call, row);
    }
}

/* ---- to text ---- */

/* Bytes of the first `characters` characters. */
static uint32_t prefix_bytes(struct slice text, uint32_t characters, uint32_t *ret_characters)
{
    uint32_t at = 0;
    uint32_t count = 0;
    while (at < text.size && count < characters) {
        at++;
        while (at < text.size && ((unsigned char)text.bytes[at] & 0xC0) == 0x80)
            at++;
        count++;
    }
    *ret_characters = count;
    return at;
}

/* VARCHAR(n) is cut, CHAR(n) also padded with blanks. */
static void put_text(struct call *call, struct string_writer *writer, uint32_t row,
                     struct slice text)
{
    const struct type type = call->node->type;
    if (type.kind == TYPE_STRING || type.kind == TYPE_BYTES) {
        string_writer_put(writer, row, text.bytes, text.size);
        return;
    }
    uint32_t characters;
    const uint32_t size = prefix_bytes(text, type.length, &characters);
    const uint32_t padding = type.kind == TYPE_CHAR ? type.length - characters : 0;
    if (padding > EXPRESSION_STRING_BYTES_MAX - size) {
        call_raise(call, row, "a CHAR of %u characters is too long", type.length);
        return;
    }
    char *out = string_writer_reserve(writer, size + padding);
    memcpy(out, text.bytes, size);
    memset(out + size, ' ', padding);
    string_writer_commit(writer, row, size + padding);
}

static void cast_text_length(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    KERNEL_LOOP(call, row, put_text(call, &writer, row, arg_string(call, 0, row)););
}

/* An instant is shown in the session's zone. */
static void format_value(struct call *call, uint32_t row, struct text *out)
{
    const struct column *column = call->args[0].column;
    const uint32_t from = arg_row(call, 0, row);
    const struct time_zone *zone = scratch_expression(call->scratch)->time_zone;
    if (column->type.kind != TYPE_TIMESTAMP_LTZ || zone == NULL) {
        column_format_value(column, from, out);
        return;
    }
    const struct moment moment = moment_load(column, from, zone);
    const int64_t scale = type_timestamp_ticks(column->type) / 1000000;
    format_timestamp(moment.us * scale + moment.ns, column->type.precision, out);
}

static void cast_to_text(struct call *call)
{
    struct string_writer writer = string_writer_start(call, call->result);
    struct text out;
    text_init(&out, EXPRESSION_STRING_BYTES_MAX);
    FOR_ROWS(call, row)
    {
        text_clear(&out);
        format_value(call, row, &out);
        const struct slice text = {out.bytes, (uint32_t)out.size};
        if (out.overflowed)
            call_raise(call, row, "the text is longer than 16 MiB");
        else
            put_text(call, &writer, row, text);
    }
    text_done(&out);
}

/* BYTES from and to text: the same bytes, if they are UTF-8. */
static void cast_same_bytes(struct call *call)
{
    const struct column *from = call->args[0].column;
    const uint32_t shift = column_share_buffers(call->result, from);
    const bool checks = from->type.kind == TYPE_BYTES;
    FOR_ROWS(call, row)
    {
        const struct string_view *view = &column_views(from)[arg_row(call, 0, row)];
        if (checks && !utf8_is_valid(string_view_bytes(from, view), view->size)) {
            reject(call, row);
            continue;
        }
        column_views(call->result)[row] = string_view_part(from, view, shift, 0, view->size);
    }
}

/* ---- times ---- */

static void cast_moment(struct call *call)
{
    const struct time_zone *zone = scratch_expression(call->scratch)->time_zone;
    FOR_ROWS(call, row)
    {
        const struct moment moment = moment_load(call->args[0].column, arg_row(call, 0, row), zone);
        if (!moment_store(call->result, row, moment, zone))
            call_set_null(call, row);
    }
}

static void cast_instant_precision(struct call *call)
{
    FOR_ROWS(call, row)
    {
        struct moment moment = moment_load(call->args[0].column, arg_row(call, 0, row), NULL);
        if (!moment_store(call->result, row, moment, NULL))
            call_set_null(call, row);
    }
}

/* ---- which casts exist ---- */

static kernel_function *number_kernel(enum type_kind from, enum type_kind to)
{
    if (from == TYPE_INT && to == TYPE_BIGINT)
        return int_to_bigint;
    if (from == TYPE_INT && to == TYPE_DOUBLE)
        return int_to_double;
    if (from == TYPE_BIGINT && to == TYPE_DOUBLE)
        return bigint_to_double;
    return from == TYPE_FLOAT && to == TYPE_DOUBLE ? float_to_double : cast_number;
}

static bool is_moment(enum type_kind kind)
{
    return kind == TYPE_DATE || type_is_timestamp(kind);
}

static kernel_function *text_kernel(struct type from, struct type to)
{
    if (type_is_view(from.kind))
        return to.kind == TYPE_STRING || to.kind == TYPE_BYTES ? cast_same_bytes
               : from.kind == TYPE_BYTES                       ? NULL
                                                               : cast_text_length;
    return cast_to_text;
}

static bool is_number(enum type_kind kind)
{
    return type_is_numeric(kind) || kind == TYPE_BOOLEAN;
}

static kernel_function *nested_kernel(struct type from, struct type to);

kernel_function *cast_kernel(struct type from, struct type to)
{
    if (to.child_count > 0)
        return nested_kernel(from, to);
    if (is_number(from.kind) && is_number(to.kind))
        return number_kernel(from.kind, to.kind);
    if (type_is_string(to.kind) || (to.kind == TYPE_BYTES && type_is_view(from.kind)))
        return text_kernel(from, to);
    if (type_is_string(from.kind))
        return is_number(to.kind) || is_moment(to.kind) || to.kind == TYPE_TIME ? cast_from_text
                                                                                : NULL;
    if (from.kind == TYPE_TIMESTAMP_LTZ && to.kind == TYPE_TIMESTAMP_LTZ)
        return cast_instant_precision;
    if (is_moment(from.kind) && is_moment(to.kind))
        return cast_moment;
    if (to.kind == TYPE_TIME && (type_is_timestamp(from.kind) || from.kind == TYPE_TIME))
        return cast_moment;
    return from.kind == to.kind && to.kind != TYPE_BYTES && from.child_count == 0 ? cast_moment
                                                                                  : NULL;
}

/* Nested values keep their structure; only names and nullability may differ. */
static void cast_nested(struct call *call)
{
    struct column *from = call->args[0].column;
    uint32_t *rows = scratch_take_rows(call->scratch);
    memset(rows, 0, call->row_count * sizeof(uint32_t));
    KERNEL_LOOP(call, row, rows[row] = arg_row(call, 0, row););
    column_unref(call->result);
    call->result = column_gather(from, rows, call->row_count);
    call->result->type = call->node->type;
    scratch_give_rows(call->scratch, rows);
}

static bool same_structure(struct type from, struct type to)
{
    if (from.kind != to.kind || from.precision != to.precision || from.scale != to.scale ||
        from.child_count != to.child_count)
        return false;
    for (uint16_t i = 0; i < to.child_count; i++) {
        if (!same_structure(from.children[i].type, to.children[i].type))
            return false;
    }
    return true;
}

static kernel_function *nested_kernel(struct type from, struct type to)
{
    return same_structure(from, to) ? cast_nested : NULL;
}
