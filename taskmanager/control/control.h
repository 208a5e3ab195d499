/*
 * The TaskManager's control: registration, lease, life of the tasks and the order of checkpoint
 * commands, as a deterministic state machine of the same kind as the JobManager's core.
 *
 * control_step takes one event and the time and appends actions; it never blocks. Tasks are run by
 * somebody else (the task runtime, or the simulator's model), who executes the commands of one
 * attempt in their order and reports back by events. One thread.
 *
 * Rules that hold for whoever runs tasks:
 * - every CONTROL_DEPLOY is answered by task states up to exactly one terminal one;
 * - CANCEL leads to CANCELED (or FAILED, FINISHED if that came first);
 * - after TRIGGER n comes one acknowledgement or decline of n, unless ABORT n or CANCEL came first;
 * - splits that come after TRIGGER n are not in the task's snapshot n: the JobManager's part of n
 *   holds them as not yet given (a barrier that overtook its trigger cannot reach a source);
 * - files of a checkpoint that was not announced complete must never be referenced again.
 *
 * A TaskManager that has lost its leader cancels its tasks at once, waits until they have ended,
 * and registers again with empty slots; the back-off runs from 10 ms to 5 s with jitter.
 */
#ifndef TASKMANAGER_CONTROL_CONTROL_H
#define TASKMANAGER_CONTROL_CONTROL_H

#include "common/base/log.h"
#include "common/rpc/message.h"

#define CONTROL_NEVER                     INT64_MAX
#define CONTROL_RECONNECT_FIRST_MS        10
#define CONTROL_RECONNECT_MAX_MS          5000
#define CONTROL_REGISTRATION_TIMEOUT_MS   10000
#define CONTROL_HEARTBEAT_UNREGISTERED_MS 5000

struct control_config {
    struct id128 incarnation;             /* of this process */
    struct message_register registration; /* copied and sent at every registration */
};

enum control_event_kind {
    CONTROL_EVENT_START, /* once, first */
    CONTROL_EVENT_CONNECTED,
    CONTROL_EVENT_DISCONNECTED, /* also when a dial fails */
    CONTROL_EVENT_MESSAGE,
    CONTROL_EVENT_TICK,
    CONTROL_EVENT_TASK_STATUS,      /* INITIALIZING, RUNNING, FINISHED, CANCELED, FAILED */
    CONTROL_EVENT_TASK_ACKNOWLEDGE, /* its files are durable */
    CONTROL_EVENT_TASK_DECLINE,
    CONTROL_EVENT_TASK_DRAINED, /* all input ended, all output emitted, FINISH awaited */
    CONTROL_EVENT_TASK_WANTS_SPLITS,
    CONTROL_EVENT_METRICS,      /* replaces what the next heartbeats carry */
    CONTROL_EVENT_REGISTRATION, /* token or address changed: used from the next registration on */
};

struct control_event {
    enum control_event_kind kind;
    uint64_t connection;       /* CONNECTED, DISCONNECTED, MESSAGE: as in CONTROL_CONNECT */
    struct attempt_id attempt; /* events of tasks */
    union {
        struct {
            const char *reason;
            const char *local_host; /* CONNECTED: of this end, advertised if none is configured */
        } connection_change;
        struct message *message; /* taken, decoded */
        struct {
            enum task_status status;
            const struct task_failure *failure; /* of FAILED; borrowed */
        } task_status;
        struct {
            struct checkpoint_id checkpoint;
            struct task_state *state; /* taken: heap, content and struct */
        } acknowledge;
        struct {
            struct checkpoint_id checkpoint;
            const char *reason;
        } decline;
        struct {
            uint32_t operator_index;
        } wants_splits;
        const struct message_heartbeat *metrics;     /* copied */
        const struct message_register *registration; /* copied */
    };
};

enum control_action_kind {
    CONTROL_CONNECT, /* dial the JobManager (resolve its name anew), under this connection id */
    CONTROL_CLOSE,   /* answered by no event: the connection is forgotten */
    CONTROL_SEND,
    /* commands to the task runtime */
    CONTROL_DEPLOY,
    CONTROL_CANCEL,
    CONTROL_TRIGGER,
    CONTROL_ABORT,
    CONTROL_COMPLETED, /* everything up to this checkpoint is complete */
    CONTROL_SPLITS,
    CONTROL_ALIGN,  /* a source is to wait beyond that event time */
    CONTROL_FINISH, /* a drained task may end: state FINISHED */
    CONTROL_LOG,
};

/* An encoded graph shared by the tasks of one deployment. */
struct shared_graph {
    uint32_t references;
    size_t size;
    char bytes[];
};

struct control_action {
    enum control_action_kind kind;
    uint64_t connection; /* CONNECT, CLOSE, SEND */
    struct job_id job;
    struct attempt_id attempt; /* of commands */
    union {
        struct {
            char *reason;
        } close;
        struct message *message; /* owned by the action */
        struct {
            struct shared_graph *graph;         /* a reference, released with the action */
            struct task_deployment *deployment; /* owned by the action; take_pointer keeps it */
        } deploy;
        struct {
            struct checkpoint_id checkpoint;
            struct checkpoint_id completed; /* TRIGGER: newest complete */
            bool is_final;
            char *reason; /* ABORT */
        } checkpoint;
        struct {
            uint32_t operator_index;
            struct source_split_list splits; /* owned by the action */
            bool is_last;
        } splits;
        int64_t limit_ms; /* ALIGN */
        struct {
            enum log_level level;
            const char *event;
            char *text;
        } log;
    };
};

struct control_output {
    struct control_action *actions;
    size_t count;
    size_t capacity;
    int64_t next_tick_ms; /* when CONTROL_EVENT_TICK is wanted at the latest; CONTROL_NEVER */
};

void control_output_clear(struct control_output *output);
void control_output_done(struct control_output *output);

struct control;

/* Copies the configuration. seed: of the back-off's jitter. */
struct control *control_create(const struct control_config *config, uint64_t seed)
    __attribute__((returns_nonnull, warn_unused_result));
void control_destroy(struct control *control);
DEFINE_SCOPED(struct control, control_destroy)

void control_step(struct control *control, const struct control_event *event, int64_t now_ms,
                  struct control_output *output);

struct control_overview {
    bool is_registered;
    uint64_t leader_epoch;
    uint32_t task_count; /* not ended */
    uint64_t stale_message_count;
    uint64_t duplicate_message_count;
    const char *last_problem; /* why it is not registered; "" if there was none */
};

void control_get_overview(const struct control *control, struct control_overview *ret_overview);

#endif
