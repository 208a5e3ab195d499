/* millstream-taskmanager: options, wiring, signals. */
#include "common/base/address.h"
#include "common/base/allocate.h"
#include "common/base/log.h"
#include "common/config/daemon.h"
#include "connectors/registry.h"
#include "operators/registry.h"
#include "taskmanager/task_manager.h"

static enum status start(const struct config *config, struct transport *transport,
                         struct transport *data_transport, struct task_manager **ret_manager,
                         struct error *err)
{
    TRY(daemon_check_bind(config, CONFIG_TASKMANAGER_BIND_HOST, err));
    SCOPED_TEXT char *job_manager =
        address_join_number(config_text(config, CONFIG_JOBMANAGER_RPC_ADDRESS),
                            config_int(config, CONFIG_JOBMANAGER_RPC_PORT));
    SCOPED_TEXT char *data = address_join_number(config_text(config, CONFIG_TASKMANAGER_BIND_HOST),
                                                 config_int(config, CONFIG_TASKMANAGER_DATA_PORT));
    const struct task_manager_config wiring = {
        .config = config,
        .operators = operator_registry,
        .connectors = connector_registry_builtin(),
        .transport = transport,
        .data_transport = data_transport,
        .job_manager_address = job_manager,
        .data_address = data,
        .has_http = true,
    };
    return task_manager_start(&wiring, ret_manager, err);
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    int code = daemon_begin("millstream-taskmanager", argc, argv, &config);
    if (code >= 0)
        return code;
    allocate_keep_batches();
    struct transport *transport = transport_nng_create();
    struct transport *data_transport = transport_socket_create();
    struct task_manager *manager = NULL;
    struct error err;
    if (start(config, transport, data_transport, &manager, &err) == STATUS_OK) {
        log_event(LOG_INFO, "started", "data", task_manager_data_address(manager), "http",
                  LOG_NUMBER(task_manager_http_port(manager)), NULL);
        daemon_wait();
        code = DAEMON_EXIT_OK;
    } else {
        code = daemon_not_started(&err);
    }
    task_manager_stop(manager);
    data_transport->ops->destroy(data_transport);
    transport->ops->destroy(transport);
    config_destroy(config);
    return code;
}
