/*
 * Schemas as bytes, version 1, little-endian: see batch_codec.h.
 *
 *   version        1 byte: 1
 *   column count   32 bits
 *   event time     32 bits, signed: index of the column or -1
 *   each column    field id (32 bits), name, type
 *   name           length (16 bits), bytes
 *   type           kind, nullable (0 or 1), precision, scale (a byte each), length (32 bits),
 *                  child count (16 bits), for each child its name and type
 */
#include "common/base/allocate.h"
#include "common/data/batch_codec.h"
#include "common/data/value_text.h"

#include <string.h>

#define SCHEMA_CODEC_VERSION 1

/* ---- encoding ---- */

static void put_name(const char *name, struct text *out)
{
    const uint16_t size = (uint16_t)strlen(name);
    text_append_bytes(out, &size, sizeof(size));
    text_append_bytes(out, name, size);
}

static void put_type(struct type type, struct text *out)
{
    const uint8_t head[4] = {(uint8_t)type.kind, type.nullable, type.precision, type.scale};
    text_append_bytes(out, head, sizeof(head));
    text_append_bytes(out, &type.length, sizeof(type.length));
    text_append_bytes(out, &type.child_count, sizeof(type.child_count));
    for (uint32_t i = 0; i < type.child_count; i++) {
        put_name(type.children[i].name, out);
        put_type(type.children[i].type, out);
    }
}

void schema_encode(const struct schema *schema, struct text *out)
{
    text_append_char(out, SCHEMA_CODEC_VERSION);
    text_append_bytes(out, &schema->column_count, sizeof(schema->column_count));
    text_append_bytes(out, &schema->event_time, sizeof(schema->event_time));
    for (uint32_t i = 0; i < schema->column_count; i++) {
        const struct schema_column *column = &schema->columns[i];
        text_append_bytes(out, &column->field_id, sizeof(column->field_id));
        put_name(column->name, out);
        put_type(column->type, out);
    }
}

/* ---- decoding: into memory of its own, which schema_create copies ---- */

/* Blocks that go together, each led by a pointer to the one before. */
struct block {
    struct block *before;
    max_align_t memory[];
};

struct reader {
    const char *at;
    const char *end;
    struct block *blocks;
};

static void *block_allocate(struct reader *reader, size_t size)
{
    struct block *block = allocate(sizeof(*block) + size);
    block->before = reader->blocks;
    reader->blocks = block;
    return block->memory;
}

static void free_blocks(struct reader *reader)
{
    while (reader->blocks != NULL) {
        struct block *before = reader->blocks->before;
        free(reader->blocks);
        reader->blocks = before;
    }
}

static bool take(struct reader *reader, void *ret_bytes, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size)
        return false;
    memcpy(ret_bytes, reader->at, size);
    reader->at += size;
    return true;
}

static bool take_name(struct reader *reader, const char **ret_name)
{
    uint16_t size = 0;
    if (!take(reader, &size, sizeof(size)) || size > SCHEMA_NAME_BYTES_MAX)
        return false;
    char *name = block_allocate(reader, (size_t)size + 1);
    if (!take(reader, name, size) || memchr(name, 0, size) != NULL || !utf8_is_valid(name, size))
        return false;
    *ret_name = name;
    return true;
}

static bool are_parameters_valid(const struct type *type)
{
    const unsigned precision = type->precision;
    switch (type->kind) {
    case TYPE_DECIMAL:
        return precision >= 1 && precision <= TYPE_DECIMAL_PRECISION_MAX &&
               type->scale <= precision && type->child_count == 0;
    case TYPE_TIME:
        return precision <= 6 && type->child_count == 0;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        return precision <= 9 && type->child_count == 0;
    case TYPE_ARRAY:
        return type->child_count == 1;
    case TYPE_MAP:
        return type->child_count == 2;
    case TYPE_ROW:
        return type->child_count <= SCHEMA_COLUMN_MAX;
    case TYPE_NONE:
    case TYPE_BOOLEAN:
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
        return type->child_count == 0;
    }
    return false; /* a kind of a newer version, or none */
}

static bool take_type(struct reader *reader, unsigned depth, struct type *ret_type)
{
    uint8_t head[4];
    struct type type = {0};
    if (depth > TYPE_DEPTH_MAX || !take(reader, head, sizeof(head)) ||
        !take(reader, &type.length, sizeof(type.length)) ||
        !take(reader, &type.child_count, sizeof(type.child_count)))
        return false;
    type.kind = (enum type_kind)head[0];
    type.nullable = head[1] != 0;
    type.precision = head[2];
    type.scale = head[3];
    if (head[1] > 1 || !are_parameters_valid(&type))
        return false;
    if (type.child_count > 0) {
        struct type_field *fields =
            block_allocate(reader, type.child_count * sizeof(struct type_field));
        for (uint32_t i = 0; i < type.child_count; i++) {
            if (!take_name(reader, &fields[i].name) ||
                !take_type(reader, depth + 1, &fields[i].type))
                return false;
        }
        type.children = fields;
    }
    *ret_type = type;
    return true;
}

/* NULL: the bytes are no schema. */
static struct schema *take_schema(struct reader *reader)
{
    uint32_t count = 0;
    int32_t event_time = 0;
    if (!take(reader, &count, sizeof(count)) || !take(reader, &event_time, sizeof(event_time)) ||
        count > SCHEMA_COLUMN_MAX || event_time < -1 || event_time >= (int32_t)count)
        return NULL;
    struct schema_column *columns = block_allocate(reader, count * sizeof(*columns));
    for (uint32_t i = 0; i < count; i++) {
        if (!take(reader, &columns[i].field_id, sizeof(columns[i].field_id)) ||
            columns[i].field_id == 0 || !take_name(reader, &columns[i].name) ||
            !take_type(reader, 1, &columns[i].type))
            return NULL;
    }
    return reader->at == reader->end ? schema_create(columns, count, event_time) : NULL;
}

enum status schema_decode(const void *bytes, size_t size, struct schema **ret_schema,
                          struct error *err)
{
    struct reader reader = {.at = bytes, .end = (const char *)bytes + size};
    uint8_t version = 0;
    if (!take(&reader, &version, sizeof(version)) || version != SCHEMA_CODEC_VERSION)
        return error_set(err, STATUS_CORRUPT, "decode a schema: its version is %u, expected %d",
                         version, SCHEMA_CODEC_VERSION);
    struct schema *schema = take_schema(&reader);
    free_blocks(&reader);
    if (schema == NULL)
        return error_set(err, STATUS_CORRUPT,
                         "decode a schema of %zu bytes: not valid at byte %zu; was it written by a "
                         "newer version?",
                         size, (size_t)(reader.at - (const char *)bytes));
    *ret_schema = schema;
    return STATUS_OK;
}
