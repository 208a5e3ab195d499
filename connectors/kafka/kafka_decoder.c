/* From records to batches: see kafka_decoder.h. */
#include "connectors/kafka/kafka_decoder.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "connectors/kafka/kafka_key_format.h"
#include "connectors/record_reader.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- opening ---- */

/* The decoder of one part, with a spec that shows it only the options of its own format. */
static enum status open_part(struct kafka_part *part, const struct operator_env *env,
                             const struct format *format, const struct schema *schema,
                             bool has_options, struct error *err)
{
    if (schema == NULL)
        return STATUS_OK;
    if (format->decoder.open == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "format %s cannot be read", format->name);
    part->format = format;
    part->spec = *env->spec;
    part->settings = allocate_array(env->spec->setting_count + 1, sizeof(*part->settings));
    part->spec.settings = part->settings;
    part->spec.setting_count = 0;
    for (uint32_t i = 0; i < env->spec->setting_count; i++) {
        if (has_options || strncmp(env->spec->settings[i].key, "format", 6) != 0)
            part->settings[part->spec.setting_count++] = env->spec->settings[i];
    }
    void *decoder = allocate(format->decoder.instance_size + 1);
    const enum status status = format->decoder.open(decoder, &part->spec, schema, err);
    if (status != STATUS_OK) {
        format->decoder.close(decoder);
        free(decoder);
        return error_wrap(err, status, "format %s", format->name);
    }
    part->decoder = decoder;
    batch_builder_init(&part->builder, schema, env->memory);
    return STATUS_OK;
}

static void close_part(struct kafka_part *part)
{
    if (part->decoder != NULL) {
        batch_builder_done(&part->builder);
        part->format->decoder.close(part->decoder);
        free(part->decoder);
    }
    free(part->settings);
    *part = (struct kafka_part){0};
}

static enum status open_key(struct kafka_decoder *decoder,
                            const struct kafka_source_options *options, struct error *err)
{
    const struct schema *schema = decoder->layout.key;
    if (schema == NULL)
        return STATUS_OK;
    const struct format *format = NULL;
    TRY(kafka_key_format(options->key_format, schema, true, &format, err));
    const enum status status = open_part(&decoder->key, decoder->env, format, schema, false, err);
    return status == STATUS_OK ? STATUS_OK : error_wrap(err, status, "key");
}

static enum status record_size_max(const struct operator_env *env, uint64_t *ret, struct error *err)
{
    *ret = RECORD_SIZE_MAX_DEFAULT;
    const char *text =
        env->job != NULL ? job_graph_config(env->job, "pipeline.max-record-size") : NULL;
    if (text == NULL)
        return STATUS_OK;
    int64_t bytes = 0;
    TRY(parse_size_bytes(text, OPTION_UNITS_OPTIONAL, &bytes, err));
    *ret = (uint64_t)bytes;
    return STATUS_OK;
}

enum status kafka_decoder_init(struct kafka_decoder *decoder, struct operator_env *env,
                               const struct format *format,
                               const struct kafka_source_options *options, struct error *err)
{
    *decoder = (struct kafka_decoder){.env = env};
    TRY(record_size_max(env, &decoder->record_size_max, err));
    TRY(kafka_layout_init(&decoder->layout, env->spec, options->key, err));
    if (decoder->layout.metadata != NULL)
        batch_builder_init(&decoder->metadata, decoder->layout.metadata, env->memory);
    TRY(open_part(&decoder->value, env, format, decoder->layout.value, true, err));
    return open_key(decoder, options, err);
}

void kafka_decoder_done(struct kafka_decoder *decoder)
{
    if (decoder->layout.metadata != NULL)
        batch_builder_done(&decoder->metadata);
    close_part(&decoder->value);
    close_part(&decoder->key);
    kafka_layout_done(&decoder->layout);
    buffer_unref(decoder->buffer);
    free(decoder->key_rows);
    free(decoder->is_dropped);
    *decoder = (struct kafka_decoder){0};
}

/* ---- one record ---- */

