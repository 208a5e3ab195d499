/*
 * The JobManager put together: the core on its event loop, RPC, storage, discovery and REST.
 *
 * One object per process (or per `run --local`). Everything that decides happens in the core, on
 * the loop's thread; the other threads only post to it. Calls from REST handlers wait for their
 * answer.
 */
#ifndef JOBMANAGER_JOB_MANAGER_H
#define JOBMANAGER_JOB_MANAGER_H

#include "common/api/connector.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "common/io/transport.h"
#include "jobmanager/core/core.h"
#include "jobmanager/core/snapshot.h"
#include "jobmanager/rest/rest.h"

#include <stdbool.h>

struct job_manager;

struct job_manager_config {
    const struct config *config;                 /* outlives the JobManager */
    const struct connector_registry *connectors; /* outlives it */
    struct transport *transport;                 /* outlives it */
    const char *rpc_address;                     /* what to listen on: "127.0.0.1:6123" */
    /* Ends the process's main loop: a fenced leader, a broken store. May be called from any thread,
     * once. */
    void (*on_fatal)(void *context, const char *reason);
    void *context;
    bool has_rest; /* REST on rest.bind-address:rest.port */
};

/* Acquires the job store, recovers what it holds, listens. The messages say what to change. */
enum status job_manager_start(const struct job_manager_config *config,
                              struct job_manager **ret_manager, struct error *err) MUST_CHECK;
/* Ends everything and waits. Jobs are neither canceled nor forgotten: the next start takes them up.
 * NULL is ignored. */
void job_manager_stop(struct job_manager *manager);

const char *job_manager_rpc_address(const struct job_manager *manager); /* what peers dial */
uint16_t job_manager_rest_port(const struct job_manager *manager);      /* 0 without REST */

/* ---- for REST handlers and `run --local`: any thread but the loop's ---- */

/* Takes the graph. restore_path NULL: start empty; else a checkpoint's directory. Returns when the
 * job is durable, or why it was refused. */
enum status job_manager_submit(struct job_manager *manager, struct job_id job,
                               struct job_graph *graph, const char *restore_path,
                               struct error *err) MUST_CHECK;
enum status job_manager_cancel(struct job_manager *manager, struct job_id job,
                               struct error *err) MUST_CHECK;
bool job_manager_is_ready(struct job_manager *manager);

/* Calls fn on the loop's thread with a snapshot that is valid until it returns. false: the
 * JobManager is ending. */
bool job_manager_read(struct job_manager *manager, snapshot_reader_fn fn, void *context)
    __attribute__((warn_unused_result));

#endif
