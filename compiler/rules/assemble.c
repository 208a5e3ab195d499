/*
 * From the plan to the job graph: edges with their partitioning, chains, vertices. Everything is
 * copied into memory that the graph owns.
 */
#include "common/api/row_error.h"
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/config/watermark_options.h"
#include "compiler/plan.h"

#include <string.h>
#include <xxhash.h>

struct assembler {
    struct compiler *compiler;
    const struct plan *plan;
    struct job_graph *graph;
    uint32_t *index_of; /* per plan operator: index in the graph */
    size_t edge_capacity;
    struct schema *errors;
};

/* ---- operators ---- */

static void add_setting(struct operator_spec *spec, const char *key, const char *value)
{
    spec->settings[spec->setting_count++] = (struct setting){copy_text(key), copy_text(value)};
}

static void add_choice(struct operator_spec *spec, const char *prefix, const struct choice *choice)
{
    if (choice->name == NULL)
        return;
    add_setting(spec, prefix, choice->name);
    for (uint32_t i = 0; i < choice->option_count; i++) {
        SCOPED_TEXT char *key = format_text("%s.%s", prefix, choice->options[i].key);
        add_setting(spec, key, choice->options[i].value);
    }
}

static int compare_settings(const void *a, const void *b)
{
    return strcmp(((const struct setting *)a)->key, ((const struct setting *)b)->key);
}

static void set_settings(const struct plan_operator *stage, struct operator_spec *spec)
{
    const struct logical_node *node = stage->node;
    spec->settings = allocate_array(node->connector.option_count + node->format.option_count +
                                        stage->extra_count + 8,
                                    sizeof(*spec->settings));
    if (stage->role == ROLE_SOURCE || stage->role == ROLE_SINK) {
        add_choice(spec, "connector", &node->connector);
        add_choice(spec, "format", &node->format);
    }
    for (uint32_t i = 0; i < stage->extra_count; i++)
        add_setting(spec, stage->extra[i].key, stage->extra[i].value);
    if (stage->role == ROLE_AGGREGATE || stage->role == ROLE_REDUCE || stage->role == ROLE_WINDOW) {
        add_setting(spec, "emit", clause_emit_choices[node->emit]);
        if (node->ttl_ms > 0) {
            SCOPED_TEXT char *ttl = format_text("%lld", (long long)node->ttl_ms);
            add_setting(spec, "ttl_ms", ttl);
        }
        if (stage->is_merge)
            add_setting(spec, "merge", "true");
    }
    qsort(spec->settings, spec->setting_count, sizeof(*spec->settings), compare_settings);
}

static struct named_expression *copy_expressions(const struct named_expression *from,
                                                 uint32_t count)
{
    struct named_expression *copies = allocate_array(count, sizeof(*copies));
    for (uint32_t i = 0; i < count; i++)
        copies[i] = (struct named_expression){.name = copy_text(from[i].name),
                                              .text = copy_text(from[i].text),
                                              .line = from[i].line,
                                              .column = from[i].column};
    return copies;
}

static char **copy_names(char *const *names, uint32_t count)
{
    char **copies = allocate_array(count, sizeof(*copies));
    for (uint32_t i = 0; i < count; i++)
        copies[i] = copy_text(names[i]);
    return copies;
}

static void append_list(struct text *out, const char *verb, const struct named_expression *items,
                        uint32_t count)
{
    if (count == 0)
        return;
    text_append(out, verb);
    for (uint32_t i = 0; i < count; i++) {
        const bool is_same = strlen(items[i].text) == strlen(items[i].name) + 2 &&
                             strncmp(items[i].text + 1, items[i].name, strlen(items[i].name)) == 0;
        text_append(out, i > 0 ? ", " : " ");
        if (items[i].name[0] == '\0')
            text_append(out, items[i].text);
        else if (is_same && items[i].text[0] == '"')
            text_append(out, items[i].name);
        else
            text_format(out, "%s: %s", items[i].name, items[i].text);
    }
}