__attribute__((format(printf, 3, 4))) static void fail(struct kafka_decoder *decoder,
                                                       const char *cause, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(decoder->message, sizeof(decoder->message), format, arguments);
    va_end(arguments);
    decoder->cause = cause;
    decoder->has_error = true;
}

/* Room for the values of as many waiting records as one batch can take. */
static void make_buffer(struct kafka_decoder *decoder, const struct kafka_reading *reading)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < reading->count && size < BATCH_BYTES_MAX; i++) {
        const rd_kafka_message_t *record = kafka_reading_at(reading, i);
        if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR && record->len <= decoder->record_size_max)
            size += record->len + record->key_len;
    }
    buffer_unref(decoder->buffer);
    decoder->buffer = buffer_create(decoder->env->memory, (uint32_t)size);
}

/* The bytes behind those that the buffer holds; it is replaced if they do not fit. */
static uint32_t copy_in(struct kafka_decoder *decoder, const struct kafka_reading *reading,
                        const void *bytes, size_t size)
{
    if (decoder->buffer == NULL || decoder->buffer->capacity - decoder->buffer->size < size)
        make_buffer(decoder, reading);
    const uint32_t offset = decoder->buffer->size;
    DCHECK(decoder->buffer->capacity - offset >= size);
    if (size > 0)
        memcpy(decoder->buffer->bytes + offset, bytes, size);
    decoder->buffer->size += (uint32_t)size;
    return offset;
}

/* NULL for all columns of a part that the record does not have. */
static bool append_nulls(struct kafka_decoder *decoder, struct kafka_part *part, const char *what)
{
    const struct schema *schema = part->builder.schema;
    for (uint32_t i = 0; i < schema->column_count; i++) {
        if (!schema->columns[i].type.nullable) {
            fail(decoder, "parse", "the record has no %s, and column \"%s\" is NOT NULL", what,
                 schema->columns[i].name);
            return false;
        }
    }
    batch_builder_null_missing(&part->builder);
    batch_builder_end_row(&part->builder, ROW_INSERT);
    return true;
}

/* Decodes one message as a whole; more than one row is possible only for values. */
static enum decode decode_part(struct kafka_decoder *decoder, struct kafka_part *part,
                               uint32_t offset, uint32_t size, uint32_t *ret_consumed,
                               const char *what)
{
    struct decode_error error;
    *ret_consumed = size;
    const enum decode decode =
        part->format->decoder.decode_message != NULL
            ? part->format->decoder.decode_message(part->decoder, decoder->buffer, offset, size,
                                                   &part->builder, &error)
            : part->format->decoder.decode(part->decoder, decoder->buffer, offset, size, true,
                                           &part->builder, ret_consumed, &error);
    if (decode == DECODE_ERROR)
        fail(decoder, "parse", "%s%s", what, error.message);
    return decode;
}

static void reserve_rows(struct kafka_decoder *decoder, uint32_t count)
{
    if (count <= decoder->row_capacity)
        return;
    const uint32_t capacity = count < BATCH_ROWS_MAX ? BATCH_ROWS_MAX : count * 2;
    decoder->key_rows = reallocate_array(decoder->key_rows, capacity, sizeof(uint32_t));
    decoder->is_dropped = reallocate_array(decoder->is_dropped, capacity, sizeof(bool));
    decoder->row_capacity = capacity;
}

/* What of the rows beyond first does not come from the value: key and metadata, once for each. */
static void complete_rows(struct kafka_decoder *decoder, const struct kafka_reading *reading,
                          const rd_kafka_message_t *record, uint32_t first, uint32_t count)
{
    reserve_rows(decoder, count);
    const uint32_t key_row = decoder->key.builder.row_count;
    if (decoder->key.decoder != NULL && record->key != NULL) {
        const uint32_t offset = copy_in(decoder, reading, record->key, record->key_len);
        uint32_t consumed = 0;
        const enum decode decode = decode_part(decoder, &decoder->key, offset,
                                               (uint32_t)record->key_len, &consumed, "key: ");
        if (decode != DECODE_ERROR && decoder->key.builder.row_count != key_row + 1)
            fail(decoder, "parse", "key: the key holds no record, or more than one");
    } else if (decoder->key.decoder != NULL) {
        (void)append_nulls(decoder, &decoder->key, "key");
    }
    if (decoder->key.decoder != NULL && decoder->key.builder.row_count == key_row) {
        batch_builder_null_missing(&decoder->key.builder);
        batch_builder_end_row(&decoder->key.builder, ROW_INSERT);
    }
    for (uint32_t row = first; row < count; row++) {
        decoder->key_rows[row] = key_row;
        if (decoder->layout.metadata == NULL ||
            kafka_layout_append(&decoder->layout, record, &decoder->metadata, decoder->message,
                                sizeof(decoder->message)))
            continue;
        decoder->cause = "parse";
        decoder->has_error = true;
        batch_builder_null_missing(&decoder->metadata);
        batch_builder_end_row(&decoder->metadata, ROW_INSERT);
    }
    for (uint32_t row = first; row < count; row++)
        decoder->is_dropped[row] = decoder->has_error;
}

