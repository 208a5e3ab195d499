/*
 * Appends rows value by value: what sources, formats and tests use.
 *
 *     batch_builder_init(&builder, schema, account);
 *     for each row: one append_* per column, then batch_builder_end_row()
 *     batch = batch_builder_take(&builder);   // the builder is empty and can be used again
 *
 * Rows are complete or absent: batch_builder_undo_row drops the appends of an unfinished row.
 * String bytes are copied into the builder's own buffer unless given as a range of a shared one.
 * One thread.
 */
#ifndef COMMON_DATA_BATCH_BUILDER_H
#define COMMON_DATA_BATCH_BUILDER_H

#include "common/data/batch.h"

struct column_builder;

struct batch_builder {
    struct schema *schema;
    struct memory_account *account;
    struct column_builder *columns;
    uint32_t row_count;
    uint64_t byte_size;
    struct batch_origin origin;
    uint8_t *row_kinds;
};

void batch_builder_init(struct batch_builder *builder, const struct schema *schema,
                        struct memory_account *account);
void batch_builder_done(struct batch_builder *builder);

static inline bool batch_builder_is_full(const struct batch_builder *builder)
{
    return builder->row_count >= BATCH_ROWS_MAX || builder->byte_size >= BATCH_BYTES_MAX;
}

void batch_builder_null(struct batch_builder *builder, uint32_t column);
void batch_builder_bool(struct batch_builder *builder, uint32_t column, bool value);
/* TINYINT to BIGINT (the value must fit), DATE, TIME, timestamps and intervals in their ticks. */
void batch_builder_int(struct batch_builder *builder, uint32_t column, int64_t value);
void batch_builder_double(struct batch_builder *builder, uint32_t column, double value);
void batch_builder_decimal(struct batch_builder *builder, uint32_t column, __int128 unscaled);
/* Any view type. */
void batch_builder_bytes(struct batch_builder *builder, uint32_t column, const char *bytes,
                         size_t size);
/* As batch_builder_bytes without a copy: a range of a buffer, of which a reference is taken. */
void batch_builder_shared(struct batch_builder *builder, uint32_t column, struct buffer *buffer,
                          uint32_t offset, uint32_t size);
/* Copies one value of another column of an equal type: the way for nested values. */
void batch_builder_copy(struct batch_builder *builder, uint32_t column, const struct column *from,
                        uint32_t row);

void batch_builder_end_row(struct batch_builder *builder, enum row_kind kind);
void batch_builder_undo_row(struct batch_builder *builder);
/* All rows so far as one batch; NULL if there is none. */
struct batch *batch_builder_take(struct batch_builder *builder) __attribute__((warn_unused_result));

#endif
