/* Avro's binary encoding to rows: see avro_plan.h. */
#include "connectors/formats/avro/avro_plan.h"

#include "common/base/check.h"
#include "common/data/value_text.h"
#include "connectors/formats/scalar_text.h"

#include <stdio.h>
#include <string.h>

#define SKIP_DEPTH_MAX 64
/* Entries of arrays and maps of one record: an entry may have no bytes (null). */
#define ENTRIES_MAX 1000000

static bool decode_value(const struct avro_plan *plan, struct avro_cursor *cursor,
                         struct batch_builder *out, uint32_t column);

/* ---- bytes ---- */

static bool fail(struct avro_cursor *cursor, const char *message)
{
    (void)snprintf(cursor->message, sizeof(cursor->message), "%s", message);
    return false;
}

static bool take(struct avro_cursor *cursor, uint64_t size, uint32_t *ret_offset)
{
    if (size > cursor->limit - cursor->position) {
        cursor->is_short = true;
        return false;
    }
    *ret_offset = cursor->position;
    cursor->position += (uint32_t)size;
    return true;
}

/* Zigzag, seven bits a byte, at most ten bytes. */
static bool take_long(struct avro_cursor *cursor, int64_t *ret_value)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (cursor->position == cursor->limit) {
            cursor->is_short = true;
            return false;
        }
        const uint8_t byte = (uint8_t)cursor->buffer->bytes[cursor->position++];
        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return true;
        }
    }
    return fail(cursor, "a number of more than 64 bits");
}

static bool take_size(struct avro_cursor *cursor, uint32_t *ret_offset, uint32_t *ret_size)
{
    int64_t size = 0;
    if (!take_long(cursor, &size))
        return false;
    if (size < 0 || size > UINT32_MAX)
        return fail(cursor, "a negative or huge number of bytes");
    *ret_size = (uint32_t)size;
    return take(cursor, (uint64_t)size, ret_offset);
}

/* The bytes of a BYTES, STRING or FIXED. */
static bool take_bytes(const struct avro_schema *avro, struct avro_cursor *cursor,
                       uint32_t *ret_offset, uint32_t *ret_size)
{
    if (avro->kind != AVRO_FIXED)
        return take_size(cursor, ret_offset, ret_size);
    *ret_size = avro->size;
    return take(cursor, avro->size, ret_offset);
}

/* The number of entries that follow in this block; 0: the end. */
static bool take_block(struct avro_cursor *cursor, uint64_t *ret_count)
{
    int64_t count = 0;
    int64_t size = 0;
    if (!take_long(cursor, &count))
        return false;
    /* A negative count has the block's size in bytes behind it. */
    if (count < 0 && (count == INT64_MIN || !take_long(cursor, &size)))
        return cursor->is_short ? false : fail(cursor, "a block of impossible length");
    *ret_count = (uint64_t)(count < 0 ? -count : count);
    if (*ret_count > ENTRIES_MAX - cursor->entry_count)
        return fail(cursor, "more than 1000000 entries of arrays and maps in one record");
    cursor->entry_count += (uint32_t)*ret_count;
    return true;
}

/* ---- what no column wants ---- */

static bool skip(const struct avro_schema *avro, struct avro_cursor *cursor, unsigned depth);

static bool skip_blocks(const struct avro_schema *avro, struct avro_cursor *cursor, unsigned depth)
{
    uint64_t count = 0;
    uint32_t offset = 0;
    uint32_t size = 0;
    do {
        if (!take_block(cursor, &count))
            return false;
        for (uint64_t i = 0; i < count; i++) {
            if (avro->kind == AVRO_MAP && !take_size(cursor, &offset, &size))
                return false;
            if (!skip(avro->parts[0], cursor, depth + 1))
                return false;
        }
    } while (count > 0);
    return true;
}

static bool take_branch(const struct avro_schema *avro, struct avro_cursor *cursor,
                        uint32_t *ret_branch)
{
    int64_t branch = 0;
    if (!take_long(cursor, &branch))
        return false;
    if (branch < 0 || branch >= avro->count)
        return fail(cursor, "a union's branch that its schema does not have");
    *ret_branch = (uint32_t)branch;
    return true;
}

