/* Sources and sinks of a graph that the client runs by itself, with other connectors. */
#ifndef CLIENT_GRAPH_ENDPOINT_H
#define CLIENT_GRAPH_ENDPOINT_H

#include "common/graph/job_graph.h"

/* The operator's connector and format go, with all their settings; connector comes in. */
void graph_endpoint_replace(struct operator_spec *spec, const char *connector);

#endif
