/*
 * Rows that a window operator emits: keys, window_start and window_end (if the schema has them),
 * aggregates.
 */
#ifndef OPERATORS_WINDOWS_WINDOW_OUTPUT_H
#define OPERATORS_WINDOWS_WINDOW_OUTPUT_H

#include "operators/aggregate_parts.h"
#include "operators/windows/window_spec.h"

#define WINDOW_START_NAME "window_start"
#define WINDOW_END_NAME   "window_end"

/* What an output column holds. */
enum window_column {
    WINDOW_COLUMN_KEY,
    WINDOW_COLUMN_START,
    WINDOW_COLUMN_END,
    WINDOW_COLUMN_PART
};

struct window_output {
    const struct operator_spec *spec;
    const struct window_spec *window;
    const struct aggregate_parts *parts;
    struct memory_account *memory;
    struct schema *schema; /* borrowed from the spec */
    struct schema *key_schema;
    struct type key_types[KEY_COLUMN_MAX];
    uint32_t key_columns[KEY_COLUMN_MAX]; /* of the input */
    enum window_column *columns;          /* per output column */
    uint32_t *places;                     /* of it among keys or parts */
};

enum status window_output_open(struct window_output *output, const struct operator_env *env,
                               const struct window_spec *window,
                               const struct aggregate_parts *parts, struct error *err) MUST_CHECK;
void window_output_close(struct window_output *output);

/* One row per entry. starts and ends: of each entry's window, on its clock. row_kinds: per entry,
 * or NULL: inserts. */
struct batch *window_output_batch(const struct window_output *output,
                                  const struct state_entry *entries, const int64_t *starts,
                                  const int64_t *ends, uint32_t count, const uint8_t *row_kinds)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
