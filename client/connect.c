/* Where the JobManager is, and what is said when a command fails: see command.h. */
#include "client/command.h"

#include "client/client_config.h"
#include "common/base/address.h"
#include "common/base/allocate.h"

#include <stdio.h>

static const char *get_environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

enum status client_config_load(const struct arguments *arguments, struct config **ret_config)
{
    const char **overrides = allocate_array(arguments->config_count, sizeof(*overrides));
    for (uint32_t i = 0; i < arguments->config_count; i++)
        overrides[i] = format_text("%s=%s", arguments->config[i].key, arguments->config[i].value);
    const struct config_sources sources = {.file = arguments->config_file,
                                           .overrides = overrides,
                                           .override_count = arguments->config_count,
                                           .get_env = get_environment};
    struct config_report report = {0};
    const enum status status = config_load(&sources, ret_config, &report);
    for (size_t i = 0; i < report.error_count; i++)
        (void)fprintf(stderr, "millstream: %s\n", report.errors[i]);
    for (size_t i = 0; i < report.warning_count; i++)
        (void)fprintf(stderr, "millstream: warning: %s\n", report.warnings[i]);
    config_report_done(&report);
    for (uint32_t i = 0; i < arguments->config_count; i++)
        free((char *)(uintptr_t)overrides[i]);
    free(overrides);
    return status;
}

struct rest_client *command_connect(const struct arguments *arguments)
{
    if (arguments->rest_address != NULL)
        return rest_client_create(arguments->rest_address);
    struct config *config = NULL;
    if (client_config_load(arguments, &config) != STATUS_OK)
        return NULL;
    const char *host = config_text(config, CONFIG_REST_ADDRESS);
    if (host == NULL)
        host = config_text(config, CONFIG_JOBMANAGER_RPC_ADDRESS);
    SCOPED_TEXT char *address = address_join_number(host, config_int(config, CONFIG_REST_PORT));
    config_destroy(config);
    return rest_client_create(address);
}

enum exit_code command_fail(const char *what, const struct error *err)
{
    (void)fprintf(stderr, "millstream %s: %s\n", what, err->message);
    return err->code == STATUS_UNAVAILABLE ? EXIT_UNREACHABLE : EXIT_REFUSED;
}
