/* Frames to and from the bytes of a stream. */
#include "common/io/frame_stream.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

/* So much of what follows a payload may land in the stash, from where it is copied: enough for a
 * header, after which the rest of the next payload is read to its place. */
#define READ_AHEAD_BYTES 1024

/* ---- out ---- */

void frame_queue_init(struct frame_queue *queue)
{
    *queue = (struct frame_queue){0};
    queue->last = &queue->first;
}

void queued_frame_destroy(struct queued_frame *frame)
{
    buffer_unref(frame->payload);
    free(frame);
}

void frame_queue_done(struct frame_queue *queue)
{
    while (queue->first != NULL) {
        struct queued_frame *next = queue->first->next;
        queued_frame_destroy(queue->first);
        queue->first = next;
    }
}

struct queued_frame *queued_frame_create(const struct frame *frame)
{
    struct queued_frame *queued = reallocate_array(NULL, 1, sizeof(*queued));
    queued->next = NULL;
    queued->payload = frame->payload != NULL ? buffer_ref(frame->payload) : NULL;
    frame_encode_header(frame, queued->header);
    return queued;
}

static size_t queued_size(const struct queued_frame *frame)
{
    return FRAME_HEADER_BYTES + (frame->payload != NULL ? frame->payload->size : 0);
}

void frame_queue_push(struct frame_queue *queue, struct queued_frame *frame)
{
    queue->byte_size += queued_size(frame);
    *queue->last = frame;
    queue->last = &frame->next;
}

unsigned frame_queue_vectors(const struct frame_queue *queue, struct iovec *vectors, unsigned max)
{
    unsigned count = 0;
    size_t skip = queue->sent_bytes;
    for (struct queued_frame *frame = queue->first; frame != NULL && count + 2 <= max;
         frame = frame->next) {
        const size_t head = skip < FRAME_HEADER_BYTES ? skip : FRAME_HEADER_BYTES;
        const size_t body = skip - head;
        skip = 0;
        if (head < FRAME_HEADER_BYTES)
            vectors[count++] = (struct iovec){frame->header + head, FRAME_HEADER_BYTES - head};
        if (frame->payload != NULL && body < frame->payload->size)
            vectors[count++] =
                (struct iovec){frame->payload->bytes + body, frame->payload->size - body};
    }
    return count;
}

void frame_queue_pass(struct frame_queue *queue, size_t count)
{
    queue->sent_bytes += count;
    while (queue->first != NULL) {
        struct queued_frame *frame = queue->first;
        const size_t size = queued_size(frame);
        if (queue->sent_bytes < size)
            return;
        queue->sent_bytes -= size;
        queue->byte_size -= size;
        queue->first = frame->next;
        if (queue->first == NULL)
            queue->last = &queue->first;
        queued_frame_destroy(frame);
    }
    CHECK(queue->sent_bytes == 0);
}

/* ---- in ---- */

void frame_reader_done(struct frame_reader *reader)
{
    buffer_unref(reader->payload);
    reader->payload = NULL;
}

unsigned frame_reader_room(struct frame_reader *reader, struct iovec vectors[static 2])
{
    size_t room = FRAME_STASH_BYTES - reader->stash_size;
    unsigned count = 0;
    if (reader->payload != NULL) {
        const size_t missing = reader->payload_size - reader->payload->size;
        vectors[count++] = (struct iovec){reader->payload->bytes + reader->payload->size, missing};
        if (missing > READ_AHEAD_BYTES)
            room = READ_AHEAD_BYTES;
    }
    vectors[count++] = (struct iovec){reader->stash + reader->stash_size, room};
    return count;
}

static enum status hand_over(const uint8_t header_bytes[static FRAME_HEADER_BYTES],
                             const struct frame_header *header, struct buffer *payload,
                             frame_reader_fn on_frame, void *context, struct error *err)
{
    TRY(frame_check(header_bytes, payload != NULL ? payload->bytes : "",
                    payload != NULL ? payload->size : 0, err));
    const struct frame frame = {
        .kind = header->kind,
        .flags = header->flags,
        .channel = header->channel,
        .payload = payload,
    };
    on_frame(context, &frame);
    return STATUS_OK;
}

/* One frame from the stash at `offset`. *ret_taken 0: more bytes are needed. */
static enum status take_one(struct frame_reader *reader, size_t offset, size_t *ret_taken,
                            frame_reader_fn on_frame, void *context, struct error *err)
{
    const uint8_t *bytes = reader->stash + offset;
    const size_t size = reader->stash_size - offset;
    *ret_taken = 0;
    if (size < FRAME_HEADER_BYTES)
        return STATUS_OK;
    struct frame_header header;
    TRY(frame_decode_header(bytes, &header, err));
    const size_t there = size - FRAME_HEADER_BYTES;
    const size_t body = there < header.payload_size ? there : header.payload_size;
    struct buffer *payload = NULL;
    if (header.payload_size > 0) {
        payload = buffer_create(NULL, header.payload_size);
        memcpy(payload->bytes, bytes + FRAME_HEADER_BYTES, body);
        payload->size = (uint32_t)body;
    }
    *ret_taken = FRAME_HEADER_BYTES + body;
    if (body < header.payload_size) {
        reader->payload = payload;
        reader->payload_size = header.payload_size;
        reader->header = header;
        memcpy(reader->header_bytes, bytes, FRAME_HEADER_BYTES);
        return STATUS_OK;
    }
    const enum status status = hand_over(bytes, &header, payload, on_frame, context, err);
    buffer_unref(payload);
    return status;
}

enum status frame_reader_take(struct frame_reader *reader, size_t count, frame_reader_fn on_frame,
                              void *context, struct error *err)
{
    if (reader->payload != NULL) {
        const size_t missing = reader->payload_size - reader->payload->size;
        const size_t body = count < missing ? count : missing;
        reader->payload->size += (uint32_t)body;
        count -= body;
        if (body < missing)
            return STATUS_OK;
        SCOPED(buffer_unref) struct buffer *payload = take_pointer(&reader->payload);
        TRY(hand_over(reader->header_bytes, &reader->header, payload, on_frame, context, err));
    }
    reader->stash_size += count;
    size_t offset = 0;
    size_t taken = 1;
    while (taken > 0 && reader->payload == NULL) {
        TRY(take_one(reader, offset, &taken, on_frame, context, err));
        offset += taken;
    }
    reader->stash_size -= offset;
    if (offset > 0 && reader->stash_size > 0)
        memmove(reader->stash, reader->stash + offset, reader->stash_size);
    return STATUS_OK;
}
