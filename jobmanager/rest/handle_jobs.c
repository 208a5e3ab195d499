/* REST: jobs. */
#include "jobmanager/rest/handlers.h"

#include "common/base/allocate.h"
#include "compiler/compile.h"

#include <ctype.h>
#include <string.h>

#define PLAN_BYTES_MAX (16 * 1024 * 1024)

static void id_text(const struct job_snapshot *job, char text[static ID_TEXT_SIZE])
{
    id128_format(job->id.value, text);
}

/* ---- lists ---- */

static json_t *build_jobs(struct rest *rest, const struct cluster_snapshot *snapshot,
                          const struct http_request *request, struct http_response *response)
{
    (void)rest;
    (void)request;
    (void)response;
    json_t *jobs = json_array();
    for (size_t i = 0; i < snapshot->job_count; i++) {
        char id[ID_TEXT_SIZE];
        id_text(&snapshot->jobs[i], id);
        (void)json_array_append_new(jobs, json_pack("{s:s,s:s}", "id", id, "status",
                                                    job_status_name(snapshot->jobs[i].status)));
    }
    return json_pack("{s:o}", "jobs", jobs);
}

void handle_jobs(void *context, const struct http_request *request, struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_jobs);
}

/* Counts by task state, named in lower case (overview) or upper case (vertices). */
static json_t *task_counts(const struct vertex_snapshot *vertices, uint32_t vertex_count,
                           bool is_lower)
{
    json_int_t counts[TASK_STATUS_COUNT] = {0};
    json_int_t total = 0;
    for (uint32_t v = 0; v < vertex_count; v++) {
        for (uint32_t s = 0; s < vertices[v].subtask_count; s++) {
            counts[vertices[v].subtasks[s].status]++;
            total++;
        }
    }
    json_t *json = json_object();
    for (int status = 0; status < TASK_STATUS_COUNT; status++) {
        char name[32] = "";
        const char *upper = task_status_name((enum task_status)status);
        for (size_t i = 0; upper[i] != '\0' && i + 1 < sizeof(name); i++)
            name[i] = (char)(is_lower ? tolower((unsigned char)upper[i]) : upper[i]);
        (void)json_object_set_new(json, name, json_integer(counts[status]));
    }
    (void)json_object_set_new(json, is_lower ? "reconciling" : "RECONCILING", json_integer(0));
    if (is_lower)
        (void)json_object_set_new(json, "total", json_integer(total));
    return json;
}

static int64_t last_modification_ms(const struct job_snapshot *job)
{
    int64_t last_ms = job->start_ms;
    for (int status = 0; status < JOB_STATUS_COUNT; status++) {
        if (job->status_ms[status] > last_ms)
            last_ms = job->status_ms[status];
    }
    return last_ms;
}

static json_t *build_jobs_overview(struct rest *rest, const struct cluster_snapshot *snapshot,
                                   const struct http_request *request,
                                   struct http_response *response)
{
    (void)rest;
    (void)request;
    (void)response;
    json_t *jobs = json_array();
    for (size_t i = 0; i < snapshot->job_count; i++) {
        const struct job_snapshot *job = &snapshot->jobs[i];
        char id[ID_TEXT_SIZE];
        id_text(job, id);
        json_t *json = json_pack(
            "{s:s,s:s,s:I,s:I,s:I,s:s,s:I,s:o,s:i}", "jid", id, "name", job->graph->name,
            "start-time", (json_int_t)job->start_ms, "end-time", (json_int_t)job->end_ms,
            "duration", (json_int_t)job_duration_ms(job), "state", job_status_name(job->status),
            "last-modification", (json_int_t)last_modification_ms(job), "tasks",
            task_counts(job->vertices, job->vertex_count, true), "pending-operators", 0);
        if (job->waits_for != NULL)
            (void)json_object_set_new(json, "waiting-for", text_json(job->waits_for));
        (void)json_array_append_new(jobs, json);
    }
    return json_pack("{s:o}", "jobs", jobs);
}

void handle_jobs_overview(void *context, const struct http_request *request,
                          struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_jobs_overview);
}

/* ---- one job ---- */

static json_t *timestamps_json(const struct job_snapshot *job)
{
    json_t *json = json_object();
    for (int status = 0; status < JOB_STATUS_COUNT; status++) {
        const int64_t at_ms = job->status_ms[status] > 0 ? job->status_ms[status] : 0;
        (void)json_object_set_new(json, job_status_name((enum job_status)status),
                                  json_integer(at_ms));
    }
    (void)json_object_set_new(json, "SUSPENDED", json_integer(0));
    (void)json_object_set_new(json, "RECONCILING", json_integer(0));
    return json;
}

