/*
 * Reference-counted bytes that string views of batches point into.
 *
 * The content is written by one thread before the buffer is shared and is immutable afterwards;
 * references may be taken and dropped on any thread. Every buffer is followed by BUFFER_PADDING
 * readable bytes, so that kernels may load whole vectors. A buffer may belong to a memory account,
 * which is credited when the last reference goes.
 */
#ifndef COMMON_BASE_BUFFER_H
#define COMMON_BASE_BUFFER_H

#include "common/base/memory.h"
#include "common/base/scoped.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BUFFER_PADDING 64

struct buffer {
    _Atomic uint32_t references;
    uint32_t size;                  /* bytes written so far: set by the writer */
    uint32_t capacity;              /* bytes that may be written, padding not included */
    struct memory_account *account; /* may be NULL */
    char bytes[];
};

/* One reference, size 0. Books the bytes by force: callers that must be refused reserve first.
 * account may be NULL. */
struct buffer *buffer_create(struct memory_account *account, uint32_t capacity)
    __attribute__((returns_nonnull, warn_unused_result));

static inline struct buffer *buffer_ref(struct buffer *buffer)
{
    atomic_fetch_add_explicit(&buffer->references, 1, memory_order_relaxed);
    return buffer;
}

/* NULL is ignored. */
void buffer_unref(struct buffer *buffer);
DEFINE_SCOPED(struct buffer, buffer_unref)

#endif
