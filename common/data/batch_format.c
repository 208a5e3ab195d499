/* Rows and values as text for people: see batch.h. Shapes are those of Flink's CAST. */
#include "common/data/batch.h"
#include "common/data/value_text.h"

static void format_entries(const struct column *column, uint32_t row, struct text *out)
{
    const bool is_map = column->type.kind == TYPE_MAP;
    text_append_char(out, is_map ? '{' : '[');
    for (uint32_t e = column->offsets[row]; e < column->offsets[row + 1]; e++) {
        if (e > column->offsets[row])
            text_append(out, ", ");
        column_format_value(column->children[0], e, out);
        if (is_map) {
            text_append_char(out, '=');
            column_format_value(column->children[1], e, out);
        }
    }
    text_append_char(out, is_map ? '}' : ']');
}

static void format_fields(const struct column *column, uint32_t row, struct text *out)
{
    text_append_char(out, '(');
    for (uint32_t i = 0; i < column->child_count; i++) {
        if (i > 0)
            text_append(out, ", ");
        column_format_value(column->children[i], row, out);
    }
    text_append_char(out, ')');
}

void column_format_value(const struct column *column, uint32_t row, struct text *out)
{
    const void *values = column->values;
    const struct string_view *view = NULL;
    if (column_is_null(column, row)) {
        text_append(out, "null");
        return;
    }
    switch (column->type.kind) {
    case TYPE_NONE:
        text_append(out, "null");
        break;
    case TYPE_BOOLEAN:
        format_bool(((const uint8_t *)values)[row] != 0, out);
        break;
    case TYPE_TINYINT:
        format_int64(((const int8_t *)values)[row], out);
        break;
    case TYPE_SMALLINT:
        format_int64(((const int16_t *)values)[row], out);
        break;
    case TYPE_INT:
        format_int64(((const int32_t *)values)[row], out);
        break;
    case TYPE_BIGINT:
        format_int64(((const int64_t *)values)[row], out);
        break;
    case TYPE_FLOAT:
        format_float(((const float *)values)[row], out);
        break;
    case TYPE_DOUBLE:
        format_double(((const double *)values)[row], out);
        break;
    case TYPE_DECIMAL:
        format_decimal(((const __int128 *)values)[row], column->type.scale, out);
        break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
        view = &column_views(column)[row];
        text_append_bytes(out, string_view_bytes(column, view), view->size);
        break;
    case TYPE_DATE:
        format_date(((const int32_t *)values)[row], out);
        break;
    case TYPE_TIME:
        format_time(((const int64_t *)values)[row], column->type.precision, out);
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        format_timestamp(((const int64_t *)values)[row], column->type.precision, out);
        break;
    case TYPE_INTERVAL_MONTH:
        format_interval_month(((const int32_t *)values)[row], out);
        break;
    case TYPE_INTERVAL_SECOND:
        format_interval_second(((const int64_t *)values)[row], out);
        break;
    case TYPE_ARRAY:
    case TYPE_MAP:
        format_entries(column, row, out);
        break;
    case TYPE_ROW:
        format_fields(column, row, out);
        break;
    }
}

void batch_format_row(const struct batch *batch, uint32_t row, struct text *out)
{
    static const char *const kinds[] = {"+I[", "-U[", "+U[", "-D["};
    text_append(out, kinds[batch_row_kind(batch, row)]);
    for (uint32_t i = 0; i < batch->column_count; i++) {
        if (i > 0)
            text_append(out, ", ");
        column_format_value(batch->columns[i], row, out);
    }
    text_append_char(out, ']');
}
