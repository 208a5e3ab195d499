/* Health, readiness and metrics of a TaskManager over HTTP. */
#ifndef TASKMANAGER_HTTP_H
#define TASKMANAGER_HTTP_H

#include "common/config/config.h"
#include "taskmanager/memory_budget.h"
#include "taskmanager/task_runtime.h"

#define TASK_HTTP_PORT_SPAN 100 /* taskmanager.http.port and the 100 ports behind it are tried */

struct task_http;

/* Listens on taskmanager.bind-host. is_registered is asked by /ready; any thread. */
enum status task_http_start(const struct config *config, const struct memory_budget *budget,
                            struct task_runtime *runtime, const _Atomic bool *is_registered,
                            struct task_http **ret_http, struct error *err) MUST_CHECK;
uint16_t task_http_port(const struct task_http *http);
void task_http_stop(struct task_http *http);

#endif
