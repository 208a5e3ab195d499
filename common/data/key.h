/*
 * Keys: their canonical bytes, hash and key group, and their order-preserving storage encoding.
 * All of it lasts: same key, same bytes, hash and key group on every version and machine (golden
 * vectors in tests/unit/common/data).
 *
 * Canonical bytes (version 1). One key column: the value alone (fixed-width little-endian, strings
 * raw, -0.0 as 0.0, one NaN, DECIMAL as 16 bytes, nested values in the canonical form of
 * value_codec.h); a NULL is the empty range with is_null. Several
 * columns: for each a byte 0 (NULL) or 1, then the value, strings, BYTES and nested values led by a
 * 32-bit length. No column at all: the empty range, the same key for every row. The hash
 * is XXH3-64 over them; NULL of a single column hashes as the byte 0xFF.
 *
 * Storage bytes (version 1): order-preserving, self-delimiting, decodable; see key_storage.c.
 * memcmp of them orders as the values do: NULL first, then numbers by value with NaN last, texts
 * and BYTES bytewise; nested values have a fixed but meaningless order.
 *
 * Key group = hash mod max parallelism; subtask = key group * parallelism / max parallelism. Hash
 * tables must use other bits than the low ones (key_table_hash).
 */
#ifndef COMMON_DATA_KEY_H
#define COMMON_DATA_KEY_H

#include "common/data/batch.h"

#define KEY_COLUMN_MAX          64
#define MAX_PARALLELISM_DEFAULT 128
#define MAX_PARALLELISM_MAX     32768

/* The keys of the selected rows of a batch, column-wise. Entry i belongs to the i-th selected row.
 * The ranges point into the batch or into scratch: valid until the next key_batch_compute and
 * while the batch lives. */
struct key_batch {
    uint32_t count;
    const char **bytes;
    uint32_t *sizes; /* KEY_NULL for the NULL of a single column */
    uint64_t *hashes;
    char *scratch;
    size_t scratch_capacity;
    uint32_t capacity; /* of the three arrays */
};

#define KEY_NULL UINT32_MAX

void key_batch_init(struct key_batch *keys);
void key_batch_done(struct key_batch *keys);
/* columns: indices of the key columns, in key order. Every readable range is followed by at least
 * 16 readable bytes, so that kernels may load whole vectors. */
void key_batch_compute(struct key_batch *keys, const struct batch *batch, const uint32_t *columns,
                       uint32_t column_count);

uint64_t key_hash(const char *canonical, uint32_t size); /* size may be KEY_NULL */

static inline uint32_t key_group_of(uint64_t hash, uint32_t max_parallelism)
{
    return (uint32_t)(hash % max_parallelism);
}

static inline uint32_t key_group_subtask(uint32_t key_group, uint32_t parallelism,
                                         uint32_t max_parallelism)
{
    return (uint32_t)((uint64_t)key_group * parallelism / max_parallelism);
}

struct key_group_range {
    uint32_t first;
    uint32_t last; /* inclusive; an empty range has first > last */
};

/* The groups whose key_group_subtask is `subtask`. */
struct key_group_range key_group_range_of(uint32_t subtask, uint32_t parallelism,
                                          uint32_t max_parallelism);

/* What a hash table indexes with: the hash without the bits that routing used. */
static inline uint64_t key_table_hash(uint64_t hash)
{
    return hash >> 32 | hash << 32;
}

/* ---- storage encoding ---- */

/* Appends the storage bytes of a key given canonically. types: of the key columns. */
void key_storage_from_canonical(const struct type *types, uint32_t column_count,
                                const char *canonical, uint32_t size, struct text *out);
/* The inverse; consumes one key at the front of bytes and says how many bytes it took. *ret_size
 * is KEY_NULL for the NULL of a single column. The canonical bytes are appended to out (whose
 * maximum must have room: an overflow is STATUS_CORRUPT). On failure out is as it was. */
enum status key_canonical_from_storage(const struct type *types, uint32_t column_count,
                                       const void *bytes, size_t size, size_t *ret_taken,
                                       struct text *out, uint32_t *ret_size,
                                       struct error *err) MUST_CHECK;

struct batch_builder;
/* Appends the key's values to the first column_count columns of the builder's unfinished row. */
void key_append_to_builder(const struct type *types, uint32_t column_count, const char *canonical,
                           uint32_t size, struct batch_builder *builder);

#endif
