/*
 * Keys of a batch: canonical bytes, hashes, key groups. See key.h.
 *
 * One column of strings or of integers needs no copy: the ranges point at the view's inline bytes,
 * at its buffer or at the value. Several columns are written column by column into scratch: first
 * the sizes, then the bytes.
 */
#include "common/data/key.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/data/value_codec.h"
#include "common/data/xxh3_inline.h"

#include <string.h>

#define KEY_PADDING 64

static const char null_key[KEY_PADDING] = {(char)0xFF};

void key_batch_init(struct key_batch *keys)
{
    *keys = (struct key_batch){0};
}

void key_batch_done(struct key_batch *keys)
{
    free(keys->bytes);
    free(keys->sizes);
    free(keys->hashes);
    free(keys->scratch);
    *keys = (struct key_batch){0};
}

uint64_t key_hash(const char *canonical, uint32_t size)
{
    return size == KEY_NULL ? XXH3_64bits(null_key, 1) : XXH3_64bits(canonical, size);
}

struct key_group_range key_group_range_of(uint32_t subtask, uint32_t parallelism,
                                          uint32_t max_parallelism)
{
    const uint64_t first = ((uint64_t)subtask * max_parallelism + parallelism - 1) / parallelism;
    const uint64_t end =
        (((uint64_t)subtask + 1) * max_parallelism + parallelism - 1) / parallelism;
    if (first >= end)
        return (struct key_group_range){.first = 1, .last = 0};
    return (struct key_group_range){.first = (uint32_t)first, .last = (uint32_t)(end - 1)};
}

static void reserve_entries(struct key_batch *keys, uint32_t count)
{
    if (count > keys->capacity) {
        keys->bytes = reallocate_array(keys->bytes, count, sizeof(keys->bytes[0]));
        keys->sizes = reallocate_array(keys->sizes, count, sizeof(keys->sizes[0]));
        keys->hashes = reallocate_array(keys->hashes, count, sizeof(keys->hashes[0]));
        keys->capacity = count;
    }
    keys->count = count;
}

static char *reserve_scratch(struct key_batch *keys, size_t size)
{
    if (size + KEY_PADDING > keys->scratch_capacity) {
        free(keys->scratch);
        keys->scratch_capacity = size + size / 2 + KEY_PADDING;
        keys->scratch = reallocate_array(NULL, keys->scratch_capacity, 1);
    }
    return keys->scratch;
}

static void set_key(const struct key_batch *keys, uint32_t i, const char *bytes, uint32_t size)
{
    keys->bytes[i] = bytes;
    keys->sizes[i] = size;
    keys->hashes[i] = XXH3_64bits(bytes, size);
}

static void set_null_key(const struct key_batch *keys, uint32_t i)
{
    keys->bytes[i] = null_key;
    keys->sizes[i] = KEY_NULL;
    keys->hashes[i] = XXH3_64bits(null_key, 1);
}

/* The three arrays in locals: the compiler cannot know that storing an entry changes no pointer. */
struct entries {
    const char **restrict bytes;
    uint32_t *restrict sizes;
    uint64_t *restrict hashes;
};

/* ---- one column ---- */

/* The flags are constants in each caller, so that each has a loop of its own. value_size 0 means
 * views. */
static inline __attribute__((always_inline)) void
compute_loop(const struct key_batch *keys, const struct batch *batch, const struct column *column,
             const char *values, uint32_t value_size, bool has_selection, bool has_validity)
{
    const struct entries entries = {keys->bytes, keys->sizes, keys->hashes};
    const struct string_view *views = (const struct string_view *)(const void *)values;
    const uint32_t *selection = batch->selection;
    struct buffer *const *buffers = column->buffers;
    const uint32_t count = keys->count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = has_selection ? selection[i] : i;
        if (has_validity && column_is_null(column, row)) {
            set_null_key(keys, i);
            continue;
        }
        const char *bytes = NULL;
        uint32_t size = value_size;
        if (value_size > 0) {
            bytes = values + (size_t)row * value_size;
        } else {
            const struct string_view *view = &views[row];
            size = view->size;
            bytes = size <= STRING_VIEW_INLINE
                        ? view->inlined
                        : buffers[view->ref.buffer]->bytes + view->ref.offset;
        }
        entries.bytes[i] = bytes;
        entries.sizes[i] = size;
        entries.hashes[i] = XXH3_64bits(bytes, size);
    }
}

/* value_size is a constant in each caller. */
static inline __attribute__((always_inline)) void
compute_fixed_size(const struct key_batch *keys, const struct batch *batch,
                   const struct column *column, const char *values, uint32_t value_size)
{
    const bool has_validity = column->validity != NULL;
    if (batch->selection == NULL && !has_validity)
        compute_loop(keys, batch, column, values, value_size, false, false);
    else if (batch->selection == NULL)
        compute_loop(keys, batch, column, values, value_size, false, true);
    else if (!has_validity)
        compute_loop(keys, batch, column, values, value_size, true, false);
    else
        compute_loop(keys, batch, column, values, value_size, true, true);
}

