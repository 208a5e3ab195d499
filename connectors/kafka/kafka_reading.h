/*
 * One partition being read: its position, and the records of it that were fetched and wait to be
 * decoded. Worker only.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_READING_H
#define CONNECTORS_KAFKA_KAFKA_READING_H

#include "common/base/buffer.h"
#include "connectors/kafka/kafka_split.h"

#include <librdkafka/rdkafka.h>

struct kafka_reading {
    struct kafka_split split; /* exactly behind the last batch that left */
    struct buffer *name;      /* the split's id, for origins; owned */
    uint32_t number;          /* of the split: see reader_ops */
    /* A ring; capacity is a power of two. Also errors and ends, as librdkafka gives them. */
    rd_kafka_message_t **records;
    uint32_t first;
    uint32_t count;
    uint32_t capacity;
    /* of the first record */
    uint32_t consumed;  /* bytes that were decoded already */
    uint32_t rows_seen; /* rows that they gave */
    uint32_t rows_skip; /* leading rows that left before a restore */

    bool must_verify; /* the next record is the one read last: see kafka_split.h */
    bool is_ready;    /* it is in the reader's list of those with records */
    bool is_paused;
    bool is_at_end; /* everything up to the partition's end was fetched when last heard */
    bool is_finished;
    bool is_lost;     /* what is next is not to be had: the broker's range is being asked for */
    bool is_other;    /* lost because the topic is another one than before */
    bool is_answered; /* the last probe had an answer */
    unsigned short_probes;   /* in a row that found the end before next */
    unsigned missing_probes; /* in a row that found no such topic or partition */
    int64_t known_us;        /* when the broker last said that nothing is behind next; 0: never */
    int64_t end_seen;        /* the partition's end as last heard; -1: never */
};

/* Takes the split. */
void kafka_reading_init(struct kafka_reading *reading, const struct kafka_split *split,
                        uint32_t number);
void kafka_reading_done(struct kafka_reading *reading);

/* Where a fetch begins: at the record read last, if that is to be verified. */
static inline int64_t kafka_reading_fetch_from(const struct kafka_reading *reading)
{
    return reading->must_verify ? reading->split.last_offset : reading->split.next;
}

/* Takes the record. */
void kafka_reading_push(struct kafka_reading *reading, rd_kafka_message_t *record);
static inline rd_kafka_message_t *kafka_reading_head(const struct kafka_reading *reading)
{
    return reading->records[reading->first];
}
static inline rd_kafka_message_t *kafka_reading_at(const struct kafka_reading *reading, uint32_t i)
{
    return reading->records[(reading->first + i) & (reading->capacity - 1)];
}
/* Destroys the first record. */
void kafka_reading_pop(struct kafka_reading *reading);
/* Destroys all of them. */
void kafka_reading_clear(struct kafka_reading *reading);

/* The position moves behind the record, which becomes the one read last. */
void kafka_reading_advance(struct kafka_reading *reading, const rd_kafka_message_t *record);

/* Nothing is read from here on. */
void kafka_reading_finish(struct kafka_reading *reading);

#endif
