/*
 * window_aggregate: aggregates by key and aligned window (tumbling, hopping, cumulating), and by
 * key over all rows (global).
 *
 * State: "windows" or "slices", one entry per (end, key): of windows, or of slices where
 * overlapping windows share them (window_fire.h). Rows whose windows are all forgotten leave on the
 * output "late" if there is one, and are counted.
 *
 * Settings: those of window_spec.h, input_changes.
 *
 * emit: final      a row when the window fires, another for each late row that is still allowed
 *       each       a row per input row and window: early results; nothing more when it fires
 *       batch      a row per key, window and batch: likewise
 *       changelog  +I when the window fires, -U and +U for late rows
 */
#include "common/base/allocate.h"
#include "operators/operators.h"
#include "operators/windows/key_group_timers.h"
#include "operators/windows/late_rows.h"
#include "operators/windows/window_chunks.h"
#include "operators/windows/window_fire.h"

enum window_stage {
    WINDOW_IDLE,
    WINDOW_FAILURES,
    WINDOW_LATE,
    WINDOW_TIMERS,
    WINDOW_CHECK_ON_TIME,
    WINDOW_CHECK_ALLOWED,
    WINDOW_CHUNKS,
};

struct window_aggregate {
    struct operator_env *env;
    struct window_spec window;
    struct keyed_fold fold;
    struct window_output output;
    struct open_ends open;
    struct window_pane pane;
    struct window_fire fire;
    bool is_sliced;
    int64_t processing_ms; /* processing time: windows up to here have fired */
    struct key_group_timers timers;
    /* The batch at work. */
    enum window_stage stage;
    struct window_rows rows;
    struct window_chunks chunks;
    bool has_checked;
};

static const struct type bigint_type = {.kind = TYPE_BIGINT, .nullable = false};

/* Bounds in rows that leave while rows are folded. */
static void write_bound(void *context, uint32_t column, const uint32_t *positions, uint32_t count,
                        struct aggregate_results *results)
{
    const struct window_aggregate *aggregate = context;
    const struct window_spec *window = &aggregate->window;
    const bool is_start = aggregate->output.columns[column] == WINDOW_COLUMN_START;
    const uint32_t row_count = aggregate->fold.output.row_count;
    int64_t *values = results->column->values;
    int64_t last = 0;
    int64_t bound = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* The old values of a changelog lie behind the new ones. */
        const uint32_t row = positions[i] < row_count ? positions[i] : positions[i] - row_count;
        const int64_t end = aggregate->fold.ends[row];
        if (i == 0 || end != last)
            bound = is_start ? window_start_us(window, window_start_of(window, end))
                             : window_end_us(window, end);
        last = end;
        values[positions[i]] = bound;
    }
}

static enum emit_mode fold_mode(enum window_emit emit)
{
    switch (emit) {
    case WINDOW_EMIT_FINAL:
    case WINDOW_EMIT_EACH:
        return EMIT_EACH;
    case WINDOW_EMIT_BATCH:
        return EMIT_BATCH;
    case WINDOW_EMIT_CHANGELOG:
        return EMIT_CHANGELOG;
    }
    return EMIT_EACH;
}

static bool wants_slices(const struct window_aggregate *aggregate)
{
    const struct window_spec *window = &aggregate->window;
    const bool overlaps = window->kind == WINDOW_HOPPING || window->kind == WINDOW_CUMULATING;
    const bool is_final =
        window->emit == WINDOW_EMIT_FINAL || window->emit == WINDOW_EMIT_CHANGELOG;
    return overlaps && is_final && window->lateness_ms == 0 &&
           accumulators_can_merge(&aggregate->fold.parts);
}

static enum status open_state(struct window_aggregate *aggregate, struct error *err)
{
    struct operator_env *env = aggregate->env;
    const struct state_descriptor descriptor = {
        /* Another name, so that one is never taken for the other after a change of the job. */
        .name = aggregate->is_sliced ? "slices" : "windows",
        .kind = STATE_AGGREGATING,
        .order = STATE_NAMESPACE_FIRST,
        .key_types = aggregate->fold.output.key_types,
        .key_count = env->spec->key_count,
        .subkey_types = &bigint_type,
        .subkey_count = 1,
        .value = aggregate->fold.parts.schema,
    };
    struct state *state;
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &state, err));
    return keyed_fold_place(&aggregate->fold, state, 0, err);
}

