/*
 * Option tables: one row per option gives parsing, defaults, validation, documents and "did you
 * mean". Connectors, formats, clauses of a job and the daemons' configuration all use this table.
 */
#ifndef COMMON_CONFIG_OPTION_H
#define COMMON_CONFIG_OPTION_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_STRING,
    OPTION_BOOL,     /* true, false */
    OPTION_INT,      /* decimal, within [min, max] */
    OPTION_DOUBLE,   /* within [min, max] */
    OPTION_SIZE,     /* bytes: "64m" (1k = 1024), within [min, max] */
    OPTION_DURATION, /* milliseconds: "10 s", "1m", "500ms", "2 h", within [min, max] */
    OPTION_ENUM,     /* one of choices */
    OPTION_LIST,     /* comma-separated texts */
    OPTION_MAP,      /* free keys below a prefix: "properties.*" */
};

enum option_flag {
    OPTION_REQUIRED = 1 << 0,
    OPTION_SECRET = 1 << 1, /* shown as ****** everywhere */
    OPTION_MAIN = 1 << 2,   /* what a plain argument stands for: {tumbling: 1m} */
};

/* As a fallback: the compiler puts the name of the job in its place. */
#define OPTION_FALLBACK_JOB_NAME "(name of the job)"

struct option_spec {
    const char *name; /* NULL ends a table */
    enum option_type type;
    const char *fallback;       /* default as text; NULL: none */
    unsigned flags;             /* enum option_flag */
    const char *const *choices; /* OPTION_ENUM: ends in NULL */
    const char *alias;          /* Flink's name of it, or NULL */
    int64_t min;                /* min == max == 0: no bound */
    int64_t max;
    const char *help; /* one sentence, also the document */
};

/* Whether a bare number is accepted where a unit is wanted: configuration files yes (milliseconds,
 * bytes, as Flink), nodes of a job no. */
enum option_units { OPTION_UNITS_REQUIRED, OPTION_UNITS_OPTIONAL };

struct option_value {
    const char *text; /* as given or the default; NULL if unset; borrowed from whoever gave it */
    bool is_set;      /* given, not defaulted */
    union {
        bool boolean;
        int64_t integer; /* INT, SIZE (bytes), DURATION (ms), ENUM (index of the choice) */
        double real;
    };
};

/* Parses one text against its row; the message names the option, what was expected and the text. */
enum status option_parse(const struct option_spec *spec, const char *text, enum option_units units,
                         struct option_value *ret_value, struct error *err) MUST_CHECK;

/* Finds a row by name or alias; NULL if there is none. */
const struct option_spec *option_find(const struct option_spec *table, const char *name);
/* The nearest known name, or NULL. */
const char *option_nearest(const struct option_spec *table, const char *name);

struct setting; /* common/graph/job_graph.h: key and value */
/* Parses settings whose keys start with prefix ("connector.") against a table. values: one slot per
 * row of the table. The first error is returned. Keys of an OPTION_MAP row are left to the caller.
 */
enum status options_from_settings(const struct option_spec *table, const struct setting *settings,
                                  size_t setting_count, const char *prefix,
                                  struct option_value *values, struct error *err) MUST_CHECK;

enum status parse_duration_ms(const char *text, enum option_units units, int64_t *ret_ms,
                              struct error *err) MUST_CHECK;
enum status parse_size_bytes(const char *text, enum option_units units, int64_t *ret_bytes,
                             struct error *err) MUST_CHECK;

#endif
