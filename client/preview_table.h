/*
 * What one output of a node gave, kept and printed for people: the first rows as a table with
 * aligned columns, or records that went wrong with their cause and bytes.
 */
#ifndef CLIENT_PREVIEW_TABLE_H
#define CLIENT_PREVIEW_TABLE_H

#include "common/data/batch.h"

#include <stdio.h>

struct preview_row {
    enum row_kind kind;
    char **cells; /* one for each column */
};

struct preview_table {
    struct schema *schema;
    uint32_t row_max;
    size_t character_max; /* of a cell */
    struct preview_row *rows;
    size_t row_count;
    size_t row_capacity;
    uint64_t total; /* with those beyond row_max */
};

/* character_max: values are shortened to that many characters. */
void preview_table_init(struct preview_table *table, const struct schema *schema, uint32_t row_max,
                        size_t character_max);
void preview_table_done(struct preview_table *table);
/* Keeps the rows that there is room for and counts the others. */
void preview_table_add(struct preview_table *table, const struct batch *batch);

void preview_table_print(const struct preview_table *table, FILE *out);
/* As records that went wrong: the table has the schema of dead letters (row_error.h). */
void preview_table_print_errors(const struct preview_table *table, FILE *out);

/* What a terminal may be given of these bytes: control characters and bytes that are no UTF-8 as
 * escapes (of binary ones a backslash too), and at most character_max characters. */
void preview_escape(const char *bytes, size_t size, size_t character_max, bool is_binary,
                    struct text *out);
/* How many columns of a terminal a text takes. */
size_t preview_width(const char *text);

#endif
