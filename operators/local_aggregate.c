/*
 * local_aggregate: the first half of a split aggregation. Folds rows of equal keys in a bounded
 * hash table and hands the accumulators on (see aggregate_plan.h for the output's form).
 *
 * No state: the table leaves before every barrier, watermark and time budget, at the end, and when
 * it is full. Keys are kept in one arena; the table's memory is booked when it opens.
 */
#include "common/base/allocate.h"
#include "common/data/batch_builder.h"
#include "operators/aggregate_parts.h"
#include "operators/operators.h"

#define LOCAL_GROUPS_MAX    16384
#define LOCAL_TABLE_SIZE    (2 * LOCAL_GROUPS_MAX)
#define LOCAL_KEY_BYTES_MAX (1024 * 1024)

struct local_group {
    uint64_t hash;
    uint32_t key_offset;
    uint32_t key_size; /* KEY_NULL: no bytes */
};

struct local_aggregate {
    struct operator_env *env;
    struct aggregate_parts parts;
    uint32_t key_columns[KEY_COLUMN_MAX];
    struct type key_types[KEY_COLUMN_MAX];
    struct schema *key_schema;
    /* Slots, as struct value_layout describes them. */
    uint32_t *offsets;
    uint32_t slot_size;
    char *slots;
    /* The table: index + 1 of a group, 0 if free. */
    uint32_t *table;
    struct local_group *groups;
    uint32_t group_count;
    char *key_bytes;
    size_t key_bytes_used;
    size_t key_bytes_capacity;
    size_t booked_bytes;
    bool is_flushing; /* the table must be empty before anything is added */
    uint32_t flushed;
    /* The batch at work. */
    bool is_busy;
    struct batch *view;
    struct key_batch keys;
    uint32_t next;
    void **row_slots;
    uint32_t capacity;
};

static void lay_out_slots(struct local_aggregate *local)
{
    const struct schema *schema = local->parts.schema;
    local->offsets = allocate_array(schema->column_count + 1, sizeof(uint32_t));
    uint32_t at = (schema->column_count + 63) / 64 * 8;
    for (uint32_t f = 0; f < schema->column_count; f++) {
        local->offsets[f] = at;
        at += ((uint32_t)type_value_size(schema->columns[f].type.kind) + 7) / 8 * 8;
    }
    local->slot_size = at;
    aggregate_parts_place(&local->parts, local->offsets, NULL);
}

static enum status open_keys(struct local_aggregate *local, struct error *err)
{
    const struct operator_spec *spec = local->env->spec;
    struct schema_column columns[KEY_COLUMN_MAX] = {{0}};
    for (uint32_t k = 0; k < spec->key_count; k++) {
        const int32_t index = schema_find(spec->inputs[0], spec->keys[k]);
        if (index < 0)
            return error_set(err, STATUS_INVALID, "operator \"%s\": the input has no column \"%s\"",
                             spec->uid, spec->keys[k]);
        local->key_columns[k] = (uint32_t)index;
        columns[k] = spec->inputs[0]->columns[index];
        columns[k].field_id = 0;
    }
    local->key_schema = schema_create(columns, spec->key_count, -1);
    for (uint32_t k = 0; k < spec->key_count; k++)
        local->key_types[k] = local->key_schema->columns[k].type;
    return STATUS_OK;
}

static enum status local_open(void *self, struct operator_env *env, struct error *err)
{
    struct local_aggregate *local = self;
    local->env = env;
    TRY(open_keys(local, err));
    TRY(aggregate_parts_open(&local->parts, env, false, false, err));
    for (uint32_t p = 0; p < local->parts.count; p++) {
        const struct accumulator *accumulator = &local->parts.parts[p].accumulator;
        const struct aggregate_function *function = accumulator->function;
        if (local->parts.parts[p].call.is_distinct || function->merge == NULL ||
            (function->is_mergeable != NULL && !function->is_mergeable(accumulator->argument)))
            return error_set(err, STATUS_INVALID,
                             "operator \"%s\": \"%.200s\" cannot be split into local halves",
                             env->spec->uid, env->spec->columns[p].text);
    }
    lay_out_slots(local);
    const uint32_t columns = local->key_schema->column_count + local->parts.schema->column_count;
    if (env->spec->outputs[0].schema->column_count != columns)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": the output is not that of a local aggregation",
                         env->spec->uid);
    local->slots = allocate_array(LOCAL_GROUPS_MAX, local->slot_size);
    local->table = allocate_array(LOCAL_TABLE_SIZE, sizeof(*local->table));
    local->groups = allocate_array(LOCAL_GROUPS_MAX, sizeof(*local->groups));
    local->key_bytes = allocate(LOCAL_KEY_BYTES_MAX);
    local->key_bytes_capacity = LOCAL_KEY_BYTES_MAX;
    local->booked_bytes = (size_t)LOCAL_GROUPS_MAX * (local->slot_size + sizeof(*local->groups)) +
                          LOCAL_TABLE_SIZE * sizeof(*local->table) + LOCAL_KEY_BYTES_MAX;
    if (env->memory != NULL)
        memory_force(env->memory, local->booked_bytes);
    key_batch_init(&local->keys);
    return STATUS_OK;
}

