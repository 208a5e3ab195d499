/* REST: the registered TaskManagers. A JVM's areas of memory have their fields and are 0: here the
 * whole process is one budget, shown as managed memory. */
#include "common/base/allocate.h"
#include "common/io/http_fetch.h"
#include "jobmanager/rest/handlers.h"

#include <stdlib.h>
#include <string.h>

#define MIB               (1024 * 1024)
#define STDOUT_TIMEOUT_MS 3000

/* What a number of slots stands for; memory in MiB, as Flink gives it. */
static json_t *resource_json(const struct task_manager_snapshot *manager, uint32_t slot_count)
{
    const uint64_t share_bytes =
        manager->slot_count > 0 ? manager->memory_bytes / manager->slot_count * slot_count : 0;
    return json_pack("{s:f,s:i,s:i,s:I,s:i,s:{}}", "cpuCores", (double)slot_count, "taskHeapMemory",
                     0, "taskOffHeapMemory", 0, "managedMemory", (json_int_t)(share_bytes / MIB),
                     "networkMemory", 0, "extendedResources");
}

static json_t *hardware_json(const struct task_manager_snapshot *manager)
{
    const uint64_t free_bytes = manager->memory_bytes > manager->memory_used_bytes
                                    ? manager->memory_bytes - manager->memory_used_bytes
                                    : 0;
    return json_pack("{s:I,s:I,s:I,s:I}", "cpuCores", (json_int_t)manager->cpu_count,
                     "physicalMemory", (json_int_t)manager->memory_bytes, "freeMemory",
                     (json_int_t)free_bytes, "managedMemory", (json_int_t)manager->memory_bytes);
}

static json_t *memory_json(const struct task_manager_snapshot *manager)
{
    const json_int_t total = (json_int_t)manager->memory_bytes;
    return json_pack("{s:i,s:i,s:i,s:i,s:i,s:I,s:i,s:i,s:I,s:I}", "frameworkHeap", 0, "taskHeap", 0,
                     "frameworkOffHeap", 0, "taskOffHeap", 0, "networkMemory", 0, "managedMemory",
                     total, "jvmMetaspace", 0, "jvmOverhead", 0, "totalFlinkMemory", total,
                     "totalProcessMemory", total);
}

static json_t *extension_json(const struct task_manager_snapshot *manager)
{
    char id[ID_TEXT_SIZE];
    id128_format(manager->id, id);
    return json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "incarnation", id, "host", manager->host,
                     "version", manager->version, "http-port", (json_int_t)manager->http_port,
                     "registered", (json_int_t)manager->registered_ms, "memory-used",
                     (json_int_t)manager->memory_used_bytes, "disk-free",
                     (json_int_t)manager->disk_free_bytes, "disk-total",
                     (json_int_t)manager->disk_total_bytes);
}

