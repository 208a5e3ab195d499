/* A directory as file store: every object is written beside its target, synced, then renamed. */
#include "common/io/file_store.h"

#include "common/base/allocate.h"
#include "common/base/crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define COPY_BLOCK_SIZE_BYTES (256 * 1024)
#define STORE_PATH_MAX_BYTES  1024
#define TREE_DEPTH_MAX        32
/* What is being written; never listed, removed with its directory. */
#define TEMPORARY_PREFIX ".tmp-"

struct local_store {
    struct file_store store;
    char *root;
    _Atomic uint64_t next_temporary;
};

static struct local_store *local(struct file_store *store)
{
    return (struct local_store *)store;
}

static bool is_safe_component(const char *name, size_t size)
{
    if (size == 0 || (size == 1 && name[0] == '.') || (size == 2 && memcmp(name, "..", 2) == 0))
        return false;
    for (size_t i = 0; i < size; i++) {
        const char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return size < strlen(TEMPORARY_PREFIX) ||
           memcmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0;
}

static bool is_safe_path(const char *path)
{
    const size_t size = strlen(path);
    if (size == 0 || size > STORE_PATH_MAX_BYTES)
        return false;
    const char *component = path;
    for (;;) {
        const char *end = strchrnul(component, '/');
        if (!is_safe_component(component, (size_t)(end - component)))
            return false;
        if (*end == '\0')
            return true;
        component = end + 1;
    }
}

static enum status full_path(const struct local_store *self, const char *path, char **ret_full,
                             struct error *err)
{
    if (!is_safe_path(path))
        return error_set(err, STATUS_INVALID,
                         "\"%.200s\" is no path of a stored object: use relative paths of at most "
                         "%d bytes with the characters A-Z a-z 0-9 . _ - between slashes",
                         path, STORE_PATH_MAX_BYTES);
    *ret_full = format_text("%s/%s", self->root, path);
    return STATUS_OK;
}

static enum status sync_directory(const char *directory, struct error *err)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "open directory %s", directory);
    const int failed = fsync(fd) != 0 ? errno : 0;
    (void)close(fd);
    return failed != 0 ? error_set_errno(err, failed, "sync directory %s", directory) : STATUS_OK;
}

static enum status sync_parent(const char *path, struct error *err)
{
    SCOPED_TEXT char *parent = copy_text(path);
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        return sync_directory(".", err);
    slash[slash == parent ? 1 : 0] = '\0';
    return sync_directory(parent, err);
}

/* Makes the directories above `path`, from `start` bytes into it on; syncs the parent of each new
 * one. */
static enum status make_parents(const char *path, size_t start, struct error *err)
{
    SCOPED_TEXT char *copy = copy_text(path);
    for (char *slash = strchr(copy + start, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0777) == 0)
            TRY(sync_parent(copy, err));
        else if (errno != EEXIST)
            return error_set_errno(err, errno, "make directory %s", copy);
        *slash = '/';
    }
    return STATUS_OK;
}

