/* Columnar gathering of rows for a channel. */
#include "taskmanager/exchange/staging.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#define ROWS_MIN        256 /* a power of two */
#define CHUNK_BYTES_MIN 4096

void staging_init(struct staging *staging, const struct schema *schema,
                  struct memory_account *account)
{
    *staging = (struct staging){
        .schema = schema_ref(schema),
        .account = account,
        .is_flat = true,
        .capacity = ROWS_MIN,
        .columns = allocate_array(schema->column_count + 1, sizeof(struct staging_column)),
    };
    for (uint32_t i = 0; i < schema->column_count; i++) {
        struct staging_column *column = &staging->columns[i];
        column->type = schema->columns[i].type;
        column->value_size = (uint32_t)type_value_size(column->type.kind);
        if (column->value_size == 0)
            staging->is_flat = false;
    }
    if (!staging->is_flat)
        batch_builder_init(&staging->builder, schema, account);
}

void staging_done(struct staging *staging)
{
    for (uint32_t i = 0; i < staging->schema->column_count; i++) {
        if (staging->columns[i].column != NULL)
            column_unref(staging->columns[i].column);
    }
    if (!staging->is_flat)
        batch_builder_done(&staging->builder);
    free(staging->columns);
    free(staging->row_kinds);
    schema_unref(staging->schema);
    *staging = (struct staging){0};
}

static void copy_rows(struct column *to, const struct column *from, uint32_t count,
                      uint32_t value_size)
{
    memcpy(to->values, from->values, (size_t)count * value_size);
    if (from->validity != NULL) {
        column_need_validity(to);
        memcpy(to->validity, from->validity, (count + 63) / 64 * sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < from->buffer_count; i++) {
        const uint32_t index = column_add_buffer(to, from->buffers[i]);
        CHECK(index == i);
    }
}

/* Room for so many rows in every column. */
static void reserve_rows(struct staging *staging, uint32_t count)
{
    const bool is_new = staging->row_count == 0;
    if (count <= staging->capacity && !is_new)
        return;
    while (staging->capacity < count)
        staging->capacity *= 2;
    for (uint32_t i = 0; i < staging->schema->column_count; i++) {
        struct staging_column *column = &staging->columns[i];
        struct column *before = column->column;
        if (before != NULL && before->row_count >= count)
            continue;
        column->column = column_create(column->type, staging->capacity);
        if (before != NULL) {
            copy_rows(column->column, before, staging->row_count, column->value_size);
            column_unref(before);
        }
    }
}

/* Bytes of the strings that lie outside the views. */
static uint64_t long_bytes(const struct column *column, const uint32_t *rows, uint32_t count)
{
    const struct string_view *views = column_views(column);
    uint64_t size = 0;
    if (column->buffer_count == 0)
        return 0;
    if (column->validity == NULL) {
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t bytes = views[rows[i]].size;
            size += bytes > STRING_VIEW_INLINE ? bytes : 0;
        }
        return size;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows[i];
        if (views[row].size > STRING_VIEW_INLINE && !column_is_null(column, row))
            size += views[row].size;
    }
    return size;
}

/* Also sets what the columns know of the piece. */
static uint64_t piece_bytes(struct staging *staging, const struct batch *batch,
                            const uint32_t *rows, uint32_t count)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < batch->column_count; i++) {
        struct staging_column *column = &staging->columns[i];
        size += (uint64_t)count * column->value_size;
        if (type_is_view(column->type.kind))
            size += column->long_bytes = long_bytes(batch->columns[i], rows, count);
    }
    return size;
}

#define GATHER(type)                                                                               \
    do {                                                                                           \
        type *restrict out = (type *)(void *)to;                                                   \
        const type *restrict in = from;                                                            \
        for (uint32_t i = 0; i < count; i++)                                                       \
            out[i] = in[rows[i]];                                                                  \
    } while (0)

struct wide {
    uint64_t words[2];
};

static void gather_values(char *to, const void *from, uint32_t value_size, const uint32_t *rows,
                          uint32_t count)
{
    if (value_size == 8) {
        GATHER(uint64_t);
    } else if (value_size == 16) {
        GATHER(struct wide);
    } else if (value_size == 4) {
        GATHER(uint32_t);
    } else if (value_size == 2) {
        GATHER(uint16_t);
    } else {
        CHECK(value_size == 1);
        GATHER(uint8_t);
    }
}

/* A chunk of the column with room for so many bytes, and its index. */
static struct buffer *chunk_for(struct staging *staging, struct column *column, uint64_t size,
                                uint32_t *ret_index)
{
    uint64_t capacity = CHUNK_BYTES_MIN;
    if (column->buffer_count > 0) {
        struct buffer *last = column->buffers[column->buffer_count - 1];
        *ret_index = column->buffer_count - 1;
        if (last->capacity - last->size >= size)
            return last;
        capacity = (uint64_t)last->capacity * 2;
        if (capacity > BATCH_BYTES_MAX)
            capacity = BATCH_BYTES_MAX;
    }
    struct buffer *buffer =
        buffer_create(staging->account, (uint32_t)(capacity < size ? size : capacity));
    *ret_index = column_add_buffer(column, buffer);
    buffer_unref(buffer);
    return buffer;
}

