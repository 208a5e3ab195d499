/*
 * Registration, lease and tasks of a TaskManager.
 *
 *   IDLE --due, no task alive--> DIALING --connected--> REGISTERING --REGISTERED--> MEMBER
 *   any of them --disconnected, refused, timed out--> IDLE with a longer back-off
 */
#include "taskmanager/control/control.h"

#include "common/base/address.h"
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "taskmanager/control/control_state.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- output ---- */

static void graph_unref(struct shared_graph *graph)
{
    if (graph != NULL && --graph->references == 0)
        free(graph);
}

static void action_done(struct control_action *action)
{
    switch (action->kind) {
    case CONTROL_CLOSE:
        free(action->close.reason);
        break;
    case CONTROL_SEND:
        message_destroy(action->message);
        break;
    case CONTROL_DEPLOY:
        graph_unref(action->deploy.graph);
        if (action->deploy.deployment != NULL)
            task_deployment_done(action->deploy.deployment);
        free(action->deploy.deployment);
        break;
    case CONTROL_ABORT:
        free(action->checkpoint.reason);
        break;
    case CONTROL_SPLITS:
        source_split_list_done(&action->splits.splits);
        break;
    case CONTROL_LOG:
        free(action->log.text);
        break;
    case CONTROL_CONNECT:
    case CONTROL_CANCEL:
    case CONTROL_TRIGGER:
    case CONTROL_COMPLETED:
    case CONTROL_ALIGN:
    case CONTROL_FINISH:
        break;
    }
}

void control_output_clear(struct control_output *output)
{
    for (size_t i = 0; i < output->count; i++)
        action_done(&output->actions[i]);
    output->count = 0;
}

void control_output_done(struct control_output *output)
{
    control_output_clear(output);
    free(output->actions);
    *output = (struct control_output){0};
}

struct control_action *control_act(struct control *control, enum control_action_kind kind)
{
    struct control_output *output = control->output;
    struct control_action *action = &array_push(output->actions, output->count, output->capacity);
    action->kind = kind;
    return action;
}

void control_log(struct control *control, enum log_level level, const char *event,
                 const char *format, ...)
{
    struct control_action *action = control_act(control, CONTROL_LOG);
    action->log.level = level;
    action->log.event = event;
    va_list arguments;
    va_start(arguments, format);
    action->log.text = format_text_v(format, arguments);
    va_end(arguments);
}

void control_send(struct control *control, struct message *message)
{
    if (control->phase != CONTROL_PHASE_MEMBER && message->kind != MESSAGE_REGISTER) {
        message_destroy(message); /* there is nobody to tell */
        return;
    }
    message->sequence = ++control->sent_sequence;
    message->leader_epoch = control->session.leader_epoch;
    message->sender = control->config.incarnation;
    struct control_action *action = control_act(control, CONTROL_SEND);
    action->connection = control->connection;
    action->message = message;
}

/* ---- life ---- */

static void registration_copy(struct message_register *to, const struct message_register *from)
{
    *to = *from;
    to->version = copy_text_or_empty(from->version);
    to->cluster_id = copy_text_or_empty(from->cluster_id);
    to->name = copy_text_or_empty(from->name);
    to->host = copy_text_or_empty(from->host);
    to->data_address = copy_text_or_empty(from->data_address);
    to->checkpoint_directory = copy_text_or_empty(from->checkpoint_directory);
    to->token = copy_text_or_empty(from->token);
    to->token_error = copy_text_or_empty(from->token_error);
}

static void registration_done(struct message_register *registration)
{
    struct message message = {.kind = MESSAGE_REGISTER, .registration = *registration};
    message_done(&message);
}

static void metrics_copy(struct message_heartbeat *to, const struct message_heartbeat *from)
{
    *to = *from;
    to->tasks = NULL;
    if (from->task_count == 0)
        return;
    to->tasks = copy_memory(from->tasks, from->task_count * sizeof(*to->tasks));
    for (size_t i = 0; i < from->task_count; i++) {
        if (to->tasks[i].waits_for != NULL)
            to->tasks[i].waits_for = copy_text(to->tasks[i].waits_for);
    }
}

static void metrics_done(struct message_heartbeat *metrics)
{
    struct message message = {.kind = MESSAGE_HEARTBEAT, .heartbeat = *metrics};
    message_done(&message);
    *metrics = (struct message_heartbeat){0};
}

struct control *control_create(const struct control_config *config, uint64_t seed)
{
    CHECK(!id128_is_none(config->incarnation));
    struct control *control = allocate(sizeof(*control));
    control->config.incarnation = config->incarnation;
    registration_copy(&control->config.registration, &config->registration);
    random_init(&control->random, seed);
    control->backoff_ms = CONTROL_RECONNECT_FIRST_MS;
    return control;
}

