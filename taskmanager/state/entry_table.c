/* Growing, adding, dropping and walking: see entry_table.h. */
#include "taskmanager/state/entry_table.h"

#include "common/base/allocate.h"

#include <stdio.h>

#define SEGMENT_CHUNKS_MIN 4
#define DEPTH_MAX          30

static size_t segment_size(uint32_t chunk_count)
{
    return sizeof(struct entry_segment) + (size_t)chunk_count * sizeof(struct entry_chunk);
}

static struct entry_segment *segment_create(struct entry_table *table, uint32_t chunk_count,
                                            uint32_t depth)
{
    const size_t size = segment_size(chunk_count);
    struct entry_segment *segment = aligned_alloc(64, size);
    if (segment == NULL) {
        (void)fputs("out of memory: index of state\n", stderr);
        abort();
    }
    memset(segment, 0, size);
    segment->chunk_count = chunk_count;
    segment->depth = depth;
    table->index_bytes += size;
    if (table->arena->account != NULL)
        memory_force(table->arena->account, size);
    table->arena->used_bytes += size;
    return segment;
}

static void segment_destroy(struct entry_table *table, struct entry_segment *segment)
{
    const size_t size = segment_size(segment->chunk_count);
    table->index_bytes -= size;
    if (table->arena->account != NULL)
        memory_release(table->arena->account, size);
    table->arena->used_bytes -= size;
    free(segment);
}

void entry_table_init(struct entry_table *table, struct arena *arena, uint32_t extra_size,
                      uint32_t slot_size, bool has_subkey)
{
    const uint32_t slot_offset = (uint32_t)sizeof(struct entry) + extra_size;
    *table = (struct entry_table){
        .arena = arena,
        .slot_offset = slot_offset,
        .slot_size = slot_size,
        .key_offset = (slot_offset + slot_size + 15U) & ~15U,
        .has_subkey = has_subkey,
    };
    table->directory = allocate_array(1, sizeof(struct entry_segment *));
    table->directory[0] = segment_create(table, SEGMENT_CHUNKS_MIN, 0);
}

void entry_table_done(struct entry_table *table)
{
    if (table->directory == NULL)
        return;
    const size_t count = (size_t)1 << table->depth;
    for (size_t i = 0; i < count; i++) {
        struct entry_segment *segment = table->directory[i];
        if (i + 1 == count || table->directory[i + 1] != segment)
            segment_destroy(table, segment);
    }
    free(table->directory);
    table->directory = NULL;
}

static void segment_put(struct entry_segment *segment, uint64_t hash, uint32_t ref)
{
    const uint32_t mask = segment->chunk_count - 1;
    uint32_t at = chunk_index(segment, hash);
    for (;;) {
        struct entry_chunk *chunk = &segment->chunks[at];
        const uint32_t room = chunk_match(chunk, 0);
        if (room != 0) {
            const int slot = __builtin_ctz(room);
            chunk->tags[slot] = chunk_tag(hash);
            chunk->refs[slot] = ref;
            segment->entry_count++;
            return;
        }
        if (chunk->overflow != UINT8_MAX)
            chunk->overflow++;
        at = (at + 1) & mask;
    }
}

/* Moves the refs of `from` into targets[bit], bit taken from the hash at bit_index. */
static void segment_spread(const struct entry_table *table, const struct entry_segment *from,
                           struct entry_segment *const targets[2], uint32_t bit_index)
{
    for (uint32_t i = 0; i < from->chunk_count; i++) {
        const struct entry_chunk *chunk = &from->chunks[i];
        if (i + 2 < from->chunk_count) {
            for (uint32_t j = 0; j < CHUNK_ENTRIES; j++)
                if (from->chunks[i + 2].tags[j] != 0)
                    __builtin_prefetch(arena_cell(table->arena, from->chunks[i + 2].refs[j]));
        }
        for (uint32_t j = 0; j < CHUNK_ENTRIES; j++) {
            if (chunk->tags[j] == 0)
                continue;
            const struct entry *entry = arena_cell(table->arena, chunk->refs[j]);
            segment_put(targets[entry->hash >> bit_index & 1], entry->hash, chunk->refs[j]);
        }
    }
}

static void double_directory(struct entry_table *table)
{
    const size_t count = (size_t)1 << table->depth;
    struct entry_segment **directory = allocate_array(2 * count, sizeof(struct entry_segment *));
    for (size_t i = 0; i < count; i++) {
        directory[2 * i] = table->directory[i];
        directory[2 * i + 1] = table->directory[i];
    }
    free(table->directory);
    table->directory = directory;
    table->depth++;
}

static void split_segment(struct entry_table *table, struct entry_segment *segment, uint64_t hash)
{
    if (segment->depth == table->depth)
        double_directory(table);
    struct entry_segment *const halves[2] = {
        segment_create(table, segment->chunk_count, segment->depth + 1),
        segment_create(table, segment->chunk_count, segment->depth + 1),
    };
    segment_spread(table, segment, halves, 63 - segment->depth);
    const size_t span = (size_t)1 << (table->depth - segment->depth);
    const size_t first = (table->depth == 0 ? 0 : hash >> (64 - table->depth)) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        table->directory[first + i] = halves[i >= span / 2 ? 1 : 0];
    segment_destroy(table, segment);
}

static void widen_segment(struct entry_table *table, struct entry_segment *segment, uint64_t hash)
{
    struct entry_segment *larger = segment_create(table, segment->chunk_count * 4, segment->depth);
    struct entry_segment *const targets[2] = {larger, larger};
    segment_spread(table, segment, targets, 0);
    const size_t span = (size_t)1 << (table->depth - segment->depth);
    const size_t first = (table->depth == 0 ? 0 : hash >> (64 - table->depth)) & ~(span - 1);
    for (size_t i = 0; i < span; i++)
        table->directory[first + i] = larger;
    segment_destroy(table, segment);
}

