/*
 * Values of simple types from and to text, as the text formats write them: CSV fields, and what is
 * a string in JSON (dates, times, timestamps, bytes).
 */
#ifndef CONNECTORS_FORMATS_SCALAR_TEXT_H
#define CONNECTORS_FORMATS_SCALAR_TEXT_H

#include "common/data/batch_builder.h"

enum timestamp_form { TIMESTAMP_FORM_SQL, TIMESTAMP_FORM_EPOCH_MS };

/* "sql", "epoch_ms": for OPTION_ENUM. */
extern const char *const timestamp_form_choices[];

/* Can a column of this type be written as text? Not: INTERVAL and, unless with_nested, ARRAY, MAP,
 * ROW. */
bool scalar_text_supports(struct type type, bool with_nested);

/* Appends the value that the text gives to a column that is no string and no BYTES; false: the
 * text is no value of the type. TIMESTAMP_LTZ without a zone is UTC; TIMESTAMP takes none. */
bool scalar_text_append(struct batch_builder *builder, uint32_t column, const struct type *type,
                        const char *text, size_t size, enum timestamp_form form);
/* An integer that must fit the type. */
bool scalar_int_append(struct batch_builder *builder, uint32_t column, const struct type *type,
                       int64_t value);
/* Milliseconds since 1970 as a timestamp; false: out of its range. */
bool scalar_epoch_ms_append(struct batch_builder *builder, uint32_t column, const struct type *type,
                            int64_t ms);

/* The value that is not NULL as text, without quotes: the inverse. */
void scalar_text_format(const struct column *column, uint32_t row, enum timestamp_form form,
                        struct text *out);

/* Does a string keep to the n of its CHAR(n) or VARCHAR(n)? The bytes are valid UTF-8. */
bool scalar_length_fits(const struct type *type, const char *bytes, size_t size);

#endif
