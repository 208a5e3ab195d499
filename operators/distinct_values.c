/* DISTINCT in aggregates: see distinct_values.h. */
#include "operators/distinct_values.h"

#include "common/base/allocate.h"

enum status distinct_values_open(struct distinct_values *distinct, struct operator_env *env,
                                 const struct aggregate_part *part, const uint32_t *key_columns,
                                 bool has_windows, int64_t ttl_ms, struct error *err)
{
    const struct schema *input = env->spec->inputs[0];
    struct schema_column columns[KEY_COLUMN_MAX + 2] = {{0}};
    struct type key_types[KEY_COLUMN_MAX + 1] = {{0}};
    distinct->key_count = env->spec->key_count;
    for (uint32_t k = 0; k < distinct->key_count; k++) {
        columns[k] = input->columns[key_columns[k]];
        key_types[k] = columns[k].type;
        distinct->columns[k] = k;
    }
    distinct->has_windows = has_windows;
    struct type count_type = type_of_kind(TYPE_BIGINT);
    count_type.nullable = false;
    uint32_t subkey_count = 0;
    if (has_windows)
        distinct->subkey_types[subkey_count++] = count_type;
    distinct->subkey_types[subkey_count++] = part->accumulator.argument;
    for (uint32_t i = 0; i < subkey_count; i++) {
        const uint32_t column = distinct->key_count + i;
        columns[column] = (struct schema_column){.name = i + 1 < subkey_count ? "end" : "value",
                                                 .type = distinct->subkey_types[i]};
        distinct->columns[column] = column;
    }
    distinct->view_schema = schema_create(columns, distinct->key_count + subkey_count, -1);
    const struct schema_column count = {.name = "rows", .type = count_type, .field_id = 1};
    struct schema *value = schema_create(&count, 1, -1);
    SCOPED_TEXT char *name = format_text("distinct_%s", part->named->name);
    const struct state_descriptor descriptor = {
        .name = name,
        .kind = STATE_MAP,
        .order = has_windows ? STATE_NAMESPACE_FIRST : STATE_KEY_FIRST,
        .key_types = key_types,
        .key_count = distinct->key_count,
        .subkey_types = distinct->subkey_types,
        .subkey_count = subkey_count,
        .value = value,
        .ttl_ms = ttl_ms,
    };
    const enum status status =
        env->keyed->ops->register_state(env->keyed, &descriptor, &distinct->state, err);
    schema_unref(value);
    key_batch_init(&distinct->keys);
    key_batch_init(&distinct->subkeys);
    return status;
}

void distinct_values_close(struct distinct_values *distinct)
{
    if (distinct->view_schema != NULL)
        schema_unref(distinct->view_schema);
    batch_unref(distinct->view);
    key_batch_done(&distinct->keys);
    key_batch_done(&distinct->subkeys);
    state_sweep_done(&distinct->sweep);
    free(distinct->entries);
    free(distinct->slots);
    free(distinct->fresh);
    *distinct = (struct distinct_values){0};
}

/* A view of the rows that have a value and pass the filter; all others get the sign 0. */
static void start(struct distinct_values *distinct, struct aggregate_parts *parts,
                  struct aggregate_part *part, const uint32_t *key_columns, const int64_t *ends,
                  const struct batch *in)
{
    if (in->row_count > distinct->capacity) {
        distinct->capacity = in->row_count;
        distinct->entries =
            reallocate_array(distinct->entries, distinct->capacity, sizeof(*distinct->entries));
        distinct->slots =
            reallocate_array(distinct->slots, distinct->capacity, sizeof(*distinct->slots));
        distinct->fresh = reallocate_array(distinct->fresh, distinct->capacity, 1);
    }
    int8_t *signs = aggregate_part_own_signs(parts, part);
    struct batch *view = batch_create(distinct->view_schema, in->row_count);
    for (uint32_t k = 0; k < distinct->key_count; k++)
        view->columns[k] = column_ref(in->columns[key_columns[k]]);
    const uint32_t subkey_count = distinct->has_windows ? 2 : 1;
    if (distinct->has_windows) {
        struct column *column = column_create(distinct->subkey_types[0], in->row_count);
        memcpy(column->values, ends, in->row_count * sizeof(*ends));
        view->columns[distinct->key_count] = column;
    }
    view->columns[distinct->key_count + subkey_count - 1] = column_ref(part->argument);
    view->selection = reallocate_array(NULL, (size_t)parts->row_count + 1, sizeof(uint32_t));
    for (uint32_t i = 0; i < parts->row_count; i++) {
        if (column_is_null(part->argument, parts->rows[i]))
            signs[i] = 0;
        if (signs[i] == 0)
            continue;
        distinct->entries[view->selected_count] = i;
        view->selection[view->selected_count++] = parts->rows[i];
    }
    distinct->view = view;
    distinct->next = 0;
    if (view->selected_count > 0) {
        key_batch_compute(&distinct->keys, view, distinct->columns, distinct->key_count);
        key_batch_compute(&distinct->subkeys, view, &distinct->columns[distinct->key_count],
                          subkey_count);
    }
}

/* The sign that a row of a value has, given how many rows the value had. */
static int8_t count_value(int64_t *rows, int8_t sign)
{
    if (sign > 0)
        return (*rows)++ == 0 ? 1 : 0;
    if (*rows == 0) /* taken back without having been there (expired) */
        return 0;
    return --*rows == 0 ? -1 : 0;
}

enum step distinct_values_apply(struct distinct_values *distinct, struct aggregate_parts *parts,
                                struct aggregate_part *part, const uint32_t *key_columns,
                                const int64_t *ends, const struct batch *in, struct error *err)
{
    if (!distinct->is_started) {
        start(distinct, parts, part, key_columns, ends, in);
        distinct->is_started = true;
    }
    while (distinct->next < distinct->view->selected_count) {
        uint32_t count = 0;
        const enum step step =
            state_update(distinct->state, &distinct->keys, &distinct->subkeys, distinct->next,
                         &count, distinct->slots, distinct->fresh, err);
        if (step != STEP_DONE)
            return step;
        for (uint32_t i = 0; i < count; i++) {
            void *field = slot_field(&distinct->state->layout, distinct->slots[i], 0);
            int64_t rows;
            memcpy(&rows, field, sizeof(rows));
            int8_t *sign = &part->own_signs[distinct->entries[distinct->next + i]];
            const bool is_taken_back = *sign < 0;
            *sign = count_value(&rows, *sign);
            memcpy(field, &rows, sizeof(rows));
            if (is_taken_back && rows == 0)
                state_sweep_add(&distinct->sweep, &distinct->keys, &distinct->subkeys,
                                distinct->next + i);
        }
        distinct->next += count;
    }
    const enum step step = state_sweep_run(&distinct->sweep, distinct->state, err);
    if (step != STEP_DONE)
        return step;
    batch_unref(take_pointer(&distinct->view));
    distinct->is_started = false;
    return STEP_DONE;
}

enum step distinct_values_drop(struct distinct_values *distinct, int64_t end, struct error *err)
{
    struct state_range range = {0};
    char to[32] = {1}; /* canonical (end + 1, NULL), the first subkey of what comes next */
    if (end < INT64_MAX) {
        const int64_t next = end + 1;
        memcpy(to + 1, &next, sizeof(next));
        range.to = to;
        range.to_size = 2 + sizeof(next);
    }
    return state_remove_range(distinct->state, &range, err);
}
