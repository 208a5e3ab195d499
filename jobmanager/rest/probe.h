/*
 * What of the outside is not there when a job is submitted: brokers, topics. Warnings only, since
 * the running tasks wait for it.
 */
#ifndef JOBMANAGER_REST_PROBE_H
#define JOBMANAGER_REST_PROBE_H

#include "common/config/secrets.h"
#include "compiler/compile.h"

/* Asks each connector of the graph that can tell, and adds what it says to the report; a connector
 * takes about 2 s at most, and none is asked any more when PROBE_MS have passed. Blocks. */
#define PROBE_MS 3000
void probe_connectors(const struct connector_registry *registry,
                      const struct secret_places *secrets, const struct job_graph *graph,
                      struct compile_report *report);

#endif
