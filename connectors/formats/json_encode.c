/* Rows to JSON objects: see json.c for the rules. */
#include "connectors/formats/json.h"

#include <math.h>

enum status json_encoder_open(void *self, const struct operator_spec *spec,
                              const struct schema *schema, struct error *err)
{
    struct json_encoder *encoder = self;
    struct option_value values[JSON_OPTION_COUNT];
    TRY(options_from_settings(json_options, spec->settings, spec->setting_count, "format.", values,
                              err));
    TRY(json_check_schema(schema, false, err));
    encoder->schema = schema_ref(schema);
    encoder->timestamps = (enum timestamp_form)values[JSON_TIMESTAMPS].integer;
    return STATUS_OK;
}

void json_encoder_close(void *self)
{
    struct json_encoder *encoder = self;
    schema_unref(encoder->schema);
    encoder->schema = NULL;
}

static enum status encode_value(const struct json_encoder *encoder, const struct column *column,
                                uint32_t row, struct text *out, struct error *err);

static enum status encode_entries(const struct json_encoder *encoder, const struct column *column,
                                  uint32_t row, struct text *out, struct error *err)
{
    const bool is_map = column->type.kind == TYPE_MAP;
    text_append_char(out, is_map ? '{' : '[');
    for (uint32_t i = column->offsets[row]; i < column->offsets[row + 1]; i++) {
        if (i > column->offsets[row])
            text_append_char(out, ',');
        if (is_map && column_is_null(column->children[0], i))
            return error_set(err, STATUS_RECORD, "a MAP with the key NULL has no form in JSON");
        TRY(encode_value(encoder, column->children[0], i, out, err));
        if (is_map) {
            text_append_char(out, ':');
            TRY(encode_value(encoder, column->children[1], i, out, err));
        }
    }
    text_append_char(out, is_map ? '}' : ']');
    return STATUS_OK;
}

static enum status encode_row(const struct json_encoder *encoder, const struct column *column,
                              uint32_t row, struct text *out, struct error *err)
{
    text_append_char(out, '{');
    for (uint32_t i = 0; i < column->type.child_count; i++) {
        const char *name = column->type.children[i].name;
        if (i > 0)
            text_append_char(out, ',');
        text_append_json(out, name, strlen(name));
        text_append_char(out, ':');
        TRY(encode_value(encoder, column->children[i], row, out, err));
    }
    text_append_char(out, '}');
    return STATUS_OK;
}

static enum status encode_view(const struct column *column, uint32_t row, struct text *out)
{
    const struct string_view *view = &column_views(column)[row];
    const char *bytes = string_view_bytes(column, view);
    if (column->type.kind != TYPE_BYTES) {
        text_append_json(out, bytes, view->size);
    } else {
        text_append_char(out, '"');
        base64_encode(bytes, view->size, out);
        text_append_char(out, '"');
    }
    return STATUS_OK;
}

static enum status encode_value(const struct json_encoder *encoder, const struct column *column,
                                uint32_t row, struct text *out, struct error *err)
{
    const enum type_kind kind = column->type.kind;
    if (column_is_null(column, row)) {
        text_append(out, "null");
        return STATUS_OK;
    }
    if (type_is_view(kind))
        return encode_view(column, row, out);
    if (kind == TYPE_ARRAY || kind == TYPE_MAP)
        return encode_entries(encoder, column, row, out, err);
    if (kind == TYPE_ROW)
        return encode_row(encoder, column, row, out, err);
    if (kind == TYPE_BOOLEAN) {
        text_append(out, ((const uint8_t *)column->values)[row] != 0 ? "true" : "false");
        return STATUS_OK;
    }
    const double real = kind == TYPE_DOUBLE  ? ((const double *)column->values)[row]
                        : kind == TYPE_FLOAT ? (double)((const float *)column->values)[row]
                                             : 0;
    if (!isfinite(real))
        return error_set(err, STATUS_RECORD, "NaN and infinity have no form in JSON");
    const bool is_number =
        type_is_numeric(kind) ||
        (type_is_timestamp(kind) && encoder->timestamps == TIMESTAMP_FORM_EPOCH_MS);
    if (!is_number)
        text_append_char(out, '"');
    scalar_text_format(column, row, encoder->timestamps, out);
    if (!is_number)
        text_append_char(out, '"');
    return STATUS_OK;
}

enum status json_encode(void *self, const struct batch *batch, uint32_t row, struct text *out,
                        struct error *err)
{
    const struct json_encoder *encoder = self;
    text_append_char(out, '{');
    for (uint32_t i = 0; i < batch->column_count; i++) {
        const char *name = encoder->schema->columns[i].name;
        if (i > 0)
            text_append_char(out, ',');
        text_append_json(out, name, strlen(name));
        text_append_char(out, ':');
        if (encode_value(encoder, batch->columns[i], row, out, err) != STATUS_OK)
            return error_wrap(err, STATUS_RECORD, "column \"%s\"", name);
    }
    text_append(out, "}\n");
    return STATUS_OK;
}
