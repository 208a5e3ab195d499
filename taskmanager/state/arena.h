/*
 * Memory of a backend's entries: cells of a few sizes in slabs of 64 KiB.
 *
 * Slabs are cut from regions that are mapped in growing steps and unmapped at the end only. A slab
 * holds cells of one size; an empty slab may be used for another size. Cells never move; their
 * content is not initialised; they are aligned to 16 bytes (to 64 if the size is a multiple of 64).
 * A cell is also named by 32 bits (a ref), which is what index tables hold. Ref 0 is none.
 *
 * Larger pieces come from malloc, booked in the same account. One thread.
 */
#ifndef TASKMANAGER_STATE_ARENA_H
#define TASKMANAGER_STATE_ARENA_H

#include "common/base/memory.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_SLAB_SIZE_BYTES 65536
#define ARENA_CELL_MAX_BYTES  32768
#define ARENA_CLASS_COUNT     64

struct arena_slab {
    struct arena_slab *next; /* of the same class with free cells, or of the unused ones */
    struct arena_slab *previous;
    uint32_t index;
    uint32_t cell_size;
    uint32_t class_index;
    uint32_t live_count;
    uint32_t fresh_offset; /* cells from here on were never used */
    uint32_t free_offset;  /* first freed cell, 0: none; linked through their first 4 bytes */
    char padding[24];
};

struct arena_region {
    void *mapping;
    size_t size;
};

struct arena {
    struct memory_account *account; /* may be NULL */
    struct arena_slab **slabs;
    uint32_t slab_count;
    struct arena_slab *unused;
    struct arena_slab *partial[ARENA_CLASS_COUNT];
    struct arena_region *regions;
    size_t region_count;
    size_t region_capacity;
    uint64_t mapped_bytes;
    uint64_t used_bytes; /* cells and large pieces in use */
};

void arena_init(struct arena *arena, struct memory_account *account);
void arena_done(struct arena *arena);

/* size in 1..ARENA_CELL_MAX_BYTES. */
void *arena_take(struct arena *arena, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
void arena_give(struct arena *arena, void *cell);

/* Any size; give it back with the same size. */
void *arena_take_bytes(struct arena *arena, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
void arena_give_bytes(struct arena *arena, void *bytes, size_t size);
/* What arena_take_bytes really reserves for that size: use all of it. */
size_t arena_bytes_capacity(size_t size);

static inline struct arena_slab *arena_slab_of(const void *cell)
{
    return (struct arena_slab *)((uintptr_t)cell & ~(uintptr_t)(ARENA_SLAB_SIZE_BYTES - 1));
}

static inline uint32_t arena_ref(const void *cell)
{
    const struct arena_slab *slab = arena_slab_of(cell);
    return slab->index << 12 | (uint32_t)((uintptr_t)cell & (ARENA_SLAB_SIZE_BYTES - 1)) >> 4;
}

static inline void *arena_cell(const struct arena *arena, uint32_t ref)
{
    return (char *)arena->slabs[ref >> 12] + ((size_t)(ref & 0xfff) << 4);
}

#endif
