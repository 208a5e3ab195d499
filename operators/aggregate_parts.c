/* Aggregate calls in slots: see aggregate_parts.h. */
#include "operators/aggregate_parts.h"

#include "common/base/allocate.h"
#include "common/base/crc32c.h"
#include "operators/aggregate_plan.h"

#define ROWS_FIELD_NAME "/rows"

/* A field's id is a function of its name alone, so that calls may be added, dropped and reordered
 * between two versions of a job. */
static uint32_t field_id_of(const char *name)
{
    return crc32c(0, name, strlen(name)) | UINT32_C(0x80000000);
}

static enum status compile_part(struct aggregate_parts *parts, struct aggregate_part *part,
                                struct error *err)
{
    const struct operator_spec *spec = parts->spec;
    const struct schema *input = spec->inputs[0];
    struct expression_problem problem;
    if (aggregate_call_compile(part->named->text, input, &parts->options, &part->call, &problem) !=
        STATUS_OK)
        return spec_expression_problem(spec, part->named, &problem, err);
    const enum status checked = aggregate_call_check(&part->call, err);
    if (checked != STATUS_OK)
        return error_wrap(err, checked, "operator \"%s\", column \"%s\"", spec->uid,
                          part->named->name);
    struct accumulator *accumulator = &part->accumulator;
    accumulator->function = aggregate_implementation_find(part->call.function);
    if (part->call.argument != NULL)
        accumulator->argument = expression_type(part->call.argument);
    const int32_t output = schema_find(spec->outputs[0].schema, part->named->name);
    accumulator->result =
        output >= 0 ? spec->outputs[0].schema->columns[output].type : part->call.result;
    if (!parts->is_merge)
        return STATUS_OK;
    struct accumulator_field fields[AGGREGATE_FIELD_MAX];
    const uint32_t count = accumulator->function->fields(accumulator->argument, fields);
    for (uint32_t j = 0; j < count; j++) {
        SCOPED_TEXT char *name = format_text("%s/%s", part->named->name, fields[j].name);
        part->merge_columns[j] = schema_find(input, name);
        if (part->merge_columns[j] < 0 || accumulator->function->merge == NULL)
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": cannot merge \"%s\": the input has no \"%s\"",
                             spec->uid, part->named->name, name);
    }
    return STATUS_OK;
}

/* The slot's schema, and which fields belong to whom. */
static enum status make_schema(struct aggregate_parts *parts, struct error *err)
{
    const uint32_t capacity = parts->count * AGGREGATE_FIELD_MAX + 1;
    struct schema_column *columns = allocate_array(capacity, sizeof(*columns));
    char **names = allocate_array(capacity, sizeof(*names));
    uint32_t count = 0;
    if (parts->has_rows) {
        names[0] = copy_text(ROWS_FIELD_NAME);
        columns[0] = (struct schema_column){
            .name = names[0], .type = type_of_kind(TYPE_BIGINT), .field_id = field_id_of(names[0])};
        count = 1;
    }
    for (uint32_t i = 0; i < parts->count; i++) {
        struct accumulator *accumulator = &parts->parts[i].accumulator;
        struct accumulator_field fields[AGGREGATE_FIELD_MAX];
        accumulator->field_count = accumulator->function->fields(accumulator->argument, fields);
        accumulator->first_field = count;
        for (uint32_t j = 0; j < accumulator->field_count; j++, count++) {
            accumulator->types[j] = fields[j].type;
            names[count] = format_text("%s/%s", parts->parts[i].named->name, fields[j].name);
            columns[count] = (struct schema_column){.name = names[count],
                                                    .type = fields[j].type,
                                                    .field_id = field_id_of(names[count])};
        }
    }
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < count && status == STATUS_OK; i++) {
        for (uint32_t j = 0; j < i && status == STATUS_OK; j++) {
            if (columns[i].field_id == columns[j].field_id)
                status =
                    error_set(err, STATUS_INVALID,
                              "operator \"%s\": state fields \"%s\" and \"%s\" collide: rename "
                              "one of the aggregates",
                              parts->spec->uid, names[j], names[i]);
        }
    }
    parts->schema = schema_create(columns, count, -1);
    for (uint32_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
    free(columns);
    return status;
}

enum status aggregate_parts_open(struct aggregate_parts *parts, const struct operator_env *env,
                                 bool is_merge, bool has_rows, struct error *err)
{
    const struct operator_spec *spec = env->spec;
    parts->spec = spec;
    parts->is_merge = is_merge;
    parts->has_rows = has_rows;
    parts->options.time_zone = env->job != NULL ? env->job->time_zone : NULL;
    parts->scratch = expression_scratch_create(env->memory);
    parts->parts = allocate_array(spec->column_count + 1, sizeof(*parts->parts));
    for (uint32_t i = 0; i < spec->column_count; i++) {
        parts->parts[i].named = &spec->columns[i];
        parts->count = i + 1;
        TRY(compile_part(parts, &parts->parts[i], err));
    }
    return make_schema(parts, err);
}

