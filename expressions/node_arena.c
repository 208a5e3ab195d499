/* Memory that is freed all at once: see node_arena.h. */
#include "expressions/node_arena.h"

#include "common/base/allocate.h"

#include <stdalign.h>
#include <string.h>

#define BLOCK_BYTES 4096

struct node_arena_block {
    struct node_arena_block *next;
    size_t capacity;
    alignas(max_align_t) char bytes[];
};

void *node_arena_allocate(struct node_arena *arena, size_t size)
{
    const size_t rounded =
        (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
    if (arena->blocks == NULL || arena->blocks->capacity - arena->used < rounded) {
        const size_t capacity = rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES;
        struct node_arena_block *block = allocate(sizeof(*block) + capacity);
        block->capacity = capacity;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
    }
    void *memory = arena->blocks->bytes + arena->used;
    arena->used += rounded;
    return memory;
}

char *node_arena_copy_text(struct node_arena *arena, const char *text, size_t size)
{
    char *copy = node_arena_allocate(arena, size + 1);
    memcpy(copy, text, size);
    return copy;
}

void node_arena_done(struct node_arena *arena)
{
    while (arena->blocks != NULL) {
        struct node_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used = 0;
}