static char *describe(const struct plan_operator *stage)
{
    const struct logical_node *node = stage->node;
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 2000);
    text_append(&out, stage->kind);
    if (stage->role == ROLE_SOURCE || stage->role == ROLE_SINK) {
        text_format(&out, " %s", node->connector.name);
        if (node->format.name != NULL)
            text_format(&out, " as %s", node->format.name);
    }
    for (uint32_t i = 0; stage->role == ROLE_WATERMARK && i < stage->extra_count; i++)
        text_format(&out, "%s %s: %s", i > 0 ? "," : "",
                    stage->extra[i].key + strlen(WATERMARK_SETTING_PREFIX), stage->extra[i].value);
    if (stage->role == ROLE_WATERMARK && node->source->idles_by_silence)
        text_append(&out, " (idle when silent: the connector cannot know its end)");
    append_list(&out, "", stage->columns, stage->column_count);
    append_list(&out, " where", stage->filters, stage->filter_count);
    for (uint32_t i = 0; i < stage->key_count; i++)
        text_format(&out, "%s%s", i == 0 ? " by " : ", ", stage->keys[i]);
    for (uint32_t i = 0; stage->role == ROLE_WINDOW && i < stage->extra_count; i++)
        text_format(&out, "%s %s: %s", i > 0 ? "," : "", stage->extra[i].key,
                    stage->extra[i].value);
    if (stage->role == ROLE_AGGREGATE || stage->role == ROLE_REDUCE || stage->role == ROLE_WINDOW)
        text_format(&out, " emit %s", clause_emit_choices[node->emit]);
    for (size_t i = 0; i < out.size; i++) {
        if (out.bytes[i] == '\n')
            out.bytes[i] = ' ';
    }
    return text_take(&out);
}

static void set_outputs(struct assembler *assembler, const struct plan_operator *stage,
                        struct operator_spec *spec)
{
    spec->outputs = allocate_array(3, sizeof(*spec->outputs));
    if (stage->output != NULL)
        spec->outputs[spec->output_count++] =
            (struct operator_output){copy_text(""), schema_ref(stage->output)};
    if (stage->role == ROLE_WINDOW && stage->node->late_is_read)
        spec->outputs[spec->output_count++] =
            (struct operator_output){copy_text(OUTPUT_LATE), schema_ref(stage->input)};
    if (spec->on_error == ON_ERROR_DEAD_LETTER)
        spec->outputs[spec->output_count++] =
            (struct operator_output){copy_text(OUTPUT_ERRORS), schema_ref(assembler->errors)};
}

static void add_graph_operator(struct assembler *assembler, const struct plan_operator *stage)
{
    const struct logical_node *node = stage->node;
    struct job_graph *graph = assembler->graph;
    assembler->index_of[stage - assembler->plan->operators] = graph->operator_count;
    struct operator_spec *spec = &graph->operators[graph->operator_count++];
    spec->uid = format_text("%s/%s", node->name, operator_role_names[stage->role]);
    spec->name = copy_text(node->name);
    spec->kind = copy_text(stage->kind);
    spec->description = describe(stage);
    spec->parallelism = stage->parallelism;
    spec->on_error = node->on_error;
    set_settings(stage, spec);
    spec->columns = copy_expressions(stage->columns, stage->column_count);
    spec->column_count = stage->column_count;
    spec->filters = copy_expressions(stage->filters, stage->filter_count);
    spec->filter_count = stage->filter_count;
    spec->keys = copy_names(stage->keys, stage->key_count);
    spec->key_count = stage->key_count;
    spec->inputs = allocate_array(1, sizeof(struct schema *));
    if (stage->input != NULL)
        spec->inputs[spec->input_count++] = schema_ref(stage->input);
    set_outputs(assembler, stage, spec);
}

/* ---- edges ---- */

struct distribution {
    enum partitioning partitioning;
    char *const *keys;
    uint32_t key_count;
};

