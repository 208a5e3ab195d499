/* One value as bytes: see value_codec.h. */
#include "common/data/value_codec.h"

#include "common/base/check.h"
#include "common/data/batch_builder.h"

/* ---- encoding ---- */

static void put_value(const struct column *column, uint32_t row, bool is_canonical,
                      struct text *out);

static void put_u32(uint32_t value, struct text *out)
{
    text_append_bytes(out, &value, sizeof(value));
}

/* `count` entries of a column, from `first` on. */
static void put_entries(const struct column *column, uint32_t first, uint32_t count,
                        bool is_canonical, struct text *out)
{
    for (uint32_t start = 0; start < count; start += 8) {
        unsigned nulls = 0;
        for (uint32_t i = start; i < count && i < start + 8; i++)
            nulls |= (unsigned)column_is_null(column, first + i) << (i - start);
        text_append_char(out, (char)nulls);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!column_is_null(column, first + i))
            put_value(column, first + i, is_canonical, out);
    }
}

static void put_fields(const struct column *column, uint32_t row, bool is_canonical,
                       struct text *out)
{
    for (uint32_t start = 0; start < column->child_count; start += 8) {
        unsigned nulls = 0;
        for (uint32_t i = start; i < column->child_count && i < start + 8; i++)
            nulls |= (unsigned)column_is_null(column->children[i], row) << (i - start);
        text_append_char(out, (char)nulls);
    }
    for (uint32_t i = 0; i < column->child_count; i++) {
        if (!column_is_null(column->children[i], row))
            put_value(column->children[i], row, is_canonical, out);
    }
}

static void put_value(const struct column *column, uint32_t row, bool is_canonical,
                      struct text *out)
{
    const enum type_kind kind = column->type.kind;
    const size_t size = type_value_size(kind);
    if (type_is_view(kind)) {
        const struct string_view *view = &column_views(column)[row];
        put_u32(view->size, out);
        text_append_bytes(out, string_view_bytes(column, view), view->size);
    } else if (kind == TYPE_FLOAT && is_canonical) {
        const float value = canonical_float(((const float *)column->values)[row]);
        text_append_bytes(out, &value, sizeof(value));
    } else if (kind == TYPE_DOUBLE && is_canonical) {
        const double value = canonical_double(((const double *)column->values)[row]);
        text_append_bytes(out, &value, sizeof(value));
    } else if (size > 0) {
        text_append_bytes(out, (const char *)column->values + row * size, size);
    } else if (column->offsets != NULL) {
        const uint32_t first = column->offsets[row];
        const uint32_t count = column->offsets[row + 1] - first;
        put_u32(count, out);
        for (uint32_t i = 0; i < column->child_count; i++)
            put_entries(column->children[i], first, count, is_canonical, out);
    } else {
        put_fields(column, row, is_canonical, out);
    }
}

void value_encode(const struct column *column, uint32_t row, struct text *out)
{
    DCHECK(!column_is_null(column, row));
    text_append_char(out, VALUE_CODEC_VERSION);
    put_value(column, row, false, out);
}

void value_encode_canonical(const struct column *column, uint32_t row, struct text *out)
{
    DCHECK(!column_is_null(column, row));
    text_append_char(out, VALUE_CODEC_VERSION);
    put_value(column, row, true, out);
}

/* ---- decoding: walked once to check, once more to append ---- */

struct reader {
    const char *bytes;
    size_t left;
    bool wants_canonical;
};

static const char *take(struct reader *reader, size_t size)
{
    if (size > reader->left)
        return NULL;
    const char *bytes = reader->bytes;
    reader->bytes += size;
    reader->left -= size;
    return bytes;
}

static bool take_u32(struct reader *reader, uint32_t *ret_value)
{
    const char *bytes = take(reader, sizeof(*ret_value));
    if (bytes != NULL)
        memcpy(ret_value, bytes, sizeof(*ret_value));
    return bytes != NULL;
}

static bool bitmap_bit(const char *bitmap, uint32_t i)
{
    return ((uint8_t)bitmap[i / 8] >> (i % 8) & 1) != 0;
}

/* The bitmap of `count` entries; NULL if it is cut off or has unused bits set. */
static const char *take_bitmap(struct reader *reader, uint32_t count)
{
    const size_t size = ((size_t)count + 7) / 8;
    const char *bitmap = take(reader, size);
    if (bitmap != NULL && count % 8 != 0 && (uint8_t)bitmap[size - 1] >> (count % 8) != 0)
        return NULL;
    return bitmap;
}

static bool check_value(struct reader *reader, struct type type);

