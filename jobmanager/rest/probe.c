/* What of the outside is not there at submit: see probe.h. */
#include "jobmanager/rest/probe.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/graph/job_graph_codec.h"

typedef enum status (*probe_fn)(const struct operator_spec *spec, struct error *err);

static probe_fn find_probe(const struct connector_registry *registry,
                           const struct operator_spec *spec)
{
    const char *name = operator_setting(spec, "connector");
    if (name == NULL)
        return NULL;
    if (spec->input_count > 0) {
        const struct sink_connector *sink = sink_connector_find(registry, name);
        return sink != NULL ? sink->probe : NULL;
    }
    const struct source_connector *source = source_connector_find(registry, name);
    return source != NULL ? source->probe : NULL;
}

static bool has_probe(const struct connector_registry *registry, const struct job_graph *graph)
{
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        if (find_probe(registry, &graph->operators[i]) != NULL)
            return true;
    }
    return false;
}

static void warn(struct compile_report *report, const struct operator_spec *spec,
                 const char *message)
{
    array_push(report->problems, report->count, report->capacity) = (struct compile_problem){
        .is_warning = true,
        .message = format_text("node \"%s\": %s; the job waits for it", spec->name, message),
    };
}

/* The graph's own copy: secrets are put into it. */
static struct job_graph *copy_graph(const struct job_graph *graph)
{
    struct text bytes SCOPED_TEXT_BUFFER;
    text_init(&bytes, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &bytes);
    struct job_graph *copy = NULL;
    struct error err;
    CHECK(job_graph_decode(bytes.bytes, bytes.size, &copy, &err) == STATUS_OK);
    return copy;
}

void probe_connectors(const struct connector_registry *registry,
                      const struct secret_places *secrets, const struct job_graph *graph,
                      struct compile_report *report)
{
    if (!has_probe(registry, graph))
        return;
    struct job_graph *copy = copy_graph(graph);
    const int64_t until_ms = clock_now_ms(clock_system()) + PROBE_MS;
    for (uint32_t i = 0; i < copy->operator_count; i++) {
        struct operator_spec *spec = &copy->operators[i];
        const probe_fn probe = find_probe(registry, spec);
        struct error err;
        if (probe == NULL || clock_now_ms(clock_system()) >= until_ms ||
            report->count >= COMPILE_PROBLEMS_MAX)
            continue;
        if (secrets_resolve_operator(secrets, spec, &err) != STATUS_OK ||
            probe(spec, &err) != STATUS_OK)
            warn(report, spec, err.message);
    }
    job_graph_destroy(copy);
}
