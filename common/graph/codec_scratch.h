/* Memory that lives as long as one encoding. For the codecs only. */
#ifndef COMMON_GRAPH_CODEC_SCRATCH_H
#define COMMON_GRAPH_CODEC_SCRATCH_H

#include "common/base/allocate.h"

#include <stddef.h>

struct codec_scratch {
    void **blocks;
    size_t count;
    size_t capacity;
};

static inline void *codec_scratch_take(struct codec_scratch *scratch, size_t count, size_t size)
{
    void *block = allocate_array(count > 0 ? count : 1, size);
    array_push(scratch->blocks, scratch->count, scratch->capacity) = block;
    return block;
}

static inline void codec_scratch_done(struct codec_scratch *scratch)
{
    for (size_t i = 0; i < scratch->count; i++)
        free(scratch->blocks[i]);
    free(scratch->blocks);
    *scratch = (struct codec_scratch){0};
}

#endif