static void compute_views(const struct key_batch *keys, const struct batch *batch,
                          const struct column *column)
{
    compute_fixed_size(keys, batch, column, column->values, 0);
}

static void compute_fixed(struct key_batch *keys, const struct batch *batch,
                          const struct column *column, const char *values)
{
    switch (type_value_size(column->type.kind)) {
    case 1:
        compute_fixed_size(keys, batch, column, values, 1);
        break;
    case 2:
        compute_fixed_size(keys, batch, column, values, 2);
        break;
    case 4:
        compute_fixed_size(keys, batch, column, values, 4);
        break;
    case 8:
        compute_fixed_size(keys, batch, column, values, 8);
        break;
    case 16:
        compute_fixed_size(keys, batch, column, values, 16);
        break;
    default:
        UNREACHABLE();
    }
}

/* All rows of a FLOAT or DOUBLE column, normalised. */
static const char *normalise_floats(struct key_batch *keys, const struct column *column)
{
    const uint32_t count = column->row_count;
    if (column->type.kind == TYPE_FLOAT) {
        float *normal = (float *)(void *)reserve_scratch(keys, count * sizeof(float));
        for (uint32_t i = 0; i < count; i++)
            normal[i] = canonical_float(((const float *)column->values)[i]);
        return (const char *)normal;
    }
    double *normal = (double *)(void *)reserve_scratch(keys, count * sizeof(double));
    for (uint32_t i = 0; i < count; i++)
        normal[i] = canonical_double(((const double *)column->values)[i]);
    return (const char *)normal;
}

/* ARRAY, MAP, ROW: the canonical form of value_codec.h, one after the other in scratch. */
static void compute_nested(struct key_batch *keys, const struct batch *batch,
                           const struct column *column)
{
    SCOPED_TEXT_BUFFER struct text encoded;
    text_init(&encoded, SIZE_MAX / 2);
    for (uint32_t i = 0; i < keys->count; i++) {
        const uint32_t row = batch_row(batch, i);
        const size_t start = encoded.size;
        keys->sizes[i] = KEY_NULL;
        if (column_is_null(column, row))
            continue;
        value_encode_canonical(column, row, &encoded);
        CHECK(encoded.size - start < KEY_NULL);
        keys->sizes[i] = (uint32_t)(encoded.size - start);
    }
    char *at = reserve_scratch(keys, encoded.size);
    memcpy(at, encoded.bytes, encoded.size);
    for (uint32_t i = 0; i < keys->count; i++) {
        if (keys->sizes[i] == KEY_NULL) {
            set_null_key(keys, i);
        } else {
            set_key(keys, i, at, keys->sizes[i]);
            at += keys->sizes[i];
        }
    }
}

static void compute_single(struct key_batch *keys, const struct batch *batch,
                           const struct column *column)
{
    const enum type_kind kind = column->type.kind;
    if (type_is_view(kind))
        compute_views(keys, batch, column);
    else if (kind == TYPE_FLOAT || kind == TYPE_DOUBLE)
        compute_fixed(keys, batch, column, normalise_floats(keys, column));
    else if (type_value_size(kind) > 0)
        compute_fixed(keys, batch, column, column->values);
    else
        compute_nested(keys, batch, column);
}

/* ---- several columns ---- */

/* The encoded values of a nested key column: entry i belongs to the i-th selected row. */
struct nested_values {
    struct text bytes;
    uint32_t *ends;
};

static void encode_nested(struct nested_values *nested, const struct batch *batch,
                          const struct column *column, uint32_t count)
{
    text_init(&nested->bytes, UINT32_MAX - 1);
    nested->ends = reallocate_array(NULL, count, sizeof(uint32_t));
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = batch_row(batch, i);
        if (!column_is_null(column, row))
            value_encode_canonical(column, row, &nested->bytes);
        CHECK(!nested->bytes.overflowed);
        nested->ends[i] = (uint32_t)nested->bytes.size;
    }
}

static uint32_t nested_size(const struct nested_values *nested, uint32_t i)
{
    DCHECK(nested->ends != NULL);
    return nested->ends[i] - (i > 0 ? nested->ends[i - 1] : 0);
}

static void add_sizes(const struct key_batch *keys, const struct batch *batch,
                      const struct column *column, const struct nested_values *nested)
{
    const uint32_t value_size = (uint32_t)type_value_size(column->type.kind);
    const struct string_view *views = column_views(column);
    const bool is_view = type_is_view(column->type.kind);
    const uint32_t count = keys->count;
    uint32_t *restrict sizes = keys->sizes;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = batch_row(batch, i);
        uint64_t size = sizes[i] + UINT64_C(1);
        if (!column_is_null(column, row)) {
            if (is_view)
                size += sizeof(uint32_t) + (uint64_t)views[row].size;
            else
                size += value_size > 0 ? value_size : sizeof(uint32_t) + nested_size(nested, i);
        }
        CHECK(size < KEY_NULL);
        sizes[i] = (uint32_t)size;
    }
}

