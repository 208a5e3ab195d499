/*
 * When a job that failed by its own fault runs again. Losing a TaskManager is not asked here: it
 * restarts at once and counts for nothing.
 *
 * Kinds and defaults as Flink's; the exponential one begins anew after two completed checkpoints
 * and quiet_ms without a failure.
 */
#ifndef JOBMANAGER_CORE_RESTART_STRATEGY_H
#define JOBMANAGER_CORE_RESTART_STRATEGY_H

#include "common/base/random.h"
#include "jobmanager/core/job_options.h"

#define RESTART_FAILURE_WINDOW_MAX 1000

struct restart_strategy {
    struct restart_options options;
    uint32_t attempts_used;
    int64_t backoff_ms; /* next delay before jitter */
    int64_t last_failure_ms;
    uint32_t completed_checkpoints; /* since the last failure */
    int64_t *failures;              /* failure rate: times of the last ones, a ring */
    uint32_t failure_count;
};

void restart_strategy_init(struct restart_strategy *strategy,
                           const struct restart_options *options);
void restart_strategy_done(struct restart_strategy *strategy);
/* true: after *ret_delay_ms. false: the job has failed for good, why says by which rule. */
bool restart_strategy_on_failure(struct restart_strategy *strategy, struct random *random,
                                 bool has_checkpoints, int64_t now_ms, int64_t *ret_delay_ms,
                                 const char **ret_why);
void restart_strategy_on_checkpoint(struct restart_strategy *strategy);

#endif
