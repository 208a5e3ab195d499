/* REST: /metrics of the JobManager, in Prometheus' text form. */
#include "jobmanager/rest/handlers.h"

#include <inttypes.h>

struct metric {
    const char *name;
    const char *type;
    const char *help;
};

static void head(struct text *out, const struct metric *metric)
{
    text_format(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                metric->type);
}

static void plain(struct text *out, const char *name, const char *type, const char *help,
                  uint64_t value)
{
    const struct metric metric = {name, type, help};
    head(out, &metric);
    text_format(out, "%s %" PRIu64 "\n", name, value);
}

/* Prometheus wants backslash, quote and line break escaped, and nothing else. */
static void label(struct text *out, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            text_append_char(out, '\\');
        if (*value == '\n')
            text_append(out, "\\n");
        else
            text_append_char(out, *value);
    }
}

static void job_labels(struct text *out, const struct job_snapshot *job)
{
    char id[ID_TEXT_SIZE];
    id128_format(job->id.value, id);
    text_format(out, "job_id=\"%s\",job_name=\"", id);
    label(out, job->graph->name);
    text_append(out, "\"");
}

typedef uint64_t (*job_value)(const struct job_snapshot *job);

static uint64_t is_running(const struct job_snapshot *job)
{
    return job->status == JOB_RUNNING;
}

static uint64_t restarts(const struct job_snapshot *job)
{
    return job->restart_count;
}

static uint64_t completed(const struct job_snapshot *job)
{
    return job->checkpoints.completed_count;
}

static uint64_t failed(const struct job_snapshot *job)
{
    return job->checkpoints.failed_count;
}

static uint64_t last_size(const struct job_snapshot *job)
{
    return job->checkpoints.latest_completed.state_bytes;
}

static uint64_t last_uploaded(const struct job_snapshot *job)
{
    return job->checkpoints.latest_completed.uploaded_bytes;
}

static const struct {
    struct metric metric;
    job_value value;
} job_metrics[] = {
    {{"millstream_job_running", "gauge", "1 while the job is RUNNING."}, is_running},
    {{"millstream_job_restarts_total", "counter", "Restarts of the job."}, restarts},
    {{"millstream_job_checkpoints_completed_total", "counter", "Completed checkpoints."},
     completed},
    {{"millstream_job_checkpoints_failed_total", "counter", "Failed checkpoints."}, failed},
    {{"millstream_job_checkpoint_size_bytes", "gauge", "State in the last completed checkpoint."},
     last_size},
    {{"millstream_job_checkpoint_uploaded_bytes", "gauge", "New bytes in it."}, last_uploaded},
};

typedef uint64_t (*vertex_value)(const struct task_metrics *metrics);

static uint64_t records_in(const struct task_metrics *metrics)
{
    return metrics->records_in;
}

static uint64_t records_out(const struct task_metrics *metrics)
{
    return metrics->records_out;
}

static uint64_t errors(const struct task_metrics *metrics)
{
    return metrics->error_records;
}

static uint64_t late(const struct task_metrics *metrics)
{
    return metrics->late_records;
}

static uint64_t state_bytes(const struct task_metrics *metrics)
{
    return metrics->state_bytes;
}

static uint64_t state_keys(const struct task_metrics *metrics)
{
    return metrics->state_keys;
}

static const struct {
    struct metric metric;
    vertex_value value;
} vertex_rows[] = {
    {{"millstream_vertex_records_in_total", "counter", "Rows read by the current attempts."},
     records_in},
    {{"millstream_vertex_records_out_total", "counter", "Rows emitted by them."}, records_out},
    {{"millstream_vertex_errors_total", "counter", "Rows skipped or dead-lettered."}, errors},
    {{"millstream_vertex_late_records_dropped_total", "counter",
      "Rows that came after their windows (numLateRecordsDropped)."},
     late},
    {{"millstream_vertex_state_bytes", "gauge", "Keyed state in bytes."}, state_bytes},
    {{"millstream_vertex_state_keys", "gauge", "Keys in keyed state."}, state_keys},
};

static void write_jobs(struct text *out, const struct cluster_snapshot *snapshot)
{
    for (size_t m = 0; m < sizeof(job_metrics) / sizeof(job_metrics[0]); m++) {
        head(out, &job_metrics[m].metric);
        for (size_t i = 0; i < snapshot->job_count; i++) {
            const struct job_snapshot *job = &snapshot->jobs[i];
            if (job_status_is_terminal(job->status))
                continue;
            text_format(out, "%s{", job_metrics[m].metric.name);
            job_labels(out, job);
            text_format(out, "} %" PRIu64 "\n", job_metrics[m].value(job));
        }
    }
}

