/* millstream-taskmanager: options, wiring, signals. */
#include "common/base/allocate.h"
#include "common/base/log.h"
#include "common/config/daemon.h"
#include "connectors/registry.h"
#include "operators/registry.h"
#include "taskmanager/task_manager.h"

#include <string.h>

/* "host:port", with brackets around a bare IPv6 address. */
static char *address_of(const char *host, int64_t port)
{
    const bool is_bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
    return format_text(is_bare_v6 ? "[%s]:%lld" : "%s:%lld", host, (long long)port);
}

static enum status start(const struct config *config, struct transport *transport,
                         struct task_manager **ret_manager, struct error *err)
{
    TRY(daemon_check_bind(config, CONFIG_TASKMANAGER_BIND_HOST, err));
    SCOPED_TEXT char *job_manager = address_of(config_text(config, CONFIG_JOBMANAGER_RPC_ADDRESS),
                                               config_int(config, CONFIG_JOBMANAGER_RPC_PORT));
    SCOPED_TEXT char *data = address_of(config_text(config, CONFIG_TASKMANAGER_BIND_HOST),
                                        config_int(config, CONFIG_TASKMANAGER_DATA_PORT));
    const struct task_manager_config wiring = {
        .config = config,
        .operators = operator_registry,
        .connectors = connector_registry_builtin(),
        .transport = transport,
        .job_manager_address = job_manager,
        .data_address = data,
        .has_http = true,
    };
    return task_manager_start(&wiring, ret_manager, err);
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    const int code = daemon_begin("millstream-taskmanager", argc, argv, &config);
    if (code >= 0)
        return code;
    allocate_keep_batches();
    struct transport *transport = transport_nng_create();
    struct task_manager *manager = NULL;
    struct error err;
    const enum status status = start(config, transport, &manager, &err);
    if (status == STATUS_OK) {
        log_event(LOG_INFO, "started", "data", task_manager_data_address(manager), "http",
                  LOG_NUMBER(task_manager_http_port(manager)), NULL);
        daemon_wait();
    } else {
        log_event(LOG_ERROR, "not_started", "reason", err.message, NULL);
    }
    task_manager_stop(manager);
    transport->ops->destroy(transport);
    config_destroy(config);
    if (status != STATUS_OK)
        return status == STATUS_IO ? DAEMON_EXIT_FAILURE : DAEMON_EXIT_CONFIGURATION;
    return DAEMON_EXIT_OK;
}
