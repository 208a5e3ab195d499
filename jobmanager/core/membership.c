/* Who is here: connections, registration, heartbeats, loss. */
#include "common/base/allocate.h"
#include "jobmanager/core/core_state.h"

#include <stdio.h>
#include <string.h>

#define SLOT_MAX 1024

void task_manager_destroy(struct task_manager *task_manager)
{
    struct message message = {.kind = MESSAGE_REGISTER, .registration = task_manager->registration};
    message_done(&message);
    free(task_manager->slots);
    free(task_manager);
}

static void send_on(struct core *core, uint64_t connection, uint64_t sequence,
                    struct message *message)
{
    message->sequence = sequence;
    message->leader_epoch = core->config.leader_epoch;
    message->sender = core->config.incarnation;
    struct core_action *action = core_act(core, CORE_SEND);
    action->connection = connection;
    action->message = message;
}

void membership_send(struct core *core, struct task_manager *task_manager, struct message *message)
{
    send_on(core, task_manager->connection, ++task_manager->sent_sequence, message);
}

static void close_connection(struct core *core, uint64_t connection, const char *reason)
{
    struct core_action *action = core_act(core, CORE_CLOSE);
    action->connection = connection;
    action->close.reason = copy_text(reason);
}

static struct newcomer *find_newcomer(struct core *core, uint64_t connection)
{
    for (size_t i = 0; i < core->newcomer_count; i++)
        if (core->newcomers[i].connection == connection)
            return &core->newcomers[i];
    return NULL;
}

static void remove_newcomer(struct core *core, struct newcomer *newcomer)
{
    const size_t place = (size_t)(newcomer - core->newcomers);
    free(newcomer->host);
    core->newcomer_count--;
    memmove(newcomer, newcomer + 1, (core->newcomer_count - place) * sizeof(*newcomer));
}

static struct task_manager *find_by_connection(const struct core *core, uint64_t connection)
{
    for (size_t i = 0; i < core->task_manager_count; i++)
        if (core->task_managers[i]->connection == connection)
            return core->task_managers[i];
    return NULL;
}

/* Its tasks and slots are gone, whatever has become of the process. */
static void lose(struct core *core, struct task_manager *task_manager, const char *reason)
{
    size_t place = 0;
    while (core->task_managers[place] != task_manager)
        place++;
    core->task_manager_count--;
    memmove(core->task_managers + place, core->task_managers + place + 1,
            (core->task_manager_count - place) * sizeof(*core->task_managers));
    core_log(core, LOG_WARN, "taskmanager_lost", NULL, "%s on %s: %s",
             task_manager->registration.name, task_manager->registration.host, reason);
    core->stale_count += task_manager->session.stale_count;
    core->duplicate_count += task_manager->session.duplicate_count;
    for (size_t i = 0; i < core->job_count; i++)
        job_on_task_manager_lost(core, core->jobs[i], task_manager, reason);
    task_manager_destroy(task_manager);
}

void membership_drop(struct core *core, struct task_manager *task_manager, const char *reason)
{
    close_connection(core, task_manager->connection, reason);
    lose(core, task_manager, reason);
}

void membership_on_opened(struct core *core, uint64_t connection, const char *host)
{
    if (core->newcomer_count + core->task_manager_count >= CORE_TASK_MANAGER_MAX) {
        close_connection(core, connection, "too many TaskManagers");
        return;
    }
    array_push(core->newcomers, core->newcomer_count, core->newcomer_capacity) = (struct newcomer){
        .connection = connection, .opened_ms = core->now_ms, .host = copy_text_or_empty(host)};
}

void membership_on_closed(struct core *core, uint64_t connection, const char *reason)
{
    struct newcomer *newcomer = find_newcomer(core, connection);
    if (newcomer != NULL) {
        core_log(core, LOG_WARN, "connection_without_registration", NULL, "%s: %s", newcomer->host,
                 reason == NULL ? "connection closed" : reason);
        remove_newcomer(core, newcomer);
    }
    struct task_manager *task_manager = find_by_connection(core, connection);
    if (task_manager != NULL)
        lose(core, task_manager, reason == NULL ? "connection closed" : reason);
}

