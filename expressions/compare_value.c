/* Values of two columns compared: see compare_value.h. */
#include "expressions/compare_value.h"

#define COMPARE_AS(c_type)                                                                         \
    do {                                                                                           \
        const c_type x = ((const c_type *)a->values)[row_a];                                       \
        const c_type y = ((const c_type *)b->values)[row_b];                                       \
        return x == y ? 0 : x < y ? -1 : 1;                                                        \
    } while (0)

static int compare_nullable(const struct column *a, uint32_t row_a, const struct column *b,
                            uint32_t row_b)
{
    const bool null_a = column_is_null(a, row_a);
    const bool null_b = column_is_null(b, row_b);
    if (null_a || null_b)
        return null_a && null_b ? 0 : null_a ? -1 : 1;
    return compare_values(a, row_a, b, row_b);
}

static int compare_arrays(const struct column *a, uint32_t row_a, const struct column *b,
                          uint32_t row_b)
{
    const uint32_t size_a = a->offsets[row_a + 1] - a->offsets[row_a];
    const uint32_t size_b = b->offsets[row_b + 1] - b->offsets[row_b];
    for (uint32_t i = 0; i < size_a && i < size_b; i++) {
        const int order = compare_nullable(a->children[0], a->offsets[row_a] + i, b->children[0],
                                           b->offsets[row_b] + i);
        if (order != 0)
            return order;
    }
    return size_a == size_b ? 0 : size_a < size_b ? -1 : 1;
}

int compare_values(const struct column *a, uint32_t row_a, const struct column *b, uint32_t row_b)
{
    switch (a->type.kind) {
    case TYPE_BOOLEAN:
        COMPARE_AS(uint8_t);
    case TYPE_TINYINT:
        COMPARE_AS(int8_t);
    case TYPE_SMALLINT:
        COMPARE_AS(int16_t);
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_MONTH:
        COMPARE_AS(int32_t);
    case TYPE_BIGINT:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
    case TYPE_INTERVAL_SECOND:
        COMPARE_AS(int64_t);
    case TYPE_FLOAT:
        COMPARE_AS(float);
    case TYPE_DOUBLE:
        COMPARE_AS(double);
    case TYPE_DECIMAL:
        COMPARE_AS(__int128);
    case TYPE_CHAR:
    case TYPE_VARCHAR:
    case TYPE_STRING:
    case TYPE_BYTES:
        return views_compare(a, &column_views(a)[row_a], b, &column_views(b)[row_b]);
    case TYPE_ARRAY:
        return compare_arrays(a, row_a, b, row_b);
    case TYPE_ROW:
        for (uint32_t i = 0; i < a->child_count; i++) {
            const int order = compare_nullable(a->children[i], row_a, b->children[i], row_b);
            if (order != 0)
                return order;
        }
        return 0;
    case TYPE_MAP:
    case TYPE_NONE:
        break;
    }
    return 0;
}

bool type_is_comparable(struct type type)
{
    if (type.kind == TYPE_MAP)
        return false;
    for (uint16_t i = 0; i < type.child_count; i++) {
        if (!type_is_comparable(type.children[i].type))
            return false;
    }
    return true;
}