/* Rows that a batch before the restore held already. */
static void skip_rows(struct kafka_decoder *decoder, struct kafka_reading *reading, uint32_t first,
                      uint32_t count)
{
    for (uint32_t row = first; row < count && reading->rows_skip > 0; row++) {
        decoder->is_dropped[row] = true;
        reading->rows_skip--;
    }
    for (uint32_t row = first; row < count; row++)
        decoder->dropped_count += decoder->is_dropped[row];
}

/* The value's rows into the builder; 0 of them if an error was noted. false: the batch is full and
 * the record not at its end. */
static bool decode_value(struct kafka_decoder *decoder, struct kafka_reading *reading,
                         const rd_kafka_message_t *record)
{
    struct kafka_part *part = &decoder->value;
    if (part->decoder == NULL)
        return true;
    if (record->payload == NULL) {
        (void)append_nulls(decoder, part, "value (it is a tombstone)");
        return true;
    }
    const uint32_t size = (uint32_t)record->len - reading->consumed;
    const uint32_t before = part->builder.row_count;
    const uint32_t offset =
        copy_in(decoder, reading, (const char *)record->payload + reading->consumed, size);
    uint32_t consumed = 0;
    const enum decode decode = decode_part(decoder, part, offset, size, &consumed, "");
    if (decode == DECODE_FULL) {
        reading->consumed += consumed;
        return false;
    }
    if (decode == DECODE_DONE && part->builder.row_count == before && reading->consumed == 0)
        fail(decoder, "parse", "the message holds no record");
    return true;
}

/* Decodes the first record; false: the batch is full before its end. */
static bool decode_record(struct kafka_decoder *decoder, struct kafka_reading *reading,
                          const rd_kafka_message_t *record)
{
    const uint32_t first = decoder->row_count;
    if (record->len > decoder->record_size_max) {
        fail(decoder, "too_large",
             "the record has %zu bytes, the largest allowed are %" PRIu64
             ": raise pipeline.max-record-size",
             record->len, decoder->record_size_max);
        return true;
    }
    const bool is_whole = decode_value(decoder, reading, record);
    uint32_t count = decoder->value.decoder != NULL ? decoder->value.builder.row_count : first + 1;
    if (count > first) {
        complete_rows(decoder, reading, record, first, count);
        skip_rows(decoder, reading, first, count);
        decoder->row_count = count;
    }
    reading->rows_seen += count - first;
    if (!is_whole && reading->split.rows_done < reading->rows_seen)
        reading->split.rows_done = reading->rows_seen;
    return is_whole;
}

/* ---- errors ---- */

/* What librdkafka could not read: an unknown magic byte, a broken checksum or compression. */
static void note_broken(struct kafka_decoder *decoder, const rd_kafka_message_t *record)
{
    const char *text = rd_kafka_message_errstr(record);
    fail(decoder, "corrupt", "%s", text != NULL ? text : rd_kafka_err2str(record->err));
}

