/* Names, recovery and commit of the file sink's files: see file_commit.h. */
#include "connectors/file/file_commit.h"

#include "common/base/allocate.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PENDING_VERSION 1
/* Names of one sequence that a commit without checkpoints steps over at most. */
#define SEQUENCE_MAX 1000000

static void put_le(unsigned char *to, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get_le(const unsigned char *from, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void pending_file_encode(const struct pending_file *file,
                         unsigned char bytes[static PENDING_FILE_BYTES])
{
    memset(bytes, 0, PENDING_FILE_BYTES);
    bytes[0] = PENDING_VERSION;
    put_le(bytes + 4, file->subtask, 4);
    put_le(bytes + 8, file->attempt, 8);
    put_le(bytes + 16, file->n, 8);
    put_le(bytes + 24, file->inode, 8);
    put_le(bytes + 32, file->size, 8);
}

enum status pending_file_decode(const void *bytes, size_t size, struct pending_file *ret_file,
                                struct error *err)
{
    const unsigned char *at = bytes;
    if (size != PENDING_FILE_BYTES || at[0] != PENDING_VERSION)
        return error_set(err, STATUS_CORRUPT,
                         "file sink: a pending file in the checkpoint is damaged or of another "
                         "version (%zu bytes, version %d)",
                         size, size > 0 ? at[0] : -1);
    *ret_file = (struct pending_file){
        .subtask = (uint32_t)get_le(at + 4, 4),
        .attempt = get_le(at + 8, 8),
        .n = get_le(at + 16, 8),
        .inode = get_le(at + 24, 8),
        .size = get_le(at + 32, 8),
    };
    return STATUS_OK;
}

char *file_target_open_path(const struct file_target *target, uint32_t subtask, uint64_t attempt,
                            uint64_t n)
{
    return format_text("%s/.part-%s-%" PRIu32 "-%" PRIu64 "-%" PRIu64, target->directory,
                       target->job, subtask, attempt, n);
}

char *file_target_final_path(const struct file_target *target, uint32_t subtask, uint64_t n)
{
    return format_text("%s/part-%s-%" PRIu32 "-%" PRIu64 ".%s", target->directory, target->job,
                       subtask, n, target->extension);
}

enum status file_target_sync_directory(const struct file_target *target, struct error *err)
{
    const int fd = open(target->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "open directory %s", target->directory);
    enum status status = STATUS_OK;
    /* Some file systems cannot sync a directory, and need not. */
    if (fsync(fd) != 0 && errno != EINVAL)
        status = error_set_errno(err, errno, "sync directory %s", target->directory);
    (void)close(fd); /* it was only read */
    return status;
}

/* ---- commit ---- */

static bool is_same_file(const char *path, const struct pending_file *file)
{
    struct stat found;
    return stat(path, &found) == 0 && (uint64_t)found.st_ino == file->inode &&
           (uint64_t)found.st_size == file->size;
}

static enum status commit_as(const struct file_target *target, const struct pending_file *file,
                             const char *from, uint64_t n, struct error *err)
{
    SCOPED_TEXT char *to = file_target_final_path(target, file->subtask, n);
    if (link(from, to) != 0) {
        const int reason = errno;
        /* Gone under its first name: committed before, and perhaps taken away by its reader. */
        if (reason == ENOENT)
            return STATUS_OK;
        if (reason != EEXIST)
            return error_set_errno(err, reason, "commit %s as %s", from, to);
        if (!is_same_file(to, file))
            return error_set(err, STATUS_EXISTS,
                             "commit %s: %s exists and is another file; nothing was replaced: move "
                             "it away and restart the job",
                             from, to);
    }
    if (unlink(from) != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "commit %s: remove the first name", from);
    return STATUS_OK;
}

enum status file_target_commit(const struct file_target *target, struct pending_file *file,
                               bool is_sequence_free, struct error *err)
{
    SCOPED_TEXT char *from = file_target_open_path(target, file->subtask, file->attempt, file->n);
    uint64_t n = file->n;
    enum status status = commit_as(target, file, from, n, err);
    while (status == STATUS_EXISTS && is_sequence_free && n - file->n < SEQUENCE_MAX)
        status = commit_as(target, file, from, ++n, err);
    if (status == STATUS_OK)
        file->n = n;
    return status;
}

/* ---- recovery ---- */

static enum status make_directories(const char *path, struct error *err)
{
    SCOPED_TEXT char *part = copy_text(path);
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return error_set_errno(err, errno, "make directory %s", part);
        *at = '/';
    }
    if (mkdir(part, 0777) != 0 && errno != EEXIST)
        return error_set_errno(err, errno, "make directory %s", part);
    return STATUS_OK;
}

/* A file of this job that is not committed: which? */
static bool parse_open_name(const struct file_target *target, const char *name,
                            struct pending_file *ret_file)
{
    char job[9] = "";
    int end = 0;
    if (sscanf(name, ".part-%8[0-9a-f]-%" SCNu32 "-%" SCNu64 "-%" SCNu64 "%n", job,
               &ret_file->subtask, &ret_file->attempt, &ret_file->n, &end) != 4)
        return false;
    return name[end] == '\0' && strcmp(job, target->job) == 0;
}

/* A committed file of any job, for if_exists: replace. */
static bool is_part_name(const char *name, char ret_job[static 9])
{
    uint32_t subtask = 0;
    uint64_t n = 0;
    int end = 0;
    return sscanf(name, "part-%8[0-9a-f]-%" SCNu32 "-%" SCNu64 ".%n", ret_job, &subtask, &n,
                  &end) == 3 &&
           end > 0 && strlen(ret_job) == 8;
}

static bool is_pending(const struct pending_file *pending, size_t count,
                       const struct pending_file *file)
{
    for (size_t i = 0; i < count; i++) {
        if (pending[i].subtask == file->subtask && pending[i].attempt == file->attempt &&
            pending[i].n == file->n)
            return true;
    }
    return false;
}

struct recovery {
    const struct file_target *target;
    const struct pending_file *pending;
    size_t count;
    bool is_restored;
};

/* What to do with an entry of the directory that was there before. */
static enum status recover_entry(const struct recovery *recovery, const char *name,
                                 struct error *err)
{
    const struct file_target *target = recovery->target;
    struct pending_file file = {0};
    char job[9] = "";
    bool must_remove = false;
    if (parse_open_name(target, name, &file)) {
        must_remove = file.subtask % target->parallelism == target->subtask &&
                      file.attempt < target->attempt &&
                      !is_pending(recovery->pending, recovery->count, &file);
    } else if (!recovery->is_restored && name[0] != '.') {
        const bool is_part = is_part_name(name, job);
        const bool is_ours = is_part && strcmp(job, target->job) == 0;
        if (target->if_exists == FILE_IF_EXISTS_FAIL && !is_ours)
            return error_set(err, STATUS_EXISTS,
                             "%s is not empty (it holds \"%s\") and if_exists is fail: use another "
                             "directory, or append or replace",
                             target->directory, name);
        must_remove = target->if_exists == FILE_IF_EXISTS_REPLACE && is_part && !is_ours;
    }
    if (!must_remove)
        return STATUS_OK;
    SCOPED_TEXT char *path = format_text("%s/%s", target->directory, name);
    if (unlink(path) != 0 && errno != ENOENT)
        return error_set_errno(err, errno, "remove %s", path);
    return STATUS_OK;
}

static enum status recover_entries(const struct recovery *recovery, struct error *err)
{
    DIR *directory = opendir(recovery->target->directory);
    if (directory == NULL)
        return error_set_errno(err, errno, "read directory %s", recovery->target->directory);
    enum status status = STATUS_OK;
    for (const struct dirent *entry; status == STATUS_OK && (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = recover_entry(recovery, entry->d_name, err);
    }
    (void)closedir(directory); /* it was only read */
    return status;
}

enum status file_target_recover(const struct file_target *target, struct pending_file *pending,
                                size_t count, bool is_restored, struct error *err)
{
    TRY(make_directories(target->directory, err));
    for (size_t i = 0; i < count; i++) {
        /* Of a job that had more subtasks, the rest is shared out. */
        if (pending[i].subtask % target->parallelism == target->subtask)
            TRY(file_target_commit(target, &pending[i], false, err));
    }
    const struct recovery recovery = {target, pending, count, is_restored};
    TRY(recover_entries(&recovery, err));
    return file_target_sync_directory(target, err);
}
