/* The least restrictive common type, as Flink SQL has it: see coercion.h and binder.h. */
#include "expressions/coercion.h"

#include "expressions/binder.h"

#include <stdio.h>

const char *type_text(struct type type)
{
    static _Thread_local char texts[4][256];
    static _Thread_local unsigned next;
    char *out = texts[next++ % 4];
    SCOPED_TEXT_BUFFER struct text text;
    text_init(&text, sizeof(texts[0]) - 1);
    type.nullable = true;
    if (type.kind == TYPE_NONE)
        text_append(&text, "NULL");
    else
        type_format(type, &text);
    memcpy(out, text.bytes, text.size + 1);
    return out;
}

struct type decimal_adjusted(unsigned precision, unsigned scale)
{
    if (precision > TYPE_DECIMAL_PRECISION_MAX) {
        const unsigned digits = precision - scale;
        const unsigned scale_min = scale < 6 ? scale : 6;
        const unsigned left =
            digits < TYPE_DECIMAL_PRECISION_MAX ? TYPE_DECIMAL_PRECISION_MAX - digits : 0;
        scale = left > scale_min ? left : scale_min;
        precision = TYPE_DECIMAL_PRECISION_MAX;
    }
    return type_decimal(precision, scale);
}

struct type decimal_of(struct type type)
{
    switch (type.kind) {
    case TYPE_TINYINT:
        return type_decimal(3, 0);
    case TYPE_SMALLINT:
        return type_decimal(5, 0);
    case TYPE_INT:
        return type_decimal(10, 0);
    case TYPE_BIGINT:
        return type_decimal(19, 0); /* Flink's, one less than the 20 that UINT64 would need */
    default:
        return type;
    }
}

static bool is_approximate(enum type_kind kind)
{
    return kind == TYPE_FLOAT || kind == TYPE_DOUBLE;
}

static struct type common_number(struct type a, struct type b)
{
    if (is_approximate(a.kind) || is_approximate(b.kind)) {
        const bool is_float = a.kind != TYPE_DOUBLE && b.kind != TYPE_DOUBLE &&
                              a.kind != TYPE_DECIMAL && b.kind != TYPE_DECIMAL;
        return type_of_kind(is_float ? TYPE_FLOAT : TYPE_DOUBLE);
    }
    if (a.kind == TYPE_DECIMAL || b.kind == TYPE_DECIMAL) {
        a = decimal_of(a);
        b = decimal_of(b);
        const unsigned scale = a.scale > b.scale ? a.scale : b.scale;
        const unsigned digits_a = (unsigned)a.precision - a.scale;
        const unsigned digits_b = (unsigned)b.precision - b.scale;
        return decimal_adjusted((digits_a > digits_b ? digits_a : digits_b) + scale, scale);
    }
    return type_of_kind(a.kind > b.kind ? a.kind : b.kind);
}

static bool is_point_in_time(enum type_kind kind)
{
    return kind == TYPE_DATE || type_is_timestamp(kind);
}

static bool common_time(struct type a, struct type b, struct type *ret_type)
{
    if (is_point_in_time(a.kind) && is_point_in_time(b.kind)) {
        const bool is_ltz = a.kind == TYPE_TIMESTAMP_LTZ || b.kind == TYPE_TIMESTAMP_LTZ;
        struct type type = type_of_kind(is_ltz ? TYPE_TIMESTAMP_LTZ : TYPE_TIMESTAMP);
        const uint8_t precision_a = a.kind == TYPE_DATE ? 0 : a.precision;
        const uint8_t precision_b = b.kind == TYPE_DATE ? 0 : b.precision;
        type.precision = precision_a > precision_b ? precision_a : precision_b;
        *ret_type = type;
        return true;
    }
    if (a.kind == TYPE_TIME && b.kind == TYPE_TIME) {
        *ret_type = a.precision > b.precision ? a : b;
        return true;
    }
    return false;
}

/* The same kind of nested type with common children. */
static bool common_nested(struct node_arena *arena, struct type a, struct type b,
                          struct type *ret_type)
{
    if (a.kind != b.kind || a.child_count != b.child_count || a.child_count == 0)
        return false;
    struct type_field *children = node_arena_allocate(arena, a.child_count * sizeof(*children));
    for (uint16_t i = 0; i < a.child_count; i++) {
        children[i].name = a.children[i].name;
        if (!type_common(arena, a.children[i].type, b.children[i].type, &children[i].type))
            return false;
    }
    *ret_type = a;
    ret_type->children = children;
    return true;
}

bool type_common(struct node_arena *arena, struct type a, struct type b, struct type *ret_type)
{
    const bool is_nullable = a.nullable || b.nullable || a.kind == TYPE_NONE || b.kind == TYPE_NONE;
    struct type type = a.kind == TYPE_NONE ? b : a;
    bool ok = true;
    if (a.kind == TYPE_NONE || b.kind == TYPE_NONE || type_equals(a, b, false))
        ;
    else if (type_is_numeric(a.kind) && type_is_numeric(b.kind))
        type = common_number(a, b);
    else if (type_is_string(a.kind) && type_is_string(b.kind))
        type = type_of_kind(TYPE_STRING);
    else
        ok = common_time(a, b, &type) || common_nested(arena, a, b, &type);
    if (ok) {
        *ret_type = type;
        ret_type->nullable = is_nullable;
    }
    return ok;
}