static enum step report_error(struct kafka_decoder *decoder, const struct kafka_reading *reading,
                              struct emitter *out, struct error *err)
{
    const rd_kafka_message_t *record = kafka_reading_head(reading);
    const bool is_broken = record->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    const struct batch_origin origin = {.source = reading->name,
                                        .first = record->offset,
                                        .last = record->offset + 1,
                                        .split = reading->number};
    const struct row_error error = {
        .cause = decoder->cause,
        .message = decoder->message,
        .origin = &origin,
        .position = record->offset,
        .raw = is_broken ? NULL : record->payload,
        .raw_size = is_broken ? 0 : record->len,
        .key = is_broken ? NULL : record->key,
        .key_size = is_broken ? 0 : record->key_len,
    };
    return decoder->env->ops->row_error(decoder->env, &error, out, err);
}

/* ---- batches ---- */

static uint32_t *make_selection(const struct kafka_decoder *decoder)
{
    uint32_t *selection = allocate_array(decoder->row_count, sizeof(*selection));
    uint32_t count = 0;
    for (uint32_t row = 0; row < decoder->row_count; row++) {
        if (!decoder->is_dropped[row])
            selection[count++] = row;
    }
    return selection;
}

static bool keys_are_in_order(const struct kafka_decoder *decoder, const struct batch *keys)
{
    if (keys->row_count != decoder->row_count)
        return false;
    for (uint32_t row = 0; row < decoder->row_count; row++) {
        if (decoder->key_rows[row] != row)
            return false;
    }
    return true;
}

static struct column *take_column(const struct kafka_decoder *decoder,
                                  const struct kafka_column *column, struct batch *values,
                                  struct batch *keys, struct batch *metadata)
{
    if (column->field == KAFKA_FIELD_VALUE)
        return column_ref(values->columns[column->index]);
    if (column->field != KAFKA_FIELD_KEY)
        return column_ref(metadata->columns[column->index]);
    return keys_are_in_order(decoder, keys)
               ? column_ref(keys->columns[column->index])
               : column_gather(keys->columns[column->index], decoder->key_rows, decoder->row_count);
}

static struct batch *assemble(struct kafka_decoder *decoder)
{
    struct batch *values =
        decoder->value.decoder != NULL ? batch_builder_take(&decoder->value.builder) : NULL;
    if (decoder->key.decoder == NULL && decoder->layout.metadata == NULL)
        return values;
    struct batch *keys =
        decoder->key.decoder != NULL ? batch_builder_take(&decoder->key.builder) : NULL;
    struct batch *metadata =
        decoder->layout.metadata != NULL ? batch_builder_take(&decoder->metadata) : NULL;
    struct batch *batch = batch_create(decoder->env->spec->outputs[0].schema, decoder->row_count);
    for (uint32_t i = 0; i < decoder->layout.column_count; i++)
        batch->columns[i] =
            take_column(decoder, &decoder->layout.columns[i], values, keys, metadata);
    batch_unref(values);
    batch_unref(keys);
    batch_unref(metadata);
    return batch;
}

/* The rows decoded so far; NULL if there are none. */
static struct batch *take_batch(struct kafka_decoder *decoder, const struct kafka_reading *reading,
                                int64_t first)
{
    struct batch *batch = NULL;
    if (decoder->row_count > 0) {
        batch = assemble(decoder);
        batch->origin = (struct batch_origin){.source = buffer_ref(reading->name),
                                              .first = first,
                                              .last = reading->split.next,
                                              .split = reading->number};
        if (decoder->dropped_count > 0) {
            batch->selection = make_selection(decoder);
            batch->selected_count = decoder->row_count - decoder->dropped_count;
        }
        if (decoder->dropped_count == decoder->row_count) {
            batch_unref(batch);
            batch = NULL;
        }
    }
    decoder->row_count = decoder->dropped_count = 0;
    buffer_unref(decoder->buffer);
    decoder->buffer = NULL;
    return batch;
}

/* ---- running ---- */

static bool is_full(const struct kafka_decoder *decoder)
{
    const struct batch_builder *builder =
        decoder->value.decoder != NULL ? &decoder->value.builder : &decoder->metadata;
    return decoder->row_count >= BATCH_ROWS_MAX || batch_builder_is_full(builder) ||
           (decoder->key.decoder != NULL && batch_builder_is_full(&decoder->key.builder)) ||
           (decoder->layout.metadata != NULL && batch_builder_is_full(&decoder->metadata));
}

