/* Control messages to bytes. */
#include "common/graph/codec_scratch.h"
#include "common/graph/task_state_codec.h"
#include "common/rpc/message_codec.h"
#include "proto/control.pb-c.h"

#include <string.h>

static char *text_or_empty(const char *text)
{
    return (char *)(text == NULL ? "" : text);
}

static ProtobufCBinaryData id_bytes(const struct id128 *id)
{
    if (id128_is_none(*id))
        return (ProtobufCBinaryData){0};
    return (ProtobufCBinaryData){.data = (uint8_t *)id->bytes, .len = sizeof(id->bytes)};
}

static ProtobufCBinaryData state_bytes(const struct task_state *state,
                                       struct codec_scratch *scratch)
{
    struct text text;
    text_init(&text, MESSAGE_BYTES_MAX);
    task_state_encode(state, &text);
    const size_t size = text.size;
    uint8_t *bytes = codec_scratch_take(scratch, size, 1);
    memcpy(bytes, text.bytes, size);
    text_done(&text);
    return (ProtobufCBinaryData){.data = bytes, .len = size};
}

static Millstream__Register *encode_register(const struct message_register *from,
                                             struct codec_scratch *scratch)
{
    Millstream__Register *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__register__init(to);
    to->protocol_major = from->protocol_major;
    to->protocol_minor = from->protocol_minor;
    to->version = text_or_empty(from->version);
    to->cluster_id = text_or_empty(from->cluster_id);
    to->name = text_or_empty(from->name);
    to->host = text_or_empty(from->host);
    to->data_address = text_or_empty(from->data_address);
    to->http_port = from->http_port;
    to->slot_count = from->slot_count;
    to->cpu_count = from->cpu_count;
    to->memory_bytes = from->memory_bytes;
    to->checkpoint_directory = text_or_empty(from->checkpoint_directory);
    to->token = text_or_empty(from->token);
    to->token_error = text_or_empty(from->token_error);
    return to;
}

static Millstream__TaskMetrics *encode_metrics(const struct task_metrics *from,
                                               struct codec_scratch *scratch)
{
    Millstream__TaskMetrics *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__task_metrics__init(to);
    to->job = id_bytes(&from->job.value);
    to->attempt = from->attempt.value;
    to->records_in = from->records_in;
    to->records_out = from->records_out;
    to->bytes_in = from->bytes_in;
    to->bytes_out = from->bytes_out;
    to->busy_ms = from->busy_ms;
    to->idle_ms = from->idle_ms;
    to->back_pressured_ms = from->back_pressured_ms;
    to->late_records = from->late_records;
    to->error_records = from->error_records;
    to->state_bytes = from->state_bytes;
    to->state_keys = from->state_keys;
    to->watermark_ms = from->watermark_ms;
    to->is_time_idle = from->is_time_idle;
    to->records_lag_max = from->records_lag_max;
    to->has_lag = from->has_lag;
    to->waits_for = text_or_empty(from->waits_for);
    /* The encoder only reads the arrays. */
    to->n_late_buckets = from->late_records > 0 ? LATE_BUCKET_COUNT : 0;
    to->late_buckets = (uint64_t *)(uintptr_t)from->late_buckets;
    to->n_operator_records_in = from->operator_count;
    to->operator_records_in = (uint64_t *)(uintptr_t)from->operator_records_in;
    to->n_operator_records_out = from->operator_count;
    to->operator_records_out = (uint64_t *)(uintptr_t)from->operator_records_out;
    return to;
}

static Millstream__Heartbeat *encode_heartbeat(const struct message_heartbeat *from,
                                               struct codec_scratch *scratch)
{
    Millstream__Heartbeat *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__heartbeat__init(to);
    to->disk_free_bytes = from->disk_free_bytes;
    to->disk_total_bytes = from->disk_total_bytes;
    to->memory_used_bytes = from->memory_used_bytes;
    to->n_tasks = from->task_count;
    to->tasks = codec_scratch_take(scratch, from->task_count, sizeof(*to->tasks));
    for (size_t i = 0; i < from->task_count; i++)
        to->tasks[i] = encode_metrics(&from->tasks[i], scratch);
    return to;
}

static Millstream__TaskUpdate *encode_update(const struct message_task_update *from,
                                             struct codec_scratch *scratch)
{
    Millstream__TaskUpdate *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__task_update__init(to);
    to->status = (uint32_t)from->status;
    to->code = (char *)status_name(from->failure.code);
    to->message = text_or_empty(from->failure.message);
    to->record = text_or_empty(from->failure.record);
    to->lost_peer = id_bytes(&from->failure.lost_peer);
    return to;
}

