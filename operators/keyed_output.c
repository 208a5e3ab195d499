/* Rows that leave a keyed operator: see keyed_output.h. */
#include "operators/keyed_output.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/data/batch_builder.h"
#include "common/data/value_text.h"

#define SCAN_ENTRIES 1024
#define MARK_BIT     0x80

enum status emit_mode_of(const struct operator_spec *spec, enum emit_mode *ret_mode,
                         struct error *err)
{
    static const char *const names[] = {
        [EMIT_EACH] = "each",
        [EMIT_BATCH] = "batch",
        [EMIT_END] = "end",
        [EMIT_CHANGELOG] = "changelog",
    };
    const char *text = operator_setting(spec, "emit");
    *ret_mode = EMIT_EACH;
    for (unsigned i = 0; text != NULL; i++) {
        if (i == sizeof(names) / sizeof(names[0]))
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": emit is each, batch, end or changelog, not \"%s\"",
                             spec->uid, text);
        if (strcmp(text, names[i]) == 0) {
            *ret_mode = (enum emit_mode)i;
            break;
        }
    }
    return STATUS_OK;
}

enum status ttl_of(const struct operator_spec *spec, int64_t *ret_ttl_ms, struct error *err)
{
    const char *text = operator_setting(spec, "ttl_ms");
    int64_t ttl_ms = 0;
    if (text != NULL && (!parse_int64(text, strlen(text), &ttl_ms) || ttl_ms < 0))
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": ttl_ms is a number of milliseconds, not \"%s\"",
                         spec->uid, text);
    *ret_ttl_ms = ttl_ms;
    return STATUS_OK;
}

enum status keyed_output_open(struct keyed_output *output, const struct operator_spec *spec,
                              enum emit_mode mode, struct error *err)
{
    const struct schema *input = spec->inputs[0];
    output->mode = mode;
    output->schema = spec->outputs[0].schema;
    output->key_count = spec->key_count;
    const uint32_t columns = output->schema->column_count;
    output->key_columns = allocate_array(columns, sizeof(int32_t));
    output->key_places = allocate_array(columns, sizeof(uint32_t));
    output->key_types = allocate_array(spec->key_count + 1, sizeof(struct type));
    output->results = allocate_array(columns, sizeof(struct aggregate_results));
    for (uint32_t i = 0; i < columns; i++)
        output->key_columns[i] = -1;
    for (uint32_t k = 0; k < spec->key_count; k++) {
        const int32_t from = schema_find(input, spec->keys[k]);
        const int32_t to = schema_find(output->schema, spec->keys[k]);
        if (from < 0)
            return error_set(err, STATUS_INVALID, "operator \"%s\": the input has no column \"%s\"",
                             spec->uid, spec->keys[k]);
        output->key_types[k] = input->columns[from].type;
        if (to >= 0) {
            output->key_columns[to] = from;
            output->key_places[to] = k;
        }
    }
    return STATUS_OK;
}

static void drop_results(struct keyed_output *output)
{
    for (uint32_t i = 0; output->results != NULL && i < output->schema->column_count; i++)
        aggregate_results_done(&output->results[i]);
}

void keyed_output_close(struct keyed_output *output)
{
    drop_results(output);
    free(output->key_columns);
    free(output->key_places);
    free(output->key_types);
    free(output->results);
    slot_set_done(&output->set);
    free(output->is_new);
    free(output->positions);
    free(output->old_positions);
    free(output->selection);
    free(output->changes);
    free(output->entries);
    *output = (struct keyed_output){0};
}

static void reserve_rows(struct keyed_output *output, uint32_t count)
{
    if (count <= output->capacity)
        return;
    output->is_new = reallocate_array(output->is_new, count, sizeof(bool));
    output->positions = reallocate_array(output->positions, count, sizeof(uint32_t));
    output->old_positions = reallocate_array(output->old_positions, count, sizeof(uint32_t));
    if (output->mode == EMIT_CHANGELOG)
        output->changes =
            reallocate_array(output->changes, (size_t)count * 2, sizeof(struct keyed_change));
    output->capacity = count;
}

