/* Control messages from bytes: every maximum is checked before anything is copied. */
#include "common/base/allocate.h"
#include "common/graph/task_state_codec.h"
#include "common/rpc/message_codec.h"
#include "proto/control.pb-c.h"

#include <string.h>

#define CHECK_MAX(what, count, max)                                                                \
    do {                                                                                           \
        if ((count) > (max))                                                                       \
            return error_set(err, STATUS_LIMIT, "control message: %zu %s, at most %zu",            \
                             (size_t)(count), (what), (size_t)(max));                              \
    } while (0)

static enum status take_text(const char *from, const char *what, char **ret_text, struct error *err)
{
    CHECK_MAX(what, strlen(from), MESSAGE_TEXT_MAX);
    *ret_text = copy_text(from);
    return STATUS_OK;
}

/* As take_text, but an empty text is NULL. */
static enum status take_optional(const char *from, const char *what, char **ret_text,
                                 struct error *err)
{
    return from[0] == '\0' ? STATUS_OK : take_text(from, what, ret_text, err);
}

static enum status take_id(ProtobufCBinaryData from, struct id128 *ret_id, struct error *err)
{
    if (from.len == 0)
        return STATUS_OK;
    if (from.len != sizeof(ret_id->bytes))
        return error_set(err, STATUS_CORRUPT, "control message: id of %zu bytes", from.len);
    memcpy(ret_id->bytes, from.data, from.len);
    return STATUS_OK;
}

static enum status decode_register(const Millstream__Register *from, struct message_register *to,
                                   struct error *err)
{
    to->protocol_major = from->protocol_major;
    to->protocol_minor = from->protocol_minor;
    to->http_port = from->http_port;
    to->slot_count = from->slot_count;
    to->cpu_count = from->cpu_count;
    to->memory_bytes = from->memory_bytes;
    TRY(take_text(from->version, "bytes of version", &to->version, err));
    TRY(take_text(from->cluster_id, "bytes of cluster id", &to->cluster_id, err));
    TRY(take_text(from->name, "bytes of name", &to->name, err));
    TRY(take_text(from->host, "bytes of host", &to->host, err));
    TRY(take_text(from->data_address, "bytes of address", &to->data_address, err));
    TRY(take_text(from->checkpoint_directory, "bytes of directory", &to->checkpoint_directory,
                  err));
    TRY(take_text(from->token, "bytes of token", &to->token, err));
    return take_text(from->token_error, "bytes of reason", &to->token_error, err);
}

static enum status decode_metrics(const Millstream__TaskMetrics *from, struct task_metrics *to,
                                  struct error *err)
{
    *to = (struct task_metrics){
        .attempt = {from->attempt},
        .records_in = from->records_in,
        .records_out = from->records_out,
        .bytes_in = from->bytes_in,
        .bytes_out = from->bytes_out,
        .busy_ms = from->busy_ms,
        .idle_ms = from->idle_ms,
        .back_pressured_ms = from->back_pressured_ms,
        .late_records = from->late_records,
        .error_records = from->error_records,
        .state_bytes = from->state_bytes,
        .state_keys = from->state_keys,
        .watermark_ms = from->watermark_ms,
        .is_time_idle = from->is_time_idle,
        .records_lag_max = from->records_lag_max,
        .has_lag = from->has_lag,
    };
    CHECK_MAX("buckets of late rows", from->n_late_buckets, 64);
    CHECK_MAX("operators", from->n_operator_records_in, TASK_METRICS_OPERATOR_MAX);
    CHECK_MAX("operators", from->n_operator_records_out, from->n_operator_records_in);
    /* A later version may tell more of them. */
    for (size_t i = 0; i < from->n_late_buckets; i++)
        to->late_buckets[i < LATE_BUCKET_COUNT ? i : LATE_BUCKET_COUNT - 1] +=
            from->late_buckets[i];
    to->operator_count = (uint32_t)from->n_operator_records_out;
    for (uint32_t i = 0; i < to->operator_count; i++) {
        to->operator_records_in[i] = from->operator_records_in[i];
        to->operator_records_out[i] = from->operator_records_out[i];
    }
    TRY(take_optional(from->waits_for, "bytes of reason", &to->waits_for, err));
    return take_id(from->job, &to->job.value, err);
}

