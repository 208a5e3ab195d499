/*
 * Where one TaskManager process keeps local state: <parent>/tm-<id>/, locked while it is used. The
 * parent is one of io.tmp.dirs, else process.working-dir. A starting TaskManager removes
 * directories that nobody holds a lock on.
 */
#ifndef TASKMANAGER_LOCAL_DIRECTORY_H
#define TASKMANAGER_LOCAL_DIRECTORY_H

#include "common/base/ids.h"
#include "common/config/config.h"

#include <stdint.h>

struct local_directory;

#define LOCAL_DIRECTORY_PARENTS_MAX 64

/* The parent to use: of several io.tmp.dirs the one with the most free bytes. All are made if they
 * are missing, and what dead processes left in them is removed. Absolute; free it. */
enum status local_directory_choose(const struct config *config, char **ret_parent,
                                   struct error *err) MUST_CHECK;

enum status local_directory_open(const char *parent, struct id128 incarnation,
                                 struct local_directory **ret_directory,
                                 struct error *err) MUST_CHECK;
const char *local_directory_path(const struct local_directory *directory);
/* Free and total bytes of its file system; zeros if that cannot be known. */
void local_directory_space(const struct local_directory *directory, uint64_t *ret_free,
                           uint64_t *ret_total);
/* Below 5 % free no task is taken: it would fail in the middle of a checkpoint. parent: as chosen,
 * for the message. */
enum status local_directory_check_space(const struct local_directory *directory, const char *parent,
                                        struct error *err) MUST_CHECK;
/* Removes it with all content. NULL is ignored. */
void local_directory_close(struct local_directory *directory);

#endif
