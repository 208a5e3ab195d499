/* REST: one checkpoint, its vertices and their subtasks. */
#include "jobmanager/rest/handlers.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* ---- figures of many subtasks ---- */

static int compare_numbers(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double quantile(const int64_t *sorted, size_t count, double q)
{
    const double place = q * (double)(count - 1);
    const size_t below = (size_t)place;
    const size_t above = below + 1 < count ? below + 1 : below;
    const double part = place - (double)below;
    return (double)sorted[below] * (1 - part) + (double)sorted[above] * part;
}

json_t *figures_summary_json(int64_t *values, size_t count)
{
    if (count == 0) {
        values[0] = 0;
        count = 1;
    }
    qsort(values, count, sizeof(*values), compare_numbers);
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i];
    return json_pack("{s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f}", "min", (json_int_t)values[0], "max",
                     (json_int_t)values[count - 1], "avg", (json_int_t)(sum / (int64_t)count),
                     "p50", quantile(values, count, 0.5), "p90", quantile(values, count, 0.9),
                     "p95", quantile(values, count, 0.95), "p99", quantile(values, count, 0.99),
                     "p999", quantile(values, count, 0.999));
}

/* ---- one vertex ---- */

/* The figures of a vertex's subtasks: a part of the record's. */
struct vertex_figures {
    const struct checkpoint_record *record;
    const struct checkpoint_task_figures *subtasks;
    uint32_t subtask_count;
};

/* Tasks are in the order of the graph's vertices, then of their subtasks. */
static struct vertex_figures figures_of(const struct checkpoint_record *record,
                                        const struct job_graph *graph, uint32_t vertex)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < vertex; i++)
        first += graph->vertices[i].parallelism;
    return (struct vertex_figures){record, record->figures->tasks + first,
                                   graph->vertices[vertex].parallelism};
}

static json_int_t since_trigger_ms(const struct checkpoint_record *record, int64_t ack_ms)
{
    return ack_ms > record->trigger_ms ? (json_int_t)(ack_ms - record->trigger_ms) : 0;
}

static json_t *vertex_json(const struct vertex_figures *vertex)
{
    const struct checkpoint_record *record = vertex->record;
    uint64_t uploaded_bytes = 0;
    uint64_t state_bytes = 0;
    int64_t latest_ms = 0;
    uint32_t acknowledged_count = 0;
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        const struct checkpoint_task_figures *subtask = &vertex->subtasks[i];
        uploaded_bytes += subtask->uploaded_bytes;
        state_bytes += subtask->state_bytes;
        acknowledged_count += subtask->ack_ms != 0;
        latest_ms = subtask->ack_ms > latest_ms ? subtask->ack_ms : latest_ms;
    }
    return json_pack(
        "{s:I,s:s,s:I,s:I,s:I,s:I,s:i,s:i,s:i,s:I,s:I}", "id", (json_int_t)record->id.value,
        "status", checkpoint_outcome_name(record->outcome), "latest_ack_timestamp",
        (json_int_t)(latest_ms != 0 ? latest_ms : -1), "checkpointed_size",
        (json_int_t)uploaded_bytes, "state_size", (json_int_t)state_bytes, "end_to_end_duration",
        latest_ms != 0 ? since_trigger_ms(record, latest_ms) : (json_int_t)-1, "alignment_buffered",
        0, "processed_data", 0, "persisted_data", 0, "num_subtasks",
        (json_int_t)vertex->subtask_count, "num_acknowledged_subtasks",
        (json_int_t)acknowledged_count);
}

/* ---- one subtask ---- */

/* From the trigger to the first barrier: what the other parts leave of the whole. */
static int64_t start_delay_ms(const struct checkpoint_record *record,
                              const struct checkpoint_task_figures *subtask)
{
    const int64_t delay_ms = since_trigger_ms(record, subtask->ack_ms) - subtask->align_ms -
                             subtask->pause_us / 1000 - subtask->async_ms;
    return delay_ms > 0 ? delay_ms : 0;
}

static json_t *subtask_json(const struct checkpoint_record *record,
                            const struct checkpoint_task_figures *subtask, uint32_t index)
{
    if (subtask->ack_ms == 0)
        return json_pack("{s:s,s:I,s:s}", "className", "pending", "index", (json_int_t)index,
                         "status", "pending_or_failed");
    return json_pack(
        "{s:s,s:I,s:I,s:I,s:I,s:I,s:{s:I,s:I},s:{s:i,s:i,s:i,s:I},s:I,s:b,s:b,s:s}", "className",
        "completed", "index", (json_int_t)index, "ack_timestamp", (json_int_t)subtask->ack_ms,
        "end_to_end_duration", since_trigger_ms(record, subtask->ack_ms), "checkpointed_size",
        (json_int_t)subtask->uploaded_bytes, "state_size", (json_int_t)subtask->state_bytes,
        "checkpoint", "sync", (json_int_t)(subtask->pause_us / 1000), "async",
        (json_int_t)subtask->async_ms, "alignment", "buffered", 0, "processed", 0, "persisted", 0,
        "duration", (json_int_t)subtask->align_ms, "start_delay",
        (json_int_t)start_delay_ms(record, subtask), "unaligned_checkpoint", 0, "aborted", 0,
        "status", "completed");
}

enum figure {
    FIGURE_UPLOADED,
    FIGURE_STATE,
    FIGURE_DURATION,
    FIGURE_SYNC,
    FIGURE_ASYNC,
    FIGURE_ALIGN,
    FIGURE_START_DELAY,
    FIGURE_NONE, /* what aligned checkpoints do not have */
};

