/*
 * What the targets of formats share. The bytes are decoded twice: at once, and in pieces with the
 * portable kernels; rows and errors must be the same. What was decoded is encoded, decoded and
 * encoded again, which must give the same bytes.
 */
#ifndef TESTS_FUZZ_FUZZ_FORMAT_H
#define TESTS_FUZZ_FUZZ_FORMAT_H

#include "tests/fuzz/fuzz.h"

#include "common/api/connector.h"
#include "common/base/allocate.h"
#include "common/base/cpu.h"
#include "connectors/formats/formats.h"

#define FUZZ_FORMAT_TEXT_MAX (64 * 1024 * 1024)

struct fuzz_format {
    const struct format *format;
    struct operator_spec spec;
    const struct schema *schema;
    bool is_lossy; /* a line's '\r' at its end is not written so that it is read again */
};

static inline void fuzz_format_encode(const struct fuzz_format *fuzz, void *encoder,
                                      const struct batch *batch, struct text *out)
{
    for (uint32_t row = 0; row < batch->row_count; row++) {
        struct error err = {0};
        const size_t before = out->size;
        const enum status code = fuzz->format->encoder.encode(encoder, batch, row, out, &err);
        if (code != STATUS_OK) {
            fuzz_check_error(code, &err);
            CHECK(code == STATUS_RECORD);
            out->size = before;
            out->bytes[before] = '\0';
        }
    }
}

/* step: bytes given at once, beyond size: all of them as one message that may have several lines
 * (is_end in the first call), else as a stream. Rows, and "!offset size: message" for errors, go to
 * rows; the rows encoded to encoded, which may be NULL. Returns the number of errors. */
static inline uint32_t fuzz_format_decode(const struct fuzz_format *fuzz, const char *bytes,
                                          size_t size, size_t step, bool at_beginning,
                                          struct text *rows, struct text *encoded)
{
    const struct decoder_ops *ops = &fuzz->format->decoder;
    void *decoder = allocate(ops->instance_size + 1);
    void *encoder = allocate(fuzz->format->encoder.instance_size + 1);
    struct error err;
    CHECK(ops->open(decoder, &fuzz->spec, fuzz->schema, &err) == STATUS_OK);
    CHECK(fuzz->format->encoder.open(encoder, &fuzz->spec, fuzz->schema, &err) == STATUS_OK);
    if (ops->start != NULL)
        ops->start(decoder, at_beginning);
    struct buffer *buffer = buffer_create(NULL, (uint32_t)size);
    memcpy(buffer->bytes, bytes, size);
    buffer->size = (uint32_t)size;
    struct batch_builder builder;
    batch_builder_init(&builder, fuzz->schema, NULL);
    uint32_t offset = 0;
    uint32_t error_count = 0;
    size_t known = step < size ? step : size;
    bool is_end = step > size;
    for (;;) {
        uint32_t consumed = 0;
        struct decode_error error = {0};
        const enum decode decode = ops->decode(decoder, buffer, offset, (uint32_t)known - offset,
                                               is_end, &builder, &consumed, &error);
        CHECK(consumed <= known - offset);
        offset += consumed;
        struct batch *batch = batch_builder_take(&builder);
        for (uint32_t row = 0; batch != NULL && row < batch->row_count; row++) {
            batch_format_row(batch, row, rows);
            text_append_char(rows, '\n');
        }
        if (batch != NULL && encoded != NULL)
            fuzz_format_encode(fuzz, encoder, batch, encoded);
        if (decode == DECODE_FULL)
            CHECK(batch != NULL);
        batch_unref(batch);
        if (decode == DECODE_ERROR) {
            CHECK(consumed > 0 && error.offset < offset && error.size <= size - error.offset);
            CHECK(error.message[0] != '\0');
            error_count++;
            text_format(rows, "!%u: %s\n", error.offset, error.message);
        }
        if (decode == DECODE_DONE && is_end)
            break;
        if (decode == DECODE_DONE && known == size)
            is_end = true;
        if (decode == DECODE_DONE)
            known = size - known < step ? size : known + step;
    }
    CHECK(offset == size && !rows->overflowed);
    batch_builder_done(&builder);
    buffer_unref(buffer);
    ops->close(decoder);
    fuzz->format->encoder.close(encoder);
    free(decoder);
    free(encoder);
    return error_count;
}

/* What was written is read without errors, and written again as the same. */
static inline void fuzz_format_check_encoded(const struct fuzz_format *fuzz,
                                             const struct text *encoded)
{
    struct text rows;
    struct text again;
    text_init(&rows, FUZZ_FORMAT_TEXT_MAX);
    text_init(&again, FUZZ_FORMAT_TEXT_MAX);
    const uint32_t error_count = fuzz_format_decode(fuzz, encoded->bytes, encoded->size,
                                                    encoded->size, false, &rows, &again);
    CHECK(error_count == 0);
    fuzz_check_equal(encoded->bytes, encoded->size, again.bytes, again.size);
    text_done(&rows);
    text_done(&again);
}

static inline void fuzz_format_run(const struct fuzz_format *fuzz, size_t step, const char *bytes,
                                   size_t size)
{
    struct text texts[3];
    for (size_t i = 0; i < 3; i++)
        text_init(&texts[i], FUZZ_FORMAT_TEXT_MAX);
    struct text *rows = &texts[0];
    struct text *encoded = &texts[1];
    struct text *rows_again = &texts[2];
    (void)fuzz_format_decode(fuzz, bytes, size, size + 1, true, rows, NULL);
    text_clear(rows);
    (void)fuzz_format_decode(fuzz, bytes, size, size, true, rows, encoded);
    const unsigned features = cpu_restrict(0);
    (void)fuzz_format_decode(fuzz, bytes, size, step < size ? step + 1 : size, true, rows_again,
                             NULL);
    (void)cpu_restrict(features);
    fuzz_check_equal(rows->bytes, rows->size, rows_again->bytes, rows_again->size);
    if (!fuzz->is_lossy || memchr(encoded->bytes, '\r', encoded->size) == NULL)
        fuzz_format_check_encoded(fuzz, encoded);
    for (size_t i = 0; i < 3; i++)
        text_done(&texts[i]);
}

#endif