static bool skip_parts(const struct avro_schema *avro, struct avro_cursor *cursor, unsigned depth)
{
    if (depth > SKIP_DEPTH_MAX)
        return fail(cursor, "values nested more than 64 deep");
    if (avro->kind == AVRO_ARRAY || avro->kind == AVRO_MAP)
        return skip_blocks(avro, cursor, depth);
    if (avro->kind == AVRO_UNION) {
        uint32_t branch = 0;
        return take_branch(avro, cursor, &branch) && skip(avro->parts[branch], cursor, depth + 1);
    }
    for (uint32_t i = 0; i < avro->count; i++) {
        if (!skip(avro->parts[i], cursor, depth + 1))
            return false;
    }
    return true;
}

static bool skip(const struct avro_schema *avro, struct avro_cursor *cursor, unsigned depth)
{
    int64_t number = 0;
    uint32_t offset = 0;
    uint32_t size = 0;
    switch (avro->kind) {
    case AVRO_NULL:
        return true;
    case AVRO_BOOLEAN:
        return take(cursor, 1, &offset);
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_ENUM:
        return take_long(cursor, &number);
    case AVRO_FLOAT:
        return take(cursor, 4, &offset);
    case AVRO_DOUBLE:
        return take(cursor, 8, &offset);
    case AVRO_BYTES:
    case AVRO_STRING:
    case AVRO_FIXED:
        return take_bytes(avro, cursor, &offset, &size);
    case AVRO_ARRAY:
    case AVRO_MAP:
    case AVRO_RECORD:
    case AVRO_UNION:
        return skip_parts(avro, cursor, depth);
    }
    UNREACHABLE();
}

/* ---- numbers and times ---- */

static bool out_of_range(struct avro_cursor *cursor, int64_t number, struct type type)
{
    struct text text SCOPED_TEXT_BUFFER;
    text_init(&text, sizeof(cursor->message) - 1);
    text_format(&text, "%lld is out of the range of ", (long long)number);
    type_format(type, &text);
    return fail(cursor, text.bytes);
}

static bool append_timestamp(struct avro_cursor *cursor, struct batch_builder *out, uint32_t column,
                             const struct type *type, int64_t number, int64_t ticks_per_second)
{
    const int64_t wanted = type_timestamp_ticks(*type);
    int64_t ticks = 0;
    if (wanted >= ticks_per_second) {
        if (__builtin_mul_overflow(number, wanted / ticks_per_second, &ticks))
            return out_of_range(cursor, number, *type);
    } else {
        const int64_t divisor = ticks_per_second / wanted;
        ticks = number / divisor - (number % divisor < 0);
    }
    batch_builder_int(out, column, ticks);
    return true;
}

static bool append_time(struct avro_cursor *cursor, struct batch_builder *out, uint32_t column,
                        const struct type *type, int64_t number, int64_t micros)
{
    if (number < 0 || number >= INT64_C(86400000000) / micros)
        return out_of_range(cursor, number, *type);
    batch_builder_int(out, column, number * micros);
    return true;
}

static bool decode_number(const struct avro_plan *plan, struct avro_cursor *cursor,
                          struct batch_builder *out, uint32_t column)
{
    int64_t number = 0;
    if (!take_long(cursor, &number))
        return false;
    if (plan->avro->kind == AVRO_INT && (number < INT32_MIN || number > INT32_MAX))
        return fail(cursor, "an int of more than 32 bits");
    const struct type *type = &plan->type;
    if (type->kind == TYPE_FLOAT || type->kind == TYPE_DOUBLE) {
        batch_builder_double(out, column, (double)number);
        return true;
    }
    if (type->kind == TYPE_TIME)
        return append_time(cursor, out, column, type, number,
                           plan->avro->logical == AVRO_TIME_MILLIS ? 1000 : 1);
    if (type_is_timestamp(type->kind))
        return append_timestamp(cursor, out, column, type, number,
                                plan->avro->logical == AVRO_TIMESTAMP_MILLIS ? 1000 : 1000000);
    if (type->kind == TYPE_DATE) {
        batch_builder_int(out, column, number);
        return true;
    }
    return scalar_int_append(out, column, type, number) || out_of_range(cursor, number, *type);
}

