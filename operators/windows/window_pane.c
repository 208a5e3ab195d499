/* Windows out of slices: see window_pane.h. */
#include "operators/windows/window_pane.h"

#include "common/base/allocate.h"

static const struct type bigint_type = {.kind = TYPE_BIGINT, .nullable = false};

enum status window_pane_open(struct window_pane *pane, const struct window_spec *window,
                             struct keyed_fold *fold, const struct open_ends *open,
                             struct error *err)
{
    const struct operator_env *env = fold->env;
    pane->window = window;
    pane->fold = fold;
    pane->open = open;
    pane->is_kept = window->kind == WINDOW_CUMULATING || accumulators_can_unmerge(&fold->parts);
    key_batch_init(&pane->keys);
    key_batch_init(&pane->subkeys);
    pane->entries = allocate_array(MERGE_ENTRIES_MAX, sizeof(*pane->entries));
    pane->targets = allocate_array(MERGE_ENTRIES_MAX, sizeof(*pane->targets));
    pane->fresh = allocate_array(MERGE_ENTRIES_MAX, 1);
    const struct state_descriptor descriptor = {
        .name = "pane",
        .kind = STATE_AGGREGATING,
        .order = STATE_NAMESPACE_FIRST,
        .key_types = fold->output.key_types,
        .key_count = env->spec->key_count,
        .subkey_types = &bigint_type,
        .subkey_count = 1,
        .value = fold->parts.schema,
    };
    return env->keyed->ops->register_state(env->keyed, &descriptor, &pane->state, err);
}

void window_pane_close(struct window_pane *pane)
{
    key_batch_done(&pane->keys);
    key_batch_done(&pane->subkeys);
    state_sweep_done(&pane->sweep);
    free(pane->entries);
    free(pane->targets);
    free(pane->fresh);
    *pane = (struct window_pane){0};
}

void window_pane_touch(struct window_pane *pane, int64_t slice_end)
{
    if (pane->has_end && slice_end <= pane->end)
        pane->has_end = false;
}

/* ---- one slice ---- */

static void reserve_keys(struct key_batch *keys)
{
    if (keys->capacity >= MERGE_ENTRIES_MAX)
        return;
    keys->capacity = MERGE_ENTRIES_MAX;
    keys->bytes = reallocate_array(keys->bytes, keys->capacity, sizeof(*keys->bytes));
    keys->sizes = reallocate_array(keys->sizes, keys->capacity, sizeof(*keys->sizes));
    keys->hashes = reallocate_array(keys->hashes, keys->capacity, sizeof(*keys->hashes));
}

static void take_keys(struct window_pane *pane)
{
    const uint64_t zero_hash = key_hash((const char *)pane->zero, sizeof(pane->zero[0]));
    reserve_keys(&pane->keys);
    reserve_keys(&pane->subkeys);
    pane->keys.count = pane->subkeys.count = pane->entry_count;
    for (uint32_t i = 0; i < pane->entry_count; i++) {
        pane->keys.bytes[i] = pane->entries[i].key;
        pane->keys.sizes[i] = pane->entries[i].key_size;
        pane->keys.hashes[i] = pane->entries[i].hash;
        pane->subkeys.bytes[i] = (const char *)pane->zero;
        pane->subkeys.sizes[i] = sizeof(pane->zero[0]);
        pane->subkeys.hashes[i] = zero_hash;
    }
}

/* The entries of the last scan go into the pane. */
static enum step merge_entries(struct window_pane *pane, struct error *err)
{
    struct aggregate_parts *parts = &pane->fold->parts;
    while (pane->next < pane->entry_count) {
        uint32_t count = 0;
        const enum step step = state_update(pane->state, &pane->keys, &pane->subkeys, pane->next,
                                            &count, pane->targets, pane->fresh, err);
        if (step != STEP_DONE)
            return step;
        void *sources[MERGE_ENTRIES_MAX];
        for (uint32_t i = 0; i < count; i++)
            sources[i] = pane->entries[pane->next + i].slot;
        aggregate_parts_init_slots(parts, pane->targets, pane->fresh, count);
        aggregate_parts_place(parts, pane->state->layout.offsets, pane->state);
        accumulators_merge(parts, pane->targets, sources, count, pane->sign);
        aggregate_parts_place(parts, pane->fold->state->layout.offsets, pane->fold->state);
        for (uint32_t i = 0; pane->sign < 0 && i < count; i++) {
            if (aggregate_slot_rows(parts, pane->targets[i]) <= 0)
                state_sweep_add(&pane->sweep, &pane->keys, &pane->subkeys, pane->next + i);
        }
        pane->next += count;
    }
    return STEP_DONE;
}