static enum status window_open(void *self, struct operator_env *env, struct error *err)
{
    struct window_aggregate *aggregate = self;
    struct window_spec *window = &aggregate->window;
    aggregate->env = env;
    aggregate->processing_ms = INT64_MIN;
    TRY(window_spec_open(window, env, err));
    if (window->kind == WINDOW_SESSION || window->kind == WINDOW_COUNT)
        return error_set(err, STATUS_INVALID, "operator \"%s\": these windows are not aligned",
                         env->spec->uid);
    const bool has_rows = window->kind == WINDOW_HOPPING || window->emit == WINDOW_EMIT_CHANGELOG;
    TRY(keyed_fold_open(&aggregate->fold, env, fold_mode(window->emit), has_rows, true, err));
    aggregate->fold.write_other = write_bound;
    aggregate->fold.other_context = aggregate;
    aggregate->is_sliced = wants_slices(aggregate);
    TRY(open_state(aggregate, err));
    TRY(window_output_open(&aggregate->output, env, window, &aggregate->fold.parts, err));
    if (aggregate->is_sliced)
        TRY(window_pane_open(&aggregate->pane, window, &aggregate->fold, &aggregate->open, err));
    window_fire_open(&aggregate->fire, window, &aggregate->fold, &aggregate->output,
                     &aggregate->open, aggregate->is_sliced ? &aggregate->pane : NULL);
    aggregate->chunks = (struct window_chunks){
        .window = window,
        .rows = &aggregate->rows,
        .is_copied = !aggregate->is_sliced &&
                     (window->kind == WINDOW_HOPPING || window->kind == WINDOW_CUMULATING),
        .is_loud = window->emit == WINDOW_EMIT_EACH || window->emit == WINDOW_EMIT_BATCH,
    };
    key_group_timers_open(&aggregate->timers, env, aggregate->output.key_columns);
    return STATUS_OK;
}

/* ---- a batch ---- */

static int64_t watermark_of(const struct window_aggregate *aggregate)
{
    return aggregate->window.is_processing_time ? aggregate->processing_ms
                                                : aggregate->env->ops->watermark_ms(aggregate->env);
}

static enum step open_windows(struct window_aggregate *aggregate, struct error *err)
{
    const struct window_spec *window = &aggregate->window;
    const int64_t watermark_ms = watermark_of(aggregate);
    for (size_t i = 0; i < aggregate->rows.touched_count; i++) {
        const int64_t slice_end = aggregate->rows.touched[i];
        int64_t end = slice_end;
        int64_t last = slice_end;
        if (aggregate->is_sliced)
            window_pane_touch(&aggregate->pane, slice_end);
        if (aggregate->chunks.is_copied) {
            end = window_first_end(window, slice_end);
            last = window_last_end(window, slice_end);
        }
        for (bool is_open = true; is_open;) {
            const bool is_late =
                aggregate->chunks.is_copied && window_forget_ms(window, end) <= watermark_ms;
            if (!is_late && !open_ends_add(&aggregate->open, end)) {
                (void)error_set(err, STATUS_LIMIT,
                                "more than %zu windows are open: the watermark stands still while "
                                "times go on, or times are far apart",
                                OPEN_ENDS_MAX);
                return STEP_FAILED;
            }
            is_open = end < last;
            if (is_open)
                end += window->step_ms;
        }
    }
    return STEP_DONE;
}

static enum step start_batch(struct window_aggregate *aggregate, struct batch *in,
                             struct error *err)
{
    const enum step step = open_ends_restore(&aggregate->open, aggregate->fold.state, err);
    if (step != STEP_DONE)
        return step;
    int64_t now_ms = 0;
    if (aggregate->window.is_processing_time) {
        now_ms = clock_wall_ms(aggregate->env->clock);
        if (now_ms <= aggregate->processing_ms)
            now_ms = aggregate->processing_ms + 1;
    }
    window_rows_assign(&aggregate->rows, &aggregate->window, in, watermark_of(aggregate), now_ms);
    window_chunks_start(&aggregate->chunks);
    return open_windows(aggregate, err);
}

