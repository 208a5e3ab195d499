/* Tasks of a TaskManager: orders down, reports up. */
#include "common/base/allocate.h"
#include "taskmanager/control/control_state.h"

#include <string.h>

static struct control_task *find_task(struct control *control, struct attempt_id attempt)
{
    for (size_t i = 0; i < control->task_count; i++)
        if (control->tasks[i].attempt.value == attempt.value)
            return &control->tasks[i];
    return NULL;
}

static struct control_action *command(struct control *control, enum control_action_kind kind,
                                      const struct control_task *task)
{
    struct control_action *action = control_act(control, kind);
    action->job = task->job;
    action->attempt = task->attempt;
    return action;
}

static void report(struct control *control, enum message_kind kind, const struct control_task *task,
                   struct message *message)
{
    message->kind = kind;
    message->job = task->job;
    message->attempt = task->attempt;
    control_send(control, message);
}

/* ---- orders ---- */

static void cancel(struct control *control, struct control_task *task)
{
    if (task->is_canceling)
        return;
    task->is_canceling = true;
    (void)command(control, CONTROL_CANCEL, task);
}

void control_cancel_all(struct control *control)
{
    for (size_t i = 0; i < control->task_count; i++)
        cancel(control, &control->tasks[i]);
}

static void refuse_task(struct control *control, const struct task_deployment *deployment,
                        const char *reason)
{
    const struct control_task task = {.job = deployment->job, .attempt = deployment->attempt};
    struct message *message = message_create(MESSAGE_TASK_UPDATE);
    message->task_update.status = TASK_FAILED;
    message->task_update.failure =
        (struct task_failure){.code = STATUS_UNAVAILABLE, .message = copy_text(reason)};
    report(control, MESSAGE_TASK_UPDATE, &task, message);
}

static const char *why_not(const struct control *control, const struct task_deployment *deployment)
{
    if (deployment->slot >= control->config.registration.slot_count)
        return "this TaskManager has no such slot";
    for (size_t i = 0; i < control->task_count; i++) {
        const struct control_task *task = &control->tasks[i];
        if (task->slot == deployment->slot && !id128_equals(task->job.value, deployment->job.value))
            return "the slot is still held by a task of another job";
    }
    return NULL;
}

static void deploy(struct control *control, struct message *message)
{
    struct shared_graph *graph = allocate(sizeof(*graph) + message->deploy.graph_size + 1);
    graph->size = message->deploy.graph_size;
    memcpy(graph->bytes, message->deploy.graph, graph->size);
    for (size_t i = 0; i < message->deploy.task_count; i++) {
        struct task_deployment *deployment = &message->deploy.tasks[i];
        if (find_task(control, deployment->attempt) != NULL) {
            control->session.stale_count++;
            continue;
        }
        const char *problem = why_not(control, deployment);
        if (problem != NULL) {
            refuse_task(control, deployment, problem);
            continue;
        }
        struct control_task *task =
            &array_push(control->tasks, control->task_count, control->task_capacity);
        *task = (struct control_task){.job = deployment->job,
                                      .attempt = deployment->attempt,
                                      .slot = deployment->slot,
                                      .floor = deployment->floor,
                                      .completed = deployment->restore};
        struct control_action *action = command(control, CONTROL_DEPLOY, task);
        action->deploy.deployment = allocate(sizeof(*deployment));
        *action->deploy.deployment = *deployment;
        *deployment = (struct task_deployment){0};
        action->deploy.graph = graph;
        graph->references++;
    }
    if (graph->references == 0)
        free(graph);
}

static void trigger(struct control *control, struct control_task *task,
                    const struct message_checkpoint *order)
{
    if (task->is_canceling || order->checkpoint.value < task->floor.value ||
        order->checkpoint.value <= task->triggered.value) {
        control->session.stale_count++;
        return;
    }
    task->triggered = order->checkpoint;
    struct control_action *action = command(control, CONTROL_TRIGGER, task);
    action->checkpoint.checkpoint = order->checkpoint;
    action->checkpoint.completed = order->completed;
    action->checkpoint.is_final = order->is_final;
}

static void abort_checkpoint(struct control *control, struct control_task *task,
                             const struct message_checkpoint *order)
{
    if (task->is_canceling || order->checkpoint.value < task->floor.value)
        return;
    if (order->checkpoint.value > task->answered.value)
        task->answered = order->checkpoint;
    struct control_action *action = command(control, CONTROL_ABORT, task);
    action->checkpoint.checkpoint = order->checkpoint;
    action->checkpoint.completed = order->completed;
    action->checkpoint.reason = copy_text_or_empty(order->reason);
}

/* Up to this one everything is complete; what is older than that says nothing new. */
static void complete(struct control *control, struct control_task *task,
                     const struct message_checkpoint *order)
{
    if (task->is_canceling || order->checkpoint.value <= task->completed.value) {
        control->session.stale_count++;
        return;
    }
    task->completed = order->checkpoint;
    struct control_action *action = command(control, CONTROL_COMPLETED, task);
    action->checkpoint.checkpoint = order->checkpoint;
    action->checkpoint.completed = order->checkpoint;
}

static void order_task(struct control *control, struct control_task *task,
                       const struct message *message)
{
    if (message->kind == MESSAGE_CANCEL)
        cancel(control, task);
    else if (message->kind == MESSAGE_TRIGGER)
        trigger(control, task, &message->checkpoint);
    else if (message->kind == MESSAGE_ABORT)
        abort_checkpoint(control, task, &message->checkpoint);
    else if (message->kind == MESSAGE_COMPLETED)
        complete(control, task, &message->checkpoint);
    else if (message->kind == MESSAGE_FINISH && !task->is_canceling)
        (void)command(control, CONTROL_FINISH, task);
}

