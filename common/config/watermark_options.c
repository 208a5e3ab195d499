/* The table of watermark_options.h. */
#include "common/config/watermark_options.h"

#define YEAR_MS (INT64_C(366) * 86400000)

const struct option_spec watermark_options[] = {
    [WATERMARK_COLUMN] = {.name = "column",
                          .type = OPTION_STRING,
                          .flags = OPTION_REQUIRED | OPTION_MAIN,
                          .help = "The column that holds the event time, a TIMESTAMP or "
                                  "TIMESTAMP_LTZ; a row without one goes to on_error."},
    [WATERMARK_DELAY] = {.name = "delay",
                         .type = OPTION_DURATION,
                         .fallback = "0s",
                         .min = 0,
                         .max = YEAR_MS,
                         .help = "How far rows of one split may be out of order: the watermark "
                                 "stays so far behind the largest time seen."},
    [WATERMARK_IDLE] = {.name = "idle",
                        .type = OPTION_DURATION,
                        .fallback = "30s",
                        .min = 0,
                        .max = YEAR_MS,
                        .help = "A split that is known to hold nothing unread for so long does "
                                "not hold time back any more; 0s: it always does."},
    [WATERMARK_MAX_AHEAD] = {.name = "max_ahead",
                             .type = OPTION_DURATION,
                             .fallback = "1h",
                             .min = 0,
                             .max = 100 * YEAR_MS,
                             .help = "A row whose time is further ahead of the wall clock goes to "
                                     "on_error, so that one wrong row cannot move time; 0s: any "
                                     "time is taken."},
    [WATERMARK_ALIGN] = {.name = "align",
                         .type = OPTION_STRING,
                         .help = "Name of an alignment group: splits of all sources with this name "
                                 "wait for the slowest one."},
    [WATERMARK_MAX_DRIFT] = {.name = "max_drift",
                             .type = OPTION_DURATION,
                             .fallback = "30s",
                             .min = 1,
                             .max = YEAR_MS,
                             .help = "How far a split of an alignment group may be ahead of the "
                                     "slowest before it is paused."},
    {.name = NULL},
};
