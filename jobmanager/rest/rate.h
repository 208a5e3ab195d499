/*
 * Rates of counters between two looks: rows per second of a node. A table of the last looks, kept
 * for RATE_KEEP_MS, at most RATE_ENTRIES_MAX of them. Any thread.
 */
#ifndef JOBMANAGER_REST_RATE_H
#define JOBMANAGER_REST_RATE_H

#include "common/base/ids.h"

#include <stdint.h>

#define RATE_ENTRIES_MAX 4096
#define RATE_KEEP_MS     60000
#define RATE_MIN_MS      900 /* looks that are nearer than this share one interval */

struct rate_table;
struct rate_table *rate_table_create(void) __attribute__((returns_nonnull, warn_unused_result));
void rate_table_destroy(struct rate_table *table);

/* Per second since the look before; 0 at the first. counter: which of the job's counters. */
int64_t rate_per_second(struct rate_table *table, struct job_id job, uint32_t counter,
                        uint64_t value, int64_t now_ms);

#endif
