/*
 * What a checkpoint holds of one subtask: made by the task, carried by its acknowledgement, kept in
 * _metadata, handed back at restore. Plain data, owned by whoever holds it.
 *
 * Paths are relative to <checkpoint dir>/<job id>/ and begin with "chk-<n>/" (only this checkpoint
 * refers to the file) or "shared/<attempt>/" (later checkpoints may); no other form is valid.
 */
#ifndef COMMON_GRAPH_TASK_STATE_H
#define COMMON_GRAPH_TASK_STATE_H

#include "common/base/ids.h"
#include "common/data/key.h"

#include <stddef.h>
#include <stdint.h>

struct state_file {
    char *path; /* in checkpoint storage */
    char *name; /* what the backend calls it: "000012.sst", "MANIFEST-000004" */
    uint64_t size;
    uint32_t crc32c; /* of the whole content */
    bool is_shared;  /* below shared/: counted by the coordinator's registry */
};

struct operator_state_entry {
    char *name;
    uint8_t kind; /* enum operator_state_kind */
    char *bytes;
    size_t size;
};

struct operator_state {
    char *uid;
    struct operator_state_entry *entries; /* non-keyed, in the order they were put */
    size_t entry_count;
};

/* Keyed state of all operators of the chain: one database per subtask. */
struct keyed_state_handle {
    char *backend; /* "rocksdb", "memory"; NULL: the chain has no keyed state */
    struct key_group_range key_groups;
    char *meta; /* the backend's own description: registered states and schemas; versioned */
    size_t meta_size;
    struct state_file *files;
    size_t file_count;
    uint64_t key_count; /* estimates, for status */
    uint64_t byte_count;
};

struct task_state {
    struct id128 vertex;
    uint32_t subtask_index;
    struct attempt_id attempt; /* who wrote it */
    struct operator_state *operators;
    size_t operator_count;
    struct keyed_state_handle keyed;
    uint64_t uploaded_bytes; /* new in this checkpoint */
    int64_t align_ms;        /* first barrier to last */
    int64_t pause_us;        /* how long the worker was held by the snapshot */
    int64_t async_ms;        /* snapshot to durable */
    bool is_finished;        /* all inputs had ended and all output was emitted */
};

void task_state_done(struct task_state *state);
void task_state_copy(struct task_state *to, const struct task_state *from);

#endif
