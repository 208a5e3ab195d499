/* Rows to Avro's binary encoding: see avro_plan.h. */
#include "connectors/formats/avro/avro_plan.h"

#include "common/base/check.h"

#include <string.h>

static enum status encode_value(const struct avro_plan *plan, const struct column *column,
                                uint32_t row, struct text *out, struct error *err);

static void put_long(int64_t value, struct text *out)
{
    uint64_t bits = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    char bytes[10];
    size_t size = 0;
    while (bits >= 0x80) {
        bytes[size++] = (char)(bits | 0x80);
        bits >>= 7;
    }
    bytes[size++] = (char)bits;
    text_append_bytes(out, bytes, size);
}

/* ---- simple values ---- */

static int64_t integer_at(const struct column *column, uint32_t row)
{
    switch (type_value_size(column->type.kind)) {
    case 1:
        return ((const int8_t *)column->values)[row];
    case 2:
        return ((const int16_t *)column->values)[row];
    case 4:
        return ((const int32_t *)column->values)[row];
    default:
        return ((const int64_t *)column->values)[row];
    }
}

/* From the column's ticks to Avro's, downwards. */
static int64_t time_at(const struct avro_plan *plan, const struct column *column, uint32_t row)
{
    const int64_t ticks = integer_at(column, row);
    const bool is_millis =
        plan->avro->logical == AVRO_TIME_MILLIS || plan->avro->logical == AVRO_TIMESTAMP_MILLIS;
    const int64_t per_second =
        type_is_timestamp(plan->type.kind) ? type_timestamp_ticks(plan->type) : 1000000;
    const int64_t divisor = per_second / (is_millis ? 1000 : 1000000);
    return ticks / divisor - (ticks % divisor < 0);
}

static void put_number(const struct avro_plan *plan, const struct column *column, uint32_t row,
                       struct text *out)
{
    const bool is_time = plan->type.kind == TYPE_TIME || type_is_timestamp(plan->type.kind);
    put_long(is_time ? time_at(plan, column, row) : integer_at(column, row), out);
}

static void put_real(const struct avro_plan *plan, const struct column *column, uint32_t row,
                     struct text *out)
{
    if (plan->avro->kind == AVRO_FLOAT) {
        text_append_bytes(out, (const float *)column->values + row, sizeof(float));
        return;
    }
    const double real = column->type.kind == TYPE_FLOAT
                            ? (double)((const float *)column->values)[row]
                            : ((const double *)column->values)[row];
    text_append_bytes(out, &real, sizeof(real));
}

/* Two's complement, most significant byte first, as short as it can be, or filled to FIXED. */
static enum status put_decimal(const struct avro_plan *plan, const struct column *column,
                               uint32_t row, struct text *out, struct error *err)
{
    __int128 value = ((const __int128 *)column->values)[row];
    for (unsigned i = plan->type.scale; i < plan->avro->scale; i++) {
        if (__builtin_mul_overflow(value, (__int128)10, &value))
            return error_set(err, STATUS_RECORD, "the value has more digits than Avro's decimal");
    }
    __int128 limit = 1;
    for (unsigned i = 0; i < plan->avro->precision; i++)
        limit *= 10;
    if (value >= limit || value <= -limit)
        return error_set(err, STATUS_RECORD,
                         "the value has more digits than Avro's decimal(%u, %u)",
                         plan->avro->precision, plan->avro->scale);
    char bytes[16];
    for (unsigned i = 0; i < 16; i++)
        bytes[15 - i] = (char)(uint8_t)((unsigned __int128)value >> (8 * i));
    unsigned size = 16;
    while (size > 1) {
        const uint8_t first = (uint8_t)bytes[16 - size];
        const bool is_next_negative = (uint8_t)bytes[17 - size] >= 0x80;
        if (!(first == 0 && !is_next_negative) && !(first == 0xFF && is_next_negative))
            break;
        size--;
    }
    if (plan->avro->kind == AVRO_BYTES) {
        put_long(size, out);
    } else {
        if (size > plan->avro->size)
            return error_set(err, STATUS_RECORD, "the value does not fit %s of %u bytes",
                             plan->avro->name, plan->avro->size);
        for (uint32_t i = size; i < plan->avro->size; i++)
            text_append_char(out, value < 0 ? (char)(uint8_t)0xFF : '\0');
    }
    text_append_bytes(out, bytes + 16 - size, size);
    return STATUS_OK;
}

