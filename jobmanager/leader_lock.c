/* One JobManager per job store: see leader_lock.h. */
#include "jobmanager/leader_lock.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define NUMBER_BYTES 32

struct leader_lock {
    int lock_file;
    char *epoch_path;
    uint64_t epoch;
};

/* The number a small file holds; 0 if there is no such file. */
static enum status read_number(const char *path, uint64_t *ret_number, struct error *err)
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT) {
        *ret_number = 0;
        return STATUS_OK;
    }
    char text[NUMBER_BYTES] = "";
    const ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    const int read_errno = errno;
    if (file >= 0)
        (void)close(file);
    if (size < 0)
        return error_set_errno(err, read_errno, "read %s", path);
    char *end = NULL;
    const unsigned long long number = strtoull(text, &end, 10);
    if (end == text || (*end != '\n' && *end != '\0'))
        return error_set(err, STATUS_CORRUPT, "%s holds no number; it should hold the leader epoch",
                         path);
    *ret_number = number;
    return STATUS_OK;
}

static enum status sync_directory(const char *path, struct error *err)
{
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fsync(directory) != 0) {
        const int sync_errno = errno;
        if (directory >= 0)
            (void)close(directory);
        return error_set_errno(err, sync_errno, "sync directory %s", path);
    }
    (void)close(directory);
    return STATUS_OK;
}

static enum status write_epoch(const char *directory, const char *path, uint64_t epoch,
                               struct error *err)
{
    SCOPED_TEXT char *temporary = format_text("%s.new", path);
    char text[NUMBER_BYTES];
    const int size = snprintf(text, sizeof(text), "%" PRIu64 "\n", epoch);
    const int file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool is_written =
        file >= 0 && write(file, text, (size_t)size) == size && fsync(file) == 0;
    const int write_errno = errno;
    if (file >= 0)
        (void)close(file);
    if (!is_written)
        return error_set_errno(err, write_errno, "write %s", temporary);
    if (rename(temporary, path) != 0)
        return error_set_errno(err, errno, "rename %s to %s", temporary, path);
    return sync_directory(directory, err);
}

static enum status lock_file(const char *path, int *ret_file, struct error *err)
{
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return error_set_errno(err, errno, "open %s", path);
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        const int lock_errno = errno;
        char holder[NUMBER_BYTES] = "";
        const ssize_t size = pread(file, holder, sizeof(holder) - 1, 0);
        holder[strcspn(holder, "\n")] = '\0';
        (void)close(file);
        if (lock_errno == EWOULDBLOCK)
            return error_set(err, STATUS_FENCED,
                             "%s is held by another JobManager (pid %s); stop it, or give this one "
                             "another high-availability.storageDir",
                             path, size > 0 ? holder : "unknown");
        return error_set_errno(
            err, lock_errno, "lock %s: the file system of the job store must support flock", path);
    }
    char pid[NUMBER_BYTES];
    const int size = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(file, 0) != 0 || pwrite(file, pid, (size_t)size, 0) != size) {
        const int write_errno = errno;
        (void)close(file);
        return error_set_errno(err, write_errno, "write %s", path);
    }
    *ret_file = file;
    return STATUS_OK;
}

static enum status raise_epoch(struct leader_lock *lock, const char *directory, struct error *err)
{
    uint64_t before = 0;
    TRY(read_number(lock->epoch_path, &before, err));
    lock->epoch = before + 1;
    return write_epoch(directory, lock->epoch_path, lock->epoch, err);
}

enum status leader_lock_acquire(const char *directory, struct leader_lock **ret_lock,
                                uint64_t *ret_epoch, struct error *err)
{
    struct leader_lock *lock = allocate(sizeof(*lock));
    lock->lock_file = -1;
    lock->epoch_path = format_text("%s/epoch", directory);
    SCOPED_TEXT char *lock_path = format_text("%s/lock", directory);
    enum status status = lock_file(lock_path, &lock->lock_file, err);
    if (status == STATUS_OK)
        status = raise_epoch(lock, directory, err);
    if (status != STATUS_OK) {
        leader_lock_release(lock);
        return status;
    }
    *ret_epoch = lock->epoch;
    *ret_lock = lock;
    return STATUS_OK;
}

enum status leader_lock_check(const struct leader_lock *lock, struct error *err)
{
    uint64_t stored = 0;
    TRY(read_number(lock->epoch_path, &stored, err));
    if (stored != lock->epoch)
        return error_set(err, STATUS_FENCED,
                         "%s holds epoch %" PRIu64 ", ours is %" PRIu64
                         ": another JobManager has taken over",
                         lock->epoch_path, stored, lock->epoch);
    return STATUS_OK;
}

void leader_lock_release(struct leader_lock *lock)
{
    if (lock == NULL)
        return;
    if (lock->lock_file >= 0)
        (void)close(lock->lock_file);
    free(lock->epoch_path);
    free(lock);
}
