/*
 * The columns of a stream: ordered, named, typed, with a stable field id each.
 *
 * A schema is immutable and reference-counted (any thread); it owns its names and the nodes of
 * nested types.
 */
#ifndef COMMON_DATA_SCHEMA_H
#define COMMON_DATA_SCHEMA_H

#include "common/base/scoped.h"
#include "common/data/type.h"

#include <stdatomic.h>
#include <stdint.h>

#define SCHEMA_COLUMN_MAX     1600
#define SCHEMA_NAME_BYTES_MAX 255

struct schema_column {
    const char *name;
    struct type type;
    uint32_t field_id; /* 1.. ; identifies the column across versions of a state's schema */
};

struct schema {
    _Atomic uint32_t references;
    uint32_t column_count;
    int32_t event_time; /* index of the event time column, -1 if none */
    struct schema_column columns[];
};

/* Copies names and nested types; field ids that are 0 become index + 1. */
struct schema *schema_create(const struct schema_column *columns, uint32_t count,
                             int32_t event_time)
    __attribute__((returns_nonnull, warn_unused_result));
struct schema *schema_ref(const struct schema *schema);
void schema_unref(struct schema *schema);
DEFINE_SCOPED(struct schema, schema_unref)

/* The index of the column, or -1. */
int32_t schema_find(const struct schema *schema, const char *name);
/* Same names, order and types; nullability counts only if asked. */
bool schema_equals(const struct schema *a, const struct schema *b, bool with_nullability);
/* "word STRING NOT NULL, count BIGINT" */
void schema_format(const struct schema *schema, struct text *out);

#endif
