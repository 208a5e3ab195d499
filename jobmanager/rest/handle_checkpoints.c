/* REST: a job's checkpoints. */
#include "jobmanager/rest/handlers.h"

const char *checkpoint_outcome_name(enum checkpoint_outcome outcome)
{
    switch (outcome) {
    case CHECKPOINT_IN_PROGRESS:
        return "IN_PROGRESS";
    case CHECKPOINT_COMPLETED:
        return "COMPLETED";
    case CHECKPOINT_FAILED:
        return "FAILED";
    }
    return "UNKNOWN";
}

static const char *outcome_class(enum checkpoint_outcome outcome)
{
    switch (outcome) {
    case CHECKPOINT_IN_PROGRESS:
        return "in_progress";
    case CHECKPOINT_COMPLETED:
        return "completed";
    case CHECKPOINT_FAILED:
        return "failed";
    }
    return "unknown";
}

json_t *checkpoint_json(const struct rest *rest, const struct checkpoint_record *record,
                        const struct job_snapshot *job)
{
    (void)job;
    const int64_t end_ms = record->end_ms >= 0 ? record->end_ms : wall_now_ms();
    json_t *json = json_pack(
        "{s:s,s:I,s:s,s:b,s:n,s:I,s:I,s:I,s:I,s:I,s:i,s:i,s:i,s:I,s:I,s:s,s:{}}", "className",
        outcome_class(record->outcome), "id", (json_int_t)record->id.value, "status",
        checkpoint_outcome_name(record->outcome), "is_savepoint", 0, "savepointFormat",
        "trigger_timestamp", (json_int_t)record->trigger_ms, "latest_ack_timestamp",
        (json_int_t)record->latest_ack_ms, "checkpointed_size", (json_int_t)record->uploaded_bytes,
        "state_size", (json_int_t)record->state_bytes, "end_to_end_duration",
        (json_int_t)(end_ms - record->trigger_ms), "alignment_buffered", 0, "processed_data", 0,
        "persisted_data", 0, "num_subtasks", (json_int_t)record->task_count,
        "num_acknowledged_subtasks", (json_int_t)record->acknowledged_count, "checkpoint_type",
        record->is_final ? "FINAL_CHECKPOINT" : "CHECKPOINT", "tasks");
    if (record->outcome == CHECKPOINT_COMPLETED) {
        (void)json_object_set_new(json, "external_path",
                                  json_sprintf("file:%s/%s", rest->service.checkpoint_directory,
                                               record->path != NULL ? record->path : ""));
        (void)json_object_set_new(json, "discarded", json_boolean(record->is_discarded));
    }
    if (record->outcome == CHECKPOINT_FAILED) {
        (void)json_object_set_new(json, "failure_timestamp", json_integer(record->end_ms));
        (void)json_object_set_new(json, "failure_message",
                                  text_json(record->failure != NULL ? record->failure : "unknown"));
    }
    json_t *extension = json_pack("{s:I,s:I,s:I,s:I}", "key-count", (json_int_t)record->key_count,
                                  "alignment-max-ms", (json_int_t)record->align_ms_max,
                                  "pause-max-us", (json_int_t)record->pause_us_max, "async-max-ms",
                                  (json_int_t)record->async_ms_max);
    (void)json_object_set_new(json, "millstream", extension);
    return json;
}

enum summed { SUM_UPLOADED, SUM_STATE, SUM_DURATION, SUM_NONE };

static json_t *summarise(const struct checkpoint_statistics *statistics, enum summed field)
{
    int64_t values[CHECKPOINT_HISTORY_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < statistics->history_count && field != SUM_NONE; i++) {
        const struct checkpoint_record *record = &statistics->history[i];
        if (record->outcome != CHECKPOINT_COMPLETED)
            continue;
        values[count++] = field == SUM_UPLOADED ? (int64_t)record->uploaded_bytes
                          : field == SUM_STATE  ? (int64_t)record->state_bytes
                                                : record->end_ms - record->trigger_ms;
    }
    return figures_summary_json(values, count);
}

