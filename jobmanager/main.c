/* millstream-jobmanager: options, wiring, signals. */
#include "common/base/address.h"
#include "common/base/log.h"
#include "common/config/daemon.h"
#include "connectors/registry.h"
#include "jobmanager/job_manager.h"

#include <stdatomic.h>

static atomic_bool is_fatal;

static void on_fatal(void *context, const char *reason)
{
    (void)context;
    (void)reason;
    atomic_store(&is_fatal, true);
    daemon_end();
}

static enum status check_binds(const struct config *config, struct error *err)
{
    TRY(daemon_check_bind(config, CONFIG_JOBMANAGER_BIND_HOST, err));
    return daemon_check_bind(config, CONFIG_REST_BIND_ADDRESS, err);
}

static enum status start(const struct config *config, struct transport *transport,
                         struct job_manager **ret_manager, struct error *err)
{
    TRY(check_binds(config, err));
    SCOPED_TEXT char *address =
        address_join_number(config_text(config, CONFIG_JOBMANAGER_BIND_HOST),
                            config_int(config, CONFIG_JOBMANAGER_RPC_PORT));
    const struct job_manager_config wiring = {
        .config = config,
        .connectors = connector_registry_builtin(),
        .transport = transport,
        .rpc_address = address,
        .on_fatal = on_fatal,
        .has_rest = true,
    };
    return job_manager_start(&wiring, ret_manager, err);
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    int code = daemon_begin("millstream-jobmanager", argc, argv, &config);
    if (code >= 0)
        return code;
    struct transport *transport = transport_nng_create();
    struct job_manager *manager = NULL;
    struct error err;
    if (start(config, transport, &manager, &err) == STATUS_OK) {
        log_event(LOG_INFO, "started", "rpc", job_manager_rpc_address(manager), "rest",
                  LOG_NUMBER(job_manager_rest_port(manager)), NULL);
        daemon_wait();
        code = DAEMON_EXIT_OK;
    } else {
        code = daemon_not_started(&err);
    }
    job_manager_stop(manager);
    transport->ops->destroy(transport);
    config_destroy(config);
    return atomic_load(&is_fatal) ? DAEMON_EXIT_FAILURE : code;
}
