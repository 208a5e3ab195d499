/*
 * Schemas of Apache Avro (specification 1.11): from their JSON form, and from columns.
 */
#ifndef CONNECTORS_FORMATS_AVRO_AVRO_SCHEMA_H
#define CONNECTORS_FORMATS_AVRO_AVRO_SCHEMA_H

#include "common/data/schema.h"

#define AVRO_SCHEMA_BYTES_MAX 1048576
#define AVRO_SCHEMA_NODES_MAX 10000
#define AVRO_SCHEMA_DEPTH_MAX 64

enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_RECORD,
    AVRO_UNION,
};
#define AVRO_PRIMITIVE_COUNT (AVRO_STRING + 1)

enum avro_logical {
    AVRO_PLAIN,
    AVRO_DECIMAL,
    AVRO_DATE,
    AVRO_TIME_MILLIS,
    AVRO_TIME_MICROS,
    AVRO_TIMESTAMP_MILLIS, /* local-timestamp-… too: a column says which it is */
    AVRO_TIMESTAMP_MICROS,
};

struct avro_schema {
    enum avro_kind kind;
    enum avro_logical logical;
    uint32_t precision; /* DECIMAL */
    uint32_t scale;
    uint32_t size;                    /* FIXED: bytes */
    char *name;                       /* of RECORD, ENUM, FIXED: with its namespace; else NULL */
    uint32_t count;                   /* fields, symbols, branches; 1 for ARRAY and MAP */
    char **names;                     /* of fields and symbols; NULL for others */
    const struct avro_schema **parts; /* of fields, branches, entries; recursive schemas meet
                                         themselves again */
};

/* Owns all nodes of one schema. */
struct avro_document;

enum status avro_schema_parse(const char *json, size_t size, struct avro_document **ret_document,
                              struct error *err) MUST_CHECK;
/* The record that has a field for each column, as Flink derives it: nullable types are unions with
 * null. STATUS_UNSUPPORTED names a column that Avro has no type for. */
enum status avro_schema_derive(const struct schema *columns, struct avro_document **ret_document,
                               struct error *err) MUST_CHECK;
/* NULL is ignored. */
void avro_document_destroy(struct avro_document *document);
const struct avro_schema *avro_document_root(const struct avro_document *document);

/* "timestamp-millis", "union", "record shop.Order": for messages. */
void avro_schema_describe(const struct avro_schema *schema, struct text *out);

#endif
