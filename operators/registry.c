/* The list of built-in operators. A new one is one line here. */
#include "operators/registry.h"

#include "operators/operators.h"

#include <string.h>

const struct operator_ops *const operator_registry[] = {
    &aggregate_operator,        &calc_operator,
    &count_aggregate_operator,  &local_aggregate_operator,
    &reduce_operator,           &session_aggregate_operator,
    &unnest_operator,           &watermark_operator,
    &window_aggregate_operator, NULL,
};

const struct operator_ops *operator_registry_find(const char *kind)
{
    for (const struct operator_ops *const *at = operator_registry; *at != NULL; at++) {
        if (strcmp((*at)->kind, kind) == 0)
            return *at;
    }
    return NULL;
}