/* ---- registration ---- */

static bool check_version(const struct message_register *from, char *text, size_t size)
{
    const int64_t distance = (int64_t)from->protocol_minor - RPC_PROTOCOL_MINOR;
    if (from->protocol_major == RPC_PROTOCOL_MAJOR && distance >= -1 && distance <= 1)
        return true;
    (void)snprintf(text, size,
                   "the JobManager speaks protocol %d.%d, this TaskManager (version %s) %u.%u; "
                   "their MAJOR must be equal and their MINOR differ by at most one: install the "
                   "same version on both",
                   RPC_PROTOCOL_MAJOR, RPC_PROTOCOL_MINOR, from->version, from->protocol_major,
                   from->protocol_minor);
    return false;
}

static bool check_token(const struct core *core, const struct message_register *from, char *text,
                        size_t size)
{
    if (from->token_error[0] == '\0' && strcmp(from->token, core->config.token) == 0)
        return true;
    (void)snprintf(
        text, size,
        "the checkpoint directory is not shared: the JobManager on %s wrote a token "
        "into %s, the TaskManager on %s %s in %s; mount the same directory on both hosts "
        "and set execution.checkpointing.dir to it",
        core->config.host, core->config.checkpoint_directory, from->host,
        from->token_error[0] != '\0' ? from->token_error : "finds another token",
        from->checkpoint_directory);
    return false;
}

/* Another process of that name which was heard of lately. One that has died without a word (a host
 * that is gone) is silent after two heartbeats and then gives way. */
static bool check_name(const struct core *core, const struct message *message, char *text,
                       size_t size)
{
    for (size_t i = 0; i < core->task_manager_count; i++) {
        const struct task_manager *other = core->task_managers[i];
        if (id128_equals(other->incarnation, message->sender) ||
            strcmp(other->registration.name, message->registration.name) != 0 ||
            core->now_ms - other->heartbeat_ms > 2 * core->config.heartbeat_interval_ms)
            continue;
        (void)snprintf(
            text, size,
            "another TaskManager of the name %.200s, on %.200s, is registered and alive; "
            "give each its own taskmanager.resource-id, or none",
            other->registration.name, other->registration.host);
        return false;
    }
    return true;
}

/* Fills text with the reason of a refusal. */
static bool may_register(const struct core *core, const struct message *message, char *text,
                         size_t size)
{
    const struct message_register *from = &message->registration;
    if (id128_is_none(message->sender)) {
        (void)snprintf(text, size, "the registration names no incarnation");
        return false;
    }
    if (!check_version(from, text, size))
        return false;
    if (strcmp(from->cluster_id, core->config.cluster_id) != 0) {
        (void)snprintf(text, size,
                       "this JobManager belongs to cluster %.100s, the TaskManager to cluster "
                       "%.100s; set cluster.id to the same value or jobmanager.rpc.address to its "
                       "own JobManager",
                       core->config.cluster_id, from->cluster_id);
        return false;
    }
    if (from->slot_count == 0 || from->slot_count > SLOT_MAX) {
        (void)snprintf(text, size, "taskmanager.numberOfTaskSlots is %u, it must be 1 to %d",
                       from->slot_count, SLOT_MAX);
        return false;
    }
    return check_token(core, from, text, size) && check_name(core, message, text, size);
}

static void refuse(struct core *core, uint64_t connection, const char *host, const char *reason)
{
    core_log(core, LOG_WARN, "registration_refused", NULL, "%s: %s", host, reason);
    struct message *message = message_create(MESSAGE_REFUSED);
    message->refused.reason = copy_text(reason);
    send_on(core, connection, 1, message);
    close_connection(core, connection, reason);
}

/* The same process or the same name again: what is known of it is over. */
static void replace_older(struct core *core, const struct message *message)
{
    for (size_t i = core->task_manager_count; i-- > 0;) {
        struct task_manager *older = core->task_managers[i];
        if (id128_equals(older->incarnation, message->sender))
            membership_drop(core, older, "it has registered again");
        else if (strcmp(older->registration.name, message->registration.name) == 0)
            membership_drop(core, older, "another process of the same name has registered");
    }
}

