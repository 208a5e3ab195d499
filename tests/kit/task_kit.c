/* Graphs, connectors, an operator and a recorder for the tests of tasks. */
#include "tests/kit/task_kit.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- graphs ---- */

struct schema *kit_row_schema(void)
{
    const struct schema_column columns[] = {
        {.name = "key", .type = type_of_kind(TYPE_STRING)},
        {.name = "value", .type = type_of_kind(TYPE_BIGINT)},
    };
    return schema_create(columns, 2, -1);
}

struct batch *kit_rows(int64_t first, uint32_t count, uint32_t keys)
{
    SCOPED(schema_unref) struct schema *schema = kit_row_schema();
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (int64_t value = first; value < first + count; value++) {
        char key[64];
        /* Every fifth key is longer than a view holds inline. */
        const int64_t number = value % keys;
        (void)snprintf(key, sizeof(key), number % 5 == 0 ? "key-that-is-long-%lld" : "k%lld",
                       (long long)number);
        batch_builder_bytes(&builder, 0, key, strlen(key));
        batch_builder_int(&builder, 1, value);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    return batch;
}

static void *grow(void *array, uint32_t count, size_t size)
{
    void *grown = reallocate_array(array, (size_t)count + 1, size);
    memset((char *)grown + (size_t)count * size, 0, size);
    return grown;
}

struct job_graph *kit_graph_create(void)
{
    struct job_graph *graph = allocate(sizeof(*graph));
    graph->name = copy_text("test");
    graph->parallelism = 1;
    graph->max_parallelism = 128;
    graph->time_zone = copy_text("UTC");
    graph->definition = copy_text("");
    graph->submitter = copy_text("test");
    return graph;
}

void kit_add_config(struct job_graph *graph, const char *key, const char *value)
{
    graph->config = grow(graph->config, graph->config_count, sizeof(struct setting));
    graph->config[graph->config_count++] = (struct setting){copy_text(key), copy_text(value)};
}

uint32_t kit_add_operator(struct job_graph *graph, const char *uid, const char *kind,
                          uint32_t parallelism, uint32_t input_count, bool has_output, ...)
{
    graph->operators = grow(graph->operators, graph->operator_count, sizeof(struct operator_spec));
    struct operator_spec *spec = &graph->operators[graph->operator_count];
    spec->uid = copy_text(uid);
    spec->name = copy_text(uid);
    spec->kind = copy_text(kind);
    spec->description = copy_text("");
    spec->parallelism = parallelism;
    va_list pairs;
    va_start(pairs, has_output);
    for (const char *key = va_arg(pairs, const char *); key != NULL;
         key = va_arg(pairs, const char *)) {
        spec->settings = grow(spec->settings, spec->setting_count, sizeof(struct setting));
        spec->settings[spec->setting_count++] =
            (struct setting){copy_text(key), copy_text(va_arg(pairs, const char *))};
    }
    va_end(pairs);
    spec->input_count = input_count;
    spec->inputs = allocate_array(input_count + 1, sizeof(struct schema *));
    for (uint32_t i = 0; i < input_count; i++)
        spec->inputs[i] = kit_row_schema();
    spec->output_count = has_output ? 1 : 0;
    spec->outputs = allocate_array(2, sizeof(struct operator_output));
    if (has_output)
        spec->outputs[0] = (struct operator_output){copy_text(""), kit_row_schema()};
    return graph->operator_count++;
}

void kit_add_edge(struct job_graph *graph, uint32_t from, uint32_t to,
                  enum partitioning partitioning, bool is_chained)
{
    graph->edges = grow(graph->edges, graph->edge_count, sizeof(struct job_edge));
    struct job_edge *edge = &graph->edges[graph->edge_count++];
    edge->from_operator = from;
    edge->to_operator = to;
    edge->partitioning = partitioning;
    edge->is_chained = is_chained;
    if (partitioning == PARTITION_HASH) {
        edge->keys = allocate_array(1, sizeof(char *));
        edge->keys[0] = copy_text("key");
        edge->key_count = 1;
    }
}

void kit_add_vertex(struct job_graph *graph, uint32_t first, uint32_t count)
{
    graph->vertices = grow(graph->vertices, graph->vertex_count, sizeof(struct job_vertex));
    struct job_vertex *vertex = &graph->vertices[graph->vertex_count++];
    vertex->id.bytes[0] = (uint8_t)graph->vertex_count;
    vertex->name = copy_text(graph->operators[first].name);
    vertex->parallelism = graph->operators[first].parallelism;
    vertex->operators = allocate_array(count, sizeof(uint32_t));
    vertex->operator_count = count;
    for (uint32_t i = 0; i < count; i++)
        vertex->operators[i] = first + i;
}

uint64_t kit_generation;

struct attempt_id kit_attempt(uint32_t vertex, uint32_t subtask)
{
    return (struct attempt_id){kit_generation * 1000000 + 1000 * (vertex + 1) + subtask};
}

static struct channel_group peers_of(const struct job_graph *graph, uint32_t edge, uint32_t vertex,
                                     uint32_t subtask, const struct kit_node *nodes,
                                     uint32_t node_count)
{
    const bool is_forward = graph->edges[edge].partitioning == PARTITION_FORWARD;
    const uint32_t count = is_forward ? 1 : graph->vertices[vertex].parallelism;
    struct channel_group group = {
        .edge = edge,
        .peers = allocate_array(count, sizeof(struct channel_peer)),
        .peer_count = count,
    };
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t peer = is_forward ? subtask : i;
        const struct kit_node *node = &nodes[peer % node_count];
        group.peers[i] = (struct channel_peer){
            .subtask_index = peer,
            .attempt = kit_attempt(vertex, peer),
            .task_manager = node->incarnation,
            .data_address = copy_text(node->address != NULL ? node->address : ""),
        };
    }
    return group;
}

