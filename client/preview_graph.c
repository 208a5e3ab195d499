/* The graph of a preview: see preview_graph.h. */
#include "client/preview_graph.h"

#include "client/graph_endpoint.h"
#include "common/api/row_error.h"
#include "common/base/allocate.h"

#include <stdlib.h>
#include <string.h>

#define CELL_CHARACTERS  40
#define ERROR_CHARACTERS 400

struct preparation {
    struct job_graph *graph;
    struct preview_run *run;
    struct preview_outputs *outputs;
    uint32_t row_max;
};

/* ---- outputs ---- */

static struct preview_output *find_output(const struct preview_outputs *outputs, const char *node,
                                          enum preview_output_kind kind, size_t *ret_index)
{
    for (size_t i = 0; i < outputs->count; i++) {
        *ret_index = i;
        if (outputs->outputs[i]->kind == kind && strcmp(outputs->outputs[i]->node, node) == 0)
            return outputs->outputs[i];
    }
    return NULL;
}

/* The number of the table of that node and kind; several operators of a node share one. */
static size_t get_table(struct preparation *to, const struct operator_spec *spec,
                        enum preview_output_kind kind, const struct schema *schema)
{
    size_t index = 0;
    struct preview_output *output = find_output(to->outputs, spec->name, kind, &index);
    if (output != NULL)
        return index;
    output = allocate(sizeof(*output));
    *output = (struct preview_output){
        .node = copy_text(spec->name), .kind = kind, .on_error = spec->on_error};
    preview_table_init(&output->table, schema, to->row_max,
                       kind == PREVIEW_ERRORS ? ERROR_CHARACTERS : CELL_CHARACTERS);
    array_push(to->outputs->outputs, to->outputs->count, to->outputs->capacity) = output;
    return to->outputs->count - 1;
}

void preview_outputs_done(struct preview_outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++) {
        preview_table_done(&outputs->outputs[i]->table);
        free(outputs->outputs[i]->node);
        free(outputs->outputs[i]->connector);
        free(outputs->outputs[i]);
    }
    free(outputs->outputs);
    *outputs = (struct preview_outputs){0};
}

/* ---- operators that are there ---- */

static void add_setting(struct operator_spec *spec, const char *key, char *value)
{
    spec->settings =
        reallocate_array(spec->settings, spec->setting_count + 1U, sizeof(*spec->settings));
    spec->settings[spec->setting_count++] = (struct setting){copy_text(key), value};
}

static void prepare_source(struct preparation *to, struct operator_spec *spec)
{
    array_push(to->run->feeds, to->run->feed_count, to->run->feed_capacity) =
        (struct preview_feed){.node = copy_text(spec->name),
                              .connector = copy_text(operator_setting(spec, "connector")),
                              .row_max = to->row_max};
    add_setting(spec, SETTING_LEAVES_NO_TRACE, copy_text("true"));
}

static void prepare_sink(struct preparation *to, struct operator_spec *spec)
{
    const size_t table = get_table(to, spec, PREVIEW_SINK_ROWS, spec->inputs[0]);
    to->outputs->outputs[table]->connector = copy_text(operator_setting(spec, "connector"));
    graph_endpoint_replace(spec, PREVIEW_SINK);
    add_setting(spec, SETTING_PREVIEW_TABLE, format_text("%zu", table));
}

static bool has_output(const struct operator_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->output_count; i++) {
        if (strcmp(spec->outputs[i].name, name) == 0)
            return true;
    }
    return false;
}

static void add_output(struct operator_spec *spec, const char *name, struct schema *schema)
{
    if (has_output(spec, name)) {
        schema_unref(schema);
        return;
    }
    spec->outputs =
        reallocate_array(spec->outputs, spec->output_count + 1U, sizeof(*spec->outputs));
    spec->outputs[spec->output_count++] = (struct operator_output){copy_text(name), schema};
}

static bool is_window(const struct operator_spec *spec)
{
    static const char *const kinds[] = {"window_aggregate", "session_aggregate"};
    return strcmp(spec->kind, kinds[0]) == 0 || strcmp(spec->kind, kinds[1]) == 0;
}

/* ---- taps ---- */

/* Does the row stay within the node: does an operator of the same name take it? */
static bool is_within_node(const struct job_graph *graph, uint32_t index)
{
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const struct job_edge *edge = &graph->edges[i];
        if (edge->from_operator == index && edge->from_output == 0 &&
            strcmp(graph->operators[edge->to_operator].name, graph->operators[index].name) == 0)
            return true;
    }
    return false;
}

