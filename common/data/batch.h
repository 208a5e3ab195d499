/*
 * Batches: columns of rows, the unit that streams carry.
 *
 * A batch is reference-counted and immutable once it has been emitted; before that its maker
 * alone writes it. It ends at BATCH_ROWS_MAX rows or BATCH_BYTES_MAX bytes, whichever is first; a
 * larger row travels alone. Columns may be shared between batches (select, where and split do not
 * copy), hence a column has a count of references of its own.
 *
 * Selection: with `selection` set, only those rows (ascending indices) exist for whoever reads
 * the batch; kernels take row indices from it. It is compacted at exchange and state.
 *
 * A string view must not pin a buffer of more than 16 times its size for long: operators that
 * keep rows (and not just forward them) compact first.
 */
#ifndef COMMON_DATA_BATCH_H
#define COMMON_DATA_BATCH_H

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/data/schema.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BATCH_ROWS_MAX  4096
#define BATCH_BYTES_MAX (256 * 1024)

#define STRING_VIEW_INLINE 12

/* Arrow's view layout. Unused inline bytes are zero, so that two inline views are equal exactly
 * when their 16 bytes are. */
struct string_view {
    uint32_t size;
    union {
        char inlined[STRING_VIEW_INLINE]; /* size <= STRING_VIEW_INLINE */
        struct {
            char prefix[4];
            uint32_t buffer; /* index into column.buffers */
            uint32_t offset;
        } ref;
    };
};

/* Readable bytes behind the values of every column, so that kernels may load whole vectors. */
#define COLUMN_PADDING 64

struct column {
    _Atomic uint32_t references;
    uint32_t row_count;
    struct type type;
    uint64_t *validity; /* bit i%64 of word i/64 is 1 for a value, 0 for NULL; absent: no NULL */
    void *values;       /* type_value_size() bytes a row; NULL for ARRAY, MAP, ROW */
    uint32_t *offsets;  /* ARRAY, MAP: row_count + 1 */
    uint32_t child_count;
    uint32_t buffer_count;
    uint32_t buffer_capacity;
    struct column **children;
    struct buffer **buffers; /* what views point into; owned references */
    uint64_t *validity_room; /* where column_need_validity puts the bitmap */
};

enum row_kind {
    ROW_INSERT = 0,        /* +I */
    ROW_UPDATE_BEFORE = 1, /* -U */
    ROW_UPDATE_AFTER = 2,  /* +U */
    ROW_DELETE = 3,        /* -D */
};

/* Where the rows of a batch came from, for error messages: kept by operators that map rows. */
struct batch_origin {
    struct buffer *source; /* name of the split ("/data/in.txt"), may be NULL; owned reference */
    int64_t first;         /* position of the first row (byte offset, record offset) */
    int64_t last;          /* position behind the last row */
    uint32_t split;        /* the reader's number of the split: see reader_ops.split_status */
};

struct batch {
    _Atomic uint32_t references;
    uint32_t row_count;
    uint32_t column_count;
    uint32_t selected_count; /* meaningful only with selection */
    struct schema *schema;   /* owned reference */
    uint32_t *selection;     /* selected_count ascending row indices, or NULL for all; owned */
    uint8_t *row_kinds;      /* enum row_kind per row, or NULL: all inserts; owned */
    struct batch_origin origin;
    struct column *columns[]; /* owned references, column_count of them */
};

/* ---- columns ---- */

/* A writable column of row_count rows (validity absent, values not initialised, views need not be
 * set for NULL rows). ARRAY and MAP columns get offsets, not initialised but for the first, which
 * is 0; the children of nested columns are NULL until the maker sets them (child_count is that of
 * the type; a child's rows are offsets[row_count], or row_count for ROW). A maker may lower
 * row_count afterwards. */
struct column *column_create(struct type type, uint32_t row_count)
    __attribute__((returns_nonnull, warn_unused_result));
struct column *column_ref(struct column *column);
void column_unref(struct column *column);
DEFINE_SCOPED(struct column, column_unref)

/* Adds the validity bitmap, all valid, if there is none yet. */
void column_need_validity(struct column *column);
/* Registers a buffer (takes a new reference) and returns its index for views; the same buffer
 * registered twice in a row gets the same index. */
uint32_t column_add_buffer(struct column *column, struct buffer *buffer);
/* Bytes as exchange and state count them (strings with their content). */
uint64_t column_byte_size(const struct column *column);

static inline bool column_is_null(const struct column *column, uint32_t row)
{
    return column->validity != NULL &&
           (column->validity[row / 64] >> (row % 64) & UINT64_C(1)) == 0;
}

/* column_need_validity must have been called. */
static inline void column_set_null(struct column *column, uint32_t row)
{
    column->validity[row / 64] &= ~(UINT64_C(1) << (row % 64));
}

static inline struct string_view *column_views(const struct column *column)
{
    return (struct string_view *)column->values;
}

