/*
 * reduce: folds the rows of a key into one row of the same schema.
 *
 * The columns of the spec are name: expression over the new row (bare) and the kept one (acc.x);
 * columns not named take the new value, the first row of a key passes unchanged. Kept is every
 * column that is no key. Rows of one key must see each other's result, so a run of slots is worked
 * on in rounds: the first row of every key, then the second, and so on.
 *
 * Settings: emit (each, batch, end, changelog), ttl_ms.
 */
#include "common/base/allocate.h"
#include "common/base/crc32c.h"
#include "operators/aggregates/kept_value.h"
#include "operators/keyed_output.h"
#include "operators/operators.h"
#include "operators/row_failures.h"

struct reduce_column {
    struct expression *expression;        /* NULL: takes the new value */
    const struct named_expression *named; /* of the expression */
    struct accumulator kept;              /* its place in the slot; unused for a key */
    bool is_key;
    struct column *value; /* of the round at work */
};

struct reduce {
    struct operator_env *env;
    struct expression_scratch *scratch;
    struct schema *round_schema; /* the input's columns, then the kept row's */
    struct schema *state_schema;
    struct reduce_column *columns; /* per input column */
    uint32_t column_count;
    uint32_t key_columns[KEY_COLUMN_MAX];
    struct keyed_output output;
    struct state *state;
    struct row_failures failures;
    /* The batch at work. */
    bool is_busy;
    struct key_batch keys;
    uint32_t next;
    uint32_t *rows; /* selected rows */
    void **slots;   /* of the run */
    uint8_t *fresh;
    uint32_t *rounds;   /* per row of the run: how many rows of its key were before it */
    uint32_t *counts;   /* per distinct slot, then per round */
    uint32_t *ordered;  /* rows of the run by round */
    bool *has_failed;   /* per row of the run */
    uint32_t *selected; /* rows of the run that did not fail */
    uint32_t capacity;
    struct slot_set set;
};

static void reduce_write(void *context, uint32_t column, void *const *slots,
                         const uint32_t *positions, uint32_t count,
                         struct aggregate_results *results)
{
    const struct reduce *reduce = context;
    kept_result(&reduce->columns[column].kept, slots, positions, count, results);
}

static enum status check_schema(const struct operator_spec *spec, struct error *err)
{
    const struct schema *input = spec->inputs[0];
    if (!schema_equals(input, spec->outputs[0].schema, false))
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": the output of reduce has the schema of its input",
                         spec->uid);
    for (uint32_t i = 0; i < input->column_count; i++) {
        if (type_value_size(input->columns[i].type.kind) == 0)
            return error_set(err, STATUS_UNSUPPORTED,
                             "operator \"%s\": reduce cannot keep column \"%s\" of a nested type: "
                             "select its parts before",
                             spec->uid, input->columns[i].name);
    }
    return STATUS_OK;
}

/* The kept columns' places, and the schemas of the slot and of a round. */
static void make_schemas(struct reduce *reduce)
{
    const struct operator_spec *spec = reduce->env->spec;
    const struct schema *input = spec->inputs[0];
    const uint32_t count = input->column_count;
    struct schema_column *kept = allocate_array(count + 1, sizeof(*kept));
    struct schema_column *round = allocate_array((size_t)count * 2, sizeof(*round));
    char **names = allocate_array(count, sizeof(*names));
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct reduce_column *column = &reduce->columns[i];
        const struct schema_column *from = &input->columns[i];
        names[i] = format_text("acc.%s", from->name);
        round[i] = (struct schema_column){.name = from->name, .type = from->type};
        round[count + i] = (struct schema_column){.name = names[i], .type = from->type};
        for (uint32_t k = 0; k < spec->key_count; k++)
            column->is_key |= strcmp(spec->keys[k], from->name) == 0;
        if (column->is_key)
            continue;
        column->kept.types[0] = from->type;
        column->kept.first_field = kept_count;
        kept[kept_count] = (struct schema_column){.name = from->name, .type = from->type};
        kept[kept_count].type.nullable = true;
        kept[kept_count++].field_id =
            crc32c(0, from->name, strlen(from->name)) | UINT32_C(0x80000000);
    }
    reduce->state_schema = schema_create(kept, kept_count, -1);
    reduce->round_schema = schema_create(round, count * 2, -1);
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    free(round);
    free(kept);
}