static enum step set_timers(struct window_aggregate *aggregate, const struct batch *in,
                            struct error *err)
{
    if (!aggregate->window.is_processing_time || aggregate->rows.touched_count == 0)
        return STEP_DONE;
    const int64_t end = aggregate->rows.touched[0];
    return key_group_timers_set(&aggregate->timers, in, end,
                                window_fire_ms(&aggregate->window, end) + 1, err);
}

/* Rows that are copied would fail once per window: they are tried before. */
static enum step check_rows(struct window_aggregate *aggregate, struct batch *in,
                            enum window_row_class class, struct emitter *out, struct error *err)
{
    struct window_rows *rows = &aggregate->rows;
    struct aggregate_parts *parts = &aggregate->fold.parts;
    if (!aggregate->chunks.is_copied || rows->counts[class] == 0)
        return STEP_DONE;
    if (!aggregate->has_checked) {
        struct batch *view = window_rows_view(rows, in, class);
        const enum status status = aggregate_parts_evaluate(parts, view, err);
        batch_unref(view);
        if (status != STATUS_OK)
            return STEP_FAILED;
        rows->counts[class] = parts->row_count;
        if (parts->row_count > 0)
            memcpy(rows->rows[class], parts->rows, parts->row_count * sizeof(uint32_t));
        aggregate_parts_release(parts);
        aggregate->has_checked = true;
    }
    const enum step step = row_failures_deliver(&parts->failures, aggregate->env, in, out, err);
    if (step == STEP_DONE)
        aggregate->has_checked = false;
    return step;
}

static enum step fold_chunks(struct window_aggregate *aggregate, struct batch *in,
                             struct emitter *out, struct error *err)
{
    for (;;) {
        if (!keyed_fold_is_busy(&aggregate->fold)) {
            const int64_t *ends = NULL;
            bool is_quiet = false;
            struct batch *chunk = window_chunks_next(&aggregate->chunks, in,
                                                     watermark_of(aggregate), &ends, &is_quiet);
            if (chunk == NULL)
                return STEP_DONE;
            keyed_fold_start(&aggregate->fold, chunk, ends, is_quiet);
            batch_unref(chunk);
        }
        const enum step step = keyed_fold_run(&aggregate->fold, out, err);
        if (step != STEP_DONE)
            return step;
    }
}

static enum step run_stage(struct window_aggregate *aggregate, struct batch *in,
                           struct emitter *out, struct error *err)
{
    struct window_rows *rows = &aggregate->rows;
    switch (aggregate->stage) {
    case WINDOW_IDLE:
        return start_batch(aggregate, in, err);
    case WINDOW_FAILURES:
        return row_failures_deliver(&rows->failures, aggregate->env, in, out, err);
    case WINDOW_LATE:
        return late_rows_give(aggregate->env, rows, in, out);
    case WINDOW_TIMERS:
        return set_timers(aggregate, in, err);
    case WINDOW_CHECK_ON_TIME:
        return check_rows(aggregate, in, WINDOW_ROW_ON_TIME, out, err);
    case WINDOW_CHECK_ALLOWED:
        return check_rows(aggregate, in, WINDOW_ROW_ALLOWED, out, err);
    case WINDOW_CHUNKS:
        return fold_chunks(aggregate, in, out, err);
    }
    return STEP_DONE;
}

static enum step window_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                                struct error *err)
{
    struct window_aggregate *aggregate = self;
    (void)input;
    for (;;) {
        const enum step step = run_stage(aggregate, in, out, err);
        if (step != STEP_DONE)
            return step;
        if (aggregate->stage == WINDOW_CHUNKS)
            break;
        aggregate->stage++;
    }
    aggregate->stage = WINDOW_IDLE;
    return STEP_DONE;
}

/* ---- time ---- */