void control_destroy(struct control *control)
{
    if (control == NULL)
        return;
    registration_done(&control->config.registration);
    metrics_done(&control->metrics);
    free(control->last_problem);
    free(control->tasks);
    free(control);
}

/* ---- connection ---- */

static void set_problem(struct control *control, const char *problem)
{
    free(control->last_problem);
    control->last_problem = copy_text(problem);
}

/* Back to the beginning: whatever runs here has lost its leader and stops at once. */
static void lose_leader(struct control *control, const char *reason)
{
    if (control->phase == CONTROL_PHASE_MEMBER)
        control_log(control, LOG_WARN, "jobmanager_lost", "%s", reason);
    else if (control->last_problem == NULL || strcmp(control->last_problem, reason) != 0)
        control_log(control, LOG_WARN, "jobmanager_not_reached", "%s; trying again", reason);
    control->stale_count += control->session.stale_count;
    control->duplicate_count += control->session.duplicate_count;
    control->session = (struct message_session){0};
    control->phase = CONTROL_PHASE_IDLE;
    set_problem(control, reason);
    const double swing = 0.5 + random_unit(&control->random) / 2;
    control->due_ms = control->now_ms + (int64_t)((double)control->backoff_ms * swing) + 1;
    control->backoff_ms *= 2;
    if (control->backoff_ms > CONTROL_RECONNECT_MAX_MS)
        control->backoff_ms = CONTROL_RECONNECT_MAX_MS;
    control_cancel_all(control);
}

static void break_connection(struct control *control, const char *reason)
{
    struct control_action *action = control_act(control, CONTROL_CLOSE);
    action->connection = control->connection;
    action->close.reason = copy_text(reason);
    lose_leader(control, reason);
}

static void send_registration(struct control *control, const char *local_host)
{
    control->phase = CONTROL_PHASE_REGISTERING;
    control->sent_sequence = 0;
    control->session = (struct message_session){0};
    control->due_ms = control->now_ms + CONTROL_REGISTRATION_TIMEOUT_MS;
    struct message *message = message_create(MESSAGE_REGISTER);
    registration_copy(&message->registration, &control->config.registration);
    message->registration.protocol_major = RPC_PROTOCOL_MAJOR;
    message->registration.protocol_minor = RPC_PROTOCOL_MINOR;
    if (message->registration.host[0] == '\0' && local_host != NULL) {
        free(message->registration.host);
        message->registration.host = copy_text(local_host);
    }
    if (message->registration.data_address[0] == ':' && local_host != NULL) {
        char *port = message->registration.data_address;
        message->registration.data_address = address_join(local_host, port + 1);
        free(port);
    }
    control_send(control, message);
}

static void on_registered(struct control *control, const struct message *message)
{
    control->phase = CONTROL_PHASE_MEMBER;
    control->session.leader_epoch = message->leader_epoch;
    control->heartbeat_interval_ms = message->registered.heartbeat_interval_ms;
    control->heartbeat_timeout_ms = message->registered.heartbeat_timeout_ms;
    control->due_ms = control->now_ms; /* the first heartbeat: at once */
    control->backoff_ms = CONTROL_RECONNECT_FIRST_MS;
    set_problem(control, "");
    control_log(control, LOG_INFO, "registered", "leader_epoch=%llu",
                (unsigned long long)message->leader_epoch);
}

static void on_message(struct control *control, struct message *message)
{
    const enum session_verdict verdict = message_session_check(&control->session, message);
    if (verdict == SESSION_DROP)
        return;
    if (verdict == SESSION_BREAK) {
        break_connection(control, "a message of the JobManager was lost");
        return;
    }
    control->heard_ms = control->now_ms;
    if (control->phase == CONTROL_PHASE_REGISTERING) {
        if (message->kind == MESSAGE_REGISTERED) {
            on_registered(control, message);
        } else if (message->kind == MESSAGE_REFUSED) {
            control_log(control, LOG_ERROR, "registration_refused", "%s", message->refused.reason);
            control->backoff_ms = CONTROL_RECONNECT_MAX_MS;
            set_problem(control, message->refused.reason);
            break_connection(control, message->refused.reason);
        } else {
            break_connection(control, "the JobManager's first message is no answer");
        }
    } else if (control->phase == CONTROL_PHASE_MEMBER) {
        control_on_order(control, message);
    }
}

