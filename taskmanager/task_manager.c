/* The TaskManager put together: see task_manager.h. */
#include "taskmanager/task_manager.h"

#include "common/base/address.h"
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/config/working_directory.h"
#include "common/io/event_loop.h"
#include "common/io/file_store.h"
#include "common/rpc/rpc_link.h"
#include "taskmanager/checkpoint_token.h"
#include "taskmanager/control/control.h"
#include "taskmanager/http.h"
#include "taskmanager/local_directory.h"
#include "taskmanager/memory_budget.h"
#include "taskmanager/task_backend.h"
#include "taskmanager/task_report.h"
#include "taskmanager/task_runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define METRICS_EVERY_US 1000000
/* While there are aligned sources: so far behind is what they know of each other. */
#define ALIGNMENT_EVERY_US   100000
#define BLOCKING_THREADS_MAX 16

struct task_manager {
    struct task_manager_config config;
    struct id128 incarnation;
    struct memory_budget budget;
    char *job_manager_address;
    char *local_parent;
    struct local_directory *directory;
    char *checkpoint_directory;
    struct file_store *checkpoint_store;
    struct state_block_cache *block_cache;
    struct task_runtime *runtime;
    struct control *control;
    struct message_register registration;
    struct control_output output;
    struct event_loop *loop;
    pthread_t loop_thread;
    bool has_loop_thread;
    struct task_http *http;
    /* The connection to the JobManager; loop's thread. */
    struct rpc_link *link;
    uint64_t connection;
    /* Links whose on_closed has not ended yet. */
    pthread_mutex_t link_lock;
    pthread_cond_t link_gone;
    size_t link_count;
    int64_t next_metrics_us;
    _Atomic bool is_registered;
};

static void execute_all(struct task_manager *manager);

static void step(struct task_manager *manager, const struct control_event *event)
{
    control_step(manager->control, event, clock_now_ms(clock_system()), &manager->output);
    execute_all(manager);
    struct control_overview overview;
    control_get_overview(manager->control, &overview);
    atomic_store(&manager->is_registered, overview.is_registered);
}

/* ---- the connection ---- */

struct link_event {
    struct task_manager *manager;
    uint64_t connection;
    struct message *message;
    char *text; /* local host or reason */
};

static void link_event_done(struct link_event *event)
{
    message_destroy(event->message);
    free(event->text);
    free(event);
}

/* The JobManager may have written the token, or moved the directory, since the last attempt. */
static void refresh_registration(struct task_manager *manager)
{
    struct message_register *registration = &manager->registration;
    free(registration->token);
    free(registration->token_error);
    checkpoint_token_read(manager->checkpoint_directory, &registration->token,
                          &registration->token_error);
    const struct control_event event = {.kind = CONTROL_EVENT_REGISTRATION,
                                        .registration = registration};
    step(manager, &event);
}

static void handle_connected(void *argument)
{
    struct link_event *posted = argument;
    refresh_registration(posted->manager);
    const struct control_event event = {.kind = CONTROL_EVENT_CONNECTED,
                                        .connection = posted->connection,
                                        .connection_change = {.local_host = posted->text}};
    step(posted->manager, &event);
    link_event_done(posted);
}

static void handle_message(void *argument)
{
    struct link_event *posted = argument;
    const struct control_event event = {.kind = CONTROL_EVENT_MESSAGE,
                                        .connection = posted->connection,
                                        .message = take_pointer(&posted->message)};
    step(posted->manager, &event);
    link_event_done(posted);
}

static void handle_disconnected(void *argument)
{
    struct link_event *posted = argument;
    struct task_manager *manager = posted->manager;
    if (manager->connection == posted->connection) {
        rpc_link_unref(manager->link);
        manager->link = NULL;
    }
    const struct control_event event = {.kind = CONTROL_EVENT_DISCONNECTED,
                                        .connection = posted->connection,
                                        .connection_change = {.reason = posted->text}};
    step(manager, &event);
    link_event_done(posted);
}

/* The context of a link: which connection it is. */
struct dialled {
    struct task_manager *manager;
    uint64_t connection;
};

