/* The options of the source "kafka", read and checked against each other. */
#ifndef CONNECTORS_KAFKA_KAFKA_SOURCE_OPTIONS_H
#define CONNECTORS_KAFKA_KAFKA_SOURCE_OPTIONS_H

#include "connectors/kafka/kafka_client.h"

extern const struct option_spec kafka_source_option_table[];

enum kafka_start {
    KAFKA_START_GROUP,
    KAFKA_START_EARLIEST,
    KAFKA_START_LATEST,
    KAFKA_START_TIMESTAMP,
    KAFKA_START_OFFSETS,
};

enum kafka_end { KAFKA_END_NEVER, KAFKA_END_LATEST, KAFKA_END_TIMESTAMP, KAFKA_END_OFFSETS };

enum kafka_on_missing { KAFKA_ON_MISSING_WAIT, KAFKA_ON_MISSING_FAIL };
enum kafka_on_lost { KAFKA_ON_LOST_FAIL, KAFKA_ON_LOST_EARLIEST, KAFKA_ON_LOST_LATEST };

/* "3:42", "orders[3]:42": an offset that an option names. */
struct kafka_named_offset {
    char *topic; /* NULL: of every topic */
    int32_t partition;
    int64_t offset;
};

struct kafka_source_options {
    char *brokers;
    char **topics; /* none with a pattern */
    size_t topic_count;
    char *pattern;
    char *group;
    enum kafka_start start;
    int64_t start_ms;
    struct kafka_named_offset *start_offsets;
    size_t start_offset_count;
    enum kafka_end end;
    int64_t end_ms;
    struct kafka_named_offset *end_offsets;
    size_t end_offset_count;
    int64_t discovery_ms; /* 0: once */
    enum kafka_on_missing on_missing;
    enum kafka_on_lost on_lost;
    uint64_t fetch_memory_bytes;
    char *key;        /* names of columns, comma-separated; NULL: none */
    char *key_format; /* NULL: by the columns */
};

/* Everything that the settings of a spec show to be wrong is STATUS_INVALID, properties included.
 */
enum status kafka_source_options_read(const struct operator_spec *spec,
                                      struct kafka_source_options *ret_options,
                                      struct error *err) MUST_CHECK;
void kafka_source_options_done(struct kafka_source_options *options);

/* A consumer as these options want it. queue_bytes: how much it may fetch ahead, over all
 * partitions. */
enum status kafka_source_client(const struct operator_spec *spec,
                                const struct kafka_source_options *options, const char *client_id,
                                uint64_t queue_bytes, struct kafka_client **ret_client,
                                struct error *err) MUST_CHECK;

/* The offset that the list names for a partition; -1: none. */
int64_t kafka_named_offset_find(const struct kafka_named_offset *offsets, size_t count,
                                const char *topic, int32_t partition);

#endif
