/* "Did you mean": the known name nearest to a wrong one. */
#ifndef COMMON_BASE_NEAREST_H
#define COMMON_BASE_NEAREST_H

#include <stddef.h>

/* The candidate with the smallest edit distance (Damerau-Levenshtein, case ignored), or NULL when
 * none is near: the distance must be at most a third of the longer name. Ties: the first. */
const char *nearest_name(const char *name, const char *const *candidates, size_t count);

#endif
