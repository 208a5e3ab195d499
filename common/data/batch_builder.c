/*
 * Appends rows value by value: see batch_builder.h.
 *
 * Columns are built in place: a struct column with room for `capacity` rows whose row_count is
 * lowered when it is taken. The next column starts with the room that the last one needed.
 */
#include "common/data/batch_builder.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#define ROWS_FIRST   64
#define BUFFER_FIRST 1024
#define BUFFER_MAX   BATCH_BYTES_MAX

static void column_builder_init(struct column_builder *builder, struct column_builder *parent,
                                struct type type)
{
    *builder = (struct column_builder){.first_capacity = ROWS_FIRST, .parent = parent};
    builder->column = column_create(type, 0);
    if (type.child_count == 0)
        return;
    builder->children = allocate_array(type.child_count, sizeof(struct column_builder));
    for (uint32_t i = 0; i < type.child_count; i++)
        column_builder_init(&builder->children[i], builder, type.children[i].type);
}

static void column_builder_done(struct column_builder *builder)
{
    for (uint32_t i = 0; i < builder->column->type.child_count; i++)
        column_builder_done(&builder->children[i]);
    free(builder->children);
    column_unref(builder->column);
}

void batch_builder_init(struct batch_builder *builder, const struct schema *schema,
                        struct memory_account *account)
{
    *builder = (struct batch_builder){
        .schema = schema_ref(schema),
        .account = account,
        .columns = allocate_array(schema->column_count, sizeof(struct column_builder)),
        .buffer_capacity = BUFFER_FIRST,
    };
    builder->current = builder->columns;
    for (uint32_t i = 0; i < schema->column_count; i++)
        column_builder_init(&builder->columns[i], NULL, schema->columns[i].type);
}

void batch_builder_done(struct batch_builder *builder)
{
    if (builder->schema == NULL)
        return;
    for (uint32_t i = 0; i < builder->schema->column_count; i++)
        column_builder_done(&builder->columns[i]);
    free(builder->columns);
    free(builder->row_kinds);
    buffer_unref(builder->buffer);
    buffer_unref(builder->origin.source);
    schema_unref(builder->schema);
    *builder = (struct batch_builder){0};
}

/* ---- room ---- */

static bool has_offsets(const struct column *column)
{
    return column->offsets != NULL;
}

