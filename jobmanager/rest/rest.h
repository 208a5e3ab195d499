/*
 * The REST API of the JobManager: Flink's v1 paths and field names for what exists in both, own
 * extensions under "millstream" or names that Flink does not have.
 *
 * Compiles submitted job texts here, so that the core meets job graphs only. What the daemon can do
 * comes in through struct rest_service; its functions may block and are called on HTTP threads.
 */
#ifndef JOBMANAGER_REST_REST_H
#define JOBMANAGER_REST_REST_H

#include "common/api/connector.h"
#include "common/config/config.h"
#include "jobmanager/core/snapshot.h"

#include <stdbool.h>

typedef void (*snapshot_reader_fn)(void *context, const struct cluster_snapshot *snapshot);

struct rest_service {
    void *context;
    const struct config *config;
    const struct connector_registry *connectors;
    const char *checkpoint_directory;
    /* Takes the graph. */
    enum status (*submit)(void *context, struct job_id job, struct job_graph *graph,
                          const char *restore_path, struct error *err);
    enum status (*cancel)(void *context, struct job_id job, struct error *err);
    bool (*read)(void *context, snapshot_reader_fn fn, void *fn_context);
    bool (*is_ready)(void *context);
};

struct rest;

/* Listens on rest.bind-address and rest.port; a port in use is STATUS_EXISTS. The service is
 * copied; what it points to outlives the server. */
enum status rest_start(const struct rest_service *service, struct rest **ret_rest,
                       struct error *err) MUST_CHECK;
uint16_t rest_port(const struct rest *rest);
/* Waits for running handlers. NULL is ignored. */
void rest_stop(struct rest *rest);

#endif