static struct job_edge *add_edge(struct assembler *assembler, uint32_t from, uint32_t output,
                                 uint32_t to, const struct distribution *how)
{
    struct job_graph *graph = assembler->graph;
    size_t count = graph->edge_count;
    array_push(graph->edges, count, assembler->edge_capacity) =
        (struct job_edge){.from_operator = from,
                          .from_output = output,
                          .to_operator = to,
                          .partitioning = how->partitioning};
    struct job_edge *edge = &graph->edges[graph->edge_count++];
    if (how->partitioning == PARTITION_HASH) {
        edge->keys = copy_names(how->keys, how->key_count);
        edge->key_count = how->key_count;
    }
    return edge;
}

static bool keys_exist(const struct schema *schema, char *const *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (schema_find(schema, keys[i]) < 0)
            return false;
    }
    return count > 0;
}

/* Rule 11 of the form: hash before key_by, the clause, forward at equal parallelism, hash if the
 * rows come from a keyed node or the sink has `key`, else rebalance. */
static struct distribution choose(struct assembler *assembler, const struct plan_operator *stage,
                                  const struct plan_operator *from, bool is_errors)
{
    struct compiler *compiler = assembler->compiler;
    struct logical_node *node = stage->node;
    const struct schema *schema = is_errors ? assembler->errors : from->output;
    struct distribution hash = {PARTITION_HASH, node->output_keys, node->output_key_count};
    if (stage->is_keyed_exchange && stage->key_count > 0)
        return (struct distribution){PARTITION_HASH, stage->keys, stage->key_count};
    if (stage->is_keyed_exchange)
        return (struct distribution){
            from->parallelism == 1 ? PARTITION_FORWARD : PARTITION_REBALANCE, NULL, 0};
    const char *key = setting_find(node->connector.options, node->connector.option_count, "key");
    if (node->kind == NODE_SINK && key != NULL && schema_find(schema, key) >= 0) {
        char **keys = pool_take(&compiler->pool, 1, sizeof(*keys));
        keys[0] = (char *)(uintptr_t)key;
        hash = (struct distribution){PARTITION_HASH, keys, 1};
    } else if (node->kind == NODE_SELECT && !is_errors) {
        hash.keys = from->node->output_keys;
        hash.key_count = from->node->output_key_count;
    }
    const bool has_hash = keys_exist(schema, hash.keys, hash.key_count);
    const struct yaml_node *clause = node->clauses[CLAUSE_PARTITION];
    if (clause == NULL || node->partition < 0) {
        const enum partitioning usual =
            from->parallelism == stage->parallelism ? PARTITION_FORWARD : PARTITION_REBALANCE;
        return usual == PARTITION_REBALANCE && has_hash ? hash
                                                        : (struct distribution){usual, NULL, 0};
    }
    if (node->partition == PARTITION_FORWARD && from->parallelism != stage->parallelism)
        compile_error(
            compiler, clause->line, clause->column,
            "node \"%s\": `partition: forward` needs equal parallelism, but \"%s\" has %u "
            "and this node %u",
            node->name, from->node->name, from->parallelism, stage->parallelism);
    if (node->partition == PARTITION_HASH && !has_hash)
        compile_error(compiler, clause->line, clause->column,
                      "node \"%s\": `partition: hash` needs a key: rows of a keyed node, or a sink "
                      "with the option `key`",
                      node->name);
    if (node->partition == PARTITION_HASH)
        return hash;
    return (struct distribution){(enum partitioning)node->partition, NULL, 0};
}

static void add_error_edges(struct assembler *assembler, const struct plan_operator *stage,
                            const struct logical_node *from)
{
    for (uint32_t i = 0; i < from->operator_count; i++) {
        const uint32_t at = from->first_operator + i;
        const struct plan_operator *producer = &assembler->plan->operators[at];
        if (producer->is_removed)
            continue;
        const struct distribution how = choose(assembler, stage, producer, true);
        const uint32_t index = assembler->index_of[at];
        (void)add_edge(assembler, index, assembler->graph->operators[index].output_count - 1,
                       assembler->index_of[stage - assembler->plan->operators], &how);
    }
}

