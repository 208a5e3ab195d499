/* What both daemons do before anything else: see daemon.h. */
#include "common/config/daemon.h"

#include "common/base/allocate.h"
#include "common/base/log.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OVERRIDES_MAX 1000

static const char *get_environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

static void print_help(const char *name)
{
    printf("usage: %s [--config FILE] [-D key=value]...\n"
           "  runs in the foreground and logs to stderr; docs/configuration.md lists the keys\n",
           name);
}

/* -1, or the exit code. */
static int parse_arguments(const char *name, int argc, char **argv, struct config_sources *sources,
                           const char **overrides)
{
    for (int i = 1; i < argc; i++) {
        const char *argument = argv[i];
        if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            print_help(name);
            return DAEMON_EXIT_OK;
        }
        if (strcmp(argument, "--version") == 0) {
            printf("%s %s\n", name, MILLSTREAM_VERSION);
            return DAEMON_EXIT_OK;
        }
        const bool is_config = strcmp(argument, "--config") == 0;
        const bool is_override = strncmp(argument, "-D", 2) == 0;
        const char *value = is_override && argument[2] != '\0' ? argument + 2 : NULL;
        if (!is_config && !is_override) {
            (void)fprintf(stderr, "%s: unknown argument %s; --help shows the usage\n", name,
                          argument);
            return DAEMON_EXIT_CONFIGURATION;
        }
        if (value == NULL && ++i == argc) {
            (void)fprintf(stderr, "%s: %s needs a value\n", name, argument);
            return DAEMON_EXIT_CONFIGURATION;
        }
        if (value == NULL)
            value = argv[i];
        if (is_config) {
            sources->file = value;
        } else if (sources->override_count < OVERRIDES_MAX) {
            overrides[sources->override_count++] = value;
        } else {
            (void)fprintf(stderr, "%s: more than %d options -D\n", name, OVERRIDES_MAX);
            return DAEMON_EXIT_CONFIGURATION;
        }
    }
    return -1;
}

static void set_up_signals(void)
{
    sigset_t handled;
    (void)sigemptyset(&handled);
    (void)sigaddset(&handled, SIGTERM);
    (void)sigaddset(&handled, SIGINT);
    (void)sigaddset(&handled, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &handled, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

int daemon_begin(const char *name, int argc, char **argv, struct config **ret_config)
{
    const char **overrides = allocate_array(OVERRIDES_MAX, sizeof(*overrides));
    struct config_sources sources = {.overrides = overrides, .get_env = get_environment};
    const int code = parse_arguments(name, argc, argv, &sources, overrides);
    if (code >= 0) {
        free(overrides);
        return code;
    }
    struct config_report report = {0};
    struct config *config = NULL;
    const enum status status = config_load(&sources, &config, &report);
    free(overrides);
    for (size_t i = 0; i < report.error_count; i++)
        (void)fprintf(stderr, "%s: %s\n", name, report.errors[i]);
    if (status != STATUS_OK) {
        config_report_done(&report);
        return DAEMON_EXIT_CONFIGURATION;
    }
    const char *component = strncmp(name, "millstream-", 11) == 0 ? name + 11 : name;
    log_configure(component, (enum log_level)config_choice(config, CONFIG_LOG_LEVEL),
                  (enum log_format)config_choice(config, CONFIG_LOG_FORMAT));
    const char *file = config_file(config);
    log_event(LOG_INFO, "starting", "version", MILLSTREAM_VERSION, "pid", LOG_NUMBER(getpid()),
              "configuration", file != NULL ? file : "(no file)", NULL);
    for (size_t i = 0; i < report.warning_count; i++)
        log_event(LOG_WARN, "configuration", "warning", report.warnings[i], NULL);
    config_report_done(&report);
    set_up_signals();
    *ret_config = config;
    return -1;
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "[::1]") == 0 || strncmp(host, "127.", 4) == 0;
}

enum status daemon_check_bind(const struct config *config, enum config_key key, struct error *err)
{
    const char *host = config_text(config, key);
    if (is_loopback(host) || config_bool(config, CONFIG_SECURITY_INSECURE))
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "%s: %s listens beyond this host, and there is no TLS and no token yet; if "
                     "the network is trusted, add the line `security.insecure: true` (or -D "
                     "security.insecure=true)",
                     config_table[key].name, host);
}

int daemon_not_started(const struct error *err)
{
    log_event(LOG_ERROR, "not_started", "reason", err->message, NULL);
    return err->code == STATUS_IO ? DAEMON_EXIT_FAILURE : DAEMON_EXIT_CONFIGURATION;
}

void daemon_wait(void)
{
    sigset_t handled;
    (void)sigemptyset(&handled);
    (void)sigaddset(&handled, SIGTERM);
    (void)sigaddset(&handled, SIGINT);
    int signal_number = 0;
    (void)sigwait(&handled, &signal_number);
    log_event(LOG_INFO, "ending", "signal", strsignal(signal_number), NULL);
}

void daemon_end(void)
{
    (void)kill(getpid(), SIGTERM);
}
