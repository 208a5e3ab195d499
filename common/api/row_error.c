/* The schema and the rows of dead letters. */
#include "common/api/row_error.h"

struct schema *row_error_schema(void)
{
    struct type time = type_of_kind(TYPE_TIMESTAMP_LTZ);
    time.precision = 3;
    const struct type string = type_of_kind(TYPE_STRING);
    const struct schema_column columns[ROW_ERROR_COLUMN_COUNT] = {
        [ROW_ERROR_NODE] = {.name = "node", .type = string},
        [ROW_ERROR_CAUSE] = {.name = "cause", .type = string},
        [ROW_ERROR_MESSAGE] = {.name = "message", .type = string},
        [ROW_ERROR_SOURCE] = {.name = "source", .type = string},
        [ROW_ERROR_POSITION] = {.name = "position", .type = type_of_kind(TYPE_BIGINT)},
        [ROW_ERROR_RAW] = {.name = "raw", .type = type_of_kind(TYPE_BYTES)},
        [ROW_ERROR_KEY] = {.name = "key", .type = string},
        [ROW_ERROR_TIME] = {.name = "time", .type = time},
    };
    return schema_create(columns, ROW_ERROR_COLUMN_COUNT, -1);
}

static void append_bytes(struct batch_builder *builder, uint32_t column, const char *bytes,
                         size_t size)
{
    if (bytes == NULL)
        batch_builder_null(builder, column);
    else
        batch_builder_bytes(builder, column, bytes, size);
}

static void append_text(struct batch_builder *builder, uint32_t column, const char *text)
{
    append_bytes(builder, column, text, text == NULL ? 0 : strlen(text));
}

void row_error_append(struct batch_builder *builder, const char *node,
                      const struct row_error *error, int64_t wall_ms)
{
    const struct batch_origin *origin = error->origin;
    append_text(builder, ROW_ERROR_NODE, node);
    append_text(builder, ROW_ERROR_CAUSE, error->cause);
    append_text(builder, ROW_ERROR_MESSAGE, error->message);
    if (origin != NULL && origin->source != NULL)
        batch_builder_bytes(builder, ROW_ERROR_SOURCE, origin->source->bytes, origin->source->size);
    else
        batch_builder_null(builder, ROW_ERROR_SOURCE);
    if (error->position >= 0)
        batch_builder_int(builder, ROW_ERROR_POSITION, error->position);
    else if (origin != NULL && origin->source != NULL)
        batch_builder_int(builder, ROW_ERROR_POSITION, origin->first);
    else
        batch_builder_null(builder, ROW_ERROR_POSITION);
    append_bytes(builder, ROW_ERROR_RAW, error->raw,
                 error->raw_size < ROW_ERROR_RAW_BYTES_MAX ? error->raw_size
                                                           : ROW_ERROR_RAW_BYTES_MAX);
    append_bytes(builder, ROW_ERROR_KEY, error->key, error->key_size);
    batch_builder_int(builder, ROW_ERROR_TIME, wall_ms * 1000);
    batch_builder_end_row(builder, ROW_INSERT);
}
