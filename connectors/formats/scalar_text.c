/* Values of simple types from and to text: see scalar_text.h. */
#include "connectors/formats/scalar_text.h"

#include "common/base/check.h"
#include "common/data/value_text.h"

const char *const timestamp_form_choices[] = {"sql", "epoch_ms", NULL};

bool scalar_text_supports(struct type type, bool with_nested)
{
    if (type.kind == TYPE_NONE || type.kind == TYPE_INTERVAL_MONTH ||
        type.kind == TYPE_INTERVAL_SECOND)
        return false;
    if (type.kind == TYPE_MAP && !type_is_string(type.children[0].type.kind))
        return false;
    if (type_value_size(type.kind) == 0 && !with_nested)
        return false;
    for (uint32_t i = 0; i < type.child_count; i++) {
        if (!scalar_text_supports(type.children[i].type, with_nested))
            return false;
    }
    return true;
}

bool scalar_int_append(struct batch_builder *builder, uint32_t column, const struct type *type,
                       int64_t value)
{
    const size_t size = type_value_size(type->kind);
    if (size < sizeof(value)) {
        const int64_t limit = INT64_C(1) << (8 * size - 1);
        if (value < -limit || value >= limit)
            return false;
    }
    batch_builder_int(builder, column, value);
    return true;
}

bool scalar_epoch_ms_append(struct batch_builder *builder, uint32_t column, const struct type *type,
                            int64_t ms)
{
    int64_t ticks = 0;
    if (__builtin_mul_overflow(ms, type_timestamp_ticks(*type) / 1000, &ticks))
        return false;
    batch_builder_int(builder, column, ticks);
    return true;
}

static bool append_timestamp(struct batch_builder *builder, uint32_t column,
                             const struct type *type, const char *text, size_t size,
                             enum timestamp_form form)
{
    int64_t ticks = 0;
    if (form == TIMESTAMP_FORM_EPOCH_MS)
        return parse_int64(text, size, &ticks) &&
               scalar_epoch_ms_append(builder, column, type, ticks);
    int32_t zone = 0;
    bool has_zone = false;
    const bool takes_zone = type->kind == TYPE_TIMESTAMP_LTZ;
    if (!parse_timestamp(text, size, type->precision, &ticks, takes_zone ? &zone : NULL,
                         takes_zone ? &has_zone : NULL) ||
        __builtin_sub_overflow(ticks, zone * type_timestamp_ticks(*type), &ticks))
        return false;
    batch_builder_int(builder, column, ticks);
    return true;
}

static bool append_number(struct batch_builder *builder, uint32_t column, const struct type *type,
                          const char *text, size_t size)
{
    int64_t integer = 0;
    double real = 0;
    __int128 unscaled = 0;
    if (type_is_integer(type->kind))
        return parse_int64(text, size, &integer) &&
               scalar_int_append(builder, column, type, integer);
    if (type->kind == TYPE_DECIMAL) {
        if (!parse_decimal(text, size, type->precision, type->scale, &unscaled))
            return false;
        batch_builder_decimal(builder, column, unscaled);
        return true;
    }
    if (!parse_double(text, size, &real))
        return false;
    batch_builder_double(builder, column, real);
    return true;
}

bool scalar_text_append(struct batch_builder *builder, uint32_t column, const struct type *type,
                        const char *text, size_t size, enum timestamp_form form)
{
    bool boolean = false;
    int32_t days = 0;
    int64_t us = 0;
    if (type_is_numeric(type->kind))
        return append_number(builder, column, type, text, size);
    if (type_is_timestamp(type->kind))
        return append_timestamp(builder, column, type, text, size, form);
    switch (type_value_size(type->kind)) {
    case 1: /* BOOLEAN */
        if (!parse_bool(text, size, &boolean))
            return false;
        batch_builder_bool(builder, column, boolean);
        return true;
    case 4: /* DATE */
        if (!parse_date(text, size, &days))
            return false;
        batch_builder_int(builder, column, days);
        return true;
    case 8: /* TIME */
        if (!parse_time(text, size, &us))
            return false;
        batch_builder_int(builder, column, us);
        return true;
    default:
        UNREACHABLE(); /* check_schema has refused it */
    }
}

void scalar_text_format(const struct column *column, uint32_t row, enum timestamp_form form,
                        struct text *out)
{
    const struct type type = column->type;
    if (!type_is_timestamp(type.kind)) {
        column_format_value(column, row, out);
        return;
    }
    const int64_t ticks = ((const int64_t *)column->values)[row];
    const int64_t ticks_per_ms = type_timestamp_ticks(type) / 1000;
    if (form == TIMESTAMP_FORM_EPOCH_MS) {
        const int64_t ms = ticks / ticks_per_ms - (ticks % ticks_per_ms < 0 ? 1 : 0);
        format_int64(ms, out);
        return;
    }
    format_timestamp(ticks, type.precision, out);
    if (type.kind == TYPE_TIMESTAMP_LTZ)
        text_append_char(out, 'Z');
}

bool scalar_length_fits(const struct type *type, const char *bytes, size_t size)
{
    if (type->kind != TYPE_CHAR && type->kind != TYPE_VARCHAR)
        return true;
    return size <= type->length || utf8_length(bytes, size) <= type->length;
}
