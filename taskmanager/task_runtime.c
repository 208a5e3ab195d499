/* Slots, exchange and pool behind the commands of the control plane. */
#include "taskmanager/task_runtime.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/graph/job_graph_codec.h"
#include "taskmanager/blocking_pool.h"
#include "taskmanager/worker.h"

#include <pthread.h>

/* An attempt that is here. */
struct entry {
    struct entry *next;
    struct attempt_id attempt;
    struct shared_job_graph *graph;
    struct worker_task *task;
};

struct task_runtime {
    struct task_runtime_config config;
    struct exchange *exchange;
    struct blocking_pool *pool;
    struct worker **workers;
    pthread_mutex_t mutex;
    pthread_cond_t no_entry;
    struct entry *entries;
};

struct shared_job_graph *shared_job_graph_create(struct job_graph *graph)
{
    struct shared_job_graph *shared = allocate(sizeof(*shared));
    atomic_init(&shared->references, 1);
    shared->graph = graph;
    return shared;
}

enum status shared_job_graph_decode(const char *bytes, size_t size,
                                    const struct secret_places *secrets,
                                    struct shared_job_graph **ret_graph, struct error *err)
{
    struct job_graph *graph = NULL;
    TRY(job_graph_decode(bytes, size, &graph, err));
    const enum status status = secrets_resolve_graph(secrets, graph, err);
    if (status != STATUS_OK) {
        job_graph_destroy(graph);
        return status;
    }
    *ret_graph = shared_job_graph_create(graph);
    return STATUS_OK;
}

struct shared_job_graph *shared_job_graph_ref(struct shared_job_graph *graph)
{
    atomic_fetch_add(&graph->references, 1);
    return graph;
}

void shared_job_graph_unref(struct shared_job_graph *graph)
{
    if (graph == NULL || atomic_fetch_sub(&graph->references, 1) != 1)
        return;
    job_graph_destroy(graph->graph);
    free(graph);
}

static void run_blocking(void *context, void (*run)(void *argument), void *argument)
{
    struct task_runtime *runtime = context;
    blocking_pool_run(runtime->pool, run, argument);
}

static void on_task_event(void *context, const struct task_event *event)
{
    struct task_runtime *runtime = context;
    runtime->config.on_event(runtime->config.event_context, event);
}

static enum status open_backend(void *context, const struct task_deployment *deployment,
                                const struct job_graph *graph, struct memory_account *account,
                                struct waker *waker, struct keyed_backend **ret_backend,
                                struct error *err)
{
    struct task_runtime *runtime = context;
    return runtime->config.open_backend(runtime->config.backend_context, deployment, graph, account,
                                        waker, ret_backend, err);
}

static void on_task_ended(void *context, struct worker_task *task)
{
    struct task_runtime *runtime = context;
    struct entry *entry = worker_task_context(task);
    pthread_mutex_lock(&runtime->mutex);
    struct entry **at = &runtime->entries;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    entry->task = NULL;
    if (runtime->entries == NULL)
        pthread_cond_broadcast(&runtime->no_entry);
    pthread_mutex_unlock(&runtime->mutex);
    shared_job_graph_unref(entry->graph);
    free(entry);
}

enum status task_runtime_create(const struct task_runtime_config *config,
                                struct task_runtime **ret_runtime, struct error *err)
{
    CHECK(config->slot_count > 0);
    const struct exchange_config exchange_config = {
        .cluster_id = config->cluster_id,
        .incarnation = config->incarnation,
        .transport = config->transport,
        .listen_address = config->data_address,
        .account = config->exchange,
        .clock = config->clock,
        .max_record_bytes = config->max_record_bytes,
    };
    struct exchange *exchange;
    TRY(exchange_create(&exchange_config, &exchange, err));
    struct task_runtime *runtime = allocate(sizeof(*runtime));
    runtime->config = *config;
    runtime->exchange = exchange;
    runtime->pool = blocking_pool_create(config->blocking_thread_max);
    pthread_mutex_init(&runtime->mutex, NULL);
    pthread_cond_init(&runtime->no_entry, NULL);
    runtime->workers = allocate_array(config->slot_count, sizeof(struct worker *));
    for (uint32_t i = 0; i < config->slot_count; i++)
        runtime->workers[i] = worker_create(config->clock, on_task_ended, runtime);
    *ret_runtime = runtime;
    return STATUS_OK;
}

void task_runtime_destroy(struct task_runtime *runtime)
{
    if (runtime == NULL)
        return;
    pthread_mutex_lock(&runtime->mutex);
    for (struct entry *entry = runtime->entries; entry != NULL; entry = entry->next)
        task_send(worker_task_get(entry->task), mail_create(MAIL_CANCEL));
    while (runtime->entries != NULL)
        pthread_cond_wait(&runtime->no_entry, &runtime->mutex);
    pthread_mutex_unlock(&runtime->mutex);
    for (uint32_t i = 0; i < runtime->config.slot_count; i++)
        worker_destroy(runtime->workers[i]);
    free(runtime->workers);
    blocking_pool_destroy(runtime->pool);
    exchange_destroy(runtime->exchange);
    pthread_cond_destroy(&runtime->no_entry);
    pthread_mutex_destroy(&runtime->mutex);
    free(runtime);
}

