/* Memory released at once: see pool.h. */
#include "common/base/pool.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define POOL_BLOCK_BYTES 8192

struct pool_block {
    struct pool_block *next;
    size_t used;
    size_t size;
    alignas(max_align_t) char bytes[];
};

void *pool_take(struct pool *pool, size_t count, size_t size)
{
    size_t bytes = 0;
    const bool overflows = __builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2;
    if (overflows)
        return allocate_array(count, size); /* ends the process */
    const size_t alignment = alignof(max_align_t);
    bytes = (bytes + alignment) / alignment * alignment;
    struct pool_block *block = pool->blocks;
    if (block == NULL || block->size - block->used < bytes) {
        const size_t capacity = bytes > POOL_BLOCK_BYTES ? bytes : POOL_BLOCK_BYTES;
        block = allocate(sizeof(*block) + capacity);
        block->size = capacity;
        block->next = pool->blocks;
        pool->blocks = block;
    }
    void *memory = block->bytes + block->used;
    block->used += bytes;
    return memory;
}

char *pool_text_n(struct pool *pool, const char *text, size_t size)
{
    char *copy = pool_take(pool, size + 1, 1);
    if (size > 0)
        memcpy(copy, text, size);
    return copy;
}

char *pool_text(struct pool *pool, const char *text)
{
    return pool_text_n(pool, text, strlen(text));
}

void pool_done(struct pool *pool)
{
    for (struct pool_block *block = pool->blocks; block != NULL;) {
        struct pool_block *next = block->next;
        free(block);
        block = next;
    }
    pool->blocks = NULL;
}
