/* A task's chain, edges and inputs, made from its deployment and the job graph. */
#include "common/api/row_error.h"
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/config/option.h"
#include "taskmanager/task/sink_driver.h"
#include "taskmanager/task/task_internal.h"
#include "taskmanager/task/task_time.h"

#include <string.h>

#define OPTION_BUFFER_TIMEOUT "execution.buffer-timeout.interval"
#define BUFFER_TIMEOUT_MS     10
/* With the timeout switched off rows still leave at the end of input and before each control. */
#define BUFFER_TIMEOUT_OPTION_OFF "-1"

struct pooled_call {
    struct task *task;
    void (*run)(void *argument);
    void *argument;
};

static void run_pooled(void *argument)
{
    struct pooled_call call = *(struct pooled_call *)argument;
    free(argument);
    call.run(call.argument);
    /* The task may end as soon as the count is down: the waker has to be held beyond that. */
    struct waker *waker = waker_ref(call.task->waker);
    atomic_fetch_sub(&call.task->pooled_calls, 1);
    waker_wake(waker);
    waker_unref(waker);
}

void task_run_blocking(void *context, void (*run)(void *argument), void *argument)
{
    struct task *task = context;
    struct pooled_call *call = allocate(sizeof(*call));
    *call = (struct pooled_call){.task = task, .run = run, .argument = argument};
    atomic_fetch_add(&task->pooled_calls, 1);
    task->config.host.run_blocking(task->config.host.context, run_pooled, call);
}

static void chain_wake(void *context)
{
    struct task *task = context;
    waker_wake(task->waker);
}

static enum status read_config(struct task *task, struct error *err)
{
    int64_t timeout_ms = BUFFER_TIMEOUT_MS;
    const char *text = job_graph_config(task->config.graph, OPTION_BUFFER_TIMEOUT);
    if (text != NULL && strcmp(text, BUFFER_TIMEOUT_OPTION_OFF) == 0)
        timeout_ms = -1;
    else if (text != NULL &&
             parse_duration_ms(text, OPTION_UNITS_OPTIONAL, &timeout_ms, err) != STATUS_OK)
        return error_wrap(err, STATUS_INVALID, "%s", OPTION_BUFFER_TIMEOUT);
    task->buffer_timeout_us = timeout_ms < 0 ? -1 : timeout_ms * 1000;
    return STATUS_OK;
}

static const struct operator_ops *find_operator(const struct operator_ops *const *operators,
                                                const char *kind)
{
    for (; *operators != NULL; operators++) {
        if (strcmp((*operators)->kind, kind) == 0)
            return *operators;
    }
    return NULL;
}

static bool is_keyed(const struct task *task)
{
    for (uint32_t i = 0; i < task->vertex->operator_count; i++) {
        if ((task->chain.operators[i].ops->traits & OPERATOR_KEYED) != 0)
            return true;
    }
    return false;
}

static enum status choose_ops(struct task *task, struct chain_operator *op, uint32_t position,
                              struct error *err)
{
    const struct operator_spec *spec = op->env.spec;
    const struct connector_registry *connectors = task->config.connectors;
    if (strcmp(spec->kind, "source") == 0) {
        if (position != 0)
            return error_set(err, STATUS_INVALID, "%s: a source behind another operator",
                             spec->name);
        op->ops = &source_driver_ops;
        op->self = allocate(op->ops->instance_size);
        op->is_open = true;
        task->source = op->self;
        return source_driver_init(op->self, spec, connectors, err);
    }
    if (strcmp(spec->kind, "sink") == 0) {
        op->ops = &sink_driver_ops;
        op->self = allocate(op->ops->instance_size);
        op->is_open = true;
        op->is_sink = true;
        return sink_driver_init(op->self, spec, connectors, err);
    }
    op->ops = find_operator(task->config.operators, spec->kind);
    if (op->ops == NULL)
        return error_set(err, STATUS_NOT_FOUND, "%s: this TaskManager knows no operator '%s'",
                         spec->name, spec->kind);
    op->self = allocate(op->ops->instance_size);
    return STATUS_OK;
}

