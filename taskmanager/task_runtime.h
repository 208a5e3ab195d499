/*
 * Runs tasks: slots with their threads, the exchange, the pool for blocking calls, and the commands
 * of the control plane. What the daemon and the tests call.
 *
 * Commands for attempts that are not here (any more) are dropped: whoever sends them learns from
 * the events what became of an attempt. Every deployed attempt ends in exactly one terminal event.
 *
 * Threads: any; the callback comes from workers, two at a time for different tasks, and must not
 * call back into the runtime under a lock that its own callers hold.
 */
#ifndef TASKMANAGER_TASK_RUNTIME_H
#define TASKMANAGER_TASK_RUNTIME_H

#include "common/config/secrets.h"
#include "taskmanager/task/task.h"

/* A job graph shared by the tasks of a job. */
struct shared_job_graph {
    _Atomic uint32_t references;
    struct job_graph *graph;
};

/* Takes the graph; one reference. */
struct shared_job_graph *shared_job_graph_create(struct job_graph *graph)
    __attribute__((returns_nonnull, warn_unused_result));
/* Decodes a graph and gives the connectors of this process their secrets. */
enum status shared_job_graph_decode(const char *bytes, size_t size,
                                    const struct secret_places *secrets,
                                    struct shared_job_graph **ret_graph,
                                    struct error *err) MUST_CHECK;
struct shared_job_graph *shared_job_graph_ref(struct shared_job_graph *graph);
void shared_job_graph_unref(struct shared_job_graph *graph);

struct task_runtime_config {
    uint32_t slot_count;
    uint32_t blocking_thread_max;
    const char *cluster_id;
    struct id128 incarnation;
    struct transport *transport;                 /* borrowed; NULL: all tasks are in this process */
    const char *data_address;                    /* "host:port" to listen at */
    struct memory_account *exchange;             /* account of channels */
    struct memory_account *tasks;                /* account of operators' data */
    uint32_t max_record_bytes;                   /* pipeline.max-record-size */
    const struct operator_ops *const *operators; /* ends in NULL */
    const struct connector_registry *connectors;
    const struct clock *clock;
    /* See struct task_host; with backend_context. NULL: tasks with keyed state are refused. */
    enum status (*open_backend)(void *context, const struct task_deployment *deployment,
                                const struct job_graph *graph, struct memory_account *account,
                                struct waker *waker, struct keyed_backend **ret_backend,
                                struct error *err);
    void *backend_context;
    void (*on_event)(void *context, const struct task_event *event);
    void *event_context;
};

struct task_runtime;

enum status task_runtime_create(const struct task_runtime_config *config,
                                struct task_runtime **ret_runtime, struct error *err) MUST_CHECK;
/* Cancels what still runs and waits for its end. */
void task_runtime_destroy(struct task_runtime *runtime);

/* What peers dial for data; NULL without a transport. */
const char *task_runtime_data_address(const struct task_runtime *runtime);

/* Takes the deployment (heap), also on failure; refers to the graph. Refused: a slot that does not
 * exist, an attempt that is here already. Everything later comes as an event. */
enum status task_runtime_deploy(struct task_runtime *runtime, struct task_deployment *deployment,
                                struct shared_job_graph *graph, struct error *err) MUST_CHECK;
void task_runtime_cancel(struct task_runtime *runtime, struct attempt_id attempt);
void task_runtime_trigger(struct task_runtime *runtime, struct attempt_id attempt,
                          const struct barrier *barrier);
void task_runtime_abort(struct task_runtime *runtime, struct attempt_id attempt,
                        struct checkpoint_id id);
void task_runtime_completed(struct task_runtime *runtime, struct attempt_id attempt,
                            struct checkpoint_id id);
/* Takes the splits. */
void task_runtime_assign_splits(struct task_runtime *runtime, struct attempt_id attempt,
                                struct split_list *splits, bool is_last);
/* The source is to wait beyond that event time. */
void task_runtime_align(struct task_runtime *runtime, struct attempt_id attempt, int64_t limit_ms);
void task_runtime_finish(struct task_runtime *runtime, struct attempt_id attempt);

struct task_status_line {
    struct job_id job;
    struct attempt_id attempt;
    struct task_counters counters;
};

/* Counters of up to `capacity` tasks; returns how many. */
uint32_t task_runtime_read(struct task_runtime *runtime, struct task_status_line *lines,
                           uint32_t capacity);

#endif