/* Most entries share the next bit of their hash: they are sub-entries of few keys. */
static bool is_lopsided(const struct entry_table *table, const struct entry_segment *segment)
{
    uint32_t ones = 0;
    for (uint32_t i = 0; i < segment->chunk_count; i++) {
        const struct entry_chunk *chunk = &segment->chunks[i];
        for (uint32_t j = 0; j < CHUNK_ENTRIES; j++) {
            if (chunk->tags[j] != 0) {
                const struct entry *entry = arena_cell(table->arena, chunk->refs[j]);
                ones += (uint32_t)(entry->hash >> (63 - segment->depth) & 1);
            }
        }
    }
    return ones < segment->entry_count / 8 || ones > segment->entry_count / 8 * 7;
}

static void grow(struct entry_table *table, struct entry_segment *segment, uint64_t hash)
{
    if (segment->chunk_count < SEGMENT_CHUNKS_MAX || segment->depth >= DEPTH_MAX ||
        (table->has_subkey && is_lopsided(table, segment)))
        widen_segment(table, segment, hash);
    else
        split_segment(table, segment, hash);
}

static void fill_key(struct entry_table *table, struct entry *entry, const struct entry_key *key,
                     size_t key_room, size_t subkey_room)
{
    char *at = (char *)entry + table->key_offset;
    if (entry->is_long != 0) {
        char *piece = arena_take_bytes(table->arena, key_room + subkey_room);
        memcpy(at, &piece, sizeof(piece));
        at = piece;
    }
    if (entry_byte_size(key->key_size) > 0)
        memcpy(at, key->key, key->key_size);
    if (entry_byte_size(key->subkey_size) > 0)
        memcpy(at + key_room, key->subkey, key->subkey_size);
}

static size_t padded(uint32_t size)
{
    return ((size_t)entry_byte_size(size) + 15U) & ~(size_t)15;
}

struct entry *entry_table_add(struct entry_table *table, const struct entry_key *key)
{
    struct entry_segment *segment = table_segment(table, key->hash);
    while (segment->entry_count >= segment->chunk_count * (CHUNK_ENTRIES - 2)) {
        grow(table, segment, key->hash);
        segment = table_segment(table, key->hash);
    }
    const size_t key_room = padded(key->key_size);
    const size_t subkey_room = padded(key->subkey_size);
    const bool is_long = key_room + subkey_room > ENTRY_INLINE_KEY_MAX;
    /* At least 16 bytes: a short key is compared with one load. */
    size_t room = is_long ? 16 : key_room + subkey_room;
    if (room < 16)
        room = 16;
    struct entry *entry = arena_take(table->arena, table->key_offset + room);
    memset(entry, 0, table->key_offset);
    entry->hash = key->hash;
    entry->key_size = key->key_size;
    entry->subkey_size = key->subkey_size;
    entry->is_long = is_long ? 1 : 0;
    fill_key(table, entry, key, key_room, subkey_room);
    segment_put(segment, key->hash, arena_ref(entry));
    table->entry_count++;
    return entry;
}

void entry_table_free(struct entry_table *table, struct entry *entry)
{
    if (entry->is_long != 0)
        arena_give_bytes(table->arena, (char *)entry_key_bytes(table, entry),
                         padded(entry->key_size) + padded(entry->subkey_size));
    arena_give(table->arena, entry);
}

void entry_table_drop(struct entry_table *table, struct entry *entry)
{
    entry_table_unlink(table, entry);
    entry_table_free(table, entry);
}

void entry_table_unlink(struct entry_table *table, const struct entry *entry)
{
    struct entry_segment *segment = table_segment(table, entry->hash);
    const uint32_t mask = segment->chunk_count - 1;
    const uint8_t tag = chunk_tag(entry->hash);
    const uint32_t ref = arena_ref(entry);
    uint32_t at = chunk_index(segment, entry->hash);
    for (uint32_t step = 0; step <= mask; step++) {
        struct entry_chunk *chunk = &segment->chunks[at];
        for (uint32_t match = chunk_match(chunk, tag); match != 0; match &= match - 1) {
            const int slot = __builtin_ctz(match);
            if (chunk->refs[slot] == ref) {
                chunk->tags[slot] = 0;
                segment->entry_count--;
                table->entry_count--;
                return;
            }
        }
        CHECK(chunk->overflow > 0);
        if (chunk->overflow != UINT8_MAX)
            chunk->overflow--;
        at = (at + 1) & mask;
    }
    UNREACHABLE();
}

uint32_t entry_table_walk(const struct entry_table *table, uint64_t *cursor,
                          struct entry *entries[static CHUNK_ENTRIES])
{
    /* The cursor: the segment's hash prefix in the high bits, the chunk in the low half. */
    const struct entry_segment *segment = table_segment(table, *cursor);
    uint32_t at = (uint32_t)(*cursor & UINT32_MAX);
    uint32_t count = 0;
    if (at < segment->chunk_count) {
        const struct entry_chunk *chunk = &segment->chunks[at];
        for (uint32_t i = 0; i < CHUNK_ENTRIES; i++) {
            if (chunk->tags[i] != 0)
                entries[count++] = arena_cell(table->arena, chunk->refs[i]);
        }
    }
    if (++at < segment->chunk_count) {
        *cursor = (*cursor & ~UINT64_C(0xFFFFFFFF)) | at;
        return count;
    }
    if (segment->depth == 0) {
        *cursor = 0;
        return count;
    }
    const uint64_t unit = UINT64_C(1) << (64 - segment->depth);
    *cursor = (*cursor & ~(unit - 1)) + unit; /* wraps to 0 behind the last segment */
    return count;
}
