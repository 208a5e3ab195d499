/*
 * What a job's configuration says to the core: checkpoints and restarts. Flink's keys.
 */
#ifndef JOBMANAGER_CORE_JOB_OPTIONS_H
#define JOBMANAGER_CORE_JOB_OPTIONS_H

#include "common/graph/job_graph.h"

enum restart_kind {
    RESTART_NONE,
    RESTART_FIXED_DELAY,
    RESTART_EXPONENTIAL_DELAY,
    RESTART_FAILURE_RATE,
};

struct restart_options {
    enum restart_kind kind;
    uint32_t attempts;           /* fixed delay: how often, UINT32_MAX for ever */
    int64_t delay_ms;            /* fixed delay, failure rate */
    int64_t backoff_first_ms;    /* exponential */
    int64_t backoff_max_ms;      /* exponential */
    double backoff_factor;       /* exponential */
    double jitter;               /* exponential: part of the delay, 0 to 1 */
    int64_t quiet_ms;            /* exponential: forgotten after so long without a failure */
    uint32_t failure_count;      /* failure rate: so many ... */
    int64_t failure_interval_ms; /* ... within so long end the job */
};

struct job_options {
    bool checkpoints_on;
    int64_t checkpoint_interval_ms;
    int64_t checkpoint_min_pause_ms;
    int64_t checkpoint_timeout_ms;
    uint32_t checkpoint_retain_count;
    bool retain_on_cancellation;
    struct restart_options restart;
    int64_t cancel_timeout_ms; /* a task that does not stop costs its TaskManager the connection */
};

void job_options_init(struct job_options *options);
/* From the graph's config; keys that are absent keep the default. */
enum status job_options_read(const struct job_graph *graph, struct job_options *ret_options,
                             struct error *err) MUST_CHECK;

#endif
