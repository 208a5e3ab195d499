/*
 * Every clause of a node and every key of a job: one row each. The parser, docs/jobs.md,
 * docs/job.schema.json and "did you mean" read this table.
 */
#ifndef COMPILER_CLAUSES_H
#define COMPILER_CLAUSES_H

#include "common/config/option.h"

enum clause_shape {
    CLAUSE_INPUTS,     /* a node, a list of nodes, later a map alias: node */
    CLAUSE_CHOICE,     /* a name, or a one-entry map name: options */
    CLAUSE_COLUMNS,    /* ordered map name: expression; bare: the column of that name */
    CLAUSE_SCHEMA,     /* ordered map name: type, as in CREATE TABLE */
    CLAUSE_EXPRESSION, /* a condition */
    CLAUSE_NAMES,      /* a name or a list of names */
    CLAUSE_ENUM,
    CLAUSE_NUMBER,
    CLAUSE_DURATION,
    CLAUSE_TEXT,
    CLAUSE_OPTIONS, /* map name: value */
};

enum node_kind {
    NODE_SOURCE = 1 << 0,
    NODE_SELECT = 1 << 1,
    NODE_SINK = 1 << 2,
};

/* In the order in which they run. */
enum clause {
    CLAUSE_SOURCE,
    CLAUSE_FROM,
    CLAUSE_SINK,
    CLAUSE_FORMAT,
    CLAUSE_SCHEMA_COLUMNS,
    CLAUSE_WATERMARK,
    CLAUSE_JOIN,
    CLAUSE_UNNEST,
    CLAUSE_SET,
    CLAUSE_WHERE,
    CLAUSE_KEY_BY,
    CLAUSE_WINDOW,
    CLAUSE_AGGREGATE,
    CLAUSE_REDUCE,
    CLAUSE_PROCESS,
    CLAUSE_SELECT,
    CLAUSE_EMIT,
    CLAUSE_TTL,
    CLAUSE_DELIVERY,
    CLAUSE_PARALLELISM,
    CLAUSE_PARTITION,
    CLAUSE_ON_ERROR,
    CLAUSE_DESCRIPTION,
    CLAUSE_WAS,
    CLAUSE_COUNT
};

struct clause_row {
    const char *name;
    enum clause_shape shape;
    unsigned kinds;             /* enum node_kind: where it may stand */
    bool is_later;              /* known, comes in a later version */
    const char *const *choices; /* CLAUSE_ENUM */
    const char *example;
    const char *help;
};

extern const struct clause_row clause_table[]; /* CLAUSE_COUNT rows */

/* Keys of the job itself. */
enum job_key {
    JOB_KEY_VERSION,
    JOB_KEY_NAME,
    JOB_KEY_PARAMETERS,
    JOB_KEY_CONFIG,
    JOB_KEY_PARALLELISM,
    JOB_KEY_ON_ERROR,
    JOB_KEY_NODES,
    JOB_KEY_COUNT
};
extern const struct clause_row job_key_table[]; /* JOB_KEY_COUNT rows */

extern const char *const clause_emit_choices[];      /* each, batch, end, changelog, final */
extern const char *const clause_partition_choices[]; /* in the order of enum partitioning */
extern const char *const clause_on_error_choices[];  /* in the order of enum on_error */
extern const char *const clause_delivery_choices[];

enum emit { EMIT_EACH, EMIT_BATCH, EMIT_END, EMIT_CHANGELOG, EMIT_FINAL };

/* The options of a CLAUSE_OPTIONS of a node. */
const struct option_spec *clause_options(enum clause clause);
/* The row's index, or -1. */
int clause_find(const char *name);
int job_key_find(const char *name);
/* Nearest known name among the clauses, or NULL. */
const char *clause_nearest(const char *name);
const char *job_key_nearest(const char *name);

/* Connectors and formats that have a name and come later; ends in NULL. */
extern const char *const later_connectors[];
extern const char *const later_formats[];

/* Roles of operators within a node: the uid of an operator's state is "<node>/<role>". The table
 * only grows, and no name is ever given another meaning. */
enum operator_role {
    ROLE_SOURCE,
    ROLE_UNNEST,
    ROLE_CALC,
    ROLE_WHERE,
    ROLE_LOCAL_AGGREGATE,
    ROLE_AGGREGATE,
    ROLE_REDUCE,
    ROLE_SELECT,
    ROLE_SINK,
    ROLE_WATERMARK,
    ROLE_WINDOW,
    ROLE_COUNT
};
extern const char *const operator_role_names[];

#endif