static json_t *task_manager_json(const struct task_manager_snapshot *manager)
{
    const char *colon = strrchr(manager->data_address, ':');
    const json_int_t data_port = colon != NULL ? strtoll(colon + 1, NULL, 10) : -1;
    return json_pack(
        "{s:s,s:s,s:I,s:i,s:I,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "id", manager->name, "path",
        manager->data_address, "dataPort", data_port, "jmxPort", -1, "timeSinceLastHeartbeat",
        (json_int_t)manager->heartbeat_ms, "slotsNumber", (json_int_t)manager->slot_count,
        "freeSlots", (json_int_t)manager->free_slot_count, "totalResource",
        resource_json(manager, manager->slot_count), "freeResource",
        resource_json(manager, manager->free_slot_count), "hardware", hardware_json(manager),
        "memoryConfiguration", memory_json(manager), "millstream", extension_json(manager));
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

static bool runs_on(const struct subtask_snapshot *subtask,
                    const struct task_manager_snapshot *manager)
{
    return subtask->attempt.value != 0 && !task_status_is_terminal(subtask->status) &&
           id128_equals(subtask->task_manager, manager->id);
}

/* The subtasks of equal index of all vertices share a slot: the widest vertex counts them. */
static uint32_t slots_of_job(const struct job_snapshot *job,
                             const struct task_manager_snapshot *manager)
{
    uint32_t most = 0;
    for (uint32_t v = 0; v < job->vertex_count; v++) {
        uint32_t count = 0;
        for (uint32_t s = 0; s < job->vertices[v].subtask_count; s++)
            count += runs_on(&job->vertices[v].subtasks[s], manager);
        if (count > most)
            most = count;
    }
    return most;
}

static json_t *allocated_json(const struct cluster_snapshot *snapshot,
                              const struct task_manager_snapshot *manager)
{
    json_t *slots = json_array();
    for (size_t i = 0; i < snapshot->job_count; i++) {
        char id[ID_TEXT_SIZE];
        id128_format(snapshot->jobs[i].id.value, id);
        for (uint32_t left = slots_of_job(&snapshot->jobs[i], manager); left > 0; left--)
            (void)json_array_append_new(
                slots, json_pack("{s:s,s:o}", "jobId", id, "resource", resource_json(manager, 1)));
    }
    return slots;
}

static json_t *process_metrics_json(const struct task_manager_snapshot *manager)
{
    static const char *const absent[] = {
        "nonHeapUsed",
        "nonHeapCommitted",
        "nonHeapMax",
        "directCount",
        "directUsed",
        "directMax",
        "mappedCount",
        "mappedUsed",
        "mappedMax",
        "nettyShuffleMemorySegmentsAvailable",
        "nettyShuffleMemorySegmentsUsed",
        "nettyShuffleMemorySegmentsTotal",
        "nettyShuffleMemoryAvailable",
        "nettyShuffleMemoryUsed",
        "nettyShuffleMemoryTotal",
    };
    json_t *json =
        json_pack("{s:I,s:I,s:I,s:[]}", "heapUsed", (json_int_t)manager->memory_used_bytes,
                  "heapCommitted", (json_int_t)manager->memory_used_bytes, "heapMax",
                  (json_int_t)manager->memory_bytes, "garbageCollectors");
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        (void)json_object_set_new(json, absent[i], json_integer(0));
    return json;
}

const struct task_manager_snapshot *find_task_manager(const struct cluster_snapshot *snapshot,
                                                      const struct http_request *request,
                                                      struct http_response *response)
{
    const char *wanted = request->parameters[0];
    for (size_t i = 0; i < snapshot->task_manager_count; i++) {
        const struct task_manager_snapshot *manager = &snapshot->task_managers[i];
        char id[ID_TEXT_SIZE];
        id128_format(manager->id, id);
        if (strcmp(manager->name, wanted) == 0 || strcmp(id, wanted) == 0)
            return manager;
    }
    http_response_error(response, 404, "TaskManager %.200s not found", wanted);
    return NULL;
}

static json_t *build_task_manager(struct rest *rest, const struct cluster_snapshot *snapshot,
                                  const struct http_request *request,
                                  struct http_response *response)
{
    (void)rest;
    const struct task_manager_snapshot *manager = find_task_manager(snapshot, request, response);
    if (manager == NULL)
        return NULL;
    json_t *json = task_manager_json(manager);
    (void)json_object_set_new(json, "allocatedSlots", allocated_json(snapshot, manager));
    (void)json_object_set_new(json, "metrics", process_metrics_json(manager));
    return json;
}

void handle_task_manager(void *context, const struct http_request *request,
                         struct http_response *response)
{
    respond_from_snapshot(context, request, response, build_task_manager);
}

/* ---- what its print sinks wrote ---- */

struct http_address {
    const struct http_request *request;
    struct http_response *response;
    char *host; /* NULL: an error was answered */
    uint16_t port;
};

static void read_address(void *context, const struct cluster_snapshot *snapshot)
{
    struct http_address *address = context;
    const struct task_manager_snapshot *manager =
        find_task_manager(snapshot, address->request, address->response);
    if (manager == NULL)
        return;
    address->host = copy_text(manager->host);
    address->port = (uint16_t)manager->http_port;
}

/* Asked of the TaskManager itself, by the address it registered with. */
void handle_task_manager_stdout(void *context, const struct http_request *request,
                                struct http_response *response)
{
    const struct rest *rest = context;
    struct http_address address = {.request = request, .response = response};
    if (!rest->service.read(rest->service.context, read_address, &address))
        http_response_error(response, 503, "this JobManager is ending");
    if (address.host == NULL)
        return;
    struct error err;
    if (address.port == 0)
        http_response_error(response, 404, "TaskManager %.200s has no HTTP port",
                            request->parameters[0]);
    else if (http_fetch(address.host, address.port, "/stdout", STDOUT_TIMEOUT_MS, &response->body,
                        &err) == STATUS_OK)
        response->content_type = "text/plain; charset=utf-8";
    else
        http_response_error(response, 503, "%s", err.message);
    free(address.host);
}
