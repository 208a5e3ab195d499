/* Lifetime of control messages and the check of their order. */
#include "common/rpc/message.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

static const char *const kind_names[MESSAGE_KIND_COUNT] = {
    [MESSAGE_NONE] = "NONE",
    [MESSAGE_REGISTER] = "REGISTER",
    [MESSAGE_HEARTBEAT] = "HEARTBEAT",
    [MESSAGE_TASK_UPDATE] = "TASK_UPDATE",
    [MESSAGE_ACKNOWLEDGE] = "ACKNOWLEDGE",
    [MESSAGE_DECLINE] = "DECLINE",
    [MESSAGE_DRAINED] = "DRAINED",
    [MESSAGE_WANT_SPLITS] = "WANT_SPLITS",
    [MESSAGE_REGISTERED] = "REGISTERED",
    [MESSAGE_REFUSED] = "REFUSED",
    [MESSAGE_HEARTBEAT_REPLY] = "HEARTBEAT_REPLY",
    [MESSAGE_DEPLOY] = "DEPLOY",
    [MESSAGE_CANCEL] = "CANCEL",
    [MESSAGE_TRIGGER] = "TRIGGER",
    [MESSAGE_ABORT] = "ABORT",
    [MESSAGE_COMPLETED] = "COMPLETED",
    [MESSAGE_SPLITS] = "SPLITS",
    [MESSAGE_FINISH] = "FINISH",
};

static const char *const status_names[TASK_STATUS_COUNT] = {
    [TASK_CREATED] = "CREATED",     [TASK_SCHEDULED] = "SCHEDULED",
    [TASK_DEPLOYING] = "DEPLOYING", [TASK_INITIALIZING] = "INITIALIZING",
    [TASK_RUNNING] = "RUNNING",     [TASK_FINISHED] = "FINISHED",
    [TASK_CANCELING] = "CANCELING", [TASK_CANCELED] = "CANCELED",
    [TASK_FAILED] = "FAILED",
};

const char *message_kind_name(enum message_kind kind)
{
    CHECK((unsigned)kind < MESSAGE_KIND_COUNT);
    return kind_names[kind];
}

const char *task_status_name(enum task_status status)
{
    CHECK((unsigned)status < TASK_STATUS_COUNT);
    return status_names[status];
}

bool task_status_is_terminal(enum task_status status)
{
    return status == TASK_FINISHED || status == TASK_CANCELED || status == TASK_FAILED;
}

void task_failure_done(struct task_failure *failure)
{
    free(failure->message);
    free(failure->record);
    *failure = (struct task_failure){0};
}

void task_failure_copy(struct task_failure *to, const struct task_failure *from)
{
    *to = *from;
    to->message = from->message == NULL ? NULL : copy_text(from->message);
    to->record = from->record == NULL ? NULL : copy_text(from->record);
}

static void registration_done(struct message_register *registration)
{
    free(registration->version);
    free(registration->cluster_id);
    free(registration->name);
    free(registration->host);
    free(registration->data_address);
    free(registration->checkpoint_directory);
    free(registration->token);
    free(registration->token_error);
}

static void heartbeat_done(struct message_heartbeat *heartbeat)
{
    for (size_t i = 0; i < heartbeat->task_count; i++)
        free(heartbeat->tasks[i].waits_for);
    free(heartbeat->tasks);
}

static void deploy_done(struct message_deploy *deploy)
{
    for (size_t i = 0; i < deploy->task_count; i++)
        task_deployment_done(&deploy->tasks[i]);
    free(deploy->tasks);
    free(deploy->graph);
}

static void content_done(struct message *message)
{
    switch (message->kind) {
    case MESSAGE_REGISTER:
        registration_done(&message->registration);
        break;
    case MESSAGE_HEARTBEAT:
        heartbeat_done(&message->heartbeat);
        break;
    case MESSAGE_TASK_UPDATE:
        task_failure_done(&message->task_update.failure);
        break;
    case MESSAGE_ACKNOWLEDGE:
        task_state_done(&message->acknowledge.state);
        break;
    case MESSAGE_DECLINE:
        free(message->decline.reason);
        break;
    case MESSAGE_REFUSED:
        free(message->refused.reason);
        break;
    case MESSAGE_DEPLOY:
        deploy_done(&message->deploy);
        break;
    case MESSAGE_TRIGGER:
    case MESSAGE_ABORT:
    case MESSAGE_COMPLETED:
        free(message->checkpoint.reason);
        break;
    case MESSAGE_SPLITS:
        source_split_list_done(&message->splits.splits);
        break;
    case MESSAGE_NONE:
    case MESSAGE_DRAINED:
    case MESSAGE_WANT_SPLITS:
    case MESSAGE_REGISTERED:
    case MESSAGE_HEARTBEAT_REPLY:
    case MESSAGE_CANCEL:
    case MESSAGE_FINISH:
    case MESSAGE_KIND_COUNT:
        break;
    }
}

void message_done(struct message *message)
{
    content_done(message);
    free(message->targets.attempts);
    free(message->targets.limits_ms);
    *message = (struct message){0};
}

struct message *message_create(enum message_kind kind)
{
    struct message *message = allocate(sizeof(*message));
    message->kind = kind;
    return message;
}

void message_destroy(struct message *message)
{
    if (message == NULL)
        return;
    message_done(message);
    free(message);
}

enum session_verdict message_session_check(struct message_session *session,
                                           const struct message *message)
{
    if (message->sequence <= session->last_sequence) {
        session->duplicate_count++;
        return SESSION_DROP;
    }
    if (message->sequence != session->last_sequence + 1)
        return SESSION_BREAK;
    if (id128_is_none(message->sender))
        return SESSION_BREAK;
    if (id128_is_none(session->peer))
        session->peer = message->sender;
    else if (!id128_equals(session->peer, message->sender))
        return SESSION_BREAK;
    session->last_sequence = message->sequence;
    if (session->leader_epoch != 0 && message->leader_epoch != session->leader_epoch) {
        session->stale_count++;
        return SESSION_DROP;
    }
    return SESSION_TAKE;
}
