/*
 * count_aggregate: aggregates over every so many rows of a key. The row that fills a window gives
 * its result, and the next one begins with nothing; rows that fill no window give none.
 *
 * State: "counts", one entry per key, whose first field counts the rows so far. Settings:
 * window.rows, ttl_ms, emit (final; each: the window so far after every row).
 */
#include "common/base/allocate.h"
#include "operators/aggregate_parts.h"
#include "operators/keyed_output.h"
#include "operators/operators.h"
#include "operators/windows/window_output.h"

enum count_stage { COUNT_IDLE, COUNT_FAILURES, COUNT_UPDATE, COUNT_EMIT };

struct count_aggregate {
    struct operator_env *env;
    struct window_spec window;
    struct aggregate_parts parts;
    struct window_output output;
    struct state *state;
    bool gives_each;
    /* The batch at work. */
    enum count_stage stage;
    struct batch *view;
    struct key_batch keys;
    uint32_t next;
    void **slots;
    uint8_t *fresh;
    uint32_t *selection; /* rows that leave */
    uint32_t selected_count;
    uint32_t capacity;
    struct aggregate_results *results; /* per output column */
};

static enum status count_open(void *self, struct operator_env *env, struct error *err)
{
    struct count_aggregate *aggregate = self;
    aggregate->env = env;
    key_batch_init(&aggregate->keys);
    int64_t ttl_ms;
    TRY(window_spec_open(&aggregate->window, env, err));
    TRY(ttl_of(env->spec, &ttl_ms, err));
    aggregate->gives_each = aggregate->window.emit == WINDOW_EMIT_EACH;
    if (!aggregate->gives_each && aggregate->window.emit != WINDOW_EMIT_FINAL)
        return error_set(err, STATUS_UNSUPPORTED,
                         "operator \"%s\": windows of rows give final results, or one for each row",
                         env->spec->uid);
    TRY(aggregate_parts_open(&aggregate->parts, env, false, true, err));
    TRY(window_output_open(&aggregate->output, env, &aggregate->window, &aggregate->parts, err));
    const struct state_descriptor descriptor = {
        .name = "counts",
        .kind = STATE_AGGREGATING,
        .order = STATE_KEY_FIRST,
        .key_types = aggregate->output.key_types,
        .key_count = env->spec->key_count,
        .value = aggregate->parts.schema,
        .ttl_ms = ttl_ms,
    };
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &aggregate->state, err));
    aggregate_parts_place(&aggregate->parts, aggregate->state->layout.offsets, aggregate->state);
    aggregate->results =
        allocate_array(aggregate->output.schema->column_count + 1, sizeof(*aggregate->results));
    return STATUS_OK;
}

static void drop_results(struct count_aggregate *aggregate)
{
    for (uint32_t c = 0; aggregate->results != NULL && c < aggregate->output.schema->column_count;
         c++)
        aggregate_results_done(&aggregate->results[c]);
}

static enum step start_batch(struct count_aggregate *aggregate, struct batch *in, struct error *err)
{
    struct aggregate_parts *parts = &aggregate->parts;
    if (aggregate_parts_evaluate(parts, in, err) != STATUS_OK)
        return STEP_FAILED;
    aggregate->view = batch_create(in->schema, in->row_count);
    for (uint32_t c = 0; c < in->column_count; c++)
        aggregate->view->columns[c] = column_ref(in->columns[c]);
    aggregate->view->selection =
        reallocate_array(NULL, (size_t)parts->row_count + 1, sizeof(uint32_t));
    memcpy(aggregate->view->selection, parts->rows, parts->row_count * sizeof(uint32_t));
    aggregate->view->selected_count = parts->row_count;
    if (parts->row_count > 0)
        key_batch_compute(&aggregate->keys, aggregate->view, aggregate->output.key_columns,
                          aggregate->env->spec->key_count);
    if (in->row_count > aggregate->capacity) {
        aggregate->capacity = in->row_count;
        aggregate->slots =
            reallocate_array(aggregate->slots, aggregate->capacity, sizeof(*aggregate->slots));
        aggregate->fresh = reallocate_array(aggregate->fresh, aggregate->capacity, 1);
        aggregate->selection = reallocate_array(aggregate->selection, aggregate->capacity,
                                                sizeof(*aggregate->selection));
    }
    drop_results(aggregate);
    for (uint32_t c = 0; c < aggregate->output.schema->column_count; c++) {
        if (aggregate->output.columns[c] == WINDOW_COLUMN_PART)
            aggregate_results_init(&aggregate->results[c],
                                   aggregate->output.schema->columns[c].type, in->row_count);
    }
    aggregate->selected_count = 0;
    aggregate->next = 0;
    return STEP_DONE;
}

/* Applies the rows [first, first + count) of the parts; slots: of them. */
static void apply(struct count_aggregate *aggregate, void *const *slots, uint32_t first,
                  uint32_t count)
{
    const struct aggregate_parts *parts = &aggregate->parts;
    const struct window_output *output = &aggregate->output;
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        if (output->columns[c] == WINDOW_COLUMN_PART)
            aggregate_part_apply(parts, &parts->parts[output->places[c]], slots, first, count,
                                 aggregate->gives_each ? &aggregate->results[c] : NULL);
    }
}

