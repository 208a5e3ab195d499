/* The steps of a compilation: see compile.h. */
#include "compiler/compile.h"

#include "common/base/allocate.h"
#include "compiler/plan.h"

#include <string.h>

static struct job_graph *compile_nodes(struct compiler *compiler)
{
    resolve_inputs(compiler);
    struct plan plan = {0};
    analyze(compiler, &plan);
    struct job_graph *graph = NULL;
    if (compiler->report->error_count == 0) {
        rule_merge_calcs(compiler, &plan);
        rule_prune_columns(compiler, &plan);
        rule_split_aggregates(compiler, &plan);
        graph = assemble_graph(compiler, &plan);
    }
    plan_done(&plan);
    return graph;
}

static struct job_graph *compile_text(struct compiler *compiler, const char *text, size_t size)
{
    if (size > JOB_DEFINITION_BYTES_MAX) {
        compile_error(compiler, 1, 1, "the job file has %zu bytes: the maximum is %d (4 MiB)", size,
                      JOB_DEFINITION_BYTES_MAX);
        return NULL;
    }
    compiler->text = pool_text_n(&compiler->pool, text, size);
    compiler->text_size = size;
    read_job(compiler);
    if (compiler->node_count == 0)
        return NULL;
    struct job_graph *graph = compile_nodes(compiler);
    struct error err;
    if (graph != NULL && compiler->report->error_count == 0 &&
        job_graph_check(graph, &err) != STATUS_OK)
        compile_error(compiler, 0, 0, "%s", err.message);
    return graph;
}

enum status compile_job(const char *text, size_t size, const struct compile_options *options,
                        struct job_graph **ret_graph, struct compile_report *report)
{
    *report = (struct compile_report){0};
    struct compiler compiler = {.options = options, .report = report};
    SCOPED(job_graph_destroy) struct job_graph *graph = compile_text(&compiler, text, size);
    yaml_document_destroy(compiler.document);
    config_destroy(compiler.config);
    pool_done(&compiler.pool);
    compile_report_sort(report);
    if (report->error_count > 0 || graph == NULL)
        return STATUS_INVALID;
    *ret_graph = take_pointer(&graph);
    return STATUS_OK;
}
