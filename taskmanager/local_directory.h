/*
 * The working directory of one TaskManager process: <process.working-dir>/tm-<id>/, locked while it
 * is used. A starting TaskManager removes those that nobody holds a lock on.
 */
#ifndef TASKMANAGER_LOCAL_DIRECTORY_H
#define TASKMANAGER_LOCAL_DIRECTORY_H

#include "common/base/ids.h"
#include "common/base/status.h"

#include <stdint.h>

struct local_directory;

enum status local_directory_open(const char *working_directory, struct id128 incarnation,
                                 struct local_directory **ret_directory,
                                 struct error *err) MUST_CHECK;
const char *local_directory_path(const struct local_directory *directory);
/* Free and total bytes of its file system; zeros if that cannot be known. */
void local_directory_space(const struct local_directory *directory, uint64_t *ret_free,
                           uint64_t *ret_total);
/* Removes it with all content. NULL is ignored. */
void local_directory_close(struct local_directory *directory);

#endif
