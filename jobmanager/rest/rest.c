/* The REST API of the JobManager: its routes and its life. See rest.h. */
#include "jobmanager/rest/rest.h"

#include "common/base/allocate.h"
#include "common/base/clock.h"
#include "jobmanager/rest/handlers.h"

#include <string.h>

static const struct http_route routes[] = {
    {"GET", "/overview", handle_overview, "TaskManagers, slots and jobs by state"},
    {"GET", "/config", handle_config, "what a dashboard needs to know"},
    {"GET", "/jobmanager/config", handle_jobmanager_config, "the configuration, secrets hidden"},
    {"GET", "/jobmanager/metrics", handle_jobmanager_metrics, "names; ?get=a,b: values"},
    {"GET", "/taskmanagers", handle_task_managers, "all registered TaskManagers"},
    {"GET", "/taskmanagers/:taskmanagerid", handle_task_manager, "one TaskManager"},
    {"GET", "/taskmanagers/:taskmanagerid/metrics", handle_task_manager_metrics,
     "names; ?get=a,b: values"},
    {"GET", "/taskmanagers/:taskmanagerid/stdout", handle_task_manager_stdout,
     "the last 1,000 lines of its print sinks, as text"},
    {"GET", "/jobs", handle_jobs, "ids and states"},
    {"POST", "/jobs", handle_job_submit, "submit a job's text (own extension)"},
    {"GET", "/jobs/overview", handle_jobs_overview, "all jobs in short"},
    {"GET", "/jobs/:jobid", handle_job, "one job with its vertices"},
    {"PATCH", "/jobs/:jobid", handle_job_cancel, "?mode=cancel"},
    {"GET", "/jobs/:jobid/status", handle_job_status, "its state"},
    {"GET", "/jobs/:jobid/plan", handle_job_plan, "the graph of vertices"},
    {"GET", "/jobs/:jobid/config", handle_job_config, "its configuration"},
    {"GET", "/jobs/:jobid/definition", handle_job_definition,
     "text, parameters and submitter (own extension)"},
    {"GET", "/jobs/:jobid/exceptions", handle_job_exceptions, "failures, newest first"},
    {"GET", "/jobs/:jobid/vertices/:vertexid", handle_vertex, "a vertex with its subtasks"},
    {"GET", "/jobs/:jobid/vertices/:vertexid/watermarks", handle_vertex_watermarks,
     "where event time is in its subtasks"},
    {"GET", "/jobs/:jobid/metrics", handle_job_metrics, "names; ?get=a,b: values"},
    {"GET", "/jobs/:jobid/vertices/:vertexid/metrics", handle_vertex_metrics,
     "of all subtasks, as 0.numRecordsIn; ?get=a,b: values"},
    {"GET", "/jobs/:jobid/vertices/:vertexid/subtasks/:subtaskindex/metrics",
     handle_subtask_metrics, "of one subtask; ?get=a,b: values"},
    {"GET", "/jobs/:jobid/checkpoints", handle_checkpoints, "counts, latest and history"},
    {"GET", "/jobs/:jobid/checkpoints/config", handle_checkpoints_config, "how they are taken"},
    {"GET", "/jobs/:jobid/checkpoints/details/:checkpointid", handle_checkpoint, "one of them"},
    {"GET", "/jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid",
     handle_checkpoint_subtasks, "its figures by subtask"},
    {"GET", "/health", handle_health, "200 while the process works"},
    {"GET", "/ready", handle_ready, "200 once stored jobs are recovered"},
    {"GET", "/metrics", handle_metrics, "Prometheus text"},
    {0},
};

int64_t wall_now_ms(void)
{
    return clock_wall_ms(clock_system());
}

void respond_json(struct http_response *response, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(value);
    if (text == NULL)
        http_response_error(response, 500, "the answer could not be written");
    else
        text_append(&response->body, text);
    free(text);
}

struct building {
    struct rest *rest;
    const struct http_request *request;
    struct http_response *response;
    build_fn build;
};

static void build_answer(void *context, const struct cluster_snapshot *snapshot)
{
    const struct building *building = context;
    json_t *value =
        building->build(building->rest, snapshot, building->request, building->response);
    /* Without a value the builder has answered itself, with an error. */
    if (value != NULL || building->response->status == 200)
        respond_json(building->response, value);
}

void respond_from_snapshot(struct rest *rest, const struct http_request *request,
                           struct http_response *response, build_fn build)
{
    struct building building = {
        .rest = rest, .request = request, .response = response, .build = build};
    if (!rest->service.read(rest->service.context, build_answer, &building))
        http_response_error(response, 503, "this JobManager is ending");
}

static bool read_id(const char *parameter, const char *name, struct http_response *response,
                    struct id128 *ret_id)
{
    if (id128_parse(parameter, ret_id, NULL) == STATUS_OK)
        return true;
    http_response_error(response, 400,
                        "Bad request, could not parse parameters: Cannot resolve path parameter "
                        "(%s) from value \"%.64s\".",
                        name, parameter);
    return false;
}

bool read_job_id(const struct http_request *request, struct http_response *response,
                 struct job_id *ret_id)
{
    return read_id(request->parameters[0], "jobid", response, &ret_id->value);
}

bool read_vertex_id(const struct http_request *request, struct http_response *response,
                    uint32_t parameter, struct id128 *ret_id)
{
    return read_id(request->parameters[parameter], "vertexid", response, ret_id);
}

const struct job_snapshot *find_job(const struct cluster_snapshot *snapshot,
                                    const struct http_request *request,
                                    struct http_response *response)
{
    struct job_id id;
    if (!read_job_id(request, response, &id))
        return NULL;
    for (size_t i = 0; i < snapshot->job_count; i++) {
        if (id128_equals(snapshot->jobs[i].id.value, id.value))
            return &snapshot->jobs[i];
    }
    http_response_error(response, 404, "Job %.64s not found", request->parameters[0]);
    return NULL;
}

enum status rest_start(const struct rest_service *service, struct rest **ret_rest,
                       struct error *err)
{
    struct rest *rest = allocate(sizeof(*rest));
    rest->service = *service;
    rest->rates = rate_table_create();
    const uint16_t port = (uint16_t)config_int(service->config, CONFIG_REST_PORT);
    const char *host = config_text(service->config, CONFIG_REST_BIND_ADDRESS);
    const enum status status =
        http_server_start(host, port, port, routes, rest, &rest->server, err);
    if (status != STATUS_OK) {
        rest_stop(rest);
        return error_wrap(err, status, "REST (rest.bind-address, rest.port)");
    }
    *ret_rest = rest;
    return STATUS_OK;
}

uint16_t rest_port(const struct rest *rest)
{
    return http_server_port(rest->server);
}

void rest_stop(struct rest *rest)
{
    if (rest == NULL)
        return;
    http_server_stop(rest->server);
    rate_table_destroy(rest->rates);
    free(rest);
}
