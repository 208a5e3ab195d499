/* Windows that fire: see window_fire.h. */
#include "operators/windows/window_fire.h"

#include "common/base/allocate.h"

void window_fire_open(struct window_fire *fire, const struct window_spec *window,
                      struct keyed_fold *fold, struct window_output *output, struct open_ends *open,
                      struct window_pane *pane)
{
    *fire = (struct window_fire){
        .window = window, .fold = fold, .output = output, .open = open, .pane = pane};
    fire->gives_rows = window->emit == WINDOW_EMIT_FINAL || window->emit == WINDOW_EMIT_CHANGELOG;
    fire->entries = allocate_array(MERGE_ENTRIES_MAX, sizeof(*fire->entries));
}

void window_fire_close(struct window_fire *fire)
{
    free(fire->entries);
    *fire = (struct window_fire){0};
}

/* ---- which one is next ---- */

/* The last end on the grid that has fired at a watermark. */
static int64_t last_fired_end(const struct window_spec *window, int64_t watermark_ms)
{
    if (!window_holds(watermark_ms))
        return watermark_ms < 0 ? INT64_MIN : INT64_MAX;
    int64_t end = window_end_after(window, window_clock_ms(window, watermark_ms) + 1);
    while (window_fire_ms(window, end) > watermark_ms)
        end -= window->step_ms;
    return end;
}

/* How many open ends have fired. */
static size_t count_fired(const struct window_fire *fire, int64_t watermark_ms)
{
    size_t low = 0;
    size_t high = fire->open->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (window_fire_ms(fire->window, fire->open->ends[middle]) <= watermark_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void start(struct window_fire *fire, int64_t old_ms)
{
    if (fire->pane != NULL) {
        fire->cursor = last_fired_end(fire->window, old_ms);
        return;
    }
    const size_t fired = count_fired(fire, old_ms);
    fire->cursor = fired > 0 ? fire->open->ends[fired - 1] : INT64_MIN;
}

/* The next window that holds an open slice. */
static bool next_of_slices(struct window_fire *fire)
{
    const struct window_spec *window = fire->window;
    for (size_t i = 0; i < fire->open->count; i++) {
        const int64_t slice_end = fire->open->ends[i];
        if (window_last_end(window, slice_end) <= fire->cursor)
            continue;
        const int64_t first = window_first_end(window, slice_end);
        fire->end = first > fire->cursor ? first : window_end_after(window, fire->cursor);
        return true;
    }
    return false;
}

static bool find_next(struct window_fire *fire, int64_t watermark_ms)
{
    if (fire->pane != NULL) {
        if (!next_of_slices(fire))
            return false;
    } else {
        const size_t at = open_ends_up_to(fire->open, fire->cursor);
        if (at == fire->open->count)
            return false;
        fire->end = fire->open->ends[at];
    }
    return window_fire_ms(fire->window, fire->end) <= watermark_ms;
}

/* ---- one window ---- */

static enum step start_scan(struct window_fire *fire, struct error *err)
{
    if (!fire->gives_rows)
        return STEP_DONE;
    struct state_range range = {0};
    if (fire->pane != NULL)
        return state_scan_range(fire->pane->state, &range, err);
    end_range_init(&fire->range, fire->end, fire->end);
    range = fire->range.range;
    range.to = NULL;
    if (fire->end != WINDOW_END_NEVER) {
        end_range_init(&fire->range, fire->end, fire->end + 1);
        range = fire->range.range;
    }
    return state_scan_range(fire->fold->state, &range, err);
}

/* Leaves out groups without rows. */
static uint32_t drop_gone(const struct window_fire *fire, uint32_t count)
{
    const struct aggregate_parts *parts = &fire->fold->parts;
    if (!parts->has_rows)
        return count;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (aggregate_slot_rows(parts, fire->entries[i].slot) > 0)
            fire->entries[left++] = fire->entries[i];
    }
    return left;
}

static enum step emit_scanned(struct window_fire *fire, struct emitter *out, struct error *err)
{
    struct state *state = fire->pane != NULL ? fire->pane->state : fire->fold->state;
    int64_t starts[MERGE_ENTRIES_MAX];
    int64_t ends[MERGE_ENTRIES_MAX];
    while (fire->gives_rows) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        uint32_t count = 0;
        const enum step step =
            state_scan_next(state, fire->entries, MERGE_ENTRIES_MAX, &count, err);
        if (step != STEP_DONE)
            return step;
        if (count == 0)
            break;
        count = drop_gone(fire, count);
        for (uint32_t i = 0; i < count; i++) {
            ends[i] = fire->end;
            starts[i] = window_start_of(fire->window, fire->end);
        }
        if (count > 0)
            emitter_emit(
                out, 0,
                window_output_batch(fire->output, fire->entries, starts, ends, count, NULL));
    }
    return STEP_DONE;
}

/* ---- what is over ---- */

static bool is_forgotten(const struct window_fire *fire, int64_t end, int64_t watermark_ms)
{
    const int64_t last = fire->pane != NULL ? window_last_end(fire->window, end) : end;
    return window_forget_ms(fire->window, last) <= watermark_ms;
}

static enum step drop(struct window_fire *fire, int64_t watermark_ms, struct error *err)
{
    size_t low = 0;
    size_t high = fire->open->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (is_forgotten(fire, fire->open->ends[middle], watermark_ms))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return STEP_DONE;
    const int64_t last = fire->open->ends[low - 1];
    if (!fire->has_dropped) {
        const struct state_range all = {0};
        end_range_init(&fire->range, INT64_MIN, last < INT64_MAX ? last + 1 : last);
        const enum step step = state_remove_range(
            fire->fold->state, last < INT64_MAX ? &fire->range.range : &all, err);
        if (step != STEP_DONE)
            return step;
        fire->has_dropped = true;
        fire->next_distinct = 0;
    }
    for (; fire->next_distinct < fire->fold->parts.count; fire->next_distinct++) {
        struct distinct_values *distinct = &fire->fold->distincts[fire->next_distinct];
        if (distinct->state == NULL)
            continue;
        const enum step step = distinct_values_drop(distinct, last, err);
        if (step != STEP_DONE)
            return step;
    }
    fire->has_dropped = false;
    open_ends_drop_first(fire->open, low);
    return STEP_DONE;
}

enum step window_fire_run(struct window_fire *fire, int64_t old_ms, int64_t watermark_ms,
                          struct emitter *out, struct error *err)
{
    enum step step = STEP_DONE;
    while (step == STEP_DONE) {
        switch (fire->stage) {
        case FIRE_START:
            start(fire, old_ms);
            break;
        case FIRE_NEXT:
            if (!find_next(fire, watermark_ms)) {
                fire->stage = FIRE_DROP;
                continue;
            }
            break;
        case FIRE_PREPARE:
            step = fire->pane == NULL ? STEP_DONE : window_pane_prepare(fire->pane, fire->end, err);
            break;
        case FIRE_SCAN:
            step = start_scan(fire, err);
            break;
        case FIRE_EMIT:
            step = emit_scanned(fire, out, err);
            break;
        case FIRE_PASS:
            step = fire->pane == NULL ? STEP_DONE : window_pane_pass(fire->pane, fire->end, err);
            if (step != STEP_DONE)
                return step;
            fire->cursor = fire->end;
            fire->stage = FIRE_NEXT;
            continue;
        case FIRE_DROP:
            step = drop(fire, watermark_ms, err);
            if (step == STEP_DONE)
                fire->stage = FIRE_START;
            return step;
        }
        if (step == STEP_DONE)
            fire->stage++;
    }
    return step;
}
