/*
 * The options of event time at a source: the clause `watermark` of a job, the settings
 * "watermark.*" of the operator "watermark", and what its task makes of them.
 */
#ifndef COMMON_CONFIG_WATERMARK_OPTIONS_H
#define COMMON_CONFIG_WATERMARK_OPTIONS_H

#include "common/config/option.h"

#define WATERMARK_OPERATOR       "watermark"
#define WATERMARK_SETTING_PREFIX "watermark."

enum watermark_option {
    WATERMARK_COLUMN,
    WATERMARK_DELAY,
    WATERMARK_IDLE,
    WATERMARK_MAX_AHEAD,
    WATERMARK_ALIGN,
    WATERMARK_MAX_DRIFT,
    WATERMARK_OPTION_COUNT
};

extern const struct option_spec watermark_options[]; /* and an end */

#endif