/* ---- out ---- */

static struct batch *key_columns_of(struct local_aggregate *local, uint32_t first, uint32_t count)
{
    struct batch_builder builder;
    batch_builder_init(&builder, local->key_schema, local->env->memory);
    for (uint32_t i = 0; i < count; i++) {
        const struct local_group *group = &local->groups[first + i];
        key_append_to_builder(local->key_types, local->key_schema->column_count,
                              local->key_bytes + group->key_offset, group->key_size, &builder);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

static struct column *field_column(const struct local_aggregate *local, uint32_t field,
                                   uint32_t first, uint32_t count)
{
    const struct type type = local->parts.schema->columns[field].type;
    const size_t size = type_value_size(type.kind);
    struct column *column = column_create(type, count);
    if (type.nullable)
        column_need_validity(column);
    char *values = column->values;
    for (uint32_t i = 0; i < count; i++) {
        const char *slot = local->slots + (size_t)(first + i) * local->slot_size;
        memcpy(values + i * size, slot + local->offsets[field], size);
        if (type.nullable && slot_is_null(slot, field))
            column_set_null(column, i);
    }
    return column;
}

/* Hands the whole table on. STEP_AGAIN: no room; nothing may be added until it is done. */
static enum step flush_table(struct local_aggregate *local, struct emitter *out)
{
    local->is_flushing = local->group_count > 0;
    const uint32_t key_count = local->key_schema->column_count;
    while (local->flushed < local->group_count) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        const uint32_t left = local->group_count - local->flushed;
        const uint32_t count = left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX;
        struct batch *batch = batch_create(local->env->spec->outputs[0].schema, count);
        if (key_count > 0) {
            struct batch *keys = key_columns_of(local, local->flushed, count);
            for (uint32_t k = 0; k < key_count; k++)
                batch->columns[k] = column_ref(keys->columns[k]);
            batch_unref(keys);
        }
        for (uint32_t f = 0; f < local->parts.schema->column_count; f++)
            batch->columns[key_count + f] = field_column(local, f, local->flushed, count);
        local->flushed += count;
        emitter_emit(out, 0, batch);
    }
    if (local->group_count > 0)
        memset(local->table, 0, LOCAL_TABLE_SIZE * sizeof(*local->table));
    local->group_count = 0;
    local->flushed = 0;
    local->key_bytes_used = 0;
    local->is_flushing = false;
    return STEP_DONE;
}

/* ---- in ---- */

static bool is_group(const struct local_aggregate *local, const struct local_group *group,
                     const char *key, uint32_t size, uint64_t hash)
{
    return group->hash == hash && group->key_size == size &&
           (size == KEY_NULL || memcmp(local->key_bytes + group->key_offset, key, size) == 0);
}

/* A new group at table[at]; NULL if the table is full. */
static void *add_group(struct local_aggregate *local, uint32_t at, const char *key, uint32_t size,
                       uint64_t hash)
{
    const size_t bytes = size == KEY_NULL ? 0 : size;
    if (local->group_count == LOCAL_GROUPS_MAX)
        return NULL;
    if (local->key_bytes_used + bytes > local->key_bytes_capacity) {
        if (local->group_count > 0)
            return NULL;
        local->key_bytes = reallocate_array(local->key_bytes, bytes, 1);
        if (local->env->memory != NULL)
            memory_force(local->env->memory, bytes - local->key_bytes_capacity);
        local->booked_bytes += bytes - local->key_bytes_capacity;
        local->key_bytes_capacity = bytes;
    }
    struct local_group *group = &local->groups[local->group_count];
    *group = (struct local_group){
        .hash = hash, .key_offset = (uint32_t)local->key_bytes_used, .key_size = size};
    if (bytes > 0)
        memcpy(local->key_bytes + local->key_bytes_used, key, bytes);
    local->key_bytes_used += bytes;
    void *slot = local->slots + (size_t)local->group_count * local->slot_size;
    memset(slot, 0, local->slot_size);
    local->table[at] = ++local->group_count;
    const uint8_t fresh = 1;
    aggregate_parts_init_slots(&local->parts, &slot, &fresh, 1);
    return slot;
}

static void *find_slot(struct local_aggregate *local, uint32_t row)
{
    const char *key = local->keys.bytes[row];
    const uint32_t size = local->keys.sizes[row];
    const uint64_t hash = local->keys.hashes[row];
    uint32_t at = (uint32_t)key_table_hash(hash) & (LOCAL_TABLE_SIZE - 1);
    for (;; at = (at + 1) & (LOCAL_TABLE_SIZE - 1)) {
        const uint32_t index = local->table[at];
        if (index == 0)
            return add_group(local, at, key, size, hash);
        if (is_group(local, &local->groups[index - 1], key, size, hash))
            return local->slots + (size_t)(index - 1) * local->slot_size;
    }
}

static enum step start_batch(struct local_aggregate *local, struct batch *in, struct error *err)
{
    struct aggregate_parts *parts = &local->parts;
    if (aggregate_parts_evaluate(parts, in, err) != STATUS_OK)
        return STEP_FAILED;
    if (parts->has_signs) {
        (void)error_set(err, STATUS_UNSUPPORTED,
                        "operator \"%s\": a local aggregation cannot take rows back (-U, -D)",
                        local->env->spec->uid);
        return STEP_FAILED;
    }
    local->view = batch_create(in->schema, in->row_count);
    for (uint32_t i = 0; i < in->column_count; i++)
        local->view->columns[i] = column_ref(in->columns[i]);
    if (parts->row_count < in->row_count) {
        local->view->selection =
            reallocate_array(NULL, (size_t)parts->row_count + 1, sizeof(uint32_t));
        memcpy(local->view->selection, parts->rows, parts->row_count * sizeof(uint32_t));
        local->view->selected_count = parts->row_count;
    }
    if (parts->row_count > 0)
        key_batch_compute(&local->keys, local->view, local->key_columns,
                          local->key_schema->column_count);
    if (in->row_count > local->capacity) {
        local->capacity = in->row_count;
        local->row_slots =
            reallocate_array(local->row_slots, local->capacity, sizeof(*local->row_slots));
    }
    local->next = 0;
    local->is_busy = true;
    return STEP_DONE;
}

/* Adds rows until the table is full or the batch has ended. */
static void add_rows(struct local_aggregate *local)
{
    uint32_t count = 0;
    while (local->next + count < local->parts.row_count) {
        void *slot = find_slot(local, local->next + count);
        if (slot == NULL) {
            local->is_flushing = true;
            break;
        }
        local->row_slots[count++] = slot;
    }
    for (uint32_t p = 0; p < local->parts.count; p++)
        aggregate_part_apply(&local->parts, &local->parts.parts[p], local->row_slots, local->next,
                             count, NULL);
    local->next += count;
}

static enum step local_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                               struct error *err)
{
    struct local_aggregate *local = self;
    (void)input;
    enum step step = local->is_busy ? STEP_DONE : start_batch(local, in, err);
    if (step == STEP_DONE)
        step = row_failures_deliver(&local->parts.failures, local->env, in, out, err);
    while (step == STEP_DONE) {
        if (local->is_flushing)
            step = flush_table(local, out);
        if (step != STEP_DONE || local->next == local->parts.row_count)
            break;
        add_rows(local);
    }
    if (step != STEP_DONE)
        return step;
    batch_unref(take_pointer(&local->view));
    aggregate_parts_release(&local->parts);
    local->is_busy = false;
    return STEP_DONE;
}

