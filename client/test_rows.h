/*
 * Rows written in a test file: a map column: value, the values as CSV has them (timestamps in SQL
 * form, nothing after the colon is NULL), columns that are left out NULL.
 */
#ifndef CLIENT_TEST_ROWS_H
#define CLIENT_TEST_ROWS_H

#include "common/config/yaml.h"
#include "common/data/batch_builder.h"

/* Appends the row; an error says the line, the column and what is wrong. */
enum status test_row_append(struct batch_builder *builder, const struct yaml_node *row,
                            struct error *err) MUST_CHECK;
/* "+I[apple, 3]" of a row, or the text itself where one stands for a row ("-U[apple, 2]"). */
enum status test_row_format(const struct schema *schema, const struct yaml_node *row,
                            struct text *out, struct error *err) MUST_CHECK;
/* Milliseconds since 1970 from a number or a timestamp in SQL form. */
enum status test_time_parse(const struct yaml_node *value, int64_t *ret_ms,
                            struct error *err) MUST_CHECK;

#endif
