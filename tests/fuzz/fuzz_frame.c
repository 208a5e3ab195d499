/* Frames of the wire and the control elements in them. */
#include "tests/fuzz/fuzz.h"

#include "common/io/frame.h"
#include "taskmanager/exchange/element.h"

static void check_element(const uint8_t *bytes, size_t size)
{
    struct element element = {0};
    struct error err = {0};
    const enum status code = element_decode(bytes, size, &element, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        return;
    }
    CHECK(element.kind != ELEMENT_BATCH);
    uint8_t encoded[ELEMENT_CONTROL_BYTES_MAX];
    const size_t encoded_size = element_encode(&element, encoded);
    CHECK(encoded_size <= size && encoded_size <= sizeof(encoded));
    struct element again = {0};
    CHECK(element_decode(encoded, encoded_size, &again, &err) == STATUS_OK);
    uint8_t encoded_again[ELEMENT_CONTROL_BYTES_MAX];
    fuzz_check_equal(encoded, encoded_size, encoded_again, element_encode(&again, encoded_again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    check_element(bytes, size);
    if (size < FRAME_HEADER_BYTES)
        return 0;
    struct frame_header header = {0};
    struct error err = {0};
    enum status code = frame_decode_header(bytes, &header, &err);
    if (code != STATUS_OK)
        fuzz_check_error(code, &err);
    else
        CHECK(header.payload_size <= FRAME_PAYLOAD_MAX);
    const uint8_t *payload = bytes + FRAME_HEADER_BYTES;
    const size_t payload_size = size - FRAME_HEADER_BYTES;
    code = frame_check(bytes, payload, payload_size, &err);
    if (code != STATUS_OK)
        fuzz_check_error(code, &err);
    /* The same frame with a right length and checksum is taken, and is the same. */
    struct buffer *buffer = buffer_create(NULL, (uint32_t)payload_size);
    memcpy(buffer->bytes, payload, payload_size);
    buffer->size = (uint32_t)payload_size;
    const struct frame frame = {
        .kind = header.kind, .flags = header.flags, .channel = header.channel, .payload = buffer};
    uint8_t encoded[FRAME_HEADER_BYTES];
    frame_encode_header(&frame, encoded);
    struct frame_header again = {0};
    CHECK(payload_size > FRAME_PAYLOAD_MAX ||
          frame_decode_header(encoded, &again, &err) == STATUS_OK);
    CHECK(frame_check(encoded, payload, payload_size, &err) == STATUS_OK);
    buffer_unref(buffer);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    static const char *const names[] = {"",       "batch",   "watermark", "idle",
                                        "active", "barrier", "end",       "latency"};
    for (int kind = ELEMENT_WATERMARK; kind <= ELEMENT_LATENCY; kind++) {
        struct element element = {.kind = (enum element_kind)kind};
        if (kind == ELEMENT_BARRIER)
            element.barrier = (struct barrier){.id = {7}, .newest_completed = {6}};
        uint8_t bytes[ELEMENT_CONTROL_BYTES_MAX];
        give(context, names[kind], bytes, element_encode(&element, bytes));
    }
    struct buffer *buffer = buffer_create(NULL, 5);
    memcpy(buffer->bytes, "hello", 5);
    buffer->size = 5;
    const struct frame frame = {.kind = 3, .channel = 9, .payload = buffer};
    uint8_t bytes[FRAME_HEADER_BYTES + 5];
    frame_encode_header(&frame, bytes);
    memcpy(bytes + FRAME_HEADER_BYTES, "hello", 5);
    give(context, "frame", bytes, sizeof(bytes));
    buffer_unref(buffer);
}