static int64_t vertex_start_ms(const struct vertex_snapshot *vertex)
{
    int64_t start_ms = -1;
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        const int64_t at_ms = vertex->subtasks[i].status_ms[TASK_DEPLOYING];
        if (at_ms > 0 && (start_ms < 0 || at_ms < start_ms))
            start_ms = at_ms;
    }
    return start_ms;
}

int64_t subtask_end_ms(const struct subtask_snapshot *subtask)
{
    return task_status_is_terminal(subtask->status) ? subtask->status_ms[subtask->status] : -1;
}

static int64_t vertex_end_ms(const struct vertex_snapshot *vertex)
{
    int64_t end_ms = -1;
    for (uint32_t i = 0; i < vertex->subtask_count; i++) {
        const int64_t at_ms = subtask_end_ms(&vertex->subtasks[i]);
        if (at_ms < 0)
            return -1;
        if (at_ms > end_ms)
            end_ms = at_ms;
    }
    return end_ms;
}

json_int_t passed_ms(int64_t start_ms, int64_t end_ms)
{
    return start_ms < 0 ? -1 : (end_ms >= 0 ? end_ms : wall_now_ms()) - start_ms;
}

static json_t *vertex_json(const struct job_snapshot *job, const struct vertex_snapshot *vertex)
{
    const struct job_vertex *planned = &job->graph->vertices[vertex->vertex];
    char id[ID_TEXT_SIZE];
    id128_format(planned->id, id);
    const struct task_metrics metrics = vertex_metrics(vertex);
    const int64_t start_ms = vertex_start_ms(vertex);
    const int64_t end_ms = vertex_end_ms(vertex);
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:I,s:I,s:I,s:o,s:o}", "id", id,
                     "slotSharingGroupId", id, "name", planned->name, "maxParallelism",
                     (json_int_t)job->graph->max_parallelism, "parallelism",
                     (json_int_t)planned->parallelism, "status",
                     task_status_name(vertex_status(vertex)), "start-time", (json_int_t)start_ms,
                     "end-time", (json_int_t)end_ms, "duration", passed_ms(start_ms, end_ms),
                     "tasks", task_counts(vertex, 1, false), "metrics", metrics_json(&metrics));
}

static json_t *plan_json(const struct job_snapshot *job)
{
    char id[ID_TEXT_SIZE];
    id_text(job, id);
    struct text plan;
    text_init(&plan, PLAN_BYTES_MAX);
    compiler_plan_json(job->graph, id, &plan);
    json_t *json = json_loadb(plan.bytes, plan.size, 0, NULL);
    text_done(&plan);
    return json != NULL ? json : json_null();
}

static json_t *build_job(struct rest *rest, const struct cluster_snapshot *snapshot,
                         const struct http_request *request, struct http_response *response)
{
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    char id[ID_TEXT_SIZE];
    id_text(job, id);
    json_t *vertices = json_array();
    json_t *status_counts = task_counts(NULL, 0, false);
    for (uint32_t i = 0; i < job->vertex_count; i++) {
        (void)json_array_append_new(vertices, vertex_json(job, &job->vertices[i]));
        const char *status = task_status_name(vertex_status(&job->vertices[i]));
        const json_int_t count = json_integer_value(json_object_get(status_counts, status));
        (void)json_object_set_new(status_counts, status, json_integer(count + 1));
    }
    return json_pack("{s:s,s:s,s:i,s:b,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "jid", id,
                     "name", job->graph->name, "pending-operators", 0, "isStoppable", 0, "state",
                     job_status_name(job->status), "job-type", "STREAMING", "start-time",
                     (json_int_t)job->start_ms, "end-time", (json_int_t)job->end_ms, "duration",
                     (json_int_t)job_duration_ms(job), "maxParallelism",
                     (json_int_t)job->graph->max_parallelism, "now", (json_int_t)wall_now_ms(),
                     "timestamps", timestamps_json(job), "vertices", vertices, "status-counts",
                     status_counts, "plan", plan_json(job), "millstream",
                     job_extension_json(rest, job));
}

void handle_job(void *context, const struct http_request *request, struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_job);
}

static json_t *build_status(struct rest *rest, const struct cluster_snapshot *snapshot,
                            const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    return job == NULL ? NULL : json_pack("{s:s}", "status", job_status_name(job->status));
}

void handle_job_status(void *context, const struct http_request *request,
                       struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_status);
}

