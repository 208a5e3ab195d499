/* Decoding by zlib and libzstd. */
#include "connectors/compression/compression.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_WINDOW_LOG_MAX 23

struct decompressor {
    enum compression compression;
    bool is_in_frame;
    z_stream gzip;
    ZSTD_DStream *zstd;
};

static const char *const extensions[COMPRESSION_COUNT] = {
    [COMPRESSION_NONE] = "",
    [COMPRESSION_GZIP] = ".gz",
    [COMPRESSION_ZSTD] = ".zst",
};

const char *compression_extension(enum compression compression)
{
    return extensions[compression];
}

enum compression compression_of_name(const char *name)
{
    const size_t size = strlen(name);
    for (int i = COMPRESSION_GZIP; i < COMPRESSION_COUNT; i++) {
        const size_t extension_size = strlen(extensions[i]);
        if (size > extension_size && strcmp(name + size - extension_size, extensions[i]) == 0)
            return (enum compression)i;
    }
    return COMPRESSION_NONE;
}

struct decompressor *decompressor_create(enum compression compression)
{
    CHECK(compression != COMPRESSION_NONE);
    struct decompressor *decompressor = allocate(sizeof(*decompressor));
    decompressor->compression = compression;
    if (compression == COMPRESSION_GZIP) {
        /* 16: a gzip header is required. It fails for want of memory only. */
        CHECK(inflateInit2(&decompressor->gzip, 16 + MAX_WBITS) == Z_OK);
    } else {
        decompressor->zstd = ZSTD_createDStream();
        CHECK(decompressor->zstd != NULL);
        CHECK(!ZSTD_isError(
            ZSTD_DCtx_setParameter(decompressor->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)));
    }
    return decompressor;
}

void decompressor_destroy(struct decompressor *decompressor)
{
    if (decompressor == NULL)
        return;
    if (decompressor->compression == COMPRESSION_GZIP)
        (void)inflateEnd(&decompressor->gzip); /* frees in any state */
    ZSTD_freeDStream(decompressor->zstd);
    free(decompressor);
}

static uInt clip(size_t size)
{
    return size < UINT_MAX ? (uInt)size : UINT_MAX;
}

static enum status step_gzip(struct decompressor *decompressor, const void *input,
                             size_t input_size, void *out, size_t out_size,
                             struct decompressed *ret_moved, struct error *err)
{
    z_stream *gzip = &decompressor->gzip;
    /* zlib does not write to its input, but takes it without const. */
    gzip->next_in = (Bytef *)(uintptr_t)input;
    gzip->avail_in = clip(input_size);
    gzip->next_out = out;
    gzip->avail_out = clip(out_size);
    const int code = inflate(gzip, Z_NO_FLUSH);
    *ret_moved = (struct decompressed){
        .consumed = clip(input_size) - gzip->avail_in,
        .produced = clip(out_size) - gzip->avail_out,
    };
    if (code == Z_STREAM_END) {
        decompressor->is_in_frame = false;
        CHECK(inflateReset(gzip) == Z_OK);
    } else if (code == Z_OK || code == Z_BUF_ERROR) {
        decompressor->is_in_frame |= ret_moved->consumed > 0;
    } else {
        return error_set(err, STATUS_CORRUPT, "damaged gzip data: %s",
                         gzip->msg != NULL ? gzip->msg : zError(code));
    }
    ret_moved->is_at_frame_end = !decompressor->is_in_frame;
    return STATUS_OK;
}

static enum status step_zstd(struct decompressor *decompressor, const void *input,
                             size_t input_size, void *out, size_t out_size,
                             struct decompressed *ret_moved, struct error *err)
{
    ZSTD_inBuffer from = {.src = input, .size = input_size};
    ZSTD_outBuffer to = {.dst = out, .size = out_size};
    const size_t code = ZSTD_decompressStream(decompressor->zstd, &to, &from);
    if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
        return error_set(err, STATUS_CORRUPT,
                         "a zstd frame with a window above %u MiB: compress it again without "
                         "--long and --ultra",
                         1U << (ZSTD_WINDOW_LOG_MAX - 20));
    if (ZSTD_isError(code))
        return error_set(err, STATUS_CORRUPT, "damaged zstd data: %s", ZSTD_getErrorName(code));
    if (code == 0)
        decompressor->is_in_frame = false;
    else
        decompressor->is_in_frame |= from.pos > 0;
    *ret_moved = (struct decompressed){
        .consumed = from.pos, .produced = to.pos, .is_at_frame_end = !decompressor->is_in_frame};
    return STATUS_OK;
}

enum status decompressor_step(struct decompressor *decompressor, const void *input,
                              size_t input_size, void *out, size_t out_size,
                              struct decompressed *ret_moved, struct error *err)
{
    if (decompressor->compression == COMPRESSION_GZIP)
        return step_gzip(decompressor, input, input_size, out, out_size, ret_moved, err);
    return step_zstd(decompressor, input, input_size, out, out_size, ret_moved, err);
}
