/*
 * Compressed byte streams: gzip (RFC 1952, any number of members) and zstd (RFC 8878, any number of
 * frames), decoded and encoded piece by piece in bounded memory. One thread at a time.
 *
 * Frames of zstd may ask for a window of 8 MiB at most, the size that every decoder must support: a
 * small file cannot make a reader allocate more.
 */
#ifndef CONNECTORS_COMPRESSION_COMPRESSION_H
#define CONNECTORS_COMPRESSION_COMPRESSION_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are part of the state of file splits. */
enum compression { COMPRESSION_NONE = 0, COMPRESSION_GZIP = 1, COMPRESSION_ZSTD = 2 };
#define COMPRESSION_COUNT 3

/* By the end of the name: ".gz", ".zst"; else NONE. */
enum compression compression_of_name(const char *name);
/* ".gz", ".zst", "". */
const char *compression_extension(enum compression compression);

/* ---- decoding ---- */

struct decompressor;

/* compression: not NONE. */
struct decompressor *decompressor_create(enum compression compression)
    __attribute__((returns_nonnull, warn_unused_result));
/* NULL is ignored. */
void decompressor_destroy(struct decompressor *decompressor);

struct decompressed {
    size_t consumed; /* of the input */
    size_t produced;
    bool is_at_frame_end; /* nothing of a frame is left to be decoded: the stream may end here */
};

/* Decodes some of input into out; call again while either has room and something moves. Errors
 * (CORRUPT, LIMIT) say what is wrong but not where: the caller knows. */
enum status decompressor_step(struct decompressor *decompressor, const void *input,
                              size_t input_size, void *out, size_t out_size,
                              struct decompressed *ret_moved, struct error *err) MUST_CHECK;

/* ---- encoding ---- */

struct compressor;

struct compressor *compressor_create(enum compression compression)
    __attribute__((returns_nonnull, warn_unused_result));
/* NULL is ignored. */
void compressor_destroy(struct compressor *compressor);

/* Appends what the bytes become to out; is_end ends the frame, and the next call begins another.
 * Fails only if out reaches its maximum (LIMIT). */
enum status compressor_write(struct compressor *compressor, const void *bytes, size_t size,
                             bool is_end, struct text *out, struct error *err) MUST_CHECK;

#endif
