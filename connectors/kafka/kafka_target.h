/* The topic that a sink writes to: found, made if asked, and looked at. Blocks: off the worker. */
#ifndef CONNECTORS_KAFKA_KAFKA_TARGET_H
#define CONNECTORS_KAFKA_KAFKA_TARGET_H

#include "connectors/kafka/kafka_sink_options.h"

struct kafka_target {
    int32_t partition_count;
    uint32_t replica_count;     /* of the partition that has fewest */
    uint32_t in_sync_min;       /* min.insync.replicas */
    uint64_t message_bytes_max; /* of one record */
};

/* STATUS_INVALID: waiting would not help. may_create: make it where the options say so; else such a
 * topic that is missing gives a target with partition_count 0. */
enum status kafka_target_find(struct kafka_client *client, const struct kafka_sink_options *options,
                              bool may_create, int timeout_ms, struct kafka_target *ret_target,
                              struct error *err) MUST_CHECK;

/* How the topic's replication fails to keep what a confirmed record promises; NULL: it does not. */
const char *kafka_target_weakness(const struct kafka_target *target);

/* Of sink_connector. */
enum status kafka_sink_probe(const struct operator_spec *spec, struct error *err);

#endif
