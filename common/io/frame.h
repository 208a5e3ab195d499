/*
 * Frames as bytes (version 1, layout in transport.h): what goes over a byte stream. No I/O here.
 */
#ifndef COMMON_IO_FRAME_H
#define COMMON_IO_FRAME_H

#include "common/io/transport.h"

struct frame_header {
    uint32_t payload_size;
    uint8_t kind;
    uint8_t flags;
    uint32_t channel;
    uint32_t crc32c;
};

/* payload: of frame->payload; its CRC goes into the header. */
void frame_encode_header(const struct frame *frame, uint8_t bytes[static FRAME_HEADER_BYTES]);
/* Checks what can be checked without the payload: length and reserved bytes. */
enum status frame_decode_header(const uint8_t bytes[static FRAME_HEADER_BYTES],
                                struct frame_header *ret_header, struct error *err) MUST_CHECK;
/* The payload is complete: is the CRC right? */
enum status frame_check(const uint8_t header_bytes[static FRAME_HEADER_BYTES], const void *payload,
                        size_t size, struct error *err) MUST_CHECK;

#endif
