/* Restart strategies. */
#include "jobmanager/core/restart_strategy.h"

#include "common/base/allocate.h"

void restart_strategy_init(struct restart_strategy *strategy, const struct restart_options *options)
{
    *strategy =
        (struct restart_strategy){.options = *options, .backoff_ms = options->backoff_first_ms};
    if (strategy->options.failure_count > RESTART_FAILURE_WINDOW_MAX)
        strategy->options.failure_count = RESTART_FAILURE_WINDOW_MAX;
    if (options->kind == RESTART_FAILURE_RATE)
        strategy->failures = allocate_array(RESTART_FAILURE_WINDOW_MAX + 1, sizeof(int64_t));
}

void restart_strategy_done(struct restart_strategy *strategy)
{
    free(strategy->failures);
    *strategy = (struct restart_strategy){0};
}

static int64_t exponential_delay(struct restart_strategy *strategy, struct random *random,
                                 bool has_checkpoints, int64_t now_ms)
{
    const struct restart_options *options = &strategy->options;
    const bool is_quiet = now_ms - strategy->last_failure_ms >= options->quiet_ms;
    if (is_quiet && (strategy->completed_checkpoints >= 2 || !has_checkpoints))
        strategy->backoff_ms = options->backoff_first_ms;
    const double swing = options->jitter * (2 * random_unit(random) - 1);
    const double delay = (double)strategy->backoff_ms * (1 + swing);
    const double next = (double)strategy->backoff_ms * options->backoff_factor;
    strategy->backoff_ms =
        next > (double)options->backoff_max_ms ? options->backoff_max_ms : (int64_t)next;
    return (int64_t)delay;
}

/* Are there failure_count failures within the interval already? */
static bool exceeds_rate(struct restart_strategy *strategy, int64_t now_ms)
{
    const struct restart_options *options = &strategy->options;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < strategy->failure_count; i++)
        if (now_ms - strategy->failures[i] < options->failure_interval_ms)
            strategy->failures[kept++] = strategy->failures[i];
    strategy->failure_count = kept;
    if (kept >= options->failure_count)
        return true;
    strategy->failures[strategy->failure_count++] = now_ms;
    return false;
}

bool restart_strategy_on_failure(struct restart_strategy *strategy, struct random *random,
                                 bool has_checkpoints, int64_t now_ms, int64_t *ret_delay_ms,
                                 const char **ret_why)
{
    bool may_restart = true;
    *ret_delay_ms = strategy->options.delay_ms;
    switch (strategy->options.kind) {
    case RESTART_NONE:
        *ret_why = "restart-strategy.type is none";
        may_restart = false;
        break;
    case RESTART_FIXED_DELAY:
        *ret_why = "restart-strategy.fixed-delay.attempts are used up";
        may_restart = strategy->attempts_used < strategy->options.attempts;
        strategy->attempts_used++;
        break;
    case RESTART_EXPONENTIAL_DELAY:
        *ret_delay_ms = exponential_delay(strategy, random, has_checkpoints, now_ms);
        break;
    case RESTART_FAILURE_RATE:
        *ret_why = "more failures than restart-strategy.failure-rate allows";
        may_restart = !exceeds_rate(strategy, now_ms);
        break;
    }
    strategy->last_failure_ms = now_ms;
    strategy->completed_checkpoints = 0;
    return may_restart;
}

void restart_strategy_on_checkpoint(struct restart_strategy *strategy)
{
    if (strategy->completed_checkpoints < UINT32_MAX)
        strategy->completed_checkpoints++;
}