void aggregate_parts_close(struct aggregate_parts *parts)
{
    aggregate_parts_release(parts);
    for (uint32_t i = 0; i < parts->count; i++) {
        aggregate_call_done(&parts->parts[i].call);
        free(parts->parts[i].own_signs);
    }
    free(parts->parts);
    if (parts->scratch != NULL)
        expression_scratch_destroy(parts->scratch);
    if (parts->schema != NULL)
        schema_unref(parts->schema);
    free(parts->rows);
    free(parts->row_signs);
    free(parts->is_kept);
    row_failures_done(&parts->failures);
    *parts = (struct aggregate_parts){0};
}

void aggregate_parts_place(struct aggregate_parts *parts, const uint32_t *offsets,
                           struct state *state)
{
    parts->rows_offset = parts->has_rows ? offsets[0] : 0;
    for (uint32_t i = 0; i < parts->count; i++) {
        struct accumulator *accumulator = &parts->parts[i].accumulator;
        accumulator->state = state;
        for (uint32_t j = 0; j < accumulator->field_count; j++)
            accumulator->offsets[j] = offsets[accumulator->first_field + j];
    }
}

void aggregate_parts_release(struct aggregate_parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++) {
        column_unref(take_pointer(&parts->parts[i].argument));
        parts->parts[i].signs = NULL;
    }
}

/* ---- a batch ---- */

static void reserve_rows(struct aggregate_parts *parts, uint32_t count)
{
    if (count <= parts->row_capacity)
        return;
    parts->row_capacity = count;
    parts->rows = reallocate_array(parts->rows, count, sizeof(*parts->rows));
    parts->row_signs = reallocate_array(parts->row_signs, count, 1);
    parts->is_kept = reallocate_array(parts->is_kept, count, sizeof(*parts->is_kept));
    for (uint32_t i = 0; i < parts->count; i++) {
        free(parts->parts[i].own_signs);
        parts->parts[i].own_signs = NULL;
    }
}

int8_t *aggregate_part_own_signs(struct aggregate_parts *parts, struct aggregate_part *part)
{
    if (part->own_signs == NULL)
        part->own_signs = reallocate_array(NULL, parts->row_capacity, 1);
    if (part->signs == part->own_signs)
        return part->own_signs;
    if (part->signs != NULL)
        memcpy(part->own_signs, part->signs, parts->row_count);
    else
        memset(part->own_signs, 1, parts->row_count);
    part->signs = part->own_signs;
    return part->own_signs;
}

/* Rows for which the part's filter is not true get the sign 0; returns how many pass. */
static uint32_t apply_filter(struct aggregate_parts *parts, struct aggregate_part *part,
                             const struct batch *in, uint32_t *passing)
{
    struct evaluation evaluation = {0};
    const uint32_t count = expression_filter(part->call.filter, parts->scratch, in, parts->rows,
                                             parts->row_count, passing, &evaluation);
    const uint32_t before = parts->row_count;
    const uint32_t left =
        row_failures_collect(&parts->failures, &evaluation, part->call.filter, parts->scratch, in,
                             part->named, parts->rows, parts->row_count);
    column_unref(evaluation.column);
    parts->row_count = left;
    if (left != before)
        return 0; /* everything is evaluated again without those rows */
    int8_t *signs = aggregate_part_own_signs(parts, part);
    uint32_t next = 0;
    for (uint32_t i = 0; i < left; i++) {
        if (next < count && passing[next] == parts->rows[i])
            next++;
        else
            signs[i] = 0;
    }
    return count;
}

static void evaluate_argument(struct aggregate_parts *parts, struct aggregate_part *part,
                              const struct batch *in, uint32_t *passing, uint32_t count)
{
    const int32_t plain = expression_as_column(part->call.argument);
    if (plain >= 0) {
        part->argument = column_ref(in->columns[plain]);
        return;
    }
    struct evaluation evaluation = {0};
    expression_evaluate(part->call.argument, parts->scratch, in, passing, count, &evaluation);
    part->argument = evaluation.column;
    if (evaluation.error_count == 0)
        return;
    /* The failed rows leave `rows`; what passed the filter of this part is asked again. */
    (void)row_failures_collect(&parts->failures, &evaluation, part->call.argument, parts->scratch,
                               in, part->named, passing, count);
    memset(parts->is_kept, 1, in->row_count * sizeof(*parts->is_kept));
    for (size_t i = 0; i < parts->failures.count; i++)
        parts->is_kept[parts->failures.failures[i].row] = false;
    uint32_t left = 0;
    for (uint32_t i = 0; i < parts->row_count; i++) {
        if (parts->is_kept[parts->rows[i]])
            parts->rows[left++] = parts->rows[i];
    }
    parts->row_count = left;
}

