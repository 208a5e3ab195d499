/*
 * Job graphs as bytes: see job_graph_codec.h.
 *
 * Encoding builds the message tree in one pool and packs it. Decoding copies out of protobuf's
 * tree into a graph and lets job_graph_check judge the result, so nothing below trusts an index.
 */
#include "common/graph/job_graph_codec.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/pool.h"
#include "proto/job_graph.pb-c.h"

#include <string.h>

#define GRAPH_VERSION 1

/* An array of count pointers to count messages that init has been called on. */
#define MESSAGES(pool, Type, init, count, ret_pointers)                                            \
    do {                                                                                           \
        (ret_pointers) = pool_take((pool), (count), sizeof(Type *));                               \
        Type *messages_ = pool_take((pool), (count), sizeof(Type));                                \
        for (size_t m_ = 0; m_ < (count); m_++) {                                                  \
            init(&messages_[m_]);                                                                  \
            (ret_pointers)[m_] = &messages_[m_];                                                   \
        }                                                                                          \
    } while (0)

static char *text_or_empty(char *text)
{
    static char empty[1];
    return text != NULL ? text : empty;
}

/* ---- encoding ---- */

static size_t count_type_nodes(struct type type)
{
    size_t count = 1;
    for (size_t i = 0; i < type.child_count; i++)
        count += count_type_nodes(type.children[i].type);
    return count;
}

/* Returns the slot behind the last one it filled. */
static Millstream__TypeNodeMessage **encode_type_nodes(struct type type, const char *name,
                                                       Millstream__TypeNodeMessage **slot)
{
    Millstream__TypeNodeMessage *node = *slot++;
    node->kind = (uint32_t)type.kind;
    node->nullable = type.nullable;
    node->precision = type.precision;
    node->scale = type.scale;
    node->length = type.length;
    node->child_count = type.child_count;
    node->name = (char *)(uintptr_t)name;
    for (size_t i = 0; i < type.child_count; i++)
        slot = encode_type_nodes(type.children[i].type, type.children[i].name, slot);
    return slot;
}

static void encode_schema(struct pool *pool, const struct schema *schema,
                          Millstream__SchemaMessage *message)
{
    message->event_time = schema->event_time;
    message->n_columns = schema->column_count;
    MESSAGES(pool, Millstream__SchemaColumnMessage, millstream__schema_column_message__init,
             message->n_columns, message->columns);
    for (uint32_t i = 0; i < schema->column_count; i++) {
        message->columns[i]->name = (char *)(uintptr_t)schema->columns[i].name;
        message->columns[i]->n_type = count_type_nodes(schema->columns[i].type);
        MESSAGES(pool, Millstream__TypeNodeMessage, millstream__type_node_message__init,
                 message->columns[i]->n_type, message->columns[i]->type);
        (void)encode_type_nodes(schema->columns[i].type, "", message->columns[i]->type);
        message->columns[i]->field_id = schema->columns[i].field_id;
    }
}

static Millstream__SettingMessage **encode_settings(struct pool *pool,
                                                    const struct setting *settings, uint32_t count)
{
    Millstream__SettingMessage **messages;
    MESSAGES(pool, Millstream__SettingMessage, millstream__setting_message__init, count, messages);
    for (uint32_t i = 0; i < count; i++) {
        messages[i]->key = settings[i].key;
        messages[i]->value = settings[i].value;
    }
    return messages;
}

static Millstream__NamedExpressionMessage **
encode_expressions(struct pool *pool, const struct named_expression *expressions, uint32_t count)
{
    Millstream__NamedExpressionMessage **messages;
    MESSAGES(pool, Millstream__NamedExpressionMessage, millstream__named_expression_message__init,
             count, messages);
    for (uint32_t i = 0; i < count; i++) {
        messages[i]->name = text_or_empty(expressions[i].name);
        messages[i]->text = expressions[i].text;
        messages[i]->line = expressions[i].line;
        messages[i]->column = expressions[i].column;
    }
    return messages;
}