static void encode_groups(const struct channel_group *from, uint32_t count,
                          Millstream__ChannelGroup ***ret_groups, struct codec_scratch *scratch)
{
    *ret_groups = codec_scratch_take(scratch, count, sizeof(**ret_groups));
    for (uint32_t i = 0; i < count; i++) {
        Millstream__ChannelGroup *to = codec_scratch_take(scratch, 1, sizeof(*to));
        millstream__channel_group__init(to);
        to->edge = from[i].edge;
        to->n_peers = from[i].peer_count;
        to->peers = codec_scratch_take(scratch, from[i].peer_count, sizeof(*to->peers));
        for (uint32_t j = 0; j < from[i].peer_count; j++) {
            const struct channel_peer *peer = &from[i].peers[j];
            Millstream__ChannelPeer *out = codec_scratch_take(scratch, 1, sizeof(*out));
            millstream__channel_peer__init(out);
            out->subtask_index = peer->subtask_index;
            out->attempt = peer->attempt.value;
            out->task_manager = id_bytes(&peer->task_manager);
            out->data_address = text_or_empty(peer->data_address);
            to->peers[j] = out;
        }
        (*ret_groups)[i] = to;
    }
}

static Millstream__TaskDeployment *encode_deployment(const struct task_deployment *from,
                                                     struct codec_scratch *scratch)
{
    Millstream__TaskDeployment *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__task_deployment__init(to);
    to->attempt = from->attempt.value;
    to->vertex = from->vertex;
    to->subtask_index = from->subtask_index;
    to->slot = from->slot;
    to->n_inputs = from->input_count;
    encode_groups(from->inputs, from->input_count, &to->inputs, scratch);
    to->n_outputs = from->output_count;
    encode_groups(from->outputs, from->output_count, &to->outputs, scratch);
    to->restore = from->restore.value;
    to->floor = from->floor.value;
    if (from->state != NULL)
        to->state = state_bytes(from->state, scratch);
    return to;
}

static Millstream__Deploy *encode_deploy(const struct message_deploy *from,
                                         struct codec_scratch *scratch)
{
    Millstream__Deploy *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__deploy__init(to);
    to->graph.data = (uint8_t *)from->graph;
    to->graph.len = from->graph_size;
    to->n_tasks = from->task_count;
    to->tasks = codec_scratch_take(scratch, from->task_count, sizeof(*to->tasks));
    for (size_t i = 0; i < from->task_count; i++)
        to->tasks[i] = encode_deployment(&from->tasks[i], scratch);
    return to;
}

static Millstream__CheckpointOrder *encode_order(const struct message_checkpoint *from,
                                                 struct codec_scratch *scratch)
{
    Millstream__CheckpointOrder *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__checkpoint_order__init(to);
    to->checkpoint = from->checkpoint.value;
    to->completed = from->completed.value;
    to->is_final = from->is_final;
    to->reason = text_or_empty(from->reason);
    return to;
}

static Millstream__Splits *encode_splits(const struct message_splits *from,
                                         struct codec_scratch *scratch)
{
    Millstream__Splits *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__splits__init(to);
    to->operator_index = from->operator_index;
    to->is_last = from->is_last;
    to->n_splits = from->splits.count;
    to->splits = codec_scratch_take(scratch, from->splits.count, sizeof(*to->splits));
    for (size_t i = 0; i < from->splits.count; i++) {
        Millstream__Split *split = codec_scratch_take(scratch, 1, sizeof(*split));
        millstream__split__init(split);
        split->id = from->splits.splits[i].id;
        split->state.data = (uint8_t *)from->splits.splits[i].state;
        split->state.len = from->splits.splits[i].state_size;
        to->splits[i] = split;
    }
    return to;
}

