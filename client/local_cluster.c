/* `run --local`: a JobManager and a TaskManager in this process. See local_cluster.h. */
#include "client/local_cluster.h"

#include "client/client_config.h"
#include "client/job_text.h"
#include "common/base/allocate.h"
#include "common/base/log.h"
#include "connectors/registry.h"
#include "jobmanager/job_manager.h"
#include "operators/registry.h"
#include "taskmanager/task_manager.h"

#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS       20
#define READY_WAIT_MS 30000
#define LINE_EVERY_MS 2000

struct local_cluster {
    struct transport *transport;
    struct job_manager *job_manager;
    struct task_manager *task_manager;
    struct config *config;
    const struct connector_registry *connectors;
};

static volatile sig_atomic_t is_interrupted;
static _Atomic bool is_fatal;

/* The first one cancels the job, the second one does not wait for it. */
static void on_interrupt(int signal_number)
{
    (void)signal_number;
    if (is_interrupted != 0)
        _exit(EXIT_INTERRUPTED);
    is_interrupted = 1;
}

static void on_fatal(void *context, const char *reason)
{
    (void)context;
    (void)fprintf(stderr, "millstream run --local: %s\n", reason);
    atomic_store(&is_fatal, true);
}

/* One slot for every subtask that may run beside another. */
static uint32_t slots_needed(const struct job_graph *graph)
{
    uint32_t slots = 1;
    for (uint32_t i = 0; i < graph->vertex_count; i++) {
        if (graph->vertices[i].parallelism > slots)
            slots = graph->vertices[i].parallelism;
    }
    return slots;
}

static enum status start_cluster(struct local_cluster *cluster, uint32_t slot_count,
                                 struct error *err)
{
    struct error ignored;
    /* A local run keeps no job store: it ends with its process. */
    TRY(config_set(cluster->config, "high-availability.type", "none", "run --local", &ignored));
    cluster->transport = transport_memory_create();
    const struct job_manager_config job_manager = {
        .config = cluster->config,
        .connectors = cluster->connectors,
        .transport = cluster->transport,
        .rpc_address = "jobmanager:1",
        .on_fatal = on_fatal,
    };
    TRY(job_manager_start(&job_manager, &cluster->job_manager, err));
    const struct task_manager_config task_manager = {
        .config = cluster->config,
        .operators = operator_registry,
        .connectors = cluster->connectors,
        .transport = cluster->transport,
        .data_transport = cluster->transport,
        .job_manager_address = job_manager_rpc_address(cluster->job_manager),
        .data_address = "taskmanager:1",
        .slot_count = slot_count,
    };
    return task_manager_start(&task_manager, &cluster->task_manager, err);
}

static void stop_cluster(struct local_cluster *cluster)
{
    task_manager_stop(cluster->task_manager);
    job_manager_stop(cluster->job_manager);
    if (cluster->transport != NULL)
        cluster->transport->ops->destroy(cluster->transport);
    config_destroy(cluster->config);
}

/* What the screen needs of the job. */
struct local_view {
    struct job_id job;
    bool is_found;
    enum job_status status;
    int64_t duration_ms;
    uint64_t checkpoints;
    uint64_t checkpoint_pause_us_max;
    uint32_t restarts;
    uint64_t rows;
    char failure[ERROR_MESSAGE_MAX];
    char waits_for[ERROR_MESSAGE_MAX];
};

