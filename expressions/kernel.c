/* Buffers of results: see kernel.h. */
#include "expressions/kernel.h"

#include "common/base/check.h"

/* Small batches get small buffers, so that results do not pin much more than they hold. */
#define BUFFER_BYTES_MIN 4096
#define BUFFER_BYTES_MAX (256 * 1024)

uint32_t column_share_buffers(struct column *column, const struct column *from)
{
    uint32_t shift = 0;
    for (uint32_t i = 0; i < from->buffer_count; i++) {
        const uint32_t index = column_add_buffer(column, from->buffers[i]);
        if (i == 0)
            shift = index;
        DCHECK(index == shift + i);
    }
    return shift;
}

struct string_writer string_writer_start(const struct call *call, struct column *column)
{
    return (struct string_writer){.column = column, .account = scratch_account(call->scratch)};
}

char *string_writer_reserve(struct string_writer *writer, uint32_t size)
{
    struct buffer *buffer = writer->buffer;
    if (buffer == NULL || buffer->capacity - buffer->size < size) {
        uint32_t capacity = buffer == NULL ? BUFFER_BYTES_MIN : buffer->capacity * 2;
        if (capacity > BUFFER_BYTES_MAX)
            capacity = BUFFER_BYTES_MAX;
        if (capacity < size)
            capacity = size;
        buffer = buffer_create(writer->account, capacity);
        writer->index = column_add_buffer(writer->column, buffer);
        buffer_unref(buffer);
        writer->buffer = buffer;
    }
    return buffer->bytes + buffer->size;
}

void string_writer_commit(struct string_writer *writer, uint32_t entry, uint32_t size)
{
    struct buffer *buffer = writer->buffer;
    column_views(writer->column)[entry] =
        string_view_make(buffer, writer->index, buffer->size, size);
    if (size > STRING_VIEW_INLINE) /* short ones live in the view: their room is used again */
        buffer->size += size;
}

void string_writer_put(struct string_writer *writer, uint32_t entry, const char *bytes,
                       uint32_t size)
{
    if (size <= STRING_VIEW_INLINE) {
        column_views(writer->column)[entry] = string_view_inline(bytes, size);
        return;
    }
    memcpy(string_writer_reserve(writer, size), bytes, size);
    string_writer_commit(writer, entry, size);
}