static void write_vertices(struct text *out, const struct cluster_snapshot *snapshot)
{
    for (size_t m = 0; m < sizeof(vertex_rows) / sizeof(vertex_rows[0]); m++) {
        head(out, &vertex_rows[m].metric);
        for (size_t i = 0; i < snapshot->job_count; i++) {
            const struct job_snapshot *job = &snapshot->jobs[i];
            for (uint32_t v = 0; v < job->vertex_count; v++) {
                const struct task_metrics sum = vertex_metrics(&job->vertices[v]);
                if (job_status_is_terminal(job->status))
                    continue;
                text_format(out, "%s{", vertex_rows[m].metric.name);
                job_labels(out, job);
                text_append(out, ",vertex=\"");
                label(out, job->graph->vertices[job->vertices[v].vertex].name);
                text_format(out, "\"} %" PRIu64 "\n", vertex_rows[m].value(&sum));
            }
        }
    }
}

/* Only where it is known: a gauge of a time has no value for "not yet" and "ended". */
static void write_watermarks(struct text *out, const struct cluster_snapshot *snapshot)
{
    const struct metric metric = {
        "millstream_vertex_watermark_seconds", "gauge",
        "Event time that the vertex has reached (currentInputWatermark)."};
    head(out, &metric);
    for (size_t i = 0; i < snapshot->job_count; i++) {
        const struct job_snapshot *job = &snapshot->jobs[i];
        for (uint32_t v = 0; v < job->vertex_count && !job_status_is_terminal(job->status); v++) {
            bool is_idle;
            const int64_t watermark_ms = vertex_watermark_ms(&job->vertices[v], &is_idle);
            if (watermark_ms == INT64_MIN || watermark_ms == INT64_MAX)
                continue;
            text_format(out, "%s{", metric.name);
            job_labels(out, job);
            text_append(out, ",vertex=\"");
            label(out, job->graph->vertices[job->vertices[v].vertex].name);
            text_format(out, "\"} %.3f\n", (double)watermark_ms / 1000);
        }
    }
}

/* By how much late rows were late; vertices without any are left out. */
static void write_late(struct text *out, const struct cluster_snapshot *snapshot)
{
    const struct metric metric = {"millstream_vertex_late_seconds", "histogram",
                                  "How late the rows were that came after their windows."};
    head(out, &metric);
    for (size_t i = 0; i < snapshot->job_count; i++) {
        const struct job_snapshot *job = &snapshot->jobs[i];
        for (uint32_t v = 0; v < job->vertex_count && !job_status_is_terminal(job->status); v++) {
            const struct task_metrics sum = vertex_metrics(&job->vertices[v]);
            uint64_t rows = 0;
            for (unsigned b = 0; b < LATE_BUCKET_COUNT && sum.late_records > 0; b++) {
                rows += sum.late_buckets[b];
                text_format(out, "%s_bucket{", metric.name);
                job_labels(out, job);
                text_append(out, ",vertex=\"");
                label(out, job->graph->vertices[job->vertices[v].vertex].name);
                if (late_bucket_bounds_ms[b] == INT64_MAX)
                    text_format(out, "\",le=\"+Inf\"} %" PRIu64 "\n", rows);
                else
                    text_format(out, "\",le=\"%g\"} %" PRIu64 "\n",
                                (double)late_bucket_bounds_ms[b] / 1000, rows);
            }
        }
    }
}

static void write_metrics(void *context, const struct cluster_snapshot *snapshot)
{
    struct text *out = context;
    plain(out, "millstream_taskmanagers", "gauge", "Registered TaskManagers.",
          snapshot->task_manager_count);
    plain(out, "millstream_slots", "gauge", "Slots of all TaskManagers.", snapshot->slot_count);
    plain(out, "millstream_slots_free", "gauge", "Slots that run nothing.",
          snapshot->free_slot_count);
    plain(out, "millstream_leader_epoch", "gauge", "Raised at every start.",
          snapshot->leader_epoch);
    plain(out, "millstream_stale_messages_total", "counter", "Messages of another epoch, dropped.",
          snapshot->stale_message_count);
    plain(out, "millstream_duplicate_messages_total", "counter", "Messages seen twice, dropped.",
          snapshot->duplicate_message_count);
    write_jobs(out, snapshot);
    write_vertices(out, snapshot);
    write_watermarks(out, snapshot);
    write_late(out, snapshot);
}

void handle_metrics(void *context, const struct http_request *request,
                    struct http_response *response)
{
    (void)request;
    struct rest *rest = context;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    if (!rest->service.read(rest->service.context, write_metrics, &response->body))
        http_response_error(response, 503, "this JobManager is ending");
}
