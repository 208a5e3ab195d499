/* Encoding by zlib and libzstd, at their default levels (6 and 3). */
#include "connectors/compression/compression.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define PIECE_BYTES 32768

struct compressor {
    enum compression compression;
    z_stream gzip;
    ZSTD_CStream *zstd;
    char piece[PIECE_BYTES];
};

struct compressor *compressor_create(enum compression compression)
{
    CHECK(compression != COMPRESSION_NONE);
    struct compressor *compressor = allocate(sizeof(*compressor));
    compressor->compression = compression;
    if (compression == COMPRESSION_GZIP) {
        /* 16: with a gzip header; 8: zlib's default memory. */
        CHECK(deflateInit2(&compressor->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8,
                           Z_DEFAULT_STRATEGY) == Z_OK);
    } else {
        compressor->zstd = ZSTD_createCStream();
        CHECK(compressor->zstd != NULL);
        CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_checksumFlag, 1)));
    }
    return compressor;
}

void compressor_destroy(struct compressor *compressor)
{
    if (compressor == NULL)
        return;
    if (compressor->compression == COMPRESSION_GZIP)
        (void)deflateEnd(&compressor->gzip); /* says that input was pending, which is of no use */
    ZSTD_freeCStream(compressor->zstd);
    free(compressor);
}

/* false: the step was the last. */
static bool step_gzip(struct compressor *compressor, bool is_end, size_t *ret_produced)
{
    z_stream *gzip = &compressor->gzip;
    gzip->next_out = (Bytef *)compressor->piece;
    gzip->avail_out = PIECE_BYTES;
    const int code = deflate(gzip, is_end ? Z_FINISH : Z_NO_FLUSH);
    CHECK(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR);
    *ret_produced = PIECE_BYTES - gzip->avail_out;
    if (code == Z_STREAM_END) {
        CHECK(deflateReset(gzip) == Z_OK);
        return false;
    }
    return is_end || gzip->avail_in > 0 || gzip->avail_out == 0;
}

static bool step_zstd(struct compressor *compressor, ZSTD_inBuffer *from, bool is_end,
                      size_t *ret_produced)
{
    ZSTD_outBuffer to = {.dst = compressor->piece, .size = PIECE_BYTES};
    const size_t left =
        ZSTD_compressStream2(compressor->zstd, &to, from, is_end ? ZSTD_e_end : ZSTD_e_continue);
    CHECK(!ZSTD_isError(left));
    *ret_produced = to.pos;
    return is_end ? left > 0 : from->pos < from->size;
}

enum status compressor_write(struct compressor *compressor, const void *bytes, size_t size,
                             bool is_end, struct text *out, struct error *err)
{
    CHECK(size <= UINT_MAX);
    ZSTD_inBuffer from = {.src = bytes, .size = size};
    compressor->gzip.next_in = (Bytef *)(uintptr_t)bytes;
    compressor->gzip.avail_in = (uInt)size;
    bool has_more = true;
    while (has_more) {
        size_t produced = 0;
        has_more = compressor->compression == COMPRESSION_GZIP
                       ? step_gzip(compressor, is_end, &produced)
                       : step_zstd(compressor, &from, is_end, &produced);
        text_append_bytes(out, compressor->piece, produced);
    }
    if (out->overflowed)
        return error_set(err, STATUS_LIMIT, "compressed data above %zu bytes", out->max);
    return STATUS_OK;
}