static bool decode_real(const struct avro_plan *plan, struct avro_cursor *cursor,
                        struct batch_builder *out, uint32_t column)
{
    uint32_t offset = 0;
    if (!take(cursor, plan->avro->kind == AVRO_FLOAT ? 4 : 8, &offset))
        return false;
    double real = 0;
    float narrow = 0;
    if (plan->avro->kind == AVRO_FLOAT) {
        memcpy(&narrow, cursor->buffer->bytes + offset, sizeof(narrow));
        real = (double)narrow;
    } else {
        memcpy(&real, cursor->buffer->bytes + offset, sizeof(real));
    }
    batch_builder_double(out, column, real);
    return true;
}

/* Two's complement, most significant byte first. */
static bool decode_decimal(const struct avro_plan *plan, struct avro_cursor *cursor,
                           struct batch_builder *out, uint32_t column)
{
    uint32_t offset = 0;
    uint32_t size = 0;
    if (!take_bytes(plan->avro, cursor, &offset, &size))
        return false;
    const uint8_t *bytes = (const uint8_t *)cursor->buffer->bytes + offset;
    const uint8_t sign = size > 0 && bytes[0] >= 0x80 ? 0xFF : 0;
    while (size > 16 && bytes[0] == sign) {
        bytes++;
        size--;
    }
    if (size > 16 || (size == 16 && (bytes[0] >= 0x80) != (sign != 0)))
        return fail(cursor, "a decimal of more than 38 digits");
    unsigned __int128 bits = sign == 0 ? 0 : ~(unsigned __int128)0;
    for (uint32_t i = 0; i < size; i++)
        bits = bits << 8 | bytes[i];
    __int128 value = (__int128)bits;
    __int128 limit = 1;
    for (unsigned i = 0; i < plan->type.precision; i++)
        limit *= 10;
    for (unsigned i = plan->avro->scale; i < plan->type.scale; i++) {
        if (value >= limit || value <= -limit)
            break;
        value *= 10;
    }
    if (value >= limit || value <= -limit)
        return fail(cursor, "a decimal with more digits than the column's type");
    batch_builder_decimal(out, column, value);
    return true;
}

/* ---- strings ---- */

static bool append_text(const struct avro_plan *plan, struct avro_cursor *cursor,
                        struct batch_builder *out, uint32_t column, uint32_t offset, uint32_t size)
{
    const char *bytes = cursor->buffer->bytes + offset;
    if (plan->type.kind != TYPE_BYTES) {
        if (!utf8_is_valid(bytes, size))
            return fail(cursor, "a string that is no valid UTF-8");
        if (!scalar_length_fits(&plan->type, bytes, size))
            return fail(cursor, "a string longer than the column's type");
    }
    batch_builder_shared(out, column, cursor->buffer, offset, size);
    return true;
}

static bool decode_symbol(const struct avro_plan *plan, struct avro_cursor *cursor,
                          struct batch_builder *out, uint32_t column)
{
    int64_t symbol = 0;
    if (!take_long(cursor, &symbol))
        return false;
    if (symbol < 0 || symbol >= plan->avro->count)
        return fail(cursor, "an enum's symbol that its schema does not have");
    const char *text = plan->avro->names[symbol];
    batch_builder_bytes(out, column, text, strlen(text));
    return true;
}

/* ---- composed values ---- */

