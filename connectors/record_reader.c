/* From blocks of bytes to batches of rows: see record_reader.h. */
#include "connectors/record_reader.h"

#include "common/api/row_error.h"
#include "common/base/allocate.h"
#include "common/base/check.h"

#include <inttypes.h>
#include <stdio.h>

enum status record_reader_init(struct record_reader *reader, struct operator_env *env,
                               const struct format *format, const struct schema *schema,
                               struct error *err)
{
    *reader = (struct record_reader){.env = env, .record_size_max = RECORD_SIZE_MAX_DEFAULT};
    const char *text =
        env->job != NULL ? job_graph_config(env->job, "pipeline.max-record-size") : NULL;
    if (text != NULL) {
        int64_t bytes = 0;
        TRY(parse_size_bytes(text, OPTION_UNITS_OPTIONAL, &bytes, err));
        reader->record_size_max = (uint64_t)bytes;
    }
    if (format->decoder.open == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "format %s cannot be read", format->name);
    void *decoder = allocate(format->decoder.instance_size + 1);
    const enum status status = format->decoder.open(decoder, env->spec, schema, err);
    if (status != STATUS_OK) {
        format->decoder.close(decoder);
        free(decoder);
        return error_wrap(err, status, "format %s", format->name);
    }
    reader->format = format;
    reader->decoder = decoder;
    batch_builder_init(&reader->builder, schema, env->memory);
    return STATUS_OK;
}

void record_reader_done(struct record_reader *reader)
{
    if (reader->decoder != NULL) {
        batch_builder_done(&reader->builder);
        reader->format->decoder.close(reader->decoder);
        free(reader->decoder);
    }
    buffer_unref(reader->buffer);
    buffer_unref(reader->name);
    free(reader->row_positions);
    *reader = (struct record_reader){0};
}

void record_reader_keep_positions(struct record_reader *reader)
{
    reader->row_positions = allocate_array(BATCH_ROWS_MAX, sizeof(*reader->row_positions));
}

void record_reader_start(struct record_reader *reader, const char *name, int64_t position,
                         bool at_beginning)
{
    DCHECK(reader->builder.row_count == 0 && !reader->has_error);
    buffer_unref(reader->name);
    buffer_unref(reader->buffer);
    const uint32_t size = (uint32_t)strlen(name);
    reader->name = buffer_create(NULL, size);
    memcpy(reader->name->bytes, name, size);
    reader->name->size = size;
    reader->buffer = NULL;
    reader->offset = reader->size = reader->joined = 0;
    reader->position = reader->batch_first = position;
    reader->may_decode = reader->is_last = reader->is_skipping = false;
    if (reader->format->decoder.start != NULL)
        reader->format->decoder.start(reader->decoder, at_beginning);
}

/* ---- blocks ---- */

/* Drops the block's leading bytes that belong to a record above the maximum. */
static void skip_in_block(struct record_reader *reader, struct record_block *block)
{
    const char *bytes = block->buffer->bytes + block->offset;
    const char *newline = memchr(bytes, '\n', block->size);
    const uint32_t skipped = newline != NULL ? (uint32_t)(newline - bytes) + 1 : block->size;
    block->offset += skipped;
    block->size -= skipped;
    block->position += skipped;
    reader->is_skipping = newline == NULL && !block->is_last;
}

/* Puts the open record and the block into a buffer that holds both, with room to grow. */
static void join_in_new_buffer(struct record_reader *reader, const struct record_block *block)
{
    const uint64_t both = (uint64_t)reader->size + block->size;
    CHECK(both < UINT32_MAX / 4);
    struct buffer *joined = buffer_create(reader->env->memory, (uint32_t)both * 2);
    joined->size = joined->capacity;
    memcpy(joined->bytes, reader->buffer->bytes + reader->offset, reader->size);
    memcpy(joined->bytes + reader->size, block->buffer->bytes + block->offset, block->size);
    buffer_unref(reader->buffer);
    buffer_unref(block->buffer);
    reader->buffer = joined;
    reader->offset = 0;
}

