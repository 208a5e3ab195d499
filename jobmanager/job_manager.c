/* The JobManager put together: see job_manager.h. */
#include "jobmanager/job_manager.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/random.h"
#include "common/graph/job_graph_codec.h"
#include "common/io/event_loop.h"
#include "common/io/file_store.h"
#include "jobmanager/directories.h"
#include "jobmanager/discovery.h"
#include "jobmanager/leader_lock.h"
#include "jobmanager/rest/rest.h"
#include "jobmanager/rpc_peers.h"
#include "jobmanager/storage.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define METADATA_NAME "_metadata"

struct job_manager {
    struct job_manager_config config;
    struct directories directories;
    struct leader_lock *lock;
    struct file_store *job_store;
    struct file_store *checkpoint_store;
    struct event_loop *loop;
    pthread_t loop_thread;
    bool has_loop_thread;
    struct core *core;
    struct core_output output;
    struct storage *storage;
    struct discovery *discovery;
    struct rpc_peers *peers;
    char *rpc_address;
    struct rest *rest;
    bool is_fatal;
};

const char *job_manager_rpc_address(const struct job_manager *manager)
{
    return manager->rpc_address;
}

uint16_t job_manager_rest_port(const struct job_manager *manager)
{
    return manager->rest != NULL ? rest_port(manager->rest) : 0;
}

/* ---- actions of the core ---- */

/* The waiting half of a submit or cancel. */
struct waiting_reply {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool is_answered;
    enum status code;
    struct error *err;
    /* The request. */
    struct job_manager *manager;
    struct job_id job;
    struct job_graph *graph;
    const char *restore_path;
    const char *metadata;
    size_t metadata_size;
    snapshot_reader_fn read;
    void *context;
};

static void answer(struct waiting_reply *waiting, enum status code, const char *message)
{
    (void)pthread_mutex_lock(&waiting->lock);
    waiting->code = code == STATUS_OK
                        ? code
                        : error_set(waiting->err, code, "%s", message != NULL ? message : "");
    waiting->is_answered = true;
    (void)pthread_cond_signal(&waiting->wake);
    (void)pthread_mutex_unlock(&waiting->lock);
}

