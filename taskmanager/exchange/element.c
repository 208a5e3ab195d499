/* Control elements as bytes; the layout is in the header. */
#include "taskmanager/exchange/element.h"

#include "common/base/check.h"

#define ELEMENT_VERSION   1
#define BARRIER_SAVEPOINT 1U
#define HEAD_BYTES        2

void element_release(struct element *element)
{
    if (element->kind == ELEMENT_BATCH)
        batch_unref(element->batch);
    *element = (struct element){.kind = ELEMENT_END};
}

static void put_u64(uint8_t *to, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_u64(const uint8_t *from)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

static size_t body_size(enum element_kind kind)
{
    switch (kind) {
    case ELEMENT_WATERMARK:
        return 8;
    case ELEMENT_BARRIER:
        return 25;
    case ELEMENT_LATENCY:
        return 28;
    case ELEMENT_IDLE:
    case ELEMENT_ACTIVE:
    case ELEMENT_END:
        return 0;
    case ELEMENT_BATCH:
        break;
    }
    UNREACHABLE();
}

size_t element_encode(const struct element *element,
                      uint8_t bytes[static ELEMENT_CONTROL_BYTES_MAX])
{
    bytes[0] = ELEMENT_VERSION;
    bytes[1] = (uint8_t)element->kind;
    uint8_t *body = bytes + HEAD_BYTES;
    if (element->kind == ELEMENT_WATERMARK) {
        put_u64(body, (uint64_t)element->watermark_ms);
    } else if (element->kind == ELEMENT_BARRIER) {
        put_u64(body, element->barrier.id.value);
        put_u64(body + 8, element->barrier.newest_completed.value);
        put_u64(body + 16, (uint64_t)element->barrier.timestamp_ms);
        body[24] = element->barrier.is_savepoint ? BARRIER_SAVEPOINT : 0;
    } else if (element->kind == ELEMENT_LATENCY) {
        put_u64(body, (uint64_t)element->latency.emitted_us);
        memcpy(body + 8, element->latency.vertex.bytes, 16);
        for (unsigned i = 0; i < 4; i++)
            body[24 + i] = (uint8_t)(element->latency.subtask >> (8 * i));
    }
    return HEAD_BYTES + body_size(element->kind);
}

enum status element_decode(const void *bytes, size_t size, struct element *ret_element,
                           struct error *err)
{
    const uint8_t *from = bytes;
    if (size < HEAD_BYTES)
        return error_set(err, STATUS_CORRUPT, "control element of %zu bytes", size);
    if (from[0] != ELEMENT_VERSION)
        return error_set(err, STATUS_CORRUPT, "control element of version %u, expected %u", from[0],
                         ELEMENT_VERSION);
    if (from[1] <= ELEMENT_BATCH || from[1] > ELEMENT_LATENCY)
        return error_set(err, STATUS_CORRUPT, "control element of unknown kind %u", from[1]);
    struct element element = {.kind = (enum element_kind)from[1]};
    if (size - HEAD_BYTES < body_size(element.kind))
        return error_set(err, STATUS_CORRUPT, "control element of kind %u is cut at %zu bytes",
                         from[1], size);
    const uint8_t *body = from + HEAD_BYTES;
    if (element.kind == ELEMENT_WATERMARK) {
        element.watermark_ms = (int64_t)get_u64(body);
    } else if (element.kind == ELEMENT_BARRIER) {
        element.barrier.id.value = get_u64(body);
        element.barrier.newest_completed.value = get_u64(body + 8);
        element.barrier.timestamp_ms = (int64_t)get_u64(body + 16);
        element.barrier.is_savepoint = (body[24] & BARRIER_SAVEPOINT) != 0;
    } else if (element.kind == ELEMENT_LATENCY) {
        element.latency.emitted_us = (int64_t)get_u64(body);
        memcpy(element.latency.vertex.bytes, body + 8, 16);
        for (unsigned i = 0; i < 4; i++)
            element.latency.subtask |= (uint32_t)body[24 + i] << (8 * i);
    }
    *ret_element = element;
    return STATUS_OK;
}
