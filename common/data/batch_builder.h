/*
 * Appends rows value by value: what sources, formats and tests use.
 *
 *     batch_builder_init(&builder, schema, account);
 *     for each row: one append_* per column in any order, then batch_builder_end_row()
 *     batch = batch_builder_take(&builder);   // the builder is empty and can be used again
 *
 * Nested values are appended between begin and end; between them `column` is the index within the
 * value: 0 for the entries of an ARRAY, 0 and 1 for keys and values of a MAP, the field of a ROW.
 *
 *     batch_builder_begin(&builder, 2);              // column 2 is an ARRAY<BIGINT>
 *     batch_builder_int(&builder, 0, 7);             // its entries
 *     batch_builder_int(&builder, 0, 8);
 *     batch_builder_end(&builder);
 *
 * Rows are complete or absent: batch_builder_undo_row drops the appends of an unfinished row.
 * String bytes are copied into the builder's own buffer unless given as a range of a shared one.
 * One thread.
 */
#ifndef COMMON_DATA_BATCH_BUILDER_H
#define COMMON_DATA_BATCH_BUILDER_H

#include "common/data/batch.h"

/* One column being built. Private to the builder and its inline functions. */
struct column_builder {
    struct column *column; /* its row_count is the capacity while it is being built */
    uint32_t capacity;
    uint32_t row_count; /* values appended, those of the unfinished row included */
    uint32_t first_capacity;
    uint32_t buffer_index;
    struct buffer *buffer; /* the one last pointed into: column->buffers[buffer_index]; borrowed */
    struct column_builder *parent; /* NULL for a column of the batch */
    struct column_builder *children;
};

struct batch_builder {
    struct schema *schema;
    struct memory_account *account;
    struct column_builder *columns;
    struct column_builder *current; /* what the index `column` counts in */
    struct column_builder *open;    /* the nested value begun last, or NULL */
    struct buffer *buffer;          /* copied string bytes go here; owned, NULL until needed */
    uint32_t buffer_row_start;      /* buffer->size when the unfinished row began */
    uint32_t buffer_capacity;       /* of the next buffer */
    uint32_t row_count;
    uint32_t row_kind_capacity;
    uint64_t byte_size;         /* of the finished rows and what the unfinished one has so far */
    uint64_t byte_size_start;   /* of the finished rows */
    struct batch_origin origin; /* the maker sets it; its source moves to the batch when taken */
    uint8_t *row_kinds;         /* NULL while all rows are inserts */
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
/* Any fixed-width type: type_value_size() bytes, as they lie in a column. */
void batch_builder_fixed(struct batch_builder *builder, uint32_t column, const void *value);
/* Any view type. */
void batch_builder_bytes(struct batch_builder *builder, uint32_t column, const char *bytes,
                         size_t size);
/* Copies one value of another column of an equal type, nested or not. */
void batch_builder_copy(struct batch_builder *builder, uint32_t column, const struct column *from,
                        uint32_t row);

/* Starts a value of an ARRAY, MAP or ROW column; up to TYPE_DEPTH_MAX deep. */
void batch_builder_begin(struct batch_builder *builder, uint32_t column);
/* Ends the value begun last: a MAP must have as many keys as values, a ROW one value per field. */
void batch_builder_end(struct batch_builder *builder);

/* Has the unfinished row (or the ROW value begun last) a value in that column? Not for entries of
 * ARRAY and MAP. */
bool batch_builder_has(const struct batch_builder *builder, uint32_t column);
/* Drops the value appended last to that column in the unfinished row: for formats in which the
 * last of several wins. */
void batch_builder_drop(struct batch_builder *builder, uint32_t column);

/* Appends what is missing: the row then has a value in every column. */
void batch_builder_null_missing(struct batch_builder *builder);
void batch_builder_end_row(struct batch_builder *builder, enum row_kind kind);
/* Also abandons nested values that were begun and not ended. */
void batch_builder_undo_row(struct batch_builder *builder);
/* All rows so far as one batch; NULL if there is none. */
struct batch *batch_builder_take(struct batch_builder *builder) __attribute__((warn_unused_result));

/* Private: what inline functions leave to batch_builder.c. */
void column_builder_grow(struct column_builder *column);
void column_builder_use_buffer(struct column_builder *column, struct buffer *buffer);

/* As batch_builder_bytes without a copy: a range of a buffer, of which a reference is taken. */
static inline void batch_builder_shared(struct batch_builder *builder, uint32_t column,
                                        struct buffer *buffer, uint32_t offset, uint32_t size)
{
    struct column_builder *target = &builder->current[column];
    if (__builtin_expect(target->row_count == target->capacity, 0))
        column_builder_grow(target);
    if (size > STRING_VIEW_INLINE && __builtin_expect(target->buffer != buffer, 0))
        column_builder_use_buffer(target, buffer);
    column_views(target->column)[target->row_count++] =
        string_view_make(buffer, target->buffer_index, offset, size);
    builder->byte_size += sizeof(struct string_view) + size;
}

#endif
