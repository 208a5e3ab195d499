/* What the files of the control share: control.c has the connection, control_tasks.c the tasks. */
#ifndef TASKMANAGER_CONTROL_CONTROL_STATE_H
#define TASKMANAGER_CONTROL_CONTROL_STATE_H

#include "common/base/random.h"
#include "taskmanager/control/control.h"

enum control_phase {
    CONTROL_PHASE_IDLE,
    CONTROL_PHASE_DIALING,
    CONTROL_PHASE_REGISTERING,
    CONTROL_PHASE_MEMBER,
};

/* A task that has not ended. */
struct control_task {
    struct job_id job;
    struct attempt_id attempt;
    uint32_t slot;
    bool is_canceling;
    struct checkpoint_id floor;     /* no checkpoint below it concerns this attempt */
    struct checkpoint_id triggered; /* newest trigger handed on */
    struct checkpoint_id answered;  /* newest one acknowledged, declined or aborted */
    struct checkpoint_id completed; /* newest one announced */
};

struct control {
    struct control_config config;
    struct random random;
    enum control_phase phase;
    uint64_t connection;
    struct message_session session;
    uint64_t sent_sequence;
    int64_t due_ms;   /* next dial, end of the registration, or next heartbeat */
    int64_t heard_ms; /* last message of the JobManager */
    int64_t backoff_ms;
    int64_t heartbeat_interval_ms;
    int64_t heartbeat_timeout_ms;
    struct message_heartbeat metrics;
    struct control_task *tasks; /* in order of deployment */
    size_t task_count;
    size_t task_capacity;
    uint64_t stale_count;
    uint64_t duplicate_count;
    char *last_problem;
    int64_t now_ms;
    struct control_output *output;
};

struct control_action *control_act(struct control *control, enum control_action_kind kind);
void control_log(struct control *control, enum log_level level, const char *event,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Takes the message; drops it while there is no leader. */
void control_send(struct control *control, struct message *message);

void control_cancel_all(struct control *control);
void control_on_order(struct control *control, struct message *message);
void control_on_task_event(struct control *control, const struct control_event *event);

#endif
