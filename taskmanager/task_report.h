/*
 * What a task tells, carried from its worker to the control: an event with everything it points to.
 */
#ifndef TASKMANAGER_TASK_REPORT_H
#define TASKMANAGER_TASK_REPORT_H

#include "taskmanager/control/control.h"
#include "taskmanager/task/task.h"
#include "taskmanager/task_runtime.h"

struct task_report {
    struct control_event event;
    struct task_failure failure;
    char *reason;
    bool is_taken; /* the control has the state of an acknowledgement */
};

/* Copies the event, and takes the state of an acknowledgement. Not for TASK_EVENT_COMMITTED. */
void task_report_init(struct task_report *report, const struct task_event *event);
/* A failure that the task itself cannot tell of: it was never deployed. */
void task_report_init_failed(struct task_report *report, struct attempt_id attempt,
                             const struct error *err);
void task_report_done(struct task_report *report);
/* For control_step; borrowed from the report. */
const struct control_event *task_report_event(struct task_report *report);

/* Counters of all tasks, as heartbeats carry them; task_report_metrics_done releases them. */
struct task_metrics *task_report_metrics(struct task_runtime *runtime, size_t *ret_count,
                                         bool *ret_is_aligned);
void task_report_metrics_done(struct task_metrics *metrics, size_t count);

#endif
