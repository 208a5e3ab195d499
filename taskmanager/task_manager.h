/*
 * The TaskManager put together: control on its event loop, the task runtime, the connection to the
 * JobManager, health and metrics over HTTP.
 */
#ifndef TASKMANAGER_TASK_MANAGER_H
#define TASKMANAGER_TASK_MANAGER_H

#include "common/api/connector.h"
#include "common/config/config.h"
#include "common/io/transport.h"

#include <stdbool.h>

struct task_manager;

struct task_manager_config {
    const struct config *config;                 /* outlives the TaskManager */
    const struct operator_ops *const *operators; /* ends in NULL; outlives it */
    const struct connector_registry *connectors; /* outlives it */
    struct transport *transport;                 /* to the JobManager; outlives it */
    struct transport *data_transport;            /* to other TaskManagers; as well */
    const char *job_manager_address;             /* what to dial: "localhost:6123"; copied */
    const char *data_address;                    /* what to listen on: "127.0.0.1:0" */
    uint32_t slot_count;                         /* 0: taskmanager.numberOfTaskSlots */
    bool has_http;
};

/* Prepares directories and ports, then connects in the background, for ever. */
enum status task_manager_start(const struct task_manager_config *config,
                               struct task_manager **ret_manager, struct error *err) MUST_CHECK;
/* Cancels the tasks, waits for them, closes everything. NULL is ignored. */
void task_manager_stop(struct task_manager *manager);

const char *task_manager_data_address(const struct task_manager *manager);
uint16_t task_manager_http_port(const struct task_manager *manager); /* 0 without HTTP */

#endif
