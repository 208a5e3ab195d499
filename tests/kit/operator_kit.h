/*
 * The operator test kit: runs one operator on rows written as text and checks what comes out, again
 * and again: in one batch, in batches of one row and of random sizes; with an emitter that has room
 * for one batch or none, so that hooks resume; with a state that hesitates; with a snapshot and a
 * restore into a fresh instance after each batch; and all of these at once; and on the real
 * backends, with the smallest cache and restores from checkpoint storage. Every run must give the
 * same rows, those of the model the same final state; emit=batch one row per key for each batch.
 *
 * Rows are lines as batch_format_row writes them: "+I[apple, 3]", NULL as null, no comma inside a
 * value. Between them a line "@1000" is a watermark of 1000 ms ("@max": the last one), a line
 * "!1000" sets the clock to 1000 ms (has_clock) and fires the processing-time timers that are due.
 * Rows of the output "late" (has_late) are expected as "late +I[apple, 3]".
 */
#ifndef TESTS_KIT_OPERATOR_KIT_H
#define TESTS_KIT_OPERATOR_KIT_H

#include "common/api/operator.h"

enum kit_compare {
    KIT_ORDERED,      /* the very rows, in order                                           */
    KIT_BAG,          /* the same rows in any order                                        */
    KIT_LATEST,       /* the last row of each key (first column); expected is sorted       */
    KIT_MATERIALIZED, /* what is left when all changes are applied; expected as +I, sorted */
};

struct kit_column {
    const char *name;
    const char *text;
};

struct kit_case {
    const char *kind;
    const char *input_schema; /* "k STRING, v DECIMAL(10; 2)": a semicolon within a type */
    const char *output_schema;
    const char *keys[4];            /* ends in NULL */
    struct kit_column columns[8];   /* ends in NULL */
    struct kit_column settings[10]; /* name and text; ends in NULL */
    const char *filters[4];         /* ends in NULL */
    enum on_error on_error;
    enum kit_compare compare;
    const char *input;        /* lines */
    const char *expected;     /* lines */
    uint32_t expected_errors; /* rows given to on_error in each run */
    const char *failure;      /* the run ends with an error that contains this; NULL: it does not */
    bool runs_without_restore; /* barriers cut the output: no snapshots */
    bool is_large;             /* fewer runs, restores not after each row */
    bool has_clock;            /* one by hand, from 0 */
    bool has_late;
    /* On real backends and in batches of one row: how far the clock moves after each. */
    int64_t advance_ms;
    int64_t expected_event_time_ms; /* the largest reported; 0: not looked at */
};

/* Fails the running libcheck test with a description of the first difference. */
void kit_verify(const struct kit_case *test);

/* A schema from "name type, name type". */
struct schema *operator_kit_schema(const char *text);

#endif
