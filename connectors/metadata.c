/* Metadata columns: see metadata.h. */
#include "connectors/metadata.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

const char *metadata_key(const struct operator_spec *spec, const char *column)
{
    SCOPED_TEXT char *setting = format_text("metadata.%s", column);
    return operator_setting(spec, setting);
}

bool metadata_is_wanted(const struct operator_spec *spec, const char *key)
{
    const struct schema *schema = spec->outputs[0].schema;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const char *wanted = metadata_key(spec, schema->columns[i].name);
        if (wanted != NULL && strcmp(wanted, key) == 0)
            return true;
    }
    return false;
}

/* Its place in the table, or -1. */
static int find_key(const struct source_metadata *table, const char *key)
{
    for (int i = 0; table[i].key != NULL; i++) {
        if (strcmp(table[i].key, key) == 0)
            return i;
    }
    return -1;
}

enum status metadata_physical_schema(const struct operator_spec *spec,
                                     const struct source_metadata *table,
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
        else if (find_key(table, key) < 0)
            return error_set(err, STATUS_INVALID, "column \"%s\": this source has no metadata '%s'",
                             schema->columns[i].name, key);
    }
    *ret_physical =
        count == schema->column_count ? schema_ref(schema) : schema_create(columns, count, -1);
    return STATUS_OK;
}

static struct column *make_column(struct type type, uint32_t row_count,
                                  const struct metadata_value *value)
{
    struct column *column = column_create(type, row_count);
    if (value->text != NULL) {
        const struct string_view view = string_view_make(
            value->text, column_add_buffer(column, value->text), 0, value->text->size);
        for (uint32_t row = 0; row < row_count; row++)
            column_views(column)[row] = view;
        return column;
    }
    CHECK(type.kind == TYPE_BIGINT);
    int64_t *integers = column->values;
    for (uint32_t row = 0; row < row_count; row++)
        integers[row] = value->integers != NULL ? value->integers[row] : value->integer;
    return column;
}

struct batch *metadata_add(const struct operator_spec *spec, const struct source_metadata *table,
                           struct batch *decoded, const struct metadata_value *values)
{
    const struct schema *schema = spec->outputs[0].schema;
    if (decoded->column_count == schema->column_count)
        return decoded;
    struct batch *batch = batch_create(schema, decoded->row_count);
    uint32_t physical = 0;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const char *key = metadata_key(spec, schema->columns[i].name);
        batch->columns[i] = key != NULL ? make_column(schema->columns[i].type, decoded->row_count,
                                                      &values[find_key(table, key)])
                                        : column_ref(decoded->columns[physical++]);
    }
    batch->origin = decoded->origin;
    if (batch->origin.source != NULL)
        (void)buffer_ref(batch->origin.source);
    batch_unref(decoded);
    return batch;
}
