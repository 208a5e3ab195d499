/* One column of every type, and values for them: what the tests of formats share. */
#ifndef TESTS_UNIT_COMMON_DATA_EVERY_TYPE_H
#define TESTS_UNIT_COMMON_DATA_EVERY_TYPE_H

#include "common/base/random.h"
#include "common/data/batch_builder.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct type_field every_array[] = {{"", {.kind = TYPE_DOUBLE, .nullable = true}}};
static const struct type_field every_map[] = {{"", {.kind = TYPE_STRING}},
                                              {"", {.kind = TYPE_INT, .nullable = true}}};
static const struct type_field every_row[] = {
    {"a", {.kind = TYPE_BIGINT, .nullable = true}},
    {"b", {.kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = every_array}}};

static const struct schema_column every_column[] = {
    {.name = "boolean", .type = {.kind = TYPE_BOOLEAN, .nullable = true}},
    {.name = "tinyint", .type = {.kind = TYPE_TINYINT, .nullable = true}},
    {.name = "smallint", .type = {.kind = TYPE_SMALLINT, .nullable = true}},
    {.name = "int", .type = {.kind = TYPE_INT, .nullable = true}},
    {.name = "bigint", .type = {.kind = TYPE_BIGINT, .nullable = true}},
    {.name = "float", .type = {.kind = TYPE_FLOAT, .nullable = true}},
    {.name = "double", .type = {.kind = TYPE_DOUBLE, .nullable = true}},
    {.name = "decimal",
     .type = {.kind = TYPE_DECIMAL, .nullable = true, .precision = 38, .scale = 2}},
    {.name = "char", .type = {.kind = TYPE_CHAR, .nullable = true, .length = 5}},
    {.name = "varchar", .type = {.kind = TYPE_VARCHAR, .nullable = true, .length = 50}},
    {.name = "string", .type = {.kind = TYPE_STRING, .nullable = true}},
    {.name = "bytes", .type = {.kind = TYPE_BYTES, .nullable = true}},
    {.name = "date", .type = {.kind = TYPE_DATE, .nullable = true}},
    {.name = "time", .type = {.kind = TYPE_TIME, .nullable = true, .precision = 3}},
    {.name = "timestamp", .type = {.kind = TYPE_TIMESTAMP, .nullable = true, .precision = 6}},
    {.name = "timestamp_ltz",
     .type = {.kind = TYPE_TIMESTAMP_LTZ, .nullable = true, .precision = 9}},
    {.name = "interval_month", .type = {.kind = TYPE_INTERVAL_MONTH, .nullable = true}},
    {.name = "interval_second", .type = {.kind = TYPE_INTERVAL_SECOND, .nullable = true}},
    {.name = "array",
     .type = {.kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = every_array}},
    {.name = "map",
     .type = {.kind = TYPE_MAP, .nullable = true, .child_count = 2, .children = every_map}},
    {.name = "row",
     .type = {.kind = TYPE_ROW, .nullable = true, .child_count = 2, .children = every_row}},
};
enum { EVERY_COLUMN_COUNT = sizeof(every_column) / sizeof(every_column[0]) };

static inline double random_double(struct random *random)
{
    static const double special[] = {0.0, -0.0, 1.0, -1.0, DBL_MAX, -DBL_MAX, DBL_MIN, 5e-324};
    switch (random_below(random, 5)) {
    case 0:
        return special[random_below(random, 8)];
    case 1:
        return random_below(random, 2) == 0 ? (double)NAN : -(double)NAN;
    case 2:
        return random_below(random, 2) == 0 ? (double)INFINITY : -(double)INFINITY;
    default:
        return (random_unit(random) - 0.5) * 1000;
    }
}

/* Of 0 to 40 bytes, of a small alphabet with 0x00, 0x01 and 0xFF, so that prefixes are common. */
static inline void append_random_bytes(struct batch_builder *builder, uint32_t column,
                                       struct random *random)
{
    static const char alphabet[] = {0, 1, 'a', 'b', (char)0xFF};
    char bytes[40];
    const size_t size = random_below(random, random_below(random, 2) == 0 ? 4 : 41);
    for (size_t i = 0; i < size; i++)
        bytes[i] = alphabet[random_below(random, sizeof(alphabet))];
    batch_builder_bytes(builder, column, bytes, size);
}

