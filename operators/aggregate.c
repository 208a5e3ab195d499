/*
 * aggregate: rolling aggregates by key, kept in one value state ("accumulators").
 *
 * A batch passes these stages, each of which may end the turn: evaluate arguments (failed rows go
 * to on_error), DISTINCT, update of the slots run by run, removal of groups without rows, output.
 *
 * Settings: emit (each, batch, end, changelog), ttl_ms, merge (the input is the output of
 * local_aggregate), input_changes (the input holds -U and -D: groups without rows disappear).
 */
#include "common/base/allocate.h"
#include "operators/distinct_values.h"
#include "operators/keyed_output.h"
#include "operators/operators.h"

enum aggregate_stage {
    AGGREGATE_IDLE,
    AGGREGATE_FAILURES,
    AGGREGATE_DISTINCT,
    AGGREGATE_UPDATE,
    AGGREGATE_SWEEP,
    AGGREGATE_EMIT,
};

struct aggregate {
    struct operator_env *env;
    struct aggregate_parts parts;
    struct keyed_output output;
    struct state *state;
    uint32_t key_columns[KEY_COLUMN_MAX];
    uint32_t *value_parts;             /* per output column that is no key: the part */
    struct distinct_values *distincts; /* per part; state NULL where there is none */
    struct state_sweep sweep;
    void *empty_slot;
    /* The batch at work. */
    enum aggregate_stage stage;
    uint32_t next_part;
    struct batch *view; /* the batch with the rows that did not fail */
    struct key_batch keys;
    uint32_t next; /* row */
    void **slots;
    uint8_t *fresh;
    uint32_t capacity;
};

static bool setting_is_true(const struct operator_spec *spec, const char *key)
{
    const char *text = operator_setting(spec, key);
    return text != NULL && strcmp(text, "true") == 0;
}

static void write_column(void *context, uint32_t column, void *const *slots,
                         const uint32_t *positions, uint32_t count,
                         struct aggregate_results *results)
{
    const struct aggregate *aggregate = context;
    const struct accumulator *accumulator =
        &aggregate->parts.parts[aggregate->value_parts[column]].accumulator;
    accumulator->function->result(accumulator, slots, positions, count, results);
}

static bool group_is_gone(void *context, void *slot)
{
    const struct aggregate *aggregate = context;
    return aggregate_slot_rows(&aggregate->parts, slot) <= 0;
}

static enum status map_columns(struct aggregate *aggregate, struct error *err)
{
    const struct operator_spec *spec = aggregate->env->spec;
    const struct schema *output = spec->outputs[0].schema;
    for (uint32_t k = 0; k < spec->key_count; k++)
        aggregate->key_columns[k] = (uint32_t)schema_find(spec->inputs[0], spec->keys[k]);
    aggregate->value_parts = allocate_array(output->column_count, sizeof(uint32_t));
    for (uint32_t c = 0; c < output->column_count; c++) {
        if (aggregate->output.key_columns[c] >= 0)
            continue;
        uint32_t part = 0;
        while (part < spec->column_count &&
               strcmp(spec->columns[part].name, output->columns[c].name) != 0)
            part++;
        if (part == spec->column_count)
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": output column \"%s\" is neither key nor aggregate",
                             spec->uid, output->columns[c].name);
        aggregate->value_parts[c] = part;
    }
    return STATUS_OK;
}

static enum status register_states(struct aggregate *aggregate, struct error *err)
{
    struct operator_env *env = aggregate->env;
    int64_t ttl_ms;
    TRY(ttl_of(env->spec, &ttl_ms, err));
    const struct state_descriptor descriptor = {
        .name = "accumulators",
        .kind = STATE_AGGREGATING,
        .order = STATE_KEY_FIRST,
        .key_types = aggregate->output.key_types,
        .key_count = env->spec->key_count,
        .value = aggregate->parts.schema,
        .ttl_ms = ttl_ms,
    };
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &aggregate->state, err));
    keyed_output_use_marks(&aggregate->output, &aggregate->state->layout);
    aggregate_parts_place(&aggregate->parts, aggregate->state->layout.offsets, aggregate->state);
    aggregate->distincts =
        allocate_array(aggregate->parts.count + 1, sizeof(*aggregate->distincts));
    for (uint32_t i = 0; i < aggregate->parts.count; i++) {
        const struct aggregate_part *part = &aggregate->parts.parts[i];
        if (part->call.is_distinct)
            TRY(distinct_values_open(&aggregate->distincts[i], env, part, aggregate->key_columns,
                                     ttl_ms, err));
    }
    return STATUS_OK;
}

