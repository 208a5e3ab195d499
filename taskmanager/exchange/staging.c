/* Columnar gathering of rows for a channel. */
#include "taskmanager/exchange/staging.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#define ROWS_MIN        256
#define CHUNK_BYTES_MIN 4096

void staging_init(struct staging *staging, const struct schema *schema,
                  struct memory_account *account)
{
    *staging = (struct staging){
        .schema = schema_ref(schema),
        .account = account,
        .is_flat = true,
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

static void drop_buffers(struct staging_column *column)
{
    for (size_t i = 0; i < column->buffer_count; i++)
        buffer_unref(column->buffers[i]);
    column->buffer_count = 0;
}

void staging_done(struct staging *staging)
{
    for (uint32_t i = 0; i < staging->schema->column_count; i++) {
        drop_buffers(&staging->columns[i]);
        free(staging->columns[i].buffers);
        free(staging->columns[i].values);
        free(staging->columns[i].validity);
    }
    if (!staging->is_flat)
        batch_builder_done(&staging->builder);
    free(staging->columns);
    free(staging->row_kinds);
    schema_unref(staging->schema);
    *staging = (struct staging){0};
}

static void reserve_rows(struct staging *staging, uint32_t count)
{
    if (count <= staging->capacity)
        return;
    uint32_t capacity = staging->capacity == 0 ? ROWS_MIN : staging->capacity;
    while (capacity < count)
        capacity *= 2;
    for (uint32_t i = 0; i < staging->schema->column_count; i++) {
        struct staging_column *column = &staging->columns[i];
        column->values = reallocate_array(column->values, capacity, column->value_size);
    }
    staging->capacity = capacity;
}

/* Bytes of the strings that lie outside the views. */
static uint64_t long_bytes(const struct column *column, const uint32_t *rows, uint32_t count)
{
    const struct string_view *views = column_views(column);
    uint64_t size = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows[i];
        if (views[row].size > STRING_VIEW_INLINE && !column_is_null(column, row))
            size += views[row].size;
    }
    return size;
}

static uint64_t piece_bytes(const struct staging *staging, const struct batch *batch,
                            const uint32_t *rows, uint32_t count)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < batch->column_count; i++) {
        size += (uint64_t)count * staging->columns[i].value_size;
        if (type_is_view(staging->columns[i].type.kind))
            size += long_bytes(batch->columns[i], rows, count);
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

static struct buffer *chunk_for(struct staging *staging, struct staging_column *column,
                                uint64_t size)
{
    uint64_t capacity = CHUNK_BYTES_MIN;
    if (column->buffer_count > 0) {
        struct buffer *last = column->buffers[column->buffer_count - 1];
        if (last->capacity - last->size >= size)
            return last;
        capacity = (uint64_t)last->capacity * 2;
        if (capacity > BATCH_BYTES_MAX)
            capacity = BATCH_BYTES_MAX;
    }
    struct buffer *buffer =
        buffer_create(staging->account, (uint32_t)(capacity < size ? size : capacity));
    array_push(column->buffers, column->buffer_count, column->buffer_capacity) = buffer;
    return buffer;
}

/* The views have been copied: those of long strings still point into the source's buffers. */
static void copy_strings(struct staging *staging, struct staging_column *column,
                         const struct column *from, const uint32_t *rows, uint32_t count)
{
    const uint64_t size = long_bytes(from, rows, count);
    if (size == 0)
        return;
    struct buffer *chunk = chunk_for(staging, column, size);
    const uint32_t index = (uint32_t)column->buffer_count - 1;
    struct string_view *views = (struct string_view *)(void *)column->values + staging->row_count;
    for (uint32_t i = 0; i < count; i++) {
        if (views[i].size <= STRING_VIEW_INLINE || column_is_null(from, rows[i]))
            continue;
        memcpy(chunk->bytes + chunk->size, string_view_bytes(from, &views[i]), views[i].size);
        views[i].ref.buffer = index;
        views[i].ref.offset = chunk->size;
        chunk->size += views[i].size;
    }
}

static void copy_validity(struct staging *staging, struct staging_column *column,
                          const struct column *from, const uint32_t *rows, uint32_t count)
{
    if (from->validity == NULL && !column->has_nulls)
        return;
    if (!column->has_nulls) {
        const size_t size = BATCH_ROWS_MAX / 8;
        if (column->validity == NULL)
            column->validity = allocate(size);
        memset(column->validity, 0xFF, size);
        column->has_nulls = true;
    }
    if (from->validity == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (!column_is_null(from, rows[i]))
            continue;
        const uint32_t row = staging->row_count + i;
        column->validity[row / 64] &= ~(UINT64_C(1) << (row % 64));
        /* What a view says under a NULL is of no meaning: it must not point anywhere. */
        memset(column->values + (size_t)row * column->value_size, 0, column->value_size);
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
        gather_values(column->values + (size_t)staging->row_count * column->value_size,
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

static struct column *take_column(struct staging_column *column, uint32_t row_count)
{
    struct column *to = column_create(column->type, row_count);
    memcpy(to->values, column->values, (size_t)row_count * column->value_size);
    if (column->has_nulls) {
        column_need_validity(to);
        memcpy(to->validity, column->validity, (row_count + 63) / 64 * sizeof(uint64_t));
        column->has_nulls = false;
    }
    for (size_t i = 0; i < column->buffer_count; i++) {
        const uint32_t index = column_add_buffer(to, column->buffers[i]);
        CHECK(index == i);
    }
    drop_buffers(column);
    return to;
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
    } else {
        batch = batch_builder_take(&staging->builder);
        CHECK(batch != NULL);
    }
    staging->row_count = 0;
    staging->byte_size = 0;
    return batch;
}
