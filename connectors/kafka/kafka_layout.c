/* Where the columns of a source come from: see kafka_layout.h. */
#include "connectors/kafka/kafka_layout.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/data/value_text.h"
#include "connectors/metadata.h"

#include <stdio.h>

const struct source_metadata kafka_metadata[] = {
    [KAFKA_FIELD_TOPIC] = {"topic", "STRING", "Name of the topic."},
    [KAFKA_FIELD_PARTITION] = {"partition", "INT|BIGINT", "Number of the partition."},
    [KAFKA_FIELD_OFFSET] = {"offset", "BIGINT", "Offset of the record in its partition."},
    [KAFKA_FIELD_TIMESTAMP] = {"timestamp", "TIMESTAMP_LTZ(3)|TIMESTAMP(3)|BIGINT",
                               "When it was made or, by the topic's setting, stored; as BIGINT "
                               "milliseconds since 1970."},
    [KAFKA_FIELD_TIMESTAMP_TYPE] = {"timestamp-type", "STRING",
                                    "CreateTime or LogAppendTime; NULL without a timestamp."},
    [KAFKA_FIELD_HEADERS] = {"headers", "MAP<STRING, BYTES>|MAP<STRING, STRING>", "Its headers."},
    [KAFKA_FIELD_RAW_KEY] = {"key", "BYTES|STRING", "The bytes of its key, or NULL."},
    {NULL, NULL, NULL},
};

static enum status find_metadata(const struct schema_column *column, const char *key,
                                 enum kafka_field *ret_field, struct error *err)
{
    for (size_t i = 0; kafka_metadata[i].key != NULL; i++) {
        if (strcmp(kafka_metadata[i].key, key) == 0) {
            *ret_field = (enum kafka_field)i;
            return STATUS_OK;
        }
    }
    return error_set(err, STATUS_INVALID, "column \"%s\": kafka has no metadata '%s'", column->name,
                     key);
}

/* Is the name in the comma-separated list? */
static bool is_listed(const char *list, const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = list; at != NULL && *at != '\0';) {
        at += strspn(at, ",; ");
        const size_t item = strcspn(at, ",; ");
        if (item == size && memcmp(at, name, size) == 0)
            return true;
        at += item;
    }
    return false;
}

static enum status check_key_columns(const struct schema *schema, const char *key,
                                     struct error *err)
{
    for (const char *at = key; at != NULL && *at != '\0';) {
        at += strspn(at, ",; ");
        const size_t size = strcspn(at, ",; ");
        if (size == 0)
            break;
        SCOPED_TEXT char *name = copy_text_n(at, size);
        if (schema_find(schema, name) < 0)
            return error_set(err, STATUS_INVALID, "key: the schema has no column \"%s\"", name);
        at += size;
    }
    return STATUS_OK;
}

static enum status field_of(const struct operator_spec *spec, const struct schema_column *column,
                            const char *key, enum kafka_field *ret_field, struct error *err)
{
    const char *metadata = metadata_key(spec, column->name);
    if (metadata != NULL)
        return find_metadata(column, metadata, ret_field, err);
    *ret_field = is_listed(key, column->name) ? KAFKA_FIELD_KEY : KAFKA_FIELD_VALUE;
    return STATUS_OK;
}

static struct schema *make_schema(const struct schema_column *columns, uint32_t count)
{
    return count > 0 ? schema_create(columns, count, -1) : NULL;
}

enum status kafka_layout_init(struct kafka_layout *layout, const struct operator_spec *spec,
                              const char *key, struct error *err)
{
    const struct schema *schema = spec->outputs[0].schema;
    *layout = (struct kafka_layout){.column_count = schema->column_count};
    TRY(check_key_columns(schema, key, err));
    const uint32_t count = schema->column_count;
    layout->columns = allocate_array(count, sizeof(*layout->columns));
    SCOPED_TEXT char *memory = allocate_array((size_t)3 * count, sizeof(struct schema_column));
    struct schema_column *values = (struct schema_column *)(void *)memory;
    struct schema_column *keys = values + count;
    struct schema_column *metadata = keys + count;
    uint32_t value_count = 0;
    uint32_t key_count = 0;
    uint32_t metadata_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct schema_column *column = &schema->columns[i];
        enum kafka_field field = KAFKA_FIELD_VALUE;
        const enum status status = field_of(spec, column, key, &field, err);
        if (status != STATUS_OK) {
            kafka_layout_done(layout);
            return status;
        }
        struct kafka_column *to = &layout->columns[i];
        to->field = field;
        if (field == KAFKA_FIELD_VALUE)
            values[to->index = value_count++] = *column;
        else if (field == KAFKA_FIELD_KEY)
            keys[to->index = key_count++] = *column;
        else
            metadata[to->index = metadata_count++] = *column;
    }
    layout->value = make_schema(values, value_count);
    layout->key = make_schema(keys, key_count);
    layout->metadata = make_schema(metadata, metadata_count);
    return STATUS_OK;
}