static void join(struct record_reader *reader, struct record_block *block)
{
    const uint32_t end = reader->offset + reader->size;
    if (reader->size <= block->offset) {
        memcpy(block->buffer->bytes + block->offset - reader->size,
               reader->buffer->bytes + reader->offset, reader->size);
        buffer_unref(reader->buffer);
        reader->buffer = block->buffer;
        reader->offset = block->offset - reader->size;
    } else if (end < reader->buffer->size && block->size <= reader->buffer->size - end) {
        /* Only a buffer made for joining is larger than what it holds. */
        memcpy(reader->buffer->bytes + end, block->buffer->bytes + block->offset, block->size);
        buffer_unref(block->buffer);
    } else {
        join_in_new_buffer(reader, block);
    }
    reader->joined = reader->size;
    reader->size += block->size;
}

void record_reader_feed(struct record_reader *reader, const struct record_block *given)
{
    struct record_block block = *given;
    DCHECK(!reader->has_error && !reader->is_last);
    DCHECK(reader->size == 0 || block.position == reader->position + reader->size);
    reader->is_last = block.is_last;
    if (reader->is_skipping)
        skip_in_block(reader, &block);
    if (reader->size == 0) {
        buffer_unref(reader->buffer);
        reader->buffer = block.buffer;
        reader->offset = block.offset;
        reader->size = block.size;
        if (reader->batch_first == reader->position)
            reader->batch_first = block.position;
        reader->position = block.position;
        reader->joined = 0;
        reader->may_decode = true;
        return;
    }
    /* An open record goes on: without an end of line it cannot end in this block. */
    reader->may_decode =
        block.is_last || memchr(block.buffer->bytes + block.offset, '\n', block.size) != NULL;
    join(reader, &block);
}

/* ---- records ---- */

static void consume(struct record_reader *reader, uint32_t size)
{
    reader->offset += size;
    reader->size -= size;
    reader->position += size;
    reader->joined = 0;
}

/* The first record came in several blocks: is it larger than allowed? Then it becomes an error. */
static void check_size(struct record_reader *reader)
{
    const char *bytes = reader->buffer->bytes + reader->offset;
    const char *newline =
        memchr(bytes + reader->joined, '\n', (size_t)(reader->size - reader->joined));
    const uint32_t size = newline != NULL ? (uint32_t)(newline - bytes) : reader->size;
    if (size <= reader->record_size_max)
        return;
    reader->has_error = true;
    reader->cause = "too_large";
    reader->error = (struct decode_error){
        .offset = reader->offset,
        .size = size < ROW_ERROR_RAW_BYTES_MAX ? size : ROW_ERROR_RAW_BYTES_MAX};
    (void)snprintf(reader->error.message, sizeof(reader->error.message),
                   "the record is larger than pipeline.max-record-size (%" PRIu64
                   " bytes): raise that or repair the input",
                   reader->record_size_max);
    reader->error_position = reader->position;
    reader->is_skipping = newline == NULL && !reader->is_last;
    consume(reader, newline != NULL ? size + 1 : size);
}

static enum step handle_error(struct record_reader *reader, struct emitter *out, struct error *err)
{
    const struct batch_origin origin = {
        .source = reader->name, .first = reader->error_position, .last = reader->position};
    const struct row_error error = {
        .cause = reader->cause,
        .message = reader->error.message,
        .origin = &origin,
        .position = reader->error_position,
        .raw = reader->buffer->bytes + reader->error.offset,
        .raw_size = reader->error.size,
    };
    const enum step step = reader->env->ops->row_error(reader->env, &error, out, err);
    if (step == STEP_DONE)
        reader->has_error = false;
    return step;
}