struct task_deployment *kit_deployment(const struct job_graph *graph, uint32_t vertex,
                                       uint32_t subtask, uint32_t slot_count,
                                       const struct kit_node *nodes, uint32_t node_count)
{
    struct task_deployment *deployment = allocate(sizeof(*deployment));
    deployment->attempt = kit_attempt(vertex, subtask);
    deployment->vertex = vertex;
    deployment->subtask_index = subtask;
    deployment->slot = subtask / node_count % slot_count;
    for (uint32_t i = 0; i < graph->edge_count; i++) {
        const struct job_edge *edge = &graph->edges[i];
        if (edge->is_chained)
            continue;
        const uint32_t from = job_graph_vertex_of(graph, edge->from_operator);
        const uint32_t to = job_graph_vertex_of(graph, edge->to_operator);
        if (from == vertex) {
            deployment->outputs =
                grow(deployment->outputs, deployment->output_count, sizeof(struct channel_group));
            deployment->outputs[deployment->output_count++] =
                peers_of(graph, i, to, subtask, nodes, node_count);
        }
        if (to == vertex) {
            deployment->inputs =
                grow(deployment->inputs, deployment->input_count, sizeof(struct channel_group));
            deployment->inputs[deployment->input_count++] =
                peers_of(graph, i, from, subtask, nodes, node_count);
        }
    }
    return deployment;
}

/* ---- source: "numbers"; settings rows, keys, batch ---- */

struct numbers {
    int64_t next;
    int64_t end;
    uint32_t keys;
    uint32_t batch;
    bool has_split;
    bool is_idle_at_end; /* the input does not end */
};

static int64_t number_setting(const struct operator_spec *spec, const char *key, int64_t fallback)
{
    const char *text = operator_setting(spec, key);
    return text == NULL ? fallback : strtoll(text, NULL, 10);
}

static enum status numbers_open(void *self, struct operator_env *env, const struct format *format,
                                struct error *err)
{
    (void)format;
    (void)err;
    struct numbers *numbers = self;
    numbers->end = number_setting(env->spec, "connector.rows", 1000);
    numbers->keys = (uint32_t)number_setting(env->spec, "connector.keys", 100);
    numbers->is_idle_at_end = number_setting(env->spec, "connector.endless", 0) != 0;
    numbers->batch = (uint32_t)number_setting(env->spec, "connector.batch", 500);
    return STATUS_OK;
}

