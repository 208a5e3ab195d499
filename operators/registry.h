/* The built-in operators that are neither source nor sink, by kind: one line each in registry.c. */
#ifndef OPERATORS_REGISTRY_H
#define OPERATORS_REGISTRY_H

#include "common/api/operator.h"

/* Ends in NULL. */
extern const struct operator_ops *const operator_registry[];

/* NULL if there is no such kind. */
const struct operator_ops *operator_registry_find(const char *kind);

#endif
