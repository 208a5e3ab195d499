/* Rows as records: see kafka_record_encoder.h. */
#include "connectors/kafka/kafka_record_encoder.h"

#include "common/base/allocate.h"

/* No topic takes more in one record. */
#define RECORD_BYTES_MAX ((size_t)1 << 30)

/* ---- columns ---- */

static bool is_in_value(const struct kafka_sink_options *options, uint32_t column)
{
    if (options->partitioner == KAFKA_PARTITIONER_COLUMN && options->partition_column == column)
        return false;
    for (uint32_t i = 0; i < options->key_count && !options->is_key_in_value; i++) {
        if (options->key[i] == column)
            return false;
    }
    return true;
}

/* The indices of the value's columns, on the heap. */
static uint32_t *value_columns(const struct kafka_sink_options *options, const struct schema *rows,
                               uint32_t *ret_count)
{
    uint32_t *columns = allocate_array(rows->column_count, sizeof(*columns));
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->column_count; i++) {
        if (is_in_value(options, i))
            columns[count++] = i;
    }
    *ret_count = count;
    return columns;
}

static struct schema *pick(const struct schema *rows, const uint32_t *columns, uint32_t count)
{
    struct schema_column *picked = allocate_array(count, sizeof(*picked));
    for (uint32_t i = 0; i < count; i++)
        picked[i] = rows->columns[columns[i]];
    struct schema *schema = schema_create(picked, count, -1);
    free(picked);
    return schema;
}

struct schema *kafka_value_schema(const struct kafka_sink_options *options,
                                  const struct schema *rows)
{
    uint32_t count = 0;
    uint32_t *columns = value_columns(options, rows, &count);
    struct schema *schema = pick(rows, columns, count);
    free(columns);
    return schema;
}

/* ---- parts ---- */

/* Takes columns. */
static enum status part_init(struct kafka_part *part, const struct operator_spec *spec,
                             const struct format *format, const struct schema *rows,
                             uint32_t *columns, uint32_t count, struct error *err)
{
    part->columns = columns;
    part->schema = pick(rows, columns, count);
    text_init(&part->bytes, RECORD_BYTES_MAX);
    if (format == NULL || format->encoder.open == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "format %s cannot be written",
                         format != NULL ? format->name : "(none)");
    if (format->check_schema != NULL)
        TRY(format->check_schema(part->schema, false, err));
    void *encoder = allocate(format->encoder.instance_size + 1);
    const enum status status = format->encoder.open(encoder, spec, part->schema, err);
    if (status != STATUS_OK) {
        free(encoder);
        return status;
    }
    part->format = format;
    part->encoder = encoder;
    return STATUS_OK;
}

static void part_done(struct kafka_part *part)
{
    if (part->encoder != NULL) {
        part->format->encoder.close(part->encoder);
        free(part->encoder);
    }
    batch_unref(part->batch);
    schema_unref(part->schema);
    free(part->columns);
    if (part->bytes.bytes != NULL)
        text_done(&part->bytes);
}

static void part_start(struct kafka_part *part, struct batch *batch)
{
    batch_unref(part->batch);
    part->batch = NULL;
    if (batch == NULL || part->format == NULL)
        return;
    part->batch = batch_create(part->schema, batch->row_count);
    for (uint32_t i = 0; i < part->schema->column_count; i++)
        part->batch->columns[i] = column_ref(batch->columns[part->columns[i]]);
}

static enum status part_encode(struct kafka_part *part, uint32_t row, struct error *err)
{
    text_clear(&part->bytes);
    TRY(part->format->encoder.encode(part->encoder, part->batch, row, &part->bytes, err));
    if (part->bytes.overflowed) {
        text_done(&part->bytes);
        text_init(&part->bytes, RECORD_BYTES_MAX);
        return error_set(err, STATUS_RECORD, "the row is above %zu bytes", RECORD_BYTES_MAX);
    }
    /* What separates rows in a file separates nothing in a record. */
    if (part->format->ends_rows_with_newline && part->bytes.size > 0 &&
        part->bytes.bytes[part->bytes.size - 1] == '\n')
        part->bytes.size--;
    return STATUS_OK;
}

/* ---- records ---- */

