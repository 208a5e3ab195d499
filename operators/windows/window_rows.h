/*
 * The rows of a batch put into slices, and told apart by the watermark.
 *
 *   on time   the last window of the row's slice has not fired
 *   allowed   it has, but is kept for late rows
 *   late      every window of the row is forgotten: the row changes nothing
 */
#ifndef OPERATORS_WINDOWS_WINDOW_ROWS_H
#define OPERATORS_WINDOWS_WINDOW_ROWS_H

#include "common/data/batch.h"
#include "operators/row_failures.h"
#include "operators/windows/window_spec.h"

enum window_row_class { WINDOW_ROW_ON_TIME, WINDOW_ROW_ALLOWED, WINDOW_ROW_LATE };
#define WINDOW_ROW_CLASS_COUNT 3

struct window_rows {
    uint32_t *rows[WINDOW_ROW_CLASS_COUNT]; /* of the batch, ascending */
    uint32_t counts[WINDOW_ROW_CLASS_COUNT];
    int64_t *slices;  /* per row of the batch: end of its slice; 16 readable bytes behind */
    int64_t *late_ms; /* per late row: its distance to the watermark */
    uint32_t capacity;
    int64_t *touched; /* distinct slices of rows that are not late, in no order, with repeats */
    size_t touched_count;
    size_t touched_capacity;
    struct row_failures failures; /* rows without a usable time */
};

void window_rows_done(struct window_rows *rows);
/* Room for a batch of so many rows. */
void window_rows_reserve(struct window_rows *rows, uint32_t count);
/* now_ms: the instant of all rows of processing-time windows. */
void window_rows_assign(struct window_rows *rows, const struct window_spec *window,
                        const struct batch *in, int64_t watermark_ms, int64_t now_ms);
/* The rows of a class as a view of the batch: a new reference. */
struct batch *window_rows_view(const struct window_rows *rows, struct batch *in,
                               enum window_row_class class)
    __attribute__((returns_nonnull, warn_unused_result));
/* How late a row is; a watermark may be as far as INT64_MAX. */
static inline int64_t window_late_ms(int64_t watermark_ms, int64_t instant_ms)
{
    int64_t late_ms;
    return __builtin_sub_overflow(watermark_ms, instant_ms, &late_ms) ? INT64_MAX : late_ms;
}

/* The instant of a row; false: it has none that windows can hold. */
bool window_row_instant(const struct window_spec *window, const struct batch *in, uint32_t row,
                        int64_t *ret_ms);
/* Notes that a row has no usable time. */
void window_row_fails(struct row_failures *failures, const struct window_spec *window,
                      const struct batch *in, uint32_t row);

#endif
