/*
 * One JobManager per job store: a lock held for life and an epoch raised at every start.
 *
 * A directory admits one JobManager. `lock` is locked with flock for the life of the process; a
 * file system on which that does not work is refused. `epoch` holds a decimal number, raised,
 * fsynced and renamed before anything else is read. Whoever finds another number than his own there
 * has been replaced and ends.
 */
#ifndef JOBMANAGER_LEADER_LOCK_H
#define JOBMANAGER_LEADER_LOCK_H

#include "common/base/status.h"

#include <stdint.h>

struct leader_lock;

/* directory exists. STATUS_FENCED: another process holds it (its pid is in the message). */
enum status leader_lock_acquire(const char *directory, struct leader_lock **ret_lock,
                                uint64_t *ret_epoch, struct error *err) MUST_CHECK;
/* STATUS_FENCED when the stored epoch is not ours. Any thread. */
enum status leader_lock_check(const struct leader_lock *lock, struct error *err) MUST_CHECK;
void leader_lock_release(struct leader_lock *lock);

#endif
