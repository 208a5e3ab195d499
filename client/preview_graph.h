/* Makes the preview of a job from its graph. */
#ifndef CLIENT_PREVIEW_GRAPH_H
#define CLIENT_PREVIEW_GRAPH_H

#include "client/preview_connectors.h"

enum preview_output_kind {
    PREVIEW_ROWS,      /* what a node gives */
    PREVIEW_SINK_ROWS, /* what a sink would have written */
    PREVIEW_LATE,
    PREVIEW_ERRORS,
};

/* A table, and what it is of. */
struct preview_output {
    char *node;
    char *connector; /* of a sink, else NULL */
    enum preview_output_kind kind;
    enum on_error on_error; /* as the job has it */
    struct preview_table table;
};

/* In the order in which they are shown. */
struct preview_outputs {
    struct preview_output **outputs;
    size_t count;
    size_t capacity;
};

/* Every operator runs once; sources read at most row_max rows (a feed each is added to run); sinks
 * become the preview's; each node's rows, late rows and failed records go to an output. */
void preview_graph_prepare(struct job_graph *graph, uint32_t row_max, struct preview_run *run,
                           struct preview_outputs *outputs);
void preview_outputs_done(struct preview_outputs *outputs);

#endif