static void on_register(struct core *core, uint64_t connection, struct message *message)
{
    char reason[ERROR_MESSAGE_MAX * 2];
    struct newcomer *newcomer = find_newcomer(core, connection);
    const bool is_first = message->kind == MESSAGE_REGISTER && message->sequence == 1;
    if (!is_first || !may_register(core, message, reason, sizeof(reason))) {
        if (is_first)
            refuse(core, connection, newcomer->host, reason);
        else
            close_connection(core, connection, "the first message must be a registration");
        remove_newcomer(core, newcomer);
        return;
    }
    remove_newcomer(core, newcomer);
    replace_older(core, message);
    struct task_manager *task_manager = allocate(sizeof(*task_manager));
    task_manager->connection = connection;
    task_manager->incarnation = message->sender;
    task_manager->registration = message->registration;
    message->kind = MESSAGE_NONE; /* its content has moved */
    task_manager->session = (struct message_session){
        .last_sequence = 1, .leader_epoch = core->config.leader_epoch, .peer = message->sender};
    task_manager->heartbeat_ms = core->now_ms;
    task_manager->heartbeat_wall_ms = core->wall_ms;
    task_manager->registered_wall_ms = core->wall_ms;
    task_manager->slots =
        allocate_array(task_manager->registration.slot_count, sizeof(*task_manager->slots));
    array_push(core->task_managers, core->task_manager_count, core->task_manager_capacity) =
        task_manager;
    /* Whoever registers has ended its tasks of before: what those wrote into jobs that had ended
     * meanwhile can go, and nothing of the kind can follow. */
    for (size_t i = 0; i < core->job_count; i++) {
        struct job *job = core->jobs[i];
        if (job_status_is_terminal(job->status) && !job->is_recovered_end && job->restart_count > 0)
            job->sweep_ms = core->now_ms;
    }
    core_log(core, LOG_INFO, "taskmanager_registered", NULL, "%s on %s, %u slots, exchange %s",
             task_manager->registration.name, task_manager->registration.host,
             task_manager->registration.slot_count, task_manager->registration.data_address);
    struct message *reply = message_create(MESSAGE_REGISTERED);
    reply->registered.heartbeat_interval_ms = core->config.heartbeat_interval_ms;
    reply->registered.heartbeat_timeout_ms = core->config.heartbeat_timeout_ms;
    membership_send(core, task_manager, reply);
}

/* ---- messages ---- */

static void on_heartbeat(struct core *core, struct task_manager *task_manager,
                         struct message_heartbeat *heartbeat)
{
    task_manager->disk_free_bytes = heartbeat->disk_free_bytes;
    task_manager->disk_total_bytes = heartbeat->disk_total_bytes;
    task_manager->memory_used_bytes = heartbeat->memory_used_bytes;
    for (size_t i = 0; i < heartbeat->task_count; i++) {
        struct task_metrics *metrics = &heartbeat->tasks[i];
        struct task *task = execution_graph_find(core, metrics->job, metrics->attempt);
        if (task == NULL || task->task_manager != task_manager)
            continue;
        free(task->metrics.waits_for);
        task->metrics = *metrics;
        metrics->waits_for = NULL;
    }
    struct message *reply = message_create(MESSAGE_HEARTBEAT_REPLY);
    alignment_answer(core, task_manager, &reply->targets);
    membership_send(core, task_manager, reply);
}

