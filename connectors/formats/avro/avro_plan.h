/*
 * How values of an Avro schema become values of a column's type and back: resolved once, so that
 * decoding and encoding follow pointers only.
 */
#ifndef CONNECTORS_FORMATS_AVRO_AVRO_PLAN_H
#define CONNECTORS_FORMATS_AVRO_AVRO_PLAN_H

#include "connectors/formats/avro/avro_schema.h"

#include "common/data/batch_builder.h"

struct avro_plan {
    const struct avro_schema *avro;
    struct type type; /* of the column; TYPE_NONE: decoding skips the value */
    /* UNION: a plan for each branch. RECORD: for each field of Avro's, and
     * places[i] is the column's field or -1. ARRAY, MAP: one. */
    struct avro_plan *parts;
    int32_t *places;
};

enum avro_direction { AVRO_READ, AVRO_WRITE };

/* Matches by names. Reading: fields of Avro's that are no columns are skipped, columns without a
 * field are NULL. Writing: a field without a column must take null, a column without a field is an
 * error. What does not fit is STATUS_INVALID with column, Avro's type and the column's. The columns
 * are those of a ROW: the schema's as fields. avro must be a record. */
enum status avro_plan_init(struct avro_plan *plan, const struct avro_schema *avro,
                           const struct type_field *columns, uint32_t column_count,
                           enum avro_direction direction, struct error *err) MUST_CHECK;
void avro_plan_done(struct avro_plan *plan);

/* What a decoding reads; fail() has been called where position stands when it went wrong. */
struct avro_cursor {
    struct buffer *buffer;
    uint32_t position;
    uint32_t limit;
    uint32_t entry_count; /* of all arrays and maps so far */
    bool is_short;        /* the bytes end within the record */
    char message[300];    /* what is wrong otherwise; "" */
    const char *column;   /* that it is wrong in; NULL: the record */
};

/* Appends the values of one record to the builder's current row: all columns of the plan. */
bool avro_decode_record(const struct avro_plan *plan, struct avro_cursor *cursor,
                        struct batch_builder *out);

/* Appends a record. STATUS_RECORD: a value that the Avro type cannot hold. */
enum status avro_encode_record(const struct avro_plan *plan, const struct batch *batch,
                               uint32_t row, struct text *out, struct error *err) MUST_CHECK;

#endif
