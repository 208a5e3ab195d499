/*
 * What `aggregate` and the window operators do with a batch: rows folded into the accumulators of
 * their entries, and what leaves because of that.
 *
 * A batch passes these stages, each of which may end the turn: evaluate arguments (failed rows go
 * to on_error), DISTINCT, update of the slots run by run, removal of groups without rows, output.
 *
 *     keyed_fold_start(fold, batch, ends, is_quiet); repeat keyed_fold_run() until STEP_DONE
 *
 * With windows, entries are addressed by (key, end of the window or slice).
 */
#ifndef OPERATORS_KEYED_FOLD_H
#define OPERATORS_KEYED_FOLD_H

#include "operators/distinct_values.h"
#include "operators/keyed_output.h"

enum fold_stage {
    FOLD_IDLE,
    FOLD_FAILURES,
    FOLD_DISTINCT,
    FOLD_UPDATE,
    FOLD_SWEEP,
    FOLD_EMIT,
};

struct keyed_fold {
    struct operator_env *env;
    struct aggregate_parts parts;
    struct keyed_output output;
    struct state *state;
    bool has_windows;
    uint32_t key_columns[KEY_COLUMN_MAX];
    uint32_t *value_parts;             /* per output column that is no key: the part, or the count
                                          of parts: written by write_other */
    struct distinct_values *distincts; /* per part; state NULL where there is none */
    struct state_sweep sweep;
    /* Output columns that are neither keys nor aggregates; entry i to row positions[i]. */
    void (*write_other)(void *context, uint32_t column, const uint32_t *positions, uint32_t count,
                        struct aggregate_results *results);
    void *other_context;
    /* The batch at work. */
    enum fold_stage stage;
    bool is_quiet; /* nothing leaves but failures */
    struct batch *batch;
    const int64_t *ends; /* per row of the batch; NULL without windows */
    uint32_t next_part;
    struct batch *view; /* the batch with the rows that did not fail */
    struct key_batch keys;
    struct key_batch subkeys;
    uint32_t next; /* row */
    void **slots;
    uint8_t *fresh;
    uint32_t capacity;
};

/* Settings: emit is given as mode, merge, input_changes; see aggregate.c. has_rows: slots count
 * their rows. The caller then registers the state of parts.schema and calls keyed_fold_place. */
enum status keyed_fold_open(struct keyed_fold *fold, struct operator_env *env, enum emit_mode mode,
                            bool has_rows, bool has_windows, struct error *err) MUST_CHECK;
/* After the state was registered: opens the states of DISTINCT. */
enum status keyed_fold_place(struct keyed_fold *fold, struct state *state, int64_t ttl_ms,
                             struct error *err) MUST_CHECK;
void keyed_fold_close(struct keyed_fold *fold);

/* Takes up a batch (a new reference). ends: per row, followed by 16 readable bytes, borrowed until
 * the run is over; NULL without windows. */
void keyed_fold_start(struct keyed_fold *fold, struct batch *batch, const int64_t *ends,
                      bool is_quiet);
/* Resumable; returns at once if nothing was started. */
enum step keyed_fold_run(struct keyed_fold *fold, struct emitter *out, struct error *err);

static inline bool keyed_fold_is_busy(const struct keyed_fold *fold)
{
    return fold->batch != NULL;
}

/* Entry i gets the end of rows[i]. ends: as above. */
void window_subkeys(struct key_batch *subkeys, const int64_t *ends, const uint32_t *rows,
                    uint32_t count);

#endif