static enum status aggregate_open(void *self, struct operator_env *env, struct error *err)
{
    struct aggregate *aggregate = self;
    aggregate->env = env;
    const struct operator_spec *spec = env->spec;
    enum emit_mode mode;
    TRY(emit_mode_of(spec, &mode, err));
    const bool is_merge = setting_is_true(spec, "merge");
    if (is_merge && mode == EMIT_EACH)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": local halves cannot give a result for each input row",
                         spec->uid);
    const bool has_rows = mode == EMIT_CHANGELOG || setting_is_true(spec, "input_changes");
    TRY(keyed_output_open(&aggregate->output, spec, mode, err));
    TRY(aggregate_parts_open(&aggregate->parts, env, is_merge, has_rows, err));
    aggregate->output.context = aggregate;
    aggregate->output.write = write_column;
    aggregate->output.is_gone = has_rows ? group_is_gone : NULL;
    TRY(map_columns(aggregate, err));
    TRY(register_states(aggregate, err));
    key_batch_init(&aggregate->keys);
    if (spec->key_count == 0) {
        const uint8_t fresh = 1;
        aggregate->empty_slot = allocate(aggregate->state->layout.size);
        aggregate_parts_init_slots(&aggregate->parts, &aggregate->empty_slot, &fresh, 1);
    }
    return STATUS_OK;
}

/* ---- a batch ---- */

/* The rows that are left; the batch itself if all are. */
static struct batch *view_of(const struct aggregate_parts *parts, struct batch *in)
{
    if (parts->row_count == batch_selected(in))
        return batch_ref(in);
    struct batch *view = batch_create(in->schema, in->row_count);
    for (uint32_t i = 0; i < in->column_count; i++)
        view->columns[i] = column_ref(in->columns[i]);
    view->selection = reallocate_array(NULL, (size_t)parts->row_count + 1, sizeof(uint32_t));
    memcpy(view->selection, parts->rows, parts->row_count * sizeof(uint32_t));
    view->selected_count = parts->row_count;
    return view;
}

static enum step start_batch(struct aggregate *aggregate, struct batch *in, struct error *err)
{
    struct aggregate_parts *parts = &aggregate->parts;
    if (aggregate_parts_evaluate(parts, in, err) != STATUS_OK)
        return STEP_FAILED;
    aggregate->view = view_of(parts, in);
    if (parts->row_count > 0)
        key_batch_compute(&aggregate->keys, aggregate->view, aggregate->key_columns,
                          aggregate->env->spec->key_count);
    if (in->row_count > aggregate->capacity) {
        aggregate->capacity = in->row_count;
        aggregate->slots =
            reallocate_array(aggregate->slots, aggregate->capacity, sizeof(*aggregate->slots));
        aggregate->fresh = reallocate_array(aggregate->fresh, aggregate->capacity, 1);
    }
    keyed_output_begin(&aggregate->output, in, &aggregate->keys, parts->rows);
    aggregate->next_part = 0;
    aggregate->next = 0;
    return STEP_DONE;
}

