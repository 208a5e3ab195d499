/*
 * The jobs that are simulated: their graphs, their input, and what must come out. Vertices 2k and
 * 2k + 1 of a graph are source and sum of pipeline k.
 */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

uint32_t sim_key_at(const char *split, uint32_t position)
{
    return ((uint32_t)strtoul(split + 6, NULL, 10) * 31 + position * 7) % SIM_KEYS;
}

int64_t sim_amount_at(const char *split, uint32_t position)
{
    return (int64_t)strtoul(split + 6, NULL, 10) * 1000 + position + 1;
}

static void expect(struct sim_job *job)
{
    memset(job->expected, 0, sizeof(job->expected));
    for (uint32_t split = 0; split < job->split_count; split++) {
        char id[32];
        (void)snprintf(id, sizeof(id), "split-%u", split);
        for (uint32_t i = 0; i < job->records_per_split; i++)
            job->expected[sim_key_at(id, i)] += sim_amount_at(id, i);
    }
}

static void choose(struct sim *sim, struct sim_job *job)
{
    /* More than there are slots at first, and than some jobs leave: they wait. */
    const uint32_t slots = sim->task_manager_count * 2;
    job->source_count = 1 + (uint32_t)sim_below(sim, SIM_SOURCE_MAX);
    job->parallelism = 1 + (uint32_t)sim_below(sim, slots > 3 ? 3 : slots);
    job->split_count = 1 + (uint32_t)sim_below(sim, 8);
    job->records_per_split = 50 + (uint32_t)sim_below(sim, 1200);
    job->checkpoints_on = !sim_chance(sim, 100);
    job->strategy = sim_chance(sim, 600) ? STRATEGY_EXPONENTIAL
                                         : (enum sim_strategy)sim_below(sim, STRATEGY_COUNT);
    job->is_cancel_wanted = sim_chance(sim, 50);
}

/* A job like the one it continues. */
static void continue_job(struct sim *sim, uint32_t index)
{
    struct sim_job *job = &sim->jobs[index];
    struct sim_job *before = &sim->jobs[index - 1];
    before->is_cancel_wanted = true;
    before->checkpoints_on = true;
    before->strategy = STRATEGY_EXPONENTIAL;
    const struct job_id id = job->id;
    *job = *before;
    job->id = id;
    job->from = (int32_t)index - 1;
    job->is_cancel_wanted = false;
}

void sim_choose_jobs(struct sim *sim)
{
    sim->job_count = sim_chance(sim, 500) ? 1 : 1 + (uint32_t)sim_below(sim, SIM_JOB_MAX);
    for (uint32_t i = 0; i < sim->job_count; i++) {
        struct sim_job *job = &sim->jobs[i];
        job->id.value.bytes[0] = 9;
        job->id.value.bytes[1] = (uint8_t)i;
        job->id.value.bytes[15] = (uint8_t)sim->seed;
        job->from = -1;
        choose(sim, job);
        if (i > 0 && sim->jobs[i - 1].from < 0 && sim_chance(sim, 300))
            continue_job(sim, i);
        expect(job);
    }
}

struct sim_job *sim_find_job(struct sim *sim, struct job_id id)
{
    for (uint32_t i = 0; i < sim->job_count; i++)
        if (id128_equals(sim->jobs[i].id.value, id.value))
            return &sim->jobs[i];
    return NULL;
}

static struct schema *one_column(void)
{
    const struct schema_column column = {.name = "line", .type = {.kind = TYPE_STRING}};
    return schema_create(&column, 1, -1);
}

static void make_operator(const struct sim_job *job, struct operator_spec *spec, uint32_t index)
{
    const bool is_source = index % 2 == 0;
    spec->uid = format_text("node%u/%s", index, is_source ? "source" : "aggregate");
    spec->name = format_text("node%u", index);
    spec->kind = copy_text(is_source ? "source" : "aggregate");
    spec->description = copy_text("");
    spec->parallelism = job->parallelism;
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

static void add_strategy(struct job_graph *graph, enum sim_strategy strategy)
{
    static const char *const names[STRATEGY_COUNT] = {"exponential-delay", "fixed-delay",
                                                      "failure-rate", "none"};
    add_config(graph, "restart-strategy.type", names[strategy]);
    if (strategy == STRATEGY_FIXED_DELAY)
        add_config(graph, "restart-strategy.fixed-delay.attempts", "1000000");
    if (strategy == STRATEGY_FAILURE_RATE)
        add_config(graph, "restart-strategy.failure-rate.max-failures-per-interval", "1000");
}

struct job_graph *sim_graph(const struct sim_job *job)
{
    struct job_graph *graph = allocate(sizeof(*graph));
    graph->name = copy_text("sim");
    graph->parallelism = job->parallelism;
    graph->max_parallelism = 128;
    graph->time_zone = copy_text("UTC");
    graph->definition = copy_text("");
    graph->submitter = copy_text("sim");
    graph->config = allocate_array(8, sizeof(*graph->config));
    add_config(graph, "execution.checkpointing.interval", job->checkpoints_on ? "300ms" : "0");
    add_config(graph, "execution.checkpointing.timeout", "5s");
    add_config(graph, "restart-strategy.exponential-delay.max-backoff", "5s");
    add_config(graph, "task.cancellation.timeout", "10s");
    add_strategy(graph, job->strategy);
    const uint32_t count = job->source_count * 2;
    graph->operators = allocate_array(count, sizeof(*graph->operators));
    graph->operator_count = count;
    graph->vertices = allocate_array(count, sizeof(*graph->vertices));
    graph->vertex_count = count;
    graph->edges = allocate_array(job->source_count, sizeof(*graph->edges));
    graph->edge_count = job->source_count;
    for (uint32_t i = 0; i < count; i++) {
        make_operator(job, &graph->operators[i], i);
        struct job_vertex *vertex = &graph->vertices[i];
        vertex->id.bytes[0] = (uint8_t)(i + 1);
        vertex->name = copy_text(graph->operators[i].name);
        vertex->parallelism = job->parallelism;
        vertex->operators = allocate(sizeof(uint32_t));
        vertex->operators[0] = i;
        vertex->operator_count = 1;
    }
    for (uint32_t i = 0; i < job->source_count; i++) {
        graph->edges[i] = (struct job_edge){
            .from_operator = 2 * i, .to_operator = 2 * i + 1, .partitioning = PARTITION_HASH};
        graph->edges[i].keys = allocate(sizeof(char *));
        graph->edges[i].keys[0] = copy_text("line");
        graph->edges[i].key_count = 1;
    }
    return graph;
}