static void fill_env(const struct task *task, struct operator_env *env, uint32_t operator_index)
{
    const struct job_graph *graph = task->config.graph;
    *env = (struct operator_env){
        .spec = &graph->operators[operator_index],
        .job = graph,
        .job_id = task->deployment->job,
        .attempt = task->deployment->attempt,
        .subtask_index = task->deployment->subtask_index,
        .parallelism = task->vertex->parallelism,
        .max_parallelism = graph->max_parallelism,
        .key_groups = key_group_range_of(task->deployment->subtask_index, task->vertex->parallelism,
                                         graph->max_parallelism),
        .memory = task->config.account,
        .clock = task->config.clock,
    };
}

static enum status check_outputs(const struct task *task, uint32_t operator_index, bool *ret_next,
                                 uint32_t next_operator, struct error *err)
{
    const struct job_graph *graph = task->config.graph;
    *ret_next = false;
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const struct job_edge *edge = &graph->edges[i];
        if (!edge->is_chained || edge->from_operator != operator_index)
            continue;
        if (edge->from_output != 0 || edge->to_operator != next_operator || edge->to_input != 0)
            return error_set(err, STATUS_INVALID, "%s: a chained edge that is no neighbour's",
                             graph->operators[operator_index].name);
        *ret_next = true;
    }
    return STATUS_OK;
}

static enum status build_operator(struct task *task, uint32_t position, struct error *err)
{
    struct chain_operator *op = &task->chain.operators[position];
    const uint32_t index = task->vertex->operators[position];
    fill_env(task, &op->env, index);
    const struct operator_spec *spec = op->env.spec;
    TRY(choose_ops(task, op, position, err));
    const bool is_last = position + 1 == task->vertex->operator_count;
    const uint32_t next = is_last ? UINT32_MAX : task->vertex->operators[position + 1];
    bool to_next = false;
    TRY(check_outputs(task, index, &to_next, next, err));
    if (!is_last && (!to_next || spec->output_count == 0))
        return error_set(err, STATUS_INVALID, "%s: not joined with the next of its chain",
                         spec->name);
    op->output_count = spec->output_count;
    op->outputs = allocate_array((size_t)spec->output_count + 1, sizeof(struct chain_output));
    if (spec->output_count > 0)
        op->outputs[0].to_next = to_next;
    for (uint32_t i = 0; i < spec->output_count; i++) {
        if (strcmp(spec->outputs[i].name, OUTPUT_ERRORS) != 0)
            continue;
        struct schema *schema = row_error_schema();
        batch_builder_init(&op->errors, schema, task->config.account);
        schema_unref(schema);
        op->errors_output = i;
    }
    chain_operator_bind(&task->chain, position);
    return STATUS_OK;
}

static struct chain_operator *operator_in_chain(struct task *task, uint32_t operator_index)
{
    for (uint32_t i = 0; i < task->vertex->operator_count; i++) {
        if (task->vertex->operators[i] == operator_index)
            return &task->chain.operators[i];
    }
    return NULL;
}

static enum status edge_keys(const struct job_edge *edge, const struct schema *schema,
                             uint32_t *keys, struct error *err)
{
    if (edge->key_count > KEY_COLUMN_MAX || edge->key_count == 0)
        return error_set(err, STATUS_INVALID, "a hash edge with %u key columns", edge->key_count);
    for (uint32_t i = 0; i < edge->key_count; i++) {
        const int32_t column = schema_find(schema, edge->keys[i]);
        if (column < 0)
            return error_set(err, STATUS_INVALID, "no column '%s' for the key of an edge",
                             edge->keys[i]);
        keys[i] = (uint32_t)column;
    }
    return STATUS_OK;
}

static struct channel_output **open_outputs(struct task *task, const struct channel_group *group)
{
    struct channel_output **channels =
        allocate_array(group->peer_count, sizeof(struct channel_output *));
    for (uint32_t i = 0; i < group->peer_count; i++) {
        const struct channel_peer *peer = &group->peers[i];
        const struct channel_identity identity = {
            .edge = group->edge,
            .producer = task->deployment->attempt,
            .consumer = peer->attempt,
        };
        const struct exchange_peer at = {peer->task_manager, peer->data_address};
        channels[i] = exchange_open_output(task->config.exchange, &identity, &at, task->waker);
    }
    return channels;
}

