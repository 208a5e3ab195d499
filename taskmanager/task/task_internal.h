/* The struct of a task, shared by the files that make it up: task.c (life and turns), task_build.c
 * (from the deployment), task_input.c (channels), task_checkpoint.c (snapshots). */
#ifndef TASKMANAGER_TASK_TASK_INTERNAL_H
#define TASKMANAGER_TASK_TASK_INTERNAL_H

#include "common/base/late_counters.h"
#include "taskmanager/task/aligner.h"
#include "taskmanager/task/chain.h"
#include "taskmanager/task/source_driver.h"
#include "taskmanager/task/task.h"
#include "taskmanager/task/watermarks.h"

struct task_input {
    struct channel_input *channel;
    uint16_t input; /* of the first operator */
    bool has_ended;
};

/* What one element of a channel can set off: watermark, idle or active, barrier, end. */
#define TASK_PENDING_MAX 8

enum task_stage {
    STAGE_NEW,
    STAGE_OPENING_BACKEND,
    STAGE_RECOVERING, /* operators are open, sinks recover */
    STAGE_RUNNING,
    STAGE_DRAINED,         /* end of input has left the chain and was reported */
    STAGE_CLOSING,         /* waits for pooled calls */
    STAGE_CLOSING_BACKEND, /* waits for the backend's end, a pooled call too */
    STAGE_ENDED,
};

struct task {
    struct task_config config;
    struct task_deployment *deployment;
    const struct job_vertex *vertex;
    struct waker *waker;
    struct mailbox mailbox;
    struct mail *early; /* came before operators were open, oldest first */
    enum task_stage stage;
    uint32_t depth;
    _Atomic uint32_t pooled_calls; /* run_blocking calls that have not returned */

    struct chain chain;
    bool has_chain;
    struct keyed_backend *keyed;
    struct source_driver *source; /* the first operator's, or NULL */
    struct task_input *inputs;
    uint32_t input_count;
    uint32_t input_next;  /* where the next look begins */
    uint32_t ended_count; /* inputs */
    struct aligner aligner;
    struct watermarks watermarks;
    bool was_held;   /* the last turn ended with rows that cannot go on */
    int64_t held_us; /* so long in all since the source's times were looked at */
    struct element pending[TASK_PENDING_MAX];
    uint32_t pending_count;
    bool has_ended; /* end of input was started: nothing else follows */

    struct barrier trigger;      /* from the coordinator, not yet acted upon; id 0: none */
    uint64_t aborted;            /* this and earlier checkpoints were given up */
    struct task_state *snapshot; /* waits for the backend to make it durable; NULL: none */
    struct checkpoint_id snapshot_id;
    int64_t snapshot_us;
    struct checkpoint_id told; /* completed checkpoint being told to the operators; 0: none */
    bool must_finish;

    int64_t now_us;
    int64_t flush_us;   /* when operators are to flush; INT64_MAX: nothing is held back */
    int64_t flushed_us; /* when they last did */
    bool has_flush;     /* some operator has the hook */
    int64_t buffer_timeout_us;
    int64_t wake_us;

    enum task_phase outcome; /* while closing */
    struct error error;      /* of outcome FAILED */
    struct id128 lost_peer;
    char failed_record[CHAIN_RECORD_BYTES]; /* "": no row did it */

    /* counters, written by the worker */
    _Atomic uint64_t rows_in;
    _Atomic uint64_t bytes_in;
    _Atomic uint64_t rows_out;
    _Atomic uint64_t bytes_out;
    _Atomic uint64_t errors;
    struct late_counters late;
    _Atomic uint64_t busy_us;
    _Atomic uint64_t idle_us;
    _Atomic uint64_t blocked_us;
    _Atomic int64_t watermark_ms;
    _Atomic bool is_time_idle;
    _Atomic bool is_time_aligned;
    struct shared_text waits_for;
    _Atomic uint64_t records_lag_max;
    _Atomic bool has_lag;
    _Atomic uint64_t state_keys;
    _Atomic uint64_t state_bytes;
    _Atomic uint32_t operator_count; /* of the next two */
    _Atomic uint64_t operator_rows_in[TASK_COUNTERS_OPERATOR_MAX];
    _Atomic uint64_t operator_rows_out[TASK_COUNTERS_OPERATOR_MAX];
    int64_t state_counted_us; /* when the two were taken */
    int64_t turn_end_us;
    bool was_blocked;
    bool was_waiting;
};

/* task.c */
void task_event_init(const struct task *task, struct task_event *event, enum task_event_kind kind);
void task_emit(struct task *task, const struct task_event *event);

/* task_counters.c: at the end of a turn that began at start_us. */
void task_sum_counters(struct task *task);
void task_count_turn(struct task *task, int64_t start_us);

/* task_build.c: chain, edges and inputs from deployment and graph. */
enum status task_build(struct task *task, struct error *err) MUST_CHECK;
/* Opens the operators and restores them. */
enum status task_open(struct task *task, struct error *err) MUST_CHECK;
/* The entries of one operator in the restored state. */
struct snapshot_reader task_restored_entries(const struct task *task, const char *uid,
                                             struct snapshot_entry **ret_entries);
/* Pooled call counted against the end of the task; context is the task. */
void task_run_blocking(void *context, void (*run)(void *argument), void *argument);

/* task_input.c */
enum task_poll {
    TASK_POLL_STARTED, /* something entered the chain */
    TASK_POLL_AGAIN,
    TASK_POLL_NOTHING,
    TASK_POLL_FAILED,
};
enum task_poll task_poll_inputs(struct task *task, struct error *err);
enum task_poll task_poll_source(struct task *task, struct error *err);
void task_add_pending(struct task *task, struct element element);
void task_on_event_time(void *context, uint32_t split, int64_t max_ms);

/* task_checkpoint.c */
void task_on_waits_for(void *context, const char *reason);
enum status task_on_barrier(void *context, const struct barrier *barrier, struct error *err);
enum status task_snapshot(struct task *task, const struct barrier *barrier, bool is_finished,
                          struct error *err) MUST_CHECK;
void task_on_trigger(struct task *task, const struct barrier *barrier);
void task_on_abort(struct task *task, struct checkpoint_id id);
/* Acknowledges or declines what the backend has ended. */
void task_poll_snapshot(struct task *task);
void task_abort_snapshot(struct task *task);
void task_decline(struct task *task, struct checkpoint_id id, const char *reason);

#endif
