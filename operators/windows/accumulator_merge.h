/*
 * Accumulators of slots added to those of other slots: how slices become windows and sessions grow
 * together. Both sides have the slots of the same aggregate_parts.
 */
#ifndef OPERATORS_WINDOWS_ACCUMULATOR_MERGE_H
#define OPERATORS_WINDOWS_ACCUMULATOR_MERGE_H

#include "operators/aggregate_parts.h"

/* Entries of one call. */
#define MERGE_ENTRIES_MAX 1024

/* Can windows be put together from slices exactly: every part merges, in any order, without a set
 * of distinct values? */
bool accumulators_can_merge(const struct aggregate_parts *parts);
/* Can a merge be taken back as well? */
bool accumulators_can_unmerge(const struct aggregate_parts *parts);
/* Does every part merge where the order is known and no set of distinct values is kept? The name of
 * the first that does not, or NULL. */
const char *accumulators_unmergeable(const struct aggregate_parts *parts);

/* targets[i] += (sign 1) or -= (sign -1) sources[i], in order; a target may occur several times.
 * Targets are in the state where the parts are placed; slots of both sides are laid out alike. */
void accumulators_merge(const struct aggregate_parts *parts, void *const *targets,
                        void *const *sources, uint32_t count, int sign);

#endif
