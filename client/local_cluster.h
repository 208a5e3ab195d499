/*
 * `run --local`: the same JobManager and TaskManager objects in this process, connected by the
 * in-process transport. Nothing else is started; there is no REST. A checkpoint taken so restores
 * in a cluster, and the other way round.
 */
#ifndef CLIENT_LOCAL_CLUSTER_H
#define CLIENT_LOCAL_CLUSTER_H

#include "client/command.h"
#include "common/base/text.h"

/* Compiles, runs to the end and says how it ended. Ctrl-C cancels. */
enum exit_code local_cluster_run(const struct arguments *arguments, const char *path,
                                 const struct text *text);

#endif