static enum status decode_heartbeat(const Millstream__Heartbeat *from, struct message_heartbeat *to,
                                    struct error *err)
{
    CHECK_MAX("tasks", from->n_tasks, MESSAGE_TASK_MAX);
    to->disk_free_bytes = from->disk_free_bytes;
    to->disk_total_bytes = from->disk_total_bytes;
    to->memory_used_bytes = from->memory_used_bytes;
    if (from->n_tasks > 0)
        to->tasks = allocate_array(from->n_tasks, sizeof(*to->tasks));
    to->task_count = from->n_tasks;
    for (size_t i = 0; i < from->n_tasks; i++)
        TRY(decode_metrics(from->tasks[i], &to->tasks[i], err));
    return STATUS_OK;
}

static enum status decode_update(const Millstream__TaskUpdate *from, struct message_task_update *to,
                                 struct error *err)
{
    if (from->status >= TASK_STATUS_COUNT)
        return error_set(err, STATUS_UNSUPPORTED, "control message: unknown task state %u",
                         from->status);
    to->status = (enum task_status)from->status;
    to->failure.code = STATUS_IO; /* of a later version: restart */
    for (int code = 0; code < STATUS_COUNT; code++)
        if (strcmp(from->code, status_name((enum status)code)) == 0)
            to->failure.code = (enum status)code;
    TRY(take_id(from->lost_peer, &to->failure.lost_peer, err));
    TRY(take_optional(from->message, "bytes of reason", &to->failure.message, err));
    return take_optional(from->record, "bytes of record", &to->failure.record, err);
}

static enum status decode_groups(Millstream__ChannelGroup **from, size_t count,
                                 struct channel_group **ret_groups, uint32_t *ret_count,
                                 size_t *channel_count, struct error *err)
{
    CHECK_MAX("channel groups", count, MESSAGE_CHANNEL_MAX);
    if (count > 0)
        *ret_groups = allocate_array(count, sizeof(**ret_groups));
    *ret_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct channel_group *to = &(*ret_groups)[i];
        *channel_count += from[i]->n_peers;
        CHECK_MAX("channels", *channel_count, MESSAGE_CHANNEL_MAX);
        to->edge = from[i]->edge;
        if (from[i]->n_peers > 0)
            to->peers = allocate_array(from[i]->n_peers, sizeof(*to->peers));
        to->peer_count = (uint32_t)from[i]->n_peers;
        for (size_t j = 0; j < from[i]->n_peers; j++) {
            const Millstream__ChannelPeer *peer = from[i]->peers[j];
            to->peers[j].subtask_index = peer->subtask_index;
            to->peers[j].attempt.value = peer->attempt;
            TRY(take_id(peer->task_manager, &to->peers[j].task_manager, err));
            TRY(take_text(peer->data_address, "bytes of address", &to->peers[j].data_address, err));
        }
    }
    return STATUS_OK;
}

static enum status decode_deployment(const Millstream__TaskDeployment *from, struct job_id job,
                                     struct task_deployment *to, struct error *err)
{
    size_t channel_count = 0;
    to->job = job;
    to->attempt.value = from->attempt;
    to->vertex = from->vertex;
    to->subtask_index = from->subtask_index;
    to->slot = from->slot;
    to->restore.value = from->restore;
    to->floor.value = from->floor;
    TRY(decode_groups(from->inputs, from->n_inputs, &to->inputs, &to->input_count, &channel_count,
                      err));
    TRY(decode_groups(from->outputs, from->n_outputs, &to->outputs, &to->output_count,
                      &channel_count, err));
    if (from->state.len > 0) {
        to->state = allocate(sizeof(*to->state));
        TRY(task_state_decode(from->state.data, from->state.len, to->state, err));
    }
    return STATUS_OK;
}

