/*
 * Batches as bytes, version 1, little-endian: see batch_codec.h.
 *
 *   batch      version (1 byte: 1), flags (1 byte: bit 0 row kinds), column count (16 bits), row
 *              count (32 bits), row kinds (a byte each, if flagged), the columns
 *   column     flags (1 byte: bit 0 validity; bits 4 and 5: a string's length has 1, 2 or 4 bytes
 *              for 0, 1, 2), validity ((rows + 7) / 8 bytes, if flagged; bit i%8 of byte i/8 is 1
 *              for a value, unused bits are 0; a column without NULL has none), then by type:
 *     fixed-width types     the values; NULLs as zeros
 *     strings, BYTES        a length for each row (NULL: 0), then all bytes
 *     ARRAY, MAP            a 32-bit count for each row (NULL: 0), then the columns of the entries
 *     ROW                   the columns of the fields; of a ROW without fields a byte 0 a row
 *
 * Hence every row of every column takes at least one byte, which bounds counts while decoding.
 */
#include "common/data/batch_codec.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#define BATCH_CODEC_VERSION 1
#define HEADER_SIZE         8
#define FLAG_ROW_KINDS      1
#define FLAG_VALIDITY       1
#define LENGTH_SHIFT        4

/* ---- encoding ---- */

/* Rows to write: rows[0..count), or 0..count if rows is NULL. */
struct rows {
    const uint32_t *rows;
    uint32_t count;
};

static inline uint32_t row_at(struct rows rows, uint32_t i)
{
    return rows.rows != NULL ? rows.rows[i] : i;
}

/* Lists whose entries are exactly the child's rows, and fields: what can be written as it lies. */
static bool is_dense(const struct column *column)
{
    if (column->offsets == NULL)
        return true;
    if (column->offsets[0] != 0)
        return false;
    for (uint32_t i = 0; i < column->row_count; i++) {
        if (column_is_null(column, i) && column->offsets[i] != column->offsets[i + 1])
            return false;
    }
    for (uint32_t i = 0; i < column->child_count; i++) {
        if (column->children[i]->row_count != column->offsets[column->row_count])
            return false;
    }
    return true;
}

/* The rows of a nested column as a dense column of its own (a new reference). */
static struct column *make_dense(struct column *column, struct rows rows)
{
    if (rows.rows != NULL)
        return column_gather(column, rows.rows, rows.count);
    if (is_dense(column))
        return column_ref(column);
    SCOPED(free) void *memory = reallocate_array(NULL, rows.count, sizeof(uint32_t));
    uint32_t *all = memory;
    for (uint32_t i = 0; i < rows.count; i++)
        all[i] = i;
    return column_gather(column, all, rows.count);
}

static size_t column_size_max(struct column *column, struct rows rows)
{
    const size_t count = rows.count;
    size_t size = 1 + (count + 7) / 8;
    if (type_is_view(column->type.kind)) {
        const struct string_view *views = column_views(column);
        for (uint32_t i = 0; i < rows.count; i++) {
            const uint32_t row = row_at(rows, i);
            size += column_is_null(column, row) ? 0 : views[row].size;
        }
        return size + count * sizeof(uint32_t) + STRING_VIEW_INLINE;
    }
    if (type_value_size(column->type.kind) > 0)
        return size + count * type_value_size(column->type.kind);
    SCOPED(column_unref) struct column *dense = make_dense(column, rows);
    size += count * sizeof(uint32_t);
    for (uint32_t i = 0; i < dense->child_count; i++) {
        const struct rows all = {.count = dense->children[i]->row_count};
        size += column_size_max(dense->children[i], all);
    }
    return size;
}

size_t batch_encoded_size_max(const struct batch *batch)
{
    const struct rows rows = {.rows = batch->selection, .count = batch_selected(batch)};
    size_t size = HEADER_SIZE + rows.count;
    for (uint32_t i = 0; i < batch->column_count; i++)
        size += column_size_max(batch->columns[i], rows);
    return size;
}

struct writer {
    char *at;
    char *end;
};

static char *put(struct writer *writer, size_t size)
{
    CHECK((size_t)(writer->end - writer->at) >= size);
    char *place = writer->at;
    writer->at += size;
    return place;
}

static bool has_null(const struct column *column, struct rows rows)
{
    if (column->validity == NULL)
        return false;
    for (uint32_t i = 0; i < rows.count; i++) {
        if (column_is_null(column, row_at(rows, i)))
            return true;
    }
    return false;
}