static inline void append_random(struct batch_builder *builder, uint32_t column, struct type type,
                                 struct random *random)
{
    const int64_t number = random_below(random, 2) == 0 ? (int64_t)random_below(random, 5) - 2
                                                        : (int64_t)random_next(random);
    if (type.nullable && random_below(random, 6) == 0) {
        batch_builder_null(builder, column);
    } else if (type_is_view(type.kind)) {
        append_random_bytes(builder, column, random);
    } else if (type.kind == TYPE_BOOLEAN) {
        batch_builder_bool(builder, column, (number & 1) != 0);
    } else if (type.kind == TYPE_FLOAT || type.kind == TYPE_DOUBLE) {
        batch_builder_double(builder, column, random_double(random));
    } else if (type.kind == TYPE_DECIMAL) {
        batch_builder_decimal(builder, column,
                              (__int128)number * (number % 3 == 0 ? 1 : INT64_MAX));
    } else if (type_value_size(type.kind) > 0) {
        batch_builder_int(builder, column, number);
    } else if (type.kind == TYPE_ROW) {
        batch_builder_begin(builder, column);
        for (uint32_t i = 0; i < type.child_count; i++)
            append_random(builder, i, type.children[i].type, random);
        batch_builder_end(builder);
    } else {
        const uint64_t count = random_below(random, 11);
        batch_builder_begin(builder, column);
        for (uint64_t e = 0; e < count; e++) {
            for (uint32_t i = 0; i < type.child_count; i++)
                append_random(builder, i, type.children[i].type, random);
        }
        batch_builder_end(builder);
    }
}

static inline struct batch *random_batch(const struct schema *schema, uint32_t row_count,
                                         struct random *random)
{
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (uint32_t row = 0; row < row_count; row++) {
        for (uint32_t i = 0; i < schema->column_count; i++)
            append_random(&builder, i, schema->columns[i].type, random);
        batch_builder_end_row(&builder, (enum row_kind)random_below(random, 4));
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

/* The golden value of each type: appended to column `column`. */
static inline void append_golden(struct batch_builder *builder, uint32_t column, struct type type)
{
    switch (type.kind) {
    case TYPE_BOOLEAN:
        batch_builder_bool(builder, column, true);
        break;
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        batch_builder_double(builder, column, -2.5);
        break;
    case TYPE_DECIMAL:
        batch_builder_decimal(builder, column, -12345);
        break;
    case TYPE_CHAR:
        batch_builder_bytes(builder, column, "ab", 2);
        break;
    case TYPE_VARCHAR:
        batch_builder_bytes(builder, column, "fourteen bytes", 14);
        break;
    case TYPE_STRING:
        batch_builder_bytes(builder, column, "apple", 5);
        break;
    case TYPE_BYTES:
        batch_builder_bytes(builder, column, "a\0b", 3);
        break;
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT:
        batch_builder_int(builder, column, -2);
        break;
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_LTZ:
    case TYPE_INTERVAL_MONTH:
    case TYPE_INTERVAL_SECOND:
        batch_builder_int(builder, column, 0x010203);
        break;
    case TYPE_ARRAY:
        batch_builder_begin(builder, column);
        batch_builder_null(builder, 0);
        batch_builder_double(builder, 0, -0.0);
        batch_builder_end(builder);
        break;
    case TYPE_MAP:
        batch_builder_begin(builder, column);
        batch_builder_bytes(builder, 0, "k", 1);
        batch_builder_int(builder, 1, 7);
        batch_builder_end(builder);
        break;
    case TYPE_ROW:
        batch_builder_begin(builder, column);
        batch_builder_int(builder, 0, 7);
        batch_builder_null(builder, 1);
        batch_builder_end(builder);
        break;
    case TYPE_NONE:
        ck_abort_msg("no such column");
    }
}

/* A batch of one column: its golden value, then NULL. */
static inline struct batch *golden_batch(const struct schema *schema)
{
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    append_golden(&builder, 0, schema->columns[0].type);
    batch_builder_end_row(&builder, ROW_INSERT);
    batch_builder_null(&builder, 0);
    batch_builder_end_row(&builder, ROW_INSERT);
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

static inline void append_hex(const void *bytes, size_t size, struct text *out)
{
    for (size_t i = 0; i < size; i++)
        text_format(out, "%02x", ((const uint8_t *)bytes)[i]);
}

/* Equal in every value (bitwise), compared as text of their encodings. */
static inline void check_rows_equal(const struct batch *a, uint32_t a_row, const struct batch *b,
                                    uint32_t b_row)
{
    SCOPED_TEXT_BUFFER struct text text_a;
    SCOPED_TEXT_BUFFER struct text text_b;
    text_init(&text_a, 1 << 20);
    text_init(&text_b, 1 << 20);
    batch_format_row(a, a_row, &text_a);
    batch_format_row(b, b_row, &text_b);
    ck_assert_uint_eq(text_a.size, text_b.size);
    ck_assert_mem_eq(text_a.bytes, text_b.bytes, text_a.size);
}

#endif