static enum status build_output(struct task *task, const struct channel_group *group,
                                struct error *err)
{
    const struct job_graph *graph = task->config.graph;
    if (group->edge >= graph->edge_count || group->peer_count == 0)
        return error_set(err, STATUS_INVALID, "output channels of edge %u of %u, %u peers",
                         group->edge, graph->edge_count, group->peer_count);
    const struct job_edge *edge = &graph->edges[group->edge];
    struct chain_operator *op = operator_in_chain(task, edge->from_operator);
    if (op == NULL || edge->from_output >= op->output_count || edge->is_chained)
        return error_set(err, STATUS_INVALID, "edge %u does not leave this task", group->edge);
    const struct schema *schema = op->env.spec->outputs[edge->from_output].schema;
    uint32_t keys[KEY_COLUMN_MAX];
    if (edge->partitioning == PARTITION_HASH)
        TRY(edge_keys(edge, schema, keys, err));
    if (edge->partitioning == PARTITION_FORWARD && group->peer_count != 1)
        return error_set(err, STATUS_INVALID, "a forward edge with %u consumers",
                         group->peer_count);
    struct channel_output **channels = open_outputs(task, group);
    const struct partitioner_config config = {
        .partitioning = edge->partitioning,
        .schema = schema,
        .keys = keys,
        .key_count = edge->partitioning == PARTITION_HASH ? edge->key_count : 0,
        .channels = channels,
        .channel_count = group->peer_count,
        .max_parallelism = graph->max_parallelism,
        .first_channel = task->deployment->subtask_index,
        .buffer_timeout_us = task->buffer_timeout_us,
        .account = task->config.exchange_account,
    };
    struct chain_output *output = &op->outputs[edge->from_output];
    output->partitioners = reallocate_array(output->partitioners, output->partitioner_count + 1U,
                                            sizeof(struct partitioner *));
    output->partitioners[output->partitioner_count++] = partitioner_create(&config);
    free(channels);
    return STATUS_OK;
}

static enum status build_input(struct task *task, const struct channel_group *group,
                               struct error *err)
{
    const struct job_graph *graph = task->config.graph;
    if (group->edge >= graph->edge_count)
        return error_set(err, STATUS_INVALID, "input channels of edge %u of %u", group->edge,
                         graph->edge_count);
    const struct job_edge *edge = &graph->edges[group->edge];
    if (edge->to_operator != task->vertex->operators[0] || edge->is_chained ||
        edge->to_input >= task->chain.operators[0].ops->input_count)
        return error_set(err, STATUS_INVALID, "edge %u does not enter this task", group->edge);
    const struct operator_spec *from = &graph->operators[edge->from_operator];
    const struct schema *schema = from->outputs[edge->from_output].schema;
    for (uint32_t i = 0; i < group->peer_count; i++) {
        const struct channel_peer *peer = &group->peers[i];
        const struct channel_identity identity = {
            .edge = group->edge,
            .producer = peer->attempt,
            .consumer = task->deployment->attempt,
        };
        const struct exchange_peer at = {peer->task_manager, peer->data_address};
        task->inputs[task->input_count++] = (struct task_input){
            .channel =
                exchange_open_input(task->config.exchange, &identity, &at, schema, task->waker),
            .input = (uint16_t)edge->to_input,
        };
    }
    return STATUS_OK;
}

static enum status build_inputs(struct task *task, struct error *err)
{
    const struct task_deployment *deployment = task->deployment;
    uint64_t count = 0;
    for (uint32_t i = 0; i < deployment->input_count; i++)
        count += deployment->inputs[i].peer_count;
    if (count > (uint64_t)JOB_PARALLELISM_MAX * JOB_PARALLELISM_MAX)
        return error_set(err, STATUS_LIMIT, "%llu input channels", (unsigned long long)count);
    task->inputs = allocate_array(count + 1, sizeof(struct task_input));
    for (uint32_t i = 0; i < deployment->input_count; i++)
        TRY(build_input(task, &deployment->inputs[i], err));
    if ((task->source != NULL) != (task->input_count == 0))
        return error_set(err, STATUS_INVALID,
                         task->source != NULL ? "a source with input channels"
                                              : "no input channels and no source");
    aligner_init(&task->aligner, task->input_count, deployment->floor);
    watermarks_init(&task->watermarks, task->input_count, task->chain.operators[0].watermark_ms);
    return STATUS_OK;
}