static void post(const struct dialled *dialled, event_loop_call call, struct message *message,
                 const char *text)
{
    struct link_event *event = allocate(sizeof(*event));
    event->manager = dialled->manager;
    event->connection = dialled->connection;
    event->message = message;
    event->text = text != NULL ? copy_text(text) : NULL;
    /* The loop's limit cannot be reached by one JobManager: a refusal means that we are ending. */
    if (!event_loop_post(dialled->manager->loop, call, event))
        link_event_done(event);
}

static void on_open(void *context, struct rpc_link *link, const char *local_host,
                    const char *remote_host)
{
    (void)link;
    (void)remote_host;
    post(context, handle_connected, NULL, local_host);
}

static void on_message(void *context, struct rpc_link *link, struct message *message)
{
    (void)link;
    post(context, handle_message, message, NULL);
}

static void on_closed(void *context, struct rpc_link *link, const char *reason)
{
    (void)link;
    struct dialled *dialled = context;
    struct task_manager *manager = dialled->manager;
    post(dialled, handle_disconnected, NULL, reason);
    free(dialled);
    (void)pthread_mutex_lock(&manager->link_lock);
    manager->link_count--;
    (void)pthread_cond_signal(&manager->link_gone);
    (void)pthread_mutex_unlock(&manager->link_lock);
}

static void connect_to_job_manager(struct task_manager *manager, uint64_t connection)
{
    struct dialled *dialled = allocate(sizeof(*dialled));
    dialled->manager = manager;
    dialled->connection = connection;
    (void)pthread_mutex_lock(&manager->link_lock);
    manager->link_count++;
    (void)pthread_mutex_unlock(&manager->link_lock);
    const struct rpc_link_handler handler = {
        .context = dialled, .on_open = on_open, .on_message = on_message, .on_closed = on_closed};
    manager->connection = connection;
    manager->link =
        rpc_link_dial(manager->config.transport, manager->job_manager_address, &handler);
}

/* ---- what tasks report ---- */

static bool collect_metrics(struct task_manager *manager);

struct posted_task_event {
    struct task_manager *manager;
    struct task_report report;
};

static void handle_task_event(void *argument)
{
    struct posted_task_event *posted = argument;
    const struct control_event *event = task_report_event(&posted->report);
    if (event->kind == CONTROL_EVENT_TASK_DRAINED)
        (void)collect_metrics(posted->manager);
    step(posted->manager, event);
    posted->report.is_taken = true;
    task_report_done(&posted->report);
    free(posted);
}

static void post_task_event(struct task_manager *manager, struct posted_task_event *posted)
{
    posted->manager = manager;
    if (event_loop_post(manager->loop, handle_task_event, posted))
        return;
    task_report_done(&posted->report);
    free(posted);
}

static void on_task_event(void *context, const struct task_event *event)
{
    if (event->kind == TASK_EVENT_COMMITTED)
        return; /* commits are driven by the announcement alone; nobody waits for their end */
    struct posted_task_event *posted = allocate(sizeof(*posted));
    task_report_init(&posted->report, event);
    post_task_event(context, posted);
}

/* ---- actions of the control ---- */

static void report_failed(struct task_manager *manager, struct attempt_id attempt,
                          const struct error *err)
{
    struct posted_task_event *posted = allocate(sizeof(*posted));
    task_report_init_failed(&posted->report, attempt, err);
    post_task_event(manager, posted);
}

static enum status deploy(struct task_manager *manager, struct control_action *action,
                          struct shared_job_graph **decoded, const struct shared_graph **source,
                          struct error *err)
{
    TRY(local_directory_check_space(manager->directory, manager->local_parent, err));
    if (*source != action->deploy.graph) {
        const struct secret_places secrets = {
            .directory = config_text(manager->config.config, CONFIG_SECRETS_DIR)};
        struct shared_job_graph *graph = NULL;
        TRY(shared_job_graph_decode(action->deploy.graph->bytes, action->deploy.graph->size,
                                    &secrets, &graph, err));
        shared_job_graph_unref(*decoded);
        *decoded = graph;
        *source = action->deploy.graph;
    }
    return task_runtime_deploy(manager->runtime, take_pointer(&action->deploy.deployment), *decoded,
                               err);
}

static void assign_splits(struct task_manager *manager, const struct control_action *action)
{
    struct split_list splits = {0};
    for (size_t i = 0; i < action->splits.splits.count; i++) {
        const struct source_split *split = &action->splits.splits.splits[i];
        split_list_add(&splits, split->id, split->state, split->state_size);
    }
    task_runtime_assign_splits(manager->runtime, action->attempt, &splits, action->splits.is_last);
}

