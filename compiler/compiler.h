/*
 * What the compiler's files share: one compilation at work. The order of the files is the order of
 * the work: yaml/ (text, substitution, clauses of nodes), inputs (who reads whom), analyze (types,
 * one node after the other), rules/ (operators, pruning, exchanges, chains).
 */
#ifndef COMPILER_COMPILER_H
#define COMPILER_COMPILER_H

#include "common/base/pool.h"
#include "common/config/yaml.h"
#include "compiler/clauses.h"
#include "compiler/compile.h"
#include "compiler/window_table.h"
#include "expressions/expression.h"

#define NODE_NAME_BYTES_MAX 100
#define NODE_INPUTS_MAX     64

/* One entry of `from`. */
struct node_input {
    const char *text; /* "orders.errors" */
    uint32_t line;
    uint32_t column;
    struct logical_node *node; /* NULL if it is unknown */
    bool is_errors;            /* node.errors */
    bool is_late;              /* node.late */
};

/* A name and its options after checking. */
struct choice {
    const char *name;        /* NULL: absent, or wrong and reported */
    struct setting *options; /* names as in the table */
    uint32_t option_count;
    uint32_t line;
    uint32_t column;
};

struct expression_list {
    struct named_expression *items; /* borrowed texts, from the pool */
    uint32_t count;
};

struct logical_node {
    const char *name;
    uint32_t line;
    uint32_t column;
    enum node_kind kind;
    const struct yaml_node *clauses[CLAUSE_COUNT]; /* NULL: absent */
    struct node_input *inputs;
    uint32_t input_count;
    struct choice connector;
    struct choice format;
    struct choice watermark; /* name: that of the clause */
    struct choice window;
    const struct window_row *window_row;
    const struct source_connector *source;
    const struct sink_connector *sink;
    const struct format *format_row;
    struct expression_list schema; /* name: definition */
    struct expression_list unnest;
    struct expression_list set;
    struct expression_list where; /* at most one */
    struct expression_list aggregate;
    struct expression_list reduce;
    struct expression_list select;
    char **keys;
    uint32_t key_count;
    enum emit emit;
    bool has_emit;
    int64_t ttl_ms; /* 0: none */
    uint32_t parallelism;
    int partition; /* enum partitioning, -1: by rule */
    enum on_error on_error;
    const char *description;
    /* Found out later. */
    int visit; /* 0 not yet, 1 at work, 2 done */
    bool is_read;
    bool errors_are_read;
    bool late_is_read;
    bool reads_only_errors;
    bool is_failed;               /* reported already: no follow-up errors */
    const char *unbounded_source; /* a source that does not end, or NULL */
    bool has_changes;             /* rows of other kinds than +I */
    char **output_keys;           /* columns by which its rows are distributed, if any */
    uint32_t output_key_count;
    int64_t time_shift_ms; /* event time of its rows = event time column + this */
    struct schema *late;   /* of rows that come after their windows; NULL: no window */
    int64_t late_shift_ms; /* as time_shift_ms, of late rows */
    bool late_has_changes;
    struct schema *input;    /* union of its inputs */
    struct schema *output;   /* NULL for sinks and failed nodes */
    uint32_t first_operator; /* of the plan */
    uint32_t operator_count; /* in order of the data */
};

struct compiler {
    const struct compile_options *options;
    struct compile_report *report;
    struct pool pool;
    const char *text; /* NUL-terminated copy of the job's text */
    size_t text_size;
    struct yaml_document *document;
    struct config *config;
    const char *name;
    uint32_t parallelism;
    enum on_error on_error;
    struct setting *parameters; /* names and values, sorted by name */
    uint32_t parameter_count;
    struct logical_node *nodes;
    uint32_t node_count;
    struct logical_node **order; /* producers first */
    uint64_t substituted_bytes;
};

/* ---- problems.c ---- */
void compile_error(struct compiler *compiler, uint32_t line, uint32_t column, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
void compile_warning(struct compiler *compiler, uint32_t line, uint32_t column, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
/* Errors first by position; called once at the end. */
void compile_report_sort(struct compile_report *report);

/* ---- the steps; each reports what it finds ---- */
/* yaml/read_job.c: the job's keys, parameters, configuration, nodes with their clauses. */
void read_job(struct compiler *compiler);
/* yaml/read_node.c: types and values of one node's clauses. */
void read_node(struct compiler *compiler, struct logical_node *node);
/* yaml/read_choice.c: connector and format with their options. */
void read_connector(struct compiler *compiler, struct logical_node *node);
/* yaml/read_choice.c: the kind of windows with its options. */
void read_window(struct compiler *compiler, struct logical_node *node);
/* inputs.c: who reads whom; cycles; order. */
void resolve_inputs(struct compiler *compiler);

/* yaml/substitute.c: the tree with ${...} replaced in values; reports unknown names. */
const struct yaml_node *substitute(struct compiler *compiler, const struct yaml_node *node);
/* yaml/diagnose.c: what YAML did to an expression. Appends " ... write: <line>" if it can help. */
void diagnose_expression(struct compiler *compiler, const char *text, uint32_t line,
                         uint32_t column, struct text *out);
/* Where a problem at (problem_line, problem_column) of a text is in the job's text; in: where the
 * text begins. Left alone if the text went through a substitution. */
void position_in_source(struct compiler *compiler, const char *text, uint32_t problem_line,
                        uint32_t problem_column, uint32_t *line, uint32_t *column);
void diagnose_yaml_error(struct compiler *compiler, uint32_t line, struct text *out);

/* Is it [a-z][a-z0-9_]*? */
bool is_node_name(const char *name);
/* "count" with the quotes that the expression grammar wants, from the pool. */
const char *quote_name(struct compiler *compiler, const char *name);

#endif