static enum status numbers_add(void *self, const struct split_list *splits, struct error *err)
{
    (void)err;
    struct numbers *numbers = self;
    for (size_t i = 0; i < splits->count; i++) {
        numbers->has_split = true;
        if (splits->splits[i].state_size == sizeof(int64_t))
            memcpy(&numbers->next, splits->splits[i].state, sizeof(int64_t));
    }
    return STATUS_OK;
}

static enum poll numbers_poll(void *self, struct emitter *out, struct batch **ret_batch,
                              struct error *err)
{
    (void)out;
    (void)err;
    struct numbers *numbers = self;
    if (!numbers->has_split || numbers->next >= numbers->end)
        return numbers->is_idle_at_end ? POLL_IDLE : POLL_NEED_SPLITS;
    const int64_t left = numbers->end - numbers->next;
    const uint32_t count = left < numbers->batch ? (uint32_t)left : numbers->batch;
    *ret_batch = kit_rows(numbers->next, count, numbers->keys);
    numbers->next += count;
    return POLL_BATCH;
}

static enum status numbers_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)err;
    struct numbers *numbers = self;
    if (numbers->has_split)
        split_list_add(ret_splits, "numbers", &numbers->next, sizeof(numbers->next));
    return STATUS_OK;
}

static bool numbers_bounded(const struct operator_spec *spec)
{
    (void)spec;
    return true;
}

static const struct source_connector numbers_connector = {
    .abi_size = sizeof(struct source_connector),
    .name = "numbers",
    .makes_splits = true,
    .is_replayable = true,
    .is_bounded = numbers_bounded,
    .reader =
        {
            .instance_size = sizeof(struct numbers),
            .open = numbers_open,
            .add_splits = numbers_add,
            .poll = numbers_poll,
            .snapshot = numbers_snapshot,
        },
};

/* ---- sink: "collect"; setting target ---- */

struct kit_collector kit_collectors[KIT_COLLECTORS];

void kit_collector_reset(uint32_t index)
{
    struct kit_collector *collector = &kit_collectors[index];
    memset(collector, 0, sizeof(*collector));
    pthread_mutex_init(&collector->mutex, NULL);
    for (uint32_t i = 0; i < KIT_KEYS_MAX; i++) {
        collector->owner[i] = -1;
        for (uint32_t j = 0; j < KIT_SUBTASKS_MAX; j++)
            collector->last[i][j] = -1;
    }
}

void kit_collector_stall(uint32_t index, bool is_stalled)
{
    struct kit_collector *collector = &kit_collectors[index];
    pthread_mutex_lock(&collector->mutex);
    collector->is_stalled = is_stalled;
    for (uint32_t i = 0; i < collector->writer_count; i++)
        collector->writers[i]->ops->wake(collector->writers[i]);
    pthread_mutex_unlock(&collector->mutex);
}

uint64_t kit_collector_rows(uint32_t index)
{
    struct kit_collector *collector = &kit_collectors[index];
    pthread_mutex_lock(&collector->mutex);
    const uint64_t rows = collector->row_count;
    pthread_mutex_unlock(&collector->mutex);
    return rows;
}

uint64_t kit_collector_flushes(uint32_t index)
{
    struct kit_collector *collector = &kit_collectors[index];
    pthread_mutex_lock(&collector->mutex);
    const uint64_t count = collector->flush_count;
    pthread_mutex_unlock(&collector->mutex);
    return count;
}

struct collect {
    struct kit_collector *to;
    struct operator_env *env;
};

static enum status collect_open(void *self, struct operator_env *env, const struct format *format,
                                struct error *err)
{
    (void)format;
    (void)err;
    struct collect *collect = self;
    collect->to = &kit_collectors[number_setting(env->spec, "connector.target", 0)];
    collect->env = env;
    pthread_mutex_lock(&collect->to->mutex);
    CHECK(collect->to->writer_count < KIT_SUBTASKS_MAX);
    collect->to->writers[collect->to->writer_count++] = env;
    pthread_mutex_unlock(&collect->to->mutex);
    return STATUS_OK;
}

