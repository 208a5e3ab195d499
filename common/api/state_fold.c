/* Folding rows into entries: see state_fold.h. */
#include "common/api/state_fold.h"

enum step state_fold(struct state *state, const struct key_batch *keys,
                     const struct key_batch *subkeys, uint32_t first, uint32_t *ret_count,
                     state_fold_fn fold, void *context, struct error *err)
{
    void *slots[STATE_FOLD_BATCH_MAX];
    uint8_t fresh[STATE_FOLD_BATCH_MAX];
    struct key_batch part = *keys;
    if (part.count - first > STATE_FOLD_BATCH_MAX)
        part.count = first + STATE_FOLD_BATCH_MAX;
    uint32_t count = 0;
    const enum step step = state_update(state, &part, subkeys, first, &count, slots, fresh, err);
    if (step != STEP_DONE)
        return step;
    for (uint32_t i = 0; i < count; i++) {
        if (fold(context, state, slots[i], fresh[i] != 0, first + i, err) != STATUS_OK)
            return STEP_FAILED;
    }
    *ret_count = count;
    return STEP_DONE;
}
