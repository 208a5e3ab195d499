/*
 * Between frames and the bytes of a stream, whatever carries them: a queue of frames on their way
 * out and a reader that finds frames in what came in. No I/O and no lock here.
 */
#ifndef COMMON_IO_FRAME_STREAM_H
#define COMMON_IO_FRAME_STREAM_H

#include "common/io/frame.h"

#include <sys/uio.h>

/* ---- out ---- */

struct queued_frame {
    struct queued_frame *next;
    struct buffer *payload;
    uint8_t header[FRAME_HEADER_BYTES];
};

struct frame_queue {
    struct queued_frame *first; /* NULL: empty */
    struct queued_frame **last;
    uint64_t byte_size; /* of all frames that are not wholly sent */
    size_t sent_bytes;  /* of the first frame */
};

void frame_queue_init(struct frame_queue *queue);
void frame_queue_done(struct frame_queue *queue);

static inline size_t frame_size(const struct frame *frame)
{
    return FRAME_HEADER_BYTES + (frame->payload != NULL ? frame->payload->size : 0);
}

/* The frame with its checksum, made outside of any lock; takes a reference of the payload. */
struct queued_frame *queued_frame_create(const struct frame *frame)
    __attribute__((returns_nonnull, warn_unused_result));
void queued_frame_destroy(struct queued_frame *frame);
/* Takes the frame. */
void frame_queue_push(struct frame_queue *queue, struct queued_frame *frame);
/* What is to be sent next; 0: nothing. They stay valid until frame_queue_pass. */
unsigned frame_queue_vectors(const struct frame_queue *queue, struct iovec *vectors, unsigned max);
/* So many bytes of these have gone out. */
void frame_queue_pass(struct frame_queue *queue, size_t count);

/* ---- in ---- */

#define FRAME_STASH_BYTES (64 * 1024)

struct frame_reader {
    struct buffer *payload; /* not complete yet, or NULL */
    uint32_t payload_size;  /* what it will have */
    uint8_t header_bytes[FRAME_HEADER_BYTES];
    struct frame_header header;
    size_t stash_size;
    uint8_t stash[FRAME_STASH_BYTES];
};

/* Zeroed memory is an empty reader. */
void frame_reader_done(struct frame_reader *reader);

/* Where the next bytes of the stream go: one or two vectors. */
unsigned frame_reader_room(struct frame_reader *reader, struct iovec vectors[static 2]);

/* A complete frame whose checksum is right; its payload is borrowed. */
typedef void (*frame_reader_fn)(void *context, const struct frame *frame);
/* So many bytes have come. Hands over every frame that is complete. */
enum status frame_reader_take(struct frame_reader *reader, size_t count, frame_reader_fn on_frame,
                              void *context, struct error *err) MUST_CHECK;

#endif