static void execute(struct task_manager *manager, struct control_action *action)
{
    const struct barrier barrier = {.id = action->checkpoint.checkpoint,
                                    .newest_completed = action->checkpoint.completed,
                                    .timestamp_ms = clock_wall_ms(clock_system())};
    switch (action->kind) {
    case CONTROL_CONNECT:
        connect_to_job_manager(manager, action->connection);
        break;
    case CONTROL_CLOSE:
        if (manager->link != NULL && manager->connection == action->connection) {
            rpc_link_close(manager->link, action->close.reason);
            rpc_link_unref(manager->link);
            manager->link = NULL;
        }
        break;
    case CONTROL_SEND:
        if (manager->link != NULL && manager->connection == action->connection)
            rpc_link_send(manager->link, action->message);
        break;
    case CONTROL_DEPLOY:
        break; /* execute_all */
    case CONTROL_CANCEL:
        task_runtime_cancel(manager->runtime, action->attempt);
        break;
    case CONTROL_TRIGGER:
        task_runtime_trigger(manager->runtime, action->attempt, &barrier);
        break;
    case CONTROL_ABORT:
        task_runtime_abort(manager->runtime, action->attempt, action->checkpoint.checkpoint);
        break;
    case CONTROL_COMPLETED:
        task_runtime_completed(manager->runtime, action->attempt, action->checkpoint.checkpoint);
        break;
    case CONTROL_SPLITS:
        assign_splits(manager, action);
        break;
    case CONTROL_ALIGN:
        task_runtime_align(manager->runtime, action->attempt, action->limit_ms);
        break;
    case CONTROL_FINISH:
        task_runtime_finish(manager->runtime, action->attempt);
        break;
    case CONTROL_LOG:
        log_event(action->log.level, action->log.event, "text", action->log.text, NULL);
        break;
    }
}

static void execute_all(struct task_manager *manager)
{
    struct shared_job_graph *decoded = NULL;
    const struct shared_graph *source = NULL;
    for (size_t i = 0; i < manager->output.count; i++) {
        struct control_action *action = &manager->output.actions[i];
        struct error err;
        if (action->kind != CONTROL_DEPLOY)
            execute(manager, action);
        else if (deploy(manager, action, &decoded, &source, &err) != STATUS_OK)
            report_failed(manager, action->attempt, &err);
    }
    shared_job_graph_unref(decoded);
    control_output_clear(&manager->output);
}

/* ---- metrics ---- */

/* RocksDB takes its part of the budget by itself; its account follows, and the overhead's. */
static void book_memory(struct task_manager *manager)
{
    memory_account_set(&manager->budget.rocksdb, state_block_cache_used(manager->block_cache));
    memory_budget_measure(&manager->budget);
}

/* true: they are wanted again soon. */
static bool collect_metrics(struct task_manager *manager)
{
    book_memory(manager);
    struct message_heartbeat heartbeat = {.memory_used_bytes = memory_resident_bytes()};
    local_directory_space(manager->directory, &heartbeat.disk_free_bytes,
                          &heartbeat.disk_total_bytes);
    heartbeat.tasks =
        task_report_metrics(manager->runtime, &heartbeat.task_count, &heartbeat.is_urgent);
    const struct control_event event = {.kind = CONTROL_EVENT_METRICS, .metrics = &heartbeat};
    step(manager, &event);
    task_report_metrics_done(heartbeat.tasks, heartbeat.task_count);
    return heartbeat.is_urgent;
}

static int64_t on_tick(void *context, int64_t now_us)
{
    struct task_manager *manager = context;
    if (now_us >= manager->next_metrics_us)
        manager->next_metrics_us =
            now_us + (collect_metrics(manager) ? ALIGNMENT_EVERY_US : METRICS_EVERY_US);
    if (manager->output.next_tick_ms != CONTROL_NEVER &&
        now_us / 1000 >= manager->output.next_tick_ms) {
        const struct control_event event = {.kind = CONTROL_EVENT_TICK};
        step(manager, &event);
    }
    const int64_t next_us = manager->output.next_tick_ms == CONTROL_NEVER
                                ? EVENT_LOOP_NO_DEADLINE
                                : manager->output.next_tick_ms * 1000;
    return next_us < manager->next_metrics_us ? next_us : manager->next_metrics_us;
}