const char *task_runtime_data_address(const struct task_runtime *runtime)
{
    return exchange_address(runtime->exchange);
}

/* The mutex is held. */
static struct entry *find_entry(struct task_runtime *runtime, struct attempt_id attempt)
{
    struct entry *entry = runtime->entries;
    while (entry != NULL && entry->attempt.value != attempt.value)
        entry = entry->next;
    return entry;
}

static enum status refuse(struct task_deployment *deployment, enum status status)
{
    task_deployment_done(deployment);
    free(deployment);
    return status;
}

enum status task_runtime_deploy(struct task_runtime *runtime, struct task_deployment *deployment,
                                struct shared_job_graph *graph, struct error *err)
{
    if (deployment->slot >= runtime->config.slot_count)
        return refuse(deployment, error_set(err, STATUS_INVALID, "deploy: slot %u of %u",
                                            deployment->slot, runtime->config.slot_count));
    const struct task_config config = {
        .deployment = deployment,
        .graph = graph->graph,
        .operators = runtime->config.operators,
        .connectors = runtime->config.connectors,
        .exchange = runtime->exchange,
        .clock = runtime->config.clock,
        .account = runtime->config.tasks,
        .exchange_account = runtime->config.exchange,
        .host =
            {
                .context = runtime,
                .on_event = on_task_event,
                .run_blocking = run_blocking,
                .open_backend = runtime->config.open_backend == NULL ? NULL : open_backend,
            },
    };
    pthread_mutex_lock(&runtime->mutex);
    if (find_entry(runtime, deployment->attempt) != NULL) {
        pthread_mutex_unlock(&runtime->mutex);
        return refuse(deployment, error_set(err, STATUS_EXISTS, "deploy: attempt %llu is here",
                                            (unsigned long long)deployment->attempt.value));
    }
    struct entry *entry = allocate(sizeof(*entry));
    entry->attempt = deployment->attempt;
    entry->graph = shared_job_graph_ref(graph);
    entry->next = runtime->entries;
    runtime->entries = entry;
    /* Under the mutex: the task may end at once, but leaves the table only after this. */
    entry->task = worker_add(runtime->workers[deployment->slot], &config, entry);
    pthread_mutex_unlock(&runtime->mutex);
    return STATUS_OK;
}

/* Takes the mail. */
static void send_mail(struct task_runtime *runtime, struct attempt_id attempt, struct mail *mail)
{
    pthread_mutex_lock(&runtime->mutex);
    struct entry *entry = find_entry(runtime, attempt);
    if (entry != NULL)
        task_send(worker_task_get(entry->task), mail);
    pthread_mutex_unlock(&runtime->mutex);
    if (entry == NULL)
        mail_destroy(mail);
}

void task_runtime_cancel(struct task_runtime *runtime, struct attempt_id attempt)
{
    send_mail(runtime, attempt, mail_create(MAIL_CANCEL));
}

void task_runtime_trigger(struct task_runtime *runtime, struct attempt_id attempt,
                          const struct barrier *barrier)
{
    struct mail *mail = mail_create(MAIL_TRIGGER);
    mail->barrier = *barrier;
    send_mail(runtime, attempt, mail);
}

void task_runtime_abort(struct task_runtime *runtime, struct attempt_id attempt,
                        struct checkpoint_id id)
{
    struct mail *mail = mail_create(MAIL_ABORT);
    mail->id = id;
    send_mail(runtime, attempt, mail);
}

void task_runtime_completed(struct task_runtime *runtime, struct attempt_id attempt,
                            struct checkpoint_id id)
{
    struct mail *mail = mail_create(MAIL_COMPLETED);
    mail->id = id;
    send_mail(runtime, attempt, mail);
}

void task_runtime_assign_splits(struct task_runtime *runtime, struct attempt_id attempt,
                                struct split_list *splits, bool is_last)
{
    struct mail *mail = mail_create(MAIL_SPLITS);
    mail->splits = *splits;
    *splits = (struct split_list){0};
    mail->is_last = is_last;
    send_mail(runtime, attempt, mail);
}

void task_runtime_align(struct task_runtime *runtime, struct attempt_id attempt, int64_t limit_ms)
{
    struct mail *mail = mail_create(MAIL_ALIGN);
    mail->limit_ms = limit_ms;
    send_mail(runtime, attempt, mail);
}

void task_runtime_finish(struct task_runtime *runtime, struct attempt_id attempt)
{
    send_mail(runtime, attempt, mail_create(MAIL_FINISH));
}

uint32_t task_runtime_read(struct task_runtime *runtime, struct task_status_line *lines,
                           uint32_t capacity)
{
    uint32_t count = 0;
    pthread_mutex_lock(&runtime->mutex);
    for (struct entry *entry = runtime->entries; entry != NULL && count < capacity;
         entry = entry->next) {
        const struct task *task = worker_task_get(entry->task);
        lines[count].job = task_job(task);
        lines[count].attempt = entry->attempt;
        task_read_counters(task, &lines[count++].counters);
    }
    pthread_mutex_unlock(&runtime->mutex);
    return count;
}
