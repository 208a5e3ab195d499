/*
 * The kinds of windows that `window` takes, and their options: one row each. The parser,
 * docs/jobs.md and docs/job.schema.json read this table; the operators get what analyze_window.c
 * makes of it.
 */
#ifndef COMPILER_WINDOW_TABLE_H
#define COMPILER_WINDOW_TABLE_H

#include "common/config/option.h"

struct window_row {
    const char *name;
    const char *operator_kind; /* registry key */
    const struct option_spec *options;
    bool has_bounds; /* its result has window_start and window_end, its rows need a time */
    const char *help;
};

extern const struct window_row window_table[]; /* ends with a name that is NULL */

/* The row, or NULL. */
const struct window_row *window_row_find(const char *name);

#endif