void keyed_output_begin(struct keyed_output *output, const struct batch *in,
                        const struct key_batch *keys, const uint32_t *rows)
{
    reserve_rows(output, in->row_count);
    output->keys = keys;
    output->key_rows = rows;
    output->run_count = 0;
    output->row_count = in->row_count;
    output->selected_count = 0;
    output->change_count = 0;
    output->emitted_count = 0;
    if (output->mode == EMIT_END)
        return;
    free(output->selection);
    output->selection = NULL;
    if (output->mode != EMIT_CHANGELOG)
        output->selection = reallocate_array(NULL, (size_t)in->row_count + 1, sizeof(uint32_t));
    const uint32_t value_rows = output->mode == EMIT_CHANGELOG ? 2 * in->row_count : in->row_count;
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        aggregate_results_done(&output->results[c]);
        if (output->key_columns[c] < 0)
            aggregate_results_init(&output->results[c], output->schema->columns[c].type,
                                   value_rows);
    }
}

static void write_values(struct keyed_output *output, const uint32_t *positions)
{
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        if (output->key_columns[c] < 0)
            output->write(output->context, c, output->set.slots, positions, output->set.count,
                          &output->results[c]);
    }
}

void keyed_output_use_marks(struct keyed_output *output, const struct value_layout *layout)
{
    output->has_marks = layout->field_count % 8 != 0;
    output->mark_byte = layout->field_count / 8;
}

static void find_distinct(struct keyed_output *output, void *const *slots, const uint32_t *rows,
                          const uint8_t *fresh, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_first;
        const uint32_t index = slot_set_add(&output->set, slots[i], &is_first);
        if (is_first) {
            output->positions[index] = rows[i];
            output->is_new[index] = fresh[i] != 0;
        }
    }
}

/* Without a branch on whether a key was seen, which no predictor can know: every entry is written
 * behind the distinct ones and counted only if its slot had no mark. */
static void find_distinct_by_marks(struct keyed_output *output, void *const *slots,
                                   const uint32_t *rows, const uint8_t *fresh, uint32_t count)
{
    const uint32_t byte = output->mark_byte;
    void **distinct = output->set.slots;
    uint32_t *positions = output->positions;
    bool *is_new = output->is_new;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *mark = (uint8_t *)slots[i] + byte;
        distinct[found] = slots[i];
        positions[found] = rows[i];
        is_new[found] = fresh[i] != 0;
        found += (*mark & MARK_BIT) == 0;
        *mark |= MARK_BIT;
    }
    for (uint32_t i = 0; i < found; i++)
        *((uint8_t *)distinct[i] + byte) &= (uint8_t)~MARK_BIT;
    output->set.count = found;
}

void keyed_output_before(struct keyed_output *output, void *const *slots, const uint32_t *rows,
                         const uint8_t *fresh, uint32_t count)
{
    if (output->mode == EMIT_END)
        return;
    if (output->mode == EMIT_EACH) {
        memcpy(output->selection + output->selected_count, rows, count * sizeof(uint32_t));
        output->selected_count += count;
        return;
    }
    slot_set_start(&output->set, count);
    if (output->has_marks)
        find_distinct_by_marks(output, slots, rows, fresh, count);
    else
        find_distinct(output, slots, rows, fresh, count);
    if (output->mode != EMIT_CHANGELOG)
        return;
    for (uint32_t i = 0; i < output->set.count; i++)
        output->old_positions[i] = output->positions[i] + output->row_count;
    write_values(output, output->old_positions);
}

static bool values_are_equal(const struct column *column, uint32_t a, uint32_t b)
{
    const bool a_null = column_is_null(column, a);
    if (a_null || column_is_null(column, b))
        return a_null == column_is_null(column, b);
    const size_t size = type_value_size(column->type.kind);
    const char *values = column->values;
    if (!type_is_view(column->type.kind))
        return memcmp(values + a * size, values + b * size, size) == 0;
    const struct string_view *views = column_views(column);
    return views[a].size == views[b].size &&
           memcmp(string_view_bytes(column, &views[a]), string_view_bytes(column, &views[b]),
                  views[a].size) == 0;
}

static bool is_changed(const struct keyed_output *output, uint32_t row)
{
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        if (output->key_columns[c] < 0 &&
            !values_are_equal(output->results[c].column, row, row + output->row_count))
            return true;
    }
    return false;
}

static void add_change(struct keyed_output *output, enum row_kind kind, uint32_t position,
                       uint32_t row)
{
    output->changes[output->change_count++] =
        (struct keyed_change){.kind = (uint8_t)kind, .position = position, .row = row};
}

