/* Plans for people and for Flink's REST API: see compile.h. */
#include "compiler/compile.h"

#include <string.h>

static void append_target(const struct job_graph *graph, const struct job_edge *edge,
                          struct text *out)
{
    const struct operator_spec *from = &graph->operators[edge->from_operator];
    const struct operator_spec *to = &graph->operators[edge->to_operator];
    const char *output = from->outputs[edge->from_output].name;
    text_format(out, "      %s", partitioning_name(edge->partitioning));
    for (uint32_t i = 0; i < edge->key_count; i++)
        text_format(out, "%s%s", i == 0 ? "(" : ", ", edge->keys[i]);
    text_format(out, "%s from %s%s%s to %s\n", edge->key_count > 0 ? ")" : "", from->uid,
                output[0] != '\0' ? "." : "", output, to->uid);
}

void compiler_explain(const struct job_graph *graph, struct text *out)
{
    text_format(out, "job %s: %u vertices, %u operators, parallelism %u\n", graph->name,
                graph->vertex_count, graph->operator_count, graph->parallelism);
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        const struct job_vertex *vertex = &graph->vertices[v];
        text_format(out, "[%u] %s  (parallelism %u)\n", v + 1, vertex->name, vertex->parallelism);
        for (uint32_t i = 0; i < vertex->operator_count; i++) {
            const struct operator_spec *spec = &graph->operators[vertex->operators[i]];
            text_format(out, "    %s  %s", spec->uid, spec->description);
            if (spec->output_count > 0 && spec->outputs[0].name[0] == '\0') {
                text_append(out, " => ");
                schema_format(spec->outputs[0].schema, out);
            }
            text_append_char(out, '\n');
        }
        for (uint32_t e = 0; e < graph->edge_count; e++) {
            const struct job_edge *edge = &graph->edges[e];
            if (!edge->is_chained && job_graph_vertex_of(graph, edge->from_operator) == v)
                append_target(graph, edge, out);
        }
    }
}

static void append_inputs(const struct job_graph *graph, uint32_t vertex, struct text *out)
{
    uint32_t count = 0;
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        const struct job_edge *edge = &graph->edges[e];
        if (edge->is_chained || job_graph_vertex_of(graph, edge->to_operator) != vertex)
            continue;
        char id[ID_TEXT_SIZE];
        id128_format(graph->vertices[job_graph_vertex_of(graph, edge->from_operator)].id, id);
        text_format(out,
                    "%s{\"num\": %u, \"id\": \"%s\", \"ship_strategy\": \"%s\", \"exchange\": "
                    "\"pipelined_bounded\"}",
                    count == 0 ? ", \"inputs\": [" : ", ", count, id,
                    partitioning_name(edge->partitioning));
        count++;
    }
    if (count > 0)
        text_append_char(out, ']');
}

static void append_node(const struct job_graph *graph, uint32_t index, struct text *out)
{
    const struct job_vertex *vertex = &graph->vertices[index];
    char id[ID_TEXT_SIZE];
    id128_format(vertex->id, id);
    struct text description SCOPED_TEXT_BUFFER;
    text_init(&description, 65536);
    for (uint32_t i = 0; i < vertex->operator_count; i++) {
        const struct operator_spec *spec = &graph->operators[vertex->operators[i]];
        for (uint32_t depth = 1; depth < i && depth < 20; depth++)
            text_append(&description, "   ");
        text_format(&description, "%s%s: %s<br/>", i > 0 ? "+- " : "", spec->name,
                    spec->description);
    }
    text_format(out,
                "{\"id\": \"%s\", \"parallelism\": %u, \"operator\": \"\", "
                "\"operator_strategy\": \"\", \"description\": ",
                id, vertex->parallelism);
    text_append_json(out, description.bytes, description.size);
    append_inputs(graph, index, out);
    text_append(out, ", \"optimizer_properties\": {}}");
}

void compiler_plan_json(const struct job_graph *graph, const char *job_id, struct text *out)
{
    text_append(out, "{\"jid\": ");
    text_append_json(out, job_id, strlen(job_id));
    text_append(out, ", \"name\": ");
    text_append_json(out, graph->name, strlen(graph->name));
    text_append(out, ", \"type\": \"STREAMING\", \"nodes\": [");
    /* Flink lists consumers first. */
    for (uint32_t v = graph->vertex_count; v > 0; v--) {
        append_node(graph, v - 1, out);
        if (v > 1)
            text_append(out, ", ");
    }
    text_append(out, "]}");
}