static void put_validity(struct writer *writer, const struct column *column, struct rows rows)
{
    const size_t size = ((size_t)rows.count + 7) / 8;
    uint8_t *bits = (uint8_t *)put(writer, size);
    if (rows.rows == NULL) {
        memcpy(bits, column->validity, size);
        if (rows.count % 8 != 0)
            bits[size - 1] &= (uint8_t)((1U << (rows.count % 8)) - 1);
        return;
    }
    memset(bits, 0, size);
    for (uint32_t i = 0; i < rows.count; i++) {
        if (!column_is_null(column, rows.rows[i]))
            bits[i / 8] = (uint8_t)(bits[i / 8] | 1U << (i % 8));
    }
}

/* size is a constant in each caller. */
static inline __attribute__((always_inline)) void put_chosen(char *target, const char *source,
                                                             struct rows rows, size_t size)
{
    for (uint32_t i = 0; i < rows.count; i++)
        memcpy(target + i * size, source + rows.rows[i] * size, size);
}

static void put_fixed(struct writer *writer, const struct column *column, struct rows rows,
                      bool with_nulls)
{
    const size_t size = type_value_size(column->type.kind);
    char *target = put(writer, rows.count * size);
    const char *source = column->values;
    if (rows.rows == NULL)
        memcpy(target, source, rows.count * size);
    else if (size == 1)
        put_chosen(target, source, rows, 1);
    else if (size == 2)
        put_chosen(target, source, rows, 2);
    else if (size == 4)
        put_chosen(target, source, rows, 4);
    else if (size == 8)
        put_chosen(target, source, rows, 8);
    else
        put_chosen(target, source, rows, 16);
    for (uint32_t i = 0; with_nulls && i < rows.count; i++) {
        if (column_is_null(column, row_at(rows, i)))
            memset(target + i * size, 0, size);
    }
}

static unsigned length_width(const struct column *column, struct rows rows)
{
    const struct string_view *views = column_views(column);
    uint32_t longest = 0;
    for (uint32_t i = 0; i < rows.count; i++) {
        const uint32_t row = row_at(rows, i);
        if (!column_is_null(column, row) && views[row].size > longest)
            longest = views[row].size;
    }
    return longest <= UINT8_MAX ? 0 : longest <= UINT16_MAX ? 1 : 2;
}

static void put_views(struct writer *writer, const struct column *column, struct rows rows,
                      unsigned width)
{
    const struct string_view *views = column_views(column);
    char *lengths = put(writer, (size_t)rows.count << width);
    for (uint32_t i = 0; i < rows.count; i++) {
        const uint32_t row = row_at(rows, i);
        const uint32_t size = column_is_null(column, row) ? 0 : views[row].size;
        memcpy(lengths, &size, (size_t)1 << width);
        lengths += (size_t)1 << width;
        if (size > STRING_VIEW_INLINE) {
            memcpy(put(writer, size), string_view_bytes(column, &views[row]), size);
        } else if (size > 0) {
            /* As many bytes as a view holds, which a call of memcpy would take longer for. */
            CHECK(writer->end - writer->at >= STRING_VIEW_INLINE);
            memcpy(writer->at, views[row].inlined, STRING_VIEW_INLINE);
            writer->at += size;
        }
    }
}

static void put_column(struct writer *writer, struct column *column, struct rows rows);

static void put_nested(struct writer *writer, const struct column *dense)
{
    if (dense->offsets != NULL) {
        for (uint32_t i = 0; i < dense->row_count; i++) {
            const uint32_t count = dense->offsets[i + 1] - dense->offsets[i];
            memcpy(put(writer, sizeof(count)), &count, sizeof(count));
        }
    } else if (dense->child_count == 0) {
        memset(put(writer, dense->row_count), 0, dense->row_count);
    }
    for (uint32_t i = 0; i < dense->child_count; i++) {
        const struct rows all = {.count = dense->children[i]->row_count};
        put_column(writer, dense->children[i], all);
    }
}

static void put_column(struct writer *writer, struct column *column, struct rows rows)
{
    const bool is_view = type_is_view(column->type.kind);
    const unsigned width = is_view ? length_width(column, rows) : 0;
    const bool with_nulls = has_null(column, rows);
    *put(writer, 1) = (char)((with_nulls ? FLAG_VALIDITY : 0) | width << LENGTH_SHIFT);
    if (with_nulls)
        put_validity(writer, column, rows);
    if (is_view) {
        put_views(writer, column, rows, width);
    } else if (type_value_size(column->type.kind) > 0) {
        put_fixed(writer, column, rows, with_nulls);
    } else {
        SCOPED(column_unref) struct column *dense = make_dense(column, rows);
        put_nested(writer, dense);
    }
}