/* ---- start and stop ---- */

static void *run_loop(void *argument)
{
    struct task_manager *manager = argument;
    const struct control_event event = {.kind = CONTROL_EVENT_START};
    step(manager, &event);
    event_loop_run(manager->loop);
    return NULL;
}

static enum state_backend_kind backend_kind(const struct job_graph *graph)
{
    const char *type = job_graph_config(graph, "state.backend.type");
    return type == NULL || strcmp(type, "rocksdb") == 0 ? STATE_BACKEND_ROCKSDB
                                                        : STATE_BACKEND_MEMORY;
}

static enum status open_backend(void *context, const struct task_deployment *deployment,
                                const struct job_graph *graph, struct memory_account *account,
                                struct waker *waker, struct keyed_backend **ret_backend,
                                struct error *err)
{
    (void)account; /* of operators; state has a part of its own */
    struct task_manager *manager = context;
    const uint32_t slots = manager->config.slot_count;
    struct task_backend_config config = {
        .kind = backend_kind(graph),
        .directory = local_directory_path(manager->directory),
        .store = manager->checkpoint_store,
        .block_cache = manager->block_cache,
        .cache_bytes = manager->budget.state_cache.limit_bytes / slots,
        .queue_bytes = manager->budget.write_queue.limit_bytes / slots,
        .clock = clock_system(),
    };
    return task_backend_open(&config, deployment, graph, &manager->budget.state_cache, waker,
                             ret_backend, err);
}

static enum status create_runtime(struct task_manager *manager, struct error *err)
{
    const struct config *config = manager->config.config;
    const struct task_runtime_config runtime = {
        .slot_count = manager->config.slot_count,
        .blocking_thread_max = BLOCKING_THREADS_MAX,
        .cluster_id = config_text(config, CONFIG_CLUSTER_ID),
        .incarnation = manager->incarnation,
        .transport = manager->config.data_transport,
        .data_address = manager->config.data_address,
        .exchange = &manager->budget.exchange,
        .tasks = &manager->budget.operators,
        .max_record_bytes = (uint32_t)config_size_bytes(config, CONFIG_MAX_RECORD_SIZE),
        .operators = manager->config.operators,
        .connectors = manager->config.connectors,
        .clock = clock_system(),
        .open_backend = open_backend,
        .backend_context = manager,
        .on_event = on_task_event,
        .event_context = manager,
    };
    return task_runtime_create(&runtime, &manager->runtime, err);
}

/* "host-1:6121-a1b2c3" as Flink names them, unless configured. */
static char *resource_id(const struct task_manager *manager, const char *host)
{
    const char *configured = config_text(manager->config.config, CONFIG_TASKMANAGER_ID);
    if (configured != NULL)
        return copy_text(configured);
    char id[ID_TEXT_SIZE];
    id128_format(manager->incarnation, id);
    const char *address = task_runtime_data_address(manager->runtime);
    const char *colon = address != NULL ? strrchr(address, ':') : NULL;
    return format_text("%s%s-%.6s", host, colon != NULL ? colon : "", id);
}

static void create_control(struct task_manager *manager)
{
    const struct config *config = manager->config.config;
    char host[256] = "localhost";
    (void)gethostname(host, sizeof(host) - 1);
    struct message_register *registration = &manager->registration;
    const char *data_address = task_runtime_data_address(manager->runtime);
    const char *advertised = config_text(config, CONFIG_TASKMANAGER_HOST);
    registration->protocol_major = RPC_PROTOCOL_MAJOR;
    registration->protocol_minor = RPC_PROTOCOL_MINOR;
    registration->version = copy_text(MILLSTREAM_VERSION);
    registration->cluster_id = copy_text(config_text(config, CONFIG_CLUSTER_ID));
    registration->name = resource_id(manager, advertised != NULL ? advertised : host);
    registration->host = copy_text(advertised != NULL ? advertised : host);
    registration->data_address = address_advertised(data_address, advertised);
    registration->http_port = task_manager_http_port(manager);
    registration->slot_count = manager->config.slot_count;
    const long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);
    registration->cpu_count = cpu_count > 0 ? (uint32_t)cpu_count : 1;
    registration->memory_bytes = manager->budget.total_bytes;
    registration->checkpoint_directory = copy_text(manager->checkpoint_directory);
    checkpoint_token_read(manager->checkpoint_directory, &registration->token,
                          &registration->token_error);
    uint64_t seed = 0;
    random_from_system(&seed, sizeof(seed));
    const struct control_config wiring = {.incarnation = manager->incarnation,
                                          .registration = *registration};
    manager->control = control_create(&wiring, seed);
    manager->output.next_tick_ms = CONTROL_NEVER;
}

