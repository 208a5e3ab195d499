/*
 * Which part of a record each column of a source comes from: its value, its key, or what Kafka
 * knows of it.
 * The compiler has checked the types of metadata columns against kafka_metadata.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_LAYOUT_H
#define CONNECTORS_KAFKA_KAFKA_LAYOUT_H

#include "common/api/connector.h"

#include <librdkafka/rdkafka.h>

/* Those of metadata are the rows of kafka_metadata. */
enum kafka_field {
    KAFKA_FIELD_TOPIC,
    KAFKA_FIELD_PARTITION,
    KAFKA_FIELD_OFFSET,
    KAFKA_FIELD_TIMESTAMP,
    KAFKA_FIELD_TIMESTAMP_TYPE,
    KAFKA_FIELD_HEADERS,
    KAFKA_FIELD_RAW_KEY,
    KAFKA_FIELD_VALUE, /* decoded by the node's format */
    KAFKA_FIELD_KEY,   /* decoded by key_format */
};

extern const struct source_metadata kafka_metadata[];

struct kafka_column {
    enum kafka_field field;
    uint32_t index; /* among the columns of value, key or metadata */
};

struct kafka_layout {
    struct schema *value;    /* owned; NULL if no column comes from the value */
    struct schema *key;      /* owned; NULL if none */
    struct schema *metadata; /* owned; NULL if none */
    struct kafka_column *columns;
    uint32_t column_count;
};

/* key: names of columns, comma-separated, or NULL. STATUS_INVALID names the column. */
enum status kafka_layout_init(struct kafka_layout *layout, const struct operator_spec *spec,
                              const char *key, struct error *err) MUST_CHECK;
void kafka_layout_done(struct kafka_layout *layout);

/* Appends one row of the metadata schema; false with a message if the record does not fit it
 * (text that is no UTF-8, NULL in NOT NULL): the row is then not there. */
bool kafka_layout_append(const struct kafka_layout *layout, const rd_kafka_message_t *record,
                         struct batch_builder *out, char *ret_message, size_t message_size);

#endif
