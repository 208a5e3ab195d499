/* Health, readiness and metrics of a TaskManager: see http.h. */
#include "taskmanager/http.h"

#include "common/base/allocate.h"
#include "common/io/http_server.h"
#include "connectors/printed_lines.h"

#include <inttypes.h>

#define METRIC_TASKS_MAX 4096

struct task_http {
    const struct memory_budget *budget;
    struct task_runtime *runtime;
    const _Atomic bool *is_registered;
    struct http_server *server;
};

static void handle_health(void *context, const struct http_request *request,
                          struct http_response *response)
{
    (void)context;
    (void)request;
    text_append(&response->body, "{\"status\":\"ok\"}");
}

static void handle_ready(void *context, const struct http_request *request,
                         struct http_response *response)
{
    (void)request;
    const struct task_http *http = context;
    if (atomic_load(http->is_registered))
        text_append(&response->body, "{\"status\":\"ready\"}");
    else
        http_response_error(response, 503, "not registered at a JobManager");
}

static void write_head(struct text *out, const char *name, const char *type, const char *help)
{
    text_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_memory(struct text *out, const struct memory_budget *budget)
{
    const struct memory_account *const accounts[] = {&budget->overhead,    &budget->exchange,
                                                     &budget->state_cache, &budget->write_queue,
                                                     &budget->rocksdb,     &budget->operators};
    const size_t count = sizeof(accounts) / sizeof(accounts[0]);
    write_head(out, "millstream_memory_limit_bytes", "gauge", "Limit of a part of the budget.");
    for (size_t i = 0; i < count; i++)
        text_format(out, "millstream_memory_limit_bytes{part=\"%s\"} %" PRIu64 "\n",
                    accounts[i]->name, accounts[i]->limit_bytes);
    write_head(out, "millstream_memory_used_bytes", "gauge", "Use of a part of the budget.");
    for (size_t i = 0; i < count; i++)
        text_format(out, "millstream_memory_used_bytes{part=\"%s\"} %" PRIu64 "\n",
                    accounts[i]->name, memory_used(accounts[i]));
    write_head(out, "millstream_memory_process_bytes", "gauge", "The whole budget.");
    text_format(out, "millstream_memory_process_bytes %" PRIu64 "\n", budget->total_bytes);
    write_head(out, "process_resident_memory_bytes", "gauge", "Resident memory.");
    text_format(out, "process_resident_memory_bytes %" PRIu64 "\n", memory_resident_bytes());
}

struct task_metric {
    const char *name;
    const char *type;
    const char *help;
    uint64_t (*value)(const struct task_counters *counters);
    double scale;
};

static uint64_t rows_in(const struct task_counters *counters)
{
    return counters->rows_in;
}

static uint64_t rows_out(const struct task_counters *counters)
{
    return counters->rows_out;
}

static uint64_t busy(const struct task_counters *counters)
{
    return counters->busy_us;
}

static uint64_t blocked(const struct task_counters *counters)
{
    return counters->blocked_us;
}

static uint64_t errors(const struct task_counters *counters)
{
    return counters->errors;
}

static uint64_t lag(const struct task_counters *counters)
{
    return counters->records_lag_max;
}

static const struct task_metric task_metrics[] = {
    {"millstream_task_records_in_total", "counter", "Rows read.", rows_in, 1},
    {"millstream_task_records_out_total", "counter", "Rows emitted.", rows_out, 1},
    {"millstream_task_errors_total", "counter", "Rows skipped or dead-lettered.", errors, 1},
    {"millstream_task_records_lag_max", "gauge",
     "Records that the farthest split of a source is behind its end.", lag, 1},
    {"millstream_task_busy_seconds_total", "counter", "Time at work.", busy, 1e-6},
    {"millstream_task_back_pressured_seconds_total", "counter", "Time without room downstream.",
     blocked, 1e-6},
};

static void write_tasks(struct text *out, struct task_runtime *runtime)
{
    struct task_status_line *lines = allocate_array(METRIC_TASKS_MAX, sizeof(*lines));
    const uint32_t count = task_runtime_read(runtime, lines, METRIC_TASKS_MAX);
    for (size_t m = 0; m < sizeof(task_metrics) / sizeof(task_metrics[0]); m++) {
        const struct task_metric *metric = &task_metrics[m];
        write_head(out, metric->name, metric->type, metric->help);
        for (uint32_t i = 0; i < count; i++) {
            char job[ID_TEXT_SIZE];
            id128_format(lines[i].job.value, job);
            text_format(out, "%s{job_id=\"%s\",attempt=\"%" PRIu64 "\"} %.10g\n", metric->name, job,
                        lines[i].attempt.value,
                        (double)metric->value(&lines[i].counters) * metric->scale);
        }
    }
    free(lines);
}

static void handle_metrics(void *context, const struct http_request *request,
                           struct http_response *response)
{
    (void)request;
    const struct task_http *http = context;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    write_memory(&response->body, http->budget);
    write_tasks(&response->body, http->runtime);
}

static void handle_stdout(void *context, const struct http_request *request,
                          struct http_response *response)
{
    (void)context;
    (void)request;
    response->content_type = "text/plain; charset=utf-8";
    printed_lines_read(&response->body);
}

static const struct http_route routes[] = {
    {"GET", "/health", handle_health, "200 while the process works"},
    {"GET", "/ready", handle_ready, "200 while registered at a JobManager"},
    {"GET", "/metrics", handle_metrics, "Prometheus text"},
    {"GET", "/stdout", handle_stdout, "the last lines of print sinks"},
    {0},
};

enum status task_http_start(const struct config *config, const struct memory_budget *budget,
                            struct task_runtime *runtime, const _Atomic bool *is_registered,
                            struct task_http **ret_http, struct error *err)
{
    struct task_http *http = allocate(sizeof(*http));
    http->budget = budget;
    http->runtime = runtime;
    http->is_registered = is_registered;
    const int64_t port = config_int(config, CONFIG_TASKMANAGER_HTTP_PORT);
    const int64_t last =
        port == 0 || port + TASK_HTTP_PORT_SPAN > UINT16_MAX ? port : port + TASK_HTTP_PORT_SPAN;
    const enum status status =
        http_server_start(config_text(config, CONFIG_TASKMANAGER_BIND_HOST), (uint16_t)port,
                          (uint16_t)last, routes, http, &http->server, err);
    if (status != STATUS_OK) {
        free(http);
        return error_wrap(err, status, "HTTP (taskmanager.http.port)");
    }
    *ret_http = http;
    return STATUS_OK;
}

uint16_t task_http_port(const struct task_http *http)
{
    return http_server_port(http->server);
}

void task_http_stop(struct task_http *http)
{
    if (http == NULL)
        return;
    http_server_stop(http->server);
    free(http);
}
