/*
 * unnest: one row for each element of an ARRAY.
 *
 * The element column gets a run of the array's child values: whole runs of neighbouring lists are
 * one memcpy, views keep their buffers. Other columns of the output repeat the input's. A list that
 * is NULL or empty gives no row. The evaluated array stays until its last output batch has left.
 */
#include "common/api/operator.h"
#include "common/base/allocate.h"
#include "operators/row_failures.h"

struct run {
    uint32_t first; /* element */
    uint32_t count;
};

struct unnest {
    struct operator_env *env;
    struct expression_scratch *scratch;
    struct expression *array;
    struct expression_options options;
    int32_t *sources; /* per output column: the input column, or -1: the element */
    bool needs_rows;  /* some column is passed through */
    /* The batch at work. */
    struct column *lists;
    uint32_t *rows; /* whose lists are there */
    uint32_t row_capacity;
    uint32_t row_count;
    uint32_t next_row;     /* index into rows */
    uint32_t next_element; /* within its list */
    struct row_failures failures;
    /* One output batch: runs of elements, and the input row of each element. */
    struct run runs[BATCH_ROWS_MAX];
    uint32_t run_count;
    uint32_t parents[BATCH_ROWS_MAX];
};

static enum status check_columns(struct unnest *unnest, struct error *err)
{
    const struct operator_spec *spec = unnest->env->spec;
    const struct schema *input = spec->inputs[0];
    const struct schema *output = spec->outputs[0].schema;
    const struct type type = expression_type(unnest->array);
    if (type.kind != TYPE_ARRAY)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": unnest of \"%.200s\", which is no ARRAY", spec->uid,
                         spec->columns[0].text);
    unnest->sources = allocate_array(output->column_count, sizeof(int32_t));
    for (uint32_t i = 0; i < output->column_count; i++) {
        const struct schema_column *column = &output->columns[i];
        const bool is_element = strcmp(column->name, spec->columns[0].name) == 0;
        unnest->sources[i] = is_element ? -1 : schema_find(input, column->name);
        if (!is_element && unnest->sources[i] < 0)
            return error_set(err, STATUS_INVALID, "operator \"%s\": the input has no column \"%s\"",
                             spec->uid, column->name);
        const struct type from =
            is_element ? type.children[0].type : input->columns[unnest->sources[i]].type;
        if (!type_equals(from, column->type, false))
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": column \"%s\" does not have its schema's type",
                             spec->uid, column->name);
        unnest->needs_rows |= !is_element;
    }
    return STATUS_OK;
}

static enum status unnest_open(void *self, struct operator_env *env, struct error *err)
{
    struct unnest *unnest = self;
    unnest->env = env;
    if (env->spec->column_count != 1)
        return error_set(err, STATUS_UNSUPPORTED,
                         "operator \"%s\": unnest takes exactly one column, not %u: unnest the "
                         "others in further nodes",
                         env->spec->uid, env->spec->column_count);
    unnest->options.time_zone = env->job != NULL ? env->job->time_zone : NULL;
    unnest->scratch = expression_scratch_create(env->memory);
    TRY(spec_expression_compile(env->spec, &env->spec->columns[0], env->spec->inputs[0],
                                &unnest->options, &unnest->array, err));
    return check_columns(unnest, err);
}

static void start_batch(struct unnest *unnest, const struct batch *in)
{
    uint32_t count = batch_selected(in);
    if (count > unnest->row_capacity) {
        unnest->rows = reallocate_array(unnest->rows, count, sizeof(uint32_t));
        unnest->row_capacity = count;
    }
    for (uint32_t i = 0; i < count; i++)
        unnest->rows[i] = batch_row(in, i);
    struct evaluation evaluation = {0};
    expression_evaluate(unnest->array, unnest->scratch, in,
                        in->selection != NULL ? unnest->rows : NULL, count, &evaluation);
    unnest->row_count =
        row_failures_collect(&unnest->failures, &evaluation, unnest->array, unnest->scratch, in,
                             &unnest->env->spec->columns[0], unnest->rows, count);
    unnest->lists = evaluation.column;
    unnest->next_row = 0;
    unnest->next_element = 0;
}

