/* REST: the cluster, its TaskManagers, health and configuration. */
#include "jobmanager/rest/handlers.h"

#include "common/base/allocate.h"

#include <stdlib.h>
#include <string.h>

#define MIB (1024 * 1024)

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
    text_init(&shown, MIB);
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

static json_t *task_manager_json(const struct task_manager_snapshot *manager)
{
    char id[ID_TEXT_SIZE];
    id128_format(manager->id, id);
    const char *colon = strrchr(manager->data_address, ':');
    const json_int_t data_port = colon != NULL ? strtoll(colon + 1, NULL, 10) : -1;
    json_t *json = json_pack(
        "{s:s,s:s,s:I,s:i,s:I,s:I,s:I,s:{s:I,s:I,s:I},s:{s:I}}", "id", manager->name, "path",
        manager->data_address, "dataPort", data_port, "jmxPort", -1, "timeSinceLastHeartbeat",
        (json_int_t)manager->heartbeat_ms, "slotsNumber", (json_int_t)manager->slot_count,
        "freeSlots", (json_int_t)manager->free_slot_count, "hardware", "physicalMemory",
        (json_int_t)manager->memory_bytes, "freeMemory",
        (json_int_t)(manager->memory_bytes > manager->memory_used_bytes
                         ? manager->memory_bytes - manager->memory_used_bytes
                         : 0),
        "managedMemory", (json_int_t)manager->memory_bytes, "memoryConfiguration",
        "totalProcessMemory", (json_int_t)manager->memory_bytes);
    json_t *extension = json_pack(
        "{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "incarnation", id, "host", manager->host, "version",
        manager->version, "http-port", (json_int_t)manager->http_port, "registered",
        (json_int_t)manager->registered_ms, "memory-used", (json_int_t)manager->memory_used_bytes,
        "disk-free", (json_int_t)manager->disk_free_bytes, "disk-total",
        (json_int_t)manager->disk_total_bytes);
    (void)json_object_set_new(json, "millstream", extension);
    return json;
}

static json_t *build_task_managers(struct rest *rest, const struct cluster_snapshot *snapshot,
                                   const struct http_request *request,
                                   struct http_response *response)
{
    (void)rest;
    (void)request;
    (void)response;
    json_t *managers = json_array();
    for (size_t i = 0; i < snapshot->task_manager_count; i++)
        (void)json_array_append_new(managers, task_manager_json(&snapshot->task_managers[i]));
    return json_pack("{s:o,s:I}", "taskmanagers", managers, "now", (json_int_t)wall_now_ms());
}

void handle_task_managers(void *context, const struct http_request *request,
                          struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_task_managers);
}

static json_t *build_task_manager(struct rest *rest, const struct cluster_snapshot *snapshot,
                                  const struct http_request *request,
                                  struct http_response *response)
{
    (void)rest;
    const char *wanted = request->parameters[0];
    for (size_t i = 0; i < snapshot->task_manager_count; i++) {
        const struct task_manager_snapshot *manager = &snapshot->task_managers[i];
        char id[ID_TEXT_SIZE];
        id128_format(manager->id, id);
        if (strcmp(manager->name, wanted) == 0 || strcmp(id, wanted) == 0)
            return task_manager_json(manager);
    }
    http_response_error(response, 404, "TaskManager %.200s not found", wanted);
    return NULL;
}

void handle_task_manager(void *context, const struct http_request *request,
                         struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_task_manager);
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
