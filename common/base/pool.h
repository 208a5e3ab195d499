/* Many small pieces of memory released at once. Bounded by what its user puts in. */
#ifndef COMMON_BASE_POOL_H
#define COMMON_BASE_POOL_H

#include "common/base/allocate.h"

struct pool_block;

struct pool {
    struct pool_block *blocks; /* zero: empty */
};

/* Zeroed, aligned for any type, valid until pool_done. */
void *pool_take(struct pool *pool, size_t count, size_t size) RETURNS_MEMORY;
char *pool_text(struct pool *pool, const char *text) RETURNS_MEMORY;
char *pool_text_n(struct pool *pool, const char *text, size_t size) RETURNS_MEMORY;
void pool_done(struct pool *pool);

#endif