static void collect_row(struct collect *collect, const struct batch *batch, uint32_t row)
{
    struct kit_collector *to = collect->to;
    const struct column *keys = batch->columns[0];
    const struct string_view *view = &column_views(keys)[row];
    char text[64] = "";
    CHECK(view->size < sizeof(text));
    memcpy(text, string_view_bytes(keys, view), view->size);
    const char *digits = text;
    while (*digits != '\0' && (*digits < '0' || *digits > '9'))
        digits++;
    const uint32_t key = (uint32_t)strtoul(digits, NULL, 10);
    CHECK(key < KIT_KEYS_MAX);
    const int64_t value = ((const int64_t *)batch->columns[1]->values)[row];
    const int32_t subtask = (int32_t)collect->env->subtask_index;
    to->row_count++;
    to->counts[key]++;
    to->sums[key] += value;
    to->owner[key] = to->owner[key] == -1 || to->owner[key] == subtask ? subtask : -2;
    to->is_out_of_order |= value < to->last[key][subtask];
    to->last[key][subtask] = value;
}

static enum step collect_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    (void)out;
    (void)err;
    struct collect *collect = self;
    pthread_mutex_lock(&collect->to->mutex);
    const bool is_stalled = collect->to->is_stalled;
    for (uint32_t i = 0; i < batch_selected(in) && !is_stalled; i++)
        collect_row(collect, in, batch_row(in, i));
    pthread_mutex_unlock(&collect->to->mutex);
    return is_stalled ? STEP_WAIT : STEP_DONE;
}

static enum step collect_flush(void *self, struct error *err)
{
    (void)err;
    struct collect *collect = self;
    pthread_mutex_lock(&collect->to->mutex);
    collect->to->flush_count++;
    pthread_mutex_unlock(&collect->to->mutex);
    return STEP_DONE;
}

static enum status collect_snapshot(void *self, struct checkpoint_id id,
                                    struct snapshot_writer *writer, struct error *err)
{
    (void)err;
    struct collect *collect = self;
    pthread_mutex_lock(&collect->to->mutex);
    collect->to->written_at_barrier[id.value % 64] = collect->to->row_count;
    pthread_mutex_unlock(&collect->to->mutex);
    writer->put(writer, "pending", OPERATOR_STATE_LIST, &id.value, sizeof(id.value));
    return STATUS_OK;
}

static enum step collect_completed(void *self, struct checkpoint_id id, struct error *err)
{
    (void)err;
    struct collect *collect = self;
    pthread_mutex_lock(&collect->to->mutex);
    collect->to->committed = id.value;
    pthread_mutex_unlock(&collect->to->mutex);
    return STEP_DONE;
}

static enum step collect_finish(void *self, struct error *err)
{
    (void)err;
    struct collect *collect = self;
    pthread_mutex_lock(&collect->to->mutex);
    collect->to->finished_count++;
    pthread_mutex_unlock(&collect->to->mutex);
    return STEP_DONE;
}

static void collect_close(void *self)
{
    struct collect *collect = self;
    if (collect->to == NULL)
        return;
    pthread_mutex_lock(&collect->to->mutex);
    uint32_t at = 0;
    while (collect->to->writers[at] != collect->env)
        at++;
    collect->to->writers[at] = collect->to->writers[--collect->to->writer_count];
    pthread_mutex_unlock(&collect->to->mutex);
}

static const struct sink_connector collect_connector = {
    .abi_size = sizeof(struct sink_connector),
    .name = "collect",
    .writer =
        {
            .instance_size = sizeof(struct collect),
            .open = collect_open,
            .write = collect_write,
            .flush = collect_flush,
            .snapshot = collect_snapshot,
            .checkpoint_completed = collect_completed,
            .finish = collect_finish,
            .close = collect_close,
        },
};

static const struct source_connector *const sources[] = {&numbers_connector, NULL};
static const struct sink_connector *const sinks[] = {&collect_connector, NULL};
static const struct format *const formats[] = {NULL};
const struct connector_registry kit_connectors = {sources, sinks, formats};

/* ---- operator "halting": one row a call, STEP_AGAIN in every hook ---- */

struct halting {
    uint32_t next;
    bool is_second; /* the hook said STEP_AGAIN once */
};

