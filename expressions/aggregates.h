/*
 * The registry of aggregate functions: names, argument types, result types. How they accumulate is
 * the operators' part (operators/aggregates), which finds its implementation by the name here.
 */
#ifndef EXPRESSIONS_AGGREGATES_H
#define EXPRESSIONS_AGGREGATES_H

#include "common/data/type.h"

struct aggregate_function {
    const char *name; /* lower case */
    bool takes_star;  /* count(*) */
    bool takes_distinct;
    /* false: not of this argument type; argument is not read with takes_star. */
    bool (*result_type)(struct type argument, struct type *ret_type);
    const char *arguments; /* "a number": for messages */
    const char *signature;
    const char *help;
    const char *result_text;
};

const struct aggregate_function *aggregate_functions(size_t *ret_count);
/* NULL if there is none of that (lower case) name. */
const struct aggregate_function *aggregate_signature_find(const char *name);

#endif
