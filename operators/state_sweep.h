/*
 * Removal of entries whose counter has come down to zero. Candidates are noted while a batch is
 * worked on and looked at again at its end (later rows may have revived them), before anything
 * else.
 */
#ifndef OPERATORS_STATE_SWEEP_H
#define OPERATORS_STATE_SWEEP_H

#include "common/api/state.h"

struct state_sweep {
    struct key_batch keys; /* ranges are borrowed from the batch at work */
    struct key_batch subkeys;
    bool has_subkeys;
    uint32_t field; /* of type BIGINT: the counter */
    uint32_t next;
    uint32_t kept; /* candidates read that are at zero */
    bool is_removing;
    void **slots;
    uint32_t capacity;
};

void state_sweep_done(struct state_sweep *sweep);
/* subkeys may be NULL, the same for all calls until the sweep has run. */
void state_sweep_add(struct state_sweep *sweep, const struct key_batch *keys,
                     const struct key_batch *subkeys, uint32_t entry);
/* Removes the candidates that are at or below zero. Resumable. */
enum step state_sweep_run(struct state_sweep *sweep, struct state *state, struct error *err);

#endif
