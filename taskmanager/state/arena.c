/* Slabs of cells: see arena.h. */
#include "taskmanager/state/arena.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_MIN_BYTES (4 * (size_t)ARENA_SLAB_SIZE_BYTES)
#define REGION_MAX_BYTES ((size_t)8 << 20)
#define SLAB_COUNT_MAX   (1U << 20)
#define SLAB_TABLE_BYTES (SLAB_COUNT_MAX * sizeof(struct arena_slab *))
#define HEADER_SIZE      ((uint32_t)sizeof(struct arena_slab))
#define HUGE_PAGE_BYTES  ((size_t)2 << 20)

_Static_assert(sizeof(struct arena_slab) % 64 == 0, "cells of 64 bytes are aligned to 64");

/* Steps of 16 bytes up to 256, then four steps to each doubling. */
static uint32_t class_of(size_t size, uint32_t *ret_cell_size)
{
    if (size <= 256) {
        const uint32_t index = (uint32_t)((size + 15) / 16);
        *ret_cell_size = index * 16;
        return index;
    }
    const uint32_t bits = 63 - (uint32_t)__builtin_clzll((uint64_t)size - 1);
    const uint32_t step = 1U << (bits - 2);
    const uint32_t quarter = ((uint32_t)size - 1 - (1U << bits)) / step;
    *ret_cell_size = (1U << bits) + (quarter + 1) * step;
    return 17 + (bits - 8) * 4 + quarter;
}

static void *map_memory(size_t size)
{
    void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) {
        (void)fprintf(stderr, "out of memory: mapping %zu bytes of state: %s\n", size,
                      strerror(errno));
        abort();
    }
    return mapping;
}

void arena_init(struct arena *arena, struct memory_account *account)
{
    *arena = (struct arena){.account = account};
    /* Address space only: pages of it are used as slabs come. It never moves, so that another
     * thread may follow the refs of entries that are there. */
    arena->slabs = map_memory(SLAB_TABLE_BYTES);
}

void arena_done(struct arena *arena)
{
    for (size_t i = 0; i < arena->region_count; i++)
        (void)munmap(arena->regions[i].mapping, arena->regions[i].size);
    if (arena->account != NULL)
        memory_release(arena->account, arena->mapped_bytes);
    free(arena->regions);
    if (arena->slabs != NULL)
        (void)munmap(arena->slabs, SLAB_TABLE_BYTES);
    *arena = (struct arena){0};
}

static void add_slab(struct arena *arena, char *memory)
{
    /* 2^20 slabs are 64 GiB of entries in one subtask: the budgets end long before. */
    CHECK(arena->slab_count < SLAB_COUNT_MAX - 1);
    struct arena_slab *slab = (struct arena_slab *)memory;
    *slab = (struct arena_slab){.index = arena->slab_count, .next = arena->unused};
    arena->slabs[arena->slab_count++] = slab;
    arena->unused = slab;
}

/* A region as large as half of what there is, within limits; the first ones stay small. */
static void map_region(struct arena *arena)
{
    size_t size = REGION_MIN_BYTES;
    while (size < REGION_MAX_BYTES && size * 2 <= arena->mapped_bytes)
        size *= 2;
    const size_t alignment = size >= HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : ARENA_SLAB_SIZE_BYTES;
    char *mapping = map_memory(size + alignment);
    char *start = (char *)(((uintptr_t)mapping + alignment - 1) & ~(uintptr_t)(alignment - 1));
    if (size >= HUGE_PAGE_BYTES)
        (void)madvise(start, size, MADV_HUGEPAGE);
    if (arena->account != NULL)
        memory_force(arena->account, size);
    arena->mapped_bytes += size;
    array_push(arena->regions, arena->region_count, arena->region_capacity) =
        (struct arena_region){mapping, size + alignment};
    for (size_t offset = size; offset > 0; offset -= ARENA_SLAB_SIZE_BYTES)
        add_slab(arena, start + offset - ARENA_SLAB_SIZE_BYTES);
}

static void link_partial(struct arena *arena, struct arena_slab *slab)
{
    struct arena_slab *head = arena->partial[slab->class_index];
    slab->previous = NULL;
    slab->next = head;
    if (head != NULL)
        head->previous = slab;
    arena->partial[slab->class_index] = slab;
}

static void unlink_partial(struct arena *arena, struct arena_slab *slab)
{
    if (slab->previous != NULL)
        slab->previous->next = slab->next;
    else
        arena->partial[slab->class_index] = slab->next;
    if (slab->next != NULL)
        slab->next->previous = slab->previous;
    slab->next = NULL;
    slab->previous = NULL;
}

static struct arena_slab *slab_for(struct arena *arena, uint32_t class_index, uint32_t cell_size)
{
    if (arena->unused == NULL)
        map_region(arena);
    struct arena_slab *slab = arena->unused;
    arena->unused = slab->next;
    slab->cell_size = cell_size;
    slab->class_index = class_index;
    slab->live_count = 0;
    slab->fresh_offset = HEADER_SIZE;
    slab->free_offset = 0;
    link_partial(arena, slab);
    return slab;
}

static bool is_full(const struct arena_slab *slab)
{
    return slab->free_offset == 0 && slab->fresh_offset + slab->cell_size > ARENA_SLAB_SIZE_BYTES;
}

void *arena_take(struct arena *arena, size_t size)
{
    DCHECK(size > 0 && size <= ARENA_CELL_MAX_BYTES);
    uint32_t cell_size;
    const uint32_t class_index = class_of(size, &cell_size);
    struct arena_slab *slab = arena->partial[class_index];
    if (slab == NULL)
        slab = slab_for(arena, class_index, cell_size);
    char *cell;
    if (slab->free_offset != 0) {
        cell = (char *)slab + slab->free_offset;
        memcpy(&slab->free_offset, cell, sizeof(slab->free_offset));
    } else {
        cell = (char *)slab + slab->fresh_offset;
        slab->fresh_offset += cell_size;
    }
    slab->live_count++;
    arena->used_bytes += cell_size;
    if (is_full(slab))
        unlink_partial(arena, slab);
    return cell;
}

void arena_give(struct arena *arena, void *cell)
{
    struct arena_slab *slab = arena_slab_of(cell);
    DCHECK(slab->live_count > 0);
    const bool was_full = is_full(slab);
    memcpy(cell, &slab->free_offset, sizeof(slab->free_offset));
    slab->free_offset = (uint32_t)((char *)cell - (char *)slab);
    slab->live_count--;
    arena->used_bytes -= slab->cell_size;
    if (slab->live_count == 0) {
        if (!was_full)
            unlink_partial(arena, slab);
        slab->next = arena->unused;
        arena->unused = slab;
    } else if (was_full) {
        link_partial(arena, slab);
    }
}

size_t arena_bytes_capacity(size_t size)
{
    if (size > ARENA_CELL_MAX_BYTES)
        return size;
    uint32_t cell_size;
    (void)class_of(size, &cell_size);
    return cell_size;
}

void *arena_take_bytes(struct arena *arena, size_t size)
{
    if (size <= ARENA_CELL_MAX_BYTES)
        return arena_take(arena, size);
    if (arena->account != NULL)
        memory_force(arena->account, size);
    arena->used_bytes += size;
    return allocate_array(1, size);
}

void arena_give_bytes(struct arena *arena, void *bytes, size_t size)
{
    if (size <= ARENA_CELL_MAX_BYTES) {
        arena_give(arena, bytes);
        return;
    }
    if (arena->account != NULL)
        memory_release(arena->account, size);
    arena->used_bytes -= size;
    free(bytes);
}
