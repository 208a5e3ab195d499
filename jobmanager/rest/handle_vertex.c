/* REST: a vertex of a job with its subtasks, and what they add up to. */
#include "jobmanager/rest/handlers.h"

#include "common/base/allocate.h"

#include <stdlib.h>
#include <string.h>

/* The states whose durations Flink shows, in the order they are passed through. */
static const enum task_status timed[] = {TASK_CREATED, TASK_SCHEDULED, TASK_DEPLOYING,
                                         TASK_INITIALIZING, TASK_RUNNING};

#define TIMED_COUNT (sizeof(timed) / sizeof(timed[0]))

/* How long the current attempt was, or has been, in a state; -1 if it never was. */
static int64_t status_duration_ms(const struct subtask_snapshot *subtask, enum task_status status)
{
    const int64_t entered_ms = subtask->status_ms[status];
    if (entered_ms <= 0)
        return -1;
    int64_t left_ms = -1;
    for (int later = 0; later < TASK_STATUS_COUNT; later++) {
        const int64_t at_ms = subtask->status_ms[later];
        if (later > (int)status && at_ms >= entered_ms && (left_ms < 0 || at_ms < left_ms))
            left_ms = at_ms;
    }
    return passed_ms(entered_ms, left_ms);
}

static json_t *durations_json(const struct subtask_snapshot *subtask)
{
    json_t *json = json_object();
    for (size_t i = 0; i < TIMED_COUNT; i++)
        (void)json_object_set_new(json, task_status_name(timed[i]),
                                  json_integer(status_duration_ms(subtask, timed[i])));
    return json;
}

/* Flink's name of the TaskManager; its incarnation once it is gone. */
static void task_manager_name(const struct cluster_snapshot *snapshot,
                              const struct subtask_snapshot *subtask, char *out, size_t size)
{
    if (subtask->attempt.value == 0 || subtask->host[0] == '\0') {
        (void)snprintf(out, size, "(unassigned)");
        return;
    }
    id128_format(subtask->task_manager, out);
    for (size_t i = 0; i < snapshot->task_manager_count; i++) {
        if (id128_equals(snapshot->task_managers[i].id, subtask->task_manager))
            (void)snprintf(out, size, "%s", snapshot->task_managers[i].name);
    }
}

static json_t *subtask_json(const struct cluster_snapshot *snapshot,
                            const struct subtask_snapshot *subtask)
{
    const int64_t deploying_ms = subtask->status_ms[TASK_DEPLOYING];
    const int64_t start_ms = deploying_ms > 0 ? deploying_ms : -1;
    const int64_t end_ms = subtask_end_ms(subtask);
    char manager[512];
    task_manager_name(snapshot, subtask, manager, sizeof(manager));
    return json_pack(
        "{s:I,s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:s,s:o,s:o,s:I}", "subtask", (json_int_t)subtask->index,
        "status", task_status_name(subtask->status), "attempt", (json_int_t)subtask->attempt_number,
        "endpoint", subtask->host[0] != '\0' ? subtask->host : "(unassigned)", "start-time",
        (json_int_t)start_ms, "start_time", (json_int_t)start_ms, "end-time", (json_int_t)end_ms,
        "duration", passed_ms(start_ms, end_ms), "taskmanager-id", manager, "status-duration",
        durations_json(subtask), "metrics", metrics_json(&subtask->metrics), "attempt-id",
        (json_int_t)subtask->attempt.value);
}

static int compare_numbers(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static json_int_t quantile(const int64_t *sorted, size_t count, double q)
{
    return count == 0 ? 0 : (json_int_t)sorted[(size_t)(q * (double)(count - 1))];
}

/* Sorts the values. */
static json_t *aggregate_json(int64_t *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_numbers);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "min", quantile(values, count, 0), "max",
                     quantile(values, count, 1), "avg",
                     (json_int_t)(count > 0 ? sum / (int64_t)count : 0), "sum", (json_int_t)sum,
                     "median", quantile(values, count, 0.5), "p25", quantile(values, count, 0.25),
                     "p75", quantile(values, count, 0.75), "p95", quantile(values, count, 0.95));
}

typedef uint64_t (*metric_value)(const struct task_metrics *metrics);

static uint64_t read_bytes(const struct task_metrics *metrics)
{
    return metrics->bytes_in;
}

static uint64_t write_bytes(const struct task_metrics *metrics)
{
    return metrics->bytes_out;
}

static uint64_t read_records(const struct task_metrics *metrics)
{
    return metrics->records_in;
}