static json_t *latest_or_null(const struct rest *rest, const struct checkpoint_record *record,
                              const struct job_snapshot *job)
{
    return record->id.value != 0 ? checkpoint_json(rest, record, job) : json_null();
}

static json_t *restored_json(const struct rest *rest, const struct job_snapshot *job)
{
    const struct checkpoint_statistics *statistics = &job->checkpoints;
    if (statistics->restored.value == 0)
        return json_null();
    char id[ID_TEXT_SIZE];
    id128_format(job->id.value, id);
    json_t *path = json_sprintf("file:%s/%s/chk-%lld", rest->service.checkpoint_directory, id,
                                (long long)statistics->restored.value);
    return json_pack("{s:I,s:I,s:b,s:o}", "id", (json_int_t)statistics->restored.value,
                     "restore_timestamp", (json_int_t)statistics->restored_ms, "is_savepoint", 0,
                     "external_path", path);
}

static json_t *build_checkpoints(struct rest *rest, const struct cluster_snapshot *snapshot,
                                 const struct http_request *request, struct http_response *response)
{
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    const struct checkpoint_statistics *statistics = &job->checkpoints;
    json_t *history = json_array();
    json_int_t in_progress = 0;
    for (size_t i = 0; i < statistics->history_count; i++) {
        in_progress += statistics->history[i].outcome == CHECKPOINT_IN_PROGRESS;
        (void)json_array_append_new(history, checkpoint_json(rest, &statistics->history[i], job));
    }
    json_t *counts = json_pack(
        "{s:I,s:I,s:I,s:I,s:I}", "restored", (json_int_t)statistics->restored_count, "total",
        (json_int_t)statistics->triggered_count, "in_progress", in_progress, "completed",
        (json_int_t)statistics->completed_count, "failed", (json_int_t)statistics->failed_count);
    json_t *summary = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o}", "checkpointed_size", summarise(statistics, SUM_UPLOADED),
        "state_size", summarise(statistics, SUM_STATE), "end_to_end_duration",
        summarise(statistics, SUM_DURATION), "alignment_buffered", summarise(statistics, SUM_NONE),
        "processed_data", summarise(statistics, SUM_NONE), "persisted_data",
        summarise(statistics, SUM_NONE));
    json_t *latest = json_pack(
        "{s:o,s:n,s:o,s:o}", "completed", latest_or_null(rest, &statistics->latest_completed, job),
        "savepoint", "failed", latest_or_null(rest, &statistics->latest_failed, job), "restored",
        restored_json(rest, job));
    return json_pack("{s:o,s:o,s:o,s:o}", "counts", counts, "summary", summary, "latest", latest,
                     "history", history);
}

void handle_checkpoints(void *context, const struct http_request *request,
                        struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_checkpoints);
}

static json_t *build_config(struct rest *rest, const struct cluster_snapshot *snapshot,
                            const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    const struct job_options *options = &job->options;
    const char *backend = job_graph_config(job->graph, "state.backend.type");
    return json_pack("{s:s,s:I,s:I,s:I,s:i,s:{s:b,s:b},s:s,s:s,s:b,s:i,s:i,s:b,s:b,s:i,s:s,s:b}",
                     "mode", "exactly_once", "interval",
                     (json_int_t)(options->checkpoints_on ? options->checkpoint_interval_ms : -1),
                     "timeout", (json_int_t)options->checkpoint_timeout_ms, "min_pause",
                     (json_int_t)options->checkpoint_min_pause_ms, "max_concurrent", 1,
                     "externalization", "enabled", 1, "delete_on_cancellation",
                     !options->retain_on_cancellation, "state_backend",
                     backend != NULL ? backend : "rocksdb", "checkpoint_storage", "directory",
                     "unaligned_checkpoints", 0, "tolerable_failed_checkpoints", -1,
                     "aligned_checkpoint_timeout", 0, "checkpoints_after_tasks_finish", 1,
                     "state_changelog_enabled", 0, "changelog_periodic_materialization_interval",
                     -1, "changelog_storage", "none", "incremental_checkpoints", 1);
}

void handle_checkpoints_config(void *context, const struct http_request *request,
                               struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_config);
}
