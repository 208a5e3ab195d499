/*
 * REDUCING and AGGREGATING state by the row: each row of a batch is folded into the entry of its
 * key. REDUCING: the entry is a row like the input, the first one is copied, the others combined.
 * AGGREGATING: the entry is an accumulator.
 */
#ifndef COMMON_API_STATE_FOLD_H
#define COMMON_API_STATE_FOLD_H

#include "common/api/state.h"

#define STATE_FOLD_BATCH_MAX 256

/* Folds row `row` of the caller's batch into the slot; is_fresh: the slot is all zero. Large values
 * go through state_set_bytes. A failure ends the call with STEP_FAILED. */
typedef enum status (*state_fold_fn)(void *context, struct state *state, void *slot, bool is_fresh,
                                     uint32_t row, struct error *err);

/* Rows [first, first + *ret_count) are folded, once each; results as of state_update. */
enum step state_fold(struct state *state, const struct key_batch *keys,
                     const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                     state_fold_fn fold, void *context, struct error *err);

#endif
