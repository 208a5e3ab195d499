/* What every job graph obeys, whoever made it: see job_graph_check in job_graph.h. */
#include "common/base/allocate.h"
#include "common/base/text.h"
#include "common/graph/job_graph.h"

#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX 100000

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same text twice among count texts, or NULL. */
static const char *find_duplicate(const char **texts, size_t count)
{
    qsort(texts, count, sizeof(*texts), compare_texts);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(texts[i - 1], texts[i]) == 0)
            return texts[i];
    }
    return NULL;
}

static enum status check_sizes(const struct job_graph *graph, struct error *err)
{
    if (graph->name == NULL || graph->name[0] == '\0' || strlen(graph->name) > JOB_NAME_BYTES_MAX)
        return error_set(err, STATUS_INVALID, "job graph: a name of 1 to %d bytes is needed",
                         JOB_NAME_BYTES_MAX);
    if (graph->operator_count == 0 || graph->operator_count > JOB_OPERATOR_MAX)
        return error_set(err, STATUS_INVALID, "job graph: %u operators, allowed are 1 to %d",
                         graph->operator_count, JOB_OPERATOR_MAX);
    if (graph->edge_count > JOB_EDGE_MAX)
        return error_set(err, STATUS_INVALID, "job graph: %u edges, allowed are %d",
                         graph->edge_count, JOB_EDGE_MAX);
    if (graph->definition_size > JOB_DEFINITION_BYTES_MAX)
        return error_set(err, STATUS_INVALID, "job graph: a definition of %u bytes, allowed are %d",
                         graph->definition_size, JOB_DEFINITION_BYTES_MAX);
    if (graph->parallelism < 1 || graph->parallelism > JOB_PARALLELISM_MAX)
        return error_set(err, STATUS_INVALID, "job graph: parallelism %u, allowed is 1 to %d",
                         graph->parallelism, JOB_PARALLELISM_MAX);
    if (graph->max_parallelism < 1 || graph->max_parallelism > 32768)
        return error_set(err, STATUS_INVALID,
                         "job graph: max parallelism %u, allowed is 1 to 32768",
                         graph->max_parallelism);
    if (graph->config_count > SETTINGS_MAX || graph->parameter_count > SETTINGS_MAX)
        return error_set(err, STATUS_INVALID, "job graph: too many settings");
    return STATUS_OK;
}

static enum status check_operator(const struct job_graph *graph, uint32_t index, struct error *err)
{
    const struct operator_spec *spec = &graph->operators[index];
    if (spec->uid == NULL || spec->uid[0] == '\0' || spec->kind == NULL || spec->kind[0] == '\0' ||
        spec->name == NULL)
        return error_set(err, STATUS_INVALID, "job graph: operator %u lacks uid, kind or name",
                         index);
    const uint32_t most =
        graph->max_parallelism < JOB_PARALLELISM_MAX ? graph->max_parallelism : JOB_PARALLELISM_MAX;
    if (spec->parallelism < 1 || spec->parallelism > most)
        return error_set(err, STATUS_INVALID,
                         "job graph: operator %s: parallelism %u, allowed is 1 to %u", spec->uid,
                         spec->parallelism, most);
    if ((unsigned)spec->on_error > ON_ERROR_DEAD_LETTER)
        return error_set(err, STATUS_INVALID, "job graph: operator %s: unknown on_error %d",
                         spec->uid, (int)spec->on_error);
    if (spec->output_count > 64 || spec->input_count > 64)
        return error_set(err, STATUS_INVALID, "job graph: operator %s: too many inputs or outputs",
                         spec->uid);
    for (uint32_t i = 0; i < spec->input_count; i++) {
        if (spec->inputs[i] == NULL)
            return error_set(err, STATUS_INVALID, "job graph: operator %s: input %u has no schema",
                             spec->uid, i);
    }
    for (uint32_t i = 0; i < spec->output_count; i++) {
        if (spec->outputs[i].schema == NULL || spec->outputs[i].name == NULL)
            return error_set(err, STATUS_INVALID, "job graph: operator %s: output %u has no schema",
                             spec->uid, i);
    }
    for (uint32_t i = 0; i < spec->key_count; i++) {
        if (spec->input_count == 0 || schema_find(spec->inputs[0], spec->keys[i]) < 0)
            return error_set(err, STATUS_INVALID,
                             "job graph: operator %s: key \"%s\" is no column of its input",
                             spec->uid, spec->keys[i]);
    }
    return STATUS_OK;
}