static enum step apply_distincts(struct aggregate *aggregate, const struct batch *in,
                                 struct error *err)
{
    for (; aggregate->next_part < aggregate->parts.count; aggregate->next_part++) {
        struct distinct_values *distinct = &aggregate->distincts[aggregate->next_part];
        if (distinct->state == NULL)
            continue;
        const enum step step = distinct_values_apply(distinct, &aggregate->parts,
                                                     &aggregate->parts.parts[aggregate->next_part],
                                                     aggregate->key_columns, in, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

/* Notes groups that may have lost their last row. */
static void note_empty_groups(struct aggregate *aggregate, uint32_t first, uint32_t count)
{
    const struct aggregate_parts *parts = &aggregate->parts;
    for (uint32_t i = 0; i < count; i++) {
        if (parts->row_signs[first + i] < 0 && aggregate_slot_rows(parts, aggregate->slots[i]) <= 0)
            state_sweep_add(&aggregate->sweep, &aggregate->keys, NULL, first + i);
    }
}

/* Applies one run of slots. */
static void apply_run(struct aggregate *aggregate, uint32_t first, uint32_t count)
{
    struct aggregate_parts *parts = &aggregate->parts;
    struct keyed_output *output = &aggregate->output;
    void *const *slots = aggregate->slots;
    aggregate_parts_init_slots(parts, slots, aggregate->fresh, count);
    if (output->mode == EMIT_CHANGELOG) {
        for (uint32_t i = 0; i < count; i++) {
            if (aggregate_slot_rows(parts, slots[i]) <= 0)
                aggregate->fresh[i] = 1;
        }
    }
    keyed_output_before(output, slots, parts->rows + first, aggregate->fresh, count);
    if (parts->has_rows)
        aggregate_parts_count_rows(parts, slots, first, count);
    if (output->mode == EMIT_EACH) {
        for (uint32_t c = 0; c < output->schema->column_count; c++) {
            if (output->key_columns[c] < 0)
                aggregate_part_apply(parts, &parts->parts[aggregate->value_parts[c]], slots, first,
                                     count, each_results(output, c));
        }
    } else {
        for (uint32_t p = 0; p < parts->count; p++)
            aggregate_part_apply(parts, &parts->parts[p], slots, first, count, NULL);
    }
    keyed_output_after(output);
    if (parts->has_rows && parts->has_signs)
        note_empty_groups(aggregate, first, count);
}

static enum step update_slots(struct aggregate *aggregate, struct error *err)
{
    while (aggregate->next < aggregate->parts.row_count) {
        uint32_t count = 0;
        const enum step step =
            state_update(aggregate->state, &aggregate->keys, NULL, aggregate->next, &count,
                         aggregate->slots, aggregate->fresh, err);
        if (step != STEP_DONE)
            return step;
        apply_run(aggregate, aggregate->next, count);
        aggregate->next += count;
    }
    return STEP_DONE;
}

static enum step aggregate_process(void *self, uint16_t input, struct batch *in,
                                   struct emitter *out, struct error *err)
{
    struct aggregate *aggregate = self;
    enum step step = STEP_DONE;
    (void)input;
    while (step == STEP_DONE) {
        switch (aggregate->stage) {
        case AGGREGATE_IDLE:
            step = start_batch(aggregate, in, err);
            break;
        case AGGREGATE_FAILURES:
            step = row_failures_deliver(&aggregate->parts.failures, aggregate->env, in, out, err);
            break;
        case AGGREGATE_DISTINCT:
            step = apply_distincts(aggregate, in, err);
            break;
        case AGGREGATE_UPDATE:
            step = update_slots(aggregate, err);
            break;
        case AGGREGATE_SWEEP:
            step = state_sweep_run(&aggregate->sweep, aggregate->state, err);
            break;
        case AGGREGATE_EMIT:
            step = keyed_output_emit(&aggregate->output, in, out);
            if (step != STEP_DONE)
                return step;
            batch_unref(take_pointer(&aggregate->view));
            aggregate_parts_release(&aggregate->parts);
            aggregate->stage = AGGREGATE_IDLE;
            return STEP_DONE;
        }
        if (step == STEP_DONE)
            aggregate->stage++;
    }
    return step;
}

static enum step aggregate_finish(void *self, struct emitter *out, struct error *err)
{
    struct aggregate *aggregate = self;
    return keyed_output_finish(&aggregate->output, aggregate->state, aggregate->empty_slot,
                               aggregate->env->memory, out, err);
}

static void aggregate_close(void *self)
{
    struct aggregate *aggregate = self;
    for (uint32_t i = 0; aggregate->distincts != NULL && i < aggregate->parts.count; i++)
        distinct_values_close(&aggregate->distincts[i]);
    free(aggregate->distincts);
    batch_unref(aggregate->view);
    aggregate_parts_close(&aggregate->parts);
    keyed_output_close(&aggregate->output);
    state_sweep_done(&aggregate->sweep);
    key_batch_done(&aggregate->keys);
    free(aggregate->value_parts);
    free(aggregate->empty_slot);
    free(aggregate->slots);
    free(aggregate->fresh);
    *aggregate = (struct aggregate){0};
}

const struct operator_ops aggregate_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED | OPERATOR_TAKES_CHANGES,
    .kind = "aggregate",
    .instance_size = sizeof(struct aggregate),
    .input_count = 1,
    .open = aggregate_open,
    .process = aggregate_process,
    .finish = aggregate_finish,
    .close = aggregate_close,
};