static void send_heartbeat(struct control *control)
{
    struct message *message = message_create(MESSAGE_HEARTBEAT);
    metrics_copy(&message->heartbeat, &control->metrics);
    control_send(control, message);
    control->due_ms = control->now_ms + control->heartbeat_interval_ms;
}

static void advance(struct control *control)
{
    switch (control->phase) {
    case CONTROL_PHASE_IDLE:
        /* Slots must be empty: not before every task has ended. */
        if (control->now_ms < control->due_ms || control->task_count > 0)
            break;
        control->phase = CONTROL_PHASE_DIALING;
        control->connection++;
        control_act(control, CONTROL_CONNECT)->connection = control->connection;
        break;
    case CONTROL_PHASE_DIALING:
        break;
    case CONTROL_PHASE_REGISTERING:
        if (control->now_ms >= control->due_ms)
            break_connection(control, "the JobManager did not answer the registration");
        break;
    case CONTROL_PHASE_MEMBER:
        if (control->now_ms - control->heard_ms >= control->heartbeat_timeout_ms)
            break_connection(control, "no heartbeat of the JobManager");
        else if (control->now_ms >= control->due_ms)
            send_heartbeat(control);
        break;
    }
}

static int64_t next_tick_ms(const struct control *control)
{
    int64_t lease_ms;
    switch (control->phase) {
    case CONTROL_PHASE_IDLE:
        return control->task_count > 0 ? CONTROL_NEVER : control->due_ms;
    case CONTROL_PHASE_DIALING:
        return CONTROL_NEVER;
    case CONTROL_PHASE_REGISTERING:
        return control->due_ms;
    case CONTROL_PHASE_MEMBER:
        lease_ms = control->heard_ms + control->heartbeat_timeout_ms;
        return lease_ms < control->due_ms ? lease_ms : control->due_ms;
    }
    return CONTROL_NEVER;
}

/* ---- steps ---- */

static void dispatch(struct control *control, const struct control_event *event)
{
    const bool is_current =
        event->connection == control->connection && control->phase != CONTROL_PHASE_IDLE;
    switch (event->kind) {
    case CONTROL_EVENT_START:
    case CONTROL_EVENT_TICK:
        break;
    case CONTROL_EVENT_CONNECTED:
        if (is_current && control->phase == CONTROL_PHASE_DIALING)
            send_registration(control, event->connection_change.local_host);
        break;
    case CONTROL_EVENT_DISCONNECTED:
        if (is_current)
            lose_leader(control, event->connection_change.reason == NULL
                                     ? "connection closed"
                                     : event->connection_change.reason);
        break;
    case CONTROL_EVENT_MESSAGE:
        if (is_current && control->phase != CONTROL_PHASE_DIALING)
            on_message(control, event->message);
        message_destroy(event->message);
        break;
    case CONTROL_EVENT_TASK_STATUS:
    case CONTROL_EVENT_TASK_ACKNOWLEDGE:
    case CONTROL_EVENT_TASK_DECLINE:
    case CONTROL_EVENT_TASK_DRAINED:
        /* Its counters are final and the task may soon be gone: they leave now. */
        if (control->phase == CONTROL_PHASE_MEMBER)
            control->due_ms = control->now_ms;
        control_on_task_event(control, event);
        break;
    case CONTROL_EVENT_TASK_WANTS_SPLITS:
        control_on_task_event(control, event);
        break;
    case CONTROL_EVENT_METRICS:
        metrics_done(&control->metrics);
        metrics_copy(&control->metrics, event->metrics);
        if (event->metrics->is_urgent && control->phase == CONTROL_PHASE_MEMBER)
            control->due_ms = control->now_ms;
        break;
    case CONTROL_EVENT_REGISTRATION:
        registration_done(&control->config.registration);
        registration_copy(&control->config.registration, event->registration);
        break;
    }
}

void control_step(struct control *control, const struct control_event *event, int64_t now_ms,
                  struct control_output *output)
{
    control->now_ms = now_ms;
    control->output = output;
    dispatch(control, event);
    advance(control);
    output->next_tick_ms = next_tick_ms(control);
    control->output = NULL;
}

void control_get_overview(const struct control *control, struct control_overview *ret_overview)
{
    *ret_overview = (struct control_overview){
        .is_registered = control->phase == CONTROL_PHASE_MEMBER,
        .leader_epoch = control->session.leader_epoch,
        .task_count = (uint32_t)control->task_count,
        .stale_message_count = control->stale_count + control->session.stale_count,
        .duplicate_message_count = control->duplicate_count + control->session.duplicate_count,
        .last_problem = control->last_problem == NULL ? "" : control->last_problem,
    };
}
