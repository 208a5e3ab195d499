/*
 * The hash table of one state: entries in an arena, found by 64-byte chunks of 12 tags and refs
 * (the layout follows F14, Bronson and Shi 2019: tags are compared at once, and a count of entries
 * that overflowed a chunk takes the place of tombstones).
 *
 * Chunks lie in segments of at most 256, selected by the highest bits of the hash (extendible
 * hashing, Fagin et al. 1979): growing splits one segment, about 2,500 entries, and never stalls on
 * the whole table. Entries never move.
 *
 * Hash bits: segment from bit 63 downwards, chunk 15..31, tag 25..31; bits 0..14 route to subtasks.
 * With subkeys the high half is the key's alone: all sub-entries of a key lie in one segment, which
 * grows beyond 256 chunks where one key has that many.
 *
 * An entry is a header, then, at offsets fixed per table: the time of the last write (TTL), the
 * links of a sub-entry, the slot, and 16-byte aligned key and subkey. Keys longer than
 * ENTRY_INLINE_KEY_MAX lie elsewhere. One thread, except `written`, see dirty.h.
 */
#ifndef TASKMANAGER_STATE_ENTRY_TABLE_H
#define TASKMANAGER_STATE_ENTRY_TABLE_H

#include "common/base/check.h"
#include "common/data/key.h"
#include "taskmanager/state/arena.h"

#include <stdbool.h>
#include <string.h>
/* Sanitizers would report that whole vectors of a key's cell are compared. */
#if defined(__SSE2__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ENTRY_TABLE_SSE2 1
#include <emmintrin.h>
#endif

#define CHUNK_ENTRIES        12
#define SEGMENT_CHUNKS_MAX   256
#define ENTRY_INLINE_KEY_MAX 192
#define ENTRY_ARRIVED        1U

enum entry_flag {
    ENTRY_DELETED = 1 << 0, /* a tombstone, kept until it is in the database */
    ENTRY_STORED = 1 << 1,  /* the database may hold a value, or a set has the entry */
};

struct entry {
    uint64_t hash;     /* of key and subkey, see entry_hash */
    uint32_t stamp;    /* 0: clean; else the number of the set it belongs to */
    uint32_t written;  /* the last set that has captured it (under the capture lock) */
    uint32_t position; /* in the list of dirty entries of its set */
    uint32_t key_size; /* may be KEY_NULL */
    uint32_t subkey_size;
    /* The table's round (an even number) of the last call that gave it, plus ENTRY_ARRIVED if that
     * call brought it; 0: not since the clock hand passed. */
    uint8_t touched;
    uint8_t flags;
    uint8_t is_long;    /* key and subkey lie in a piece of their own; never changes */
    uint8_t is_dropped; /* out of the table, freed with a set (drop.c) */
};

struct entry_chunk {
    uint8_t tags[CHUNK_ENTRIES]; /* 0: free */
    uint8_t spare[3];
    uint8_t overflow; /* entries that found this chunk full on their way; 255 sticks */
    uint32_t refs[CHUNK_ENTRIES];
} __attribute__((aligned(64)));

struct entry_segment {
    uint32_t chunk_count; /* a power of two */
    uint32_t entry_count;
    uint32_t depth; /* bits of the hash that all its entries share */
    struct entry_chunk chunks[] __attribute__((aligned(64)));
};

struct entry_table {
    struct arena *arena;
    struct entry_segment **directory; /* 1 << depth of them; neighbours may be the same */
    uint32_t depth;
    uint32_t slot_offset;
    uint32_t slot_size;
    uint32_t key_offset;
    bool has_subkey;
    uint64_t entry_count;
    uint64_t index_bytes;
};

struct entry_key {
    const char *key;
    const char *subkey;
    uint64_t hash;
    uint32_t key_size;
    uint32_t subkey_size;
};

/* extra_size: bytes between header and slot, a multiple of 8. */
void entry_table_init(struct entry_table *table, struct arena *arena, uint32_t extra_size,
                      uint32_t slot_size, bool has_subkey);
/* Frees the index only: the entries go with the arena. */
void entry_table_done(struct entry_table *table);

/* Makes an entry that must not be there: header filled, extra bytes and slot zero. */
struct entry *entry_table_add(struct entry_table *table, const struct entry_key *key)
    __attribute__((returns_nonnull));
/* Takes the entry out and frees it (not what its slot points to). */
void entry_table_drop(struct entry_table *table, struct entry *entry);
/* The two halves of it. */
void entry_table_unlink(struct entry_table *table, const struct entry *entry);
void entry_table_free(struct entry_table *table, struct entry *entry);

/* Walks in the order of segments: the entries of one chunk; *cursor starts at 0 and is 0 again at
 * the end of a round. Between changes of the table a round meets every entry once. */