static uint32_t depth_of(const struct job_graph *graph, uint32_t vertex)
{
    return vertex < graph->vertex_count ? vertex : 0; /* topological order */
}

enum status task_build(struct task *task, struct error *err)
{
    const struct job_graph *graph = task->config.graph;
    const struct task_deployment *deployment = task->deployment;
    if (deployment->vertex >= graph->vertex_count)
        return error_set(err, STATUS_INVALID, "deployment of vertex %u of %u", deployment->vertex,
                         graph->vertex_count);
    task->vertex = &graph->vertices[deployment->vertex];
    task->depth = depth_of(graph, deployment->vertex);
    if (task->vertex->operator_count == 0 || deployment->subtask_index >= task->vertex->parallelism)
        return error_set(err, STATUS_INVALID, "deployment of subtask %u of %u",
                         deployment->subtask_index, task->vertex->parallelism);
    TRY(read_config(task, err));
    const struct chain_host host = {
        .context = task,
        .wake = chain_wake,
        .run_blocking = task_run_blocking,
        .on_barrier = task_on_barrier,
        .on_waits_for = task_on_waits_for,
        .on_event_time = task_on_event_time,
    };
    chain_init(&task->chain, task->vertex->operator_count, &host, task->config.clock);
    task->has_chain = true;
    for (uint32_t i = 0; i < task->vertex->operator_count; i++)
        TRY(build_operator(task, i, err));
    TRY(task_time_build(task, err));
    if (is_keyed(task) && task->config.host.open_backend == NULL)
        return error_set(err, STATUS_UNSUPPORTED, "this TaskManager has no state backend");
    TRY(build_inputs(task, err));
    for (uint32_t i = 0; i < deployment->output_count; i++)
        TRY(build_output(task, &deployment->outputs[i], err));
    for (uint32_t i = 0; i < task->chain.operator_count; i++)
        task->has_flush |= task->chain.operators[i].ops->flush != NULL;
    return STATUS_OK;
}

struct snapshot_reader task_restored_entries(const struct task *task, const char *uid,
                                             struct snapshot_entry **ret_entries)
{
    *ret_entries = NULL;
    const struct task_state *state = task->deployment->state;
    for (size_t i = 0; state != NULL && i < state->operator_count; i++) {
        const struct operator_state *from = &state->operators[i];
        if (strcmp(from->uid, uid) != 0)
            continue;
        *ret_entries = allocate_array(from->entry_count + 1, sizeof(struct snapshot_entry));
        size_t count = 0;
        for (size_t j = 0; j < from->entry_count; j++) {
            if (strcmp(from->entries[j].name, TASK_TIME_ENTRY) != 0) /* the task's own */
                (*ret_entries)[count++] = (struct snapshot_entry){
                    .name = from->entries[j].name,
                    .bytes = from->entries[j].bytes,
                    .size = from->entries[j].size,
                };
        }
        return (struct snapshot_reader){*ret_entries, count};
    }
    return (struct snapshot_reader){NULL, 0};
}

static enum status open_operator(struct task *task, struct chain_operator *op, struct error *err)
{
    if (task->keyed != NULL && (op->ops->traits & OPERATOR_KEYED) != 0)
        TRY(task->keyed->ops->operator_state(task->keyed, op->env.spec->uid, &op->env.keyed, err));
    op->is_open = true;
    TRY(op->ops->open(op->self, &op->env, err));
    if (task->deployment->restore.value == 0 || op->ops->restore == NULL)
        return STATUS_OK;
    struct snapshot_entry *entries;
    const struct snapshot_reader reader = task_restored_entries(task, op->env.spec->uid, &entries);
    const enum status status = op->ops->restore(op->self, &reader, err);
    free(entries);
    return status;
}

enum status task_open(struct task *task, struct error *err)
{
    task->chain.keyed = task->keyed;
    for (uint32_t i = 0; i < task->chain.operator_count; i++) {
        struct chain_operator *op = &task->chain.operators[i];
        const enum status status = open_operator(task, op, err);
        if (status != STATUS_OK)
            return error_wrap(err, status, "open %s", op->env.spec->name);
    }
    if (task->source != NULL)
        TRY(source_driver_start(task->source, &task->chain.operators[0].env, err));
    return STATUS_OK;
}