static enum status check_operators(const struct job_graph *graph, struct error *err)
{
    SCOPED(free) void *memory = allocate_array(graph->operator_count, sizeof(char *));
    const char **uids = memory;
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        TRY(check_operator(graph, i, err));
        uids[i] = graph->operators[i].uid;
    }
    const char *twice = find_duplicate(uids, graph->operator_count);
    if (twice != NULL)
        return error_set(err, STATUS_INVALID, "job graph: two operators have the uid \"%s\"",
                         twice);
    return STATUS_OK;
}

static enum status check_edge_schemas(const struct job_edge *edge, const struct operator_spec *from,
                                      const struct operator_spec *to, struct error *err)
{
    const struct schema *output = from->outputs[edge->from_output].schema;
    const struct schema *input = to->inputs[edge->to_input];
    /* A union widens: nullability and lengths may differ, only what decides the layout counts. */
    bool equal = output->column_count == input->column_count;
    for (uint32_t i = 0; equal && i < output->column_count; i++) {
        struct type a = output->columns[i].type;
        struct type b = input->columns[i].type;
        a.length = 0;
        b.length = 0;
        const bool strings = type_is_string(a.kind) && type_is_string(b.kind);
        equal = strcmp(output->columns[i].name, input->columns[i].name) == 0 &&
                (strings || type_equals(a, b, false));
    }
    if (equal)
        return STATUS_OK;
    struct text gives SCOPED_TEXT_BUFFER;
    struct text takes SCOPED_TEXT_BUFFER;
    text_init(&gives, 300);
    text_init(&takes, 300);
    schema_format(output, &gives);
    schema_format(input, &takes);
    return error_set(err, STATUS_INVALID, "job graph: %s gives (%s), but %s takes (%s)", from->uid,
                     gives.bytes, to->uid, takes.bytes);
}

static enum status check_edge(const struct job_graph *graph, uint32_t index, struct error *err)
{
    const struct job_edge *edge = &graph->edges[index];
    if (edge->from_operator >= graph->operator_count || edge->to_operator >= graph->operator_count)
        return error_set(err, STATUS_INVALID, "job graph: edge %u joins unknown operators", index);
    const struct operator_spec *from = &graph->operators[edge->from_operator];
    const struct operator_spec *to = &graph->operators[edge->to_operator];
    if (edge->from_output >= from->output_count || edge->to_input >= to->input_count)
        return error_set(err, STATUS_INVALID,
                         "job graph: edge %u from %s to %s names an unknown output or input", index,
                         from->uid, to->uid);
    TRY(check_edge_schemas(edge, from, to, err));
    if ((unsigned)edge->partitioning > PARTITION_BROADCAST)
        return error_set(err, STATUS_INVALID, "job graph: edge %u has an unknown partitioning",
                         index);
    if ((edge->partitioning == PARTITION_FORWARD || edge->is_chained) &&
        from->parallelism != to->parallelism)
        return error_set(err, STATUS_INVALID,
                         "job graph: forward from %s (parallelism %u) to %s (parallelism %u): they "
                         "must be equal",
                         from->uid, from->parallelism, to->uid, to->parallelism);
    if (edge->is_chained && edge->partitioning != PARTITION_FORWARD && from->parallelism != 1)
        return error_set(err, STATUS_INVALID, "job graph: chained edge %s to %s must be forward",
                         from->uid, to->uid);
    if ((edge->partitioning == PARTITION_HASH) != (edge->key_count > 0))
        return error_set(err, STATUS_INVALID,
                         "job graph: edge %s to %s: hash needs keys, and nothing else has any",
                         from->uid, to->uid);
    const struct schema *schema = from->outputs[edge->from_output].schema;
    for (uint32_t i = 0; i < edge->key_count; i++) {
        if (schema_find(schema, edge->keys[i]) < 0)
            return error_set(err, STATUS_INVALID,
                             "job graph: edge %s to %s: key \"%s\" is no column", from->uid,
                             to->uid, edge->keys[i]);
    }
    return STATUS_OK;
}

/* Every operator in exactly one vertex; neighbours of a chain joined by a chained edge; every
 * chained edge between neighbours; vertices in topological order (hence acyclic). */
