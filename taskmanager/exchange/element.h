/*
 * What flows in a channel, in order: batches, and between them control elements.
 *
 * Control elements on the wire (version 1, little-endian): version u8, kind u8, then
 *   WATERMARK  time i64
 *   BARRIER    id u64, newest completed id u64, timestamp i64, flags u8 (1: savepoint)
 *   LATENCY    emitted i64, vertex 16 bytes, subtask u32
 *   IDLE, ACTIVE, END  nothing
 * Longer bodies of a later minor version are accepted and their rest ignored.
 */
#ifndef TASKMANAGER_EXCHANGE_ELEMENT_H
#define TASKMANAGER_EXCHANGE_ELEMENT_H

#include "common/base/ids.h"
#include "common/data/batch.h"

enum element_kind {
    ELEMENT_BATCH = 1,
    ELEMENT_WATERMARK = 2,
    ELEMENT_IDLE = 3,   /* no watermark will come until ACTIVE: left out of the minimum */
    ELEMENT_ACTIVE = 4, /* the last watermark counts again */
    ELEMENT_BARRIER = 5,
    ELEMENT_END = 6, /* of bounded input: nothing follows */
    ELEMENT_LATENCY = 7,
};

#define WATERMARK_NONE INT64_MIN /* EVENT_TIME_NONE and _MAX of common/api/operator.h */
#define WATERMARK_MAX  INT64_MAX

struct barrier {
    struct checkpoint_id id;
    struct checkpoint_id newest_completed; /* only its files may be referenced */
    int64_t timestamp_ms;                  /* wall clock of the trigger */
    bool is_savepoint;
};

struct latency_marker {
    int64_t emitted_us; /* wall clock */
    struct id128 vertex;
    uint32_t subtask;
};

struct element {
    enum element_kind kind;
    union {
        struct batch *batch; /* owned */
        int64_t watermark_ms;
        struct barrier barrier;
        struct latency_marker latency;
    };
};

#define ELEMENT_CONTROL_BYTES_MAX 64

static inline struct element element_of_batch(struct batch *batch)
{
    return (struct element){.kind = ELEMENT_BATCH, .batch = batch};
}

void element_release(struct element *element);

/* Writes a control element; returns its size. */
size_t element_encode(const struct element *element,
                      uint8_t bytes[static ELEMENT_CONTROL_BYTES_MAX]);
enum status element_decode(const void *bytes, size_t size, struct element *ret_element,
                           struct error *err) MUST_CHECK;

#endif