static void give_splits(struct control *control, struct message *message)
{
    const struct control_task *task = find_task(control, message->attempt);
    if (task == NULL || task->is_canceling) {
        control->session.stale_count++;
        return;
    }
    struct control_action *action = command(control, CONTROL_SPLITS, task);
    action->splits.operator_index = message->splits.operator_index;
    action->splits.is_last = message->splits.is_last;
    action->splits.splits = message->splits.splits;
    message->splits.splits = (struct source_split_list){0};
}

void control_on_order(struct control *control, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_DEPLOY:
        deploy(control, message);
        break;
    case MESSAGE_SPLITS:
        give_splits(control, message);
        break;
    case MESSAGE_CANCEL:
    case MESSAGE_TRIGGER:
    case MESSAGE_ABORT:
    case MESSAGE_COMPLETED:
    case MESSAGE_FINISH:
        for (size_t i = 0; i < message->targets.count; i++) {
            struct control_task *task = find_task(control, message->targets.attempts[i]);
            if (task != NULL)
                order_task(control, task, message);
            else
                control->session.stale_count++; /* it has ended meanwhile */
        }
        break;
    case MESSAGE_HEARTBEAT_REPLY:
        for (size_t i = 0; message->targets.limits_ms != NULL && i < message->targets.count; i++) {
            const struct control_task *task = find_task(control, message->targets.attempts[i]);
            if (task != NULL && !task->is_canceling)
                command(control, CONTROL_ALIGN, task)->limit_ms = message->targets.limits_ms[i];
        }
        break;
    case MESSAGE_NONE:
    case MESSAGE_REGISTER:
    case MESSAGE_HEARTBEAT:
    case MESSAGE_TASK_UPDATE:
    case MESSAGE_ACKNOWLEDGE:
    case MESSAGE_DECLINE:
    case MESSAGE_DRAINED:
    case MESSAGE_WANT_SPLITS:
    case MESSAGE_REGISTERED:
    case MESSAGE_REFUSED:
    case MESSAGE_KIND_COUNT:
        break;
    }
}

/* ---- reports ---- */

static void on_status(struct control *control, struct control_task *task,
                      const struct control_event *event)
{
    const enum task_status status = event->task_status.status;
    struct message *message = message_create(MESSAGE_TASK_UPDATE);
    message->task_update.status = status;
    if (status == TASK_FAILED && event->task_status.failure != NULL)
        task_failure_copy(&message->task_update.failure, event->task_status.failure);
    report(control, MESSAGE_TASK_UPDATE, task, message);
    if (!task_status_is_terminal(status))
        return;
    const size_t place = (size_t)(task - control->tasks);
    control->task_count--;
    memmove(task, task + 1, (control->task_count - place) * sizeof(*task));
}

/* true: nothing was answered to this checkpoint yet. Its barrier may have overtaken its trigger. */
static bool is_awaited(struct control_task *task, struct checkpoint_id checkpoint)
{
    if (task->is_canceling || checkpoint.value <= task->answered.value)
        return false;
    task->answered = checkpoint;
    return true;
}

static void on_acknowledge(struct control *control, struct control_task *task,
                           const struct control_event *event)
{
    /* Also when it is too late: the JobManager removes the files that it names. */
    (void)is_awaited(task, event->acknowledge.checkpoint);
    struct message *message = message_create(MESSAGE_ACKNOWLEDGE);
    message->acknowledge.checkpoint = event->acknowledge.checkpoint;
    message->acknowledge.state = *event->acknowledge.state;
    free(event->acknowledge.state);
    report(control, MESSAGE_ACKNOWLEDGE, task, message);
}

static void on_decline(struct control *control, struct control_task *task,
                       const struct control_event *event)
{
    if (!is_awaited(task, event->decline.checkpoint))
        return;
    struct message *message = message_create(MESSAGE_DECLINE);
    message->decline.checkpoint = event->decline.checkpoint;
    message->decline.reason = copy_text_or_empty(event->decline.reason);
    report(control, MESSAGE_DECLINE, task, message);
}

void control_on_task_event(struct control *control, const struct control_event *event)
{
    struct control_task *task = find_task(control, event->attempt);
    if (task == NULL) {
        if (event->kind == CONTROL_EVENT_TASK_ACKNOWLEDGE) {
            task_state_done(event->acknowledge.state);
            free(event->acknowledge.state);
        }
        return;
    }
    struct message *message;
    switch (event->kind) {
    case CONTROL_EVENT_TASK_STATUS:
        on_status(control, task, event);
        break;
    case CONTROL_EVENT_TASK_ACKNOWLEDGE:
        on_acknowledge(control, task, event);
        break;
    case CONTROL_EVENT_TASK_DECLINE:
        on_decline(control, task, event);
        break;
    case CONTROL_EVENT_TASK_DRAINED:
        report(control, MESSAGE_DRAINED, task, message_create(MESSAGE_DRAINED));
        break;
    case CONTROL_EVENT_TASK_WANTS_SPLITS:
        message = message_create(MESSAGE_WANT_SPLITS);
        message->want_splits.operator_index = event->wants_splits.operator_index;
        report(control, MESSAGE_WANT_SPLITS, task, message);
        break;
    case CONTROL_EVENT_START:
    case CONTROL_EVENT_CONNECTED:
    case CONTROL_EVENT_DISCONNECTED:
    case CONTROL_EVENT_MESSAGE:
    case CONTROL_EVENT_TICK:
    case CONTROL_EVENT_METRICS:
    case CONTROL_EVENT_REGISTRATION:
        break;
    }
}
