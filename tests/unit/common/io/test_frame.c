/* The frame codec: golden bytes, and every way to be wrong. */
#include "common/io/frame.h"

#include <check.h>
#include <string.h>

/* Version 1: length 3, kind 3, flags 1, reserved, channel 0x01020304, CRC-32C, "abc". */
static const uint8_t golden[] = {3, 0, 0, 0, 3, 1, 0, 0, 4, 3, 2, 1, 0x22, 0x21, 0xa1, 0xe6};

static void encode(uint8_t bytes[static FRAME_HEADER_BYTES])
{
    struct buffer *payload = buffer_create(NULL, 3);
    memcpy(payload->bytes, "abc", 3);
    payload->size = 3;
    const struct frame frame = {.kind = 3, .flags = 1, .channel = 0x01020304, .payload = payload};
    frame_encode_header(&frame, bytes);
    buffer_unref(payload);
}

START_TEST(golden_bytes)
{
    uint8_t bytes[FRAME_HEADER_BYTES];
    encode(bytes);
    ck_assert_mem_eq(bytes, golden, FRAME_HEADER_BYTES);
    struct frame_header header;
    struct error err;
    ck_assert_int_eq(frame_decode_header(bytes, &header, &err), STATUS_OK);
    ck_assert_uint_eq(header.payload_size, 3);
    ck_assert_uint_eq(header.kind, 3);
    ck_assert_uint_eq(header.flags, 1);
    ck_assert_uint_eq(header.channel, 0x01020304);
    ck_assert_int_eq(frame_check(bytes, "abc", 3, &err), STATUS_OK);
}
END_TEST

START_TEST(every_flipped_bit_is_found)
{
    struct error err;
    for (unsigned bit = 0; bit < 8 * (FRAME_HEADER_BYTES + 3); bit++) {
        uint8_t bytes[FRAME_HEADER_BYTES + 3];
        encode(bytes);
        memcpy(bytes + FRAME_HEADER_BYTES, "abc", 3);
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        struct frame_header header;
        const bool is_header_good =
            frame_decode_header(bytes, &header, &err) == STATUS_OK && header.payload_size == 3;
        ck_assert(!is_header_good ||
                  frame_check(bytes, bytes + FRAME_HEADER_BYTES, 3, &err) == STATUS_CORRUPT);
    }
}
END_TEST

START_TEST(lengths_are_bounded)
{
    uint8_t bytes[FRAME_HEADER_BYTES];
    encode(bytes);
    const uint32_t size = FRAME_PAYLOAD_MAX + 1;
    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(size >> (8 * i));
    struct frame_header header;
    struct error err;
    ck_assert_int_eq(frame_decode_header(bytes, &header, &err), STATUS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "at most 262144"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *codec = tcase_create("codec");
    tcase_add_test(codec, golden_bytes);
    tcase_add_test(codec, every_flipped_bit_is_found);
    tcase_add_test(codec, lengths_are_bounded);
    suite_add_tcase(suite, codec);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
