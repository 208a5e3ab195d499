/*
 * Aligned windows that fire and are forgotten as time passes.
 *
 * Two layouts of the state:
 *   whole    one entry per window and key: rows are added to each window that they belong to
 *   sliced   one entry per slice and key: windows are put together when they fire (window_pane.h)
 */
#ifndef OPERATORS_WINDOWS_WINDOW_FIRE_H
#define OPERATORS_WINDOWS_WINDOW_FIRE_H

#include "operators/windows/window_output.h"
#include "operators/windows/window_pane.h"

enum fire_stage { FIRE_START, FIRE_NEXT, FIRE_PREPARE, FIRE_SCAN, FIRE_EMIT, FIRE_PASS, FIRE_DROP };

struct window_fire {
    const struct window_spec *window;
    struct keyed_fold *fold;
    struct window_output *output;
    struct open_ends *open;
    struct window_pane *pane; /* NULL: whole windows */
    bool gives_rows;          /* when a window fires; else it gave them before */
    enum fire_stage stage;
    int64_t cursor; /* ends up to here have fired */
    int64_t end;    /* the one that fires */
    struct end_range range;
    struct state_entry *entries;
    uint32_t drop_count;
    uint32_t next_distinct;
    bool has_dropped;
};

void window_fire_open(struct window_fire *fire, const struct window_spec *window,
                      struct keyed_fold *fold, struct window_output *output, struct open_ends *open,
                      struct window_pane *pane);
void window_fire_close(struct window_fire *fire);

/* Fires what is due at watermark_ms and was not at old_ms, and drops what no late row may change
 * any more. Resumable. */
enum step window_fire_run(struct window_fire *fire, int64_t old_ms, int64_t watermark_ms,
                          struct emitter *out, struct error *err);

#endif
