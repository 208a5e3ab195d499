/* REST: the cluster, health and configuration. */
#include "jobmanager/rest/handlers.h"

#include <string.h>

#define CONFIG_BYTES_MAX (1024 * 1024)

static json_int_t count_jobs(const struct cluster_snapshot *snapshot, enum job_status status)
{
    json_int_t count = 0;
    for (size_t i = 0; i < snapshot->job_count; i++)
        count += snapshot->jobs[i].status == status;
    return count;
}

static json_t *build_overview(struct rest *rest, const struct cluster_snapshot *snapshot,
                              const struct http_request *request, struct http_response *response)
{
    (void)rest;
    (void)request;
    (void)response;
    json_int_t running = 0;
    for (size_t i = 0; i < snapshot->job_count; i++)
        running += !job_status_is_terminal(snapshot->jobs[i].status);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:s,s:s}", "taskmanagers",
                     (json_int_t)snapshot->task_manager_count, "slots-total",
                     (json_int_t)snapshot->slot_count, "slots-available",
                     (json_int_t)snapshot->free_slot_count, "jobs-running", running,
                     "jobs-finished", count_jobs(snapshot, JOB_FINISHED), "jobs-cancelled",
                     count_jobs(snapshot, JOB_CANCELED), "jobs-failed",
                     count_jobs(snapshot, JOB_FAILED), "flink-version", MILLSTREAM_VERSION,
                     "flink-commit", "millstream", "millstream-version", MILLSTREAM_VERSION);
}

void handle_overview(void *context, const struct http_request *request,
                     struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_overview);
}

void handle_config(void *context, const struct http_request *request,
                   struct http_response *response)
{
    (void)context;
    (void)request;
    respond_json(response,
                 json_pack("{s:i,s:s,s:i,s:s,s:s,s:{s:b,s:b,s:b,s:b}}", "refresh-interval", 3000,
                           "timezone-name", "Coordinated Universal Time", "timezone-offset", 0,
                           "flink-version", MILLSTREAM_VERSION, "flink-revision",
                           "millstream " MILLSTREAM_VERSION, "features", "web-submit", 0,
                           "web-cancel", 1, "web-rescale", 0, "web-history", 0));
}

void handle_jobmanager_config(void *context, const struct http_request *request,
                              struct http_response *response)
{
    (void)request;
    const struct rest *rest = context;
    struct text shown;
    text_init(&shown, CONFIG_BYTES_MAX);
    config_show(rest->service.config, false, &shown);
    json_t *entries = json_array();
    char *save = NULL;
    for (char *line = strtok_r(shown.bytes, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *colon = strstr(line, ": ");
        if (colon == NULL)
            continue;
        *colon = '\0';
        (void)json_array_append_new(entries,
                                    json_pack("{s:s,s:s}", "key", line, "value", colon + 2));
    }
    text_done(&shown);
    respond_json(response, entries);
}

void handle_health(void *context, const struct http_request *request,
                   struct http_response *response)
{
    (void)context;
    (void)request;
    respond_json(response, json_pack("{s:s}", "status", "ok"));
}

void handle_ready(void *context, const struct http_request *request, struct http_response *response)
{
    (void)request;
    const struct rest *rest = context;
    if (rest->service.is_ready(rest->service.context))
        respond_json(response, json_pack("{s:s}", "status", "ready"));
    else
        http_response_error(response, 503, "the stored jobs are not recovered yet");
}
