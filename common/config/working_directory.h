/*
 * process.working-dir and what is derived from it: below it lie ha/, checkpoints/, savepoints/,
 * tm-<id>/ and log/.
 */
#ifndef COMMON_CONFIG_WORKING_DIRECTORY_H
#define COMMON_CONFIG_WORKING_DIRECTORY_H

#include "common/config/config.h"

/* In the checkpoint directory: by it TaskManagers show that they see the JobManager's. */
#define CHECKPOINT_TOKEN_FILE ".millstream-token"

/* The configured directory, else /var/lib/millstream if it can be written, else
 * ~/.local/state/millstream. Absolute, made if it is missing; free it. */
enum status working_directory_prepare(const struct config *config, char **ret_directory,
                                      struct error *err) MUST_CHECK;

/* execution.checkpointing.dir (file:// accepted), else <working directory>/checkpoints. Absolute,
 * made if it is missing; free it. */
enum status checkpoint_directory_prepare(const struct config *config, char **ret_directory,
                                         struct error *err) MUST_CHECK;

/* Makes a directory with its parents, and its absolute path; free it. */
enum status directory_prepare(const char *path, char **ret_absolute, struct error *err) MUST_CHECK;

#endif
