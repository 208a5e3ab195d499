/*
 * Rows as records of Kafka: key, value, partition, time. Worker thread only.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_RECORD_ENCODER_H
#define CONNECTORS_KAFKA_KAFKA_RECORD_ENCODER_H

#include "connectors/kafka/kafka_sink_options.h"

/* The columns of the rows that the value's format writes; a new reference. */
struct schema *kafka_value_schema(const struct kafka_sink_options *options,
                                  const struct schema *rows)
    __attribute__((returns_nonnull, warn_unused_result));

/* Some columns of the rows, written by one format. */
struct kafka_part {
    const struct format *format;
    void *encoder;
    struct schema *schema; /* owned */
    uint32_t *columns;     /* their indices in the rows; owned */
    struct batch *batch;   /* of the current batch; owned */
    struct text bytes;     /* of the current row */
};

struct kafka_record_encoder {
    const struct kafka_sink_options *options; /* borrowed */
    struct kafka_part key;                    /* format NULL: none */
    struct kafka_part value;
};

struct kafka_record {
    const void *key; /* NULL: none; valid until the next row */
    size_t key_size;
    const void *value; /* NULL: the key's row is deleted */
    size_t value_size;
    int32_t partition;    /* -1: by the key */
    int64_t timestamp_ms; /* 0: now */
};

enum status kafka_record_encoder_init(struct kafka_record_encoder *encoder,
                                      const struct operator_spec *spec,
                                      const struct kafka_sink_options *options,
                                      const struct schema *rows, const struct format *value_format,
                                      struct error *err) MUST_CHECK;
void kafka_record_encoder_done(struct kafka_record_encoder *encoder);

/* The rows that follow are of this batch, borrowed until the next one or NULL. */
void kafka_record_encoder_start(struct kafka_record_encoder *encoder, struct batch *batch);
/* A row that cannot be written gives STATUS_RECORD. */
enum status kafka_record_encode(struct kafka_record_encoder *encoder, const struct batch *batch,
                                uint32_t row, struct kafka_record *ret_record,
                                struct error *err) MUST_CHECK;

#endif