uint32_t entry_table_walk(const struct entry_table *table, uint64_t *cursor,
                          struct entry *entries[static CHUNK_ENTRIES]);

/* The hash of a pair. */
static inline uint64_t entry_hash(uint64_t key_hash, uint64_t subkey_hash)
{
    uint64_t x = (key_hash ^ subkey_hash) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 32) * UINT64_C(0xD6E8FEB86659FD93);
    return (key_hash & ~UINT64_C(0xFFFFFFFF)) | x >> 32;
}

static inline uint32_t entry_byte_size(uint32_t size)
{
    return size == KEY_NULL ? 0 : size;
}

static inline const char *entry_key_bytes(const struct entry_table *table,
                                          const struct entry *entry)
{
    const char *bytes = (const char *)entry + table->key_offset;
    if (entry->is_long != 0) {
        const char *elsewhere;
        memcpy(&elsewhere, bytes, sizeof(elsewhere));
        bytes = elsewhere;
    }
    return bytes;
}

static inline const char *entry_subkey_bytes(const struct entry_table *table,
                                             const struct entry *entry)
{
    return entry_key_bytes(table, entry) + ((entry_byte_size(entry->key_size) + 15U) & ~15U);
}

static inline void *entry_slot(const struct entry_table *table, const struct entry *entry)
{
    return (char *)entry + table->slot_offset;
}

static inline struct entry *slot_entry(const struct entry_table *table, const void *slot)
{
    return (struct entry *)((char *)slot - table->slot_offset);
}

static inline struct entry_segment *table_segment(const struct entry_table *table, uint64_t hash)
{
    /* That a replaced segment leaves every place of the directory is beyond the analyzer. */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    return table->directory[table->depth == 0 ? 0 : hash >> (64 - table->depth)];
}

static inline uint32_t chunk_index(const struct entry_segment *segment, uint64_t hash)
{
    return (uint32_t)hash >> 15 & (segment->chunk_count - 1);
}

static inline uint8_t chunk_tag(uint64_t hash)
{
    return (uint8_t)(0x80U | (hash >> 25 & 0x7fU));
}

/* Bit i: tags[i] == tag. */
static inline uint32_t chunk_match(const struct entry_chunk *chunk, uint8_t tag)
{
#ifdef ENTRY_TABLE_SSE2
    const __m128i tags = _mm_load_si128((const __m128i *)(const void *)chunk->tags);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8((char)tag))) & 0xfffU;
#else
    uint32_t mask = 0;
    for (uint32_t i = 0; i < CHUNK_ENTRIES; i++)
        mask |= (uint32_t)(chunk->tags[i] == tag) << i;
    return mask;
#endif
}

/* stored: 16-byte aligned and padded; given: 16 bytes behind it are readable. */
static inline bool key_bytes_equal(const char *stored, const char *given, uint32_t size)
{
#ifdef ENTRY_TABLE_SSE2
    if (__builtin_expect(size - 1 < 16, 1)) {
        const __m128i a = _mm_load_si128((const __m128i *)(const void *)stored);
        const __m128i b = _mm_loadu_si128((const __m128i *)(const void *)given);
        const uint32_t equal = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
        const uint32_t wanted = (1U << size) - 1;
        return (equal & wanted) == wanted;
    }
#endif
    return size == 0 || memcmp(stored, given, size) == 0;
}

static inline bool entry_matches(const struct entry_table *table, const struct entry *entry,
                                 const struct entry_key *key)
{
    if (entry->hash != key->hash || entry->key_size != key->key_size ||
        entry->subkey_size != key->subkey_size)
        return false;
    if (!key_bytes_equal(entry_key_bytes(table, entry), key->key, entry_byte_size(key->key_size)))
        return false;
    return !table->has_subkey || key->subkey_size == 0 || key->subkey_size == KEY_NULL ||
           memcmp(entry_subkey_bytes(table, entry), key->subkey, key->subkey_size) == 0;
}

/* The entry, or NULL. */
static inline struct entry *entry_table_find(const struct entry_table *table,
                                             const struct entry_key *key)
{
    const struct entry_segment *segment = table_segment(table, key->hash);
    const uint32_t mask = segment->chunk_count - 1;
    const uint8_t tag = chunk_tag(key->hash);
    uint32_t at = chunk_index(segment, key->hash);
    for (uint32_t step = 0; step <= mask; step++) {
        const struct entry_chunk *chunk = &segment->chunks[at];
        for (uint32_t match = chunk_match(chunk, tag); match != 0; match &= match - 1) {
            struct entry *entry = arena_cell(table->arena, chunk->refs[__builtin_ctz(match)]);
            if (entry_matches(table, entry, key))
                return entry;
        }
        if (chunk->overflow == 0)
            return NULL;
        at = (at + 1) & mask;
    }
    return NULL;
}

#endif
