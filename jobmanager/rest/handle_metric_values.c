/*
 * REST: Flink's metrics: a list of names, or with ?get=a,b the values of those that exist.
 *
 * Names are Flink's where the thing is the same. What a JVM has is left out, and rates per second
 * too: Prometheus makes them of the counters of /metrics.
 */
#include "common/base/allocate.h"
#include "jobmanager/rest/handlers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES_MAX 512

/* What is asked for, and the answer that grows. */
struct metric_list {
    const char *get; /* NULL: names only */
    json_t *json;
};

static struct metric_list list_of(const struct http_request *request)
{
    return (struct metric_list){http_request_query(request, "get"), json_array()};
}

static bool is_wanted(const char *get, const char *name)
{
    const size_t size = strlen(name);
    for (const char *at = get; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0'))
            return true;
    }
    return false;
}

static void add_text(struct metric_list *list, const char *name, const char *value)
{
    if (list->get == NULL)
        (void)json_array_append_new(list->json, json_pack("{s:o}", "id", text_json(name)));
    else if (is_wanted(list->get, name))
        (void)json_array_append_new(
            list->json, json_pack("{s:o,s:o}", "id", text_json(name), "value", text_json(value)));
}

static void add_number(struct metric_list *list, const char *name, int64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    add_text(list, name, text);
}

/* ---- processes ---- */

static json_t *build_job_manager(struct rest *rest, const struct cluster_snapshot *snapshot,
                                 const struct http_request *request, struct http_response *response)
{
    (void)rest;
    (void)response;
    struct metric_list list = list_of(request);
    int64_t running_count = 0;
    for (size_t i = 0; i < snapshot->job_count; i++)
        running_count += !job_status_is_terminal(snapshot->jobs[i].status);
    add_number(&list, "numRegisteredTaskManagers", (int64_t)snapshot->task_manager_count);
    add_number(&list, "numRunningJobs", running_count);
    add_number(&list, "taskSlotsAvailable", snapshot->free_slot_count);
    add_number(&list, "taskSlotsTotal", snapshot->slot_count);
    return list.json;
}

void handle_jobmanager_metrics(void *context, const struct http_request *request,
                               struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_job_manager);
}

static json_t *build_task_manager(struct rest *rest, const struct cluster_snapshot *snapshot,
                                  const struct http_request *request,
                                  struct http_response *response)
{
    (void)rest;
    const struct task_manager_snapshot *manager = find_task_manager(snapshot, request, response);
    if (manager == NULL)
        return NULL;
    struct metric_list list = list_of(request);
    /* The whole process is one budget; this is the name under which people look for memory. */
    add_number(&list, "Status.JVM.Memory.Heap.Used", (int64_t)manager->memory_used_bytes);
    add_number(&list, "Status.JVM.Memory.Heap.Max", (int64_t)manager->memory_bytes);
    add_number(&list, "diskFree", (int64_t)manager->disk_free_bytes);
    add_number(&list, "diskTotal", (int64_t)manager->disk_total_bytes);
    return list.json;
}

void handle_task_manager_metrics(void *context, const struct http_request *request,
                                 struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_task_manager);
}

/* ---- jobs ---- */

static void add_checkpoints(struct metric_list *list, const struct rest *rest,
                            const struct checkpoint_statistics *statistics)
{
    const struct checkpoint_record *last = &statistics->latest_completed;
    const bool has_last = last->id.value != 0;
    int64_t in_progress_count = 0;
    for (size_t i = 0; i < statistics->history_count; i++)
        in_progress_count += statistics->history[i].outcome == CHECKPOINT_IN_PROGRESS;
    SCOPED_TEXT char *path = has_last
                                 ? format_text("file:%s/%s", rest->service.checkpoint_directory,
                                               last->path != NULL ? last->path : "")
                                 : copy_text("n/a");
    add_number(list, "totalNumberOfCheckpoints", (int64_t)statistics->triggered_count);
    add_number(list, "numberOfInProgressCheckpoints", in_progress_count);
    add_number(list, "numberOfCompletedCheckpoints", (int64_t)statistics->completed_count);
    add_number(list, "numberOfFailedCheckpoints", (int64_t)statistics->failed_count);
    add_number(list, "lastCompletedCheckpointId", has_last ? (int64_t)last->id.value : -1);
    add_number(list, "lastCheckpointDuration", has_last ? last->end_ms - last->trigger_ms : -1);
    add_number(list, "lastCheckpointSize", has_last ? (int64_t)last->uploaded_bytes : -1);
    add_number(list, "lastCheckpointFullSize", has_last ? (int64_t)last->state_bytes : -1);
    add_number(list, "lastCheckpointCompletedTimestamp", has_last ? last->end_ms : -1);
    add_number(list, "lastCheckpointRestoreTimestamp",
               statistics->restored.value != 0 ? statistics->restored_ms : -1);
    add_text(list, "lastCheckpointExternalPath", path);
}

