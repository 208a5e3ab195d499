/* Where a TaskManager keeps local state: see local_directory.h. */
#include "taskmanager/local_directory.h"

#include "common/base/allocate.h"
#include "common/config/working_directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define NAME_PREFIX      "tm-"
#define OPEN_DIRECTORIES 16
#define MIN_FREE_PERCENT 5

struct local_directory {
    char *path;
    int lock; /* the directory itself, locked */
};

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    (void)remove(path); /* what cannot be removed stays: the next start tries again */
    return 0;
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

/* A directory whose lock can be had belongs to a process that is gone. */
static void remove_if_left(const char *path)
{
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return;
    if (flock(directory, LOCK_EX | LOCK_NB) == 0)
        remove_tree(path);
    (void)close(directory);
}

static void remove_left_ones(const char *working_directory)
{
    DIR *directory = opendir(working_directory);
    if (directory == NULL)
        return;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
            continue;
        SCOPED_TEXT char *path = format_text("%s/%s", working_directory, entry->d_name);
        remove_if_left(path);
    }
    (void)closedir(directory);
}

/* Between making a directory and locking it a process looks as if it were gone: one at a time. */
static int lock_starts(const char *working_directory)
{
    const int starts = open(working_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (starts >= 0 && flock(starts, LOCK_EX) != 0 && errno == EINTR)
        continue;
    return starts;
}

/* ---- the parent ---- */

static uint64_t free_bytes_of(const char *path)
{
    struct statvfs space;
    return statvfs(path, &space) == 0 ? (uint64_t)space.f_bavail * space.f_frsize : 0;
}

/* Takes path if it has more room than the best so far. */
static enum status consider(const char *path, char **best, uint64_t *best_bytes, struct error *err)
{
    char *absolute = NULL;
    TRY(directory_prepare(path, &absolute, err));
    const int starts = lock_starts(absolute);
    remove_left_ones(absolute);
    if (starts >= 0)
        (void)close(starts);
    const uint64_t bytes = free_bytes_of(absolute);
    if (*best != NULL && bytes <= *best_bytes) {
        free(absolute);
        return STATUS_OK;
    }
    free(*best);
    *best = absolute;
    *best_bytes = bytes;
    return STATUS_OK;
}

enum status local_directory_choose(const struct config *config, char **ret_parent,
                                   struct error *err)
{
    const char *configured = config_text(config, CONFIG_TMP_DIRS);
    if (configured == NULL)
        return working_directory_prepare(config, ret_parent, err);
    char *best = NULL;
    uint64_t best_bytes = 0;
    unsigned count = 0;
    enum status status = STATUS_OK;
    SCOPED_TEXT char *names = copy_text(configured);
    char *rest = NULL;
    for (char *name = strtok_r(names, ",", &rest); name != NULL && status == STATUS_OK;
         name = strtok_r(NULL, ",", &rest)) {
        name += strspn(name, " ");
        for (size_t size = strlen(name); size > 0 && name[size - 1] == ' '; size--)
            name[size - 1] = '\0';
        if (*name != '\0' && count++ < LOCAL_DIRECTORY_PARENTS_MAX)
            status = consider(name, &best, &best_bytes, err);
    }
    if (status == STATUS_OK && best == NULL)
        return working_directory_prepare(config, ret_parent, err);
    if (status != STATUS_OK) {
        free(best);
        return error_wrap(err, status, "io.tmp.dirs");
    }
    *ret_parent = best;
    return STATUS_OK;
}

/* ---- one process's directory ---- */

enum status local_directory_open(const char *parent, struct id128 incarnation,
                                 struct local_directory **ret_directory, struct error *err)
{
    const int starts = lock_starts(parent);
    remove_left_ones(parent);
    char id[ID_TEXT_SIZE];
    id128_format(incarnation, id);
    struct local_directory *directory = allocate(sizeof(*directory));
    directory->path = format_text("%s/" NAME_PREFIX "%s", parent, id);
    directory->lock = -1;
    if (mkdir(directory->path, 0700) == 0)
        directory->lock = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->lock < 0 || flock(directory->lock, LOCK_EX | LOCK_NB) != 0) {
        const int open_errno = errno;
        (void)error_set_errno(err, open_errno, "local directory %s", directory->path);
        local_directory_close(take_pointer(&directory));
    }
    if (starts >= 0)
        (void)close(starts);
    if (directory == NULL)
        return STATUS_IO;
    *ret_directory = directory;
    return STATUS_OK;
}

const char *local_directory_path(const struct local_directory *directory)
{
    return directory->path;
}

void local_directory_space(const struct local_directory *directory, uint64_t *ret_free,
                           uint64_t *ret_total)
{
    struct statvfs space;
    const bool is_known = statvfs(directory->path, &space) == 0;
    *ret_free = is_known ? (uint64_t)space.f_bavail * space.f_frsize : 0;
    *ret_total = is_known ? (uint64_t)space.f_blocks * space.f_frsize : 0;
}

void local_directory_close(struct local_directory *directory)
{
    if (directory == NULL)
        return;
    if (directory->lock >= 0) {
        remove_tree(directory->path);
        (void)close(directory->lock);
    }
    free(directory->path);
    free(directory);
}

enum status local_directory_check_space(const struct local_directory *directory, const char *parent,
                                        struct error *err)
{
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    local_directory_space(directory, &free_bytes, &total_bytes);
    if (total_bytes == 0 || free_bytes / MIN_FREE_PERCENT >= total_bytes / 100)
        return STATUS_OK;
    char host[256] = "this host";
    (void)gethostname(host, sizeof(host) - 1);
    return error_set(err, STATUS_LIMIT,
                     "%s on %s has less than %d %% free space (%llu of %llu MiB): free some, or "
                     "set io.tmp.dirs or process.working-dir",
                     parent, host, MIN_FREE_PERCENT, (unsigned long long)(free_bytes >> 20),
                     (unsigned long long)(total_bytes >> 20));
}
