/*
 * calc: keeps the rows for which all filters are true and computes the output's columns.
 *
 * Nothing is copied: evaluated columns have the rows of the input batch, so the output is those
 * columns with a selection. A row that fails in any expression is left out and goes to on_error.
 * Row kinds pass.
 */
#include "common/api/operator.h"
#include "common/base/allocate.h"
#include "operators/row_failures.h"

struct calc {
    struct operator_env *env;
    struct expression_scratch *scratch;
    struct expression **filters;
    struct expression **columns;
    struct expression_options options;
    /* The batch at work: its output waits until all failures are delivered and there is room. */
    bool is_busy;
    struct batch *ready;
    struct row_failures failures;
};

static enum status calc_open(void *self, struct operator_env *env, struct error *err)
{
    struct calc *calc = self;
    const struct operator_spec *spec = env->spec;
    const struct schema *input = spec->inputs[0];
    calc->env = env;
    calc->options.time_zone = env->job != NULL ? env->job->time_zone : NULL;
    calc->scratch = expression_scratch_create(env->memory);
    calc->filters = allocate_array(spec->filter_count + 1, sizeof(struct expression *));
    calc->columns = allocate_array(spec->column_count + 1, sizeof(struct expression *));
    for (uint32_t i = 0; i < spec->filter_count; i++) {
        TRY(spec_expression_compile(spec, &spec->filters[i], input, &calc->options,
                                    &calc->filters[i], err));
        if (expression_type(calc->filters[i]).kind != TYPE_BOOLEAN)
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": the condition \"%.200s\" is not BOOLEAN", spec->uid,
                             spec->filters[i].text);
    }
    for (uint32_t i = 0; i < spec->column_count; i++) {
        TRY(spec_expression_compile(spec, &spec->columns[i], input, &calc->options,
                                    &calc->columns[i], err));
        if (!type_equals(expression_type(calc->columns[i]),
                         spec->outputs[0].schema->columns[i].type, false))
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": column \"%s\" does not have its schema's type",
                             spec->uid, spec->columns[i].name);
    }
    return STATUS_OK;
}

/* Fills rows with those that pass all filters and returns how many. */
static uint32_t keep_rows(struct calc *calc, const struct batch *in, uint32_t *rows)
{
    uint32_t count = batch_selected(in);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = batch_row(in, i);
    uint32_t *all =
        calc->env->spec->filter_count > 0 ? allocate_array(count + 1, sizeof(*all)) : NULL;
    for (uint32_t f = 0; f < calc->env->spec->filter_count && count > 0; f++) {
        struct evaluation evaluation = {0};
        memcpy(all, rows, count * sizeof(*all));
        const uint32_t kept =
            expression_filter(calc->filters[f], calc->scratch, in, all, count, rows, &evaluation);
        (void)row_failures_collect(&calc->failures, &evaluation, calc->filters[f], calc->scratch,
                                   in, &calc->env->spec->filters[f], all, count);
        column_unref(evaluation.column);
        count = kept;
    }
    free(all);
    return count;
}

/* The output for those rows; takes over `rows`. NULL if no row is left. */
static struct batch *compute_columns(struct calc *calc, const struct batch *in, uint32_t *rows,
                                     uint32_t count)
{
    const struct operator_spec *spec = calc->env->spec;
    struct batch *output = batch_create(spec->outputs[0].schema, in->row_count);
    for (uint32_t i = 0; i < spec->column_count && count > 0; i++) {
        const int32_t plain = expression_as_column(calc->columns[i]);
        if (plain >= 0) {
            output->columns[i] = column_ref(in->columns[plain]);
            continue;
        }
        struct evaluation evaluation = {0};
        const bool is_all = count == in->row_count;
        expression_evaluate(calc->columns[i], calc->scratch, in, is_all ? NULL : rows, count,
                            &evaluation);
        count = row_failures_collect(&calc->failures, &evaluation, calc->columns[i], calc->scratch,
                                     in, &spec->columns[i], rows, count);
        output->columns[i] = evaluation.column;
    }
    if (count == 0) {
        free(rows);
        batch_unref(output);
        return NULL;
    }
    if (count < in->row_count) {
        output->selection = rows;
        output->selected_count = count;
    } else {
        free(rows);
    }
    if (in->row_kinds != NULL)
        output->row_kinds = copy_memory(in->row_kinds, in->row_count);
    output->origin = in->origin;
    if (output->origin.source != NULL)
        (void)buffer_ref(output->origin.source);
    return output;
}

static enum step calc_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                              struct error *err)
{
    struct calc *calc = self;
    (void)input;
    if (!emitter_has_room(out, 0))
        return STEP_AGAIN;
    if (!calc->is_busy) {
        uint32_t *rows = allocate_array(batch_selected(in) + 1, sizeof(*rows));
        const uint32_t count = keep_rows(calc, in, rows);
        calc->ready = compute_columns(calc, in, rows, count);
        calc->is_busy = true;
    }
    const enum step step = row_failures_deliver(&calc->failures, calc->env, in, out, err);
    if (step != STEP_DONE)
        return step;
    calc->is_busy = false;
    if (calc->ready != NULL)
        emitter_emit(out, 0, take_pointer(&calc->ready));
    return STEP_DONE;
}

static void calc_close(void *self)
{
    struct calc *calc = self;
    if (calc->env == NULL)
        return;
    for (uint32_t i = 0; i < calc->env->spec->filter_count && calc->filters != NULL; i++)
        expression_destroy(calc->filters[i]);
    for (uint32_t i = 0; i < calc->env->spec->column_count && calc->columns != NULL; i++)
        expression_destroy(calc->columns[i]);
    free(calc->filters);
    free(calc->columns);
    expression_scratch_destroy(calc->scratch);
    batch_unref(calc->ready);
    row_failures_done(&calc->failures);
    *calc = (struct calc){0};
}

const struct operator_ops calc_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_TAKES_CHANGES,
    .kind = "calc",
    .instance_size = sizeof(struct calc),
    .input_count = 1,
    .open = calc_open,
    .process = calc_process,
    .close = calc_close,
};
