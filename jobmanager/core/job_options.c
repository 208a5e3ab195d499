/* The options of a job that the core reads. */
#include "jobmanager/core/job_options.h"

#include "common/base/check.h"
#include "common/config/option.h"

#include <string.h>

enum {
    INTERVAL,
    MIN_PAUSE,
    TIMEOUT,
    RETAIN,
    RETENTION,
    RESTART_TYPE,
    FIXED_ATTEMPTS,
    FIXED_DELAY,
    EXPONENTIAL_FIRST,
    EXPONENTIAL_MAX,
    EXPONENTIAL_FACTOR,
    EXPONENTIAL_JITTER,
    EXPONENTIAL_QUIET,
    RATE_COUNT,
    RATE_INTERVAL,
    RATE_DELAY,
    CANCEL_TIMEOUT,
    OPTION_ROW_COUNT,
};

static const char *const restart_types[] = {"none",         "off",         "disable",
                                            "fixed-delay",  "fixeddelay",  "exponential-delay",
                                            "failure-rate", "failurerate", NULL};
static const enum restart_kind restart_kinds[] = {RESTART_NONE,         RESTART_NONE,
                                                  RESTART_NONE,         RESTART_FIXED_DELAY,
                                                  RESTART_FIXED_DELAY,  RESTART_EXPONENTIAL_DELAY,
                                                  RESTART_FAILURE_RATE, RESTART_FAILURE_RATE};
static const char *const retentions[] = {"RETAIN_ON_CANCELLATION", "DELETE_ON_CANCELLATION", NULL};

#define YEAR_MS (INT64_C(366) * 24 * 3600 * 1000)
#define DURATION(key, fallback_text, least, text)                                                  \
    {                                                                                              \
        .name = (key), .type = OPTION_DURATION, .fallback = (fallback_text), .min = (least),       \
        .max = YEAR_MS, .help = (text)                                                             \
    }

static const struct option_spec rows[OPTION_ROW_COUNT + 1] = {
    [INTERVAL] = DURATION("execution.checkpointing.interval", "10s", 0,
                          "Time between two checkpoints; 0 switches them off."),
    [MIN_PAUSE] = DURATION("execution.checkpointing.min-pause", "0ms", 0,
                           "Least time between the end of a checkpoint and the next one."),
    [TIMEOUT] = DURATION("execution.checkpointing.timeout", "10min", 10,
                         "A checkpoint that takes longer is aborted."),
    [RETAIN] = {.name = "execution.checkpointing.num-retained",
                .type = OPTION_INT,
                .fallback = "3",
                .alias = "state.checkpoints.num-retained",
                .min = 1,
                .max = 100,
                .help = "Completed checkpoints that are kept."},
    [RETENTION] = {.name = "execution.checkpointing.externalized-checkpoint-retention",
                   .type = OPTION_ENUM,
                   .fallback = "RETAIN_ON_CANCELLATION",
                   .choices = retentions,
                   .help = "What becomes of the checkpoints of a canceled job."},
    [RESTART_TYPE] = {.name = "restart-strategy.type",
                      .type = OPTION_ENUM,
                      .fallback = "exponential-delay",
                      .choices = restart_types,
                      .alias = "restart-strategy",
                      .help = "When a job that failed runs again."},
    [FIXED_ATTEMPTS] = {.name = "restart-strategy.fixed-delay.attempts",
                        .type = OPTION_INT,
                        .fallback = "1",
                        .min = 0,
                        .max = INT32_MAX,
                        .help = "How often a job is restarted before it has failed."},
    [FIXED_DELAY] = DURATION("restart-strategy.fixed-delay.delay", "1s", 0, "Pause before each."),
    [EXPONENTIAL_FIRST] =
        DURATION("restart-strategy.exponential-delay.initial-backoff", "1s", 1, "The first pause."),
    [EXPONENTIAL_MAX] =
        DURATION("restart-strategy.exponential-delay.max-backoff", "1min", 1, "The longest pause."),
    [EXPONENTIAL_FACTOR] = {.name = "restart-strategy.exponential-delay.backoff-multiplier",
                            .type = OPTION_DOUBLE,
                            .fallback = "1.5",
                            .min = 1,
                            .max = 100,
                            .help = "Each pause is so many times the one before."},
    [EXPONENTIAL_JITTER] = {.name = "restart-strategy.exponential-delay.jitter-factor",
                            .type = OPTION_DOUBLE,
                            .fallback = "0.1",
                            .max = 1,
                            .help = "Part of the pause that is random."},
    [EXPONENTIAL_QUIET] =
        DURATION("restart-strategy.exponential-delay.reset-backoff-threshold", "1min", 0,
                 "Without a failure for so long (and two checkpoints) the pauses begin anew."),
    [RATE_COUNT] = {.name = "restart-strategy.failure-rate.max-failures-per-interval",
                    .type = OPTION_INT,
                    .fallback = "1",
                    .min = 0,
                    .max = 1000,
                    .help = "More failures within the interval end the job."},
    [RATE_INTERVAL] = DURATION("restart-strategy.failure-rate.failure-rate-interval", "1min", 1,
                               "The interval in which failures are counted."),
    [RATE_DELAY] = DURATION("restart-strategy.failure-rate.delay", "1s", 0, "Pause before each."),
    [CANCEL_TIMEOUT] = DURATION("task.cancellation.timeout", "3min", 1000,
                                "A task that has not stopped by then costs its TaskManager the "
                                "connection."),
};