/* The views have been copied: those of long strings still point into the source's buffers. */
static void copy_strings(struct staging *staging, struct staging_column *to,
                         const struct column *from, const uint32_t *rows, uint32_t count)
{
    if (to->long_bytes == 0)
        return;
    uint32_t index;
    struct buffer *chunk = chunk_for(staging, to->column, to->long_bytes, &index);
    struct string_view *views = column_views(to->column) + staging->row_count;
    for (uint32_t i = 0; i < count; i++) {
        if (views[i].size <= STRING_VIEW_INLINE || column_is_null(from, rows[i]))
            continue;
        memcpy(chunk->bytes + chunk->size, string_view_bytes(from, &views[i]), views[i].size);
        views[i].ref.buffer = index;
        views[i].ref.offset = chunk->size;
        chunk->size += views[i].size;
    }
}

static void copy_validity(struct staging *staging, struct staging_column *to,
                          const struct column *from, const uint32_t *rows, uint32_t count)
{
    if (from->validity == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (!column_is_null(from, rows[i]))
            continue;
        const uint32_t row = staging->row_count + i;
        if (to->column->validity == NULL)
            column_need_validity(to->column);
        column_set_null(to->column, row);
        /* What a view says under a NULL is of no meaning: it must not point anywhere. */
        memset((char *)to->column->values + (size_t)row * to->value_size, 0, to->value_size);
    }
}

static void copy_kinds(struct staging *staging, const struct batch *batch, const uint32_t *rows,
                       uint32_t count)
{
    if (batch->row_kinds == NULL && staging->row_kinds == NULL)
        return;
    if (staging->row_kinds == NULL)
        staging->row_kinds = allocate(BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < count; i++)
        staging->row_kinds[staging->row_count + i] = (uint8_t)batch_row_kind(batch, rows[i]);
}

static void append_flat(struct staging *staging, const struct batch *batch, const uint32_t *rows,
                        uint32_t count)
{
    reserve_rows(staging, staging->row_count + count);
    copy_kinds(staging, batch, rows, count);
    for (uint32_t i = 0; i < batch->column_count; i++) {
        struct staging_column *column = &staging->columns[i];
        const struct column *from = batch->columns[i];
        gather_values((char *)column->column->values +
                          (size_t)staging->row_count * column->value_size,
                      from->values, column->value_size, rows, count);
        if (type_is_view(column->type.kind))
            copy_strings(staging, column, from, rows, count);
        copy_validity(staging, column, from, rows, count);
    }
    staging->row_count += count;
}

static uint32_t append_nested(struct staging *staging, const struct batch *batch,
                              const uint32_t *rows, uint32_t count)
{
    uint32_t done = 0;
    while (done < count && !batch_builder_is_full(&staging->builder)) {
        for (uint32_t i = 0; i < batch->column_count; i++)
            batch_builder_copy(&staging->builder, i, batch->columns[i], rows[done]);
        batch_builder_end_row(&staging->builder, batch_row_kind(batch, rows[done]));
        done++;
    }
    staging->row_count = staging->builder.row_count;
    staging->byte_size = staging->builder.byte_size;
    return done;
}

uint32_t staging_append(struct staging *staging, const struct batch *batch, const uint32_t *rows,
                        uint32_t count, int64_t now_us)
{
    DCHECK(batch->column_count == staging->schema->column_count);
    if (staging->row_count == 0)
        staging->first_us = now_us;
    if (!staging->is_flat)
        return append_nested(staging, batch, rows, count);
    const uint32_t room = BATCH_ROWS_MAX - staging->row_count;
    if (count > room)
        count = room;
    uint64_t size = piece_bytes(staging, batch, rows, count);
    while (count > 0 && staging->byte_size + size > BATCH_BYTES_MAX &&
           (staging->row_count > 0 || count > 1)) {
        count /= 2;
        size = piece_bytes(staging, batch, rows, count);
    }
    if (count == 0)
        return 0;
    append_flat(staging, batch, rows, count);
    staging->byte_size += size;
    return count;
}

/* Hands the column over, unless the rows are so few that a copy of them is worth its while. */
static struct column *take_column(struct staging_column *column, uint32_t row_count)
{
    struct column *from = take_pointer(&column->column);
    if (row_count >= from->row_count / 2) {
        from->row_count = row_count;
        return from;
    }
    struct column *to = column_create(column->type, row_count);
    copy_rows(to, from, row_count, column->value_size);
    column_unref(from);
    return to;
}

static uint32_t capacity_for(uint32_t row_count)
{
    uint32_t capacity = ROWS_MIN;
    while (capacity < row_count)
        capacity *= 2;
    return capacity;
}

struct batch *staging_take(struct staging *staging)
{
    CHECK(staging->row_count > 0);
    struct batch *batch;
    if (staging->is_flat) {
        batch = batch_create(staging->schema, staging->row_count);
        for (uint32_t i = 0; i < batch->column_count; i++)
            batch->columns[i] = take_column(&staging->columns[i], staging->row_count);
        if (staging->row_kinds != NULL)
            batch->row_kinds = take_pointer(&staging->row_kinds);
        staging->capacity = capacity_for(staging->row_count);
    } else {
        batch = batch_builder_take(&staging->builder);
        CHECK(batch != NULL);
    }
    staging->row_count = 0;
    staging->byte_size = 0;
    return batch;
}
