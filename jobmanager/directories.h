/*
 * Where a JobManager keeps things, and the token that shows whether a TaskManager sees the same
 * checkpoint directory.
 */
#ifndef JOBMANAGER_DIRECTORIES_H
#define JOBMANAGER_DIRECTORIES_H

#include "common/config/config.h"

struct directories {
    char *job_store; /* NULL with high-availability.type: none */
    char *checkpoints;
};

/* From high-availability.storageDir, execution.checkpointing.dir and process.working-dir; makes
 * what is missing. */
enum status directories_prepare(const struct config *config, struct directories *ret_directories,
                                struct error *err) MUST_CHECK;
void directories_done(struct directories *directories);

/* Reads the token of the checkpoint directory, or writes a new one: 32 hex digits, to be freed. */
enum status checkpoint_token_prepare(const char *directory, char **ret_token,
                                     struct error *err) MUST_CHECK;

#endif
