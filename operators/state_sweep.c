/* Removal of entries at zero: see state_sweep.h. */
#include "operators/state_sweep.h"

#include "common/base/allocate.h"

#include <string.h>

void state_sweep_done(struct state_sweep *sweep)
{
    key_batch_done(&sweep->keys);
    key_batch_done(&sweep->subkeys);
    free(sweep->slots);
    *sweep = (struct state_sweep){.field = sweep->field};
}

static void put_entry(struct key_batch *to, uint32_t at, const struct key_batch *from,
                      uint32_t entry)
{
    to->bytes[at] = from->bytes[entry];
    to->sizes[at] = from->sizes[entry];
    to->hashes[at] = from->hashes[entry];
}

static void reserve_entries(struct key_batch *keys, uint32_t count)
{
    if (count <= keys->capacity)
        return;
    keys->capacity = count * 2;
    keys->bytes = reallocate_array(keys->bytes, keys->capacity, sizeof(*keys->bytes));
    keys->sizes = reallocate_array(keys->sizes, keys->capacity, sizeof(*keys->sizes));
    keys->hashes = reallocate_array(keys->hashes, keys->capacity, sizeof(*keys->hashes));
}

void state_sweep_add(struct state_sweep *sweep, const struct key_batch *keys,
                     const struct key_batch *subkeys, uint32_t entry)
{
    reserve_entries(&sweep->keys, sweep->keys.count + 1);
    put_entry(&sweep->keys, sweep->keys.count++, keys, entry);
    sweep->has_subkeys = subkeys != NULL;
    if (subkeys != NULL) {
        reserve_entries(&sweep->subkeys, sweep->subkeys.count + 1);
        put_entry(&sweep->subkeys, sweep->subkeys.count++, subkeys, entry);
    }
}

/* Moves the candidates at zero to the front. */
static enum step read_candidates(struct state_sweep *sweep, struct state *state, struct error *err)
{
    const struct key_batch *subkeys = sweep->has_subkeys ? &sweep->subkeys : NULL;
    if (sweep->keys.count > sweep->capacity) {
        sweep->slots = reallocate_array(sweep->slots, sweep->keys.count, sizeof(void *));
        sweep->capacity = sweep->keys.count;
    }
    while (sweep->next < sweep->keys.count) {
        uint32_t count = 0;
        const enum step step =
            state_read(state, &sweep->keys, subkeys, sweep->next, &count, sweep->slots, err);
        if (step != STEP_DONE)
            return step;
        for (uint32_t i = 0; i < count; i++) {
            int64_t rows = 1;
            if (sweep->slots[i] != NULL)
                memcpy(&rows, slot_field(&state->layout, sweep->slots[i], sweep->field),
                       sizeof(rows));
            if (rows > 0)
                continue;
            put_entry(&sweep->keys, sweep->kept, &sweep->keys, sweep->next + i);
            if (subkeys != NULL)
                put_entry(&sweep->subkeys, sweep->kept, &sweep->subkeys, sweep->next + i);
            sweep->kept++;
        }
        sweep->next += count;
    }
    return STEP_DONE;
}

enum step state_sweep_run(struct state_sweep *sweep, struct state *state, struct error *err)
{
    if (!sweep->is_removing) {
        const enum step step = read_candidates(sweep, state, err);
        if (step != STEP_DONE)
            return step;
        sweep->keys.count = sweep->kept;
        if (sweep->has_subkeys)
            sweep->subkeys.count = sweep->kept;
        sweep->next = 0;
        sweep->is_removing = true;
    }
    while (sweep->next < sweep->keys.count) {
        uint32_t count = 0;
        const enum step step =
            state_remove(state, &sweep->keys, sweep->has_subkeys ? &sweep->subkeys : NULL,
                         sweep->next, &count, err);
        if (step != STEP_DONE)
            return step;
        sweep->next += count;
    }
    sweep->keys.count = 0;
    sweep->subkeys.count = 0;
    sweep->next = 0;
    sweep->kept = 0;
    sweep->is_removing = false;
    return STEP_DONE;
}