static enum status start(struct task_manager *manager, struct error *err)
{
    const struct config *config = manager->config.config;
    TRY(memory_budget_init(&manager->budget, config, memory_cgroup_limit_bytes(), err));
    TRY(local_directory_choose(config, &manager->local_parent, err));
    TRY(local_directory_open(manager->local_parent, manager->incarnation, &manager->directory,
                             err));
    TRY(checkpoint_directory_prepare(config, &manager->checkpoint_directory, err));
    TRY(file_store_local_create(manager->checkpoint_directory, &manager->checkpoint_store, err));
    manager->block_cache = state_block_cache_create(manager->budget.rocksdb.limit_bytes);
    manager->loop = event_loop_create(clock_system(), on_tick, manager);
    TRY(create_runtime(manager, err));
    if (manager->config.has_http)
        TRY(task_http_start(config, &manager->budget, manager->runtime, &manager->is_registered,
                            &manager->http, err));
    create_control(manager);
    CHECK(pthread_create(&manager->loop_thread, NULL, run_loop, manager) == 0);
    manager->has_loop_thread = true;
    return STATUS_OK;
}

enum status task_manager_start(const struct task_manager_config *config,
                               struct task_manager **ret_manager, struct error *err)
{
    struct task_manager *manager = allocate(sizeof(*manager));
    manager->config = *config;
    if (manager->config.slot_count == 0)
        manager->config.slot_count = (uint32_t)config_int(config->config, CONFIG_TASKMANAGER_SLOTS);
    manager->incarnation = id128_random();
    manager->job_manager_address = copy_text(config->job_manager_address);
    CHECK(pthread_mutex_init(&manager->link_lock, NULL) == 0);
    CHECK(pthread_cond_init(&manager->link_gone, NULL) == 0);
    const enum status status = start(manager, err);
    if (status != STATUS_OK) {
        task_manager_stop(manager);
        return status;
    }
    *ret_manager = manager;
    return STATUS_OK;
}

const char *task_manager_data_address(const struct task_manager *manager)
{
    return task_runtime_data_address(manager->runtime);
}

uint16_t task_manager_http_port(const struct task_manager *manager)
{
    return manager->http != NULL ? task_http_port(manager->http) : 0;
}

static void close_link(struct task_manager *manager)
{
    if (manager->link != NULL) {
        rpc_link_close(manager->link, "the TaskManager has ended");
        rpc_link_unref(manager->link);
    }
    (void)pthread_mutex_lock(&manager->link_lock);
    while (manager->link_count > 0)
        (void)pthread_cond_wait(&manager->link_gone, &manager->link_lock);
    (void)pthread_mutex_unlock(&manager->link_lock);
}

/* The loop first, behind which nothing is commanded any more; the JobManager sees the connection
 * break and does not wait for heartbeats. */
void task_manager_stop(struct task_manager *manager)
{
    if (manager == NULL)
        return;
    task_http_stop(manager->http);
    if (manager->has_loop_thread) {
        event_loop_stop(manager->loop);
        (void)pthread_join(manager->loop_thread, NULL);
    }
    close_link(manager);
    task_runtime_destroy(manager->runtime);
    event_loop_destroy(manager->loop);
    control_output_done(&manager->output);
    control_destroy(manager->control);
    struct message owner = {.kind = MESSAGE_REGISTER, .registration = manager->registration};
    message_done(&owner);
    state_block_cache_destroy(manager->block_cache);
    if (manager->checkpoint_store != NULL)
        manager->checkpoint_store->ops->destroy(manager->checkpoint_store);
    local_directory_close(manager->directory);
    free(manager->checkpoint_directory);
    free(manager->job_manager_address);
    free(manager->local_parent);
    (void)pthread_cond_destroy(&manager->link_gone);
    (void)pthread_mutex_destroy(&manager->link_lock);
    free(manager);
}