static uint64_t write_records(const struct task_metrics *metrics)
{
    return metrics->records_out;
}

static uint64_t back_pressured(const struct task_metrics *metrics)
{
    return metrics->back_pressured_ms;
}

static uint64_t idle(const struct task_metrics *metrics)
{
    return metrics->idle_ms;
}

static uint64_t busy(const struct task_metrics *metrics)
{
    return metrics->busy_ms;
}

static const struct {
    const char *name;
    metric_value value;
} summed[] = {
    {"read-bytes", read_bytes},
    {"write-bytes", write_bytes},
    {"read-records", read_records},
    {"write-records", write_records},
    {"accumulated-backpressured-time", back_pressured},
    {"accumulated-idle-time", idle},
    {"accumulated-busy-time", busy},
};

static json_t *aggregated_json(const struct vertex_snapshot *vertex)
{
    int64_t *values = allocate_array(vertex->subtask_count, sizeof(*values));
    json_t *metrics = json_object();
    for (size_t m = 0; m < sizeof(summed) / sizeof(summed[0]); m++) {
        for (uint32_t i = 0; i < vertex->subtask_count; i++)
            values[i] = (int64_t)summed[m].value(&vertex->subtasks[i].metrics);
        (void)json_object_set_new(metrics, summed[m].name,
                                  aggregate_json(values, vertex->subtask_count));
    }
    json_t *durations = json_object();
    for (size_t t = 0; t < TIMED_COUNT; t++) {
        for (uint32_t i = 0; i < vertex->subtask_count; i++)
            values[i] = status_duration_ms(&vertex->subtasks[i], timed[t]);
        (void)json_object_set_new(durations, task_status_name(timed[t]),
                                  aggregate_json(values, vertex->subtask_count));
    }
    free(values);
    return json_pack("{s:o,s:o}", "metrics", metrics, "status-duration", durations);
}

const struct vertex_snapshot *find_vertex(const struct job_snapshot *job,
                                          const struct http_request *request,
                                          struct http_response *response)
{
    struct id128 wanted;
    if (!read_vertex_id(request, response, 1, &wanted))
        return NULL;
    for (uint32_t i = 0; i < job->vertex_count; i++) {
        if (id128_equals(job->graph->vertices[job->vertices[i].vertex].id, wanted))
            return &job->vertices[i];
    }
    http_response_error(response, 404, "JobVertex %.64s not found", request->parameters[1]);
    return NULL;
}

static json_t *build_vertex(struct rest *rest, const struct cluster_snapshot *snapshot,
                            const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    const struct vertex_snapshot *vertex = job != NULL ? find_vertex(job, request, response) : NULL;
    if (vertex == NULL)
        return NULL;
    const struct job_vertex *planned = &job->graph->vertices[vertex->vertex];
    char id[ID_TEXT_SIZE];
    id128_format(planned->id, id);
    json_t *subtasks = json_array();
    for (uint32_t s = 0; s < vertex->subtask_count; s++)
        (void)json_array_append_new(subtasks, subtask_json(snapshot, &vertex->subtasks[s]));
    return json_pack("{s:s,s:s,s:I,s:I,s:I,s:o,s:o}", "id", id, "name", planned->name,
                     "parallelism", (json_int_t)planned->parallelism, "maxParallelism",
                     (json_int_t)job->graph->max_parallelism, "now", (json_int_t)wall_now_ms(),
                     "subtasks", subtasks, "aggregated", aggregated_json(vertex));
}

/* Flink's form: a list of metrics; nothing for those that know no time yet. */
static json_t *build_watermarks(struct rest *rest, const struct cluster_snapshot *snapshot,
                                const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    const struct vertex_snapshot *vertex = job != NULL ? find_vertex(job, request, response) : NULL;
    if (vertex == NULL)
        return NULL;
    json_t *list = json_array();
    for (uint32_t s = 0; s < vertex->subtask_count; s++) {
        const struct task_metrics *metrics = &vertex->subtasks[s].metrics;
        if (metrics->watermark_ms != INT64_MIN)
            (void)json_array_append_new(
                list, json_pack("{s:o,s:o,s:b}", "id",
                                json_sprintf("%u.currentInputWatermark", vertex->subtasks[s].index),
                                "value", json_sprintf("%lld", (long long)metrics->watermark_ms),
                                "idle", metrics->is_time_idle));
    }
    return list;
}

void handle_vertex(void *context, const struct http_request *request,
                   struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_vertex);
}

void handle_vertex_watermarks(void *context, const struct http_request *request,
                              struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_watermarks);
}
