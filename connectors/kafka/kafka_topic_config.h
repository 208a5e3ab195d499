/* The settings of a topic that a producer must know. Blocks: off the worker. */
#ifndef CONNECTORS_KAFKA_KAFKA_TOPIC_CONFIG_H
#define CONNECTORS_KAFKA_KAFKA_TOPIC_CONFIG_H

#include "connectors/kafka/kafka_client.h"

struct kafka_topic_config {
    uint64_t message_bytes_max; /* max.message.bytes */
    uint32_t in_sync_min;       /* min.insync.replicas */
    bool is_compacted;          /* cleanup.policy: records without a key are refused */
};

/* Kafka's defaults stand where the broker does not let us see a setting. */
enum status kafka_topic_config_read(struct kafka_client *client, const char *topic, int timeout_ms,
                                    struct kafka_topic_config *ret_config,
                                    struct error *err) MUST_CHECK;

#endif
