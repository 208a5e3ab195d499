/* Columns put together from rows of others: what CASE, COALESCE, ARRAY[...] and a[i] give. */
#ifndef EXPRESSIONS_COLUMN_PICK_H
#define EXPRESSIONS_COLUMN_PICK_H

#include "common/data/batch.h"

#define PICK_NULL UINT32_MAX       /* the entry is NULL */
#define PICK_SKIP (UINT32_MAX - 1) /* the entry is not used: empty */

/* Entry i is row rows[i] of sources[which[i]]; the sources have the type. Buffers are shared. */
struct column *column_pick(struct type type, struct column *const *sources, uint32_t source_count,
                           const uint32_t *which, const uint32_t *rows, uint32_t count)
    __attribute__((returns_nonnull, warn_unused_result));
/* count NULLs. */
struct column *column_create_null(struct type type, uint32_t count)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