static void note_changes(struct keyed_output *output)
{
    for (uint32_t i = 0; i < output->set.count; i++) {
        const uint32_t row = output->positions[i];
        const bool was_there = !output->is_new[i];
        const bool is_there =
            output->is_gone == NULL || !output->is_gone(output->context, output->set.slots[i]);
        if (was_there && !is_there) {
            add_change(output, ROW_DELETE, row + output->row_count, row);
        } else if (!was_there && is_there) {
            add_change(output, ROW_INSERT, row, row);
        } else if (is_there && is_changed(output, row)) {
            add_change(output, ROW_UPDATE_BEFORE, row + output->row_count, row);
            add_change(output, ROW_UPDATE_AFTER, row, row);
        }
    }
}

void keyed_output_after(struct keyed_output *output)
{
    if (output->mode == EMIT_EACH || output->mode == EMIT_END)
        return;
    write_values(output, output->positions);
    if (output->mode == EMIT_CHANGELOG) {
        note_changes(output);
        return;
    }
    memcpy(output->selection + output->selected_count, output->positions,
           output->set.count * sizeof(uint32_t));
    output->selected_count += output->set.count;
    output->run_count++;
}

static bool keys_are_equal(const struct key_batch *keys, uint32_t a, uint32_t b)
{
    const uint32_t size = keys->sizes[a];
    return keys->hashes[a] == keys->hashes[b] && size == keys->sizes[b] &&
           (size == KEY_NULL || size == 0 || memcmp(keys->bytes[a], keys->bytes[b], size) == 0);
}

/* A batch that was handled in several runs has a row of a key for each of them: keeps the last. */
static void drop_superseded(struct keyed_output *output)
{
    const struct key_batch *keys = output->keys;
    const struct key_batch *subkeys = output->subkeys;
    uint32_t size = 16;
    while (size < 2 * output->selected_count)
        size *= 2;
    uint32_t *table = allocate_array(size, sizeof(*table)); /* entry of keys + 1 */
    uint32_t entry = keys->count;
    uint32_t first = output->selected_count;
    for (uint32_t i = output->selected_count; i-- > 0;) {
        do {
            DCHECK(entry > 0);
            entry--;
        } while (output->key_rows[entry] != output->selection[i]);
        uint32_t at = (uint32_t)key_table_hash(keys->hashes[entry]) & (size - 1);
        while (table[at] != 0 &&
               !(keys_are_equal(keys, table[at] - 1, entry) &&
                 (subkeys == NULL || keys_are_equal(subkeys, table[at] - 1, entry))))
            at = (at + 1) & (size - 1);
        if (table[at] != 0)
            continue;
        table[at] = entry + 1;
        output->selection[--first] = output->selection[i];
    }
    free(table);
    output->selected_count -= first;
    memmove(output->selection, output->selection + first,
            output->selected_count * sizeof(*output->selection));
}

static void copy_origin(struct batch *batch, const struct batch *in)
{
    batch->origin = in->origin;
    if (batch->origin.source != NULL)
        (void)buffer_ref(batch->origin.source);
}

/* The selected rows of the input with the value columns. */
static struct batch *selected_batch(struct keyed_output *output, const struct batch *in)
{
    struct batch *batch = batch_create(output->schema, in->row_count);
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        batch->columns[c] = output->key_columns[c] < 0
                                ? aggregate_results_take(&output->results[c])
                                : column_ref(in->columns[output->key_columns[c]]);
    }
    if (output->selected_count < in->row_count) {
        batch->selection = take_pointer(&output->selection);
        batch->selected_count = output->selected_count;
    }
    copy_origin(batch, in);
    output->selected_count = 0;
    return batch;
}

/* The next changes; both halves of an update stay together. */
static struct batch *change_batch(struct keyed_output *output, const struct batch *in)
{
    const struct keyed_change *changes = &output->changes[output->emitted_count];
    uint32_t count = output->change_count - output->emitted_count;
    if (count > BATCH_ROWS_MAX)
        count = BATCH_ROWS_MAX - (changes[BATCH_ROWS_MAX - 1].kind == ROW_UPDATE_BEFORE);
    uint32_t *rows = allocate_array(count, 2 * sizeof(*rows));
    uint32_t *positions = rows + count;
    struct batch *batch = batch_create(output->schema, count);
    batch->row_kinds = allocate(count);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = changes[i].row;
        positions[i] = changes[i].position;
        batch->row_kinds[i] = changes[i].kind;
    }
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        batch->columns[c] = output->key_columns[c] < 0
                                ? column_gather(output->results[c].column, positions, count)
                                : column_gather(in->columns[output->key_columns[c]], rows, count);
    }
    copy_origin(batch, in);
    free(rows);
    output->emitted_count += count;
    return batch;
}

