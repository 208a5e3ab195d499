/*
 * Columns: see batch.h.
 *
 * A column is one block of memory: the struct, the pointers to its first buffers or children, the
 * values or offsets, room for the validity bitmap, and padding. Freeing it is one call.
 */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/data/batch.h"

/* Most columns point into one or two buffers. */
#define INLINE_BUFFERS 2

_Static_assert(sizeof(struct column) % 16 == 0, "values behind the struct are aligned for DECIMAL");

const uint8_t string_view_mask[2 * STRING_VIEW_INLINE] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                          0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};

static bool has_offsets(enum type_kind kind)
{
    return kind == TYPE_ARRAY || kind == TYPE_MAP;
}

/* Bytes of values or offsets, up to where the bitmap starts. */
static size_t value_bytes(const struct type *type, uint32_t row_count)
{
    const size_t size = has_offsets(type->kind) ? ((size_t)row_count + 1) * sizeof(uint32_t)
                                                : row_count * type_value_size(type->kind);
    return (size + 7) & ~(size_t)7;
}

static size_t bitmap_bytes(uint32_t row_count)
{
    return ((size_t)row_count + 63) / 64 * sizeof(uint64_t);
}

static void *inline_pointers(const struct column *column)
{
    return (void *)(uintptr_t)(column + 1);
}

struct column *column_create(struct type type, uint32_t row_count)
{
    const uint32_t child_count = type.child_count;
    const bool is_view = type_is_view(type.kind);
    const size_t pointer_count = is_view ? INLINE_BUFFERS : child_count;
    const size_t pointer_bytes = (pointer_count * sizeof(void *) + 15) & ~(size_t)15;
    const size_t values_size = value_bytes(&type, row_count);
    struct column *column = reallocate_array(NULL,
                                             sizeof(*column) + pointer_bytes + values_size +
                                                 bitmap_bytes(row_count) + COLUMN_PADDING,
                                             1);
    char *values = (char *)inline_pointers(column) + pointer_bytes;
    *column = (struct column){.row_count = row_count, .type = type};
    atomic_init(&column->references, 1);
    if (is_view) {
        column->buffers = inline_pointers(column);
        column->buffer_capacity = INLINE_BUFFERS;
    } else if (child_count > 0) {
        column->children = inline_pointers(column);
        column->child_count = child_count;
        memset(column->children, 0, pointer_bytes);
    }
    if (has_offsets(type.kind)) {
        column->offsets = (uint32_t *)(void *)values;
        column->offsets[0] = 0;
    } else if (type_value_size(type.kind) > 0) {
        column->values = values;
    }
    column->validity_room = (uint64_t *)(void *)(values + values_size);
    return column;
}

struct column *column_ref(struct column *column)
{
    atomic_fetch_add_explicit(&column->references, 1, memory_order_relaxed);
    return column;
}

static void column_free(struct column *column)
{
    for (uint32_t i = 0; i < column->buffer_count; i++)
        buffer_unref(column->buffers[i]);
    for (uint32_t i = 0; i < column->child_count; i++)
        column_unref(column->children[i]);
    if (column->buffer_capacity > INLINE_BUFFERS)
        free(column->buffers);
    free(column);
}

void column_unref(struct column *column)
{
    if (column == NULL)
        return;
    /* The only holder needs no locked instruction. */
    if (atomic_load_explicit(&column->references, memory_order_acquire) == 1 ||
        atomic_fetch_sub_explicit(&column->references, 1, memory_order_acq_rel) == 1)
        column_free(column);
}

void column_need_validity(struct column *column)
{
    if (column->validity != NULL)
        return;
    column->validity = column->validity_room;
    memset(column->validity, 0xFF, bitmap_bytes(column->row_count));
}

uint32_t column_add_buffer(struct column *column, struct buffer *buffer)
{
    const uint32_t count = column->buffer_count;
    if (count > 0 && column->buffers[count - 1] == buffer)
        return count - 1;
    if (count == column->buffer_capacity) {
        const uint32_t capacity = count * 2;
        struct buffer **grown = NULL;
        if (count <= INLINE_BUFFERS) {
            grown = reallocate_array(NULL, capacity, sizeof(struct buffer *));
            memcpy(grown, column->buffers, count * sizeof(struct buffer *));
        } else {
            grown = reallocate_array(column->buffers, capacity, sizeof(struct buffer *));
        }
        column->buffers = grown;
        column->buffer_capacity = capacity;
    }
    column->buffers[column->buffer_count++] = buffer_ref(buffer);
    return count;
}

/* Bytes of strings that lie in buffers. */
static uint64_t outside_bytes(const struct column *column)
{
    const struct string_view *views = column_views(column);
    uint64_t size = 0;
    for (uint32_t i = 0; i < column->row_count; i++) {
        if (!column_is_null(column, i) && views[i].size > STRING_VIEW_INLINE)
            size += views[i].size;
    }
    return size;
}

uint64_t column_byte_size(const struct column *column)
{
    uint64_t size = value_bytes(&column->type, column->row_count);
    if (column->validity != NULL)
        size += bitmap_bytes(column->row_count);
    if (column->buffer_count > 0)
        size += outside_bytes(column);
    for (uint32_t i = 0; i < column->child_count; i++)
        size += column_byte_size(column->children[i]);
    return size;
}