static bool decode_blocks(const struct avro_plan *plan, struct avro_cursor *cursor,
                          struct batch_builder *out, uint32_t column)
{
    const bool is_map = plan->avro->kind == AVRO_MAP;
    const struct avro_plan key = {.avro = plan->avro,
                                  .type = is_map ? plan->type.children[0].type : plan->type};
    uint64_t count = 0;
    batch_builder_begin(out, column);
    do {
        if (!take_block(cursor, &count))
            return false;
        for (uint64_t i = 0; i < count; i++) {
            uint32_t offset = 0;
            uint32_t size = 0;
            if (is_map && (!take_size(cursor, &offset, &size) ||
                           !append_text(&key, cursor, out, 0, offset, size)))
                return false;
            if (!decode_value(plan->parts, cursor, out, is_map ? 1 : 0))
                return false;
        }
    } while (count > 0);
    batch_builder_end(out);
    return true;
}

static bool append_null(const struct avro_plan *plan, struct avro_cursor *cursor,
                        struct batch_builder *out, uint32_t column)
{
    if (!plan->type.nullable)
        return fail(cursor, "NULL in a column that is NOT NULL");
    batch_builder_null(out, column);
    return true;
}

static bool decode_union(const struct avro_plan *plan, struct avro_cursor *cursor,
                         struct batch_builder *out, uint32_t column)
{
    uint32_t branch = 0;
    if (!take_branch(plan->avro, cursor, &branch))
        return false;
    if (plan->avro->parts[branch]->kind == AVRO_NULL)
        return append_null(plan, cursor, out, column);
    return decode_value(&plan->parts[branch], cursor, out, column);
}

/* The fields of a record to the columns of the row, or of the ROW value that is being built. */
static bool decode_fields(const struct avro_plan *plan, struct avro_cursor *cursor,
                          struct batch_builder *out)
{
    for (uint32_t i = 0; i < plan->avro->count; i++) {
        const int32_t place = plan->places[i];
        const bool is_good = place < 0
                                 ? skip(plan->avro->parts[i], cursor, 0)
                                 : decode_value(&plan->parts[i], cursor, out, (uint32_t)place);
        if (!is_good) {
            if (cursor->column == NULL)
                cursor->column = plan->avro->names[i];
            return false;
        }
    }
    for (uint32_t i = 0; i < plan->type.child_count; i++) {
        if (batch_builder_has(out, i))
            continue;
        const struct avro_plan missing = {.type = plan->type.children[i].type};
        if (!append_null(&missing, cursor, out, i)) {
            cursor->column = plan->type.children[i].name;
            return false;
        }
    }
    return true;
}

static bool decode_value(const struct avro_plan *plan, struct avro_cursor *cursor,
                         struct batch_builder *out, uint32_t column)
{
    const struct avro_schema *avro = plan->avro;
    uint32_t offset = 0;
    uint32_t size = 0;
    if (avro->logical == AVRO_DECIMAL && plan->type.kind == TYPE_DECIMAL)
        return decode_decimal(plan, cursor, out, column);
    switch (avro->kind) {
    case AVRO_NULL:
        return append_null(plan, cursor, out, column);
    case AVRO_BOOLEAN:
        if (!take(cursor, 1, &offset))
            return false;
        batch_builder_bool(out, column, cursor->buffer->bytes[offset] != 0);
        return true;
    case AVRO_INT:
    case AVRO_LONG:
        return decode_number(plan, cursor, out, column);
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
        return decode_real(plan, cursor, out, column);
    case AVRO_BYTES:
    case AVRO_STRING:
    case AVRO_FIXED:
        return take_bytes(avro, cursor, &offset, &size) &&
               append_text(plan, cursor, out, column, offset, size);
    case AVRO_ENUM:
        return decode_symbol(plan, cursor, out, column);
    case AVRO_ARRAY:
    case AVRO_MAP:
        return decode_blocks(plan, cursor, out, column);
    case AVRO_UNION:
        return decode_union(plan, cursor, out, column);
    case AVRO_RECORD:
        batch_builder_begin(out, column);
        if (!decode_fields(plan, cursor, out))
            return false;
        batch_builder_end(out);
        return true;
    }
    UNREACHABLE();
}

bool avro_decode_record(const struct avro_plan *plan, struct avro_cursor *cursor,
                        struct batch_builder *out)
{
    return decode_fields(plan, cursor, out);
}
