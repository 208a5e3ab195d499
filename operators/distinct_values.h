/*
 * The DISTINCT of one aggregate call: a map state from (key, value) to the number of its rows, with
 * windows from (end, key, value), whose entries are dropped with the window. It turns the signs of
 * a batch's rows into those of distinct values: 1 for the first row of a value, -1 when its last
 * row is taken back, else 0.
 */
#ifndef OPERATORS_DISTINCT_VALUES_H
#define OPERATORS_DISTINCT_VALUES_H

#include "operators/aggregate_parts.h"
#include "operators/state_sweep.h"

struct distinct_values {
    struct state *state;
    struct schema *view_schema; /* key columns, then the argument */
    uint32_t columns[KEY_COLUMN_MAX + 2];
    uint32_t key_count;
    bool has_windows;
    struct type subkey_types[2];
    /* The batch at work. */
    bool is_started;
    struct batch *view;
    struct key_batch keys;
    struct key_batch subkeys;
    uint32_t *entries; /* per selected row of the view: its index among the parts' rows */
    uint32_t next;
    struct state_sweep sweep;
    void **slots;
    uint8_t *fresh;
    uint32_t capacity;
};

enum status distinct_values_open(struct distinct_values *distinct, struct operator_env *env,
                                 const struct aggregate_part *part, const uint32_t *key_columns,
                                 bool has_windows, int64_t ttl_ms, struct error *err) MUST_CHECK;
void distinct_values_close(struct distinct_values *distinct);
/* Changes the part's signs for the batch. ends: of the row's window, per row of the batch.
 * Resumable.
 */
enum step distinct_values_apply(struct distinct_values *distinct, struct aggregate_parts *parts,
                                struct aggregate_part *part, const uint32_t *key_columns,
                                const int64_t *ends, const struct batch *in, struct error *err);
/* Drops the values of windows that end there or before. Resumable. */
enum step distinct_values_drop(struct distinct_values *distinct, int64_t end, struct error *err);

#endif