static inline const char *string_view_bytes(const struct column *column,
                                            const struct string_view *view)
{
    return view->size <= STRING_VIEW_INLINE
               ? view->inlined
               : column->buffers[view->ref.buffer]->bytes + view->ref.offset;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "views and formats are laid out little-endian");

/* 12 bytes of 0xFF, then 12 of 0. */
extern const uint8_t string_view_mask[2 * STRING_VIEW_INLINE];

/* A view of size bytes at offset of the buffer with that index; short strings are copied inline
 * (by whole words: the buffer's padding may be read, and is masked). */
static inline struct string_view string_view_make(const struct buffer *buffer, uint32_t index,
                                                  uint32_t offset, uint32_t size)
{
    struct string_view view;
    const char *bytes = buffer->bytes + offset;
    view.size = size;
    if (size <= STRING_VIEW_INLINE) {
        const uint8_t *mask = string_view_mask + (STRING_VIEW_INLINE - size);
        uint64_t low;
        uint64_t low_mask;
        uint32_t high;
        uint32_t high_mask;
        memcpy(&low, bytes, sizeof(low));
        memcpy(&high, bytes + sizeof(low), sizeof(high));
        memcpy(&low_mask, mask, sizeof(low_mask));
        memcpy(&high_mask, mask + sizeof(low), sizeof(high_mask));
        low &= low_mask;
        high &= high_mask;
        memcpy(view.inlined, &low, sizeof(low));
        memcpy(view.inlined + sizeof(low), &high, sizeof(high));
    } else {
        memcpy(view.ref.prefix, bytes, sizeof(view.ref.prefix));
        view.ref.buffer = index;
        view.ref.offset = offset;
    }
    return view;
}

/* A view of bytes that are at most STRING_VIEW_INLINE long; reads no byte beyond them. */
static inline struct string_view string_view_inline(const char *bytes, uint32_t size)
{
    struct string_view view;
    uint64_t low = 0;
    uint64_t high = 0;
    DCHECK(size <= STRING_VIEW_INLINE);
    if (size >= 8) {
        uint32_t tail;
        memcpy(&low, bytes, 8);
        memcpy(&tail, bytes + size - 4, 4);
        high = (uint64_t)tail >> (8 * (STRING_VIEW_INLINE - size));
    } else if (size >= 4) {
        uint32_t head;
        uint32_t tail;
        memcpy(&head, bytes, 4);
        memcpy(&tail, bytes + size - 4, 4);
        low = head | ((uint64_t)tail >> (8 * (8 - size))) << 32;
    } else if (size > 0) {
        low = (uint64_t)(uint8_t)bytes[0] | (uint64_t)(uint8_t)bytes[size / 2] << (8 * (size / 2)) |
              (uint64_t)(uint8_t)bytes[size - 1] << (8 * (size - 1));
    }
    view.size = size;
    memcpy(view.inlined, &low, 8);
    memcpy(view.inlined + 8, &high, 4);
    return view;
}

/* ---- batches ---- */

/* A batch of that schema whose columns are all NULL pointers: the maker sets each of them. */
struct batch *batch_create(const struct schema *schema, uint32_t row_count)
    __attribute__((returns_nonnull, warn_unused_result));
struct batch *batch_ref(struct batch *batch);
void batch_unref(struct batch *batch);
DEFINE_SCOPED(struct batch, batch_unref)

/* Rows that exist for a reader. */
static inline uint32_t batch_selected(const struct batch *batch)
{
    return batch->selection != NULL ? batch->selected_count : batch->row_count;
}

/* The row index of the i-th selected row. */
static inline uint32_t batch_row(const struct batch *batch, uint32_t i)
{
    return batch->selection != NULL ? batch->selection[i] : i;
}

static inline enum row_kind batch_row_kind(const struct batch *batch, uint32_t row)
{
    return batch->row_kinds != NULL ? (enum row_kind)batch->row_kinds[row] : ROW_INSERT;
}

/* A batch without selection, holding just the selected rows, whose views pin buffers of at most
 * BATCH_PINNED_FACTOR times the bytes they show. A new reference; the same batch if it is compact
 * already. */
#define BATCH_PINNED_FACTOR 4
struct batch *batch_compact(struct batch *batch)
    __attribute__((returns_nonnull, warn_unused_result));

/* Rows (absolute indices, any order, repeats allowed) gathered into a new column. */
struct column *column_gather(const struct column *column, const uint32_t *rows, uint32_t count)
    __attribute__((returns_nonnull, warn_unused_result));

uint64_t batch_byte_size(const struct batch *batch);

/* The column itself (a new reference), or a copy if it pins too much: the part of batch_compact
 * that is done per column. */
struct column *column_repack(struct column *column)
    __attribute__((returns_nonnull, warn_unused_result));

/* One row as text for people: "+I[apple, 3]" (NULL as "null", strings as they are). */
void batch_format_row(const struct batch *batch, uint32_t row, struct text *out);
/* One value as text: what CAST(value AS STRING) gives; strings as they are, NULL as "null". */
void column_format_value(const struct column *column, uint32_t row, struct text *out);

#endif
