/*
 * The compiler: the text of a job (YAML, docs/jobs.md) becomes a job graph, or a list of everything
 * that is wrong with it.
 *
 * Whatever the text and the option tables alone can show is found here; nothing outside is opened.
 * One compilation is one thread's; several may run at once. The result depends on nothing but the
 * arguments: the same text, parameters and time give the same graph.
 */
#ifndef COMPILER_COMPILE_H
#define COMPILER_COMPILE_H

#include "common/api/connector.h"
#include "common/config/config.h"
#include "common/graph/job_graph.h"

#include <stdbool.h>
#include <stdint.h>

#define COMPILE_PROBLEMS_MAX 200

struct compile_problem {
    bool is_warning;
    uint32_t line;   /* 1.. in the job's text; 0: it belongs to no line (a flag, a parameter) */
    uint32_t column; /* 1.., or 0 */
    char *message;
};

/* Errors and warnings by position. Zero is empty. */
struct compile_report {
    struct compile_problem *problems;
    size_t count;
    size_t capacity;
    size_t error_count;
};
void compile_report_done(struct compile_report *report);
/* "job.yaml:12:5: error: unknown function ..." one line each. */
void compile_report_format(const struct compile_report *report, const char *file_name,
                           struct text *out);

struct compile_options {
    const struct connector_registry *registry;
    const struct setting *parameters; /* --param name=value */
    uint32_t parameter_count;
    const struct setting *overrides; /* -D key=value of run: before the job's own config */
    uint32_t override_count;
    uint32_t parallelism;                /* -p; 0: not given */
    const struct config *cluster_config; /* NULL: defaults */
    /* The client's environment for ${env:NAME}; may be NULL. */
    const char *(*get_env)(void *context, const char *name);
    void *env_context;
    int64_t wall_ms;       /* for ${date:pattern} */
    const char *submitter; /* "user@host"; NULL: "" */
};

/* STATUS_INVALID: report holds the errors. Warnings are in report in both cases. */
enum status compile_job(const char *text, size_t size, const struct compile_options *options,
                        struct job_graph **ret_graph, struct compile_report *report) MUST_CHECK;

/* The plan as text: vertices, operators, edges. */
void compiler_explain(const struct job_graph *graph, struct text *out);
/* The plan as Flink's REST API shows it: {"jid", "name", "type", "nodes": [...]}. job_id: 32 hex
 * digits. */
void compiler_plan_json(const struct job_graph *graph, const char *job_id, struct text *out);

/* docs/job.schema.json and docs/jobs.md, from the tables of clauses, connectors and formats. */
void compiler_write_schema(const struct connector_registry *registry, struct text *out);
void compiler_write_document(const struct connector_registry *registry, struct text *out);

/* Names of the ${env:NAME} that a job's text uses, comma-separated: what a client has to send. */
void compiler_environment_names(const char *text, size_t size, struct text *out);

#endif
