/*
 * What REST, CLI and metrics show of the core: plain copies, taken between two steps.
 * All times are wall-clock milliseconds, -1 if it has not happened. Everything is owned by the
 * snapshot but the graphs, which are borrowed until the next step.
 */
#ifndef JOBMANAGER_CORE_SNAPSHOT_H
#define JOBMANAGER_CORE_SNAPSHOT_H

#include "jobmanager/checkpoint/statistics.h"
#include "jobmanager/core/core.h"
#include "jobmanager/core/job_status.h"

struct task_manager_snapshot {
    struct id128 id; /* incarnation */
    char *name;
    char *host;
    char *data_address;
    char *version;
    uint32_t http_port;
    uint32_t cpu_count;
    uint32_t slot_count;
    uint32_t free_slot_count;
    uint64_t memory_bytes;
    uint64_t memory_used_bytes;
    uint64_t disk_free_bytes;
    uint64_t disk_total_bytes;
    int64_t registered_ms;
    int64_t heartbeat_ms; /* last */
};

struct subtask_snapshot {
    uint32_t index;
    struct attempt_id attempt; /* 0: none yet */
    uint32_t attempt_number;   /* 0 for the first */
    enum task_status status;
    bool is_drained;
    int64_t status_ms[TASK_STATUS_COUNT]; /* when the current attempt entered it */
    struct id128 task_manager;
    char *host;                  /* "" if none */
    struct task_metrics metrics; /* waits_for included */
};

struct vertex_snapshot {
    uint32_t vertex; /* index into the graph */
    struct subtask_snapshot *subtasks;
    uint32_t subtask_count;
};

struct exception_snapshot {
    int64_t wall_ms;
    enum status code;
    char *message; /* root cause first */
    char *record;  /* or NULL */
    char *task;    /* "lines -> counts (2/4)"; NULL: the job itself */
    char *host;    /* "" if none */
    struct attempt_id attempt;
};

struct job_snapshot {
    struct job_id id;
    const struct job_graph *graph;
    enum job_status status;
    int64_t status_ms[JOB_STATUS_COUNT]; /* when it was entered last */
    int64_t start_ms;
    int64_t end_ms; /* -1 while it lives */
    uint32_t slots_needed;
    uint32_t restart_count;
    int64_t restart_at_ms;            /* when a delayed restart is due; -1 */
    char *waits_for;                  /* "needs 4 slots, 2 are free"; NULL: nothing */
    struct vertex_snapshot *vertices; /* none of a job that ended before this process began */
    uint32_t vertex_count;
    struct exception_snapshot *exceptions; /* newest first */
    size_t exception_count;
    struct checkpoint_statistics checkpoints;
    struct job_options options;
};

struct cluster_snapshot {
    uint64_t leader_epoch;
    uint32_t slot_count;
    uint32_t free_slot_count;
    uint64_t stale_message_count;
    uint64_t duplicate_message_count;
    struct task_manager_snapshot *task_managers;
    size_t task_manager_count;
    struct job_snapshot
        *jobs; /* running first in order of submission, then finished, newest first */
    size_t job_count;
};

void core_snapshot(const struct core *core, struct cluster_snapshot *ret_snapshot);
void cluster_snapshot_done(struct cluster_snapshot *snapshot);

#endif
