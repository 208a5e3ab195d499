/*
 * Offsets of partitions as brokers know them. Blocks: off the worker.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_OFFSETS_H
#define CONNECTORS_KAFKA_KAFKA_OFFSETS_H

#include "connectors/kafka/kafka_client.h"

/* For kafka_offsets_find, in place of a time. */
#define KAFKA_OFFSET_EARLIEST (-2)
#define KAFKA_OFFSET_LATEST   (-1)

/* Replaces each entry's offset, a time in milliseconds or one of the two above, by the offset of
 * the first record at or after that time, or the end of the partition (the last stable offset
 * for readers of committed records). The first entry that fails decides the status; codes stand
 * in the entries' err. */
enum status kafka_offsets_find(struct kafka_client *client, rd_kafka_topic_partition_list_t *list,
                               int timeout_ms, struct error *err) MUST_CHECK;

/* Replaces each entry's offset by the one that the client's group has committed, or
 * RD_KAFKA_OFFSET_INVALID where there is none. */
enum status kafka_offsets_committed(struct kafka_client *client,
                                    rd_kafka_topic_partition_list_t *list, int timeout_ms,
                                    struct error *err) MUST_CHECK;

/* The first offset that the partition still has, and the one behind its last. */
enum status kafka_offsets_range(struct kafka_client *client, const char *topic, int32_t partition,
                                int timeout_ms, int64_t *ret_first, int64_t *ret_end,
                                struct error *err) MUST_CHECK;

#endif