#define GATHER(type)                                                                               \
    do {                                                                                           \
        const type *restrict source = from->values;                                                \
        type *restrict target = to->values;                                                        \
        for (uint32_t i = 0; i < count; i++)                                                       \
            target[i] = source[rows[i]];                                                           \
    } while (0)

static void gather_values(const struct column *from, const uint32_t *rows, uint32_t count,
                          struct column *to)
{
    switch (type_value_size(from->type.kind)) {
    case 1:
        GATHER(uint8_t);
        break;
    case 2:
        GATHER(uint16_t);
        break;
    case 4:
        GATHER(uint32_t);
        break;
    case 8:
        GATHER(uint64_t);
        break;
    case 16:
        GATHER(unsigned __int128);
        break;
    case 0:
        break;
    default:
        UNREACHABLE();
    }
}

static void gather_validity(const struct column *from, const uint32_t *rows, uint32_t count,
                            struct column *to)
{
    column_need_validity(to);
    for (uint32_t i = 0; i < count; i++) {
        if (column_is_null(from, rows[i]))
            column_set_null(to, i);
    }
}

/* The entries of the chosen lists, one after the other. */
static void gather_lists(const struct column *from, const uint32_t *rows, uint32_t count,
                         struct column *to)
{
    uint64_t entry_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!column_is_null(from, rows[i]))
            entry_count += from->offsets[rows[i] + 1] - from->offsets[rows[i]];
        CHECK(entry_count <= UINT32_MAX);
        to->offsets[i + 1] = (uint32_t)entry_count;
    }
    SCOPED(free) void *memory = reallocate_array(NULL, entry_count, sizeof(uint32_t));
    uint32_t *entries = memory;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t first = from->offsets[rows[i]];
        const uint32_t size = to->offsets[i + 1] - to->offsets[i];
        for (uint32_t e = 0; e < size; e++)
            entries[to->offsets[i] + e] = first + e;
    }
    for (uint32_t c = 0; c < from->child_count; c++)
        to->children[c] = column_gather(from->children[c], entries, (uint32_t)entry_count);
}

struct column *column_gather(const struct column *column, const uint32_t *rows, uint32_t count)
{
    struct column *gathered = column_create(column->type, count);
    gather_values(column, rows, count, gathered);
    if (column->validity != NULL)
        gather_validity(column, rows, count, gathered);
    for (uint32_t i = 0; i < column->buffer_count; i++)
        (void)column_add_buffer(gathered, column->buffers[i]);
    if (has_offsets(column->type.kind)) {
        gather_lists(column, rows, count, gathered);
    } else {
        for (uint32_t i = 0; i < column->child_count; i++)
            gathered->children[i] = column_gather(column->children[i], rows, count);
    }
    return gathered;
}

static bool column_pins_too_much(const struct column *column)
{
    uint64_t pinned = 0;
    for (uint32_t i = 0; i < column->buffer_count; i++)
        pinned += column->buffers[i]->capacity;
    if (pinned > 0 && pinned > outside_bytes(column) * BATCH_PINNED_FACTOR)
        return true;
    for (uint32_t i = 0; i < column->child_count; i++) {
        if (column_pins_too_much(column->children[i]))
            return true;
    }
    return false;
}

static struct column *repack_views(const struct column *column)
{
    struct column *packed = column_create(column->type, column->row_count);
    const struct string_view *source = column_views(column);
    struct string_view *target = column_views(packed);
    const uint64_t size = outside_bytes(column);
    CHECK(size <= UINT32_MAX - BUFFER_PADDING);
    SCOPED(buffer_unref)
    struct buffer *buffer =
        size > 0 ? buffer_create(column->buffers[0]->account, (uint32_t)size) : NULL;
    if (column->validity != NULL) {
        column_need_validity(packed);
        memcpy(packed->validity, column->validity, bitmap_bytes(column->row_count));
    }
    if (buffer != NULL)
        (void)column_add_buffer(packed, buffer);
    for (uint32_t i = 0; i < column->row_count; i++) {
        if (column_is_null(column, i)) {
            target[i] = (struct string_view){0};
        } else if (source[i].size <= STRING_VIEW_INLINE) {
            target[i] = source[i];
        } else {
            CHECK(buffer != NULL); /* outside_bytes counts the same rows */
            memcpy(buffer->bytes + buffer->size, string_view_bytes(column, &source[i]),
                   source[i].size);
            target[i] = source[i];
            target[i].ref.buffer = 0;
            target[i].ref.offset = buffer->size;
            buffer->size += source[i].size;
        }
    }
    return packed;
}

struct column *column_repack(struct column *column)
{
    if (!column_pins_too_much(column))
        return column_ref(column);
    if (type_is_view(column->type.kind))
        return repack_views(column);
    struct column *packed = column_create(column->type, column->row_count);
    if (column->validity != NULL) {
        column_need_validity(packed);
        memcpy(packed->validity, column->validity, bitmap_bytes(column->row_count));
    }
    if (has_offsets(column->type.kind))
        memcpy(packed->offsets, column->offsets,
               ((size_t)column->row_count + 1) * sizeof(uint32_t));
    for (uint32_t i = 0; i < column->child_count; i++)
        packed->children[i] = column_repack(column->children[i]);
    return packed;
}