static void read_view(void *context, const struct cluster_snapshot *snapshot)
{
    struct local_view *view = context;
    for (size_t i = 0; i < snapshot->job_count; i++) {
        const struct job_snapshot *job = &snapshot->jobs[i];
        if (!id128_equals(job->id.value, view->job.value))
            continue;
        view->is_found = true;
        view->status = job->status;
        view->duration_ms =
            (job->end_ms >= 0 ? job->end_ms : clock_wall_ms(clock_system())) - job->start_ms;
        view->checkpoints = job->checkpoints.completed_count;
        for (size_t c = 0; c < job->checkpoints.history_count; c++) {
            const int64_t pause_us = job->checkpoints.history[c].pause_us_max;
            if (pause_us > (int64_t)view->checkpoint_pause_us_max)
                view->checkpoint_pause_us_max = (uint64_t)pause_us;
        }
        view->restarts = job->restart_count;
        view->rows = 0;
        for (uint32_t v = 0; v < job->vertex_count; v++) {
            for (uint32_t s = 0; s < job->vertices[v].subtask_count; s++)
                view->rows += job->vertices[v].subtasks[s].metrics.records_in;
        }
        (void)snprintf(view->failure, sizeof(view->failure), "%s",
                       job->exception_count > 0 ? job->exceptions[0].message : "");
        (void)snprintf(view->waits_for, sizeof(view->waits_for), "%s",
                       job->waits_for != NULL ? job->waits_for : "");
    }
}

static void show(const struct local_view *view, bool is_terminal)
{
    (void)fprintf(stderr, "%s%s  %" PRIu64 " rows in, checkpoint %" PRIu64 "%s%s%s",
                  is_terminal ? "\r\x1b[K" : "", job_status_name(view->status), view->rows,
                  view->checkpoints, view->waits_for[0] != '\0' ? ", waiting: " : "",
                  view->waits_for, is_terminal ? "" : "\n");
}

