/*
 * What a reader does off its worker: making the client, telling it which partitions to fetch from
 * where, asking brokers for ends and ranges, committing.
 *
 * The worker writes orders while no run is under way, starts a run, and reads the answers when it
 * has ended (background.h). Records themselves need no run: they are taken from `queue`.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_CONTROL_H
#define CONNECTORS_KAFKA_KAFKA_CONTROL_H

#include "connectors/background.h"
#include "connectors/kafka/kafka_source_options.h"

#include <stdatomic.h>

/* Offsets stand in the entries. */
struct kafka_orders {
    rd_kafka_topic_partition_list_t *unassign; /* before assign */
    rd_kafka_topic_partition_list_t *assign;
    rd_kafka_topic_partition_list_t *pause;
    rd_kafka_topic_partition_list_t *resume;
    rd_kafka_topic_partition_list_t *commit;
    rd_kafka_topic_partition_list_t *probe; /* where do they end? */
    rd_kafka_topic_partition_list_t *range; /* one entry: from where to where does it go? */
};

struct kafka_control {
    struct background *background;
    struct kafka_source_options options; /* its own copy */
    struct operator_spec spec;           /* settings copied: it may outlive the instance */
    char *client_id;
    uint64_t queue_bytes;
    struct kafka_client *client;       /* NULL before the first run */
    rd_kafka_queue_t *_Atomic records; /* NULL before the client is made */

    struct kafka_orders orders; /* emptied by the run, but for probe */

    /* Answers. */
    rd_kafka_topic_partition_list_t *ends;   /* of orders.probe, or codes in err; NULL: none */
    rd_kafka_topic_partition_list_t *ranged; /* orders.range; NULL: none, or nobody answered */
    int64_t range_first;
    int64_t range_end;
    enum status code; /* of what cannot be helped */
    struct error err;
};

/* A background whose memory is a struct kafka_control. */
struct background *kafka_control_create(struct operator_env *env,
                                        const struct kafka_source_options *options)
    __attribute__((returns_nonnull, warn_unused_result));
/* The list is made when needed; an entry that is there gets the new offset. */
void kafka_orders_add(rd_kafka_topic_partition_list_t **list, const char *topic, int32_t partition,
                      int64_t offset);
/* Pause or resume: of two orders that wait for a partition the last one counts. */
void kafka_orders_pause(struct kafka_orders *orders, const char *topic, int32_t partition,
                        bool is_paused);
bool kafka_orders_exist(const struct kafka_orders *orders);
void kafka_orders_done(struct kafka_orders *orders);
/* background_start's argument. */
void kafka_control_run(void *memory);

#endif