static enum status put_view(const struct avro_plan *plan, const struct column *column, uint32_t row,
                            struct text *out, struct error *err)
{
    const struct string_view *view = &column_views(column)[row];
    const char *bytes = string_view_bytes(column, view);
    if (plan->avro->kind == AVRO_ENUM) {
        for (uint32_t i = 0; i < plan->avro->count; i++) {
            if (strlen(plan->avro->names[i]) == view->size &&
                memcmp(plan->avro->names[i], bytes, view->size) == 0) {
                put_long(i, out);
                return STATUS_OK;
            }
        }
        return error_set(err, STATUS_RECORD, "\"%.*s\" is no symbol of enum %s",
                         view->size < 60 ? (int)view->size : 60, bytes, plan->avro->name);
    }
    if (plan->avro->kind == AVRO_FIXED && view->size != plan->avro->size)
        return error_set(err, STATUS_RECORD, "%u bytes, but fixed %s has %u", view->size,
                         plan->avro->name, plan->avro->size);
    if (plan->avro->kind != AVRO_FIXED)
        put_long(view->size, out);
    text_append_bytes(out, bytes, view->size);
    return STATUS_OK;
}

/* ---- composed values ---- */

static enum status put_entries(const struct avro_plan *plan, const struct column *column,
                               uint32_t row, struct text *out, struct error *err)
{
    const bool is_map = plan->avro->kind == AVRO_MAP;
    const uint32_t first = column->offsets[row];
    const uint32_t end = column->offsets[row + 1];
    const struct column *values = column->children[is_map ? 1 : 0];
    if (end > first)
        put_long(end - first, out);
    for (uint32_t i = first; i < end; i++) {
        if (is_map && column_is_null(column->children[0], i))
            return error_set(err, STATUS_RECORD, "a MAP with the key NULL has no form in Avro");
        if (is_map) {
            const struct string_view *key = &column_views(column->children[0])[i];
            put_long(key->size, out);
            text_append_bytes(out, string_view_bytes(column->children[0], key), key->size);
        }
        TRY(encode_value(plan->parts, values, i, out, err));
    }
    put_long(0, out);
    return STATUS_OK;
}

static int64_t null_branch(const struct avro_schema *avro)
{
    for (uint32_t i = 0; avro->kind == AVRO_UNION && i < avro->count; i++) {
        if (avro->parts[i]->kind == AVRO_NULL)
            return i;
    }
    return -1;
}

/* NULL, of a column or of a field that has none. */
static enum status put_null(const struct avro_schema *avro, struct text *out, struct error *err)
{
    if (avro->kind == AVRO_NULL)
        return STATUS_OK;
    const int64_t branch = null_branch(avro);
    if (branch < 0)
        return error_set(err, STATUS_RECORD, "NULL, which the Avro type does not take");
    put_long(branch, out);
    return STATUS_OK;
}

/* The branch that the plan has found a place for. */
static enum status put_union(const struct avro_plan *plan, const struct column *column,
                             uint32_t row, struct text *out, struct error *err)
{
    for (uint32_t i = 0; i < plan->avro->count; i++) {
        if (plan->parts[i].type.kind == TYPE_NONE)
            continue;
        put_long(i, out);
        return encode_value(&plan->parts[i], column, row, out, err);
    }
    UNREACHABLE();
}

static enum status put_fields(const struct avro_plan *plan, struct column *const *columns,
                              uint32_t row, struct text *out, struct error *err)
{
    for (uint32_t i = 0; i < plan->avro->count; i++) {
        const int32_t place = plan->places[i];
        const enum status status =
            place < 0 ? put_null(plan->avro->parts[i], out, err)
                      : encode_value(&plan->parts[i], columns[place], row, out, err);
        if (status != STATUS_OK)
            return error_wrap(err, status, "column \"%s\"", plan->avro->names[i]);
    }
    return STATUS_OK;
}

static enum status encode_value(const struct avro_plan *plan, const struct column *column,
                                uint32_t row, struct text *out, struct error *err)
{
    if (column_is_null(column, row))
        return put_null(plan->avro, out, err);
    if (plan->avro->logical == AVRO_DECIMAL)
        return put_decimal(plan, column, row, out, err);
    switch (plan->avro->kind) {
    case AVRO_NULL:
        break;
    case AVRO_BOOLEAN:
        text_append_char(out, ((const uint8_t *)column->values)[row] != 0 ? 1 : 0);
        return STATUS_OK;
    case AVRO_INT:
    case AVRO_LONG:
        put_number(plan, column, row, out);
        return STATUS_OK;
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        put_real(plan, column, row, out);
        return STATUS_OK;
    case AVRO_BYTES:
    case AVRO_STRING:
    case AVRO_FIXED:
    case AVRO_ENUM:
        return put_view(plan, column, row, out, err);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return put_entries(plan, column, row, out, err);
    case AVRO_UNION:
        return put_union(plan, column, row, out, err);
    case AVRO_RECORD:
        return put_fields(plan, column->children, row, out, err);
    }
    UNREACHABLE();
}

enum status avro_encode_record(const struct avro_plan *plan, const struct batch *batch,
                               uint32_t row, struct text *out, struct error *err)
{
    return put_fields(plan, batch->columns, row, out, err);
}