/* Returns when the job has ended; cancels it once when interrupted. */
static void follow(struct local_cluster *cluster, struct local_view *view)
{
    const bool is_terminal = isatty(STDERR_FILENO) == 1;
    bool is_canceled = false;
    int64_t last_line_ms = clock_now_ms(clock_system());
    char shown[ERROR_MESSAGE_MAX] = "";
    for (;;) {
        if (!job_manager_read(cluster->job_manager, read_view, view))
            return;
        if (job_status_is_terminal(view->status))
            break;
        if ((is_interrupted != 0 || atomic_load(&is_fatal)) && !is_canceled) {
            is_canceled = true;
            struct error err;
            if (job_manager_cancel(cluster->job_manager, view->job, &err) != STATUS_OK)
                return;
        }
        if (strcmp(shown, view->failure) != 0) { /* why it restarts, once for each cause */
            (void)snprintf(shown, sizeof(shown), "%s", view->failure);
            (void)fprintf(stderr, "%s%s\n", is_terminal ? "\r\x1b[K" : "", shown);
        }
        const int64_t now_ms = clock_now_ms(clock_system());
        if (now_ms - last_line_ms >= LINE_EVERY_MS) {
            show(view, is_terminal);
            last_line_ms = now_ms;
        }
        const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    if (is_terminal)
        (void)fprintf(stderr, "\r\x1b[K");
}

static enum exit_code report(const struct local_view *view, bool is_json)
{
    char id[ID_TEXT_SIZE];
    id128_format(view->job.value, id);
    if (is_json)
        printf("{\"jobid\":\"%s\",\"status\":\"%s\",\"duration\":%" PRId64
               ",\"checkpoints\":%" PRIu64 ",\"checkpoint-pause-max-us\":%" PRIu64 "}\n",
               id, job_status_name(view->status), view->duration_ms, view->checkpoints,
               view->checkpoint_pause_us_max);
    else
        (void)fprintf(stderr,
                      "Job %s has %s after %.1f s, with %" PRIu64 " checkpoints and %u restarts.\n",
                      id, view->status == JOB_FINISHED ? "finished" : job_status_name(view->status),
                      (double)view->duration_ms / 1000, view->checkpoints, view->restarts);
    if (view->status == JOB_FAILED)
        (void)fprintf(stderr, "%s\n", view->failure);
    if (is_interrupted != 0)
        return EXIT_INTERRUPTED;
    return view->status == JOB_FINISHED ? EXIT_DONE : EXIT_REFUSED;
}

/* The job store is read in the background; a submit before that is refused. If it takes too long,
 * the submit says so. */
static void wait_ready(const struct local_cluster *cluster)
{
    const int64_t until_ms = clock_now_ms(clock_system()) + READY_WAIT_MS;
    const struct timespec pause = {.tv_nsec = 1000000L};
    while (!job_manager_is_ready(cluster->job_manager) && is_interrupted == 0 &&
           clock_now_ms(clock_system()) < until_ms)
        (void)nanosleep(&pause, NULL);
}

static enum exit_code run(const struct arguments *arguments, struct local_cluster *cluster,
                          struct job_graph *graph)
{
    struct error err;
    const enum status started = start_cluster(cluster, slots_needed(graph), &err);
    if (started != STATUS_OK) {
        job_graph_destroy(graph);
        return command_fail("run --local", &err);
    }
    const struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    struct local_view view = {.job = {.value = id128_random()}};
    char savepoint[PATH_MAX];
    const char *restore = arguments->savepoint;
    if (restore != NULL && realpath(restore, savepoint) != NULL)
        restore = savepoint;
    wait_ready(cluster);
    if (job_manager_submit(cluster->job_manager, view.job, graph, restore, &err) != STATUS_OK)
        return command_fail("run --local", &err);
    char id[ID_TEXT_SIZE];
    id128_format(view.job.value, id);
    (void)fprintf(stderr, "Job has been submitted with JobID %s\n", id);
    follow(cluster, &view);
    return report(&view, arguments->is_json);
}

enum exit_code local_cluster_follow_graph(const struct arguments *arguments, struct config *config,
                                          const struct connector_registry *connectors,
                                          struct job_graph *graph)
{
    struct local_cluster cluster = {.config = config, .connectors = connectors};
    const enum exit_code code = run(arguments, &cluster, graph);
    stop_cluster(&cluster);
    return code;
}

enum exit_code local_cluster_run(const struct arguments *arguments, const char *path,
                                 const struct text *text)
{
    struct config *config = NULL;
    if (client_config_load(arguments, &config) != STATUS_OK)
        return EXIT_USAGE;
    allocate_keep_batches();
    struct job_graph *graph = NULL;
    if (job_text_compile(arguments, path, text, config, &graph) == STATUS_OK)
        return local_cluster_follow_graph(arguments, config, connector_registry_builtin(), graph);
    config_destroy(config);
    return EXIT_USAGE;
}

static enum status run_to_end(struct local_cluster *cluster, struct job_graph *graph,
                              int64_t timeout_ms, struct error *err)
{
    const enum status started = start_cluster(cluster, slots_needed(graph), err);
    if (started != STATUS_OK) {
        job_graph_destroy(graph);
        return started;
    }
    struct local_view view = {.job = {.value = id128_random()}};
    wait_ready(cluster);
    TRY(job_manager_submit(cluster->job_manager, view.job, graph, NULL, err));
    const int64_t end_ms = clock_now_ms(clock_system()) + timeout_ms;
    while (job_manager_read(cluster->job_manager, read_view, &view) &&
           !job_status_is_terminal(view.status)) {
        if (clock_now_ms(clock_system()) > end_ms)
            return error_set(err, STATUS_TIMEOUT, "the job did not end within %" PRId64 " s%s%s",
                             timeout_ms / 1000, view.failure[0] != '\0' ? ": " : "", view.failure);
        const struct timespec pause = {.tv_nsec = 2000000L};
        (void)nanosleep(&pause, NULL);
    }
    return view.status == JOB_FINISHED ? STATUS_OK
                                       : error_set(err, STATUS_INVALID, "%s", view.failure);
}

enum status local_cluster_run_graph(struct config *config,
                                    const struct connector_registry *connectors,
                                    struct job_graph *graph, int64_t timeout_ms, struct error *err)
{
    struct local_cluster cluster = {.config = config, .connectors = connectors};
    const enum status status = run_to_end(&cluster, graph, timeout_ms, err);
    stop_cluster(&cluster);
    return status;
}
