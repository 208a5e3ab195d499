/*
 * `run --local`: the same JobManager and TaskManager objects in this process, connected by the
 * in-process transport. Nothing else is started; there is no REST. A checkpoint taken so restores
 * in a cluster, and the other way round.
 */
#ifndef CLIENT_LOCAL_CLUSTER_H
#define CLIENT_LOCAL_CLUSTER_H

#include "client/command.h"
#include "common/api/connector.h"
#include "common/base/text.h"
#include "common/config/config.h"

/* Compiles, runs to the end and says how it ended. Ctrl-C cancels. */
enum exit_code local_cluster_run(const struct arguments *arguments, const char *path,
                                 const struct text *text);

/* The same for a graph with these connectors. Takes config and graph. */
enum exit_code local_cluster_follow_graph(const struct arguments *arguments, struct config *config,
                                          const struct connector_registry *connectors,
                                          struct job_graph *graph);

/* Runs a graph with these connectors to its end and says nothing. Takes config and graph. An error
 * tells why the cluster did not start, the job was refused, failed, or did not end in time. */
enum status local_cluster_run_graph(struct config *config,
                                    const struct connector_registry *connectors,
                                    struct job_graph *graph, int64_t timeout_ms,
                                    struct error *err) MUST_CHECK;

#endif
