/* REST: what the answers about a job are made of. */
#include "jobmanager/rest/handlers.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/config/watermark_options.h"

#include <string.h>

/* Messages hold what users and files gave them, and may be cut in the middle of a character. */
json_t *text_json(const char *text)
{
    if (text == NULL)
        return json_null();
    json_t *json = json_string(text);
    if (json != NULL)
        return json;
    struct text quoted;
    text_init(&quoted, strlen(text) * 6 + 2);
    text_append_json(&quoted, text, strlen(text));
    json = json_loadb(quoted.bytes, quoted.size, JSON_DECODE_ANY, NULL);
    text_done(&quoted);
    return json != NULL ? json : json_null();
}

int64_t job_duration_ms(const struct job_snapshot *job)
{
    return (job->end_ms >= 0 ? job->end_ms : wall_now_ms()) - job->start_ms;
}

/* Flink's rule: the "least advanced" state wins, failures and cancelations first. */
enum task_status vertex_status(const struct vertex_snapshot *vertex)
{
    static const enum task_status order[] = {
        TASK_FAILED,    TASK_CANCELING,    TASK_CANCELED, TASK_CREATED,  TASK_SCHEDULED,
        TASK_DEPLOYING, TASK_INITIALIZING, TASK_RUNNING,  TASK_FINISHED,
    };
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        for (uint32_t s = 0; s < vertex->subtask_count; s++) {
            if (vertex->subtasks[s].status == order[i])
                return order[i];
        }
    }
    return TASK_CREATED;
}

struct task_metrics vertex_metrics(const struct vertex_snapshot *vertex)
{
    struct task_metrics sum = {0};
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        const struct task_metrics *metrics = &vertex->subtasks[i].metrics;
        sum.records_in += metrics->records_in;
        sum.records_out += metrics->records_out;
        sum.bytes_in += metrics->bytes_in;
        sum.bytes_out += metrics->bytes_out;
        sum.busy_ms += metrics->busy_ms;
        sum.idle_ms += metrics->idle_ms;
        sum.back_pressured_ms += metrics->back_pressured_ms;
        sum.late_records += metrics->late_records;
        for (unsigned b = 0; b < LATE_BUCKET_COUNT; b++)
            sum.late_buckets[b] += metrics->late_buckets[b];
        sum.error_records += metrics->error_records;
        sum.state_bytes += metrics->state_bytes;
        sum.state_keys += metrics->state_keys;
        sum.has_lag |= metrics->has_lag;
        if (metrics->records_lag_max > sum.records_lag_max)
            sum.records_lag_max = metrics->records_lag_max;
    }
    return sum;
}

int64_t vertex_watermark_ms(const struct vertex_snapshot *vertex, bool *ret_is_idle)
{
    int64_t active_ms = INT64_MAX;
    int64_t idle_ms = INT64_MIN;
    uint32_t active_count = 0;
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        const struct task_metrics *metrics = &vertex->subtasks[i].metrics;
        active_count += !metrics->is_time_idle;
        if (!metrics->is_time_idle && metrics->watermark_ms < active_ms)
            active_ms = metrics->watermark_ms;
        if (metrics->is_time_idle && metrics->watermark_ms > idle_ms)
            idle_ms = metrics->watermark_ms;
    }
    *ret_is_idle = active_count == 0;
    return active_count > 0 ? active_ms : idle_ms;
}

bool job_has_event_time(const struct job_snapshot *job)
{
    for (uint32_t i = 0; i < job->graph->operator_count; i++) {
        if (strcmp(job->graph->operators[i].kind, WATERMARK_OPERATOR) == 0)
            return true;
    }
    return false;
}

json_t *metrics_json(const struct task_metrics *metrics)
{
    return json_pack("{s:I,s:b,s:I,s:b,s:I,s:b,s:I,s:b,s:I,s:I,s:f}", "read-bytes",
                     (json_int_t)metrics->bytes_in, "read-bytes-complete", 1, "write-bytes",
                     (json_int_t)metrics->bytes_out, "write-bytes-complete", 1, "read-records",
                     (json_int_t)metrics->records_in, "read-records-complete", 1, "write-records",
                     (json_int_t)metrics->records_out, "write-records-complete", 1,
                     "accumulated-backpressured-time", (json_int_t)metrics->back_pressured_ms,
                     "accumulated-idle-time", (json_int_t)metrics->idle_ms, "accumulated-busy-time",
                     (double)metrics->busy_ms);
}

/* What a node of the job's text has done: the first of its operators reads its input, the last one
 * gives its output. State and errors are counted by task and shown at the task's keyed node. */
struct node_sum {
    const char *name;
    uint32_t parallelism;
    uint64_t records_in;
    uint64_t records_out;
    uint64_t errors;
    bool has_windows;
    uint64_t late;
    uint64_t late_buckets[LATE_BUCKET_COUNT];
    uint64_t state_keys;
    uint64_t state_bytes;
    bool has_operator;
    int64_t watermark_ms;
    bool is_time_idle;
    bool has_lag;
    uint64_t records_lag_max;
};

