/* A batch folded into keyed accumulators: see keyed_fold.h. */
#include "operators/keyed_fold.h"

#include "common/base/allocate.h"

static bool setting_is_true(const struct operator_spec *spec, const char *key)
{
    const char *text = operator_setting(spec, key);
    return text != NULL && strcmp(text, "true") == 0;
}

static void write_column(void *context, uint32_t column, void *const *slots,
                         const uint32_t *positions, uint32_t count,
                         struct aggregate_results *results)
{
    const struct keyed_fold *fold = context;
    if (fold->value_parts[column] == fold->parts.count) {
        fold->write_other(fold->other_context, column, positions, count, results);
        return;
    }
    const struct accumulator *accumulator =
        &fold->parts.parts[fold->value_parts[column]].accumulator;
    accumulator->function->result(accumulator, slots, positions, count, results);
}

static bool group_is_gone(void *context, void *slot)
{
    const struct keyed_fold *fold = context;
    return aggregate_slot_rows(&fold->parts, slot) <= 0;
}

static enum status map_columns(struct keyed_fold *fold, struct error *err)
{
    const struct operator_spec *spec = fold->env->spec;
    const struct schema *output = spec->outputs[0].schema;
    for (uint32_t k = 0; k < spec->key_count; k++)
        fold->key_columns[k] = (uint32_t)schema_find(spec->inputs[0], spec->keys[k]);
    fold->value_parts = allocate_array(output->column_count + 1, sizeof(uint32_t));
    for (uint32_t c = 0; c < output->column_count; c++) {
        if (fold->output.key_columns[c] >= 0)
            continue;
        uint32_t part = 0;
        while (part < spec->column_count &&
               strcmp(spec->columns[part].name, output->columns[c].name) != 0)
            part++;
        if (part == spec->column_count && !fold->has_windows)
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": output column \"%s\" is neither key nor aggregate",
                             spec->uid, output->columns[c].name);
        fold->value_parts[c] = part;
    }
    return STATUS_OK;
}

enum status keyed_fold_open(struct keyed_fold *fold, struct operator_env *env, enum emit_mode mode,
                            bool has_rows, bool has_windows, struct error *err)
{
    const struct operator_spec *spec = env->spec;
    fold->env = env;
    fold->has_windows = has_windows;
    const bool is_merge = setting_is_true(spec, "merge");
    if (is_merge && mode == EMIT_EACH)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": local halves cannot give a result for each input row",
                         spec->uid);
    has_rows = has_rows || setting_is_true(spec, "input_changes");
    TRY(keyed_output_open(&fold->output, spec, mode, err));
    TRY(aggregate_parts_open(&fold->parts, env, is_merge, has_rows, err));
    fold->output.context = fold;
    fold->output.write = write_column;
    fold->output.is_gone = has_rows ? group_is_gone : NULL;
    key_batch_init(&fold->keys);
    key_batch_init(&fold->subkeys);
    return map_columns(fold, err);
}

enum status keyed_fold_place(struct keyed_fold *fold, struct state *state, int64_t ttl_ms,
                             struct error *err)
{
    fold->state = state;
    keyed_output_use_marks(&fold->output, &state->layout);
    aggregate_parts_place(&fold->parts, state->layout.offsets, state);
    fold->distincts = allocate_array(fold->parts.count + 1, sizeof(*fold->distincts));
    for (uint32_t i = 0; i < fold->parts.count; i++) {
        const struct aggregate_part *part = &fold->parts.parts[i];
        if (part->call.is_distinct)
            TRY(distinct_values_open(&fold->distincts[i], fold->env, part, fold->key_columns,
                                     fold->has_windows, ttl_ms, err));
    }
    return STATUS_OK;
}

void keyed_fold_close(struct keyed_fold *fold)
{
    for (uint32_t i = 0; fold->distincts != NULL && i < fold->parts.count; i++)
        distinct_values_close(&fold->distincts[i]);
    free(fold->distincts);
    batch_unref(fold->view);
    batch_unref(fold->batch);
    aggregate_parts_close(&fold->parts);
    keyed_output_close(&fold->output);
    state_sweep_done(&fold->sweep);
    key_batch_done(&fold->keys);
    key_batch_done(&fold->subkeys);
    free(fold->value_parts);
    free(fold->slots);
    free(fold->fresh);
    *fold = (struct keyed_fold){0};
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

void window_subkeys(struct key_batch *subkeys, const int64_t *ends, const uint32_t *rows,
                    uint32_t count)
{
    if (count > subkeys->capacity) {
        subkeys->capacity = count;
        subkeys->bytes = reallocate_array(subkeys->bytes, count, sizeof(*subkeys->bytes));
        subkeys->sizes = reallocate_array(subkeys->sizes, count, sizeof(*subkeys->sizes));
        subkeys->hashes = reallocate_array(subkeys->hashes, count, sizeof(*subkeys->hashes));
    }
    subkeys->count = count;
    int64_t last = 0;
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t *end = &ends[rows != NULL ? rows[i] : i];
        if (i == 0 || *end != last) {
            last = *end;
            hash = key_hash((const char *)end, sizeof(*end));
        }
        subkeys->bytes[i] = (const char *)end;
        subkeys->sizes[i] = sizeof(*end);
        subkeys->hashes[i] = hash;
    }
}

void keyed_fold_start(struct keyed_fold *fold, struct batch *batch, const int64_t *ends,
                      bool is_quiet)
{
    fold->batch = batch_ref(batch);
    fold->ends = ends;
    fold->is_quiet = is_quiet;
    fold->stage = FOLD_IDLE;
}

