/*
 * Reads partitions of Kafka in a task.
 *
 * Partitions are assigned to librdkafka, never subscribed to: who reads what, and from where, is
 * the checkpoint's business. Its one queue of records, bounded by fetch_memory over all
 * partitions, is emptied without blocking on the worker; whatever blocks is done by
 * kafka_control.h on a thread of its own.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_READER_H
#define CONNECTORS_KAFKA_KAFKA_READER_H

#include "connectors/kafka/kafka_control.h"
#include "connectors/kafka/kafka_decoder.h"

/* Records taken from librdkafka at once. */
#define KAFKA_TAKE_MAX 1024

struct kafka_reader {
    struct operator_env *env;
    struct kafka_source_options options;
    struct background *background;
    struct kafka_control *control; /* the background's memory */
    struct kafka_decoder decoder;
    struct kafka_reading **readings; /* by number: splits in the order given */
    size_t reading_count;
    size_t reading_capacity;
    struct kafka_reading **by_name; /* the same, by topic and partition */
    struct kafka_reading *latest;   /* of the record seen last */
    struct kafka_reading *blocked;  /* whose error waits for room */
    struct kafka_reading **ready;   /* a ring: readings with records; room for all readings */
    size_t ready_first;
    size_t ready_count;
    size_t finished_count;
    bool wants_splits;
    bool is_waiting;        /* the job's status says for what */
    bool commits_by_itself; /* checkpoints are off */
    int64_t committed_us;
    int64_t probed_us;
    uint64_t lag_max;        /* as of probed_us */
    uint64_t reserved_bytes; /* of env->memory, for what librdkafka holds */
    struct kafka_orders next;
    rd_kafka_topic_partition_list_t *snapshot; /* positions of the newest snapshot */
    rd_kafka_message_t *taken[KAFKA_TAKE_MAX];
};

enum status kafka_reader_open(void *self, struct operator_env *env, const struct format *format,
                              struct error *err) MUST_CHECK;
enum status kafka_reader_add_splits(void *self, const struct split_list *splits,
                                    struct error *err) MUST_CHECK;
enum poll kafka_reader_poll(void *self, struct emitter *out, struct batch **ret_batch,
                            struct error *err);
enum status kafka_reader_snapshot(void *self, struct split_list *ret_splits,
                                  struct error *err) MUST_CHECK;
void kafka_reader_checkpoint_completed(void *self, struct checkpoint_id id);
int64_t kafka_reader_next_wake_us(const void *self);
enum split_status kafka_reader_split_status(const void *self, uint32_t split);
uint64_t kafka_reader_records_lag_max(const void *self);
void kafka_reader_pause_split(void *self, uint32_t split, bool is_paused);
void kafka_reader_close(void *self);

#endif