static enum status compile_columns(struct reduce *reduce, struct error *err)
{
    const struct operator_spec *spec = reduce->env->spec;
    const struct schema *input = spec->inputs[0];
    const struct expression_options options = {
        .time_zone = reduce->env->job != NULL ? reduce->env->job->time_zone : NULL,
        .row_prefix = "acc",
        .prefix_schema = input,
    };
    for (uint32_t i = 0; i < spec->column_count; i++) {
        const struct named_expression *named = &spec->columns[i];
        const int32_t index = schema_find(input, named->name);
        if (index < 0)
            return error_set(err, STATUS_INVALID, "operator \"%s\": the input has no column \"%s\"",
                             spec->uid, named->name);
        struct reduce_column *column = &reduce->columns[index];
        if (column->is_key || column->expression != NULL)
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": column \"%s\" is a key or reduced twice", spec->uid,
                             named->name);
        TRY(spec_expression_compile(spec, named, input, &options, &column->expression, err));
        column->named = named;
        if (!type_equals(expression_type(column->expression), input->columns[index].type, false))
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": \"%.200s\" does not have the type of column \"%s\": "
                             "cast it",
                             spec->uid, named->text, named->name);
    }
    return STATUS_OK;
}

static enum status reduce_open(void *self, struct operator_env *env, struct error *err)
{
    struct reduce *reduce = self;
    const struct operator_spec *spec = env->spec;
    reduce->env = env;
    reduce->column_count = spec->inputs[0]->column_count;
    reduce->columns = allocate_array(reduce->column_count + 1, sizeof(*reduce->columns));
    reduce->scratch = expression_scratch_create(env->memory);
    key_batch_init(&reduce->keys);
    enum emit_mode mode;
    int64_t ttl_ms;
    TRY(emit_mode_of(spec, &mode, err));
    TRY(ttl_of(spec, &ttl_ms, err));
    TRY(check_schema(spec, err));
    TRY(keyed_output_open(&reduce->output, spec, mode, err));
    reduce->output.context = reduce;
    reduce->output.write = reduce_write;
    make_schemas(reduce);
    TRY(compile_columns(reduce, err));
    for (uint32_t k = 0; k < spec->key_count; k++)
        reduce->key_columns[k] = (uint32_t)schema_find(spec->inputs[0], spec->keys[k]);
    const struct state_descriptor descriptor = {
        .name = "row",
        .kind = STATE_REDUCING,
        .order = STATE_KEY_FIRST,
        .key_types = reduce->output.key_types,
        .key_count = spec->key_count,
        .value = reduce->state_schema,
        .ttl_ms = ttl_ms,
    };
    TRY(env->keyed->ops->register_state(env->keyed, &descriptor, &reduce->state, err));
    keyed_output_use_marks(&reduce->output, &reduce->state->layout);
    for (uint32_t i = 0; i < reduce->column_count; i++) {
        struct accumulator *kept = &reduce->columns[i].kept;
        kept->state = reduce->state;
        if (!reduce->columns[i].is_key)
            kept->offsets[0] = reduce->state->layout.offsets[kept->first_field];
    }
    return STATUS_OK;
}

/* ---- a round ---- */

static void keep_value(const struct accumulator *kept, void *slot, const struct column *column,
                       uint32_t row)
{
    const size_t size = type_value_size(kept->types[0].kind);
    if (column_is_null(column, row))
        slot_set_null(slot, kept->first_field, true);
    else if (type_is_view(kept->types[0].kind))
        kept_set_view(kept, slot, column, row);
    else
        kept_set_fixed(kept, slot, (const char *)column->values + row * size, size);
}

static void keep_row(struct reduce *reduce, void *slot, const struct batch *in, uint32_t row)
{
    for (uint32_t c = 0; c < reduce->column_count; c++) {
        if (!reduce->columns[c].is_key)
            keep_value(&reduce->columns[c].kept, slot, in->columns[c], row);
    }
}

/* The new rows and the kept rows side by side, one row for each of `entries` of the run. */
static struct batch *make_round(struct reduce *reduce, const struct batch *in,
                                const uint32_t *entries, uint32_t count)
{
    const uint32_t columns = reduce->column_count;
    uint32_t *rows = allocate_array(count, 2 * sizeof(*rows));
    uint32_t *positions = rows + count;
    void **slots = allocate_array(count, sizeof(*slots));
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = reduce->rows[reduce->next + entries[i]];
        positions[i] = i;
        slots[i] = reduce->slots[entries[i]];
    }
    struct batch *round = batch_create(reduce->round_schema, count);
    for (uint32_t c = 0; c < columns; c++) {
        round->columns[c] = column_gather(in->columns[c], rows, count);
        if (reduce->columns[c].is_key) {
            round->columns[columns + c] = column_ref(round->columns[c]);
            continue;
        }
        struct aggregate_results results;
        struct type type = in->schema->columns[c].type;
        type.nullable = true;
        aggregate_results_init(&results, type, count);
        kept_result(&reduce->columns[c].kept, slots, positions, count, &results);
        round->columns[columns + c] = aggregate_results_take(&results);
    }
    free(slots);
    free(rows);
    return round;
}