/* Messages about one task of this TaskManager, whose attempt must be current. */
static void on_task_message(struct core *core, struct task_manager *task_manager,
                            struct message *message)
{
    struct task *task = execution_graph_find(core, message->job, message->attempt);
    if (task == NULL || task->task_manager != task_manager) {
        task_manager->session.stale_count++;
        struct job *job = core_find_job(core, message->job);
        if (job != NULL && message->kind == MESSAGE_ACKNOWLEDGE)
            job->coordinator.statistics.stale_ack_count++;
        return;
    }
    switch (message->kind) {
    case MESSAGE_TASK_UPDATE:
        job_on_task_update(core, task, &message->task_update);
        break;
    case MESSAGE_ACKNOWLEDGE:
        job_on_acknowledge(core, task, &message->acknowledge);
        break;
    case MESSAGE_DECLINE:
        job_on_decline(core, task, &message->decline);
        break;
    case MESSAGE_DRAINED:
        job_on_drained(task);
        break;
    case MESSAGE_WANT_SPLITS:
        job_on_want_splits(core, task, message->want_splits.operator_index);
        break;
    case MESSAGE_NONE:
    case MESSAGE_REGISTER:
    case MESSAGE_HEARTBEAT:
    case MESSAGE_REGISTERED:
    case MESSAGE_REFUSED:
    case MESSAGE_HEARTBEAT_REPLY:
    case MESSAGE_DEPLOY:
    case MESSAGE_CANCEL:
    case MESSAGE_TRIGGER:
    case MESSAGE_ABORT:
    case MESSAGE_COMPLETED:
    case MESSAGE_SPLITS:
    case MESSAGE_FINISH:
    case MESSAGE_KIND_COUNT:
        break;
    }
}

static bool is_from_task_manager(enum message_kind kind)
{
    return kind >= MESSAGE_HEARTBEAT && kind <= MESSAGE_WANT_SPLITS;
}

static void on_member_message(struct core *core, struct task_manager *task_manager,
                              struct message *message)
{
    const enum session_verdict verdict = message_session_check(&task_manager->session, message);
    if (verdict == SESSION_DROP)
        return;
    if (verdict == SESSION_BREAK || !is_from_task_manager(message->kind)) {
        char reason[200];
        (void)snprintf(reason, sizeof(reason), "message %s out of order",
                       message_kind_name(message->kind));
        membership_drop(core, task_manager, reason);
        return;
    }
    task_manager->heartbeat_ms = core->now_ms;
    task_manager->heartbeat_wall_ms = core->wall_ms;
    if (message->kind == MESSAGE_HEARTBEAT)
        on_heartbeat(core, task_manager, &message->heartbeat);
    else
        on_task_message(core, task_manager, message);
}

void membership_on_message(struct core *core, uint64_t connection, struct message *message)
{
    struct task_manager *task_manager = find_by_connection(core, connection);
    if (task_manager != NULL)
        on_member_message(core, task_manager, message);
    else if (find_newcomer(core, connection) != NULL)
        on_register(core, connection, message);
    message_destroy(message);
}

/* ---- time ---- */

void membership_check(struct core *core)
{
    for (size_t i = core->newcomer_count; i-- > 0;) {
        struct newcomer *newcomer = &core->newcomers[i];
        if (core->now_ms - newcomer->opened_ms < core->config.registration_timeout_ms)
            continue;
        close_connection(core, newcomer->connection, "no registration came");
        remove_newcomer(core, newcomer);
    }
    for (size_t i = core->task_manager_count; i-- > 0;) {
        struct task_manager *task_manager = core->task_managers[i];
        const int64_t silent_ms = core->now_ms - task_manager->heartbeat_ms;
        if (silent_ms < core->config.heartbeat_timeout_ms)
            continue;
        char reason[100];
        (void)snprintf(reason, sizeof(reason), "no heartbeat for %lld ms", (long long)silent_ms);
        membership_drop(core, task_manager, reason);
    }
}

int64_t membership_next_ms(const struct core *core)
{
    int64_t next = CORE_NEVER;
    for (size_t i = 0; i < core->newcomer_count; i++) {
        const int64_t due = core->newcomers[i].opened_ms + core->config.registration_timeout_ms;
        next = due < next ? due : next;
    }
    for (size_t i = 0; i < core->task_manager_count; i++) {
        const int64_t due =
            core->task_managers[i]->heartbeat_ms + core->config.heartbeat_timeout_ms;
        next = due < next ? due : next;
    }
    return next;
}
