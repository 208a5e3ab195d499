/*
 * session_aggregate: aggregates by key and session. A row opens a session [time, time + gap) and
 * grows together with those of its key that it touches.
 *
 * Rows that prolong the first session of their key, or open it, are handled by the batch; those
 * that meet another one, or come when their own session has ended already, one by one with all
 * sessions of the key in memory (session_list.h).
 *
 * Settings: those of window_spec.h (window.size_ms is the gap). emit: final and changelog give a
 * row when the session ends, and final another for each late row that is still allowed; each and
 * batch give the session so far.
 */
#include "common/base/allocate.h"
#include "operators/operators.h"
#include "operators/windows/due_sessions.h"
#include "operators/windows/late_rows.h"

#define SCAN_ENTRIES 256

enum session_stage {
    SESSION_IDLE,
    SESSION_TIME_FAILURES,
    SESSION_FAILURES,
    SESSION_ROWS,
    SESSION_LATE_ROWS,
};

struct session_aggregate {
    struct operator_env *env;
    struct window_spec window;
    struct aggregate_parts parts;
    struct window_output output;
    struct session_store store;
    struct due_sessions due;
    int64_t watermark_ms; /* the last one, from when it arrives */
    bool is_loud;         /* emit: each, batch */
    /* The batch at work. */
    enum session_stage stage;
    struct window_rows rows; /* slices: the instants of rows */
    struct batch *view;
    struct key_batch keys;
    uint32_t next;       /* of the parts' rows */
    uint32_t timer_next; /* rows before it have their timers */
    bool *opens;         /* per row of the parts: it opened a session */
    void **slots;
    uint8_t *fresh;
    uint32_t capacity;
    bool is_single; /* the next row is handled alone */
    bool has_row;   /* it is in the list */
    bool is_late;
    size_t single; /* its session */
    int64_t single_ms;
    /* The end. */
    uint32_t scan_state; /* 0: first sessions, 1: others */
    bool is_scanning;
};

static enum status session_open(void *self, struct operator_env *env, struct error *err)
{
    struct session_aggregate *aggregate = self;
    aggregate->env = env;
    aggregate->watermark_ms = EVENT_TIME_NONE;
    key_batch_init(&aggregate->keys);
    TRY(window_spec_open(&aggregate->window, env, err));
    TRY(aggregate_parts_open(&aggregate->parts, env, false, false, err));
    const char *part = accumulators_unmergeable(&aggregate->parts);
    if (part != NULL)
        return error_set(err, STATUS_UNSUPPORTED,
                         "operator \"%s\": column \"%s\" cannot be put together from parts, as "
                         "sessions need it",
                         env->spec->uid, part);
    TRY(window_output_open(&aggregate->output, env, &aggregate->window, &aggregate->parts, err));
    TRY(session_store_open(&aggregate->store, env, &aggregate->parts, aggregate->output.key_types,
                           err));
    due_sessions_open(&aggregate->due, env, &aggregate->window, &aggregate->store,
                      &aggregate->output);
    aggregate->is_loud = !aggregate->due.gives_rows;
    return STATUS_OK;
}

/* ---- a batch ---- */

static void assign_times(struct session_aggregate *aggregate, const struct batch *in)
{
    struct window_rows *rows = &aggregate->rows;
    window_rows_reserve(rows, in->row_count);
    memset(rows->counts, 0, sizeof(rows->counts));
    const bool by_clock = aggregate->window.is_processing_time;
    int64_t now_ms = by_clock ? clock_wall_ms(aggregate->env->clock) : 0;
    if (by_clock && now_ms <= aggregate->watermark_ms)
        now_ms = aggregate->watermark_ms + 1;
    for (uint32_t i = 0; i < batch_selected(in); i++) {
        const uint32_t row = batch_row(in, i);
        int64_t instant_ms = now_ms;
        if (!by_clock && !window_row_instant(&aggregate->window, in, row, &instant_ms)) {
            window_row_fails(&rows->failures, &aggregate->window, in, row);
            continue;
        }
        rows->slices[row] = instant_ms;
        rows->rows[WINDOW_ROW_ON_TIME][rows->counts[WINDOW_ROW_ON_TIME]++] = row;
    }
}