/* Chooses the elements of the next output batch; returns how many. */
static uint32_t choose_elements(struct unnest *unnest)
{
    const struct column *lists = unnest->lists;
    uint32_t count = 0;
    unnest->run_count = 0;
    while (unnest->next_row < unnest->row_count && count < BATCH_ROWS_MAX) {
        const uint32_t row = unnest->rows[unnest->next_row];
        const uint32_t size =
            column_is_null(lists, row) ? 0 : lists->offsets[row + 1] - lists->offsets[row];
        const uint32_t left = size - unnest->next_element;
        const uint32_t taken = left < BATCH_ROWS_MAX - count ? left : BATCH_ROWS_MAX - count;
        if (taken > 0) {
            const uint32_t first = lists->offsets[row] + unnest->next_element;
            struct run *last = unnest->run_count > 0 ? &unnest->runs[unnest->run_count - 1] : NULL;
            if (last != NULL && last->first + last->count == first)
                last->count += taken;
            else
                unnest->runs[unnest->run_count++] = (struct run){first, taken};
            for (uint32_t i = 0; unnest->needs_rows && i < taken; i++)
                unnest->parents[count + i] = row;
            count += taken;
        }
        unnest->next_element += taken;
        if (taken == left) {
            unnest->next_row++;
            unnest->next_element = 0;
        }
    }
    return count;
}

static struct column *gather_runs(const struct unnest *unnest, const struct column *child,
                                  uint32_t count)
{
    uint32_t *elements = allocate_array(count, sizeof(*elements));
    uint32_t at = 0;
    for (uint32_t r = 0; r < unnest->run_count; r++) {
        for (uint32_t i = 0; i < unnest->runs[r].count; i++)
            elements[at++] = unnest->runs[r].first + i;
    }
    struct column *column = column_gather(child, elements, count);
    free(elements);
    return column;
}

static struct column *element_column(const struct unnest *unnest, uint32_t count)
{
    struct column *child = unnest->lists->children[0];
    if (unnest->run_count == 1 && unnest->runs[0].first == 0 && count == child->row_count)
        return column_ref(child);
    const size_t size = type_value_size(child->type.kind);
    if (size == 0 || child->validity != NULL)
        return gather_runs(unnest, child, count);
    struct column *column = column_create(child->type, count);
    char *to = column->values;
    for (uint32_t r = 0; r < unnest->run_count; r++) {
        const struct run *run = &unnest->runs[r];
        memcpy(to, (const char *)child->values + run->first * size, run->count * size);
        to += run->count * size;
    }
    for (uint32_t b = 0; b < child->buffer_count; b++)
        (void)column_add_buffer(column, child->buffers[b]);
    return column;
}

static struct batch *make_batch(struct unnest *unnest, const struct batch *in, uint32_t count)
{
    struct batch *batch = batch_create(unnest->env->spec->outputs[0].schema, count);
    for (uint32_t i = 0; i < batch->column_count; i++) {
        const int32_t source = unnest->sources[i];
        batch->columns[i] = source < 0 ? element_column(unnest, count)
                                       : column_gather(in->columns[source], unnest->parents, count);
    }
    batch->origin = in->origin;
    if (batch->origin.source != NULL)
        (void)buffer_ref(batch->origin.source);
    return batch;
}

static void add_row_kinds(const struct unnest *unnest, const struct batch *in, struct batch *batch)
{
    batch->row_kinds = allocate(batch->row_count);
    for (uint32_t i = 0; i < batch->row_count; i++)
        batch->row_kinds[i] = in->row_kinds[unnest->parents[i]];
}

static enum step unnest_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                                struct error *err)
{
    struct unnest *unnest = self;
    (void)input;
    if (unnest->lists == NULL)
        start_batch(unnest, in);
    const enum step step = row_failures_deliver(&unnest->failures, unnest->env, in, out, err);
    if (step != STEP_DONE)
        return step;
    const bool needs_rows = unnest->needs_rows;
    unnest->needs_rows |= in->row_kinds != NULL;
    bool has_room = true;
    while (unnest->next_row < unnest->row_count) {
        has_room = emitter_has_room(out, 0);
        if (!has_room)
            break;
        const uint32_t count = choose_elements(unnest);
        if (count == 0)
            break;
        struct batch *batch = make_batch(unnest, in, count);
        if (in->row_kinds != NULL)
            add_row_kinds(unnest, in, batch);
        emitter_emit(out, 0, batch);
    }
    unnest->needs_rows = needs_rows;
    if (!has_room)
        return STEP_AGAIN;
    column_unref(take_pointer(&unnest->lists));
    return STEP_DONE;
}

static void unnest_close(void *self)
{
    struct unnest *unnest = self;
    column_unref(unnest->lists);
    expression_destroy(unnest->array);
    if (unnest->scratch != NULL)
        expression_scratch_destroy(unnest->scratch);
    free(unnest->sources);
    free(unnest->rows);
    row_failures_done(&unnest->failures);
    unnest->lists = NULL;
    unnest->array = NULL;
    unnest->scratch = NULL;
    unnest->sources = NULL;
    unnest->rows = NULL;
}

const struct operator_ops unnest_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_TAKES_CHANGES,
    .kind = "unnest",
    .instance_size = sizeof(struct unnest),
    .input_count = 1,
    .open = unnest_open,
    .process = unnest_process,
    .close = unnest_close,
};
