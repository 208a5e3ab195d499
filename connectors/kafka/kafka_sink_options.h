/* The options of the sink "kafka", read and checked against each other and the rows. */
#ifndef CONNECTORS_KAFKA_KAFKA_SINK_OPTIONS_H
#define CONNECTORS_KAFKA_KAFKA_SINK_OPTIONS_H

#include "connectors/kafka/kafka_client.h"

extern const struct option_spec kafka_sink_option_table[];

enum kafka_mode { KAFKA_MODE_APPEND, KAFKA_MODE_UPSERT };

enum kafka_partitioner {
    KAFKA_PARTITIONER_KEY,         /* Kafka's own: murmur2 of the key, sticky without one */
    KAFKA_PARTITIONER_ROUND_ROBIN, /* each subtask by itself */
    KAFKA_PARTITIONER_FIXED,       /* subtask mod partitions */
    KAFKA_PARTITIONER_COLUMN,      /* what a column says */
};

struct kafka_sink_options {
    char *brokers;
    char *topic;
    enum kafka_mode mode;
    uint32_t *key; /* columns of the rows, in the order named; none without a key */
    uint32_t key_count;
    const struct format *key_format; /* never NULL with a key */
    bool is_key_in_value;            /* value_fields: all */
    enum kafka_partitioner partitioner;
    uint32_t partition_column;
    bool has_timestamp;
    uint32_t timestamp_column;
    char *compression;
    bool must_create;
    int partition_count; /* of a topic that is made; -1: the broker's default */
    int replication;
    bool must_exist; /* on_missing: fail */
    uint64_t buffer_bytes;
};

/* rows: what the sink is given. Everything that spec and rows show to be wrong is STATUS_INVALID,
 * properties included. */
enum status kafka_sink_options_read(const struct operator_spec *spec, const struct schema *rows,
                                    struct kafka_sink_options *ret_options,
                                    struct error *err) MUST_CHECK;
void kafka_sink_options_done(struct kafka_sink_options *options);

/* A producer as these options want it. message_bytes: the largest that the topic takes. delivered:
 * for every message, on the thread that polls; its message's opaque is what it was produced with.
 */
enum status kafka_sink_client(const struct operator_spec *spec,
                              const struct kafka_sink_options *options, const char *client_id,
                              uint64_t buffer_bytes, uint64_t message_bytes,
                              void (*delivered)(rd_kafka_t *handle,
                                                const rd_kafka_message_t *message, void *opaque),
                              struct kafka_client **ret_client, struct error *err) MUST_CHECK;

#endif