static enum step start_batch(struct session_aggregate *aggregate, struct batch *in,
                             struct error *err)
{
    struct aggregate_parts *parts = &aggregate->parts;
    if (!aggregate->window.is_processing_time)
        aggregate->watermark_ms = aggregate->env->ops->watermark_ms(aggregate->env);
    assign_times(aggregate, in);
    SCOPED(batch_unref)
    struct batch *timed = window_rows_view(&aggregate->rows, in, WINDOW_ROW_ON_TIME);
    if (aggregate_parts_evaluate(parts, timed, err) != STATUS_OK)
        return STEP_FAILED;
    aggregate->rows.counts[WINDOW_ROW_ON_TIME] = parts->row_count;
    if (parts->row_count > 0)
        memcpy(aggregate->rows.rows[WINDOW_ROW_ON_TIME], parts->rows,
               parts->row_count * sizeof(uint32_t));
    aggregate->view = window_rows_view(&aggregate->rows, in, WINDOW_ROW_ON_TIME);
    if (parts->row_count > 0)
        key_batch_compute(&aggregate->keys, aggregate->view, aggregate->output.key_columns,
                          aggregate->env->spec->key_count);
    if (in->row_count > aggregate->capacity) {
        aggregate->capacity = in->row_count;
        aggregate->slots =
            reallocate_array(aggregate->slots, aggregate->capacity, sizeof(*aggregate->slots));
        aggregate->fresh = reallocate_array(aggregate->fresh, aggregate->capacity, 1);
        aggregate->opens = reallocate_array(aggregate->opens, aggregate->capacity, sizeof(bool));
    }
    aggregate->next = 0;
    aggregate->timer_next = 0;
    return STEP_DONE;
}

static int64_t time_of(const struct session_aggregate *aggregate, uint32_t i)
{
    return aggregate->rows.slices[aggregate->parts.rows[i]];
}

/* Its own session has ended already. */
static bool is_behind(const struct session_aggregate *aggregate, uint32_t i)
{
    return time_of(aggregate, i) + aggregate->window.size_ms - 1 <= aggregate->watermark_ms;
}

/* Finds the sessions of rows whose slots were just asked for; returns how many rows, in order, can
 * be added to them. */
static uint32_t enter_sessions(struct session_aggregate *aggregate, uint32_t count)
{
    const struct session_store *store = &aggregate->store;
    const int64_t gap = aggregate->window.size_ms;
    for (uint32_t i = 0; i < count; i++) {
        void *slot = aggregate->slots[i];
        const int64_t time = time_of(aggregate, aggregate->next + i);
        const int64_t start = session_value(store, slot, SESSION_START);
        const int64_t end = session_value(store, slot, SESSION_END);
        const bool is_new = start == 0 && end == 0;
        aggregate->opens[aggregate->next + i] = is_new;
        if (is_new) {
            const uint8_t fresh = 1;
            aggregate_parts_init_slots(&aggregate->parts, &slot, &fresh, 1);
            session_set(store, slot, SESSION_START, time);
            session_set(store, slot, SESSION_END, time + gap);
            continue;
        }
        if (time > end || time + gap < start || session_value(store, slot, SESSION_MORE) > 0 ||
            session_value(store, slot, SESSION_FIRED) != 0)
            return i;
        if (time < start)
            session_set(store, slot, SESSION_START, time);
        if (time + gap > end)
            session_set(store, slot, SESSION_END, time + gap);
    }
    return count;
}

/* The sessions so far, once each. */
static void give_early(struct session_aggregate *aggregate, uint32_t count, struct emitter *out)
{
    struct state_entry *entries = allocate_array(count, sizeof(*entries));
    int64_t *bounds = allocate_array(count, 2 * sizeof(*bounds));
    uint32_t given = 0;
    for (uint32_t i = count; i-- > 0;) {
        bool is_last = true;
        for (uint32_t j = 0; j < given && is_last; j++)
            is_last = entries[j].slot != aggregate->slots[i];
        if (!is_last)
            continue;
        const uint32_t row = aggregate->next + i;
        bounds[given] = session_value(&aggregate->store, aggregate->slots[i], SESSION_START);
        bounds[count + given] = session_value(&aggregate->store, aggregate->slots[i], SESSION_END);
        entries[given++] = (struct state_entry){.key = aggregate->keys.bytes[row],
                                                .key_size = aggregate->keys.sizes[row],
                                                .slot = aggregate->slots[i]};
    }
    emitter_emit(
        out, 0,
        window_output_batch(&aggregate->output, entries, bounds, bounds + count, given, NULL));
    free(bounds);
    free(entries);
}

#define LOUD_RUN_MAX 256 /* rows of one early batch: their slots are compared with each other */