static int64_t figure_value(const struct checkpoint_record *record,
                            const struct checkpoint_task_figures *subtask, enum figure figure)
{
    switch (figure) {
    case FIGURE_UPLOADED:
        return (int64_t)subtask->uploaded_bytes;
    case FIGURE_STATE:
        return (int64_t)subtask->state_bytes;
    case FIGURE_DURATION:
        return since_trigger_ms(record, subtask->ack_ms);
    case FIGURE_SYNC:
        return subtask->pause_us / 1000;
    case FIGURE_ASYNC:
        return subtask->async_ms;
    case FIGURE_ALIGN:
        return subtask->align_ms;
    case FIGURE_START_DELAY:
        return start_delay_ms(record, subtask);
    case FIGURE_NONE:
        break;
    }
    return 0;
}

/* values: room for one number per subtask, at least one. */
static json_t *summary_of(const struct vertex_figures *vertex, enum figure figure, int64_t *values)
{
    size_t count = 0;
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        if (vertex->subtasks[i].ack_ms != 0)
            values[count++] = figure_value(vertex->record, &vertex->subtasks[i], figure);
    }
    return figures_summary_json(values, count);
}

static json_t *subtasks_json(const struct vertex_figures *vertex)
{
    json_t *json = vertex_json(vertex);
    int64_t values[JOB_PARALLELISM_MAX];
    json_t *duration = json_pack("{s:o,s:o}", "sync", summary_of(vertex, FIGURE_SYNC, values),
                                 "async", summary_of(vertex, FIGURE_ASYNC, values));
    json_t *alignment =
        json_pack("{s:o,s:o,s:o,s:o}", "buffered", summary_of(vertex, FIGURE_NONE, values),
                  "processed", summary_of(vertex, FIGURE_NONE, values), "persisted",
                  summary_of(vertex, FIGURE_NONE, values), "duration",
                  summary_of(vertex, FIGURE_ALIGN, values));
    json_t *summary = json_pack("{s:o,s:o,s:o,s:o,s:o,s:o}", "checkpointed_size",
                                summary_of(vertex, FIGURE_UPLOADED, values), "state_size",
                                summary_of(vertex, FIGURE_STATE, values), "end_to_end_duration",
                                summary_of(vertex, FIGURE_DURATION, values), "checkpoint_duration",
                                duration, "alignment", alignment, "start_delay",
                                summary_of(vertex, FIGURE_START_DELAY, values));
    (void)json_object_set_new(json, "summary", summary);
    json_t *subtasks = json_array();
    for (uint32_t i = 0; i < vertex->subtask_count; i++)
        (void)json_array_append_new(subtasks,
                                    subtask_json(vertex->record, &vertex->subtasks[i], i));
    (void)json_object_set_new(json, "subtasks", subtasks);
    return json;
}

/* ---- handlers ---- */

/* The record that the second path parameter names; NULL after an error was answered. */
static const struct checkpoint_record *find_checkpoint(const struct job_snapshot *job,
                                                       const struct http_request *request,
                                                       struct http_response *response)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long id = strtoull(request->parameters[1], &end, 10);
    if (!isdigit((unsigned char)request->parameters[1][0]) || *end != '\0' || errno != 0) {
        http_response_error(response, 400,
                            "Bad request, could not parse parameters: Cannot resolve path "
                            "parameter (checkpointid) from value \"%.64s\".",
                            request->parameters[1]);
        return NULL;
    }
    for (size_t i = 0; i < job->checkpoints.history_count; i++) {
        if (job->checkpoints.history[i].id.value == id)
            return &job->checkpoints.history[i];
    }
    http_response_error(response, 404,
                        "Could not find checkpointing statistics for checkpoint %llu.", id);
    return NULL;
}

static json_t *build_checkpoint(struct rest *rest, const struct cluster_snapshot *snapshot,
                                const struct http_request *request, struct http_response *response)
{
    const struct job_snapshot *job = find_job(snapshot, request, response);
    const struct checkpoint_record *record =
        job != NULL ? find_checkpoint(job, request, response) : NULL;
    if (record == NULL)
        return NULL;
    json_t *json = checkpoint_json(rest, record, job);
    json_t *tasks = json_object_get(json, "tasks");
    for (uint32_t i = 0; i < job->graph->vertex_count; i++) {
        char id[ID_TEXT_SIZE];
        id128_format(job->graph->vertices[i].id, id);
        const struct vertex_figures vertex = figures_of(record, job->graph, i);
        (void)json_object_set_new(tasks, id, vertex_json(&vertex));
    }
    return json;
}

void handle_checkpoint(void *context, const struct http_request *request,
                       struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_checkpoint);
}

static json_t *build_subtasks(struct rest *rest, const struct cluster_snapshot *snapshot,
                              const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    const struct checkpoint_record *record =
        job != NULL ? find_checkpoint(job, request, response) : NULL;
    struct id128 id;
    if (record == NULL || !read_vertex_id(request, response, 2, &id))
        return NULL;
    for (uint32_t i = 0; i < job->graph->vertex_count; i++) {
        if (!id128_equals(job->graph->vertices[i].id, id))
            continue;
        const struct vertex_figures vertex = figures_of(record, job->graph, i);
        return subtasks_json(&vertex);
    }
    http_response_error(response, 404, "There is no subtask statistics for task %s available.",
                        request->parameters[2]);
    return NULL;
}

void handle_checkpoint_subtasks(void *context, const struct http_request *request,
                                struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_subtasks);
}