/* The full window's result goes to the row that filled it; the slot holds no rows again. */
static void finish_window(struct count_aggregate *aggregate, void *slot, uint32_t row)
{
    const struct window_output *output = &aggregate->output;
    for (uint32_t c = 0; c < output->schema->column_count && !aggregate->gives_each; c++) {
        if (output->columns[c] != WINDOW_COLUMN_PART)
            continue;
        const struct accumulator *accumulator =
            &aggregate->parts.parts[output->places[c]].accumulator;
        accumulator->function->result(accumulator, &slot, &row, 1, &aggregate->results[c]);
    }
    const struct value_layout *layout = &aggregate->state->layout;
    for (uint32_t f = 0; f < layout->field_count; f++) {
        const enum type_kind kind = layout->schema->columns[f].type.kind;
        slot_set_null(slot, f, false);
        if (type_is_view(kind))
            state_set_bytes(aggregate->state, slot, f, "", 0);
        else
            memset(slot_field(layout, slot, f), 0, type_value_size(kind));
    }
    const uint8_t fresh = 1;
    aggregate_parts_init_slots(&aggregate->parts, &slot, &fresh, 1);
}

static void apply_run(struct count_aggregate *aggregate, uint32_t count)
{
    const struct aggregate_parts *parts = &aggregate->parts;
    void *const *slots = aggregate->slots;
    uint32_t from = 0;
    aggregate_parts_init_slots(parts, slots, aggregate->fresh, count);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = parts->rows[aggregate->next + i];
        const int64_t rows = aggregate_slot_rows(parts, slots[i]) + 1;
        memcpy((char *)slots[i] + parts->rows_offset, &rows, sizeof(rows));
        const bool is_full = rows >= aggregate->window.row_count;
        if (is_full || aggregate->gives_each)
            aggregate->selection[aggregate->selected_count++] = row;
        if (!is_full)
            continue;
        apply(aggregate, slots + from, aggregate->next + from, i + 1 - from);
        finish_window(aggregate, slots[i], row);
        from = i + 1;
    }
    apply(aggregate, slots + from, aggregate->next + from, count - from);
}

static enum step update_slots(struct count_aggregate *aggregate, struct error *err)
{
    while (aggregate->next < aggregate->parts.row_count) {
        uint32_t count = 0;
        const enum step step =
            state_update(aggregate->state, &aggregate->keys, NULL, aggregate->next, &count,
                         aggregate->slots, aggregate->fresh, err);
        if (step != STEP_DONE)
            return step;
        apply_run(aggregate, count);
        aggregate->next += count;
    }
    return STEP_DONE;
}

static enum step emit(struct count_aggregate *aggregate, const struct batch *in,
                      struct emitter *out)
{
    const struct window_output *output = &aggregate->output;
    if (aggregate->selected_count == 0)
        return STEP_DONE;
    if (!emitter_has_room(out, 0))
        return STEP_AGAIN;
    struct batch *batch = batch_create(output->schema, in->row_count);
    for (uint32_t c = 0; c < output->schema->column_count; c++)
        batch->columns[c] = output->columns[c] == WINDOW_COLUMN_PART
                                ? aggregate_results_take(&aggregate->results[c])
                                : column_ref(in->columns[output->key_columns[output->places[c]]]);
    batch->selection = copy_memory(aggregate->selection,
                                   aggregate->selected_count * sizeof(*aggregate->selection));
    batch->selected_count = aggregate->selected_count;
    emitter_emit(out, 0, batch);
    return STEP_DONE;
}

static enum step run_stage(struct count_aggregate *aggregate, struct batch *in, struct emitter *out,
                           struct error *err)
{
    switch (aggregate->stage) {
    case COUNT_IDLE:
        return start_batch(aggregate, in, err);
    case COUNT_FAILURES:
        return row_failures_deliver(&aggregate->parts.failures, aggregate->env, in, out, err);
    case COUNT_UPDATE:
        return update_slots(aggregate, err);
    case COUNT_EMIT:
        return emit(aggregate, in, out);
    }
    return STEP_DONE;
}

static enum step count_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                               struct error *err)
{
    struct count_aggregate *aggregate = self;
    (void)input;
    for (;;) {
        const enum step step = run_stage(aggregate, in, out, err);
        if (step != STEP_DONE)
            return step;
        if (aggregate->stage == COUNT_EMIT)
            break;
        aggregate->stage++;
    }
    aggregate->stage = COUNT_IDLE;
    batch_unref(take_pointer(&aggregate->view));
    aggregate_parts_release(&aggregate->parts);
    return STEP_DONE;
}

static void count_close(void *self)
{
    struct count_aggregate *aggregate = self;
    drop_results(aggregate);
    free(aggregate->results);
    window_output_close(&aggregate->output);
    batch_unref(aggregate->view);
    aggregate_parts_close(&aggregate->parts);
    key_batch_done(&aggregate->keys);
    window_spec_close(&aggregate->window);
    free(aggregate->slots);
    free(aggregate->fresh);
    free(aggregate->selection);
    *aggregate = (struct count_aggregate){0};
}

const struct operator_ops count_aggregate_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED,
    .kind = "count_aggregate",
    .instance_size = sizeof(struct count_aggregate),
    .input_count = 1,
    .open = count_open,
    .process = count_process,
    .close = count_close,
};
