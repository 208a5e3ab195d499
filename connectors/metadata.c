/* Metadata columns: see metadata.h. */
#include "connectors/metadata.h"

#include "common/base/allocate.h"

static const char *metadata_key(const struct operator_spec *spec, const char *column)
{
    SCOPED_TEXT char *setting = format_text("metadata.%s", column);
    return operator_setting(spec, setting);
}

static enum status check_key(const struct schema_column *column, const char *key,
                             const char *const *keys, struct error *err)
{
    for (; *keys != NULL; keys++) {
        if (strcmp(*keys, key) != 0)
            continue;
        if (type_is_string(column->type.kind))
            return STATUS_OK;
        return error_set(err, STATUS_INVALID, "column \"%s\": metadata '%s' is a STRING",
                         column->name, key);
    }
    return error_set(err, STATUS_INVALID, "column \"%s\": this source has no metadata '%s'",
                     column->name, key);
}

enum status metadata_physical_schema(const struct operator_spec *spec, const char *const *keys,
                                     struct schema **ret_physical, struct error *err)
{
    const struct schema *schema = spec->outputs[0].schema;
    SCOPED_TEXT char *memory = allocate_array(schema->column_count, sizeof(struct schema_column));
    struct schema_column *columns = (struct schema_column *)(void *)memory;
    uint32_t count = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const char *key = metadata_key(spec, schema->columns[i].name);
        if (key == NULL)
            columns[count++] = schema->columns[i];
        else
            TRY(check_key(&schema->columns[i], key, keys, err));
    }
    *ret_physical =
        count == schema->column_count ? schema_ref(schema) : schema_create(columns, count, -1);
    return STATUS_OK;
}

/* A column with the same text in every row. */
static struct column *constant_column(struct type type, uint32_t row_count, struct buffer *value)
{
    struct column *column = column_create(type, row_count);
    const struct string_view view =
        string_view_make(value, column_add_buffer(column, value), 0, value->size);
    for (uint32_t row = 0; row < row_count; row++)
        column_views(column)[row] = view;
    return column;
}

struct batch *metadata_add(const struct operator_spec *spec, struct batch *decoded,
                           struct buffer *value)
{
    const struct schema *schema = spec->outputs[0].schema;
    if (decoded->column_count == schema->column_count)
        return decoded;
    struct batch *batch = batch_create(schema, decoded->row_count);
    uint32_t physical = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const bool is_metadata = metadata_key(spec, schema->columns[i].name) != NULL;
        batch->columns[i] =
            is_metadata ? constant_column(schema->columns[i].type, decoded->row_count, value)
                        : column_ref(decoded->columns[physical++]);
    }
    batch->origin = decoded->origin;
    if (batch->origin.source != NULL)
        (void)buffer_ref(batch->origin.source);
    batch_unref(decoded);
    return batch;
}
