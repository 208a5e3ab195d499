/*
 * The storage encoding of keys, version 1: see key.h.
 *
 * For each column a byte 0 (NULL, and nothing else) or 1, then the value:
 *
 *   BOOLEAN                  0 or 1
 *   integers, DATE, TIME,    big-endian with the sign bit flipped; DECIMAL has 16 bytes
 *   timestamps, intervals,
 *   DECIMAL
 *   FLOAT, DOUBLE            big-endian bits of the canonical value: all flipped if negative, else
 *                            the sign bit flipped
 *   strings, BYTES           the bytes, each 0x00 as 0x00 0xFF, then 0x00 0x01
 *   ARRAY, MAP, ROW          value_codec's canonical form, as BYTES
 */
#include "common/base/check.h"
#include "common/data/batch_builder.h"
#include "common/data/key.h"
#include "common/data/value_codec.h"

#include <string.h>

#define SIZE_MAX_FIXED 16

/* ---- a fixed-width value, both ways ---- */

static bool is_real(enum type_kind kind)
{
    return kind == TYPE_FLOAT || kind == TYPE_DOUBLE;
}

static void reverse(const char *from, size_t size, char *to)
{
    for (size_t i = 0; i < size; i++)
        to[i] = from[size - 1 - i];
}

static void store_fixed(enum type_kind kind, const char *value, char *stored)
{
    const size_t size = type_value_size(kind);
    reverse(value, size, stored);
    if (kind == TYPE_BOOLEAN)
        return;
    if (is_real(kind) && ((uint8_t)stored[0] & 0x80) != 0) {
        for (size_t i = 0; i < size; i++)
            stored[i] = (char)~stored[i];
    } else {
        stored[0] = (char)((uint8_t)stored[0] ^ 0x80);
    }
}

/* false: no canonical value is stored like that. */
static bool load_fixed(enum type_kind kind, const char *stored, char *value)
{
    const size_t size = type_value_size(kind);
    char bytes[SIZE_MAX_FIXED];
    memcpy(bytes, stored, size);
    if (kind == TYPE_BOOLEAN) {
        *value = *stored;
        return (uint8_t)*stored <= 1;
    }
    if (is_real(kind) && ((uint8_t)bytes[0] & 0x80) == 0) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (char)~bytes[i];
    } else {
        bytes[0] = (char)((uint8_t)bytes[0] ^ 0x80);
    }
    reverse(bytes, size, value);
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

/* ---- canonical bytes, column by column ---- */

struct canonical_reader {
    const char *at;
    const char *end;
    bool is_single;
    bool is_null; /* of a single column */
};

static struct canonical_reader canonical_reader(uint32_t column_count, const char *canonical,
                                                uint32_t size)
{
    const bool is_null = size == KEY_NULL;
    CHECK(!is_null || column_count == 1);
    return (struct canonical_reader){
        .at = canonical,
        .end = is_null ? canonical : canonical + size,
        .is_single = column_count == 1,
        .is_null = is_null,
    };
}

/* The next column's value; false if it is NULL. Canonical bytes are ours, so that wrong ones are a
 * programming error. */
static bool next_value(struct canonical_reader *reader, struct type type, const char **ret_value,
                       uint32_t *ret_size)
{
    uint32_t size = (uint32_t)(reader->end - reader->at);
    if (reader->is_single) {
        if (reader->is_null)
            return false;
    } else {
        CHECK(size >= 1);
        if (*reader->at++ == 0)
            return false;
        size = (uint32_t)type_value_size(type.kind);
        if (size == 0 || type_is_view(type.kind)) {
            CHECK((size_t)(reader->end - reader->at) >= sizeof(size));
            memcpy(&size, reader->at, sizeof(size));
            reader->at += sizeof(size);
        }
    }
    CHECK((size_t)(reader->end - reader->at) >= size);
    *ret_value = reader->at;
    *ret_size = size;
    reader->at += size;
    return true;
}

static void append_escaped(const char *bytes, uint32_t size, struct text *out)
{
    const char *end = bytes + size;
    while (bytes < end) {
        const char *zero = memchr(bytes, 0, (size_t)(end - bytes));
        const char *plain_end = zero != NULL ? zero : end;
        text_append_bytes(out, bytes, (size_t)(plain_end - bytes));
        bytes = plain_end;
        if (zero != NULL) {
            text_append_bytes(out, "\x00\xFF", 2);
            bytes++;
        }
    }
    text_append_bytes(out, "\x00\x01", 2);
}

