/*
 * The names of the file sink's files and what is done to them outside of writing: recovery and
 * commit. Everything here blocks; any thread.
 *
 *   .part-<job 8>-<subtask>-<attempt>-<n>   in progress, or complete and pending
 *   part-<job 8>-<subtask>-<n>.<extension>  committed
 *
 * A commit links the file to its final name and removes the first one: it never replaces a file,
 * and doing it again is harmless.
 */
#ifndef CONNECTORS_FILE_FILE_COMMIT_H
#define CONNECTORS_FILE_FILE_COMMIT_H

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file that is complete and durable under its first name. As bytes, version 1, little-endian:
 * u8 version, 3 x u8 0, u32 subtask, u64 attempt, u64 n, u64 inode, u64 size. */
struct pending_file {
    uint32_t subtask; /* who wrote it */
    uint64_t attempt;
    uint64_t n;
    uint64_t inode;
    uint64_t size;
    uint64_t checkpoint; /* the first that names it; not in the bytes */
};

#define PENDING_FILE_BYTES 40

void pending_file_encode(const struct pending_file *file, unsigned char bytes[static 40]);
enum status pending_file_decode(const void *bytes, size_t size, struct pending_file *ret_file,
                                struct error *err) MUST_CHECK;

enum file_if_exists { FILE_IF_EXISTS_APPEND, FILE_IF_EXISTS_FAIL, FILE_IF_EXISTS_REPLACE };

/* Where one subtask writes. Constant while it runs. */
struct file_target {
    char *directory;
    const char *extension;
    char job[9]; /* first 8 digits of the job id */
    uint32_t subtask;
    uint32_t parallelism;
    uint64_t attempt;
    enum file_if_exists if_exists;
};

/* "<directory>/.part-..."; free it. */
char *file_target_open_path(const struct file_target *target, uint32_t subtask, uint64_t attempt,
                            uint64_t n);
char *file_target_final_path(const struct file_target *target, uint32_t subtask, uint64_t n);

enum status file_target_sync_directory(const struct file_target *target,
                                       struct error *err) MUST_CHECK;

/* Gives the file its final name. is_sequence_free: another file of that name is stepped over by
 * raising file->n (without checkpoints, after a restart); else it is an error. */
enum status file_target_commit(const struct file_target *target, struct pending_file *file,
                               bool is_sequence_free, struct error *err) MUST_CHECK;

/* Makes the directory, applies if_exists (first start only), commits those of the restored pending
 * files that are this subtask's to finish, and removes what earlier attempts left unnamed. */
enum status file_target_recover(const struct file_target *target, struct pending_file *pending,
                                size_t count, bool is_restored, struct error *err) MUST_CHECK;

#endif
