/*
 * The window that is put together from shared slices: accumulators per key in a state of its own
 * ("pane"), so that a firing window costs as much as its newest and oldest slice, not as all.
 *
 *   hopping      where merging can be taken back: the next slices are added, the window fires, what
 *                the next window does not hold is subtracted; else all slices are added each time
 *   cumulating   slices are added until the last window of the round has fired
 *
 * A row for a slice that the pane holds already spoils it: the next window is put together anew.
 */
#ifndef OPERATORS_WINDOWS_WINDOW_PANE_H
#define OPERATORS_WINDOWS_WINDOW_PANE_H

#include "operators/keyed_fold.h"
#include "operators/windows/accumulator_merge.h"
#include "operators/windows/open_ends.h"
#include "operators/windows/window_spec.h"

/* In a snapshot: the pane cannot be gone on with. */
#define PANE_HAS_NO_END INT64_MIN

enum pane_stage { PANE_IDLE, PANE_CLEAR, PANE_MERGE };

struct window_pane {
    const struct window_spec *window;
    struct keyed_fold *fold;
    const struct open_ends *open; /* of slices */
    struct state *state;
    bool is_kept; /* from one window to the next */
    bool has_end; /* the state is what the window after `end` begins with; in the snapshot */
    int64_t end;
    /* At work. */
    enum pane_stage stage;
    bool is_started;
    int64_t after; /* slices in (after, up_to] are left to merge */
    int64_t up_to;
    int sign;
    bool is_scanning;
    struct end_range range;
    struct state_entry *entries;
    uint32_t entry_count;
    uint32_t next;
    bool is_sweeping;
    struct key_batch keys;
    struct key_batch subkeys;
    struct state_sweep sweep;
    void **targets;
    uint8_t *fresh;
    int64_t zero[1 + 2]; /* the only subkey, and 16 readable bytes */
};

/* Registers the state. */
enum status window_pane_open(struct window_pane *pane, const struct window_spec *window,
                             struct keyed_fold *fold, const struct open_ends *open,
                             struct error *err) MUST_CHECK;
void window_pane_close(struct window_pane *pane);

/* A row is about to be added to a slice. */
void window_pane_touch(struct window_pane *pane, int64_t slice_end);
/* Makes the state the window that ends there. Resumable. */
enum step window_pane_prepare(struct window_pane *pane, int64_t end, struct error *err);
/* Makes it what the next one begins with. Resumable. */
enum step window_pane_pass(struct window_pane *pane, int64_t end, struct error *err);

#endif
