/*
 * Durable objects by path below a root: checkpoint storage and the job store. A directory today,
 * a faulty twin in tests. Calls block; any thread.
 *
 * put and upload are atomic: written to a temporary name beside the target, fsynced, renamed, the
 * directory fsynced. After a failed fsync the object counts as lost and is never retried on the
 * same file. Paths are relative, of safe components ([A-Za-z0-9._-]+, not "." or ".."); anything
 * else is STATUS_INVALID. Missing directories are made.
 */
#ifndef COMMON_IO_FILE_STORE_H
#define COMMON_IO_FILE_STORE_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct file_store {
    const struct file_store_ops *ops;
};

typedef enum status (*file_store_list_fn)(void *context, const char *name, bool is_directory,
                                          uint64_t size, struct error *err);

struct file_store_ops {
    /* Creates or replaces. With must_be_new an existing object gives STATUS_EXISTS. */
    enum status (*put)(struct file_store *store, const char *path, const void *bytes, size_t size,
                       bool must_be_new, struct error *err);
    /* Appends the content to out; more than out->max bytes is STATUS_LIMIT. */
    enum status (*get)(struct file_store *store, const char *path, struct text *out,
                       struct error *err);
    /* Copies a local file in; fills its CRC-32C and size. */
    enum status (*upload)(struct file_store *store, const char *local_path, const char *path,
                          uint32_t *ret_crc32c, uint64_t *ret_size, struct error *err);
    /* Copies out to a new local file and checks size and CRC-32C: STATUS_CORRUPT names both. */
    enum status (*download)(struct file_store *store, const char *path, const char *local_path,
                            uint32_t crc32c, uint64_t size, struct error *err);
    /* Copies an object to a new path of the same store, without reading it into memory. An object
     * that is there already is replaced. */
    enum status (*copy)(struct file_store *store, const char *from, const char *to,
                        struct error *err);
    enum status (*remove)(struct file_store *store, const char *path, struct error *err);
    /* Removes a directory with everything below; a missing one is no error. */
    enum status (*remove_tree)(struct file_store *store, const char *path, struct error *err);
    /* Calls fn for each entry of a directory, sorted by name; a missing one has none. */
    enum status (*list)(struct file_store *store, const char *path, file_store_list_fn fn,
                        void *context, struct error *err);
    /* Free and total bytes of the file system. */
    enum status (*space)(struct file_store *store, uint64_t *ret_free, uint64_t *ret_total,
                         struct error *err);
    void (*destroy)(struct file_store *store);
};

/* A directory, made if it is missing. */
enum status file_store_local_create(const char *directory, struct file_store **ret_store,
                                    struct error *err) MUST_CHECK;

/* Objects in memory, gone with the store; no local files can be uploaded or downloaded. */
struct file_store *file_store_memory_create(void)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