static void encode_operator(struct pool *pool, const struct operator_spec *spec,
                            Millstream__OperatorMessage *message)
{
    message->uid = spec->uid;
    message->name = spec->name;
    message->kind = spec->kind;
    message->description = text_or_empty(spec->description);
    message->parallelism = spec->parallelism;
    message->on_error = (uint32_t)spec->on_error;
    message->n_settings = spec->setting_count;
    message->settings = encode_settings(pool, spec->settings, spec->setting_count);
    message->n_columns = spec->column_count;
    message->columns = encode_expressions(pool, spec->columns, spec->column_count);
    message->n_filters = spec->filter_count;
    message->filters = encode_expressions(pool, spec->filters, spec->filter_count);
    message->n_keys = spec->key_count;
    message->keys = spec->keys;
    message->n_inputs = spec->input_count;
    MESSAGES(pool, Millstream__SchemaMessage, millstream__schema_message__init, message->n_inputs,
             message->inputs);
    for (uint32_t i = 0; i < spec->input_count; i++)
        encode_schema(pool, spec->inputs[i], message->inputs[i]);
    message->n_outputs = spec->output_count;
    MESSAGES(pool, Millstream__OperatorOutputMessage, millstream__operator_output_message__init,
             message->n_outputs, message->outputs);
    for (uint32_t i = 0; i < spec->output_count; i++) {
        message->outputs[i]->name = spec->outputs[i].name;
        Millstream__SchemaMessage *schema = pool_take(pool, 1, sizeof(*schema));
        millstream__schema_message__init(schema);
        encode_schema(pool, spec->outputs[i].schema, schema);
        message->outputs[i]->schema = schema;
    }
}

static void encode_edges(struct pool *pool, const struct job_graph *graph,
                         Millstream__JobGraphMessage *message)
{
    message->n_edges = graph->edge_count;
    MESSAGES(pool, Millstream__EdgeMessage, millstream__edge_message__init, message->n_edges,
             message->edges);
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const struct job_edge *edge = &graph->edges[i];
        message->edges[i]->from_operator = edge->from_operator;
        message->edges[i]->from_output = edge->from_output;
        message->edges[i]->to_operator = edge->to_operator;
        message->edges[i]->to_input = edge->to_input;
        message->edges[i]->partitioning = (uint32_t)edge->partitioning;
        message->edges[i]->is_chained = edge->is_chained;
        message->edges[i]->n_keys = edge->key_count;
        message->edges[i]->keys = edge->keys;
    }
}

static void encode_vertices(struct pool *pool, const struct job_graph *graph,
                            Millstream__JobGraphMessage *message)
{
    message->n_vertices = graph->vertex_count;
    MESSAGES(pool, Millstream__VertexMessage, millstream__vertex_message__init, message->n_vertices,
             message->vertices);
    for (uint32_t i = 0; i < graph->vertex_count; i++) {
        const struct job_vertex *vertex = &graph->vertices[i];
        message->vertices[i]->id.data = (uint8_t *)(uintptr_t)vertex->id.bytes;
        message->vertices[i]->id.len = sizeof(vertex->id.bytes);
        message->vertices[i]->name = vertex->name;
        message->vertices[i]->parallelism = vertex->parallelism;
        message->vertices[i]->n_operators = vertex->operator_count;
        message->vertices[i]->operators = vertex->operators;
    }
}