static inline char *put_sized(char *at, const char *bytes, uint32_t size)
{
    memcpy(at, &size, sizeof(size));
    at += sizeof(size);
    /* Short ones without a call: two words that may overlap. */
    if (size >= 8 && size <= 16) {
        uint64_t words[2];
        memcpy(&words[0], bytes, 8);
        memcpy(&words[1], bytes + size - 8, 8);
        memcpy(at, &words[0], 8);
        memcpy(at + size - 8, &words[1], 8);
    } else if (size >= 4 && size < 8) {
        uint32_t words[2];
        memcpy(&words[0], bytes, 4);
        memcpy(&words[1], bytes + size - 4, 4);
        memcpy(at, &words[0], 4);
        memcpy(at + size - 4, &words[1], 4);
    } else {
        memcpy(at, bytes, size);
    }
    return at + size;
}

static char *put_value(char *at, const struct column *column, uint32_t row)
{
    const size_t size = type_value_size(column->type.kind);
    if (column->type.kind == TYPE_FLOAT) {
        const float value = canonical_float(((const float *)column->values)[row]);
        memcpy(at, &value, sizeof(value));
    } else if (column->type.kind == TYPE_DOUBLE) {
        const double value = canonical_double(((const double *)column->values)[row]);
        memcpy(at, &value, sizeof(value));
    } else if (size == sizeof(uint64_t)) {
        memcpy(at, (const char *)column->values + row * sizeof(uint64_t), sizeof(uint64_t));
    } else {
        memcpy(at, (const char *)column->values + row * size, size);
    }
    return at + size;
}

/* Writes the column's part of every key at bytes[i], which is moved behind it. */
static void put_column(const struct key_batch *keys, const struct batch *batch,
                       const struct column *column, const struct nested_values *nested)
{
    const struct string_view *views = column_views(column);
    const bool is_view = type_is_view(column->type.kind);
    const bool is_nested = type_value_size(column->type.kind) == 0;
    for (uint32_t i = 0; i < keys->count; i++) {
        const uint32_t row = batch_row(batch, i);
        char *at = (char *)(uintptr_t)keys->bytes[i];
        if (column_is_null(column, row)) {
            *at++ = 0;
        } else if (is_view) {
            *at++ = 1;
            at = put_sized(at, string_view_bytes(column, &views[row]), views[row].size);
        } else if (is_nested) {
            const uint32_t start = i > 0 ? nested->ends[i - 1] : 0;
            *at++ = 1;
            at = put_sized(at, nested->bytes.bytes + start, nested->ends[i] - start);
        } else {
            *at++ = 1;
            at = put_value(at, column, row);
        }
        keys->bytes[i] = at;
    }
}

static void compute_several(struct key_batch *keys, const struct batch *batch,
                            const uint32_t *columns, uint32_t column_count)
{
    struct nested_values nested[KEY_COLUMN_MAX] = {0};
    memset(keys->sizes, 0, keys->count * sizeof(keys->sizes[0]));
    for (uint32_t c = 0; c < column_count; c++) {
        const struct column *column = batch->columns[columns[c]];
        if (type_value_size(column->type.kind) == 0)
            encode_nested(&nested[c], batch, column, keys->count);
        add_sizes(keys, batch, column, &nested[c]);
    }
    size_t total = 0;
    for (uint32_t i = 0; i < keys->count; i++)
        total += keys->sizes[i];
    const char *at = reserve_scratch(keys, total);
    for (uint32_t i = 0; i < keys->count; i++) {
        keys->bytes[i] = at;
        at += keys->sizes[i];
    }
    for (uint32_t c = 0; c < column_count; c++) {
        const struct column *column = batch->columns[columns[c]];
        put_column(keys, batch, column, &nested[c]);
        if (type_value_size(column->type.kind) == 0) {
            text_done(&nested[c].bytes);
            free(nested[c].ends);
        }
    }
    for (uint32_t i = 0; i < keys->count; i++)
        set_key(keys, i, keys->bytes[i] - keys->sizes[i], keys->sizes[i]);
}

void key_batch_compute(struct key_batch *keys, const struct batch *batch, const uint32_t *columns,
                       uint32_t column_count)
{
    CHECK(column_count <= KEY_COLUMN_MAX);
    reserve_entries(keys, batch_selected(batch));
    if (column_count == 1)
        compute_single(keys, batch, batch->columns[columns[0]]);
    else
        compute_several(keys, batch, columns, column_count);
}