static enum status decode_deploy(const Millstream__Deploy *from, struct job_id job,
                                 struct message_deploy *to, struct error *err)
{
    CHECK_MAX("tasks", from->n_tasks, MESSAGE_TASK_MAX);
    to->graph =
        copy_text_n(from->graph.len > 0 ? (const char *)from->graph.data : "", from->graph.len);
    to->graph_size = from->graph.len;
    if (from->n_tasks > 0)
        to->tasks = allocate_array(from->n_tasks, sizeof(*to->tasks));
    to->task_count = from->n_tasks;
    for (size_t i = 0; i < from->n_tasks; i++)
        TRY(decode_deployment(from->tasks[i], job, &to->tasks[i], err));
    return STATUS_OK;
}

static enum status decode_order(const Millstream__CheckpointOrder *from,
                                struct message_checkpoint *to, struct error *err)
{
    to->checkpoint.value = from->checkpoint;
    to->completed.value = from->completed;
    to->is_final = from->is_final;
    return take_optional(from->reason, "bytes of reason", &to->reason, err);
}

static enum status decode_splits(const Millstream__Splits *from, struct message_splits *to,
                                 struct error *err)
{
    CHECK_MAX("splits", from->n_splits, MESSAGE_SPLIT_MAX);
    to->operator_index = from->operator_index;
    to->is_last = from->is_last;
    for (size_t i = 0; i < from->n_splits; i++) {
        const Millstream__Split *split = from->splits[i];
        CHECK_MAX("bytes of a split's id", strlen(split->id), SOURCE_SPLIT_ID_BYTES_MAX);
        CHECK_MAX("bytes of a split's state", split->state.len, SOURCE_SPLIT_STATE_BYTES_MAX);
        source_split_list_add(&to->splits, split->id, split->state.data, split->state.len);
    }
    return STATUS_OK;
}

static enum status decode_small(const Millstream__Control *from, struct message *to,
                                struct error *err)
{
    if (to->kind == MESSAGE_REGISTERED) {
        to->registered.heartbeat_interval_ms = from->registered->heartbeat_interval_ms;
        to->registered.heartbeat_timeout_ms = from->registered->heartbeat_timeout_ms;
        if (to->registered.heartbeat_interval_ms < 1 || to->registered.heartbeat_timeout_ms < 1)
            return error_set(err, STATUS_CORRUPT, "control message: heartbeat without an interval");
        return STATUS_OK;
    }
    if (to->kind == MESSAGE_REFUSED)
        return take_text(from->refused->reason, "bytes of reason", &to->refused.reason, err);
    if (to->kind == MESSAGE_DECLINE) {
        to->decline.checkpoint.value = from->decline->checkpoint;
        return take_text(from->decline->reason, "bytes of reason", &to->decline.reason, err);
    }
    if (to->kind == MESSAGE_ACKNOWLEDGE) {
        to->acknowledge.checkpoint.value = from->acknowledge->checkpoint;
        return task_state_decode(from->acknowledge->state.data, from->acknowledge->state.len,
                                 &to->acknowledge.state, err);
    }
    to->want_splits.operator_index = from->want_splits->operator_index;
    return STATUS_OK;
}

static enum status decode_content(const Millstream__Control *from, struct message *to,
                                  struct error *err)
{
    switch (to->kind) {
    case MESSAGE_REGISTER:
        return decode_register(from->registration, &to->registration, err);
    case MESSAGE_HEARTBEAT:
        return decode_heartbeat(from->heartbeat, &to->heartbeat, err);
    case MESSAGE_TASK_UPDATE:
        return decode_update(from->task_update, &to->task_update, err);
    case MESSAGE_DEPLOY:
        return decode_deploy(from->deploy, to->job, &to->deploy, err);
    case MESSAGE_TRIGGER:
    case MESSAGE_ABORT:
    case MESSAGE_COMPLETED:
        return decode_order(from->checkpoint, &to->checkpoint, err);
    case MESSAGE_SPLITS:
        return decode_splits(from->splits, &to->splits, err);
    case MESSAGE_REGISTERED:
    case MESSAGE_REFUSED:
    case MESSAGE_DECLINE:
    case MESSAGE_ACKNOWLEDGE:
    case MESSAGE_WANT_SPLITS:
        return decode_small(from, to, err);
    case MESSAGE_NONE:
    case MESSAGE_DRAINED:
    case MESSAGE_HEARTBEAT_REPLY:
    case MESSAGE_CANCEL:
    case MESSAGE_FINISH:
    case MESSAGE_KIND_COUNT:
        break;
    }
    return STATUS_OK;
}