void job_graph_encode(const struct job_graph *graph, struct text *out)
{
    struct pool pool = {0};
    Millstream__JobGraphMessage message;
    millstream__job_graph_message__init(&message);
    message.version = GRAPH_VERSION;
    message.name = graph->name;
    message.parallelism = graph->parallelism;
    message.max_parallelism = graph->max_parallelism;
    message.time_zone = text_or_empty(graph->time_zone);
    message.n_config = graph->config_count;
    message.config = encode_settings(&pool, graph->config, graph->config_count);
    message.definition.data = (uint8_t *)graph->definition;
    message.definition.len = graph->definition_size;
    message.n_parameters = graph->parameter_count;
    message.parameters = encode_settings(&pool, graph->parameters, graph->parameter_count);
    message.submitter = text_or_empty(graph->submitter);
    message.n_operators = graph->operator_count;
    MESSAGES(&pool, Millstream__OperatorMessage, millstream__operator_message__init,
             message.n_operators, message.operators);
    for (uint32_t i = 0; i < graph->operator_count; i++)
        encode_operator(&pool, &graph->operators[i], message.operators[i]);
    encode_edges(&pool, graph, &message);
    encode_vertices(&pool, graph, &message);
    const size_t size = millstream__job_graph_message__get_packed_size(&message);
    uint8_t *bytes = allocate(size > 0 ? size : 1);
    const size_t packed = millstream__job_graph_message__pack(&message, bytes);
    CHECK(packed == size);
    text_append_bytes(out, bytes, size);
    free(bytes);
    pool_done(&pool);
}

/* ---- decoding ---- */

static bool type_node_is_valid(const Millstream__TypeNodeMessage *node)
{
    if (node->kind < TYPE_BOOLEAN || node->kind > TYPE_ROW)
        return false;
    const size_t children = node->child_count;
    const bool fits = node->kind == TYPE_ARRAY ? children == 1
                      : node->kind == TYPE_MAP ? children == 2
                      : node->kind == TYPE_ROW ? children > 0 && children <= SCHEMA_COLUMN_MAX
                                               : children == 0;
    if (node->kind == TYPE_DECIMAL)
        return fits && node->precision >= 1 && node->precision <= TYPE_DECIMAL_PRECISION_MAX &&
               node->scale <= node->precision;
    return fits && node->precision <= 9 && node->scale <= 9;
}

/* nodes[*at...] hold the tree; *at moves behind it. */
static enum status decode_type(Millstream__TypeNodeMessage **nodes, size_t count, size_t *at,
                               unsigned depth, struct pool *pool, struct type *ret_type,
                               struct error *err)
{
    if (*at >= count || depth > TYPE_DEPTH_MAX || !type_node_is_valid(nodes[*at]))
        return error_set(err, STATUS_CORRUPT, "job graph: invalid type of a column");
    const Millstream__TypeNodeMessage *node = nodes[(*at)++];
    struct type_field *fields = NULL;
    if (node->child_count > 0) {
        fields = pool_take(pool, node->child_count, sizeof(*fields));
        for (size_t i = 0; i < node->child_count; i++) {
            if (*at >= count)
                return error_set(err, STATUS_CORRUPT, "job graph: a type lacks its parts");
            fields[i].name = nodes[*at]->name;
            TRY(decode_type(nodes, count, at, depth + 1, pool, &fields[i].type, err));
        }
    }
    *ret_type = (struct type){.kind = (enum type_kind)node->kind,
                              .nullable = node->nullable,
                              .precision = (uint8_t)node->precision,
                              .scale = (uint8_t)node->scale,
                              .child_count = (uint16_t)node->child_count,
                              .length = node->length,
                              .children = fields};
    return STATUS_OK;
}

static enum status decode_columns(const Millstream__SchemaMessage *message, struct pool *pool,
                                  struct schema **ret_schema, struct error *err)
{
    struct schema_column *columns = pool_take(pool, message->n_columns, sizeof(*columns));
    for (size_t i = 0; i < message->n_columns; i++) {
        if (strlen(message->columns[i]->name) > SCHEMA_NAME_BYTES_MAX)
            return error_set(err, STATUS_CORRUPT, "job graph: the name of a column is too long");
        columns[i].name = message->columns[i]->name;
        columns[i].field_id = message->columns[i]->field_id;
        size_t at = 0;
        TRY(decode_type(message->columns[i]->type, message->columns[i]->n_type, &at, 0, pool,
                        &columns[i].type, err));
        if (at != message->columns[i]->n_type)
            return error_set(err, STATUS_CORRUPT, "job graph: a type has parts too many");
    }
    *ret_schema = schema_create(columns, (uint32_t)message->n_columns, message->event_time);
    return STATUS_OK;
}

