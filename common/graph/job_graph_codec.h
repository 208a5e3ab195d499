/* Job graphs as bytes (protobuf, proto/job_graph.proto): the only place where they meet. */
#ifndef COMMON_GRAPH_JOB_GRAPH_CODEC_H
#define COMMON_GRAPH_JOB_GRAPH_CODEC_H

#include "common/graph/job_graph.h"

#define JOB_GRAPH_BYTES_MAX (16 * 1024 * 1024)

/* Appends the bytes to out. */
void job_graph_encode(const struct job_graph *graph, struct text *out);
/* The result has passed job_graph_check. */
enum status job_graph_decode(const void *bytes, size_t size, struct job_graph **ret_graph,
                             struct error *err) MUST_CHECK;

#endif