/* Which content each kind must carry. */
static const Millstream__Control__ContentCase content_of[MESSAGE_KIND_COUNT] = {
    [MESSAGE_REGISTER] = MILLSTREAM__CONTROL__CONTENT_REGISTRATION,
    [MESSAGE_HEARTBEAT] = MILLSTREAM__CONTROL__CONTENT_HEARTBEAT,
    [MESSAGE_TASK_UPDATE] = MILLSTREAM__CONTROL__CONTENT_TASK_UPDATE,
    [MESSAGE_ACKNOWLEDGE] = MILLSTREAM__CONTROL__CONTENT_ACKNOWLEDGE,
    [MESSAGE_DECLINE] = MILLSTREAM__CONTROL__CONTENT_DECLINE,
    [MESSAGE_WANT_SPLITS] = MILLSTREAM__CONTROL__CONTENT_WANT_SPLITS,
    [MESSAGE_REGISTERED] = MILLSTREAM__CONTROL__CONTENT_REGISTERED,
    [MESSAGE_REFUSED] = MILLSTREAM__CONTROL__CONTENT_REFUSED,
    [MESSAGE_DEPLOY] = MILLSTREAM__CONTROL__CONTENT_DEPLOY,
    [MESSAGE_TRIGGER] = MILLSTREAM__CONTROL__CONTENT_CHECKPOINT,
    [MESSAGE_ABORT] = MILLSTREAM__CONTROL__CONTENT_CHECKPOINT,
    [MESSAGE_COMPLETED] = MILLSTREAM__CONTROL__CONTENT_CHECKPOINT,
    [MESSAGE_SPLITS] = MILLSTREAM__CONTROL__CONTENT_SPLITS,
};

static enum status decode(const Millstream__Control *from, struct message *to, struct error *err)
{
    if (from->kind == MESSAGE_NONE || from->kind >= MESSAGE_KIND_COUNT)
        return error_set(err, STATUS_UNSUPPORTED, "control message of unknown kind %u", from->kind);
    const enum message_kind kind = (enum message_kind)from->kind;
    if (from->content_case != content_of[kind])
        return error_set(err, STATUS_CORRUPT, "control message %s without its content",
                         message_kind_name(kind));
    CHECK_MAX("targets", from->n_targets, MESSAGE_TARGET_MAX);
    to->kind = kind;
    to->sequence = from->sequence;
    to->leader_epoch = from->leader_epoch;
    to->attempt.value = from->attempt;
    TRY(take_id(from->sender, &to->sender, err));
    TRY(take_id(from->job, &to->job.value, err));
    if (from->n_targets > 0)
        to->targets.attempts = allocate_array(from->n_targets, sizeof(*to->targets.attempts));
    to->targets.count = from->n_targets;
    for (size_t i = 0; i < from->n_targets; i++)
        to->targets.attempts[i].value = from->targets[i];
    if (from->n_limits_ms > 0) {
        if (from->n_limits_ms != from->n_targets)
            return error_set(err, STATUS_CORRUPT, "control message: %zu limits of %zu targets",
                             from->n_limits_ms, from->n_targets);
        to->targets.limits_ms =
            copy_memory(from->limits_ms, from->n_limits_ms * sizeof(*from->limits_ms));
    }
    return decode_content(from, to, err);
}

enum status message_decode(const void *bytes, size_t size, struct message **ret_message,
                           struct error *err)
{
    CHECK_MAX("bytes", size, MESSAGE_BYTES_MAX);
    Millstream__Control *from = millstream__control__unpack(NULL, size, bytes);
    if (from == NULL)
        return error_set(err, STATUS_CORRUPT, "control message of %zu bytes cannot be decoded",
                         size);
    struct message *message = message_create(MESSAGE_NONE);
    const enum status status = decode(from, message, err);
    millstream__control__free_unpacked(from, NULL);
    if (status == STATUS_OK)
        *ret_message = message;
    else
        message_destroy(message);
    return status;
}
