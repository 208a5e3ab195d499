/*
 * One value as bytes: what state keeps of nested fields and keys of nested columns. Format version
 * 1, little-endian, pinned by golden vectors.
 *
 *   version   1 byte: 1
 *   value     fixed-width types: as in struct column
 *             strings, BYTES: 32-bit length, bytes
 *             ARRAY: 32-bit count, entries
 *             MAP: 32-bit count, keys, values
 *             ROW: fields
 *   entries (also keys, values, fields): a bitmap of NULLs ((count + 7) / 8 bytes, bit i%8 of byte
 *             i/8 is 1 for NULL, unused bits 0), then the values that are not NULL
 *
 * In the canonical form -0.0 is 0.0 and every NaN is the same one, so that equal values have equal
 * bytes. Two MAPs are equal only with their entries in the same order: MAPs are no good keys.
 */
#ifndef COMMON_DATA_VALUE_CODEC_H
#define COMMON_DATA_VALUE_CODEC_H

#include "common/data/batch.h"

#define VALUE_CODEC_VERSION 1

/* Equal numbers as equal bytes: -0.0 becomes 0.0, a NaN the positive quiet one. */
static inline float canonical_float(float value)
{
    static const uint32_t nan_bits = UINT32_C(0x7FC00000);
    value += 0.0F;
    if (value != value)
        memcpy(&value, &nan_bits, sizeof(value));
    return value;
}

static inline double canonical_double(double value)
{
    static const uint64_t nan_bits = UINT64_C(0x7FF8000000000000);
    value += 0.0;
    if (value != value)
        memcpy(&value, &nan_bits, sizeof(value));
    return value;
}

/* Appends the value, which must not be NULL. */
void value_encode(const struct column *column, uint32_t row, struct text *out);
/* The same in the canonical form. */
void value_encode_canonical(const struct column *column, uint32_t row, struct text *out);

/* Are these bytes exactly one value of that type, without -0.0 and with no NaN but the one? */
bool value_is_canonical(struct type type, const void *bytes, size_t size);

struct batch_builder;
/* Appends the value to a column of that type of the builder's unfinished row. Bytes that are not
 * exactly one value give STATUS_CORRUPT, and nothing is appended. */
enum status value_decode(struct type type, const void *bytes, size_t size,
                         struct batch_builder *builder, uint32_t column,
                         struct error *err) MUST_CHECK;

#endif
