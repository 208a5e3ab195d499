/*
 * Metadata columns of a source: `path: string metadata from 'file.path'`.
 *
 * The spec's output schema holds all columns; each metadata column is named by a setting
 * "metadata.<column>" whose value is a key of the connector's table (struct source_metadata; the
 * compiler has checked key and type). What is left, in order, is what the format decodes.
 */
#ifndef CONNECTORS_METADATA_H
#define CONNECTORS_METADATA_H

#include "common/api/connector.h"

/* The key of a metadata column; NULL for a column that the format decodes. */
const char *metadata_key(const struct operator_spec *spec, const char *column);
/* Does any column ask for the key? */
bool metadata_is_wanted(const struct operator_spec *spec, const char *key);

/* The columns that the format decodes; a new reference. table: of the connector; a key that is not
 * in it is STATUS_INVALID. */
enum status metadata_physical_schema(const struct operator_spec *spec,
                                     const struct source_metadata *table,
                                     struct schema **ret_physical, struct error *err) MUST_CHECK;

/* What a key stands for in the rows of one batch. */
struct metadata_value {
    struct buffer *text;     /* STRING: the same in every row; borrowed; NULL: an integer */
    const int64_t *integers; /* BIGINT: one for each row, or NULL: */
    int64_t integer;         /* BIGINT: the same in every row */
};

/* A batch of the spec's output schema made of the decoded columns and, in every metadata column,
 * the value of its key; values are in the order of the table. Takes the reference of decoded. */
struct batch *metadata_add(const struct operator_spec *spec, const struct source_metadata *table,
                           struct batch *decoded, const struct metadata_value *values)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