/* Folds the new rows of `entries`, all of different keys, into their kept rows. */
static void fold_rows(struct reduce *reduce, const struct batch *in, const uint32_t *entries,
                      uint32_t count)
{
    struct batch *round = make_round(reduce, in, entries, count);
    uint32_t *rows = allocate_array(count, sizeof(*rows));
    uint32_t left = count;
    for (uint32_t i = 0; i < count; i++)
        rows[i] = i;
    for (uint32_t c = 0; c < reduce->column_count && left > 0; c++) {
        struct reduce_column *column = &reduce->columns[c];
        if (column->expression == NULL)
            continue;
        struct evaluation evaluation = {0};
        expression_evaluate(column->expression, reduce->scratch, round, rows, left, &evaluation);
        left = row_failures_collect(&reduce->failures, &evaluation, column->expression,
                                    reduce->scratch, round, column->named, rows, left);
        column->value = evaluation.column;
    }
    for (uint32_t i = 0; i < count; i++)
        reduce->has_failed[entries[i]] = true;
    for (uint32_t i = 0; i < left; i++) {
        const uint32_t entry = entries[rows[i]];
        reduce->has_failed[entry] = false;
        for (uint32_t c = 0; c < reduce->column_count; c++) {
            const struct reduce_column *column = &reduce->columns[c];
            if (!column->is_key)
                keep_value(&column->kept, reduce->slots[entry],
                           column->value != NULL ? column->value : round->columns[c], rows[i]);
        }
    }
    for (uint32_t c = 0; c < reduce->column_count; c++)
        column_unref(take_pointer(&reduce->columns[c].value));
    free(rows);
    batch_unref(round);
}

static void write_each(struct reduce *reduce, const uint32_t *entries, uint32_t count)
{
    if (reduce->output.mode != EMIT_EACH)
        return;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = reduce->rows[reduce->next + entries[i]];
        void *slot = reduce->slots[entries[i]];
        for (uint32_t c = 0; c < reduce->column_count; c++) {
            if (!reduce->columns[c].is_key && !reduce->has_failed[entries[i]])
                kept_result(&reduce->columns[c].kept, &slot, &row, 1,
                            each_results(&reduce->output, c));
        }
    }
}

/* Sorts the run's rows by round into `ordered`; counts[r] is then the end of round r. */
static uint32_t order_rounds(struct reduce *reduce, uint32_t count)
{
    uint32_t round_count = 0;
    slot_set_start(&reduce->set, count);
    memset(reduce->counts, 0, count * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        bool is_first;
        const uint32_t index = slot_set_add(&reduce->set, reduce->slots[i], &is_first);
        reduce->rounds[i] = reduce->counts[index]++;
        round_count = reduce->rounds[i] >= round_count ? reduce->rounds[i] + 1 : round_count;
    }
    memset(reduce->counts, 0, count * sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++)
        reduce->counts[reduce->rounds[i]]++;
    uint32_t start = 0;
    for (uint32_t r = 0; r < round_count; r++) {
        const uint32_t size = reduce->counts[r];
        reduce->counts[r] = start;
        start += size;
    }
    for (uint32_t i = 0; i < count; i++)
        reduce->ordered[reduce->counts[reduce->rounds[i]]++] = i;
    return round_count;
}

static void apply_run(struct reduce *reduce, const struct batch *in, uint32_t count)
{
    struct keyed_output *output = &reduce->output;
    const uint32_t round_count = order_rounds(reduce, count);
    memset(reduce->has_failed, 0, count * sizeof(bool));
    if (output->mode != EMIT_EACH)
        keyed_output_before(output, reduce->slots, reduce->rows + reduce->next, reduce->fresh,
                            count);
    uint32_t start = 0;
    for (uint32_t r = 0; r < round_count; r++) {
        uint32_t *entries = reduce->ordered + start;
        const uint32_t size = reduce->counts[r] - start;
        start = reduce->counts[r];
        uint32_t folded = 0;
        for (uint32_t i = 0; i < size; i++) {
            if (r == 0 && reduce->fresh[entries[i]] != 0)
                keep_row(reduce, reduce->slots[entries[i]], in,
                         reduce->rows[reduce->next + entries[i]]);
            else
                reduce->selected[folded++] = entries[i];
        }
        if (folded > 0)
            fold_rows(reduce, in, reduce->selected, folded);
        write_each(reduce, entries, size);
    }
    if (output->mode != EMIT_EACH) {
        keyed_output_after(output);
        return;
    }
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!reduce->has_failed[i])
            reduce->selected[left++] = reduce->rows[reduce->next + i];
    }
    keyed_output_before(output, reduce->slots, reduce->selected, reduce->fresh, left);
}

