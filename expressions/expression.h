/*
 * Expressions: parsed and type-checked once, evaluated a column at a time over selected rows.
 *
 *     expression_compile(text, schema, options, &expression, &problem)
 *     expression_evaluate(expression, scratch, batch, rows, count, &result)
 *
 * A compiled expression is immutable and may be used by one thread at a time with a scratch of
 * that thread. Semantics are Flink SQL's: three-valued logic, integers wrap, DECIMAL overflow is
 * NULL, integer division by zero and a failed CAST are row errors, TRY_CAST gives NULL.
 */
#ifndef EXPRESSIONS_EXPRESSION_H
#define EXPRESSIONS_EXPRESSION_H

#include "common/base/status.h"
#include "common/data/batch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPRESSION_BYTES_MAX 65536
#define EXPRESSION_DEPTH_MAX 200

struct expression;

/* Why a text is no valid expression. line and column are 1-based within the text. */
struct expression_problem {
    uint32_t line;
    uint32_t column;
    char message[600]; /* "unknown function "lowr": did you mean "lower"?" */
};

struct expression_options {
    const char *time_zone;  /* session time zone; NULL: UTC */
    const char *row_prefix; /* "acc" in reduce: acc.x is column x of a second schema; else NULL */
    const struct schema *prefix_schema; /* columns after those of the main schema in the batch */
};

/* options may be NULL. On failure problem says where and what. */
enum status expression_compile(const char *text, const struct schema *schema,
                               const struct expression_options *options,
                               struct expression **ret_expression,
                               struct expression_problem *problem) MUST_CHECK;
void expression_destroy(struct expression *expression);
DEFINE_SCOPED(struct expression, expression_destroy)

struct type expression_type(const struct expression *expression);
/* Is it just column i of the schema? -1 if not. */
int32_t expression_as_column(const struct expression *expression);
/* Does its value depend on no column? */
bool expression_is_constant(const struct expression *expression);
/* Marks used[i] for every column it reads; used has one entry per column of the schema. */
void expression_used_columns(const struct expression *expression, bool *used);
/* Canonical text: what plans show. */
void expression_format(const struct expression *expression, struct text *out);

/* The words that are no column names unless quoted, upper case, in order. */
const char *const *expression_reserved_words(size_t *ret_count);

/* Working memory of one thread for evaluations; grows to what is needed. */
struct expression_scratch;
struct expression_scratch *expression_scratch_create(struct memory_account *account);
void expression_scratch_destroy(struct expression_scratch *scratch);

/* The result of an evaluation: entry r of the column belongs to row r of the batch (absolute row
 * index); only evaluated rows are meaningful. */
struct evaluation {
    struct column *column; /* a reference owned by the caller; may be a column of the batch */
    /* Rows that failed: bit r set; NULL if none did. Valid until the next evaluation. */
    const uint64_t *errors;
    uint32_t error_count;
};

/* rows: count ascending row indices, NULL for all rows of the batch (count = row_count). */
void expression_evaluate(const struct expression *expression, struct expression_scratch *scratch,
                         const struct batch *batch, const uint32_t *rows, uint32_t count,
                         struct evaluation *ret_evaluation);
/* The message of a failed row: cause, value (shortened), sub-expression. After an evaluation. */
void expression_row_error(const struct expression *expression, struct expression_scratch *scratch,
                          const struct batch *batch, uint32_t row, struct text *out);

/* Conditions: keeps of `rows` (all if NULL) those where the BOOLEAN expression is true. ret_rows
 * has room for count entries and may be rows itself. Failed rows are not kept and are marked in
 * errors. */
uint32_t expression_filter(const struct expression *expression, struct expression_scratch *scratch,
                           const struct batch *batch, const uint32_t *rows, uint32_t count,
                           uint32_t *ret_rows, struct evaluation *ret_evaluation);

/* ---- aggregates: calls such as count(*), sum(euro), count(distinct user) ---- */

struct aggregate_call {
    char *function; /* registry name, lower case: "sum" */
    bool is_distinct;
    bool is_star;                /* count(*) */
    struct expression *argument; /* NULL with is_star */
    struct expression *filter;   /* FILTER (WHERE ...), or NULL */
    struct type result;
};

/* Parses one aggregate call; anything else is a problem that says so. Which aggregate functions
 * exist and their result types come from the registry (expressions/aggregates.c). */
enum status aggregate_call_compile(const char *text, const struct schema *schema,
                                   const struct expression_options *options,
                                   struct aggregate_call *ret_call,
                                   struct expression_problem *problem) MUST_CHECK;
void aggregate_call_done(struct aggregate_call *call);

/* ---- the text after a column's name in CREATE TABLE ---- */

struct column_definition {
    struct type type;
    char *computed;     /* text behind AS, or NULL */
    char *metadata_key; /* METADATA FROM 'key', or NULL */
};
/* "bigint not null", "decimal(12, 2)", "timestamp_ltz(3) as to_timestamp_ltz(ts, 3)", "int metadata
 * from 'partition'". Nested types live until column_definition_done. */
enum status column_definition_parse(const char *text, struct column_definition *ret_definition,
                                    struct expression_problem *problem) MUST_CHECK;
void column_definition_done(struct column_definition *definition);

#endif
