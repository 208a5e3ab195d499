/*
 * Rows collected for one channel until they make a batch: pieces of batches are gathered column by
 * column, and the bytes of strings are copied, so that what leaves is compact.
 */
#ifndef TASKMANAGER_EXCHANGE_STAGING_H
#define TASKMANAGER_EXCHANGE_STAGING_H

#include "common/data/batch_builder.h"

struct staging_column {
    struct type type;
    uint32_t value_size;
    struct column *column; /* `capacity` rows, of which row_count are set; NULL: none yet */
    uint64_t long_bytes;   /* of the piece being appended: strings outside their views */
};

struct staging {
    struct schema *schema;
    struct memory_account *account; /* of the bytes of strings */
    bool is_flat;                   /* no nested types: columns; else the builder */
    struct staging_column *columns;
    struct batch_builder builder;
    uint8_t *row_kinds; /* NULL: all inserts */
    uint32_t capacity;  /* rows; follows the size of what was taken */
    uint32_t row_count;
    uint64_t byte_size;
    int64_t first_us; /* when the oldest row came */
};

void staging_init(struct staging *staging, const struct schema *schema,
                  struct memory_account *account);
void staging_done(struct staging *staging);

/* Appends a prefix of the rows (absolute indices) and returns its length; 0: take first. */
uint32_t staging_append(struct staging *staging, const struct batch *batch, const uint32_t *rows,
                        uint32_t count, int64_t now_us);
/* All rows as one batch; requires some. */
struct batch *staging_take(struct staging *staging)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
