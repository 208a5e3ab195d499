/*
 * SQL types and their layout in columns.
 *
 *   kind              C value in struct column    remarks
 *   BOOLEAN           uint8_t 0 or 1
 *   TINYINT..BIGINT   int8_t .. int64_t           arithmetic wraps
 *   FLOAT, DOUBLE     float, double
 *   DECIMAL(p,s)      __int128, unscaled          p 1..38, 0 <= s <= p
 *   CHAR(n), VARCHAR(n), STRING   struct string_view   UTF-8; n counts characters
 *   BYTES             struct string_view
 *   DATE              int32_t days since 1970-01-01
 *   TIME(p)           int64_t microseconds of the day, p 0..6
 *   TIMESTAMP(p)      int64_t since 1970-01-01 without zone: microseconds for p <= 6,
 *                     nanoseconds (years 1677 to 2262) for p 7..9
 *   TIMESTAMP_LTZ(p)  as TIMESTAMP, an instant in UTC
 *   INTERVAL_MONTH    int32_t months
 *   INTERVAL_SECOND   int64_t microseconds
 *   ARRAY<t>          offsets + children[0]
 *   MAP<k,v>          offsets + children[0], children[1]
 *   ROW<f...>         one child per field
 *
 * The numbers of kinds are part of lasting formats: never reuse or renumber one.
 */
#ifndef COMMON_DATA_TYPE_H
#define COMMON_DATA_TYPE_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(KIND, number, SQL name) */
#define TYPE_KIND_TABLE(X)                                                                         \
    X(BOOLEAN, 1, "BOOLEAN")                                                                       \
    X(TINYINT, 2, "TINYINT")                                                                       \
    X(SMALLINT, 3, "SMALLINT")                                                                     \
    X(INT, 4, "INT")                                                                               \
    X(BIGINT, 5, "BIGINT")                                                                         \
    X(FLOAT, 6, "FLOAT")                                                                           \
    X(DOUBLE, 7, "DOUBLE")                                                                         \
    X(DECIMAL, 8, "DECIMAL")                                                                       \
    X(CHAR, 9, "CHAR")                                                                             \
    X(VARCHAR, 10, "VARCHAR")                                                                      \
    X(STRING, 11, "STRING")                                                                        \
    X(BYTES, 12, "BYTES")                                                                          \
    X(DATE, 13, "DATE")                                                                            \
    X(TIME, 14, "TIME")                                                                            \
    X(TIMESTAMP, 15, "TIMESTAMP")                                                                  \
    X(TIMESTAMP_LTZ, 16, "TIMESTAMP_LTZ")                                                          \
    X(INTERVAL_MONTH, 17, "INTERVAL MONTH")                                                        \
    X(INTERVAL_SECOND, 18, "INTERVAL SECOND")                                                      \
    X(ARRAY, 19, "ARRAY")                                                                          \
    X(MAP, 20, "MAP")                                                                              \
    X(ROW, 21, "ROW")

enum type_kind {
    TYPE_NONE = 0, /* of the literal NULL before it is typed */
#define X(kind, number, name) TYPE_##kind = number,
    TYPE_KIND_TABLE(X)
#undef X
};

#define TYPE_DEPTH_MAX             32
#define TYPE_DECIMAL_PRECISION_MAX 38

struct type_field;

/* A value type: copied by struct assignment, compared by type_equals. Nested types point to
 * immutable nodes that live in the schema (or static table) the type came from. */
struct type {
    enum type_kind kind;
    bool nullable;
    uint8_t precision; /* DECIMAL, TIME, TIMESTAMP, TIMESTAMP_LTZ */
    uint8_t scale;     /* DECIMAL */
    uint16_t child_count;
    uint32_t length;                   /* CHAR, VARCHAR: characters */
    const struct type_field *children; /* ARRAY: 1, MAP: 2, ROW: its fields */
};

struct type_field {
    const char *name; /* "" in ARRAY and MAP */
    struct type type;
};

/* The nullable type of a simple kind, with Flink's precision: TIMESTAMP(6), DECIMAL(10,0). */
struct type type_of_kind(enum type_kind kind);
struct type type_decimal(unsigned precision, unsigned scale);

/* Bytes of one value in column.values; 0 for ARRAY, MAP, ROW and NONE. */
size_t type_value_size(enum type_kind kind);
bool type_is_string(enum type_kind kind);    /* CHAR, VARCHAR, STRING: views of UTF-8 */
bool type_is_view(enum type_kind kind);      /* those and BYTES */
bool type_is_integer(enum type_kind kind);   /* TINYINT to BIGINT */
bool type_is_numeric(enum type_kind kind);   /* integers, FLOAT, DOUBLE, DECIMAL */
bool type_is_timestamp(enum type_kind kind); /* TIMESTAMP, TIMESTAMP_LTZ */
/* Ticks per second of a TIMESTAMP or TIMESTAMP_LTZ: 1,000,000 or 1,000,000,000. */
int64_t type_timestamp_ticks(struct type type);

/* Same kind, parameters, children and, if with_nullability, nullability. */
bool type_equals(struct type a, struct type b, bool with_nullability);
/* SQL text: "DECIMAL(12, 2) NOT NULL", "ARRAY<STRING>". */
void type_format(struct type type, struct text *out);
/* A column or field name as SQL: in backticks unless it is a plain identifier. */
void type_format_name(const char *name, struct text *out);
/* "BIGINT"; static text, never NULL. */
const char *type_kind_name(enum type_kind kind);

#endif
