/*
 * The enumerator of the source "file": finds files and cuts them into splits.
 *
 * A file, a directory (its regular files, not those of directories below) or a glob, by name order;
 * hidden names and those that begin with '_' are skipped unless the path names the file itself.
 * Symbolic links are followed.
 *
 * A split's id holds its nominal range, [k * split_size, (k + 1) * split_size), so that ids stay
 * the same however large the file was when it was found. A file is looked at once: what is appended
 * later is not read, and a file that is still being written should get its name when it is done.
 * Empty files are no splits yet. Compressed files are not cut.
 */
#ifndef CONNECTORS_FILE_FILE_ENUMERATOR_H
#define CONNECTORS_FILE_FILE_ENUMERATOR_H

#include "common/api/connector.h"
#include "connectors/compression/compression.h"

struct file_enumerator {
    char *path;
    uint64_t split_size; /* 0: files are not cut */
    int64_t watch_ms;    /* 0: bounded */
    bool must_exist;
    bool is_by_name; /* the compression; else: */
    enum compression compression;
    char **seen; /* paths of earlier calls, sorted; only while watching */
    size_t seen_count;
    size_t seen_capacity;
};

/* The hooks of enumerator_ops. */
enum status file_enumerator_open(void *self, const struct operator_spec *spec, struct error *err);
enum status file_enumerator_discover(void *self, struct split_list *ret_found, bool *ret_is_last,
                                     struct error *err);
int64_t file_enumerator_interval_ms(const void *self);
void file_enumerator_close(void *self);

#endif
