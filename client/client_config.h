/* The configuration as the client sees it: file, environment and -D. */
#ifndef CLIENT_CLIENT_CONFIG_H
#define CLIENT_CLIENT_CONFIG_H

#include "client/command.h"
#include "common/config/config.h"

/* Says on stderr what is wrong with it. */
enum status client_config_load(const struct arguments *arguments,
                               struct config **ret_config) MUST_CHECK;

#endif