/* Sets the one content of the kind. */
#define CONTENT(to, CASE, field, value)                                                            \
    ((to)->content_case = MILLSTREAM__CONTROL__CONTENT_##CASE, (to)->field = (value))

static void encode_small(const struct message *from, Millstream__Control *to,
                         struct codec_scratch *scratch)
{
    if (from->kind == MESSAGE_REGISTERED) {
        Millstream__Registered *content = codec_scratch_take(scratch, 1, sizeof(*content));
        millstream__registered__init(content);
        content->heartbeat_interval_ms = from->registered.heartbeat_interval_ms;
        content->heartbeat_timeout_ms = from->registered.heartbeat_timeout_ms;
        CONTENT(to, REGISTERED, registered, content);
    } else if (from->kind == MESSAGE_REFUSED) {
        Millstream__Refused *content = codec_scratch_take(scratch, 1, sizeof(*content));
        millstream__refused__init(content);
        content->reason = text_or_empty(from->refused.reason);
        CONTENT(to, REFUSED, refused, content);
    } else if (from->kind == MESSAGE_ACKNOWLEDGE) {
        Millstream__Acknowledge *content = codec_scratch_take(scratch, 1, sizeof(*content));
        millstream__acknowledge__init(content);
        content->checkpoint = from->acknowledge.checkpoint.value;
        content->state = state_bytes(&from->acknowledge.state, scratch);
        CONTENT(to, ACKNOWLEDGE, acknowledge, content);
    } else if (from->kind == MESSAGE_DECLINE) {
        Millstream__Decline *content = codec_scratch_take(scratch, 1, sizeof(*content));
        millstream__decline__init(content);
        content->checkpoint = from->decline.checkpoint.value;
        content->reason = text_or_empty(from->decline.reason);
        CONTENT(to, DECLINE, decline, content);
    } else {
        Millstream__WantSplits *content = codec_scratch_take(scratch, 1, sizeof(*content));
        millstream__want_splits__init(content);
        content->operator_index = from->want_splits.operator_index;
        CONTENT(to, WANT_SPLITS, want_splits, content);
    }
}

static void encode_content(const struct message *from, Millstream__Control *to,
                           struct codec_scratch *scratch)
{
    switch (from->kind) {
    case MESSAGE_REGISTER:
        CONTENT(to, REGISTRATION, registration, encode_register(&from->registration, scratch));
        break;
    case MESSAGE_HEARTBEAT:
        CONTENT(to, HEARTBEAT, heartbeat, encode_heartbeat(&from->heartbeat, scratch));
        break;
    case MESSAGE_TASK_UPDATE:
        CONTENT(to, TASK_UPDATE, task_update, encode_update(&from->task_update, scratch));
        break;
    case MESSAGE_DEPLOY:
        CONTENT(to, DEPLOY, deploy, encode_deploy(&from->deploy, scratch));
        break;
    case MESSAGE_TRIGGER:
    case MESSAGE_ABORT:
    case MESSAGE_COMPLETED:
        CONTENT(to, CHECKPOINT, checkpoint, encode_order(&from->checkpoint, scratch));
        break;
    case MESSAGE_SPLITS:
        CONTENT(to, SPLITS, splits, encode_splits(&from->splits, scratch));
        break;
    case MESSAGE_REGISTERED:
    case MESSAGE_REFUSED:
    case MESSAGE_ACKNOWLEDGE:
    case MESSAGE_DECLINE:
    case MESSAGE_WANT_SPLITS:
        encode_small(from, to, scratch);
        break;
    case MESSAGE_NONE:
    case MESSAGE_DRAINED:
    case MESSAGE_HEARTBEAT_REPLY:
    case MESSAGE_CANCEL:
    case MESSAGE_FINISH:
    case MESSAGE_KIND_COUNT:
        break;
    }
}

void message_encode(const struct message *message, struct text *out)
{
    struct codec_scratch scratch = {0};
    Millstream__Control to;
    millstream__control__init(&to);
    to.kind = (uint32_t)message->kind;
    to.sequence = message->sequence;
    to.leader_epoch = message->leader_epoch;
    to.sender = id_bytes(&message->sender);
    to.job = id_bytes(&message->job.value);
    to.attempt = message->attempt.value;
    to.n_targets = message->targets.count;
    to.targets = codec_scratch_take(&scratch, message->targets.count, sizeof(*to.targets));
    for (size_t i = 0; i < message->targets.count; i++)
        to.targets[i] = message->targets.attempts[i].value;
    if (message->targets.limits_ms != NULL) {
        to.n_limits_ms = message->targets.count;
        to.limits_ms = message->targets.limits_ms; /* the encoder only reads it */
    }
    encode_content(message, &to, &scratch);
    const size_t size = millstream__control__get_packed_size(&to);
    uint8_t *packed = codec_scratch_take(&scratch, size, 1);
    millstream__control__pack(&to, packed);
    text_append_bytes(out, packed, size);
    codec_scratch_done(&scratch);
}