static struct node_sum *find_node(struct node_sum *nodes, size_t *count, const char *name)
{
    for (size_t i = 0; i < *count; i++) {
        if (strcmp(nodes[i].name, name) == 0)
            return &nodes[i];
    }
    nodes[*count] = (struct node_sum){.name = name};
    return &nodes[(*count)++];
}

static void add_operator(struct node_sum *node, const struct vertex_snapshot *vertex,
                         uint32_t place)
{
    uint64_t in = 0;
    uint64_t out = 0;
    for (uint32_t s = 0; s < vertex->subtask_count; s++) {
        const struct task_metrics *metrics = &vertex->subtasks[s].metrics;
        if (place < metrics->operator_count) {
            in += metrics->operator_records_in[place];
            out += metrics->operator_records_out[place];
        }
    }
    if (!node->has_operator)
        node->records_in = in;
    node->records_out = out;
    node->has_operator = true;
}

/* Operators of one node are neighbours in the order of the graph's vertices and chains. */
static void add_vertex(const struct job_snapshot *job, const struct vertex_snapshot *vertex,
                       struct node_sum *nodes, size_t *count)
{
    const struct job_vertex *planned = &job->graph->vertices[vertex->vertex];
    const struct task_metrics sum = vertex_metrics(vertex);
    struct node_sum *keyed = NULL;
    struct node_sum *first = NULL;
    for (uint32_t place = 0; place < planned->operator_count; place++) {
        const struct operator_spec *spec = &job->graph->operators[planned->operators[place]];
        struct node_sum *node = find_node(nodes, count, spec->name);
        node->parallelism = planned->parallelism;
        node->watermark_ms = vertex_watermark_ms(vertex, &node->is_time_idle);
        add_operator(node, vertex, place);
        if (first == NULL)
            first = node;
        node->has_windows |= operator_setting(spec, "window") != NULL;
        if (spec->key_count > 0 || operator_setting(spec, "window") != NULL)
            keyed = node;
    }
    if (first != NULL) {
        first->errors += sum.error_records;
        first->has_lag = sum.has_lag;
        first->records_lag_max = sum.records_lag_max;
    }
    if (keyed != NULL) {
        keyed->state_keys += sum.state_keys;
        keyed->state_bytes += sum.state_bytes;
        keyed->late += sum.late_records;
        for (unsigned b = 0; b < LATE_BUCKET_COUNT; b++)
            keyed->late_buckets[b] += sum.late_buckets[b];
    }
}

/* Rows that came after their windows, and by how much: [{"at-most-ms", "count"}]; null: any. */
static void show_late(json_t *shown, const struct node_sum *node)
{
    json_t *histogram = json_array();
    for (unsigned b = 0; b < LATE_BUCKET_COUNT; b++) {
        json_t *bound = late_bucket_bounds_ms[b] == INT64_MAX
                            ? json_null()
                            : json_integer((json_int_t)late_bucket_bounds_ms[b]);
        (void)json_array_append_new(histogram, json_pack("{s:o,s:I}", "at-most-ms", bound, "count",
                                                         (json_int_t)node->late_buckets[b]));
    }
    (void)json_object_set_new(shown, "late-dropped", json_integer((json_int_t)node->late));
    (void)json_object_set_new(shown, "late-histogram", histogram);
}

static json_t *nodes_json(struct rest *rest, const struct job_snapshot *job, int64_t now_ms)
{
    struct node_sum *nodes = allocate_array(job->graph->operator_count, sizeof(*nodes));
    size_t count = 0;
    for (uint32_t i = 0; i < job->vertex_count; i++)
        add_vertex(job, &job->vertices[i], nodes, &count);
    json_t *json = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct node_sum *node = &nodes[i];
        const int64_t in_rate =
            rate_per_second(rest->rates, job->id, (uint32_t)i * 2, node->records_in, now_ms);
        const int64_t out_rate =
            rate_per_second(rest->rates, job->id, (uint32_t)i * 2 + 1, node->records_out, now_ms);
        json_t *shown =
            json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "name", node->name, "parallelism",
                      (json_int_t)node->parallelism, "records-in", (json_int_t)node->records_in,
                      "records-in-per-second", (json_int_t)in_rate, "records-out",
                      (json_int_t)node->records_out, "records-out-per-second", (json_int_t)out_rate,
                      "errors-skipped", (json_int_t)node->errors, "state-keys",
                      (json_int_t)node->state_keys, "state-bytes", (json_int_t)node->state_bytes);
        if (node->has_windows)
            show_late(shown, node);
        if (node->has_lag)
            (void)json_object_set_new(shown, "records-lag-max",
                                      json_integer((json_int_t)node->records_lag_max));
        if (job_has_event_time(job)) {
            (void)json_object_set_new(shown, "watermark",
                                      node->watermark_ms == INT64_MIN
                                          ? json_null()
                                          : json_integer((json_int_t)node->watermark_ms));
            (void)json_object_set_new(shown, "watermark-idle", json_boolean(node->is_time_idle));
        }
        (void)json_array_append_new(json, shown);
    }
    free(nodes);
    return json;
}