size_t batch_encode(const struct batch *batch, void *bytes, size_t capacity)
{
    const struct rows rows = {.rows = batch->selection, .count = batch_selected(batch)};
    struct writer writer = {.at = bytes, .end = (char *)bytes + capacity};
    CHECK(rows.count <= BATCH_CODEC_ROWS_MAX && batch->column_count <= UINT16_MAX);
    const uint16_t column_count = (uint16_t)batch->column_count;
    char *header = put(&writer, HEADER_SIZE);
    header[0] = BATCH_CODEC_VERSION;
    header[1] = batch->row_kinds != NULL ? FLAG_ROW_KINDS : 0;
    memcpy(header + 2, &column_count, sizeof(column_count));
    memcpy(header + 4, &rows.count, sizeof(rows.count));
    if (batch->row_kinds != NULL) {
        char *kinds = put(&writer, rows.count);
        for (uint32_t i = 0; i < rows.count; i++)
            kinds[i] = (char)batch->row_kinds[row_at(rows, i)];
    }
    for (uint32_t i = 0; i < batch->column_count; i++)
        put_column(&writer, batch->columns[i], rows);
    return (size_t)(writer.at - (char *)bytes);
}

/* ---- decoding ---- */

struct reader {
    struct buffer *buffer;
    const char *at;
    const char *end;
};

/* NULL: fewer bytes are left. */
static const char *take(struct reader *reader, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size)
        return NULL;
    const char *bytes = reader->at;
    reader->at += size;
    return bytes;
}

static bool take_validity(struct reader *reader, struct column *column)
{
    const size_t count = column->row_count;
    const size_t size = (count + 7) / 8;
    const char *bits = take(reader, size);
    if (bits == NULL || (count % 8 != 0 && (uint8_t)bits[size - 1] >> (count % 8) != 0))
        return false;
    column_need_validity(column);
    memcpy(column->validity, bits, size);
    return true;
}

static bool take_fixed(struct reader *reader, struct column *column)
{
    const size_t size = column->row_count * type_value_size(column->type.kind);
    const char *values = take(reader, size);
    if (values == NULL)
        return false;
    memcpy(column->values, values, size);
    if (column->type.kind == TYPE_BOOLEAN) {
        uint8_t any = 0;
        for (size_t i = 0; i < size; i++)
            any |= (uint8_t)values[i];
        return any <= 1;
    }
    return true;
}

static inline uint32_t length_at(const char *lengths, uint32_t i, unsigned width)
{
    uint32_t size = 0;
    memcpy(&size, lengths + ((size_t)i << width), (size_t)1 << width);
    return size;
}

/* width is a constant in each caller. */
static inline __attribute__((always_inline)) bool
take_views_of(struct reader *reader, struct column *column, unsigned width)
{
    const char *lengths = take(reader, (size_t)column->row_count << width);
    uint64_t total = 0;
    if (lengths == NULL)
        return false;
    for (uint32_t i = 0; i < column->row_count; i++)
        total += length_at(lengths, i, width);
    const char *bytes = take(reader, total);
    if (bytes == NULL)
        return false;
    const uint32_t index = total > 0 ? column_add_buffer(column, reader->buffer) : 0;
    uint32_t offset = (uint32_t)(bytes - reader->buffer->bytes);
    struct string_view *views = column_views(column);
    for (uint32_t i = 0; i < column->row_count; i++) {
        const uint32_t size = length_at(lengths, i, width);
        views[i] = string_view_make(reader->buffer, index, offset, size);
        offset += size;
    }
    return true;
}

static bool take_views(struct reader *reader, struct column *column, unsigned width)
{
    switch (width) {
    case 0:
        return take_views_of(reader, column, 0);
    case 1:
        return take_views_of(reader, column, 1);
    case 2:
        return take_views_of(reader, column, 2);
    default:
        return false;
    }
}

static bool take_offsets(struct reader *reader, struct column *column)
{
    const char *counts = take(reader, column->row_count * sizeof(uint32_t));
    uint64_t total = 0;
    if (counts == NULL)
        return false;
    for (uint32_t i = 0; i < column->row_count; i++) {
        total += length_at(counts, i, 2);
        if (total > (uint64_t)(reader->end - reader->at))
            return false; /* every entry takes a byte */
        column->offsets[i + 1] = (uint32_t)total;
    }
    return true;
}