/* Rows up to the next one that has to be handled alone. */
static enum step add_run(struct session_aggregate *aggregate, struct emitter *out,
                         struct error *err)
{
    struct aggregate_parts *parts = &aggregate->parts;
    const uint32_t all = aggregate->keys.count;
    uint32_t limit = aggregate->next;
    uint32_t most = all - aggregate->next;
    if (aggregate->is_loud)
        most = aggregate->window.emit == WINDOW_EMIT_EACH ? 1 : LOUD_RUN_MAX;
    while (limit < all && limit - aggregate->next < most && !is_behind(aggregate, limit))
        limit++;
    if (limit == aggregate->next) {
        aggregate->is_single = true;
        return STEP_DONE;
    }
    if (aggregate->is_loud && !emitter_has_room(out, 0))
        return STEP_AGAIN;
    uint32_t count = 0;
    aggregate->keys.count = limit;
    const enum step step =
        state_update(aggregate->store.first, &aggregate->keys, NULL, aggregate->next, &count,
                     aggregate->slots, aggregate->fresh, err);
    aggregate->keys.count = all;
    if (step != STEP_DONE)
        return step;
    const uint32_t entered = enter_sessions(aggregate, count);
    for (uint32_t p = 0; p < parts->count; p++)
        aggregate_part_apply(parts, &parts->parts[p], aggregate->slots, aggregate->next, entered,
                             NULL);
    if (aggregate->is_loud && entered > 0)
        give_early(aggregate, entered, out);
    aggregate->next += entered;
    aggregate->is_single = entered < count;
    return STEP_DONE;
}