static json_t *checkpoint_part(const struct rest *rest, const struct job_snapshot *job)
{
    const struct checkpoint_statistics *statistics = &job->checkpoints;
    const struct checkpoint_record *completed = &statistics->latest_completed;
    const struct checkpoint_record *failed = &statistics->latest_failed;
    json_t *part = json_pack("{s:b,s:I,s:I}", "enabled", job->options.checkpoints_on,
                             "completed-count", (json_int_t)statistics->completed_count,
                             "failed-count", (json_int_t)statistics->failed_count);
    if (completed->id.value != 0)
        (void)json_object_set_new(
            part, "completed",
            json_pack("{s:I,s:I,s:I,s:I,s:I,s:o}", "id", (json_int_t)completed->id.value,
                      "timestamp", (json_int_t)completed->end_ms, "duration",
                      (json_int_t)(completed->end_ms - completed->trigger_ms), "state-size",
                      (json_int_t)completed->state_bytes, "uploaded-bytes",
                      (json_int_t)completed->uploaded_bytes, "path",
                      json_sprintf("%s/%s", rest->service.checkpoint_directory,
                                   completed->path != NULL ? completed->path : "")));
    if (failed->id.value != 0)
        (void)json_object_set_new(
            part, "failed",
            json_pack("{s:I,s:I,s:o}", "id", (json_int_t)failed->id.value, "timestamp",
                      (json_int_t)failed->end_ms, "reason",
                      text_json(failed->failure != NULL ? failed->failure : "unknown")));
    return part;
}

/* What some task waits for, if the job itself waits for nothing. */
static const char *waiting_for(const struct job_snapshot *job)
{
    if (job->waits_for != NULL)
        return job->waits_for;
    for (uint32_t v = 0; v < job->vertex_count; v++) {
        for (uint32_t s = 0; s < job->vertices[v].subtask_count; s++) {
            if (job->vertices[v].subtasks[s].metrics.waits_for != NULL)
                return job->vertices[v].subtasks[s].metrics.waits_for;
        }
    }
    return NULL;
}

/* The weakest link: what a source cannot read again is lost at a failure, and what a sink wrote
 * before one may be written again. Without checkpoints a job begins anew. */
static const char *guarantee_name(const struct rest *rest, const struct job_snapshot *job)
{
    enum guarantee weakest =
        job->options.checkpoints_on ? GUARANTEE_EXACTLY_ONCE : GUARANTEE_AT_LEAST_ONCE;
    for (uint32_t i = 0; i < job->graph->operator_count; i++) {
        const struct operator_spec *spec = &job->graph->operators[i];
        const char *name = operator_setting(spec, "connector");
        if (name == NULL)
            continue;
        const struct source_connector *source =
            spec->input_count == 0 ? source_connector_find(rest->service.connectors, name) : NULL;
        const struct sink_connector *sink =
            spec->input_count > 0 ? sink_connector_find(rest->service.connectors, name) : NULL;
        if (source != NULL && !source->is_replayable)
            return "at-most-once";
        if (sink != NULL && sink_guarantee(sink, spec) < weakest)
            weakest = sink_guarantee(sink, spec);
    }
    switch (weakest) {
    case GUARANTEE_AT_LEAST_ONCE:
        return "at-least-once";
    case GUARANTEE_IDEMPOTENT:
        return "idempotent";
    case GUARANTEE_EXACTLY_ONCE:
        return "exactly-once";
    }
    UNREACHABLE();
}

json_t *job_extension_json(struct rest *rest, const struct job_snapshot *job)
{
    const int64_t now_ms = wall_now_ms();
    json_t *nodes = nodes_json(rest, job, now_ms);
    const char *waits_for = waiting_for(job);
    json_t *failure = json_null();
    if (job->exception_count > 0)
        failure =
            json_pack("{s:I,s:o,s:s?,s:s}", "timestamp", (json_int_t)job->exceptions[0].wall_ms,
                      "message", text_json(job->exceptions[0].message), "task",
                      job->exceptions[0].task, "host", job->exceptions[0].host);
    return json_pack(
        "{s:s,s:I,s:o,s:I,s:I,s:I,s:o,s:o,s:o}", "guarantee", guarantee_name(rest, job),
        "state-since", (json_int_t)job->status_ms[job->status], "waiting-for", text_json(waits_for),
        "restarts", (json_int_t)job->restart_count, "restart-at", (json_int_t)job->restart_at_ms,
        "slots-needed", (json_int_t)job->slots_needed, "last-failure", failure, "nodes", nodes,
        "checkpoint", checkpoint_part(rest, job));
}
