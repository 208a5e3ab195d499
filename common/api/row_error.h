/*
 * Dead letters: rows of the output "errors" (OUTPUT_ERRORS) of every operator that has one. The
 * compiler gives that output this schema, the task makes the rows.
 *
 *     node STRING, cause STRING, message STRING, source STRING, position BIGINT, raw BYTES,
 *     key STRING, time TIMESTAMP_LTZ(3)
 *
 * source is the split's name, position the byte or record offset in it; unknown parts are NULL.
 */
#ifndef COMMON_API_ROW_ERROR_H
#define COMMON_API_ROW_ERROR_H

#include "common/api/operator.h"
#include "common/data/batch_builder.h"

enum row_error_column {
    ROW_ERROR_NODE,
    ROW_ERROR_CAUSE,
    ROW_ERROR_MESSAGE,
    ROW_ERROR_SOURCE,
    ROW_ERROR_POSITION,
    ROW_ERROR_RAW,
    ROW_ERROR_KEY,
    ROW_ERROR_TIME,
    ROW_ERROR_COLUMN_COUNT
};

/* Bytes of a record that a dead letter keeps; the rest is cut. */
#define ROW_ERROR_RAW_BYTES_MAX (1024 * 1024)

/* A new reference. Any thread. */
struct schema *row_error_schema(void) __attribute__((returns_nonnull, warn_unused_result));

/* Appends one complete row to a builder of that schema. node: what people call the operator. */
void row_error_append(struct batch_builder *builder, const char *node,
                      const struct row_error *error, int64_t wall_ms);

#endif