void key_storage_from_canonical(const struct type *types, uint32_t column_count,
                                const char *canonical, uint32_t size, struct text *out)
{
    struct canonical_reader reader = canonical_reader(column_count, canonical, size);
    for (uint32_t i = 0; i < column_count; i++) {
        const enum type_kind kind = types[i].kind;
        const char *value = NULL;
        uint32_t value_size = 0;
        if (!next_value(&reader, types[i], &value, &value_size)) {
            text_append_char(out, 0);
            continue;
        }
        text_append_char(out, 1);
        if (type_is_view(kind) || type_value_size(kind) == 0) {
            append_escaped(value, value_size, out);
        } else {
            char stored[SIZE_MAX_FIXED];
            CHECK(value_size == type_value_size(kind));
            store_fixed(kind, value, stored);
            text_append_bytes(out, stored, value_size);
        }
    }
    CHECK(reader.at == reader.end);
}

void key_append_to_builder(const struct type *types, uint32_t column_count, const char *canonical,
                           uint32_t size, struct batch_builder *builder)
{
    struct canonical_reader reader = canonical_reader(column_count, canonical, size);
    for (uint32_t i = 0; i < column_count; i++) {
        const char *value = NULL;
        uint32_t value_size = 0;
        if (!next_value(&reader, types[i], &value, &value_size))
            batch_builder_null(builder, i);
        else if (type_is_view(types[i].kind))
            batch_builder_bytes(builder, i, value, value_size);
        else if (type_value_size(types[i].kind) > 0)
            batch_builder_fixed(builder, i, value);
        else
            CHECK(value_decode(types[i], value, value_size, builder, i, NULL) == STATUS_OK);
    }
}

/* ---- storage bytes, column by column ---- */

struct storage_reader {
    const char *at;
    const char *end;
};

/* Appends what append_escaped wrote; false if it has no end or a byte follows 0x00 that cannot. */
static bool take_escaped(struct storage_reader *reader, struct text *out)
{
    for (;;) {
        const char *zero = memchr(reader->at, 0, (size_t)(reader->end - reader->at));
        if (zero == NULL || reader->end - zero < 2)
            return false;
        text_append_bytes(out, reader->at, (size_t)(zero - reader->at));
        reader->at = zero + 2;
        if (zero[1] == 1)
            return true;
        if ((uint8_t)zero[1] != 0xFF)
            return false;
        text_append_char(out, 0);
    }
}

static bool take_varying(struct storage_reader *reader, struct type type, bool is_single,
                         struct text *out)
{
    const size_t start = out->size;
    const uint32_t placeholder = 0;
    if (!is_single)
        text_append_bytes(out, &placeholder, sizeof(placeholder));
    const size_t first = out->size;
    if (!take_escaped(reader, out) || out->overflowed)
        return false;
    const size_t size = out->size - first;
    if (size >= KEY_NULL)
        return false;
    const uint32_t value_size = (uint32_t)size;
    if (!is_single)
        memcpy(out->bytes + start, &value_size, sizeof(value_size));
    return type_is_view(type.kind) || value_is_canonical(type, out->bytes + first, size);
}

static bool take_column(struct storage_reader *reader, struct type type, bool is_single,
                        bool *ret_is_null, struct text *out)
{
    const size_t size = type_value_size(type.kind);
    char value[SIZE_MAX_FIXED];
    if (reader->at == reader->end || (uint8_t)*reader->at > 1)
        return false;
    *ret_is_null = *reader->at++ == 0;
    if (!is_single)
        text_append_char(out, *ret_is_null ? 0 : 1);
    if (*ret_is_null)
        return true;
    if (size == 0 || type_is_view(type.kind))
        return take_varying(reader, type, is_single, out);
    if ((size_t)(reader->end - reader->at) < size || !load_fixed(type.kind, reader->at, value))
        return false;
    text_append_bytes(out, value, size);
    reader->at += size;
    return true;
}

enum status key_canonical_from_storage(const struct type *types, uint32_t column_count,
                                       const void *bytes, size_t size, size_t *ret_taken,
                                       struct text *out, uint32_t *ret_size, struct error *err)
{
    struct storage_reader reader = {.at = bytes, .end = (const char *)bytes + size};
    const size_t before = out->size;
    bool is_null = false;
    for (uint32_t i = 0; i < column_count; i++) {
        if (!take_column(&reader, types[i], column_count == 1, &is_null, out) || out->overflowed) {
            out->size = before;
            out->bytes[before] = '\0';
            out->overflowed = false;
            return error_set(err, STATUS_CORRUPT,
                             "decode a stored key: column %u of %u is no %s at byte %zu of %zu",
                             i + 1, column_count, type_kind_name(types[i].kind),
                             (size_t)(reader.at - (const char *)bytes), size);
        }
    }
    if (out->size - before >= KEY_NULL) {
        out->size = before;
        return error_set(err, STATUS_CORRUPT, "decode a stored key: it is larger than 4 GiB");
    }
    *ret_taken = (size_t)(reader.at - (const char *)bytes);
    *ret_size = column_count == 1 && is_null ? KEY_NULL : (uint32_t)(out->size - before);
    return STATUS_OK;
}
