/* The kinds of windows: see window_table.h. */
#include "compiler/window_table.h"

#include <string.h>

static const char *const times[] = {"event", "processing", NULL};

#define SIZE_MAX_MS (INT64_C(1000) * 366 * 86400000)

#define OFFSET                                                                                     \
    {                                                                                              \
        "offset", OPTION_DURATION, "0s", 0, NULL, NULL, 0, SIZE_MAX_MS,                            \
            "Moves the start of all windows: `{tumbling: {size: 1d, offset: 6h}}` begins at six."  \
    }
#define LATENESS                                                                                   \
    {                                                                                              \
        "lateness", OPTION_DURATION, "0s", 0, NULL, "allowed-lateness", 0, SIZE_MAX_MS,            \
            "How long a window that has fired is kept for late rows; each of them gives the "      \
            "result anew."                                                                         \
    }
#define TIME                                                                                       \
    {                                                                                              \
        "time", OPTION_ENUM, "event", 0, times, NULL, 0, 0,                                        \
            "Whose time counts: the rows' (event) or the clock's when they come (processing)."     \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, OPTION_STRING, NULL, 0, NULL, NULL, 0, 0, NULL                                       \
    }

static const struct option_spec tumbling_options[] = {
    {"size", OPTION_DURATION, NULL, OPTION_REQUIRED | OPTION_MAIN, NULL, NULL, 1, SIZE_MAX_MS,
     "Length of a window."},
    OFFSET,
    LATENESS,
    TIME,
    END,
};

static const struct option_spec hopping_options[] = {
    {"size", OPTION_DURATION, NULL, OPTION_REQUIRED, NULL, NULL, 1, SIZE_MAX_MS,
     "Length of a window."},
    {"slide", OPTION_DURATION, NULL, OPTION_REQUIRED, NULL, "hop", 1, SIZE_MAX_MS,
     "From one window's start to the next one's, at most the size."},
    OFFSET,
    LATENESS,
    TIME,
    END,
};

static const struct option_spec cumulating_options[] = {
    {"size", OPTION_DURATION, NULL, OPTION_REQUIRED, NULL, "max-size", 1, SIZE_MAX_MS,
     "Length of the longest window; then they begin anew."},
    {"step", OPTION_DURATION, NULL, OPTION_REQUIRED, NULL, NULL, 1, SIZE_MAX_MS,
     "By how much a window is longer than the one before; the size is a multiple of it."},
    OFFSET,
    LATENESS,
    TIME,
    END,
};

static const struct option_spec session_options[] = {
    {"gap", OPTION_DURATION, NULL, OPTION_REQUIRED | OPTION_MAIN, NULL, NULL, 1, SIZE_MAX_MS,
     "A session ends when its key has no row for so long."},
    LATENESS,
    TIME,
    END,
};

static const struct option_spec count_options[] = {
    {"rows", OPTION_INT, NULL, OPTION_REQUIRED | OPTION_MAIN, NULL, NULL, 1, INT64_MAX,
     "Rows of a key in a window."},
    END,
};

static const struct option_spec global_options[] = {END};

const struct window_row window_table[] = {
    {"tumbling", "window_aggregate", tumbling_options, true,
     "Windows of one size, side by side: `{tumbling: 1m}`."},
    {"hopping", "window_aggregate", hopping_options, true,
     "Windows of one size that overlap: `{hopping: {size: 1m, slide: 10s}}`."},
    {"cumulating", "window_aggregate", cumulating_options, true,
     "Windows that grow by a step up to a size: `{cumulating: {size: 1d, step: 1h}}`."},
    {"session", "session_aggregate", session_options, true,
     "Windows of a key that end when it is quiet: `{session: 30s}`."},
    {"count", "count_aggregate", count_options, false,
     "Every so many rows of a key: `{count: 100}`; rows that fill no window give nothing."},
    {"global", "window_aggregate", global_options, false,
     "One window per key, which ends with the input: `global`."},
    {NULL, NULL, NULL, false, NULL},
};

const struct window_row *window_row_find(const char *name)
{
    for (const struct window_row *row = window_table; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return row;
    }
    return NULL;
}
