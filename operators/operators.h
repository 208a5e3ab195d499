/* The built-in operators, one file each; registry.c lists them. */
#ifndef OPERATORS_OPERATORS_H
#define OPERATORS_OPERATORS_H

#include "common/api/operator.h"

extern const struct operator_ops aggregate_operator;
extern const struct operator_ops calc_operator;
extern const struct operator_ops count_aggregate_operator;
extern const struct operator_ops local_aggregate_operator;
extern const struct operator_ops reduce_operator;
extern const struct operator_ops session_aggregate_operator;
extern const struct operator_ops unnest_operator;
extern const struct operator_ops watermark_operator;
extern const struct operator_ops window_aggregate_operator;

#endif
