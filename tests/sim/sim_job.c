/*
 * The job that is simulated: its graph, its input, and what must come out. Vertices 2k and 2k + 1
 * of the graph are source and sum of pipeline k.
 */
#include "tests/sim/sim.h"

#include <stdio.h>

uint32_t sim_key_at(const char *split, uint32_t position)
{
    return ((uint32_t)strtoul(split + 6, NULL, 10) * 31 + position * 7) % SIM_KEYS;
}

int64_t sim_amount_at(const char *split, uint32_t position)
{
    return (int64_t)strtoul(split + 6, NULL, 10) * 1000 + position + 1;
}

void sim_expect(struct sim *sim)
{
    for (uint32_t split = 0; split < sim->split_count; split++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "split-%u", split);
        for (uint32_t i = 0; i < sim->records_per_split; i++)
            sim->expected[sim_key_at(id, i)] += sim_amount_at(id, i);
    }
}

static struct schema *one_column(void)
{
    const struct schema_column column = {.name = "line", .type = {.kind = TYPE_STRING}};
    return schema_create(&column, 1, -1);
}

static void make_operator(const struct sim *sim, struct operator_spec *spec, uint32_t index)
{
    const bool is_source = index % 2 == 0;
    spec->uid = format_text("node%u/%s", index, is_source ? "source" : "aggregate");
    spec->name = format_text("node%u", index);
    spec->kind = copy_text(is_source ? "source" : "aggregate");
    spec->description = copy_text("");
    spec->parallelism = sim->parallelism;
    spec->output_count = is_source ? 1 : 0;
    spec->input_count = is_source ? 0 : 1;
    if (is_source) {
        spec->outputs = allocate(sizeof(*spec->outputs));
        spec->outputs[0].name = copy_text("");
        spec->outputs[0].schema = one_column();
    } else {
        spec->inputs = allocate(sizeof(struct schema *));
        spec->inputs[0] = one_column();
    }
}

static void add_config(struct job_graph *graph, const char *key, const char *value)
{
    graph->config[graph->config_count++] =
        (struct setting){.key = copy_text(key), .value = copy_text(value)};
}

struct job_graph *sim_graph(const struct sim *sim)
{
    struct job_graph *graph = allocate(sizeof(*graph));
    graph->name = copy_text("sim");
    graph->parallelism = sim->parallelism;
    graph->max_parallelism = 128;
    graph->time_zone = copy_text("UTC");
    graph->definition = copy_text("");
    graph->submitter = copy_text("sim");
    graph->config = allocate_array(4, sizeof(*graph->config));
    add_config(graph, "execution.checkpointing.interval", "300ms");
    add_config(graph, "execution.checkpointing.timeout", "5s");
    add_config(graph, "restart-strategy.exponential-delay.max-backoff", "5s");
    add_config(graph, "task.cancellation.timeout", "10s");
    const uint32_t count = sim->source_count * 2;
    graph->operators = allocate_array(count, sizeof(*graph->operators));
    graph->operator_count = count;
    graph->vertices = allocate_array(count, sizeof(*graph->vertices));
    graph->vertex_count = count;
    graph->edges = allocate_array(sim->source_count, sizeof(*graph->edges));
    graph->edge_count = sim->source_count;
    for (uint32_t i = 0; i < count; i++) {
        make_operator(sim, &graph->operators[i], i);
        struct job_vertex *vertex = &graph->vertices[i];
        vertex->id.bytes[0] = (uint8_t)(i + 1);
        vertex->name = copy_text(graph->operators[i].name);
        vertex->parallelism = sim->parallelism;
        vertex->operators = allocate(sizeof(uint32_t));
        vertex->operators[0] = i;
        vertex->operator_count = 1;
    }
    for (uint32_t i = 0; i < sim->source_count; i++) {
        graph->edges[i] = (struct job_edge){
            .from_operator = 2 * i, .to_operator = 2 * i + 1, .partitioning = PARTITION_HASH};
        graph->edges[i].keys = allocate(sizeof(char *));
        graph->edges[i].keys[0] = copy_text("line");
        graph->edges[i].key_count = 1;
    }
    return graph;
}
