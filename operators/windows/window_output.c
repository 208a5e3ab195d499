/* Rows of windows: see window_output.h. */
#include "operators/windows/window_output.h"

#include "common/base/allocate.h"
#include "common/data/batch_builder.h"

#include <string.h>

static enum status map_column(struct window_output *output, uint32_t column, struct error *err)
{
    const struct operator_spec *spec = output->spec;
    const char *name = output->schema->columns[column].name;
    for (uint32_t k = 0; k < spec->key_count; k++) {
        if (strcmp(spec->keys[k], name) == 0) {
            output->columns[column] = WINDOW_COLUMN_KEY;
            output->places[column] = k;
            return STATUS_OK;
        }
    }
    for (uint32_t p = 0; p < spec->column_count; p++) {
        if (strcmp(spec->columns[p].name, name) == 0) {
            output->columns[column] = WINDOW_COLUMN_PART;
            output->places[column] = p;
            return STATUS_OK;
        }
    }
    const bool is_start = strcmp(name, WINDOW_START_NAME) == 0;
    const struct type type = output->schema->columns[column].type;
    if ((!is_start && strcmp(name, WINDOW_END_NAME) != 0) || !type_is_timestamp(type.kind) ||
        type.precision > 6)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": output column \"%s\" is neither key nor bound nor "
                         "aggregate",
                         spec->uid, name);
    output->columns[column] = is_start ? WINDOW_COLUMN_START : WINDOW_COLUMN_END;
    return STATUS_OK;
}

enum status window_output_open(struct window_output *output, const struct operator_env *env,
                               const struct window_spec *window,
                               const struct aggregate_parts *parts, struct error *err)
{
    const struct operator_spec *spec = env->spec;
    output->spec = spec;
    output->window = window;
    output->parts = parts;
    output->memory = env->memory;
    output->schema = spec->outputs[0].schema;
    struct schema_column keys[KEY_COLUMN_MAX] = {{0}};
    for (uint32_t k = 0; k < spec->key_count; k++) {
        const int32_t index = schema_find(spec->inputs[0], spec->keys[k]);
        if (index < 0)
            return error_set(err, STATUS_INVALID, "operator \"%s\": the input has no column \"%s\"",
                             spec->uid, spec->keys[k]);
        output->key_columns[k] = (uint32_t)index;
        keys[k] = spec->inputs[0]->columns[index];
        keys[k].field_id = 0;
        output->key_types[k] = keys[k].type;
    }
    output->key_schema = schema_create(keys, spec->key_count, -1);
    const uint32_t count = output->schema->column_count;
    output->columns = allocate_array(count + 1, sizeof(*output->columns));
    output->places = allocate_array(count + 1, sizeof(*output->places));
    for (uint32_t c = 0; c < count; c++)
        TRY(map_column(output, c, err));
    return STATUS_OK;
}

void window_output_close(struct window_output *output)
{
    if (output->key_schema != NULL)
        schema_unref(output->key_schema);
    free(output->columns);
    free(output->places);
    *output = (struct window_output){0};
}

static struct batch *key_columns_of(const struct window_output *output,
                                    const struct state_entry *entries, uint32_t count)
{
    const uint32_t key_count = output->spec->key_count;
    struct batch_builder builder;
    batch_builder_init(&builder, output->key_schema, output->memory);
    for (uint32_t i = 0; i < count; i++) {
        key_append_to_builder(output->key_types, key_count, entries[i].key, entries[i].key_size,
                              &builder);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

/* Bounds of windows repeat: the last one is kept. */
static struct column *bound_column(const struct window_output *output, uint32_t column,
                                   const int64_t *bounds, uint32_t count)
{
    const bool is_start = output->columns[column] == WINDOW_COLUMN_START;
    struct column *bound = column_create(output->schema->columns[column].type, count);
    int64_t *values = bound->values;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && bounds[i] == bounds[i - 1])
            values[i] = values[i - 1];
        else
            values[i] = is_start ? window_start_us(output->window, bounds[i])
                                 : window_end_us(output->window, bounds[i]);
    }
    return bound;
}

struct batch *window_output_batch(const struct window_output *output,
                                  const struct state_entry *entries, const int64_t *starts,
                                  const int64_t *ends, uint32_t count, const uint8_t *row_kinds)
{
    void **slots = allocate_array(count, sizeof(*slots));
    uint32_t *positions = allocate_array(count, sizeof(*positions));
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = entries[i].slot;
        positions[i] = i;
    }
    struct batch *keys =
        output->spec->key_count > 0 ? key_columns_of(output, entries, count) : NULL;
    struct batch *batch = batch_create(output->schema, count);
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        const uint32_t place = output->places[c];
        struct aggregate_results results;
        switch (output->columns[c]) {
        case WINDOW_COLUMN_KEY:
            batch->columns[c] = column_ref(keys->columns[place]);
            break;
        case WINDOW_COLUMN_START:
            batch->columns[c] = bound_column(output, c, starts, count);
            break;
        case WINDOW_COLUMN_END:
            batch->columns[c] = bound_column(output, c, ends, count);
            break;
        case WINDOW_COLUMN_PART: {
            const struct accumulator *accumulator = &output->parts->parts[place].accumulator;
            aggregate_results_init(&results, output->schema->columns[c].type, count);
            accumulator->function->result(accumulator, slots, positions, count, &results);
            batch->columns[c] = aggregate_results_take(&results);
            break;
        }
        }
    }
    if (row_kinds != NULL)
        batch->row_kinds = copy_memory(row_kinds, count);
    batch_unref(keys);
    free(positions);
    free(slots);
    return batch;
}
