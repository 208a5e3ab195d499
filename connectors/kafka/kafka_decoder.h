/*
 * From records to batches: values by the node's format, keys by key_format, metadata from the
 * record. A batch holds rows of one partition. Worker only.
 *
 * The bytes of a batch's values are copied into one buffer that its string views point into, so
 * that no batch keeps an answer of a broker alive.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_DECODER_H
#define CONNECTORS_KAFKA_KAFKA_DECODER_H

#include "connectors/kafka/kafka_layout.h"
#include "connectors/kafka/kafka_reading.h"
#include "connectors/kafka/kafka_source_options.h"

/* A format at work on one part of records. */
struct kafka_part {
    const struct format *format;
    struct operator_spec spec; /* settings of the format only; borrowed texts */
    struct setting *settings;  /* owned array */
    void *decoder;             /* NULL: no column comes from this part */
    struct batch_builder builder;
};

struct kafka_decoder {
    struct operator_env *env;
    struct kafka_layout layout;
    struct kafka_part value;
    struct kafka_part key;
    struct batch_builder metadata;
    uint64_t record_size_max;
    struct buffer *buffer; /* bytes of the batch being built; owned */
    uint32_t row_count;    /* of the batch being built */
    uint32_t *key_rows;    /* for each row: its row among the decoded keys */
    bool *is_dropped;      /* for each row */
    uint32_t dropped_count;
    uint32_t row_capacity;
    bool has_error; /* the error below, of the first record, waits to be handled */
    const char *cause;
    char message[500];
};

enum kafka_decoded {
    KAFKA_DECODED_ALL,     /* no record waits any more                                   */
    KAFKA_DECODED_FULL,    /* the batch is full                                          */
    KAFKA_DECODED_NO_ROOM, /* an error row found no room, or the turn is over            */
    KAFKA_DECODED_LOST,    /* another record lies where the one read last should be      */
    KAFKA_DECODED_FAILED,  /* err says why                                               */
};

enum status kafka_decoder_init(struct kafka_decoder *decoder, struct operator_env *env,
                               const struct format *format,
                               const struct kafka_source_options *options,
                               struct error *err) MUST_CHECK;
void kafka_decoder_done(struct kafka_decoder *decoder);

/* Decodes records of one partition, whose position moves with them. *ret_batch: the rows, NULL if
 * there are none; to be passed on whatever the result is. */
enum kafka_decoded kafka_decoder_run(struct kafka_decoder *decoder, struct kafka_reading *reading,
                                     struct emitter *out, struct batch **ret_batch,
                                     struct error *err);

#endif