static void set_signs(struct aggregate_parts *parts, const struct batch *in)
{
    parts->has_signs = false;
    for (uint32_t i = 0; in->row_kinds != NULL && i < parts->row_count; i++) {
        const enum row_kind kind = batch_row_kind(in, parts->rows[i]);
        const bool is_taken_back = kind == ROW_UPDATE_BEFORE || kind == ROW_DELETE;
        parts->row_signs[i] = is_taken_back ? -1 : 1;
        parts->has_signs |= is_taken_back;
    }
    for (uint32_t i = 0; i < parts->count; i++)
        parts->parts[i].signs = parts->has_signs ? parts->row_signs : NULL;
}

/* One pass over all parts; false if rows failed, and the pass has to be made again without them. */
static bool evaluate_once(struct aggregate_parts *parts, const struct batch *in, uint32_t *passing)
{
    const size_t failures = parts->failures.count;
    aggregate_parts_release(parts);
    set_signs(parts, in);
    for (uint32_t i = 0; i < parts->count; i++) {
        struct aggregate_part *part = &parts->parts[i];
        if (parts->is_merge) {
            for (uint32_t j = 0; j < part->accumulator.field_count; j++)
                part->fields[j] = in->columns[part->merge_columns[j]];
            continue;
        }
        uint32_t count = parts->row_count;
        if (part->call.filter != NULL)
            count = apply_filter(parts, part, in, passing);
        else if (part->call.argument != NULL)
            memcpy(passing, parts->rows, count * sizeof(*passing));
        if (parts->failures.count != failures)
            return false;
        if (part->call.argument != NULL)
            evaluate_argument(parts, part, in, passing, count);
        if (parts->failures.count != failures)
            return false;
    }
    return true;
}

enum status aggregate_parts_evaluate(struct aggregate_parts *parts, const struct batch *in,
                                     struct error *err)
{
    const uint32_t count = batch_selected(in);
    reserve_rows(parts, in->row_count);
    for (uint32_t i = 0; i < count; i++)
        parts->rows[i] = batch_row(in, i);
    parts->row_count = count;
    uint32_t *passing = reallocate_array(NULL, (size_t)count + 1, sizeof(*passing));
    while (!evaluate_once(parts, in, passing)) {
    }
    free(passing);
    for (uint32_t i = 0; parts->has_signs && i < parts->count; i++) {
        if (!parts->parts[i].accumulator.function->is_retractable || parts->is_merge)
            return error_set(err, STATUS_UNSUPPORTED,
                             "operator \"%s\": the input takes rows back (-U, -D), which %s of "
                             "column \"%s\" cannot: aggregate rows that are only inserted",
                             parts->spec->uid, parts->parts[i].call.function,
                             parts->parts[i].named->name);
    }
    return STATUS_OK;
}

void aggregate_parts_init_slots(const struct aggregate_parts *parts, void *const *slots,
                                const uint8_t *fresh, uint32_t count)
{
    for (uint32_t p = 0; p < parts->count; p++) {
        const struct accumulator *accumulator = &parts->parts[p].accumulator;
        if (accumulator->function->init == NULL)
            continue;
        for (uint32_t i = 0; i < count; i++) {
            if (fresh[i] != 0)
                accumulator->function->init(accumulator, slots[i]);
        }
    }
}

void aggregate_parts_count_rows(const struct aggregate_parts *parts, void *const *slots,
                                uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const int64_t rows = aggregate_slot_rows(parts, slots[i]) +
                             (parts->has_signs ? parts->row_signs[first + i] : 1);
        memcpy((char *)slots[i] + parts->rows_offset, &rows, sizeof(rows));
    }
}

void aggregate_part_apply(const struct aggregate_parts *parts, const struct aggregate_part *part,
                          void *const *slots, uint32_t first, uint32_t count,
                          struct aggregate_results *each)
{
    const struct aggregate_rows rows = {
        .count = count,
        .slots = slots,
        .rows = parts->rows + first,
        .signs = part->signs != NULL ? part->signs + first : NULL,
        .argument = part->argument,
    };
    const struct accumulator *accumulator = &part->accumulator;
    if (parts->is_merge)
        accumulator->function->merge(accumulator, &rows, part->fields);
    else
        accumulator->function->apply(accumulator, &rows, each);
}
