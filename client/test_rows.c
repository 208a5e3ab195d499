/* Rows of a test file: see test_rows.h. */
#include "client/test_rows.h"

#include "common/data/value_text.h"
#include "connectors/formats/scalar_text.h"

#include <string.h>

static enum status value_error(const struct yaml_node *value, const struct schema_column *column,
                               struct error *err)
{
    struct text type SCOPED_TEXT_BUFFER;
    text_init(&type, 200);
    type_format(column->type, &type);
    return error_set(
        err, STATUS_INVALID, "line %u: column \"%s\": %s expected, got %.80s%s", value->line,
        column->name, type.bytes, value->kind == YAML_SCALAR ? value->text : "a map or a list",
        type_value_size(column->type.kind) == 0 ? " (tests have no nested values yet)" : "");
}

static enum status append_value(struct batch_builder *builder, uint32_t column,
                                const struct yaml_node *value, struct error *err)
{
    const struct schema_column *at = &builder->schema->columns[column];
    if (value == NULL || yaml_is_bare(value)) {
        batch_builder_null(builder, column);
        return STATUS_OK;
    }
    if (value->kind != YAML_SCALAR || !scalar_text_supports(at->type, false))
        return value_error(value, at, err);
    if (type_is_view(at->type.kind))
        batch_builder_bytes(builder, column, value->text, value->size);
    else if (!scalar_text_append(builder, column, &at->type, value->text, value->size,
                                 TIMESTAMP_FORM_SQL))
        return value_error(value, at, err);
    return STATUS_OK;
}

enum status test_row_append(struct batch_builder *builder, const struct yaml_node *row,
                            struct error *err)
{
    if (row->kind != YAML_MAP)
        return error_set(err, STATUS_INVALID, "line %u: a row is a map column: value", row->line);
    for (uint32_t i = 0; i < row->count; i++) {
        if (schema_find(builder->schema, row->entries[i].key->text) >= 0)
            continue;
        struct text columns SCOPED_TEXT_BUFFER;
        text_init(&columns, 400);
        schema_format(builder->schema, &columns);
        return error_set(err, STATUS_INVALID, "line %u: there is no column \"%.80s\" in (%s)",
                         row->entries[i].key->line, row->entries[i].key->text, columns.bytes);
    }
    for (uint32_t c = 0; c < builder->schema->column_count; c++) {
        const enum status status =
            append_value(builder, c, yaml_find(row, builder->schema->columns[c].name), err);
        if (status != STATUS_OK) {
            batch_builder_undo_row(builder);
            return status;
        }
    }
    batch_builder_end_row(builder, ROW_INSERT);
    return STATUS_OK;
}

enum status test_row_format(const struct schema *schema, const struct yaml_node *row,
                            struct text *out, struct error *err)
{
    if (row->kind == YAML_SCALAR) {
        text_append(out, row->text);
        return STATUS_OK;
    }
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    const enum status status = test_row_append(&builder, row, err);
    struct batch *batch = status == STATUS_OK ? batch_builder_take(&builder) : NULL;
    if (batch != NULL)
        batch_format_row(batch, 0, out);
    batch_unref(batch);
    batch_builder_done(&builder);
    return status;
}

enum status test_time_parse(const struct yaml_node *value, int64_t *ret_ms, struct error *err)
{
    int64_t ticks = 0;
    int32_t zone_seconds = 0;
    bool has_zone = false;
    if (value->kind == YAML_SCALAR && parse_int64(value->text, value->size, ret_ms))
        return STATUS_OK;
    if (value->kind != YAML_SCALAR ||
        !parse_timestamp(value->text, value->size, 3, &ticks, &zone_seconds, &has_zone))
        return error_set(err, STATUS_INVALID,
                         "line %u: a watermark is a time, \"2024-01-31 10:00:00\" or milliseconds "
                         "since 1970",
                         value->line);
    *ret_ms = ticks / 1000 - (int64_t)zone_seconds * 1000;
    return STATUS_OK;
}