static json_t *build_plan(struct rest *rest, const struct cluster_snapshot *snapshot,
                          const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    return job == NULL ? NULL : json_pack("{s:o}", "plan", plan_json(job));
}

void handle_job_plan(void *context, const struct http_request *request,
                     struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_plan);
}

static json_t *settings_json(const struct setting *settings, uint32_t count)
{
    json_t *json = json_object();
    for (uint32_t i = 0; i < count; i++)
        (void)json_object_set_new(json, settings[i].key, json_string(settings[i].value));
    return json;
}

static json_t *build_config(struct rest *rest, const struct cluster_snapshot *snapshot,
                            const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    char id[ID_TEXT_SIZE];
    id_text(job, id);
    const char *restart = job_graph_config(job->graph, "restart-strategy.type");
    return json_pack("{s:s,s:s,s:{s:s,s:I,s:b,s:o}}", "jid", id, "name", job->graph->name,
                     "execution-config", "restart-strategy",
                     restart != NULL ? restart : "exponential-delay", "job-parallelism",
                     (json_int_t)job->graph->parallelism, "object-reuse-mode", 1, "user-config",
                     settings_json(job->graph->config, job->graph->config_count));
}

void handle_job_config(void *context, const struct http_request *request,
                       struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_config);
}

static json_t *build_definition(struct rest *rest, const struct cluster_snapshot *snapshot,
                                const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    char id[ID_TEXT_SIZE];
    id_text(job, id);
    return json_pack("{s:s,s:s,s:s%,s:o,s:s}", "jid", id, "name", job->graph->name, "definition",
                     job->graph->definition, (size_t)job->graph->definition_size, "parameters",
                     settings_json(job->graph->parameters, job->graph->parameter_count),
                     "submitter", job->graph->submitter);
}

void handle_job_definition(void *context, const struct http_request *request,
                           struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_definition);
}

/* ---- exceptions ---- */

static json_t *exception_json(const struct exception_snapshot *exception)
{
    return json_pack("{s:s,s:o,s:I,s:{},s:s?,s:s,s:n,s:[],s:o}", "exceptionName",
                     status_name(exception->code), "stacktrace", text_json(exception->message),
                     "timestamp", (json_int_t)exception->wall_ms, "failureLabels", "taskName",
                     exception->task, "endpoint", exception->host, "taskManagerId",
                     "concurrentExceptions", "record", text_json(exception->record));
}

static json_t *build_exceptions(struct rest *rest, const struct cluster_snapshot *snapshot,
                                const struct http_request *request, struct http_response *response)
{
    (void)rest;
    const struct job_snapshot *job = find_job(snapshot, request, response);
    if (job == NULL)
        return NULL;
    const char *max_text = http_request_query(request, "maxExceptions");
    size_t max = 20;
    if (max_text != NULL) {
        char *end = NULL;
        max = strtoul(max_text, &end, 10);
        if (!isdigit((unsigned char)max_text[0]) || *end != '\0' || max == 0) {
            http_response_error(response, 400, "maxExceptions \"%.64s\": expected a number from 1",
                                max_text);
            return NULL;
        }
    }
    json_t *entries = json_array();
    for (size_t i = 0; i < job->exception_count && i < max; i++)
        (void)json_array_append_new(entries, exception_json(&job->exceptions[i]));
    return json_pack("{s:{s:o,s:b}}", "exceptionHistory", "entries", entries, "truncated",
                     job->exception_count > max);
}

void handle_job_exceptions(void *context, const struct http_request *request,
                           struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_exceptions);
}

/* ---- cancel ---- */

void handle_job_cancel(void *context, const struct http_request *request,
                       struct http_response *response)
{
    struct rest *rest = context;
    const char *mode = http_request_query(request, "mode");
    if (mode != NULL && strcmp(mode, "cancel") != 0) {
        http_response_error(response, 400,
                            "Bad request, could not parse parameters: Cannot resolve query "
                            "parameter (mode) from value \"%.64s\".",
                            mode);
        return;
    }
    struct job_id id;
    if (!read_job_id(request, response, &id))
        return;
    struct error err;
    const enum status status = rest->service.cancel(rest->service.context, id, &err);
    if (status == STATUS_NOT_FOUND) {
        http_response_error(response, 404, "Job %.64s not found", request->parameters[0]);
    } else if (status == STATUS_OK) {
        response->status = 202;
        text_append(&response->body, "{}");
    } else {
        http_response_error(response, status == STATUS_UNAVAILABLE ? 503 : 409, "%s", err.message);
    }
}