static enum step set_timers(struct session_aggregate *aggregate, struct error *err)
{
    for (; aggregate->timer_next < aggregate->next; aggregate->timer_next++) {
        const uint32_t i = aggregate->timer_next;
        if (!aggregate->opens[i])
            continue;
        const enum step step =
            session_timer_set(aggregate->env, &aggregate->window, &aggregate->keys, i,
                              time_of(aggregate, i) + aggregate->window.size_ms - 1, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

/* ---- one row with all sessions of its key ---- */

static void note_late(struct session_aggregate *aggregate, uint32_t i)
{
    struct window_rows *rows = &aggregate->rows;
    const uint32_t at = rows->counts[WINDOW_ROW_LATE]++;
    rows->rows[WINDOW_ROW_LATE][at] = aggregate->parts.rows[i];
    rows->late_ms[at] = window_late_ms(aggregate->watermark_ms, time_of(aggregate, i));
}

static void give_single(struct session_aggregate *aggregate, uint32_t i, struct emitter *out)
{
    struct session *session = &aggregate->store.list.sessions[aggregate->single];
    const bool has_ended = session->end - 1 <= aggregate->watermark_ms;
    const struct state_entry entry = {.key = aggregate->keys.bytes[i],
                                      .key_size = aggregate->keys.sizes[i],
                                      .slot = session->slot};
    session->is_fired = has_ended;
    if (has_ended || aggregate->is_loud)
        emitter_emit(out, 0,
                     window_output_batch(&aggregate->output, &entry, &session->start, &session->end,
                                         1, NULL));
}

static enum step add_single(struct session_aggregate *aggregate, struct emitter *out,
                            struct error *err)
{
    struct session_store *store = &aggregate->store;
    const uint32_t i = aggregate->next;
    const int64_t gap = aggregate->window.size_ms;
    enum step step = STEP_DONE;
    if (!aggregate->has_row) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        if (store->stage < STORE_LOADED)
            step = session_store_load(store, &aggregate->keys, i, err);
        if (step != STEP_DONE)
            return step;
        const int64_t end = session_list_end_with(&store->list, time_of(aggregate, i), gap);
        aggregate->is_late = end - 1 + aggregate->window.lateness_ms <= aggregate->watermark_ms;
        if (aggregate->is_late) {
            note_late(aggregate, i);
        } else {
            aggregate->single = session_list_take(&store->list, time_of(aggregate, i), gap);
            session_list_apply(&store->list, aggregate->single, i);
            give_single(aggregate, i, out);
            const struct session *session = &store->list.sessions[aggregate->single];
            aggregate->single_ms =
                session->end - 1 + (session->is_fired ? aggregate->window.lateness_ms : 0);
        }
        aggregate->has_row = true;
    }
    if (!aggregate->is_late && aggregate->single_ms != INT64_MIN) {
        step = session_timer_set(aggregate->env, &aggregate->window, &aggregate->keys, i,
                                 aggregate->single_ms, err);
        if (step != STEP_DONE)
            return step;
        aggregate->single_ms = INT64_MIN;
    }
    if (aggregate->is_late)
        session_store_leave(store);
    else
        step = session_store_put(store, err);
    if (step != STEP_DONE)
        return step;
    aggregate->has_row = false;
    aggregate->is_single = false;
    aggregate->opens[i] = false;
    aggregate->next++;
    return STEP_DONE;
}

static enum step add_rows(struct session_aggregate *aggregate, struct emitter *out,
                          struct error *err)
{
    while (aggregate->next < aggregate->parts.row_count ||
           aggregate->timer_next < aggregate->next) {
        enum step step = set_timers(aggregate, err);
        if (step == STEP_DONE && aggregate->next < aggregate->parts.row_count)
            step = aggregate->is_single ? add_single(aggregate, out, err)
                                        : add_run(aggregate, out, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

static enum step run_stage(struct session_aggregate *aggregate, struct batch *in,
                           struct emitter *out, struct error *err)
{
    switch (aggregate->stage) {
    case SESSION_IDLE:
        return start_batch(aggregate, in, err);
    case SESSION_TIME_FAILURES:
        return row_failures_deliver(&aggregate->rows.failures, aggregate->env, in, out, err);
    case SESSION_FAILURES:
        return row_failures_deliver(&aggregate->parts.failures, aggregate->env, in, out, err);
    case SESSION_ROWS:
        return add_rows(aggregate, out, err);
    case SESSION_LATE_ROWS:
        return late_rows_give(aggregate->env, &aggregate->rows, in, out);
    }
    return STEP_DONE;
}

static enum step session_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                                 struct error *err)
{
    struct session_aggregate *aggregate = self;
    (void)input;
    for (;;) {
        const enum step step = run_stage(aggregate, in, out, err);
        if (step != STEP_DONE)
            return step;
        if (aggregate->stage == SESSION_LATE_ROWS)
            break;
        aggregate->stage++;
    }
    aggregate->stage = SESSION_IDLE;
    batch_unref(take_pointer(&aggregate->view));
    aggregate_parts_release(&aggregate->parts);
    return STEP_DONE;
}

/* ---- time ---- */

/* The end of bounded input ends processing time too: whatever is open is given. */
static enum step give_all(struct session_aggregate *aggregate, struct emitter *out,
                          struct error *err)
{
    struct state *const states[] = {aggregate->store.first, aggregate->store.more};
    while (aggregate->scan_state < 2) {
        struct state *state = states[aggregate->scan_state];
        struct state_entry entries[SCAN_ENTRIES];
        int64_t starts[SCAN_ENTRIES];
        int64_t ends[SCAN_ENTRIES];
        uint32_t count = 0;
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        enum step step = STEP_DONE;
        if (!aggregate->is_scanning)
            step = state->ops->scan_start(state, err);
        if (step != STEP_DONE)
            return step;
        aggregate->is_scanning = true;
        step = state_scan_next(state, entries, SCAN_ENTRIES, &count, err);
        if (step != STEP_DONE)
            return step;
        for (uint32_t i = 0; i < count; i++) {
            starts[i] = session_value(&aggregate->store, entries[i].slot, SESSION_START);
            ends[i] = session_value(&aggregate->store, entries[i].slot, SESSION_END);
        }
        if (count > 0) {
            emitter_emit(
                out, 0,
                window_output_batch(&aggregate->output, entries, starts, ends, count, NULL));
            continue;
        }
        aggregate->is_scanning = false;
        aggregate->scan_state++;
    }
    return STEP_DONE;
}

static enum step session_before_watermark(void *self, int64_t watermark_ms, struct emitter *out,
                                          struct error *err)
{
    struct session_aggregate *aggregate = self;
    if (!aggregate->window.is_processing_time)
        aggregate->watermark_ms = watermark_ms;
    else if (watermark_ms == EVENT_TIME_MAX && !aggregate->is_loud)
        return give_all(aggregate, out, err);
    return STEP_DONE;
}

static enum step session_on_timer(void *self, const struct timer *due, struct emitter *out,
                                  struct error *err)
{
    struct session_aggregate *aggregate = self;
    if (aggregate->window.is_processing_time && due->time_ms - 1 > aggregate->watermark_ms)
        aggregate->watermark_ms = due->time_ms - 1;
    if (due_sessions_add(&aggregate->due, due))
        return STEP_DONE;
    const enum step step = due_sessions_run(&aggregate->due, aggregate->watermark_ms, out, err);
    if (step == STEP_DONE)
        (void)due_sessions_add(&aggregate->due, due);
    return step;
}

static enum step session_timers_done(void *self, struct emitter *out, struct error *err)
{
    struct session_aggregate *aggregate = self;
    return due_sessions_run(&aggregate->due, aggregate->watermark_ms, out, err);
}

static void session_close(void *self)
{
    struct session_aggregate *aggregate = self;
    due_sessions_close(&aggregate->due);
    session_store_close(&aggregate->store);
    window_output_close(&aggregate->output);
    window_rows_done(&aggregate->rows);
    batch_unref(aggregate->view);
    aggregate_parts_close(&aggregate->parts);
    key_batch_done(&aggregate->keys);
    window_spec_close(&aggregate->window);
    free(aggregate->opens);
    free(aggregate->slots);
    free(aggregate->fresh);
    *aggregate = (struct session_aggregate){0};
}

const struct operator_ops session_aggregate_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED,
    .kind = "session_aggregate",
    .instance_size = sizeof(struct session_aggregate),
    .input_count = 1,
    .open = session_open,
    .process = session_process,
    .before_watermark = session_before_watermark,
    .on_timer = session_on_timer,
    .timers_done = session_timers_done,
    .close = session_close,
};