/* A sink of its own behind an output. */
static void add_tap(struct preparation *to, uint32_t index, uint32_t output, size_t table)
{
    struct job_graph *graph = to->graph;
    const uint32_t tap = graph->operator_count;
    graph->operators =
        reallocate_array(graph->operators, graph->operator_count + 1U, sizeof(*graph->operators));
    const struct operator_spec *from = &graph->operators[index];
    struct operator_spec *spec = &graph->operators[graph->operator_count++];
    *spec = (struct operator_spec){
        .uid = format_text("%s/preview-%u", from->uid, output),
        .name = copy_text(from->name),
        .kind = copy_text("sink"),
        .description = copy_text("preview"),
        .parallelism = 1,
        .inputs = allocate_array(1, sizeof(struct schema *)),
        .input_count = 1,
    };
    spec->inputs[0] = schema_ref(from->outputs[output].schema);
    add_setting(spec, "connector", copy_text(PREVIEW_SINK));
    add_setting(spec, SETTING_PREVIEW_TABLE, format_text("%zu", table));
    graph->edges = reallocate_array(graph->edges, graph->edge_count + 1U, sizeof(*graph->edges));
    graph->edges[graph->edge_count++] = (struct job_edge){.from_operator = index,
                                                          .from_output = output,
                                                          .to_operator = tap,
                                                          .partitioning = PARTITION_FORWARD};
    graph->vertices =
        reallocate_array(graph->vertices, graph->vertex_count + 1U, sizeof(*graph->vertices));
    struct job_vertex *vertex = &graph->vertices[graph->vertex_count++];
    *vertex = (struct job_vertex){.id = id128_random(),
                                  .name = copy_text("preview"),
                                  .parallelism = 1,
                                  .operators = allocate_array(1, sizeof(uint32_t)),
                                  .operator_count = 1};
    vertex->operators[0] = tap;
}

static void tap_operator(struct preparation *to, uint32_t index)
{
    for (uint32_t o = 0; o < to->graph->operators[index].output_count; o++) {
        const struct operator_spec *spec = &to->graph->operators[index];
        const char *name = spec->outputs[o].name;
        if (name[0] == '\0' && is_within_node(to->graph, index))
            continue;
        const enum preview_output_kind kind = name[0] == '\0'                  ? PREVIEW_ROWS
                                              : strcmp(name, OUTPUT_LATE) == 0 ? PREVIEW_LATE
                                                                               : PREVIEW_ERRORS;
        add_tap(to, index, o, get_table(to, spec, kind, spec->outputs[o].schema));
    }
}

/* In the order of the nodes; of each its rows first. */
static int compare_outputs(const struct preview_output *a, const struct preview_output *b,
                           const struct job_graph *graph)
{
    if (strcmp(a->node, b->node) == 0)
        return (int)a->kind - (int)b->kind;
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        if (strcmp(graph->operators[i].name, a->node) == 0)
            return -1;
        if (strcmp(graph->operators[i].name, b->node) == 0)
            return 1;
    }
    return 0;
}

static void sort_outputs(struct preparation *to)
{
    struct preview_outputs *outputs = to->outputs;
    to->run->table_count = outputs->count;
    to->run->tables = allocate_array(outputs->count + 1, sizeof(*to->run->tables));
    for (size_t i = 0; i < outputs->count; i++) /* as the operators number them */
        to->run->tables[i] = &outputs->outputs[i]->table;
    for (size_t i = 1; i < outputs->count; i++) {
        for (size_t j = i;
             j > 0 && compare_outputs(outputs->outputs[j - 1], outputs->outputs[j], to->graph) > 0;
             j--) {
            struct preview_output *swapped = outputs->outputs[j];
            outputs->outputs[j] = outputs->outputs[j - 1];
            outputs->outputs[j - 1] = swapped;
        }
    }
}

void preview_graph_prepare(struct job_graph *graph, uint32_t row_max, struct preview_run *run,
                           struct preview_outputs *outputs)
{
    struct preparation to = {graph, run, outputs, row_max};
    graph->parallelism = 1;
    for (uint32_t i = 0; i < graph->vertex_count; i++)
        graph->vertices[i].parallelism = 1;
    const uint32_t count = graph->operator_count;
    for (uint32_t i = 0; i < count; i++) {
        struct operator_spec *spec = &graph->operators[i];
        spec->parallelism = 1;
        if (strcmp(spec->kind, "source") == 0)
            prepare_source(&to, spec);
        if (strcmp(spec->kind, "sink") == 0)
            prepare_sink(&to, spec);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct operator_spec *spec = &graph->operators[i];
        if (strcmp(spec->kind, "sink") == 0)
            continue;
        if (is_window(spec))
            add_output(spec, OUTPUT_LATE, schema_ref(spec->inputs[0]));
        add_output(spec, OUTPUT_ERRORS, row_error_schema());
        tap_operator(&to, i);
        graph->operators[i].on_error = ON_ERROR_DEAD_LETTER;
    }
    sort_outputs(&to);
}
