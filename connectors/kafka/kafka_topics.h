/*
 * What brokers know about topics: partitions, leaders, replicas. Blocks: off the worker.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_TOPICS_H
#define CONNECTORS_KAFKA_KAFKA_TOPICS_H

#include "connectors/kafka/kafka_client.h"

#define KAFKA_TOPIC_NAME_BYTES_MAX 249
#define KAFKA_TOPICS_MAX           10000
#define KAFKA_PARTITIONS_MAX       200000

struct kafka_partition {
    int32_t id;
    int32_t leader; /* broker, or -1 */
    uint32_t replica_count;
    uint32_t in_sync_count;
};

struct kafka_topic {
    char *name;
    struct kafka_partition *partitions; /* by id */
    uint32_t partition_count;
};

/* Zero is empty. */
struct kafka_topic_list {
    struct kafka_topic *topics; /* by name */
    size_t count;
    size_t capacity;
    uint32_t broker_count;
};
void kafka_topic_list_done(struct kafka_topic_list *list);

/* One topic by name, appended to the list. STATUS_NOT_FOUND, STATUS_UNAVAILABLE, STATUS_INVALID
 * (not allowed): the message names the topic and says why. */
enum status kafka_topic_find(struct kafka_client *client, const char *name, int timeout_ms,
                             struct kafka_topic_list *list, struct error *err) MUST_CHECK;
/* All topics that may be seen and are not internal; those whose names do not match the extended
 * regular expression (the whole name) are left out. pattern: NULL for all. */
enum status kafka_topics_matching(struct kafka_client *client, const char *pattern, int timeout_ms,
                                  struct kafka_topic_list *list, struct error *err) MUST_CHECK;

/* Is that a regular expression? */
enum status kafka_topic_pattern_check(const char *pattern, struct error *err) MUST_CHECK;
/* Only letters, digits, '.', '_' and '-', at most 249 of them. */
enum status kafka_topic_name_check(const char *name, struct error *err) MUST_CHECK;

/* STATUS_EXISTS if it is there already. partition_count, replication: -1 for the broker's default.
 * configs: pairs of name and value that end in NULL, or NULL. */
enum status kafka_topic_create(struct kafka_client *client, const char *name, int partition_count,
                               int replication, const char *const *configs, int timeout_ms,
                               struct error *err) MUST_CHECK;

#endif