static struct column *take_column(struct reader *reader, struct type type, uint32_t row_count);

static bool take_nested(struct reader *reader, struct column *column)
{
    const uint32_t row_count = column->row_count;
    if (column->offsets != NULL) {
        if (!take_offsets(reader, column))
            return false;
    } else if (column->child_count == 0 && take(reader, row_count) == NULL) {
        return false;
    }
    const uint32_t child_rows = column->offsets != NULL ? column->offsets[row_count] : row_count;
    for (uint32_t i = 0; i < column->child_count; i++) {
        column->children[i] = take_column(reader, column->type.children[i].type, child_rows);
        if (column->children[i] == NULL)
            return false;
    }
    return true;
}

/* NULL: the bytes are no such column. */
static struct column *take_column(struct reader *reader, struct type type, uint32_t row_count)
{
    const char *flags = take(reader, 1);
    /* Before memory is asked for. */
    if (flags == NULL || row_count > (size_t)(reader->end - reader->at))
        return NULL;
    const unsigned width = (uint8_t)*flags >> LENGTH_SHIFT;
    const bool is_view = type_is_view(type.kind);
    if ((*flags & 0x0E) != 0 || (width > 0 && !is_view))
        return NULL;
    SCOPED(column_unref) struct column *column = column_create(type, row_count);
    if ((*flags & FLAG_VALIDITY) != 0 && !take_validity(reader, column))
        return NULL;
    bool is_valid = false;
    if (is_view)
        is_valid = take_views(reader, column, width);
    else if (type_value_size(type.kind) > 0)
        is_valid = take_fixed(reader, column);
    else
        is_valid = take_nested(reader, column);
    return is_valid ? take_pointer(&column) : NULL;
}

static bool take_row_kinds(struct reader *reader, struct batch *batch)
{
    const char *kinds = take(reader, batch->row_count);
    if (kinds == NULL)
        return false;
    batch->row_kinds = copy_memory(kinds, batch->row_count);
    for (uint32_t i = 0; i < batch->row_count; i++) {
        if (batch->row_kinds[i] > ROW_DELETE)
            return false;
    }
    return true;
}

enum status batch_decode(const struct schema *schema, struct buffer *buffer, uint32_t offset,
                         uint32_t size, struct batch **ret_batch, struct error *err)
{
    struct reader reader = {
        .buffer = buffer, .at = buffer->bytes + offset, .end = buffer->bytes + offset + size};
    uint16_t column_count = 0;
    uint32_t row_count = 0;
    CHECK((uint64_t)offset + size <= buffer->capacity);
    const char *header = take(&reader, HEADER_SIZE);
    if (header == NULL || header[0] != BATCH_CODEC_VERSION)
        return error_set(err, STATUS_CORRUPT,
                         "decode a batch of %u bytes: its version is %d, expected %d", size,
                         header != NULL ? header[0] : -1, BATCH_CODEC_VERSION);
    memcpy(&column_count, header + 2, sizeof(column_count));
    memcpy(&row_count, header + 4, sizeof(row_count));
    if (((uint8_t)header[1] & ~FLAG_ROW_KINDS) != 0 || column_count != schema->column_count ||
        row_count > BATCH_CODEC_ROWS_MAX)
        return error_set(err, STATUS_CORRUPT,
                         "decode a batch of %u bytes: flags %u, %u columns (expected %u), %u rows",
                         size, (uint8_t)header[1], column_count, schema->column_count, row_count);
    SCOPED(batch_unref) struct batch *batch = batch_create(schema, row_count);
    if ((header[1] & FLAG_ROW_KINDS) != 0 && !take_row_kinds(&reader, batch))
        return error_set(err, STATUS_CORRUPT, "decode a batch of %u bytes: wrong row kinds", size);
    for (uint32_t i = 0; i < column_count; i++) {
        batch->columns[i] = take_column(&reader, schema->columns[i].type, row_count);
        if (batch->columns[i] == NULL)
            return error_set(err, STATUS_CORRUPT,
                             "decode a batch of %u bytes: column %u \"%s\" is no %s of %u rows",
                             size, i, schema->columns[i].name,
                             type_kind_name(schema->columns[i].type.kind), row_count);
    }
    if (reader.at != reader.end)
        return error_set(err, STATUS_CORRUPT, "decode a batch of %u bytes: %zu bytes too many",
                         size, (size_t)(reader.end - reader.at));
    *ret_batch = take_pointer(&batch);
    return STATUS_OK;
}