static enum step local_flush(void *self, struct emitter *out, struct error *err)
{
    (void)err;
    return flush_table(self, out);
}

static enum step local_before_watermark(void *self, int64_t watermark_ms, struct emitter *out,
                                        struct error *err)
{
    (void)watermark_ms;
    (void)err;
    return flush_table(self, out);
}

static void local_close(void *self)
{
    struct local_aggregate *local = self;
    if (local->booked_bytes > 0 && local->env->memory != NULL)
        memory_release(local->env->memory, local->booked_bytes);
    batch_unref(local->view);
    aggregate_parts_close(&local->parts);
    key_batch_done(&local->keys);
    if (local->key_schema != NULL)
        schema_unref(local->key_schema);
    free(local->offsets);
    free(local->slots);
    free(local->table);
    free(local->groups);
    free(local->key_bytes);
    free(local->row_slots);
    *local = (struct local_aggregate){0};
}

const struct operator_ops local_aggregate_operator = {
    .abi_size = sizeof(struct operator_ops),
    .kind = "local_aggregate",
    .instance_size = sizeof(struct local_aggregate),
    .input_count = 1,
    .open = local_open,
    .process = local_process,
    .before_watermark = local_before_watermark,
    .before_barrier = local_flush,
    .flush = local_flush,
    .finish = local_flush,
    .close = local_close,
};