enum step keyed_output_emit(struct keyed_output *output, const struct batch *in,
                            struct emitter *out)
{
    if (output->selected_count > 0) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        if (output->run_count > 1)
            drop_superseded(output);
        emitter_emit(out, 0, selected_batch(output, in));
    }
    while (output->emitted_count < output->change_count) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        emitter_emit(out, 0, change_batch(output, in));
    }
    drop_results(output);
    return STEP_DONE;
}

/* ---- the end ---- */

/* The keys of scanned entries as columns, in key order. */
static struct batch *key_columns_of(const struct keyed_output *output,
                                    const struct state_entry *entries, uint32_t count,
                                    struct memory_account *memory)
{
    struct schema_column columns[KEY_COLUMN_MAX] = {{0}};
    for (uint32_t k = 0; k < output->key_count; k++)
        columns[k] = (struct schema_column){.name = "", .type = output->key_types[k]};
    struct schema *schema = schema_create(columns, output->key_count, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, memory);
    for (uint32_t i = 0; i < count; i++) {
        key_append_to_builder(output->key_types, output->key_count, entries[i].key,
                              entries[i].key_size, &builder);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    schema_unref(schema);
    return batch;
}

static struct batch *end_batch(struct keyed_output *output, const struct state_entry *entries,
                               uint32_t count, struct memory_account *memory)
{
    void **slots = allocate_array(count, sizeof(*slots));
    uint32_t *positions = allocate_array(count, sizeof(*positions));
    for (uint32_t i = 0; i < count; i++) {
        slots[i] = entries[i].slot;
        positions[i] = i;
    }
    struct batch *keys =
        output->key_count > 0 ? key_columns_of(output, entries, count, memory) : NULL;
    struct batch *batch = batch_create(output->schema, count);
    for (uint32_t c = 0; c < output->schema->column_count; c++) {
        if (output->key_columns[c] >= 0 && keys != NULL) {
            batch->columns[c] = column_ref(keys->columns[output->key_places[c]]);
            continue;
        }
        struct aggregate_results results;
        aggregate_results_init(&results, output->schema->columns[c].type, count);
        output->write(output->context, c, slots, positions, count, &results);
        batch->columns[c] = aggregate_results_take(&results);
    }
    batch_unref(keys);
    free(positions);
    free(slots);
    return batch;
}

/* Leaves out groups without rows; returns how many are left. */
static uint32_t drop_gone(const struct keyed_output *output, struct state_entry *entries,
                          uint32_t count)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (output->is_gone == NULL || !output->is_gone(output->context, entries[i].slot))
            entries[left++] = entries[i];
    }
    return left;
}

static enum step scan(struct keyed_output *output, struct state *state, void *empty_slot,
                      struct memory_account *memory, struct emitter *out, struct error *err)
{
    uint32_t count = 0;
    if (!emitter_has_room(out, 0))
        return STEP_AGAIN;
    const enum step step = state->ops->scan_next(state, output->entries, SCAN_ENTRIES, &count, err);
    if (step != STEP_DONE)
        return step;
    if (count == 0) {
        output->is_scanning = false;
        if (output->has_scanned || empty_slot == NULL)
            return STEP_DONE;
        output->entries[0] = (struct state_entry){.key = "", .slot = empty_slot};
        emitter_emit(out, 0, end_batch(output, output->entries, 1, memory));
        return STEP_DONE;
    }
    count = drop_gone(output, output->entries, count);
    if (count > 0) {
        output->has_scanned = true;
        emitter_emit(out, 0, end_batch(output, output->entries, count, memory));
    }
    return STEP_DONE;
}

enum step keyed_output_finish(struct keyed_output *output, struct state *state, void *empty_slot,
                              struct memory_account *memory, struct emitter *out, struct error *err)
{
    if (output->mode != EMIT_END)
        return STEP_DONE;
    if (!output->is_scanning) {
        const enum step step = state->ops->scan_start(state, err);
        if (step != STEP_DONE)
            return step;
        output->is_scanning = true;
        output->has_scanned = false;
        if (output->entries == NULL)
            output->entries = allocate_array(SCAN_ENTRIES, sizeof(*output->entries));
    }
    while (output->is_scanning) {
        const enum step step = scan(output, state, empty_slot, memory, out, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}
