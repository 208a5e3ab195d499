/*
 * The job graph: what the compiler makes of a job's text, the only thing the JobManager's core
 * accepts, and what is stored with the job and in each checkpoint (protobuf, job_graph_codec.h).
 *
 * Operators are the unit of meaning and of state (uid); vertices are chains of operators, the unit
 * of scheduling: a vertex runs as `parallelism` subtasks. Expressions stay SQL text: whoever runs
 * an operator parses them once, when it opens, against the input schema given here.
 *
 * A graph owns everything it points to, is built by one thread and immutable afterwards; copies
 * are made with the codec. All arrays have the maxima below.
 */
#ifndef COMMON_GRAPH_JOB_GRAPH_H
#define COMMON_GRAPH_JOB_GRAPH_H

#include "common/base/ids.h"
#include "common/base/scoped.h"
#include "common/data/schema.h"

#include <stdbool.h>
#include <stdint.h>

#define JOB_OPERATOR_MAX         10000
#define JOB_EDGE_MAX             40000
#define JOB_NAME_BYTES_MAX       200
#define JOB_DEFINITION_BYTES_MAX (4 * 1024 * 1024)
#define JOB_PARALLELISM_MAX      1024

struct setting {
    char *key;
    char *value;
};

/* A named expression with its place in the job's text, for messages. */
struct named_expression {
    char *name;
    char *text;
    uint32_t line;   /* 1..; 0 if it was not written by a user */
    uint32_t column; /* 1.. */
};

enum on_error { ON_ERROR_FAIL, ON_ERROR_SKIP, ON_ERROR_DEAD_LETTER };

/* Name of the output that carries dead letters; output 0 is always "" (the main one). */
#define OUTPUT_ERRORS "errors"
/* Name of the output that carries rows which came after their windows; schema as the input's. */
#define OUTPUT_LATE "late"

struct operator_output {
    char *name; /* "" for the main output, "errors", "late" */
    struct schema *schema;
};

struct operator_spec {
    char *uid;  /* identity of its state: "counts/aggregate" */
    char *name; /* what people see: "counts" */
    char *kind; /* registry key of the operator: "source", "unnest", "calc", "aggregate"... */
    char *description; /* one line, for plans */
    uint32_t parallelism;
    enum on_error on_error;
    struct setting *settings; /* "connector": "file", "connector.path": "/in", "emit": "batch" */
    uint32_t setting_count;
    struct named_expression *columns; /* in order; the kind says what they mean */
    uint32_t column_count;
    struct named_expression *filters; /* conditions, all must hold; name is unused */
    uint32_t filter_count;
    char **keys; /* key_by: names of input columns */
    uint32_t key_count;
    struct schema **inputs; /* input_count; a source has none */
    uint32_t input_count;
    struct operator_output *outputs; /* output_count; a sink may have only "errors" or none */
    uint32_t output_count;
};

enum partitioning {
    PARTITION_FORWARD,
    PARTITION_HASH,
    PARTITION_REBALANCE,
    PARTITION_RESCALE,
    PARTITION_BROADCAST,
};

struct job_edge {
    uint32_t from_operator;
    uint32_t from_output; /* index into outputs */
    uint32_t to_operator;
    uint32_t to_input;
    enum partitioning partitioning;
    bool is_chained; /* both ends are neighbours in one vertex: no channel */
    char **keys;     /* PARTITION_HASH: names of columns of the producer's schema */
    uint32_t key_count;
};

struct job_vertex {
    struct id128 id; /* from the uid of its first operator: the same in every compilation */
    char *name;      /* "lines -> counts" */
    uint32_t parallelism;
    uint32_t *operators; /* indices into job_graph.operators, source end first */
    uint32_t operator_count;
};

struct job_graph {
    char *name;
    uint32_t parallelism;     /* default of the nodes */
    uint32_t max_parallelism; /* number of key groups, fixed at the first start */
    char *time_zone;          /* session time zone, "UTC" */
    struct setting *config;   /* the job's configuration after precedence; sorted by key */
    uint32_t config_count;
    char *definition; /* the text as submitted */
    uint32_t definition_size;
    struct setting *parameters; /* as given with --param; sorted by name */
    uint32_t parameter_count;
    char *submitter; /* user@host */
    struct operator_spec *operators;
    uint32_t operator_count;
    struct job_edge *edges;
    uint32_t edge_count;
    struct job_vertex *vertices; /* in topological order */
    uint32_t vertex_count;
};

void job_graph_destroy(struct job_graph *graph);
DEFINE_SCOPED(struct job_graph, job_graph_destroy)

/* The value of a setting, or NULL. */
const char *setting_find(const struct setting *settings, uint32_t count, const char *key);
/* Set by the compiler for sources whose splits are spread evenly over the subtasks. */
#define SETTING_SPLITS_SPREAD "splits.spread"
/* Set for a preview: the source tells nobody outside how far it has read. */
#define SETTING_LEAVES_NO_TRACE "leaves.no.trace"

const char *operator_setting(const struct operator_spec *spec, const char *key);
const char *job_graph_config(const struct job_graph *graph, const char *key);

/* Index of the vertex that holds the operator. */
uint32_t job_graph_vertex_of(const struct job_graph *graph, uint32_t operator_index);
/* Index of the operator with that uid, or -1. */
int64_t job_graph_find_uid(const struct job_graph *graph, const char *uid);

/* Checks what every graph obeys, whoever made it: indices in range, acyclic, unique uids, edges
 * with equal schemas at both ends, forward only at equal parallelism, chains connected, maxima. */
enum status job_graph_check(const struct job_graph *graph, struct error *err) MUST_CHECK;

const char *partitioning_name(enum partitioning partitioning); /* "HASH" */

#endif