enum status kafka_record_encoder_init(struct kafka_record_encoder *encoder,
                                      const struct operator_spec *spec,
                                      const struct kafka_sink_options *options,
                                      const struct schema *rows, const struct format *value_format,
                                      struct error *err)
{
    encoder->options = options;
    uint32_t count = 0;
    uint32_t *columns = value_columns(options, rows, &count);
    if (count == 0) {
        free(columns);
        return error_set(err, STATUS_INVALID,
                         "no column is left for the value: say `value_fields: all`");
    }
    TRY(part_init(&encoder->value, spec, value_format, rows, columns, count, err));
    if (options->key_count == 0)
        return STATUS_OK;
    const struct format *format = options->key_format;
    columns = copy_memory(options->key, options->key_count * sizeof(*columns));
    /* The options of the value's format are for no other one. */
    const struct operator_spec plain = {.name = spec->name};
    if (part_init(&encoder->key, format == value_format ? spec : &plain, format, rows, columns,
                  options->key_count, err) != STATUS_OK)
        return error_wrap(err, err->code, "key_format %s", format->name);
    return STATUS_OK;
}

void kafka_record_encoder_done(struct kafka_record_encoder *encoder)
{
    part_done(&encoder->key);
    part_done(&encoder->value);
    *encoder = (struct kafka_record_encoder){0};
}

void kafka_record_encoder_start(struct kafka_record_encoder *encoder, struct batch *batch)
{
    part_start(&encoder->key, batch);
    part_start(&encoder->value, batch);
}

static bool has_null(const struct kafka_part *part, uint32_t row)
{
    for (uint32_t i = 0; i < part->schema->column_count; i++) {
        if (column_is_null(part->batch->columns[i], row))
            return true;
    }
    return false;
}

/* A key of one column that is NULL is no key. */
static enum status encode_key(struct kafka_record_encoder *encoder, uint32_t row,
                              struct kafka_record *record, struct error *err)
{
    struct kafka_part *key = &encoder->key;
    if (key->format == NULL)
        return STATUS_OK;
    if (has_null(key, row)) {
        if (encoder->options->mode == KAFKA_MODE_UPSERT)
            return error_set(err, STATUS_RECORD,
                             "a column of the key is NULL: mode upsert cannot write such a row");
        if (key->schema->column_count == 1)
            return STATUS_OK;
    }
    TRY(part_encode(key, row, err));
    record->key = key->bytes.bytes;
    record->key_size = key->bytes.size;
    return STATUS_OK;
}

static enum status read_partition(const struct kafka_record_encoder *encoder,
                                  const struct batch *batch, uint32_t row, int32_t *ret_partition,
                                  struct error *err)
{
    if (encoder->options->partitioner != KAFKA_PARTITIONER_COLUMN)
        return STATUS_OK;
    const uint32_t index = encoder->options->partition_column;
    const struct column *column = batch->columns[index];
    int64_t number = -1;
    if (!column_is_null(column, row))
        number = column->type.kind == TYPE_INT ? ((const int32_t *)column->values)[row]
                                               : ((const int64_t *)column->values)[row];
    if (number < 0 || number > INT32_MAX)
        return error_set(err, STATUS_RECORD,
                         "partition_column \"%s\" is %s, which is no partition's number",
                         batch->schema->columns[index].name,
                         column_is_null(column, row) ? "NULL" : "negative or too large");
    *ret_partition = (int32_t)number;
    return STATUS_OK;
}

static int64_t read_timestamp(const struct kafka_record_encoder *encoder, const struct batch *batch,
                              uint32_t row)
{
    const struct column *column = batch->columns[encoder->options->timestamp_column];
    if (!encoder->options->has_timestamp || column_is_null(column, row))
        return 0;
    const int64_t ticks_per_ms = type_timestamp_ticks(column->type) / 1000;
    const int64_t ticks = ((const int64_t *)column->values)[row];
    const int64_t ms = ticks / ticks_per_ms - (ticks % ticks_per_ms < 0);
    return ms > 0 ? ms : 0; /* Kafka has no time before 1970 */
}

enum status kafka_record_encode(struct kafka_record_encoder *encoder, const struct batch *batch,
                                uint32_t row, struct kafka_record *ret_record, struct error *err)
{
    struct kafka_record record = {.partition = -1};
    TRY(encode_key(encoder, row, &record, err));
    TRY(read_partition(encoder, batch, row, &record.partition, err));
    record.timestamp_ms = read_timestamp(encoder, batch, row);
    if (batch_row_kind(batch, row) != ROW_DELETE) {
        TRY(part_encode(&encoder->value, row, err));
        record.value = encoder->value.bytes.bytes;
        record.value_size = encoder->value.bytes.size;
    }
    *ret_record = record;
    return STATUS_OK;
}
