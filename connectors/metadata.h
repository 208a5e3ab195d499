/*
 * Metadata columns of a source: `path: string metadata from 'file.path'`.
 *
 * The spec's output schema holds all columns; each metadata column is named by a setting
 * "metadata.<column>" whose value is the key ("file.path"). What is left, in order, is what the
 * format decodes.
 */
#ifndef CONNECTORS_METADATA_H
#define CONNECTORS_METADATA_H

#include "common/api/connector.h"

/* The columns that the format decodes; a new reference. keys: what the connector offers, ends in
 * NULL; another key, or a column that is no STRING, is STATUS_INVALID. */
enum status metadata_physical_schema(const struct operator_spec *spec, const char *const *keys,
                                     struct schema **ret_physical, struct error *err) MUST_CHECK;

/* A batch of the spec's output schema made of the decoded columns, with value in every metadata
 * column (there is one key so far). Takes the reference of decoded. */
struct batch *metadata_add(const struct operator_spec *spec, struct batch *decoded,
                           struct buffer *value)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