static enum status decode_schema(const Millstream__SchemaMessage *message,
                                 struct schema **ret_schema, struct error *err)
{
    if (message == NULL || message->n_columns > SCHEMA_COLUMN_MAX || message->event_time < -1 ||
        message->event_time >= (int64_t)message->n_columns)
        return error_set(err, STATUS_CORRUPT, "job graph: invalid schema");
    struct pool pool = {0};
    const enum status code = decode_columns(message, &pool, ret_schema, err);
    pool_done(&pool);
    return code;
}

static struct setting *decode_settings(Millstream__SettingMessage **messages, size_t count)
{
    struct setting *settings = allocate_array(count, sizeof(*settings));
    for (size_t i = 0; i < count; i++)
        settings[i] = (struct setting){copy_text(messages[i]->key), copy_text(messages[i]->value)};
    return settings;
}

static struct named_expression *decode_expressions(Millstream__NamedExpressionMessage **messages,
                                                   size_t count)
{
    struct named_expression *expressions = allocate_array(count, sizeof(*expressions));
    for (size_t i = 0; i < count; i++)
        expressions[i] = (struct named_expression){.name = copy_text(messages[i]->name),
                                                   .text = copy_text(messages[i]->text),
                                                   .line = messages[i]->line,
                                                   .column = messages[i]->column};
    return expressions;
}

static char **decode_names(char **names, size_t count)
{
    char **copies = allocate_array(count, sizeof(*copies));
    for (size_t i = 0; i < count; i++)
        copies[i] = copy_text(names[i]);
    return copies;
}

static enum status decode_operator(const Millstream__OperatorMessage *message,
                                   struct operator_spec *spec, struct error *err)
{
    spec->uid = copy_text(message->uid);
    spec->name = copy_text(message->name);
    spec->kind = copy_text(message->kind);
    spec->description = copy_text(message->description);
    spec->parallelism = message->parallelism;
    spec->on_error = (enum on_error)message->on_error;
    spec->settings = decode_settings(message->settings, message->n_settings);
    spec->setting_count = (uint32_t)message->n_settings;
    spec->columns = decode_expressions(message->columns, message->n_columns);
    spec->column_count = (uint32_t)message->n_columns;
    spec->filters = decode_expressions(message->filters, message->n_filters);
    spec->filter_count = (uint32_t)message->n_filters;
    spec->keys = decode_names(message->keys, message->n_keys);
    spec->key_count = (uint32_t)message->n_keys;
    spec->inputs = allocate_array(message->n_inputs, sizeof(struct schema *));
    for (size_t i = 0; i < message->n_inputs; i++) {
        TRY(decode_schema(message->inputs[i], &spec->inputs[i], err));
        spec->input_count++;
    }
    spec->outputs = allocate_array(message->n_outputs, sizeof(*spec->outputs));
    for (size_t i = 0; i < message->n_outputs; i++) {
        spec->outputs[i].name = copy_text(message->outputs[i]->name);
        spec->output_count++;
        TRY(decode_schema(message->outputs[i]->schema, &spec->outputs[i].schema, err));
    }
    return STATUS_OK;
}

static enum status decode_vertices(const Millstream__JobGraphMessage *message,
                                   struct job_graph *graph, struct error *err)
{
    graph->vertices = allocate_array(message->n_vertices, sizeof(*graph->vertices));
    for (size_t i = 0; i < message->n_vertices; i++) {
        const Millstream__VertexMessage *from = message->vertices[i];
        struct job_vertex *vertex = &graph->vertices[graph->vertex_count++];
        if (from->id.len != sizeof(vertex->id.bytes))
            return error_set(err, STATUS_CORRUPT, "job graph: the id of vertex %zu has %zu bytes",
                             i, from->id.len);
        memcpy(vertex->id.bytes, from->id.data, sizeof(vertex->id.bytes));
        vertex->name = copy_text(from->name);
        vertex->parallelism = from->parallelism;
        vertex->operator_count = (uint32_t)from->n_operators;
        vertex->operators = allocate_array(from->n_operators, sizeof(uint32_t));
        if (from->n_operators > 0)
            memcpy(vertex->operators, from->operators, from->n_operators * sizeof(uint32_t));
    }
    return STATUS_OK;
}

