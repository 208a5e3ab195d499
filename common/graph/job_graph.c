/* The job graph: see job_graph.h. */
#include "common/graph/job_graph.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <stdlib.h>
#include <string.h>

static void settings_free(struct setting *settings, uint32_t count)
{
    for (uint32_t i = 0; settings != NULL && i < count; i++) {
        free(settings[i].key);
        free(settings[i].value);
    }
    free(settings);
}

static void expressions_free(struct named_expression *expressions, uint32_t count)
{
    for (uint32_t i = 0; expressions != NULL && i < count; i++) {
        free(expressions[i].name);
        free(expressions[i].text);
    }
    free(expressions);
}

static void names_free(char **names, uint32_t count)
{
    for (uint32_t i = 0; names != NULL && i < count; i++)
        free(names[i]);
    free(names);
}

static void operator_spec_free(struct operator_spec *spec)
{
    free(spec->uid);
    free(spec->name);
    free(spec->kind);
    free(spec->description);
    settings_free(spec->settings, spec->setting_count);
    expressions_free(spec->columns, spec->column_count);
    expressions_free(spec->filters, spec->filter_count);
    names_free(spec->keys, spec->key_count);
    for (uint32_t i = 0; spec->inputs != NULL && i < spec->input_count; i++)
        schema_unref(spec->inputs[i]);
    free(spec->inputs);
    for (uint32_t i = 0; spec->outputs != NULL && i < spec->output_count; i++) {
        free(spec->outputs[i].name);
        schema_unref(spec->outputs[i].schema);
    }
    free(spec->outputs);
}

void job_graph_destroy(struct job_graph *graph)
{
    if (graph == NULL)
        return;
    free(graph->name);
    free(graph->time_zone);
    settings_free(graph->config, graph->config_count);
    free(graph->definition);
    settings_free(graph->parameters, graph->parameter_count);
    free(graph->submitter);
    for (uint32_t i = 0; graph->operators != NULL && i < graph->operator_count; i++)
        operator_spec_free(&graph->operators[i]);
    free(graph->operators);
    for (uint32_t i = 0; graph->edges != NULL && i < graph->edge_count; i++)
        names_free(graph->edges[i].keys, graph->edges[i].key_count);
    free(graph->edges);
    for (uint32_t i = 0; graph->vertices != NULL && i < graph->vertex_count; i++) {
        free(graph->vertices[i].name);
        free(graph->vertices[i].operators);
    }
    free(graph->vertices);
    free(graph);
}

const char *setting_find(const struct setting *settings, uint32_t count, const char *key)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(settings[i].key, key) == 0)
            return settings[i].value;
    }
    return NULL;
}

const char *operator_setting(const struct operator_spec *spec, const char *key)
{
    return setting_find(spec->settings, spec->setting_count, key);
}

const char *job_graph_config(const struct job_graph *graph, const char *key)
{
    return setting_find(graph->config, graph->config_count, key);
}

uint32_t job_graph_vertex_of(const struct job_graph *graph, uint32_t operator_index)
{
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        for (uint32_t i = 0; i < graph->vertices[v].operator_count; i++) {
            if (graph->vertices[v].operators[i] == operator_index)
                return v;
        }
    }
    UNREACHABLE(); /* every operator of a checked graph lies in a vertex */
}

int64_t job_graph_find_uid(const struct job_graph *graph, const char *uid)
{
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        if (strcmp(graph->operators[i].uid, uid) == 0)
            return i;
    }
    return -1;
}

const char *partitioning_name(enum partitioning partitioning)
{
    switch (partitioning) {
    case PARTITION_FORWARD:
        return "FORWARD";
    case PARTITION_HASH:
        return "HASH";
    case PARTITION_REBALANCE:
        return "REBALANCE";
    case PARTITION_RESCALE:
        return "RESCALE";
    case PARTITION_BROADCAST:
        return "BROADCAST";
    }
    return "UNKNOWN";
}