/* Late rows are as the window operator takes them, and distributed by its keys. */
static void add_late_edge(struct assembler *assembler, const struct plan_operator *stage,
                          const struct logical_node *from)
{
    for (uint32_t i = 0; i < from->operator_count; i++) {
        const struct plan_operator *producer =
            &assembler->plan->operators[from->first_operator + i];
        if (producer->role != ROLE_WINDOW)
            continue;
        const struct distribution how = choose(assembler, stage, producer, false);
        (void)add_edge(assembler, assembler->index_of[from->first_operator + i], 1,
                       assembler->index_of[stage - assembler->plan->operators], &how);
    }
}

static void add_edges(struct assembler *assembler, const struct plan_operator *stage)
{
    const struct plan *plan = assembler->plan;
    const uint32_t to = assembler->index_of[stage - plan->operators];
    const struct plan_operator *before = plan_before(plan, stage);
    if (before != NULL) {
        struct distribution how = {PARTITION_FORWARD, NULL, 0};
        if (stage->is_keyed_exchange || before->parallelism != stage->parallelism)
            how = choose(assembler, stage, before, false);
        (void)add_edge(assembler, assembler->index_of[before - plan->operators], 0, to, &how);
        return;
    }
    for (uint32_t i = 0; i < stage->node->input_count; i++) {
        const struct node_input *input = &stage->node->inputs[i];
        if (input->is_errors) {
            add_error_edges(assembler, stage, input->node);
            continue;
        }
        if (input->is_late) {
            add_late_edge(assembler, stage, input->node);
            continue;
        }
        const struct plan_operator *from = plan_last(plan, input->node);
        const struct distribution how = choose(assembler, stage, from, false);
        (void)add_edge(assembler, assembler->index_of[from - plan->operators], 0, to, &how);
    }
}

/* ---- chains ---- */

/* Watermarks are made by the task of the source: its operators never part. */
static bool is_timed_source(const struct job_graph *graph, const struct job_edge *edge)
{
    const char *node = graph->operators[edge->from_operator].name;
    if (strcmp(graph->operators[edge->to_operator].name, node) != 0)
        return false;
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        if (strcmp(graph->operators[i].kind, WATERMARK_OPERATOR) == 0 &&
            strcmp(graph->operators[i].name, node) == 0)
            return true;
    }
    return false;
}

static void chain_edges(struct assembler *assembler)
{
    struct job_graph *graph = assembler->graph;
    struct pool *pool = &assembler->compiler->pool;
    uint32_t *inputs = pool_take(pool, graph->operator_count + 1, sizeof(*inputs));
    uint32_t *readers = pool_take(pool, graph->operator_count + 1, sizeof(*readers));
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        inputs[graph->edges[i].to_operator]++;
        const struct operator_spec *from = &graph->operators[graph->edges[i].from_operator];
        if (from->outputs[graph->edges[i].from_output].name[0] == '\0')
            readers[graph->edges[i].from_operator]++;
    }
    const bool may_chain = config_bool(assembler->compiler->config, CONFIG_OPERATOR_CHAINING);
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        struct job_edge *edge = &graph->edges[i];
        if (!may_chain && !is_timed_source(graph, edge))
            continue;
        const struct operator_spec *from = &graph->operators[edge->from_operator];
        const struct operator_spec *to = &graph->operators[edge->to_operator];
        const bool is_main = from->outputs[edge->from_output].name[0] == '\0';
        const bool is_local = edge->partitioning == PARTITION_FORWARD ||
                              (edge->partitioning == PARTITION_HASH && from->parallelism == 1);
        edge->is_chained = is_main && is_local && from->parallelism == to->parallelism &&
                           inputs[edge->to_operator] == 1 && readers[edge->from_operator] == 1;
    }
}

/* ---- vertices ---- */

static char *vertex_name(const struct job_graph *graph, const struct job_vertex *vertex)
{
    struct text name SCOPED_TEXT_BUFFER;
    text_init(&name, 1000);
    const char *last = "";
    for (uint32_t i = 0; i < vertex->operator_count; i++) {
        const char *node = graph->operators[vertex->operators[i]].name;
        if (strcmp(node, last) != 0)
            text_format(&name, "%s%s", i > 0 ? " -> " : "", node);
        last = node;
    }
    return text_take(&name);
}

