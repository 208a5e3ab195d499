/*
 * The rows of a batch as they are folded: a view of the batch where a row belongs to one slice, or
 * copies of rows, one for each of their windows, where windows overlap and share no slices.
 */
#ifndef OPERATORS_WINDOWS_WINDOW_CHUNKS_H
#define OPERATORS_WINDOWS_WINDOW_CHUNKS_H

#include "operators/windows/window_rows.h"

struct window_chunks {
    const struct window_spec *window;
    const struct window_rows *rows;
    bool is_copied; /* one row per window */
    bool is_loud;   /* rows of windows that have not fired give output too */
    /* At work. */
    uint32_t pass; /* 0: windows that have not fired, 1: those that are kept for late rows */
    uint32_t next[WINDOW_ROW_LATE]; /* per class: of its rows */
    int64_t next_end;               /* of the next row's windows; INT64_MIN: the first */
    uint32_t *sources;              /* rows of the batch, of the chunk */
    int64_t *ends;                  /* per row of the chunk; 16 readable bytes behind */
};

void window_chunks_done(struct window_chunks *chunks);
void window_chunks_start(struct window_chunks *chunks);
/* The next chunk (a new reference), or NULL. *ret_ends: per row of it, valid until the next call.
 * *ret_is_quiet: nothing leaves for it. */
struct batch *window_chunks_next(struct window_chunks *chunks, struct batch *in,
                                 int64_t watermark_ms, const int64_t **ret_ends,
                                 bool *ret_is_quiet);

#endif