static enum status place_operators(const struct job_graph *graph, uint32_t *vertex_of,
                                   uint32_t *place_of, struct error *err)
{
    for (uint32_t i = 0; i < graph->operator_count; i++)
        vertex_of[i] = UINT32_MAX;
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        const struct job_vertex *vertex = &graph->vertices[v];
        if (vertex->operator_count == 0 || vertex->operator_count > graph->operator_count ||
            vertex->name == NULL || id128_is_none(vertex->id))
            return error_set(err, STATUS_INVALID, "job graph: vertex %u lacks operators, name, id",
                             v);
        for (uint32_t i = 0; i < vertex->operator_count; i++) {
            const uint32_t op = vertex->operators[i];
            if (op >= graph->operator_count || vertex_of[op] != UINT32_MAX)
                return error_set(err, STATUS_INVALID,
                                 "job graph: vertex %u holds an unknown or taken operator %u", v,
                                 op);
            if (graph->operators[op].parallelism != vertex->parallelism)
                return error_set(err, STATUS_INVALID,
                                 "job graph: operator %s differs in parallelism from its vertex",
                                 graph->operators[op].uid);
            vertex_of[op] = v;
            place_of[op] = i;
        }
    }
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        if (vertex_of[i] == UINT32_MAX)
            return error_set(err, STATUS_INVALID, "job graph: operator %s lies in no vertex",
                             graph->operators[i].uid);
    }
    return STATUS_OK;
}

static int compare_ids(const void *a, const void *b)
{
    return id128_compare(*(const struct id128 *)a, *(const struct id128 *)b);
}

static enum status check_vertex_ids(const struct job_graph *graph, struct error *err)
{
    SCOPED(free) void *memory = allocate_array(graph->vertex_count, sizeof(struct id128));
    struct id128 *ids = memory;
    for (uint32_t v = 0; v < graph->vertex_count; v++)
        ids[v] = graph->vertices[v].id;
    qsort(ids, graph->vertex_count, sizeof(*ids), compare_ids);
    for (uint32_t v = 1; v < graph->vertex_count; v++) {
        if (id128_equals(ids[v - 1], ids[v]))
            return error_set(err, STATUS_INVALID, "job graph: two vertices have the same id");
    }
    return STATUS_OK;
}

static enum status check_vertices(const struct job_graph *graph, struct error *err)
{
    if (graph->vertex_count == 0 || graph->vertex_count > graph->operator_count)
        return error_set(err, STATUS_INVALID, "job graph: %u vertices for %u operators",
                         graph->vertex_count, graph->operator_count);
    TRY(check_vertex_ids(graph, err));
    SCOPED(free) void *memory = allocate_array(graph->operator_count, 2 * sizeof(uint32_t));
    uint32_t *vertex_of = memory;
    uint32_t *place_of = vertex_of + graph->operator_count;
    TRY(place_operators(graph, vertex_of, place_of, err));
    uint32_t chained = 0;
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const struct job_edge *edge = &graph->edges[i];
        const uint32_t from = vertex_of[edge->from_operator];
        const uint32_t to = vertex_of[edge->to_operator];
        const char *from_uid = graph->operators[edge->from_operator].uid;
        const char *to_uid = graph->operators[edge->to_operator].uid;
        if (edge->is_chained) {
            chained++;
            if (from != to || place_of[edge->to_operator] != place_of[edge->from_operator] + 1)
                return error_set(err, STATUS_INVALID,
                                 "job graph: chained edge %s to %s does not join neighbours",
                                 from_uid, to_uid);
        } else if (from >= to) {
            return error_set(err, STATUS_INVALID,
                             "job graph: edge %s to %s goes against the order of the vertices: the "
                             "graph has a cycle or is not sorted",
                             from_uid, to_uid);
        }
    }
    if (chained != graph->operator_count - graph->vertex_count)
        return error_set(err, STATUS_INVALID, "job graph: %u chained edges, but the chains need %u",
                         chained, graph->operator_count - graph->vertex_count);
    return STATUS_OK;
}

/* Every input of every operator has a producer. */
static enum status check_inputs(const struct job_graph *graph, struct error *err)
{
    SCOPED(free) void *memory = allocate_array(graph->operator_count, sizeof(uint64_t));
    uint64_t *fed = memory;
    for (uint32_t i = 0; i < graph->edge_count; i++)
        fed[graph->edges[i].to_operator] |= UINT64_C(1) << graph->edges[i].to_input;
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        const uint32_t count = graph->operators[i].input_count;
        const uint64_t all = count == 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
        if (fed[i] != all)
            return error_set(err, STATUS_INVALID, "job graph: an input of %s has no producer",
                             graph->operators[i].uid);
    }
    return STATUS_OK;
}

enum status job_graph_check(const struct job_graph *graph, struct error *err)
{
    TRY(check_sizes(graph, err));
    TRY(check_operators(graph, err));
    for (uint32_t i = 0; i < graph->edge_count; i++)
        TRY(check_edge(graph, i, err));
    TRY(check_inputs(graph, err));
    return check_vertices(graph, err);
}