/* Bytes of the next `lines` lines, at most what there is. */
static uint32_t size_of_lines(const struct record_reader *reader, uint32_t lines)
{
    const char *bytes = reader->buffer->bytes + reader->offset;
    uint32_t size = 0;
    for (uint32_t i = 0; i < lines && size < reader->size; i++) {
        const char *newline = memchr(bytes + size, '\n', reader->size - size);
        size = newline != NULL ? (uint32_t)(newline - bytes) + 1 : reader->size;
    }
    return size;
}

/* One call of the decoder, over at most line_limit lines. */
static enum decode decode_some(struct record_reader *reader, uint32_t line_limit, bool *ret_is_part)
{
    for (uint64_t lines = line_limit;; lines *= 2) {
        const uint32_t size =
            lines > 0 && lines < UINT32_MAX ? size_of_lines(reader, (uint32_t)lines) : reader->size;
        *ret_is_part = size < reader->size;
        uint32_t consumed = 0;
        const uint32_t first = reader->offset;
        const enum decode decode = reader->format->decoder.decode(
            reader->decoder, reader->buffer, first, size, reader->is_last && !*ret_is_part,
            &reader->builder, &consumed, &reader->error);
        DCHECK(consumed <= size);
        /* A record of several lines may need more of them. */
        if (consumed == 0 && decode == DECODE_DONE && *ret_is_part)
            continue;
        if (decode == DECODE_ERROR) {
            reader->has_error = true;
            reader->cause = "parse";
            reader->error_position = reader->position + (reader->error.offset - first);
        }
        consume(reader, consumed);
        return decode;
    }
}

/* The same; one record at a time where the positions of rows are kept. */
static enum decode decode_rows(struct record_reader *reader, uint32_t line_limit, bool *ret_is_part)
{
    if (reader->row_positions == NULL)
        return decode_some(reader, line_limit, ret_is_part);
    const int64_t position = reader->position;
    const uint32_t row = reader->builder.row_count;
    const enum decode decode = decode_some(reader, 1, ret_is_part);
    DCHECK(reader->builder.row_count <= row + 1);
    if (reader->builder.row_count > row)
        reader->row_positions[row] = position;
    return decode;
}

static enum records after_all_decoded(struct record_reader *reader)
{
    if (reader->is_last && reader->size == 0 && !reader->has_error)
        return RECORDS_END;
    CHECK(!reader->is_last); /* a decoder takes everything at the end */
    reader->may_decode = false;
    return RECORDS_NEED_BLOCK;
}

enum records record_reader_decode(struct record_reader *reader, uint32_t line_limit,
                                  struct emitter *out, struct error *err)
{
    for (unsigned errors = 0;;) {
        if (reader->has_error) {
            const enum step step = handle_error(reader, out, err);
            if (step == STEP_FAILED)
                return RECORDS_FAILED;
            if (step != STEP_DONE || ++errors >= RECORD_ERRORS_PER_TURN)
                return RECORDS_NO_ROOM;
        }
        if (reader->joined > 0)
            check_size(reader);
        if (reader->has_error)
            continue;
        if (reader->size == 0 || !reader->may_decode)
            return after_all_decoded(reader);
        const uint32_t row_count = reader->builder.row_count;
        if (line_limit > 0 && row_count >= line_limit)
            return RECORDS_FULL;
        bool is_part = false;
        switch (decode_rows(reader, line_limit > 0 ? line_limit - row_count : 0, &is_part)) {
        case DECODE_DONE:
            if (!is_part)
                return after_all_decoded(reader);
            break;
        case DECODE_FULL:
            return RECORDS_FULL;
        case DECODE_ERROR:
            break;
        }
    }
}

struct batch *record_reader_take(struct record_reader *reader)
{
    struct batch *batch = batch_builder_take(&reader->builder);
    const int64_t position = record_reader_position(reader);
    if (batch != NULL) {
        batch->origin = (struct batch_origin){
            .source = buffer_ref(reader->name), .first = reader->batch_first, .last = position};
    }
    reader->batch_first = position;
    return batch;
}
