/*
 * The sources and sinks of a preview.
 *
 * Each source is the real one in a wrapper of the same name: it reads a few rows, after which its
 * input ends. It does not tell anybody outside how far it has read. There is one sink for all,
 * which keeps what it is given in a table of the run.
 *
 * An unbounded source ends after PREVIEW_SILENCE_MS in which it had nothing; one that cannot be
 * reached for PREVIEW_PATIENCE_MS fails the job. One run at a time in a process, and every
 * operator of it at parallelism 1.
 */
#ifndef CLIENT_PREVIEW_CONNECTORS_H
#define CLIENT_PREVIEW_CONNECTORS_H

#include "client/preview_table.h"
#include "common/api/connector.h"

#include <pthread.h>
#include <stdatomic.h>

#define PREVIEW_SILENCE_MS  2000
#define PREVIEW_PATIENCE_MS 10000

#define PREVIEW_SINK "preview"
/* Of an operator with that sink: the number of its table. */
#define SETTING_PREVIEW_TABLE "preview.table"

enum preview_end {
    PREVIEW_END_OF_INPUT, /* or of the job */
    PREVIEW_END_LIMIT,
    PREVIEW_END_SILENCE,
};

/* One source of the job. */
struct preview_feed {
    char *node;
    char *connector;
    uint32_t row_max;
    _Atomic bool is_found; /* its splits */
    _Atomic bool is_done;
    /* Below: the source's task writes them; to be read when the job has ended. */
    enum preview_end end;
    uint32_t row_count;
    uint32_t error_count;
};

struct preview_run {
    struct preview_feed *feeds;
    size_t feed_count;
    size_t feed_capacity;
    struct preview_table **tables; /* NULL: kept nowhere */
    size_t table_count;
    pthread_mutex_t mutex; /* of the tables */
};

/* Before a run, which outlives the use. The wrappers are of the built-in connectors. */
const struct connector_registry *preview_connectors_use(struct preview_run *run)
    __attribute__((returns_nonnull));

#endif
