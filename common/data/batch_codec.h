/*
 * Batches as compact bytes, for the exchange and for state: format version 1, little-endian.
 * The layout is documented in batch_codec.c and pinned by golden vectors. Selections are applied,
 * views are packed. What is decoded is checked completely: wrong bytes give STATUS_CORRUPT and
 * never a batch that could read outside its buffers.
 */
#ifndef COMMON_DATA_BATCH_CODEC_H
#define COMMON_DATA_BATCH_CODEC_H

#include "common/data/batch.h"

/* Rows of an encoded batch: far above BATCH_ROWS_MAX, against wrong counts. */
#define BATCH_CODEC_ROWS_MAX (1024 * 1024)

/* Upper bound of what batch_encode writes. */
size_t batch_encoded_size_max(const struct batch *batch);
/* Writes at most `capacity` bytes (>= batch_encoded_size_max) and returns how many. */
size_t batch_encode(const struct batch *batch, void *bytes, size_t capacity);
/* String views of the result point into `buffer` (references are taken), which holds the encoded
 * bytes at [offset, offset + size). */
enum status batch_decode(const struct schema *schema, struct buffer *buffer, uint32_t offset,
                         uint32_t size, struct batch **ret_batch, struct error *err) MUST_CHECK;

/* A schema as bytes (version 1, see schema_codec.c), for state and checkpoint files. */
void schema_encode(const struct schema *schema, struct text *out);
enum status schema_decode(const void *bytes, size_t size, struct schema **ret_schema,
                          struct error *err) MUST_CHECK;

#endif
