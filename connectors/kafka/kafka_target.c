/* The topic of a sink: see kafka_target.h. */
#include "connectors/kafka/kafka_target.h"

#include "common/base/allocate.h"
#include "connectors/kafka/kafka_topic_config.h"
#include "connectors/kafka/kafka_topics.h"

#define PROBE_BUFFER_BYTES (UINT64_C(1) << 20)

static enum status find_topic(struct kafka_client *client, const struct kafka_sink_options *options,
                              bool may_create, int timeout_ms, struct kafka_topic_list *topics,
                              struct error *err)
{
    enum status status = kafka_topic_find(client, options->topic, timeout_ms, topics, err);
    if (status != STATUS_NOT_FOUND)
        return status;
    if (!options->must_create)
        return options->must_exist ? error_wrap(err, STATUS_INVALID, "on_missing: fail") : status;
    if (!may_create)
        return STATUS_OK;
    status = kafka_topic_create(client, options->topic, options->partition_count,
                                options->replication, NULL, timeout_ms, err);
    if (status != STATUS_OK && status != STATUS_EXISTS)
        return status;
    return kafka_topic_find(client, options->topic, timeout_ms, topics, err);
}

static enum status look_at(struct kafka_client *client, const struct kafka_sink_options *options,
                           const struct kafka_topic *topic, int timeout_ms,
                           struct kafka_target *target, struct error *err)
{
    struct kafka_topic_config config;
    TRY(kafka_topic_config_read(client, options->topic, timeout_ms, &config, err));
    if (topic->partition_count == 0)
        return error_set(err, STATUS_UNAVAILABLE, "topic \"%s\" has no partition yet",
                         options->topic);
    if (config.is_compacted && options->key_count == 0)
        return error_set(err, STATUS_INVALID,
                         "topic \"%s\" is compacted and takes no record without a key: say `key`",
                         options->topic);
    *target = (struct kafka_target){
        .partition_count = (int32_t)topic->partition_count,
        .replica_count = UINT32_MAX,
        .in_sync_min = config.in_sync_min,
        .message_bytes_max = config.message_bytes_max,
    };
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (topic->partitions[i].replica_count < target->replica_count)
            target->replica_count = topic->partitions[i].replica_count;
    }
    return STATUS_OK;
}

enum status kafka_target_find(struct kafka_client *client, const struct kafka_sink_options *options,
                              bool may_create, int timeout_ms, struct kafka_target *ret_target,
                              struct error *err)
{
    struct kafka_topic_list topics = {0};
    struct kafka_target target = {0};
    enum status status = find_topic(client, options, may_create, timeout_ms, &topics, err);
    if (status == STATUS_OK && topics.count > 0)
        status = look_at(client, options, &topics.topics[0], timeout_ms, &target, err);
    kafka_topic_list_done(&topics);
    if (status == STATUS_OK)
        *ret_target = target;
    return status;
}

const char *kafka_target_weakness(const struct kafka_target *target)
{
    if (target->partition_count == 0)
        return NULL;
    if (target->replica_count <= 1)
        return "replication factor 1: records that were confirmed are lost with their broker's "
               "disk; use 3 with min.insync.replicas=2";
    if (target->in_sync_min < 2)
        return "min.insync.replicas=1: a record may be confirmed by its leader alone and be lost "
               "with it; set it to 2";
    return NULL;
}

enum status kafka_sink_probe(const struct operator_spec *spec, struct error *err)
{
    struct kafka_sink_options options;
    TRY(kafka_sink_options_read(spec, spec->inputs[0], &options, err));
    struct kafka_client *client = NULL;
    struct kafka_target target;
    enum status status = kafka_sink_client(spec, &options, "millstream-probe", PROBE_BUFFER_BYTES,
                                           PROBE_BUFFER_BYTES, NULL, &client, err);
    if (status == STATUS_OK)
        status = kafka_target_find(client, &options, false, KAFKA_PROBE_MS, &target, err);
    if (status == STATUS_OK && kafka_target_weakness(&target) != NULL)
        status = error_set(err, STATUS_UNSUPPORTED, "topic \"%s\": %s", options.topic,
                           kafka_target_weakness(&target));
    kafka_client_destroy(client);
    kafka_sink_options_done(&options);
    return status;
}
