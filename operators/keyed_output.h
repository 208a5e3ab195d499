/*
 * What keyed operators share: which rows leave, and when.
 *
 *   each       one row per input row, in order: the value after that row
 *   batch      one row per key and input batch, with the value after the batch
 *   end        one row per key when the input has ended, from a scan of the state
 *   changelog  what changed per key: +I, -U and +U, -D; nothing if nothing changed
 *
 * `each` and `batch` do not copy keys: the output has the rows of the input batch, its key columns
 * by reference, a selection, and value columns filled at the rows that are selected.
 *
 *     begin(in); for each run of slots: before(), the operator's kernels, after(); emit()
 *
 * The values come from the operator through `write`; with `each`, its kernels write them at once
 * into each_results(column).
 */
#ifndef OPERATORS_KEYED_OUTPUT_H
#define OPERATORS_KEYED_OUTPUT_H

#include "common/api/operator.h"
#include "operators/aggregates/aggregate_function.h"
#include "operators/slot_set.h"

enum emit_mode { EMIT_EACH, EMIT_BATCH, EMIT_END, EMIT_CHANGELOG };

/* The setting "emit"; absent is each. */
enum status emit_mode_of(const struct operator_spec *spec, enum emit_mode *ret_mode,
                         struct error *err) MUST_CHECK;
/* The setting "ttl_ms"; absent is 0: none. */
enum status ttl_of(const struct operator_spec *spec, int64_t *ret_ttl_ms,
                   struct error *err) MUST_CHECK;

/* One row of a changelog, until it is emitted. */
struct keyed_change {
    uint8_t kind;      /* enum row_kind */
    uint32_t position; /* in the value columns: row, or row + row_count for the old value */
    uint32_t row;      /* of the input batch, for the key */
};

struct keyed_output {
    enum emit_mode mode;
    struct schema *schema; /* borrowed from the spec */
    int32_t *key_columns;  /* per output column: the input's column, or -1: a value */
    uint32_t *key_places;  /* per output column that is a key: its place among the keys */
    uint32_t key_count;
    struct type *key_types; /* in key order */
    void *context;
    void (*write)(void *context, uint32_t column, void *const *slots, const uint32_t *positions,
                  uint32_t count, struct aggregate_results *results);
    bool (*is_gone)(void *context, void *slot); /* has the group no rows any more? NULL: never */
    bool has_marks;                             /* slots have a spare bit */
    uint32_t mark_byte;
    /* The batch at work. */
    struct aggregate_results *results; /* per output column */
    struct slot_set set;               /* distinct slots of the run */
    bool *is_new;                      /* per distinct slot */
    uint32_t *positions;               /* per distinct slot: the input row of its first entry */
    uint32_t *old_positions;
    uint32_t *selection;
    uint32_t selected_count;
    uint32_t row_count;           /* of the input batch */
    const struct key_batch *keys; /* of the input batch: entry i belongs to row key_rows[i] */
    const uint32_t *key_rows;
    const struct key_batch *subkeys; /* set before begin: of the same entries; NULL: none */
    uint32_t run_count;
    uint32_t capacity;
    struct keyed_change *changes;
    uint32_t change_count;
    uint32_t emitted_count;
    /* finish */
    bool is_scanning;
    bool has_scanned;
    struct state_entry *entries;
};

/* keys: the spec's; every other output column is a value. The caller sets write and context. */
enum status keyed_output_open(struct keyed_output *output, const struct operator_spec *spec,
                              enum emit_mode mode, struct error *err) MUST_CHECK;
void keyed_output_close(struct keyed_output *output);
/* Lets distinct slots be found by marking them in a spare bit of their NULL bitmap, if there is
 * one; the marks are gone before the state is asked for anything. */
void keyed_output_use_marks(struct keyed_output *output, const struct value_layout *layout);

/* keys and rows are borrowed until the batch is emitted: entry i of keys belongs to row rows[i],
 * which rise. */
void keyed_output_begin(struct keyed_output *output, const struct batch *in,
                        const struct key_batch *keys, const uint32_t *rows);
/* NULL unless the mode is each. */
static inline struct aggregate_results *each_results(struct keyed_output *output, uint32_t column)
{
    return output->mode == EMIT_EACH ? &output->results[column] : NULL;
}
/* Entries of a run, before they change: rows[i] is the input row of slots[i], fresh[i] whether
 * the group was not there before (as downstream knows it). */
void keyed_output_before(struct keyed_output *output, void *const *slots, const uint32_t *rows,
                         const uint8_t *fresh, uint32_t count);
void keyed_output_after(struct keyed_output *output);
/* Emits what the batch gave. STEP_AGAIN: no room, call again. */
enum step keyed_output_emit(struct keyed_output *output, const struct batch *in,
                            struct emitter *out);
/* emit: end: emits the whole state. empty_slot: what a group without rows would have, for the one
 * group of an aggregation without keys; NULL otherwise. */
enum step keyed_output_finish(struct keyed_output *output, struct state *state, void *empty_slot,
                              struct memory_account *memory, struct emitter *out,
                              struct error *err);

#endif
