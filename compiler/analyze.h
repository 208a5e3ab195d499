/* What analyze.c, keyed.c and endpoints.c share. */
#ifndef COMPILER_ANALYZE_H
#define COMPILER_ANALYZE_H

#include "compiler/plan.h"

struct analyzer {
    struct compiler *compiler;
    struct plan *plan;
    struct logical_node *node;
    struct schema *current; /* of the rows behind the last operator */
    struct schema *errors;  /* of dead letters */
    struct schema **kept;   /* schemas that own nested types in use */
    size_t kept_count;
    size_t kept_capacity;
};

/* Appends an operator between the current schema and output (taken; NULL for sinks), which becomes
 * the current one. */
struct plan_operator *add_operator(struct analyzer *analyzer, enum operator_role role,
                                   const char *kind, struct schema *output);
/* A calc that passes every column. */
void add_identity(struct analyzer *analyzer, enum operator_role role);
struct named_expression *identity_columns(struct compiler *compiler, const struct schema *schema);
bool check_columns(struct analyzer *analyzer, const char *clause,
                   const struct named_expression *columns, uint32_t count,
                   struct schema_column *ret_columns);
/* The index of the event time column of `from` among the columns that are just that column, -1. */
int32_t event_time_of(struct compiler *compiler, const struct schema *from,
                      const struct named_expression *columns, uint32_t count);
/* Keeps the schema until the analysis ends (takes it). */
void keep_schema(struct analyzer *analyzer, struct schema *schema);
/* The wider of two types that a union may join. */
bool types_unite(struct type a, struct type b, struct type *ret_type);

void analyze_source(struct analyzer *analyzer);
/* Its options are wrong already: what is wrong with its columns, and what those behind it see. */
void analyze_failed_source(struct analyzer *analyzer);
void analyze_sink(struct analyzer *analyzer);
void analyze_keyed(struct analyzer *analyzer);
/* The types of the key columns and of the results of `aggregate`. */
void analyze_aggregate_columns(struct analyzer *analyzer, struct schema_column *ret_keys,
                               struct schema_column *ret_results);
void analyze_window(struct analyzer *analyzer);

#endif