static enum step window_before_watermark(void *self, int64_t watermark_ms, struct emitter *out,
                                         struct error *err)
{
    struct window_aggregate *aggregate = self;
    /* The end of bounded input ends processing time too. */
    if (aggregate->window.is_processing_time && watermark_ms != EVENT_TIME_MAX)
        return STEP_DONE;
    enum step step = open_ends_restore(&aggregate->open, aggregate->fold.state, err);
    if (step == STEP_DONE)
        step = window_fire_run(&aggregate->fire, watermark_of(aggregate), watermark_ms, out, err);
    return step;
}

static enum step window_on_timer(void *self, const struct timer *due, struct emitter *out,
                                 struct error *err)
{
    struct window_aggregate *aggregate = self;
    const int64_t fired_ms = due->time_ms - 1;
    if (fired_ms <= aggregate->processing_ms)
        return STEP_DONE;
    enum step step = open_ends_restore(&aggregate->open, aggregate->fold.state, err);
    if (step == STEP_DONE)
        step = window_fire_run(&aggregate->fire, aggregate->processing_ms, fired_ms, out, err);
    if (step == STEP_DONE)
        aggregate->processing_ms = fired_ms;
    return step;
}

/* ---- what is not in keyed state: how far the pane and the clock have come ---- */

#define PANE_END      "pane_end"
#define PROCESSING_MS "processing_ms"

static enum status window_snapshot(void *self, struct checkpoint_id id,
                                   struct snapshot_writer *writer, struct error *err)
{
    const struct window_aggregate *aggregate = self;
    const int64_t end = aggregate->pane.has_end ? aggregate->pane.end : PANE_HAS_NO_END;
    (void)id;
    (void)err;
    if (aggregate->is_sliced)
        writer->put(writer, PANE_END, OPERATOR_STATE_UNION, &end, sizeof(end));
    if (aggregate->window.is_processing_time)
        writer->put(writer, PROCESSING_MS, OPERATOR_STATE_UNION, &aggregate->processing_ms,
                    sizeof(aggregate->processing_ms));
    return STATUS_OK;
}

/* The panes of all old instances are of the same window, or none of them is used. Of their clocks
 * the one counts that is furthest behind. */
static enum status window_restore(void *self, const struct snapshot_reader *reader,
                                  struct error *err)
{
    struct window_aggregate *aggregate = self;
    struct window_pane *pane = &aggregate->pane;
    bool has_pane = false;
    bool has_clock = false;
    for (size_t i = 0; i < reader->count; i++) {
        const struct snapshot_entry *entry = &reader->entries[i];
        int64_t value;
        if (entry->size != sizeof(value))
            return error_set(err, STATUS_CORRUPT, "operator \"%s\": state \"%s\" has %zu bytes",
                             aggregate->env->spec->uid, entry->name, entry->size);
        memcpy(&value, entry->bytes, sizeof(value));
        if (strcmp(entry->name, PANE_END) == 0 && aggregate->is_sliced) {
            pane->has_end =
                value != PANE_HAS_NO_END && (!has_pane || (pane->has_end && pane->end == value));
            pane->end = value;
            has_pane = true;
        } else if (strcmp(entry->name, PROCESSING_MS) == 0) {
            if (!has_clock || value < aggregate->processing_ms)
                aggregate->processing_ms = value;
            has_clock = true;
        }
    }
    return STATUS_OK;
}

static void window_close(void *self)
{
    struct window_aggregate *aggregate = self;
    key_group_timers_close(&aggregate->timers);
    window_fire_close(&aggregate->fire);
    window_pane_close(&aggregate->pane);
    window_output_close(&aggregate->output);
    window_chunks_done(&aggregate->chunks);
    window_rows_done(&aggregate->rows);
    open_ends_done(&aggregate->open);
    keyed_fold_close(&aggregate->fold);
    window_spec_close(&aggregate->window);
    *aggregate = (struct window_aggregate){0};
}

const struct operator_ops window_aggregate_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED | OPERATOR_TAKES_CHANGES,
    .kind = "window_aggregate",
    .instance_size = sizeof(struct window_aggregate),
    .input_count = 1,
    .open = window_open,
    .restore = window_restore,
    .process = window_process,
    .before_watermark = window_before_watermark,
    .on_timer = window_on_timer,
    .snapshot = window_snapshot,
    .close = window_close,
};
