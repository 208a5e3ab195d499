/* SQL types: see type.h. */
#include "common/data/type.h"

#include "common/base/check.h"
#include "common/data/batch.h"

#include <string.h>

enum { TYPE_KIND_COUNT = TYPE_ROW + 1 };

static const uint8_t value_sizes[TYPE_KIND_COUNT] = {
    [TYPE_BOOLEAN] = 1,
    [TYPE_TINYINT] = 1,
    [TYPE_SMALLINT] = 2,
    [TYPE_INT] = 4,
    [TYPE_BIGINT] = 8,
    [TYPE_FLOAT] = 4,
    [TYPE_DOUBLE] = 8,
    [TYPE_DECIMAL] = 16,
    [TYPE_CHAR] = sizeof(struct string_view),
    [TYPE_VARCHAR] = sizeof(struct string_view),
    [TYPE_STRING] = sizeof(struct string_view),
    [TYPE_BYTES] = sizeof(struct string_view),
    [TYPE_DATE] = 4,
    [TYPE_TIME] = 8,
    [TYPE_TIMESTAMP] = 8,
    [TYPE_TIMESTAMP_LTZ] = 8,
    [TYPE_INTERVAL_MONTH] = 4,
    [TYPE_INTERVAL_SECOND] = 8,
};

static const char *const kind_names[TYPE_KIND_COUNT] = {[TYPE_NONE] = "NULL",
#define X(kind, number, name) [number] = name,
                                                        TYPE_KIND_TABLE(X)
#undef X
};

struct type type_of_kind(enum type_kind kind)
{
    struct type type = {.kind = kind, .nullable = true};
    switch (kind) {
    case TYPE_DECIMAL:
        type.precision = 10;
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        type.precision = 6;
        break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
        type.length = 1;
        break;
    case TYPE_NONE:
    case TYPE_BOOLEAN:
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_ROW:
        break;
    }
    return type;
}

struct type type_decimal(unsigned precision, unsigned scale)
{
    DCHECK(precision >= 1 && precision <= TYPE_DECIMAL_PRECISION_MAX && scale <= precision);
    return (struct type){.kind = TYPE_DECIMAL,
                         .nullable = true,
                         .precision = (uint8_t)precision,
                         .scale = (uint8_t)scale};
}

size_t type_value_size(enum type_kind kind)
{
    return value_sizes[kind];
}

bool type_is_string(enum type_kind kind)
{
    return kind == TYPE_CHAR || kind == TYPE_VARCHAR || kind == TYPE_STRING;
}

bool type_is_view(enum type_kind kind)
{
    return kind >= TYPE_CHAR && kind <= TYPE_BYTES;
}

bool type_is_integer(enum type_kind kind)
{
    return kind >= TYPE_TINYINT && kind <= TYPE_BIGINT;
}

bool type_is_numeric(enum type_kind kind)
{
    return kind >= TYPE_TINYINT && kind <= TYPE_DECIMAL;
}

bool type_is_timestamp(enum type_kind kind)
{
    return kind == TYPE_TIMESTAMP || kind == TYPE_TIMESTAMP_LTZ;
}

int64_t type_timestamp_ticks(struct type type)
{
    return type.precision > 6 ? 1000000000 : 1000000;
}

bool type_equals(struct type a, struct type b, bool with_nullability)
{
    if (a.kind != b.kind || a.precision != b.precision || a.scale != b.scale ||
        a.length != b.length || a.child_count != b.child_count)
        return false;
    if (with_nullability && a.nullable != b.nullable)
        return false;
    if (a.children == b.children)
        return true;
    for (uint32_t i = 0; i < a.child_count; i++) {
        if (strcmp(a.children[i].name, b.children[i].name) != 0 ||
            !type_equals(a.children[i].type, b.children[i].type, with_nullability))
            return false;
    }
    return true;
}

static bool is_plain_name(const char *name)
{
    if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || *name == '_'))
        return false;
    for (; *name != '\0'; name++) {
        if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
              (*name >= '0' && *name <= '9') || *name == '_'))
            return false;
    }
    return true;
}

void type_format_name(const char *name, struct text *out)
{
    if (is_plain_name(name)) {
        text_append(out, name);
        return;
    }
    text_append_char(out, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            text_append_char(out, '`');
        text_append_char(out, *name);
    }
    text_append_char(out, '`');
}

static void format_children(struct type type, struct text *out)
{
    text_append_char(out, '<');
    for (uint32_t i = 0; i < type.child_count; i++) {
        if (i > 0)
            text_append(out, ", ");
        if (type.kind == TYPE_ROW) {
            type_format_name(type.children[i].name, out);
            text_append_char(out, ' ');
        }
        type_format(type.children[i].type, out);
    }
    text_append_char(out, '>');
}

void type_format(struct type type, struct text *out)
{
    text_append(out, type_kind_name(type.kind));
    switch (type.kind) {
    case TYPE_DECIMAL:
        text_format(out, "(%u, %u)", type.precision, type.scale);
        break;
    case TYPE_CHAR:
    case TYPE_VARCHAR:
        text_format(out, "(%u)", type.length);
        break;
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
        text_format(out, "(%u)", type.precision);
        break;
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_ROW:
        format_children(type, out);
        break;
    case TYPE_NONE:
    case TYPE_BOOLEAN:
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_DATE:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
        break;
    }
    if (!type.nullable)
        text_append(out, " NOT NULL");
}

const char *type_kind_name(enum type_kind kind)
{
    return (unsigned)kind < TYPE_KIND_COUNT ? kind_names[kind] : "unknown type";
}
