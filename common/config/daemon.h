/*
 * What both daemons do before anything else: read the command line and the configuration, set up
 * the log, wait for the signal that ends them.
 */
#ifndef COMMON_CONFIG_DAEMON_H
#define COMMON_CONFIG_DAEMON_H

#include "common/config/config.h"

#define DAEMON_EXIT_OK            0
#define DAEMON_EXIT_FAILURE       1
#define DAEMON_EXIT_CONFIGURATION 2 /* configuration or port */

/* Options: --config FILE, -D key=value, --version, --help. Says on stderr what is wrong. Blocks
 * SIGTERM, SIGINT and SIGHUP for the threads that follow and ignores SIGPIPE. Returns -1 and a
 * configuration, or the exit code with which to end. */
int daemon_begin(const char *name, int argc, char **argv, struct config **ret_config);

/* A bind beyond loopback needs security.insecure: true until TLS and tokens are there. key: whose
 * value host is, for the message. */
enum status daemon_check_bind(const struct config *config, enum config_key key,
                              struct error *err) MUST_CHECK;

/* Logs why the daemon could not start; the exit code with which to end. */
int daemon_not_started(const struct error *err);

/* Waits for SIGTERM or SIGINT, or until daemon_end was called from any thread. */
void daemon_wait(void);
void daemon_end(void);

#endif