static json_t *build_job(struct rest *rest, const struct cluster_snapshot *snapshot,
                         const struct http_request *request, struct http_response *response)
{
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    struct metric_list list = list_of(request);
    const bool is_running = job->status == JOB_RUNNING;
    const bool has_ended = job_status_is_terminal(job->status);
    const int64_t since_ms = wall_now_ms() - job->status_ms[job->status];
    add_number(&list, "numRestarts", job->restart_count);
    add_number(&list, "uptime", is_running ? since_ms : has_ended ? -1 : 0);
    add_number(&list, "downtime", has_ended ? -1 : is_running ? 0 : since_ms);
    add_checkpoints(&list, rest, &job->checkpoints);
    return list.json;
}

void handle_job_metrics(void *context, const struct http_request *request,
                        struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_job);
}

/* ---- vertices ---- */

/* Calls add for each number of a subtask. */
typedef void (*add_value)(void *context, const char *name, int64_t value);

static void subtask_values(const struct job_graph *graph, const struct vertex_snapshot *vertex,
                           const struct subtask_snapshot *subtask, add_value add, void *context)
{
    const struct task_metrics *metrics = &subtask->metrics;
    add(context, "numRecordsIn", (int64_t)metrics->records_in);
    add(context, "numRecordsOut", (int64_t)metrics->records_out);
    add(context, "numBytesIn", (int64_t)metrics->bytes_in);
    add(context, "numBytesOut", (int64_t)metrics->bytes_out);
    add(context, "numLateRecordsDropped", (int64_t)metrics->late_records);
    add(context, "accumulateBusyTimeMs", (int64_t)metrics->busy_ms);
    add(context, "accumulateIdleTimeMs", (int64_t)metrics->idle_ms);
    add(context, "accumulateBackPressuredTimeMs", (int64_t)metrics->back_pressured_ms);
    add(context, "currentInputWatermark", metrics->watermark_ms);
    const struct job_vertex *planned = &graph->vertices[vertex->vertex];
    const char *before = "";
    for (uint32_t i = 0; i < metrics->operator_count && i < planned->operator_count; i++) {
        const char *node = graph->operators[planned->operators[i]].name;
        char name[NAME_BYTES_MAX];
        /* A node is one operator to whoever wrote it: in at its first, out at its last. */
        (void)snprintf(name, sizeof(name), "%s.numRecordsIn", node);
        if (strcmp(node, before) != 0)
            add(context, name, (int64_t)metrics->operator_records_in[i]);
        const bool is_last = i + 1 == planned->operator_count ||
                             strcmp(graph->operators[planned->operators[i + 1]].name, node) != 0;
        (void)snprintf(name, sizeof(name), "%s.numRecordsOut", node);
        if (is_last)
            add(context, name, (int64_t)metrics->operator_records_out[i]);
        before = node;
    }
}

struct prefixed {
    struct metric_list list;
    const char *prefix; /* "3." */
};

static void add_prefixed(void *context, const char *name, int64_t value)
{
    struct prefixed *prefixed = context;
    char whole[NAME_BYTES_MAX + 32];
    (void)snprintf(whole, sizeof(whole), "%s%s", prefixed->prefix, name);
    add_number(&prefixed->list, whole, value);
}

static json_t *build_vertex(struct rest *rest, const struct cluster_snapshot *snapshot,
                            const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    const struct vertex_snapshot *vertex = job != NULL ? find_vertex(job, request, response) : NULL;
    if (vertex == NULL)
        return NULL;
    struct prefixed all = {.list = list_of(request)};
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        char prefix[16];
        (void)snprintf(prefix, sizeof(prefix), "%u.", i);
        all.prefix = prefix;
        subtask_values(job->graph, vertex, &vertex->subtasks[i], add_prefixed, &all);
    }
    return all.list.json;
}

void handle_vertex_metrics(void *context, const struct http_request *request,
                           struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_vertex);
}

static json_t *build_subtask(struct rest *rest, const struct cluster_snapshot *snapshot,
                             const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    const struct vertex_snapshot *vertex = job != NULL ? find_vertex(job, request, response) : NULL;
    if (vertex == NULL)
        return NULL;
    char *end = NULL;
    const unsigned long index = strtoul(request->parameters[2], &end, 10);
    if (*end != '\0' || index >= vertex->subtask_count) {
        http_response_error(response, 404, "subtask %.32s not found", request->parameters[2]);
        return NULL;
    }
    struct prefixed all = {.list = list_of(request), .prefix = ""};
    subtask_values(job->graph, vertex, &vertex->subtasks[index], add_prefixed, &all);
    return all.list.json;
}

void handle_subtask_metrics(void *context, const struct http_request *request,
                            struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_subtask);
}