void column_builder_grow(struct column_builder *builder)
{
    struct column *old = builder->column;
    CHECK(builder->capacity <= UINT32_MAX / 2);
    const uint32_t capacity =
        builder->capacity == 0 ? builder->first_capacity : builder->capacity * 2;
    struct column *grown = column_create(old->type, capacity);
    const uint32_t count = builder->row_count;
    if (old->values != NULL && count > 0)
        memcpy(grown->values, old->values, count * type_value_size(old->type.kind));
    if (has_offsets(old))
        memcpy(grown->offsets, old->offsets, ((size_t)count + 1) * sizeof(uint32_t));
    if (old->validity != NULL) {
        column_need_validity(grown);
        memcpy(grown->validity, old->validity, ((size_t)count + 63) / 64 * sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < old->buffer_count; i++)
        (void)column_add_buffer(grown, old->buffers[i]);
    column_unref(old);
    builder->column = grown;
    builder->capacity = capacity;
}

void column_builder_use_buffer(struct column_builder *builder, struct buffer *buffer)
{
    builder->buffer_index = column_add_buffer(builder->column, buffer);
    builder->buffer = buffer;
}

/* Room for one more value, and the row it goes to. */
static inline uint32_t next_row(struct column_builder *builder)
{
    if (__builtin_expect(builder->row_count == builder->capacity, 0))
        column_builder_grow(builder);
    return builder->row_count++;
}

/* ---- values ---- */

static void append_null(struct column_builder *builder)
{
    const uint32_t row = next_row(builder);
    struct column *column = builder->column;
    column_need_validity(column);
    column_set_null(column, row);
    const size_t size = type_value_size(column->type.kind);
    if (size > 0)
        memset((char *)column->values + row * size, 0, size);
    if (has_offsets(column)) {
        column->offsets[row + 1] = column->offsets[row];
        return;
    }
    for (uint32_t i = 0; i < column->type.child_count; i++)
        append_null(&builder->children[i]);
}

void batch_builder_null(struct batch_builder *builder, uint32_t column)
{
    append_null(&builder->current[column]);
    builder->byte_size += 1;
}

void batch_builder_bool(struct batch_builder *builder, uint32_t column, bool value)
{
    struct column_builder *target = &builder->current[column];
    DCHECK(target->column->type.kind == TYPE_BOOLEAN);
    const uint32_t row = next_row(target);
    ((uint8_t *)target->column->values)[row] = value;
    builder->byte_size += 1;
}

void batch_builder_int(struct batch_builder *builder, uint32_t column, int64_t value)
{
    struct column_builder *target = &builder->current[column];
    const uint32_t row = next_row(target);
    void *values = target->column->values;
    const enum type_kind kind = target->column->type.kind;
    DCHECK(kind != TYPE_FLOAT && kind != TYPE_DOUBLE && kind != TYPE_BOOLEAN);
    switch (type_value_size(kind)) {
    case 1:
        ((int8_t *)values)[row] = (int8_t)value;
        builder->byte_size += 1;
        break;
    case 2:
        ((int16_t *)values)[row] = (int16_t)value;
        builder->byte_size += 2;
        break;
    case 4:
        ((int32_t *)values)[row] = (int32_t)value;
        builder->byte_size += 4;
        break;
    case 8:
        ((int64_t *)values)[row] = value;
        builder->byte_size += 8;
        break;
    default:
        UNREACHABLE();
    }
}

void batch_builder_double(struct batch_builder *builder, uint32_t column, double value)
{
    struct column_builder *target = &builder->current[column];
    const uint32_t row = next_row(target);
    if (target->column->type.kind == TYPE_FLOAT) {
        ((float *)target->column->values)[row] = (float)value;
    } else {
        DCHECK(target->column->type.kind == TYPE_DOUBLE);
        ((double *)target->column->values)[row] = value;
    }
    builder->byte_size += 8;
}

void batch_builder_decimal(struct batch_builder *builder, uint32_t column, __int128 unscaled)
{
    struct column_builder *target = &builder->current[column];
    DCHECK(target->column->type.kind == TYPE_DECIMAL);
    const uint32_t row = next_row(target);
    ((__int128 *)target->column->values)[row] = unscaled;
    builder->byte_size += 16;
}

void batch_builder_fixed(struct batch_builder *builder, uint32_t column, const void *value)
{
    struct column_builder *target = &builder->current[column];
    const size_t size = type_value_size(target->column->type.kind);
    DCHECK(size > 0 && !type_is_view(target->column->type.kind));
    const uint32_t row = next_row(target);
    memcpy((char *)target->column->values + row * size, value, size);
    builder->byte_size += size;
}

/* A place for `size` bytes in the builder's own buffer. */
static uint32_t reserve_bytes(struct batch_builder *builder, size_t size)
{
    CHECK(size <= UINT32_MAX / 2);
    struct buffer *buffer = builder->buffer;
    if (buffer == NULL || size > buffer->capacity - buffer->size) {
        const uint32_t wanted = builder->buffer_capacity;
        buffer = buffer_create(builder->account, size > wanted ? (uint32_t)size : wanted);
        buffer_unref(builder->buffer);
        builder->buffer = buffer;
        builder->buffer_row_start = 0;
        builder->buffer_capacity = wanted < BUFFER_MAX ? wanted * 2 : BUFFER_MAX;
    }
    const uint32_t offset = buffer->size;
    buffer->size += (uint32_t)size;
    return offset;
}

static void append_bytes(struct batch_builder *builder, struct column_builder *target,
                         const char *bytes, size_t size)
{
    DCHECK(type_is_view(target->column->type.kind));
    const uint32_t row = next_row(target);
    struct string_view view;
    if (size <= STRING_VIEW_INLINE) {
        view = string_view_inline(bytes, (uint32_t)size);
    } else {
        const uint32_t offset = reserve_bytes(builder, size);
        memcpy(builder->buffer->bytes + offset, bytes, size);
        if (target->buffer != builder->buffer)
            column_builder_use_buffer(target, builder->buffer);
        view = string_view_make(builder->buffer, target->buffer_index, offset, (uint32_t)size);
    }
    column_views(target->column)[row] = view;
    builder->byte_size += sizeof(view) + size;
}

void batch_builder_bytes(struct batch_builder *builder, uint32_t column, const char *bytes,
                         size_t size)
{
    append_bytes(builder, &builder->current[column], bytes, size);
}

static void append_copy(struct batch_builder *builder, struct column_builder *target,
                        const struct column *from, uint32_t row)
{
    if (column_is_null(from, row)) {
        append_null(target);
        builder->byte_size += 1;
        return;
    }
    if (type_is_view(from->type.kind)) {
        const struct string_view *view = &column_views(from)[row];
        append_bytes(builder, target, string_view_bytes(from, view), view->size);
        return;
    }
    const uint32_t count = target->row_count;
    if (has_offsets(from)) {
        for (uint32_t c = 0; c < from->child_count; c++) {
            for (uint32_t e = from->offsets[row]; e < from->offsets[row + 1]; e++)
                append_copy(builder, &target->children[c], from->children[c], e);
        }
        (void)next_row(target);
        target->column->offsets[count + 1] = target->children[0].row_count;
        return;
    }
    (void)next_row(target);
    const size_t size = type_value_size(from->type.kind);
    if (size > 0)
        memcpy((char *)target->column->values + count * size,
               (const char *)from->values + row * size, size);
    builder->byte_size += size;
    for (uint32_t c = 0; c < from->child_count; c++)
        append_copy(builder, &target->children[c], from->children[c], row);
}

void batch_builder_copy(struct batch_builder *builder, uint32_t column, const struct column *from,
                        uint32_t row)
{
    struct column_builder *target = &builder->current[column];
    DCHECK(type_value_size(target->column->type.kind) == type_value_size(from->type.kind) &&
           target->column->type.child_count == from->type.child_count);
    append_copy(builder, target, from, row);
}

/* ---- nested values ---- */

void batch_builder_begin(struct batch_builder *builder, uint32_t column)
{
    struct column_builder *target = &builder->current[column];
    CHECK(target->children != NULL || target->column->type.kind == TYPE_ROW);
    builder->open = target;
    builder->current = target->children;
}

void batch_builder_end(struct batch_builder *builder)
{
    struct column_builder *ended = builder->open;
    CHECK(ended != NULL);
    const uint32_t row = next_row(ended);
    const struct column *column = ended->column;
    for (uint32_t i = 1; i < column->type.child_count; i++)
        CHECK(ended->children[i].row_count == ended->children[0].row_count);
    if (has_offsets(column)) {
        column->offsets[row + 1] = ended->children[0].row_count;
    } else if (column->type.child_count > 0) {
        CHECK(ended->children[0].row_count == row + 1);
    }
    builder->byte_size += sizeof(uint32_t);
    builder->open = ended->parent;
    builder->current = ended->parent != NULL ? ended->parent->children : builder->columns;
}

bool batch_builder_has(const struct batch_builder *builder, uint32_t column)
{
    const uint32_t before = builder->open != NULL ? builder->open->row_count : builder->row_count;
    DCHECK(builder->open == NULL || !has_offsets(builder->open->column));
    return builder->current[column].row_count > before;
}

/* Back to the first `count` values. */
static void truncate_column(struct column_builder *builder, uint32_t count)
{
    struct column *column = builder->column;
    if (column->validity != NULL) {
        for (uint32_t row = count; row < builder->row_count; row++)
            column->validity[row / 64] |= UINT64_C(1) << (row % 64);
    }
    builder->row_count = count;
    const uint32_t children_count = has_offsets(column) ? column->offsets[count] : count;
    for (uint32_t i = 0; i < column->type.child_count; i++)
        truncate_column(&builder->children[i], children_count);
}

void batch_builder_drop(struct batch_builder *builder, uint32_t column)
{
    struct column_builder *target = &builder->current[column];
    CHECK(target->row_count > 0);
    truncate_column(target, target->row_count - 1);
}

/* ---- rows ---- */

void batch_builder_null_missing(struct batch_builder *builder)
{
    CHECK(builder->open == NULL);
    for (uint32_t i = 0; i < builder->schema->column_count; i++) {
        if (builder->columns[i].row_count == builder->row_count)
            batch_builder_null(builder, i);
    }
}

/* From the first row that is no insert on, kinds are kept. */
static void set_row_kind(struct batch_builder *builder, enum row_kind kind)
{
    if (builder->row_kinds == NULL && kind == ROW_INSERT)
        return;
    if (builder->row_kinds == NULL || builder->row_count == builder->row_kind_capacity) {
        const uint32_t capacity =
            builder->row_count < ROWS_FIRST ? ROWS_FIRST : builder->row_count * 2;
        const bool is_new = builder->row_kinds == NULL;
        builder->row_kinds = reallocate_array(builder->row_kinds, capacity, 1);
        builder->row_kind_capacity = capacity;
        if (is_new)
            memset(builder->row_kinds, ROW_INSERT, builder->row_count);
    }
    builder->row_kinds[builder->row_count] = (uint8_t)kind;
}

void batch_builder_end_row(struct batch_builder *builder, enum row_kind kind)
{
    DCHECK(builder->open == NULL);
    for (uint32_t i = 0; i < builder->schema->column_count; i++)
        CHECK(builder->columns[i].row_count == builder->row_count + 1);
    set_row_kind(builder, kind);
    builder->row_count++;
    builder->byte_size_start = builder->byte_size;
    builder->buffer_row_start = builder->buffer != NULL ? builder->buffer->size : 0;
}

void batch_builder_undo_row(struct batch_builder *builder)
{
    builder->open = NULL;
    builder->current = builder->columns;
    for (uint32_t i = 0; i < builder->schema->column_count; i++)
        truncate_column(&builder->columns[i], builder->row_count);
    builder->byte_size = builder->byte_size_start;
    if (builder->buffer != NULL)
        builder->buffer->size = builder->buffer_row_start;
}

/* The finished column; the builder starts an empty one. */
static struct column *take_column(struct column_builder *builder)
{
    struct column *column = builder->column;
    const struct type type = column->type;
    const uint32_t count = builder->row_count;
    column->row_count = count;
    for (uint32_t i = 0; i < type.child_count; i++)
        column->children[i] = take_column(&builder->children[i]);
    uint32_t capacity = ROWS_FIRST;
    while (capacity < count)
        capacity *= 2;
    builder->first_capacity = capacity;
    builder->capacity = 0;
    builder->row_count = 0;
    builder->buffer = NULL;
    builder->buffer_index = 0;
    builder->column = column_create(type, 0);
    return column;
}

struct batch *batch_builder_take(struct batch_builder *builder)
{
    batch_builder_undo_row(builder);
    if (builder->row_count == 0)
        return NULL;
    struct batch *batch = batch_create(builder->schema, builder->row_count);
    for (uint32_t i = 0; i < batch->column_count; i++)
        batch->columns[i] = take_column(&builder->columns[i]);
    batch->row_kinds = take_pointer(&builder->row_kinds);
    batch->origin = builder->origin;
    builder->origin = (struct batch_origin){0};
    /* The next buffer is as large as this batch needed, so that small batches pin little. */
    if (builder->buffer != NULL) {
        uint32_t capacity = BUFFER_FIRST;
        while (capacity < BUFFER_MAX && capacity < builder->byte_size)
            capacity *= 2;
        builder->buffer_capacity = capacity;
        buffer_unref(take_pointer(&builder->buffer));
    }
    builder->buffer_row_start = 0;
    builder->row_count = 0;
    builder->byte_size = 0;
    builder->byte_size_start = 0;
    builder->row_kind_capacity = 0;
    return batch;
}