static void decode_edges(const Millstream__JobGraphMessage *message, struct job_graph *graph)
{
    graph->edge_count = (uint32_t)message->n_edges;
    graph->edges = allocate_array(message->n_edges, sizeof(*graph->edges));
    for (size_t i = 0; i < message->n_edges; i++) {
        const Millstream__EdgeMessage *from = message->edges[i];
        graph->edges[i] = (struct job_edge){
            .from_operator = from->from_operator,
            .from_output = from->from_output,
            .to_operator = from->to_operator,
            .to_input = from->to_input,
            .partitioning = (enum partitioning)from->partitioning,
            .is_chained = from->is_chained,
            .keys = decode_names(from->keys, from->n_keys),
            .key_count = (uint32_t)from->n_keys,
        };
    }
}

static enum status decode_graph(const Millstream__JobGraphMessage *message, struct job_graph *graph,
                                struct error *err)
{
    if (message->version != GRAPH_VERSION)
        return error_set(err, STATUS_UNSUPPORTED,
                         "job graph of format version %u: this program reads version %d",
                         message->version, GRAPH_VERSION);
    if (message->n_operators > JOB_OPERATOR_MAX || message->n_edges > JOB_EDGE_MAX ||
        message->n_vertices > JOB_OPERATOR_MAX)
        return error_set(err, STATUS_INVALID, "job graph: too many operators, edges or vertices");
    graph->name = copy_text(message->name);
    graph->parallelism = message->parallelism;
    graph->max_parallelism = message->max_parallelism;
    graph->time_zone = copy_text(message->time_zone);
    graph->config = decode_settings(message->config, message->n_config);
    graph->config_count = (uint32_t)message->n_config;
    graph->definition =
        copy_text_n(message->definition.len > 0 ? (const char *)message->definition.data : "",
                    message->definition.len);
    graph->definition_size = (uint32_t)message->definition.len;
    graph->parameters = decode_settings(message->parameters, message->n_parameters);
    graph->parameter_count = (uint32_t)message->n_parameters;
    graph->submitter = copy_text(message->submitter);
    graph->operators = allocate_array(message->n_operators, sizeof(*graph->operators));
    for (size_t i = 0; i < message->n_operators; i++) {
        graph->operator_count++;
        TRY(decode_operator(message->operators[i], &graph->operators[i], err));
    }
    decode_edges(message, graph);
    TRY(decode_vertices(message, graph, err));
    return job_graph_check(graph, err);
}

enum status job_graph_decode(const void *bytes, size_t size, struct job_graph **ret_graph,
                             struct error *err)
{
    if (size > JOB_GRAPH_BYTES_MAX)
        return error_set(err, STATUS_LIMIT, "job graph of %zu bytes: the maximum is %d", size,
                         JOB_GRAPH_BYTES_MAX);
    Millstream__JobGraphMessage *message = millstream__job_graph_message__unpack(NULL, size, bytes);
    if (message == NULL)
        return error_set(err, STATUS_CORRUPT, "job graph: %zu bytes that are no job graph", size);
    struct job_graph *graph = allocate(sizeof(*graph));
    const enum status code = decode_graph(message, graph, err);
    millstream__job_graph_message__free_unpacked(message, NULL);
    if (code != STATUS_OK) {
        job_graph_destroy(graph);
        return code;
    }
    *ret_graph = graph;
    return STATUS_OK;
}
