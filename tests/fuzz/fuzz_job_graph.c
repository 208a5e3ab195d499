/* Job graphs as protobuf. */
#include "tests/fuzz/fuzz.h"

#include "common/base/allocate.h"
#include "common/graph/job_graph_codec.h"
#include "compiler/compile.h"
#include "connectors/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    SCOPED(job_graph_destroy) struct job_graph *graph = NULL;
    SCOPED(job_graph_destroy) struct job_graph *again = NULL;
    struct error err = {0};
    const enum status code = job_graph_decode(bytes, size, &graph, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        CHECK(graph == NULL);
        return 0;
    }
    CHECK(job_graph_check(graph, &err) == STATUS_OK);
    SCOPED_TEXT_BUFFER struct text first;
    SCOPED_TEXT_BUFFER struct text second;
    text_init(&first, JOB_GRAPH_BYTES_MAX);
    text_init(&second, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &first);
    CHECK(job_graph_decode(first.bytes, first.size, &again, &err) == STATUS_OK);
    job_graph_encode(again, &second);
    fuzz_check_equal(first.bytes, first.size, second.bytes, second.size);
    for (uint32_t i = 0; i < graph->operator_count; i++)
        CHECK(job_graph_vertex_of(graph, i) < graph->vertex_count &&
              job_graph_find_uid(graph, graph->operators[i].uid) == (int64_t)i);
    text_clear(&first);
    compiler_explain(graph, &first);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    static const char *const jobs[] = {
        "name: copy\nnodes:\n"
        "  lines: {source: {file: {path: /in}}, format: raw, schema: {line: string}}\n"
        "  out: {from: lines, sink: print}\n",
        "name: count\nnodes:\n"
        "  lines: {source: {file: {path: /in}}, format: json, on_error: dead_letter,\n"
        "          schema: {word: string, n: 'array<decimal(12, 2)>'}}\n"
        "  counts: {from: lines, where: word is not null, key_by: word, parallelism: 2,\n"
        "           aggregate: {count: count(*)}}\n"
        "  out: {from: counts, sink: {file: {path: /out}}, format: csv}\n"
        "  dead: {from: lines.errors, sink: print}\n"};
    for (size_t i = 0; i < 2; i++) {
        const struct compile_options options = {.registry = connector_registry_builtin()};
        struct compile_report report = {0};
        struct job_graph *graph = NULL;
        CHECK(compile_job(jobs[i], strlen(jobs[i]), &options, &graph, &report) == STATUS_OK);
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, JOB_GRAPH_BYTES_MAX);
        job_graph_encode(graph, &out);
        give(context, graph->name, out.bytes, out.size);
        job_graph_destroy(graph);
        compile_report_done(&report);
    }
}
