/* REST: what the answers about a job are made of. */
#include "jobmanager/rest/handlers.h"

#include <string.h>

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
        sum.error_records += metrics->error_records;
        sum.state_bytes += metrics->state_bytes;
        sum.state_keys += metrics->state_keys;
    }
    return sum;
}

static json_t *node_json(struct rest *rest, const struct job_snapshot *job,
                         const struct vertex_snapshot *vertex, int64_t now_ms)
{
    const struct job_vertex *planned = &job->graph->vertices[vertex->vertex];
    const struct task_metrics sum = vertex_metrics(vertex);
    const uint32_t counter = vertex->vertex * 2;
    return json_pack(
        "{s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "name", planned->name,
        "parallelism", (json_int_t)planned->parallelism, "status",
        task_status_name(vertex_status(vertex)), "records-in", (json_int_t)sum.records_in,
        "records-in-per-second",
        (json_int_t)rate_per_second(rest->rates, job->id, counter, sum.records_in, now_ms),
        "records-out", (json_int_t)sum.records_out, "records-out-per-second",
        (json_int_t)rate_per_second(rest->rates, job->id, counter + 1, sum.records_out, now_ms),
        "errors-skipped", (json_int_t)sum.error_records, "state-keys", (json_int_t)sum.state_keys,
        "state-bytes", (json_int_t)sum.state_bytes, "busy-ms", (json_int_t)sum.busy_ms, "idle-ms",
        (json_int_t)sum.idle_ms, "back-pressured-ms", (json_int_t)sum.back_pressured_ms);
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
        (void)json_object_set_new(part, "failed",
                                  json_pack("{s:I,s:I,s:s}", "id", (json_int_t)failed->id.value,
                                            "timestamp", (json_int_t)failed->end_ms, "reason",
                                            failed->failure != NULL ? failed->failure : "unknown"));
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

json_t *job_extension_json(struct rest *rest, const struct job_snapshot *job)
{
    const int64_t now_ms = wall_now_ms();
    json_t *nodes = json_array();
    for (uint32_t i = 0; i < job->vertex_count; i++)
        (void)json_array_append_new(nodes, node_json(rest, job, &job->vertices[i], now_ms));
    const char *waits_for = waiting_for(job);
    json_t *failure = json_null();
    if (job->exception_count > 0)
        failure =
            json_pack("{s:I,s:s,s:s?,s:s}", "timestamp", (json_int_t)job->exceptions[0].wall_ms,
                      "message", job->exceptions[0].message, "task", job->exceptions[0].task,
                      "host", job->exceptions[0].host);
    return json_pack("{s:I,s:s?,s:I,s:I,s:I,s:o,s:o,s:o}", "state-since",
                     (json_int_t)job->status_ms[job->status], "waiting-for", waits_for, "restarts",
                     (json_int_t)job->restart_count, "restart-at", (json_int_t)job->restart_at_ms,
                     "slots-needed", (json_int_t)job->slots_needed, "last-failure", failure,
                     "nodes", nodes, "checkpoint", checkpoint_part(rest, job));
}