void kafka_layout_done(struct kafka_layout *layout)
{
    schema_unref(layout->value);
    schema_unref(layout->key);
    schema_unref(layout->metadata);
    free(layout->columns);
    *layout = (struct kafka_layout){0};
}

/* ---- rows of metadata ---- */

struct row {
    const rd_kafka_message_t *record;
    struct batch_builder *out;
    char *message;
    size_t message_size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct row *row, const char *format,
                                                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(row->message, row->message_size, format, arguments);
    va_end(arguments);
    return false;
}

static void append_timestamp(const struct row *row, uint32_t column, const struct type *type)
{
    rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    const int64_t ms = rd_kafka_message_timestamp(row->record, &kind);
    const int64_t factor = type->kind == TYPE_BIGINT ? 1 : type->precision <= 6 ? 1000 : 1000000;
    int64_t ticks = 0;
    if (kind == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE || __builtin_mul_overflow(ms, factor, &ticks))
        batch_builder_null(row->out, column);
    else
        batch_builder_int(row->out, column, ticks);
}

static void append_timestamp_type(const struct row *row, uint32_t column)
{
    rd_kafka_timestamp_type_t kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    (void)rd_kafka_message_timestamp(row->record, &kind);
    if (kind == RD_KAFKA_TIMESTAMP_CREATE_TIME)
        batch_builder_bytes(row->out, column, "CreateTime", 10);
    else if (kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME)
        batch_builder_bytes(row->out, column, "LogAppendTime", 13);
    else
        batch_builder_null(row->out, column);
}

static bool append_headers(const struct row *row, uint32_t column, const struct type *type)
{
    rd_kafka_headers_t *headers = NULL;
    const bool has_headers =
        rd_kafka_message_headers(row->record, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR;
    batch_builder_begin(row->out, column);
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    for (size_t i = 0; has_headers && rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                                          RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        if (!utf8_is_valid(name, strlen(name)) ||
            (value != NULL && type->children[1].type.kind == TYPE_STRING &&
             !utf8_is_valid(value, size)))
            return refuse(row, "header %zu is no valid UTF-8: declare MAP<STRING, BYTES>", i);
        batch_builder_bytes(row->out, 0, name, strlen(name));
        if (value == NULL)
            batch_builder_null(row->out, 1);
        else
            batch_builder_bytes(row->out, 1, value, size);
    }
    batch_builder_end(row->out);
    return true;
}

static bool append_key(const struct row *row, uint32_t column, const struct type *type)
{
    const rd_kafka_message_t *record = row->record;
    if (record->key == NULL && !type->nullable)
        return refuse(row, "the record has no key, and the column of metadata 'key' is NOT NULL");
    if (record->key == NULL) {
        batch_builder_null(row->out, column);
        return true;
    }
    if (type->kind == TYPE_STRING && !utf8_is_valid(record->key, record->key_len))
        return refuse(row, "the key is no valid UTF-8: declare the column of metadata 'key' as "
                           "BYTES");
    batch_builder_bytes(row->out, column, record->key, record->key_len);
    return true;
}

static bool append_field(const struct row *row, const struct kafka_column *column,
                         const struct type *type)
{
    const rd_kafka_message_t *record = row->record;
    switch (column->field) {
    case KAFKA_FIELD_TOPIC: {
        const char *topic = rd_kafka_topic_name(record->rkt);
        batch_builder_bytes(row->out, column->index, topic, strlen(topic));
        return true;
    }
    case KAFKA_FIELD_PARTITION:
        batch_builder_int(row->out, column->index, record->partition);
        return true;
    case KAFKA_FIELD_OFFSET:
        batch_builder_int(row->out, column->index, record->offset);
        return true;
    case KAFKA_FIELD_TIMESTAMP:
        append_timestamp(row, column->index, type);
        return true;
    case KAFKA_FIELD_TIMESTAMP_TYPE:
        append_timestamp_type(row, column->index);
        return true;
    case KAFKA_FIELD_HEADERS:
        return append_headers(row, column->index, type);
    case KAFKA_FIELD_RAW_KEY:
        return append_key(row, column->index, type);
    case KAFKA_FIELD_VALUE:
    case KAFKA_FIELD_KEY:
        return true;
    }
    UNREACHABLE();
}

bool kafka_layout_append(const struct kafka_layout *layout, const rd_kafka_message_t *record,
                         struct batch_builder *out, char *ret_message, size_t message_size)
{
    const struct row row = {record, out, ret_message, message_size};
    for (uint32_t i = 0; i < layout->column_count; i++) {
        const struct kafka_column *column = &layout->columns[i];
        if (column->field == KAFKA_FIELD_VALUE || column->field == KAFKA_FIELD_KEY)
            continue;
        if (!append_field(&row, column, &layout->metadata->columns[column->index].type)) {
            batch_builder_undo_row(out);
            return false;
        }
    }
    batch_builder_end_row(out, ROW_INSERT);
    return true;
}