static enum status write_all(int fd, const char *path, const void *bytes, size_t size,
                             struct error *err)
{
    const char *next = bytes;
    while (size > 0) {
        const ssize_t written = write(fd, next, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return error_set_errno(err, written < 0 ? errno : ENOSPC, "write %s", path);
        next += written;
        size -= (size_t)written;
    }
    return STATUS_OK;
}

static enum status read_some(int fd, const char *path, void *bytes, size_t size, size_t *ret_count,
                             struct error *err)
{
    ssize_t count;
    do {
        count = read(fd, bytes, size);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_set_errno(err, errno, "read %s", path);
    *ret_count = (size_t)count;
    return STATUS_OK;
}

/* An object being written: temporary file beside its target. */
struct pending_object {
    char *target;
    char *temporary;
    int fd;
};

static void pending_discard(struct pending_object *pending)
{
    if (pending->fd >= 0)
        (void)close(pending->fd);
    if (pending->temporary != NULL)
        (void)unlink(pending->temporary);
    free(pending->target);
    free(pending->temporary);
    *pending = (struct pending_object){.fd = -1};
}

static enum status pending_open(struct local_store *self, const char *path,
                                struct pending_object *pending, struct error *err)
{
    *pending = (struct pending_object){.fd = -1};
    TRY(full_path(self, path, &pending->target, err));
    enum status status = make_parents(pending->target, strlen(self->root) + 1, err);
    if (status == STATUS_OK) {
        const size_t directory_size = (size_t)(strrchr(pending->target, '/') - pending->target);
        pending->temporary =
            format_text("%.*s/" TEMPORARY_PREFIX "%d-%llu", (int)directory_size, pending->target,
                        getpid(), (unsigned long long)atomic_fetch_add(&self->next_temporary, 1));
        pending->fd = open(pending->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (pending->fd < 0)
            status = error_set_errno(err, errno, "create %s", pending->temporary);
    }
    if (status != STATUS_OK) {
        free(pending->temporary);
        pending->temporary = NULL;
        pending_discard(pending);
    }
    return status;
}

/* Syncs and renames; ends the pending object whatever happens. */
static enum status pending_commit(struct pending_object *pending, bool must_be_new,
                                  struct error *err)
{
    enum status status = STATUS_OK;
    if (fsync(pending->fd) != 0)
        status = error_set_errno(err, errno, "sync %s", pending->temporary);
    if (close(pending->fd) != 0 && status == STATUS_OK)
        status = error_set_errno(err, errno, "close %s", pending->temporary);
    pending->fd = -1;
    if (status == STATUS_OK && must_be_new) {
        /* link never replaces; the temporary name is removed below. */
        if (link(pending->temporary, pending->target) != 0)
            status = error_set_errno(err, errno, "create %s", pending->target);
    } else if (status == STATUS_OK) {
        if (rename(pending->temporary, pending->target) != 0)
            status =
                error_set_errno(err, errno, "rename %s to %s", pending->temporary, pending->target);
    }
    if (status == STATUS_OK)
        status = sync_parent(pending->target, err);
    pending_discard(pending);
    return status;
}

static enum status local_put(struct file_store *store, const char *path, const void *bytes,
                             size_t size, bool must_be_new, struct error *err)
{
    struct pending_object pending;
    TRY(pending_open(local(store), path, &pending, err));
    const enum status status = write_all(pending.fd, pending.temporary, bytes, size, err);
    if (status != STATUS_OK) {
        pending_discard(&pending);
        return status;
    }
    return pending_commit(&pending, must_be_new, err);
}

static enum status get_all(int fd, const char *path, struct text *out, struct error *err)
{
    SCOPED_TEXT char *block = allocate(COPY_BLOCK_SIZE_BYTES);
    for (;;) {
        size_t count = 0;
        TRY(read_some(fd, path, block, COPY_BLOCK_SIZE_BYTES, &count, err));
        if (count == 0)
            return STATUS_OK;
        text_append_bytes(out, block, count);
        if (out->overflowed)
            return error_set(err, STATUS_LIMIT, "%s is larger than the %zu bytes allowed for it",
                             path, out->max);
    }
}

static enum status local_get(struct file_store *store, const char *path, struct text *out,
                             struct error *err)
{
    SCOPED_TEXT char *full = NULL;
    TRY(full_path(local(store), path, &full, err));
    const int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "open %s", full);
    const enum status status = get_all(fd, full, out, err);
    (void)close(fd);
    return status;
}

static enum status copy_content(int from, const char *from_path, int to, const char *to_path,
                                uint32_t *ret_crc32c, uint64_t *ret_size, struct error *err)
{
    SCOPED_TEXT char *block = allocate(COPY_BLOCK_SIZE_BYTES);
    uint32_t crc = 0;
    uint64_t size = 0;
    for (;;) {
        size_t count = 0;
        TRY(read_some(from, from_path, block, COPY_BLOCK_SIZE_BYTES, &count, err));
        if (count == 0)
            break;
        TRY(write_all(to, to_path, block, count, err));
        crc = crc32c(crc, block, count);
        size += count;
    }
    *ret_crc32c = crc;
    *ret_size = size;
    return STATUS_OK;
}

static enum status local_upload(struct file_store *store, const char *local_path, const char *path,
                                uint32_t *ret_crc32c, uint64_t *ret_size, struct error *err)
{
    const int from = open(local_path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return error_set_errno(err, errno, "open %s", local_path);
    struct pending_object pending;
    enum status status = pending_open(local(store), path, &pending, err);
    if (status == STATUS_OK) {
        uint32_t crc = 0;
        uint64_t size = 0;
        status = copy_content(from, local_path, pending.fd, pending.temporary, &crc, &size, err);
        if (status == STATUS_OK)
            status = pending_commit(&pending, false, err);
        else
            pending_discard(&pending);
        if (status == STATUS_OK) {
            *ret_crc32c = crc;
            *ret_size = size;
        }
    }
    (void)close(from);
    return status;
}

static enum status local_copy(struct file_store *store, const char *from, const char *to,
                              struct error *err)
{
    SCOPED_TEXT char *full = NULL;
    TRY(full_path(local(store), from, &full, err));
    uint32_t crc = 0;
    uint64_t size = 0;
    return local_upload(store, full, to, &crc, &size, err);
}

static enum status download_to(int from, const char *full, const char *local_path, uint32_t crc32c,
                               uint64_t size, struct error *err)
{
    const int to = open(local_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (to < 0)
        return error_set_errno(err, errno, "create %s", local_path);
    uint32_t real_crc = 0;
    uint64_t real_size = 0;
    enum status status = copy_content(from, full, to, local_path, &real_crc, &real_size, err);
    if (close(to) != 0 && status == STATUS_OK)
        status = error_set_errno(err, errno, "close %s", local_path);
    if (status == STATUS_OK && (real_crc != crc32c || real_size != size))
        status = error_set(err, STATUS_CORRUPT,
                           "%s has %llu bytes with checksum %08x where %llu bytes with checksum "
                           "%08x were written: the file is damaged",
                           full, (unsigned long long)real_size, real_crc, (unsigned long long)size,
                           crc32c);
    if (status != STATUS_OK)
        (void)unlink(local_path);
    return status;
}

static enum status local_download(struct file_store *store, const char *path,
                                  const char *local_path, uint32_t crc32c, uint64_t size,
                                  struct error *err)
{
    SCOPED_TEXT char *full = NULL;
    TRY(full_path(local(store), path, &full, err));
    const int from = open(full, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return error_set_errno(err, errno, "open %s", full);
    const enum status status = download_to(from, full, local_path, crc32c, size, err);
    (void)close(from);
    return status;
}

static enum status local_remove(struct file_store *store, const char *path, struct error *err)
{
    SCOPED_TEXT char *full = NULL;
    TRY(full_path(local(store), path, &full, err));
    if (unlink(full) != 0)
        return error_set_errno(err, errno, "remove %s", full);
    return STATUS_OK;
}

static enum status remove_below(const char *directory, int depth, struct error *err)
{
    if (depth > TREE_DEPTH_MAX)
        return error_set(err, STATUS_LIMIT, "%s lies more than %d directories deep: not removed",
                         directory, TREE_DEPTH_MAX);
    DIR *entries = opendir(directory);
    if (entries == NULL)
        return errno == ENOENT ? STATUS_OK
                               : error_set_errno(err, errno, "open directory %s", directory);
    enum status status = STATUS_OK;
    const struct dirent *entry;
    while (status == STATUS_OK && (entry = readdir(entries)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        SCOPED_TEXT char *child = format_text("%s/%s", directory, entry->d_name);
        struct stat info;
        if (lstat(child, &info) != 0) {
            if (errno != ENOENT)
                status = error_set_errno(err, errno, "examine %s", child);
        } else if (S_ISDIR(info.st_mode)) {
            status = remove_below(child, depth + 1, err);
        } else if (unlink(child) != 0 && errno != ENOENT) {
            status = error_set_errno(err, errno, "remove %s", child);
        }
    }
    (void)closedir(entries);
    if (status == STATUS_OK && rmdir(directory) != 0 && errno != ENOENT)
        status = error_set_errno(err, errno, "remove directory %s", directory);
    return status;
}

static enum status local_remove_tree(struct file_store *store, const char *path, struct error *err)
{
    SCOPED_TEXT char *full = NULL;
    TRY(full_path(local(store), path, &full, err));
    return remove_below(full, 0, err);
}

static int is_listed(const struct dirent *entry)
{
    return is_safe_component(entry->d_name, strlen(entry->d_name)) ? 1 : 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static enum status local_list(struct file_store *store, const char *path, file_store_list_fn fn,
                              void *context, struct error *err)
{
    struct local_store *self = local(store);
    SCOPED_TEXT char *full = NULL;
    if (path[0] == '\0')
        full = copy_text(self->root);
    else
        TRY(full_path(self, path, &full, err));
    struct dirent **entries = NULL;
    const int count = scandir(full, &entries, is_listed, by_name);
    if (count < 0)
        return errno == ENOENT ? STATUS_OK : error_set_errno(err, errno, "list directory %s", full);
    enum status status = STATUS_OK;
    for (int i = 0; i < count; i++) {
        SCOPED_TEXT char *child = format_text("%s/%s", full, entries[i]->d_name);
        struct stat info;
        /* An entry that has gone meanwhile is no error. */
        if (status == STATUS_OK && lstat(child, &info) == 0)
            status = fn(context, entries[i]->d_name, S_ISDIR(info.st_mode),
                        S_ISDIR(info.st_mode) ? 0 : (uint64_t)info.st_size, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static enum status local_space(struct file_store *store, uint64_t *ret_free, uint64_t *ret_total,
                               struct error *err)
{
    struct local_store *self = local(store);
    struct statvfs info;
    if (statvfs(self->root, &info) != 0)
        return error_set_errno(err, errno, "ask for the free space of %s", self->root);
    *ret_free = (uint64_t)info.f_bavail * info.f_frsize;
    *ret_total = (uint64_t)info.f_blocks * info.f_frsize;
    return STATUS_OK;
}

static void local_destroy(struct file_store *store)
{
    if (store == NULL)
        return;
    free(local(store)->root);
    free(local(store));
}

static const struct file_store_ops local_ops = {
    .put = local_put,
    .get = local_get,
    .upload = local_upload,
    .download = local_download,
    .copy = local_copy,
    .remove = local_remove,
    .remove_tree = local_remove_tree,
    .list = local_list,
    .space = local_space,
    .destroy = local_destroy,
};

enum status file_store_local_create(const char *directory, struct file_store **ret_store,
                                    struct error *err)
{
    if (directory[0] == '\0')
        return error_set(err, STATUS_INVALID, "the directory of a file store is empty");
    SCOPED_TEXT char *root = copy_text(directory);
    for (size_t size = strlen(root); size > 1 && root[size - 1] == '/'; size--)
        root[size - 1] = '\0';
    SCOPED_TEXT char *below = format_text("%s/", root);
    TRY(make_parents(below, 1, err));
    struct stat info;
    if (stat(root, &info) != 0)
        return error_set_errno(err, errno, "open directory %s", root);
    if (!S_ISDIR(info.st_mode))
        return error_set(err, STATUS_INVALID, "%s is no directory", root);
    struct local_store *self = allocate(sizeof(*self));
    self->store.ops = &local_ops;
    self->root = take_pointer(&root);
    *ret_store = &self->store;
    return STATUS_OK;
}