static enum step merge_slice(struct window_pane *pane, int64_t slice_end, struct error *err)
{
    if (!pane->is_scanning) {
        end_range_init(&pane->range, slice_end, slice_end + 1);
        const enum step step = state_scan_range(pane->fold->state, &pane->range.range, err);
        if (step != STEP_DONE)
            return step;
        pane->is_scanning = true;
        pane->entry_count = pane->next = 0;
    }
    for (;;) {
        enum step step = merge_entries(pane, err);
        if (step == STEP_DONE && pane->sign < 0)
            step = state_sweep_run(&pane->sweep, pane->state, err);
        if (step != STEP_DONE)
            return step;
        pane->entry_count = pane->next = 0;
        step = state_scan_next(pane->fold->state, pane->entries, MERGE_ENTRIES_MAX,
                               &pane->entry_count, err);
        if (step != STEP_DONE)
            return step;
        if (pane->entry_count == 0) {
            pane->is_scanning = false;
            return STEP_DONE;
        }
        take_keys(pane);
    }
}

/* All open slices in (after, up_to]. */
static enum step merge_slices(struct window_pane *pane, struct error *err)
{
    for (;;) {
        const size_t at = open_ends_up_to(pane->open, pane->after);
        if (at == pane->open->count || pane->open->ends[at] > pane->up_to)
            return STEP_DONE;
        const int64_t slice_end = pane->open->ends[at];
        const enum step step = merge_slice(pane, slice_end, err);
        if (step != STEP_DONE)
            return step;
        pane->after = slice_end;
    }
}

/* Clears the pane if the stage says so, then merges. */
static enum step work(struct window_pane *pane, struct error *err)
{
    if (pane->stage == PANE_CLEAR) {
        const struct state_range all = {0};
        const enum step step = state_remove_range(pane->state, &all, err);
        if (step != STEP_DONE)
            return step;
        pane->stage = PANE_MERGE;
    }
    const enum step step = merge_slices(pane, err);
    if (step == STEP_DONE)
        pane->stage = PANE_IDLE;
    return step;
}

enum step window_pane_prepare(struct window_pane *pane, int64_t end, struct error *err)
{
    const int64_t start = window_start_of(pane->window, end);
    if (pane->stage == PANE_IDLE) {
        const bool goes_on = pane->has_end && end == pane->end + pane->window->step_ms;
        pane->stage = goes_on ? PANE_MERGE : PANE_CLEAR;
        pane->after = goes_on ? pane->end : start;
        pane->up_to = end;
        pane->sign = 1;
        pane->has_end = false;
    }
    return work(pane, err);
}

enum step window_pane_pass(struct window_pane *pane, int64_t end, struct error *err)
{
    const struct window_spec *window = pane->window;
    const int64_t start = window_start_of(window, end);
    const bool is_last = window->kind == WINDOW_CUMULATING && end - start == window->size_ms;
    if (pane->stage == PANE_IDLE) {
        pane->stage = pane->is_kept && !is_last ? PANE_MERGE : PANE_CLEAR;
        pane->after = start;
        pane->up_to = start + (window->kind == WINDOW_HOPPING ? window->step_ms : 0);
        if (pane->stage == PANE_CLEAR)
            pane->up_to = start;
        pane->sign = -1;
    }
    const enum step step = work(pane, err);
    if (step == STEP_DONE && pane->is_kept && !is_last) {
        pane->has_end = true;
        pane->end = end;
    }
    return step;
}