/* Is the record the one that the checkpoint names as read last? */
static bool is_same(const struct kafka_split *split, const rd_kafka_message_t *record)
{
    return rd_kafka_message_timestamp(record, NULL) == split->last_time_ms &&
           kafka_record_hash(record->key, record->key_len, record->payload, record->len) ==
               split->last_hash;
}

enum next { NEXT_SKIP, NEXT_DECODE, NEXT_END, NEXT_LOST };

/* What to do with the first record. */
static enum next look_at(struct kafka_decoder *decoder, struct kafka_reading *reading,
                         const rd_kafka_message_t *record)
{
    struct kafka_split *split = &reading->split;
    if (record->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        if (record->offset < split->next)
            return reading->must_verify ? NEXT_LOST : NEXT_SKIP;
        split->next = record->offset;
        reading->must_verify = false;
        reading->is_at_end = true;
        reading->end_seen = record->offset;
        return split->next >= split->end ? NEXT_END : NEXT_SKIP;
    }
    reading->is_at_end = false;
    if (record->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_broken(decoder, record);
        return NEXT_DECODE;
    }
    if (reading->must_verify) {
        reading->must_verify = false;
        if (record->offset == split->last_offset && !is_same(split, record))
            return NEXT_LOST;
    }
    if (record->offset >= split->end)
        return NEXT_END;
    /* librdkafka 2.0 may give an answer of a broker twice. */
    return record->offset < split->next ? NEXT_SKIP : NEXT_DECODE;
}

/* The first record's error to on_error; true: it is done with. */
static bool handle_error(struct kafka_decoder *decoder, struct kafka_reading *reading,
                         struct emitter *out, enum kafka_decoded *ret, struct error *err)
{
    switch (report_error(decoder, reading, out, err)) {
    case STEP_FAILED:
        *ret = KAFKA_DECODED_FAILED;
        return false;
    case STEP_AGAIN:
    case STEP_WAIT:
        *ret = KAFKA_DECODED_NO_ROOM;
        return false;
    case STEP_DONE:
        break;
    }
    decoder->has_error = false;
    const rd_kafka_message_t *record = kafka_reading_head(reading);
    if (record->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        kafka_reading_advance(reading, record);
    kafka_reading_pop(reading);
    return true;
}

static enum kafka_decoded decode_some(struct kafka_decoder *decoder, struct kafka_reading *reading,
                                      struct emitter *out, struct error *err)
{
    unsigned errors = 0;
    enum kafka_decoded result = KAFKA_DECODED_ALL;
    while (reading->count > 0 || decoder->has_error) {
        if (decoder->has_error) {
            if (!handle_error(decoder, reading, out, &result, err))
                return result;
            if (++errors >= RECORD_ERRORS_PER_TURN)
                return KAFKA_DECODED_NO_ROOM;
            continue;
        }
        if (is_full(decoder))
            return KAFKA_DECODED_FULL;
        const rd_kafka_message_t *record = kafka_reading_head(reading);
        switch (look_at(decoder, reading, record)) {
        case NEXT_SKIP:
            kafka_reading_pop(reading);
            continue;
        case NEXT_END:
            kafka_reading_finish(reading);
            return KAFKA_DECODED_ALL;
        case NEXT_LOST:
            return KAFKA_DECODED_LOST;
        case NEXT_DECODE:
            break;
        }
        if (decoder->has_error)
            continue;
        if (!decode_record(decoder, reading, record))
            return KAFKA_DECODED_FULL;
        if (decoder->has_error)
            continue;
        kafka_reading_advance(reading, record);
        kafka_reading_pop(reading);
        if (reading->split.next >= reading->split.end)
            kafka_reading_finish(reading);
    }
    return result;
}

enum kafka_decoded kafka_decoder_run(struct kafka_decoder *decoder, struct kafka_reading *reading,
                                     struct emitter *out, struct batch **ret_batch,
                                     struct error *err)
{
    const int64_t first = reading->split.next;
    const enum kafka_decoded result = decode_some(decoder, reading, out, err);
    *ret_batch = take_batch(decoder, reading, first);
    return result;
}