static bool check_fixed(struct reader *reader, enum type_kind kind)
{
    const char *value = take(reader, type_value_size(kind));
    if (value == NULL || !reader->wants_canonical)
        return value != NULL;
    if (kind == TYPE_FLOAT) {
        float real;
        memcpy(&real, value, sizeof(real));
        real = canonical_float(real);
        return memcmp(&real, value, sizeof(real)) == 0;
    }
    if (kind == TYPE_DOUBLE) {
        double real;
        memcpy(&real, value, sizeof(real));
        real = canonical_double(real);
        return memcmp(&real, value, sizeof(real)) == 0;
    }
    return true;
}

static bool check_entries(struct reader *reader, struct type type, uint32_t count)
{
    const char *nulls = take_bitmap(reader, count);
    for (uint32_t i = 0; nulls != NULL && i < count; i++) {
        if (!bitmap_bit(nulls, i) && !check_value(reader, type))
            return false;
    }
    return nulls != NULL;
}

static bool check_value(struct reader *reader, struct type type)
{
    uint32_t count = 0;
    if (type_is_view(type.kind))
        return take_u32(reader, &count) && count <= UINT32_MAX / 2 && take(reader, count) != NULL;
    if (type.kind == TYPE_BOOLEAN) {
        const char *value = take(reader, 1);
        return value != NULL && (uint8_t)*value <= 1;
    }
    if (type_value_size(type.kind) > 0)
        return check_fixed(reader, type.kind);
    if (type.kind == TYPE_ARRAY || type.kind == TYPE_MAP) {
        if (!take_u32(reader, &count))
            return false;
        for (uint32_t i = 0; i < type.child_count; i++) {
            if (!check_entries(reader, type.children[i].type, count))
                return false;
        }
        return true;
    }
    const char *nulls = take_bitmap(reader, type.child_count);
    for (uint32_t i = 0; nulls != NULL && i < type.child_count; i++) {
        if (!bitmap_bit(nulls, i) && !check_value(reader, type.children[i].type))
            return false;
    }
    return nulls != NULL;
}

bool value_is_canonical(struct type type, const void *bytes, size_t size)
{
    struct reader reader = {.bytes = bytes, .left = size, .wants_canonical = true};
    const char *version = take(&reader, 1);
    return version != NULL && *version == VALUE_CODEC_VERSION && check_value(&reader, type) &&
           reader.left == 0;
}

static void append_value(struct reader *reader, struct type type, struct batch_builder *builder,
                         uint32_t column);

static void append_entries(struct reader *reader, struct type type, uint32_t count,
                           struct batch_builder *builder, uint32_t column)
{
    const char *nulls = take_bitmap(reader, count);
    for (uint32_t i = 0; i < count; i++) {
        if (bitmap_bit(nulls, i))
            batch_builder_null(builder, column);
        else
            append_value(reader, type, builder, column);
    }
}

static void append_nested(struct reader *reader, struct type type, struct batch_builder *builder,
                          uint32_t column)
{
    batch_builder_begin(builder, column);
    if (type.kind == TYPE_ROW) {
        const char *nulls = take_bitmap(reader, type.child_count);
        for (uint32_t i = 0; i < type.child_count; i++) {
            if (bitmap_bit(nulls, i))
                batch_builder_null(builder, i);
            else
                append_value(reader, type.children[i].type, builder, i);
        }
    } else {
        uint32_t count = 0;
        CHECK(take_u32(reader, &count));
        for (uint32_t i = 0; i < type.child_count; i++)
            append_entries(reader, type.children[i].type, count, builder, i);
    }
    batch_builder_end(builder);
}

static void append_value(struct reader *reader, struct type type, struct batch_builder *builder,
                         uint32_t column)
{
    const size_t size = type_value_size(type.kind);
    if (size == 0) {
        append_nested(reader, type, builder, column);
    } else if (type_is_view(type.kind)) {
        uint32_t length = 0;
        CHECK(take_u32(reader, &length));
        batch_builder_bytes(builder, column, take(reader, length), length);
    } else {
        batch_builder_fixed(builder, column, take(reader, size));
    }
}

enum status value_decode(struct type type, const void *bytes, size_t size,
                         struct batch_builder *builder, uint32_t column, struct error *err)
{
    struct reader reader = {.bytes = bytes, .left = size};
    const char *version = take(&reader, 1);
    if (version == NULL || *version != VALUE_CODEC_VERSION)
        return error_set(
            err, STATUS_CORRUPT, "decode a value of type %s: its version is %d, expected %d",
            type_kind_name(type.kind), version != NULL ? *version : -1, VALUE_CODEC_VERSION);
    struct reader check = reader;
    if (!check_value(&check, type) || check.left != 0)
        return error_set(err, STATUS_CORRUPT,
                         "decode a value of type %s: its %zu bytes are not one such value",
                         type_kind_name(type.kind), size);
    append_value(&reader, type, builder, column);
    return STATUS_OK;
}