static enum status read_rows(const struct job_graph *graph, struct option_value *values,
                             struct error *err)
{
    for (size_t i = 0; i < OPTION_ROW_COUNT; i++) {
        const char *text = job_graph_config(graph, rows[i].name);
        if (text == NULL && rows[i].alias != NULL)
            text = job_graph_config(graph, rows[i].alias);
        if (text == NULL)
            text = rows[i].fallback;
        TRY(option_parse(&rows[i], text, OPTION_UNITS_OPTIONAL, &values[i], err));
    }
    return STATUS_OK;
}

static void from_values(const struct option_value *values, struct job_options *options)
{
    *options = (struct job_options){
        .checkpoints_on = values[INTERVAL].integer > 0,
        .checkpoint_interval_ms = values[INTERVAL].integer,
        .checkpoint_min_pause_ms = values[MIN_PAUSE].integer,
        .checkpoint_timeout_ms = values[TIMEOUT].integer,
        .checkpoint_retain_count = (uint32_t)values[RETAIN].integer,
        .retain_on_cancellation = values[RETENTION].integer == 0,
        .cancel_timeout_ms = values[CANCEL_TIMEOUT].integer,
    };
    struct restart_options *restart = &options->restart;
    restart->kind = restart_kinds[values[RESTART_TYPE].integer];
    restart->attempts = (uint32_t)values[FIXED_ATTEMPTS].integer;
    restart->delay_ms = restart->kind == RESTART_FAILURE_RATE ? values[RATE_DELAY].integer
                                                              : values[FIXED_DELAY].integer;
    restart->backoff_first_ms = values[EXPONENTIAL_FIRST].integer;
    restart->backoff_max_ms = values[EXPONENTIAL_MAX].integer;
    restart->backoff_factor = values[EXPONENTIAL_FACTOR].real;
    restart->jitter = values[EXPONENTIAL_JITTER].real;
    restart->quiet_ms = values[EXPONENTIAL_QUIET].integer;
    restart->failure_count = (uint32_t)values[RATE_COUNT].integer;
    restart->failure_interval_ms = values[RATE_INTERVAL].integer;
}

void job_options_init(struct job_options *options)
{
    const struct job_graph empty = {0};
    struct option_value values[OPTION_ROW_COUNT];
    struct error err;
    CHECK(read_rows(&empty, values, &err) == STATUS_OK);
    from_values(values, options);
}

enum status job_options_read(const struct job_graph *graph, struct job_options *ret_options,
                             struct error *err)
{
    struct option_value values[OPTION_ROW_COUNT];
    TRY(read_rows(graph, values, err));
    from_values(values, ret_options);
    return STATUS_OK;
}