static struct id128 vertex_id(const char *uid)
{
    const XXH128_canonical_t canonical = {{0}};
    XXH128_canonical_t bytes = canonical;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits(uid, strlen(uid)));
    struct id128 id;
    _Static_assert(sizeof(id.bytes) == sizeof(bytes.digest), "128 bits");
    memcpy(id.bytes, bytes.digest, sizeof(id.bytes));
    return id;
}

static void add_vertices(struct assembler *assembler)
{
    struct job_graph *graph = assembler->graph;
    struct pool *pool = &assembler->compiler->pool;
    uint32_t *next = pool_take(pool, graph->operator_count + 1, sizeof(*next));
    bool *is_inner = pool_take(pool, graph->operator_count + 1, sizeof(*is_inner));
    for (uint32_t i = 0; i < graph->operator_count; i++)
        next[i] = UINT32_MAX;
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        if (graph->edges[i].is_chained) {
            next[graph->edges[i].from_operator] = graph->edges[i].to_operator;
            is_inner[graph->edges[i].to_operator] = true;
        }
    }
    graph->vertices = allocate_array(graph->operator_count, sizeof(*graph->vertices));
    for (uint32_t head = 0; head < graph->operator_count; head++) {
        if (is_inner[head])
            continue;
        struct job_vertex *vertex = &graph->vertices[graph->vertex_count++];
        vertex->id = vertex_id(graph->operators[head].uid);
        vertex->parallelism = graph->operators[head].parallelism;
        for (uint32_t at = head; at != UINT32_MAX; at = next[at])
            vertex->operator_count++;
        vertex->operators = allocate_array(vertex->operator_count, sizeof(uint32_t));
        uint32_t count = 0;
        for (uint32_t at = head; at != UINT32_MAX; at = next[at])
            vertex->operators[count++] = at;
        vertex->name = vertex_name(graph, vertex);
    }
}

/* ---- the job itself ---- */

static void set_job(struct assembler *assembler)
{
    struct compiler *compiler = assembler->compiler;
    const struct compile_options *options = compiler->options;
    struct job_graph *graph = assembler->graph;
    graph->name = copy_text(compiler->name);
    graph->parallelism = compiler->parallelism;
    graph->max_parallelism = (uint32_t)config_int(compiler->config, CONFIG_MAX_PARALLELISM);
    graph->time_zone = copy_text(config_text(compiler->config, CONFIG_TIME_ZONE));
    config_job_settings(compiler->config, &graph->config, &graph->config_count);
    graph->definition = copy_text_n(compiler->text, compiler->text_size);
    graph->definition_size = (uint32_t)compiler->text_size;
    graph->parameters = allocate_array(options->parameter_count, sizeof(*graph->parameters));
    for (uint32_t i = 0; i < options->parameter_count; i++)
        graph->parameters[graph->parameter_count++] = (struct setting){
            copy_text(options->parameters[i].key), copy_text(options->parameters[i].value)};
    qsort(graph->parameters, graph->parameter_count, sizeof(*graph->parameters), compare_settings);
    graph->submitter = copy_text(options->submitter != NULL ? options->submitter : "");
}

struct job_graph *assemble_graph(struct compiler *compiler, const struct plan *plan)
{
    struct assembler assembler = {.compiler = compiler,
                                  .plan = plan,
                                  .graph = allocate(sizeof(*assembler.graph)),
                                  .errors = row_error_schema()};
    assembler.index_of = pool_take(&compiler->pool, plan->count + 1, sizeof(uint32_t));
    set_job(&assembler);
    assembler.graph->operators = allocate_array(plan->count, sizeof(struct operator_spec));
    for (uint32_t i = 0; i < plan->count; i++) {
        if (!plan->operators[i].is_removed)
            add_graph_operator(&assembler, &plan->operators[i]);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        if (!plan->operators[i].is_removed)
            add_edges(&assembler, &plan->operators[i]);
    }
    chain_edges(&assembler);
    add_vertices(&assembler);
    schema_unref(assembler.errors);
    return assembler.graph;
}
