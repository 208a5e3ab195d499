/* The frame codec. */
#include "common/io/frame.h"

#include "common/base/check.h"
#include "common/base/crc32c.h"

#define CRC_OFFSET 12

static void put_u32(uint8_t *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get_u32(const uint8_t *from)
{
    return (uint32_t)from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (uint32_t)from[3] << 24;
}

static uint32_t frame_crc(const uint8_t *header, const void *payload, size_t size)
{
    return crc32c(crc32c(0, header, CRC_OFFSET), payload, size);
}

void frame_encode_header(const struct frame *frame, uint8_t bytes[static FRAME_HEADER_BYTES])
{
    const uint32_t size = frame->payload != NULL ? frame->payload->size : 0;
    CHECK(size <= FRAME_PAYLOAD_MAX);
    put_u32(bytes, size);
    bytes[4] = frame->kind;
    bytes[5] = frame->flags;
    bytes[6] = 0;
    bytes[7] = 0;
    put_u32(bytes + 8, frame->channel);
    put_u32(bytes + CRC_OFFSET,
            frame_crc(bytes, frame->payload != NULL ? frame->payload->bytes : "", size));
}

enum status frame_decode_header(const uint8_t bytes[static FRAME_HEADER_BYTES],
                                struct frame_header *ret_header, struct error *err)
{
    const uint32_t size = get_u32(bytes);
    if (size > FRAME_PAYLOAD_MAX)
        return error_set(err, STATUS_CORRUPT, "frame of %u bytes, at most %d", size,
                         FRAME_PAYLOAD_MAX);
    if (bytes[6] != 0 || bytes[7] != 0)
        return error_set(err, STATUS_CORRUPT,
                         "frame with reserved bytes %u, %u: the peer does not "
                         "speak this protocol",
                         bytes[6], bytes[7]);
    *ret_header = (struct frame_header){
        .payload_size = size,
        .kind = bytes[4],
        .flags = bytes[5],
        .channel = get_u32(bytes + 8),
        .crc32c = get_u32(bytes + CRC_OFFSET),
    };
    return STATUS_OK;
}

enum status frame_check(const uint8_t header_bytes[static FRAME_HEADER_BYTES], const void *payload,
                        size_t size, struct error *err)
{
    const uint32_t expected = get_u32(header_bytes + CRC_OFFSET);
    const uint32_t crc = frame_crc(header_bytes, payload, size);
    if (crc == expected)
        return STATUS_OK;
    return error_set(err, STATUS_CORRUPT, "frame of kind %u and %zu bytes with CRC %08x, not %08x",
                     header_bytes[4], size, crc, expected);
}
