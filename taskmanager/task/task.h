/*
 * One attempt of one subtask: its channels, its chain of operators, its checkpoints.
 *
 * Life: DEPLOYING (keyed state is opened elsewhere) -> INITIALIZING (operators open, restore;
 * sinks recover) -> RUNNING -> FINISHED, CANCELED or FAILED. A task whose input has ended reports
 * DRAINED, stays RUNNING, takes part in checkpoints, and ends when it is told to finish.
 *
 * Holds no thread, lock, socket or file. task_run is called by one thread at a time; task_send
 * from any. Events come out of task_run.
 */
#ifndef TASKMANAGER_TASK_TASK_H
#define TASKMANAGER_TASK_TASK_H

#include "common/base/late_counters.h"
#include "common/base/shared_text.h"
#include "common/graph/deployment.h"
#include "taskmanager/exchange/exchange.h"
#include "taskmanager/task/keyed_backend.h"
#include "taskmanager/task/mailbox.h"

enum task_phase {
    TASK_PHASE_DEPLOYING,
    TASK_PHASE_INITIALIZING,
    TASK_PHASE_RUNNING,
    TASK_PHASE_FINISHED,
    TASK_PHASE_CANCELED,
    TASK_PHASE_FAILED,
};

enum task_event_kind {
    TASK_EVENT_PHASE,
    TASK_EVENT_ACKNOWLEDGE, /* the checkpoint's files are durable */
    TASK_EVENT_DECLINE,
    TASK_EVENT_DRAINED,
    TASK_EVENT_WANTS_SPLITS,
    TASK_EVENT_COMMITTED, /* every operator has been told of the completed checkpoint */
};

/* Everything is borrowed for the call, but the state of an acknowledgement may be taken. */
struct task_event {
    enum task_event_kind kind;
    struct job_id job;
    struct attempt_id attempt;
    enum task_phase phase;     /* PHASE */
    const struct error *error; /* PHASE FAILED */
    struct id128 lost_peer;    /* PHASE FAILED: the TaskManager whose channel broke, or none */
    const char *record;        /* PHASE FAILED: what identifies the row that failed, or NULL */
    struct checkpoint_id id;   /* ACKNOWLEDGE, DECLINE, COMMITTED */
    struct task_state **state; /* ACKNOWLEDGE: heap; set to NULL when taken */
    const char *reason;        /* DECLINE */
    uint32_t operator_index;   /* WANTS_SPLITS: in the job graph */
};

/* What the wiring provides. */
struct task_host {
    void *context;
    void (*on_event)(void *context, const struct task_event *event);
    /* Runs on a pooled thread that may block. */
    void (*run_blocking)(void *context, void (*run)(void *argument), void *argument);
    /* Opens and restores the keyed state of the chain; on a pooled thread, may block. NULL if no
     * operator of this process has keyed state. */
    enum status (*open_backend)(void *context, const struct task_deployment *deployment,
                                const struct job_graph *graph, struct memory_account *account,
                                struct waker *waker, struct keyed_backend **ret_backend,
                                struct error *err);
};

struct task_config {
    struct task_deployment *deployment;          /* taken, heap */
    const struct job_graph *graph;               /* outlives the task */
    const struct operator_ops *const *operators; /* ends in NULL */
    const struct connector_registry *connectors;
    struct exchange *exchange;
    const struct clock *clock;
    struct memory_account *account; /* of operators' data */
    struct memory_account *exchange_account;
    struct waker *waker; /* of this task; a reference is taken */
    struct task_host host;
};

struct task;

struct task *task_create(const struct task_config *config)
    __attribute__((returns_nonnull, warn_unused_result));
/* Only after TURN_ENDED. */
void task_destroy(struct task *task);

/* Takes the mail and wakes the task. */
void task_send(struct task *task, struct mail *mail);

enum task_turn {
    TURN_AGAIN, /* there is more to do at once */
    TURN_WAIT,  /* until a wake, or until task_wake_us */
    TURN_ENDED, /* the terminal phase has been reported; nothing runs any more */
};

enum task_turn task_run(struct task *task, int64_t deadline_us);
/* After TURN_WAIT: when to run without a wake; INT64_MAX: never. */
int64_t task_wake_us(const struct task *task);
/* Distance from the sources: the greater, the nearer the sink. */
uint32_t task_depth(const struct task *task);

#define TASK_COUNTERS_OPERATOR_MAX 24

/* A snapshot of the counters; any thread, while the task exists. */
struct task_counters {
    uint64_t rows_in;
    uint64_t rows_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t busy_us;
    uint64_t idle_us;
    uint64_t blocked_us;                      /* no room downstream */
    uint64_t errors;                          /* rows skipped or sent to `errors` */
    uint64_t late;                            /* rows that came after their windows */
    uint64_t late_buckets[LATE_BUCKET_COUNT]; /* of them, by how late: late_counters.h */
    uint64_t state_keys; /* estimates, half a second old at most while the task runs */
    uint64_t state_bytes;
    int64_t watermark_ms;     /* WATERMARK_NONE: none yet */
    uint64_t records_lag_max; /* of a source, if has_lag: see reader_ops */
    bool has_lag;
    bool is_time_idle;                 /* it does not hold event time back */
    bool is_time_aligned;              /* a source of an alignment group */
    char waits_for[SHARED_TEXT_BYTES]; /* what an operator waits for outside; "" */
    /* By place in the chain; operators beyond the maximum are left out. */
    uint32_t operator_count;
    uint64_t operator_rows_in[TASK_COUNTERS_OPERATOR_MAX];
    uint64_t operator_rows_out[TASK_COUNTERS_OPERATOR_MAX];
};
void task_read_counters(const struct task *task, struct task_counters *ret_counters);
struct job_id task_job(const struct task *task);
struct attempt_id task_attempt(const struct task *task);

#endif