static void start_discovery(struct job_manager *manager, const struct core_action *action)
{
    /* The core's graph may end before the enumerator does: it gets its own. */
    struct text bytes;
    text_init(&bytes, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(action->discover.graph, &bytes);
    struct job_graph *graph = NULL;
    struct error err;
    CHECK(job_graph_decode(bytes.bytes, bytes.size, &graph, &err) == STATUS_OK);
    text_done(&bytes);
    discovery_start(manager->discovery, action->discover.job, action->discover.operator_index,
                    action->discover.enumerator, action->discover.is_resumed, graph);
}

static void fail(struct job_manager *manager, const char *reason)
{
    if (manager->is_fatal)
        return;
    manager->is_fatal = true;
    log_event(LOG_ERROR, "fatal", "reason", reason, NULL);
    manager->config.on_fatal(manager->config.context, reason);
}

static void execute(struct job_manager *manager, struct core_action *action)
{
    switch (action->kind) {
    case CORE_SEND:
        if (action->message->kind == MESSAGE_REGISTERED)
            rpc_peers_trust(manager->peers, action->connection);
        rpc_peers_send(manager->peers, action->connection, action->message);
        break;
    case CORE_CLOSE:
        rpc_peers_close(manager->peers, action->connection, action->close.reason);
        break;
    case CORE_STORAGE:
        storage_submit(manager->storage, &action->storage);
        break;
    case CORE_DISCOVER_START:
        start_discovery(manager, action);
        break;
    case CORE_DISCOVER_STOP:
        discovery_stop(manager->discovery, action->discover.enumerator);
        break;
    case CORE_REPLY:
        answer((struct waiting_reply *)(uintptr_t)action->reply.token, action->reply.code,
               action->reply.message);
        break;
    case CORE_LOG:
        log_event(action->log.level, action->log.event, "job", action->log.job, "text",
                  action->log.text, NULL);
        break;
    case CORE_FATAL:
        fail(manager, action->fatal.message);
        break;
    }
}

static void step(struct job_manager *manager, const struct core_event *event)
{
    const struct clock *clock = clock_system();
    core_step(manager->core, event, clock_now_ms(clock), clock_wall_ms(clock), &manager->output);
    for (size_t i = 0; i < manager->output.count; i++)
        execute(manager, &manager->output.actions[i]);
    core_output_clear(&manager->output);
}

static int64_t on_tick(void *context, int64_t now_us)
{
    struct job_manager *manager = context;
    if (manager->output.next_tick_ms != CORE_NEVER &&
        now_us / 1000 >= manager->output.next_tick_ms) {
        const struct core_event event = {.kind = CORE_EVENT_TICK};
        step(manager, &event);
    }
    const int64_t next_ms = manager->output.next_tick_ms;
    return next_ms == CORE_NEVER ? EVENT_LOOP_NO_DEADLINE : next_ms * 1000;
}

/* ---- what other threads bring ---- */

static void on_peer_opened(void *context, uint64_t connection, const char *remote_host)
{
    const struct core_event event = {.kind = CORE_EVENT_OPENED,
                                     .connection = connection,
                                     .opened = {.remote_host = remote_host}};
    step(context, &event);
}

static void on_peer_message(void *context, uint64_t connection, struct message *message)
{
    const struct core_event event = {
        .kind = CORE_EVENT_MESSAGE, .connection = connection, .message = message};
    step(context, &event);
}

static void on_peer_closed(void *context, uint64_t connection, const char *reason)
{
    const struct core_event event = {
        .kind = CORE_EVENT_CLOSED, .connection = connection, .closed = {.reason = reason}};
    step(context, &event);
}

struct posted_result {
    struct job_manager *manager;
    struct storage_result *storage;
    struct discovery_result *discovery;
};

static void handle_storage_done(void *argument)
{
    struct posted_result *posted = argument;
    const struct storage_result *result = posted->storage;
    const struct core_event event = {
        .kind = CORE_EVENT_STORAGE_DONE,
        .storage = {.request = result->request,
                    .code = result->code,
                    .message = result->code != STATUS_OK ? result->err.message : NULL,
                    .objects = result->objects,
                    .object_count = result->object_count}};
    step(posted->manager, &event);
    storage_result_destroy(posted->storage);
    free(posted);
}

static void on_storage_done(void *context, struct storage_result *result)
{
    struct posted_result *posted = allocate(sizeof(*posted));
    posted->manager = context;
    posted->storage = result;
    if (!event_loop_post(posted->manager->loop, handle_storage_done, posted)) {
        storage_result_destroy(result);
        free(posted);
    }
}

static void handle_discovered(void *argument)
{
    struct posted_result *posted = argument;
    const struct discovery_result *result = posted->discovery;
    const struct core_event event = {
        .kind = CORE_EVENT_DISCOVERED,
        .discovered = {.job = result->job,
                       .operator_index = result->operator_index,
                       .enumerator = result->enumerator,
                       .code = result->code,
                       .message = result->code != STATUS_OK ? result->err.message : NULL,
                       .splits = result->splits,
                       .is_last = result->is_last}};
    step(posted->manager, &event);
    discovery_result_destroy(posted->discovery);
    free(posted);
}

static void on_discovered(void *context, struct discovery_result *result)
{
    struct posted_result *posted = allocate(sizeof(*posted));
    posted->manager = context;
    posted->discovery = result;
    if (!event_loop_post(posted->manager->loop, handle_discovered, posted)) {
        discovery_result_destroy(result);
        free(posted);
    }
}

/* ---- calls that wait ---- */

static void waiting_reply_init(struct waiting_reply *waiting, struct job_manager *manager,
                               struct error *err)
{
    *waiting = (struct waiting_reply){.manager = manager, .err = err};
    CHECK(pthread_mutex_init(&waiting->lock, NULL) == 0);
    CHECK(pthread_cond_init(&waiting->wake, NULL) == 0);
}

/* Posts the call and waits for its answer. Every posted call is run, and every submit and cancel
 * is answered by the core, so the wait ends. */
static enum status call_and_wait(struct waiting_reply *waiting, event_loop_call call)
{
    if (!event_loop_post(waiting->manager->loop, call, waiting))
        answer(waiting, STATUS_UNAVAILABLE, "this JobManager is ending");
    (void)pthread_mutex_lock(&waiting->lock);
    while (!waiting->is_answered)
        (void)pthread_cond_wait(&waiting->wake, &waiting->lock);
    (void)pthread_mutex_unlock(&waiting->lock);
    (void)pthread_cond_destroy(&waiting->wake);
    (void)pthread_mutex_destroy(&waiting->lock);
    return waiting->code;
}

static void handle_submit(void *argument)
{
    struct waiting_reply *waiting = argument;
    const struct core_event event = {.kind = CORE_EVENT_SUBMIT,
                                     .submit = {.token = (uint64_t)(uintptr_t)waiting,
                                                .job = waiting->job,
                                                .graph = waiting->graph,
                                                .restore_path = waiting->restore_path,
                                                .restore_metadata = waiting->metadata,
                                                .restore_metadata_size = waiting->metadata_size}};
    step(waiting->manager, &event);
}

static void handle_cancel(void *argument)
{
    struct waiting_reply *waiting = argument;
    const struct core_event event = {
        .kind = CORE_EVENT_CANCEL,
        .cancel = {.token = (uint64_t)(uintptr_t)waiting, .job = waiting->job}};
    step(waiting->manager, &event);
}

static void handle_read(void *argument)
{
    struct waiting_reply *waiting = argument;
    struct cluster_snapshot snapshot;
    core_snapshot(waiting->manager->core, &snapshot);
    waiting->read(waiting->context, &snapshot);
    cluster_snapshot_done(&snapshot);
    answer(waiting, STATUS_OK, NULL);
}

/* The content of <path>/_metadata: a checkpoint's directory, or the file itself. */
static enum status read_metadata(const char *path, struct text *out, struct error *err)
{
    if (strncmp(path, "file:", 5) == 0)
        path += 5;
    SCOPED_TEXT char *directory = copy_text(path);
    size_t size = strlen(directory);
    while (size > 1 && directory[size - 1] == '/')
        directory[--size] = '\0';
    const size_t name_size = strlen(METADATA_NAME);
    if (size > name_size && strcmp(directory + size - name_size, METADATA_NAME) == 0)
        directory[size - name_size] = '\0';
    struct file_store *store = NULL;
    if (access(directory, R_OK | X_OK) != 0)
        return error_set_errno(err, errno, "checkpoint %s", path);
    TRY(file_store_local_create(directory, &store, err));
    const enum status status = store->ops->get(store, METADATA_NAME, out, err);
    store->ops->destroy(store);
    if (status != STATUS_OK)
        return error_wrap(err, status, "%s is no complete checkpoint", path);
    return STATUS_OK;
}

enum status job_manager_submit(struct job_manager *manager, struct job_id job,
                               struct job_graph *graph, const char *restore_path, struct error *err)
{
    struct text metadata;
    text_init(&metadata, STORE_OBJECT_MAX);
    enum status status = STATUS_OK;
    if (restore_path != NULL)
        status = read_metadata(restore_path, &metadata, err);
    if (status == STATUS_OK) {
        struct waiting_reply waiting;
        waiting_reply_init(&waiting, manager, err);
        waiting.job = job;
        waiting.graph = graph;
        waiting.restore_path = restore_path;
        waiting.metadata = restore_path != NULL ? metadata.bytes : NULL;
        waiting.metadata_size = metadata.size;
        status = call_and_wait(&waiting, handle_submit);
    } else {
        job_graph_destroy(graph);
    }
    text_done(&metadata);
    return status;
}

enum status job_manager_cancel(struct job_manager *manager, struct job_id job, struct error *err)
{
    struct waiting_reply waiting;
    waiting_reply_init(&waiting, manager, err);
    waiting.job = job;
    return call_and_wait(&waiting, handle_cancel);
}

bool job_manager_read(struct job_manager *manager, snapshot_reader_fn fn, void *context)
{
    struct waiting_reply waiting;
    waiting_reply_init(&waiting, manager, NULL);
    waiting.read = fn;
    waiting.context = context;
    return call_and_wait(&waiting, handle_read) == STATUS_OK;
}

static void handle_is_ready(void *argument)
{
    struct waiting_reply *waiting = argument;
    const bool is_ready = core_takes_submits(waiting->manager->core);
    answer(waiting, is_ready ? STATUS_OK : STATUS_UNAVAILABLE, NULL);
}

bool job_manager_is_ready(struct job_manager *manager)
{
    struct waiting_reply waiting;
    waiting_reply_init(&waiting, manager, NULL);
    return call_and_wait(&waiting, handle_is_ready) == STATUS_OK;
}

/* ---- REST's view ---- */

static enum status service_submit(void *context, struct job_id job, struct job_graph *graph,
                                  const char *restore_path, struct error *err)
{
    return job_manager_submit(context, job, graph, restore_path, err);
}

static enum status service_cancel(void *context, struct job_id job, struct error *err)
{
    return job_manager_cancel(context, job, err);
}

static bool service_read(void *context, snapshot_reader_fn fn, void *fn_context)
{
    return job_manager_read(context, fn, fn_context);
}

static bool service_is_ready(void *context)
{
    return job_manager_is_ready(context);
}

/* ---- start and stop ---- */

static void *run_loop(void *argument)
{
    struct job_manager *manager = argument;
    const struct core_event event = {.kind = CORE_EVENT_START};
    step(manager, &event);
    event_loop_run(manager->loop);
    return NULL;
}

static enum status open_stores(struct job_manager *manager, uint64_t *ret_epoch, struct error *err)
{
    const struct config *config = manager->config.config;
    TRY(directories_prepare(config, &manager->directories, err));
    TRY(file_store_local_create(manager->directories.checkpoints, &manager->checkpoint_store, err));
    if (manager->directories.job_store == NULL) {
        /* Nothing is kept over a restart: the epoch only has to differ from the last one. */
        *ret_epoch = (uint64_t)clock_wall_ms(clock_system());
        manager->job_store = file_store_memory_create();
        return STATUS_OK;
    }
    TRY(leader_lock_acquire(manager->directories.job_store, &manager->lock, ret_epoch, err));
    SCOPED_TEXT char *objects = format_text("%s/store", manager->directories.job_store);
    return file_store_local_create(objects, &manager->job_store, err);
}

static enum status create_core(struct job_manager *manager, uint64_t epoch, struct error *err)
{
    const struct config *config = manager->config.config;
    struct core_config core;
    core_config_init(&core);
    char host[256] = "localhost";
    (void)gethostname(host, sizeof(host) - 1);
    core.cluster_id = (char *)(uintptr_t)config_text(config, CONFIG_CLUSTER_ID);
    core.host = host;
    core.version = (char *)(uintptr_t)MILLSTREAM_VERSION;
    core.leader_epoch = epoch;
    core.incarnation = id128_random();
    core.checkpoint_directory = manager->directories.checkpoints;
    core.heartbeat_interval_ms = config_duration_ms(config, CONFIG_HEARTBEAT_INTERVAL);
    core.heartbeat_timeout_ms = config_duration_ms(config, CONFIG_HEARTBEAT_TIMEOUT);
    core.ended_job_max = (size_t)config_int(config, CONFIG_JOB_STORE_CAPACITY);
    core.ended_job_keep_ms = config_duration_ms(config, CONFIG_JOB_STORE_EXPIRATION);
    TRY(checkpoint_token_prepare(manager->directories.checkpoints, &core.token, err));
    uint64_t seed = 0;
    random_from_system(&seed, sizeof(seed));
    manager->core = core_create(&core, seed);
    free(core.token);
    manager->output.next_tick_ms = CORE_NEVER;
    return STATUS_OK;
}

static enum status start(struct job_manager *manager, struct error *err)
{
    uint64_t epoch = 0;
    TRY(open_stores(manager, &epoch, err));
    TRY(create_core(manager, epoch, err));
    manager->loop = event_loop_create(clock_system(), on_tick, manager);
    manager->storage = storage_create(manager->job_store, manager->checkpoint_store, manager->lock,
                                      on_storage_done, manager);
    const struct secret_places secrets = {
        .directory = config_text(manager->config.config, CONFIG_SECRETS_DIR)};
    manager->discovery =
        discovery_create(manager->config.connectors, &secrets, on_discovered, manager);
    const struct rpc_peers_handler handler = {.context = manager,
                                              .on_opened = on_peer_opened,
                                              .on_message = on_peer_message,
                                              .on_closed = on_peer_closed};
    TRY(rpc_peers_listen(manager->config.transport, manager->config.rpc_address, manager->loop,
                         &handler, &manager->peers, &manager->rpc_address, err));
    /* REST last: its handlers wait for the loop, which begins only if nothing fails here. */
    if (manager->config.has_rest) {
        const struct rest_service service = {
            .context = manager,
            .config = manager->config.config,
            .connectors = manager->config.connectors,
            .checkpoint_directory = manager->directories.checkpoints,
            .submit = service_submit,
            .cancel = service_cancel,
            .read = service_read,
            .is_ready = service_is_ready,
        };
        TRY(rest_start(&service, &manager->rest, err));
    }
    CHECK(pthread_create(&manager->loop_thread, NULL, run_loop, manager) == 0);
    manager->has_loop_thread = true;
    return STATUS_OK;
}

enum status job_manager_start(const struct job_manager_config *config,
                              struct job_manager **ret_manager, struct error *err)
{
    struct job_manager *manager = allocate(sizeof(*manager));
    manager->config = *config;
    const enum status status = start(manager, err);
    if (status != STATUS_OK) {
        job_manager_stop(manager);
        return status;
    }
    *ret_manager = manager;
    return STATUS_OK;
}

/* REST first, whose handlers wait for the loop; then the loop, behind which nothing decides any
 * more; then the threads that posted to it. */
void job_manager_stop(struct job_manager *manager)
{
    if (manager == NULL)
        return;
    rest_stop(manager->rest);
    if (manager->has_loop_thread) {
        event_loop_stop(manager->loop);
        (void)pthread_join(manager->loop_thread, NULL);
    }
    discovery_destroy(manager->discovery);
    storage_destroy(manager->storage);
    rpc_peers_destroy(manager->peers);
    event_loop_destroy(manager->loop);
    core_output_done(&manager->output);
    core_destroy(manager->core);
    if (manager->job_store != NULL)
        manager->job_store->ops->destroy(manager->job_store);
    if (manager->checkpoint_store != NULL)
        manager->checkpoint_store->ops->destroy(manager->checkpoint_store);
    leader_lock_release(manager->lock);
    directories_done(&manager->directories);
    free(manager->rpc_address);
    free(manager);
}
