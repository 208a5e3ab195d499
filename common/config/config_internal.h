/* Between config.c and config_load.c. */
#ifndef COMMON_CONFIG_CONFIG_INTERNAL_H
#define COMMON_CONFIG_CONFIG_INTERNAL_H

struct config;

void config_set_file(struct config *config, const char *file);

#endif
