/* The text of a job: a graph that obeys job_graph_check and survives its codec, or errors. */
#include "tests/fuzz/fuzz.h"

#include "common/base/allocate.h"
#include "common/graph/job_graph_codec.h"
#include "compiler/compile.h"
#include "connectors/registry.h"

static const char *get_env(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "HOME") == 0 ? "/home/a b" : NULL;
}

static void check_graph(const struct job_graph *graph)
{
    struct error err = {0};
    CHECK(job_graph_check(graph, &err) == STATUS_OK);
    SCOPED_TEXT_BUFFER struct text first;
    SCOPED_TEXT_BUFFER struct text second;
    text_init(&first, JOB_GRAPH_BYTES_MAX);
    text_init(&second, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &first);
    SCOPED(job_graph_destroy) struct job_graph *copy = NULL;
    CHECK(job_graph_decode(first.bytes, first.size, &copy, &err) == STATUS_OK);
    job_graph_encode(copy, &second);
    fuzz_check_equal(first.bytes, first.size, second.bytes, second.size);
    text_clear(&first);
    compiler_explain(graph, &first);
    text_clear(&second);
    compiler_plan_json(graph, "0123456789abcdef0123456789abcdef", &second);
    CHECK(first.size > 0 && second.size > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct setting parameters[] = {{(char *)"input", (char *)"/in/a.txt"}};
    const struct compile_options options = {.registry = connector_registry_builtin(),
                                            .parameters = parameters,
                                            .parameter_count = 1,
                                            .get_env = get_env,
                                            .wall_ms = INT64_C(1700000000000)};
    struct compile_report report = {0};
    struct job_graph *graph = NULL;
    const enum status code = compile_job((const char *)bytes, size, &options, &graph, &report);
    CHECK((code == STATUS_OK) == (graph != NULL));
    CHECK((code == STATUS_OK) == (report.error_count == 0));
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, 1 << 24);
    compile_report_format(&report, "job.yaml", &out);
    compiler_environment_names((const char *)bytes, size, &out);
    if (graph != NULL)
        check_graph(graph);
    job_graph_destroy(graph);
    compile_report_done(&report);
    return 0;
}