static enum step evaluate(struct keyed_fold *fold, struct error *err)
{
    struct aggregate_parts *parts = &fold->parts;
    struct batch *in = fold->batch;
    if (aggregate_parts_evaluate(parts, in, err) != STATUS_OK)
        return STEP_FAILED;
    fold->view = view_of(parts, in);
    if (parts->row_count > 0)
        key_batch_compute(&fold->keys, fold->view, fold->key_columns, fold->env->spec->key_count);
    if (fold->has_windows)
        window_subkeys(&fold->subkeys, fold->ends, parts->rows, parts->row_count);
    if (in->row_count > fold->capacity) {
        fold->capacity = in->row_count;
        fold->slots = reallocate_array(fold->slots, fold->capacity, sizeof(*fold->slots));
        fold->fresh = reallocate_array(fold->fresh, fold->capacity, 1);
    }
    if (!fold->is_quiet) {
        fold->output.subkeys = fold->has_windows ? &fold->subkeys : NULL;
        keyed_output_begin(&fold->output, in, &fold->keys, parts->rows);
    }
    fold->next_part = 0;
    fold->next = 0;
    return STEP_DONE;
}

static enum step apply_distincts(struct keyed_fold *fold, struct error *err)
{
    for (; fold->next_part < fold->parts.count; fold->next_part++) {
        struct distinct_values *distinct = &fold->distincts[fold->next_part];
        if (distinct->state == NULL)
            continue;
        const enum step step =
            distinct_values_apply(distinct, &fold->parts, &fold->parts.parts[fold->next_part],
                                  fold->key_columns, fold->ends, fold->batch, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

/* Notes groups that may have lost their last row. */
static void note_empty_groups(struct keyed_fold *fold, uint32_t first, uint32_t count)
{
    const struct aggregate_parts *parts = &fold->parts;
    for (uint32_t i = 0; i < count; i++) {
        if (parts->row_signs[first + i] < 0 && aggregate_slot_rows(parts, fold->slots[i]) <= 0)
            state_sweep_add(&fold->sweep, &fold->keys, fold->has_windows ? &fold->subkeys : NULL,
                            first + i);
    }
}

static void apply_each(struct keyed_fold *fold, uint32_t first, uint32_t count)
{
    struct aggregate_parts *parts = &fold->parts;
    struct keyed_output *output = &fold->output;
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        if (output->key_columns[c] >= 0)
            continue;
        const uint32_t part = fold->value_parts[c];
        if (part == parts->count)
            fold->write_other(fold->other_context, c, parts->rows + first, count,
                              each_results(output, c));
        else
            aggregate_part_apply(parts, &parts->parts[part], fold->slots, first, count,
                                 each_results(output, c));
    }
}

/* Applies one run of slots. */
static void apply_run(struct keyed_fold *fold, uint32_t first, uint32_t count)
{
    struct aggregate_parts *parts = &fold->parts;
    struct keyed_output *output = &fold->output;
    void *const *slots = fold->slots;
    const bool is_loud = !fold->is_quiet;
    aggregate_parts_init_slots(parts, slots, fold->fresh, count);
    if (is_loud && output->mode == EMIT_CHANGELOG) {
        for (uint32_t i = 0; i < count; i++) {
            if (aggregate_slot_rows(parts, slots[i]) <= 0)
                fold->fresh[i] = 1;
        }
    }
    if (is_loud)
        keyed_output_before(output, slots, parts->rows + first, fold->fresh, count);
    if (parts->has_rows)
        aggregate_parts_count_rows(parts, slots, first, count);
    if (is_loud && output->mode == EMIT_EACH) {
        apply_each(fold, first, count);
    } else {
        for (uint32_t p = 0; p < parts->count; p++)
            aggregate_part_apply(parts, &parts->parts[p], slots, first, count, NULL);
    }
    if (is_loud)
        keyed_output_after(output);
    if (parts->has_rows && parts->has_signs)
        note_empty_groups(fold, first, count);
}

static enum step update_slots(struct keyed_fold *fold, struct error *err)
{
    const struct key_batch *subkeys = fold->has_windows ? &fold->subkeys : NULL;
    while (fold->next < fold->parts.row_count) {
        uint32_t count = 0;
        const enum step step = state_update(fold->state, &fold->keys, subkeys, fold->next, &count,
                                            fold->slots, fold->fresh, err);
        if (step != STEP_DONE)
            return step;
        apply_run(fold, fold->next, count);
        fold->next += count;
    }
    return STEP_DONE;
}

static enum step run_stage(struct keyed_fold *fold, struct emitter *out, struct error *err)
{
    switch (fold->stage) {
    case FOLD_IDLE:
        return evaluate(fold, err);
    case FOLD_FAILURES:
        return row_failures_deliver(&fold->parts.failures, fold->env, fold->batch, out, err);
    case FOLD_DISTINCT:
        return apply_distincts(fold, err);
    case FOLD_UPDATE:
        return update_slots(fold, err);
    case FOLD_SWEEP:
        return state_sweep_run(&fold->sweep, fold->state, err);
    case FOLD_EMIT:
        return fold->is_quiet ? STEP_DONE : keyed_output_emit(&fold->output, fold->batch, out);
    }
    return STEP_DONE;
}

enum step keyed_fold_run(struct keyed_fold *fold, struct emitter *out, struct error *err)
{
    while (fold->batch != NULL) {
        const enum step step = run_stage(fold, out, err);
        if (step != STEP_DONE)
            return step;
        if (fold->stage != FOLD_EMIT) {
            fold->stage++;
            continue;
        }
        batch_unref(take_pointer(&fold->view));
        aggregate_parts_release(&fold->parts);
        batch_unref(take_pointer(&fold->batch));
        fold->ends = NULL;
        fold->stage = FOLD_IDLE;
    }
    return STEP_DONE;
}
