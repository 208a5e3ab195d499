/* Memory that is freed all at once: what a compiled expression consists of. One thread. */
#ifndef EXPRESSIONS_NODE_ARENA_H
#define EXPRESSIONS_NODE_ARENA_H

#include <stddef.h>

struct node_arena_block;

struct node_arena {
    struct node_arena_block *blocks;
    size_t used;
};

/* Zeroed memory, aligned for any type. */
void *node_arena_allocate(struct node_arena *arena, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
char *node_arena_copy_text(struct node_arena *arena, const char *text, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
void node_arena_done(struct node_arena *arena);

#endif