/* ---- a batch ---- */

static void reserve_rows(struct reduce *reduce, uint32_t count)
{
    if (count <= reduce->capacity)
        return;
    reduce->capacity = count;
    reduce->rows = reallocate_array(reduce->rows, count, sizeof(*reduce->rows));
    reduce->slots = reallocate_array(reduce->slots, count, sizeof(*reduce->slots));
    reduce->fresh = reallocate_array(reduce->fresh, count, 1);
    reduce->rounds = reallocate_array(reduce->rounds, count, sizeof(*reduce->rounds));
    reduce->counts = reallocate_array(reduce->counts, count, sizeof(*reduce->counts));
    reduce->ordered = reallocate_array(reduce->ordered, count, sizeof(*reduce->ordered));
    reduce->has_failed = reallocate_array(reduce->has_failed, count, sizeof(bool));
    reduce->selected = reallocate_array(reduce->selected, count, sizeof(*reduce->selected));
}

static enum step start_batch(struct reduce *reduce, const struct batch *in, struct error *err)
{
    const uint32_t count = batch_selected(in);
    reserve_rows(reduce, in->row_count);
    for (uint32_t i = 0; i < count; i++) {
        reduce->rows[i] = batch_row(in, i);
        if (batch_row_kind(in, reduce->rows[i]) != ROW_INSERT) {
            (void)error_set(err, STATUS_UNSUPPORTED,
                            "operator \"%s\": reduce takes rows that are inserted, no changes",
                            reduce->env->spec->uid);
            return STEP_FAILED;
        }
    }
    key_batch_compute(&reduce->keys, in, reduce->key_columns, reduce->env->spec->key_count);
    keyed_output_begin(&reduce->output, in, &reduce->keys, reduce->rows);
    reduce->next = 0;
    reduce->is_busy = true;
    return STEP_DONE;
}

static enum step reduce_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                                struct error *err)
{
    struct reduce *reduce = self;
    (void)input;
    enum step step = reduce->is_busy ? STEP_DONE : start_batch(reduce, in, err);
    while (step == STEP_DONE && reduce->next < batch_selected(in)) {
        uint32_t count = 0;
        step = state_update(reduce->state, &reduce->keys, NULL, reduce->next, &count, reduce->slots,
                            reduce->fresh, err);
        if (step == STEP_DONE) {
            apply_run(reduce, in, count);
            reduce->next += count;
        }
    }
    if (step == STEP_DONE)
        step = row_failures_deliver(&reduce->failures, reduce->env, in, out, err);
    if (step == STEP_DONE)
        step = keyed_output_emit(&reduce->output, in, out);
    if (step == STEP_DONE)
        reduce->is_busy = false;
    return step;
}

static enum step reduce_finish(void *self, struct emitter *out, struct error *err)
{
    struct reduce *reduce = self;
    return keyed_output_finish(&reduce->output, reduce->state, NULL, reduce->env->memory, out, err);
}

static void reduce_close(void *self)
{
    struct reduce *reduce = self;
    for (uint32_t c = 0; c < reduce->column_count && reduce->columns != NULL; c++)
        expression_destroy(reduce->columns[c].expression);
    free(reduce->columns);
    if (reduce->scratch != NULL)
        expression_scratch_destroy(reduce->scratch);
    if (reduce->round_schema != NULL)
        schema_unref(reduce->round_schema);
    if (reduce->state_schema != NULL)
        schema_unref(reduce->state_schema);
    keyed_output_close(&reduce->output);
    row_failures_done(&reduce->failures);
    key_batch_done(&reduce->keys);
    slot_set_done(&reduce->set);
    free(reduce->rows);
    free(reduce->slots);
    free(reduce->fresh);
    free(reduce->rounds);
    free(reduce->counts);
    free(reduce->ordered);
    free(reduce->has_failed);
    free(reduce->selected);
    *reduce = (struct reduce){0};
}

const struct operator_ops reduce_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_KEYED,
    .kind = "reduce",
    .instance_size = sizeof(struct reduce),
    .input_count = 1,
    .open = reduce_open,
    .process = reduce_process,
    .finish = reduce_finish,
    .close = reduce_close,
};