static enum step halting_process(void *self, uint16_t input, struct batch *in, struct emitter *out,
                                 struct error *err)
{
    (void)input;
    (void)err;
    struct halting *halting = self;
    if (halting->next < batch_selected(in)) {
        if (!emitter_has_room(out, 0))
            return STEP_AGAIN;
        const uint32_t row = batch_row(in, halting->next++);
        struct batch *one = batch_create(in->schema, 1);
        for (uint32_t i = 0; i < in->column_count; i++)
            one->columns[i] = column_gather(in->columns[i], &row, 1);
        emitter_emit(out, 0, one);
        return STEP_AGAIN;
    }
    halting->next = 0;
    return STEP_DONE;
}

static enum step halt_once(struct halting *halting)
{
    halting->is_second = !halting->is_second;
    return halting->is_second ? STEP_AGAIN : STEP_DONE;
}

static enum status halting_open(void *self, struct operator_env *env, struct error *err)
{
    (void)self;
    (void)env;
    (void)err;
    return STATUS_OK;
}

static enum step halting_barrier(void *self, struct emitter *out, struct error *err)
{
    (void)out;
    (void)err;
    return halt_once(self);
}

static enum step halting_watermark(void *self, int64_t watermark_ms, struct emitter *out,
                                   struct error *err)
{
    (void)watermark_ms;
    (void)out;
    (void)err;
    return halt_once(self);
}

static const struct operator_ops halting_ops = {
    .abi_size = sizeof(struct operator_ops),
    .kind = "halting",
    .instance_size = sizeof(struct halting),
    .input_count = 1,
    .open = halting_open,
    .process = halting_process,
    .before_watermark = halting_watermark,
    .before_barrier = halting_barrier,
    .flush = halting_barrier,
    .finish = halting_barrier,
};

const struct operator_ops *const kit_operators[] = {&halting_ops, &kit_alarm_operator, NULL};

/* ---- events ---- */

void kit_events_init(struct kit_events *events)
{
    memset(events, 0, sizeof(*events));
    pthread_mutex_init(&events->mutex, NULL);
    pthread_cond_init(&events->changed, NULL);
}

void kit_events_done(struct kit_events *events)
{
    for (uint32_t i = 0; i < events->state_count; i++)
        task_state_done(&events->states[i]);
    pthread_mutex_destroy(&events->mutex);
    pthread_cond_destroy(&events->changed);
}

void kit_on_event(void *context, const struct task_event *event)
{
    struct kit_events *events = context;
    pthread_mutex_lock(&events->mutex);
    const uint64_t id = event->id.value % 64;
    switch (event->kind) {
    case TASK_EVENT_PHASE:
        if (event->phase == TASK_PHASE_FAILED && events->phases[TASK_PHASE_FAILED] == 0) {
            events->error = *event->error;
            events->lost_peer = event->lost_peer;
        }
        events->phases[event->phase]++;
        break;
    case TASK_EVENT_ACKNOWLEDGE:
        events->acknowledged[id]++;
        events->acknowledged_finished[id] += (*event->state)->is_finished;
        if (events->state_count < 64) {
            struct task_state *state = take_pointer(event->state);
            events->states[events->state_count++] = *state;
            free(state);
        }
        break;
    case TASK_EVENT_DECLINE:
        events->declined[id]++;
        break;
    case TASK_EVENT_DRAINED:
        events->drained++;
        break;
    case TASK_EVENT_WANTS_SPLITS:
        break;
    case TASK_EVENT_COMMITTED:
        events->committed[id]++;
        break;
    }
    pthread_cond_broadcast(&events->changed);
    pthread_mutex_unlock(&events->mutex);
}

bool kit_wait(struct kit_events *events, const uint32_t *counter, uint32_t count,
              int64_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    pthread_mutex_lock(&events->mutex);
    int timed_out = 0;
    while (*counter < count && timed_out == 0)
        timed_out = pthread_cond_timedwait(&events->changed, &events->mutex, &until);
    const bool is_there = *counter >= count;
    pthread_mutex_unlock(&events->mutex);
    return is_there;
}
