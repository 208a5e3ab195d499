/*
 * The checkpoints of one job: at most one in progress, a few completed ones retained.
 *
 * It keeps the books and decides what an acknowledgement means; the job master sends the messages
 * and writes the files. The order of durability: every task's files, then _metadata, then the
 * pointer in the job store, and only then "complete" (coordinator_complete). A checkpoint whose
 * pointer is being stored can no longer be aborted: whether it is complete, the store decides.
 */
#ifndef JOBMANAGER_CHECKPOINT_COORDINATOR_H
#define JOBMANAGER_CHECKPOINT_COORDINATOR_H

#include "common/base/status.h"
#include "jobmanager/checkpoint/completed_checkpoint.h"
#include "jobmanager/checkpoint/file_registry.h"
#include "jobmanager/checkpoint/statistics.h"

enum pending_phase {
    PENDING_COLLECTING, /* acknowledgements are awaited */
    PENDING_WRITING,    /* _metadata is being written */
    PENDING_STORING,    /* the pointer is being stored */
};

struct pending_task {
    struct attempt_id attempt;
    bool is_acknowledged;
};

struct pending_checkpoint {
    enum pending_phase phase;
    int64_t started_ms;         /* monotonic */
    struct pending_task *tasks; /* in the order of the job's tasks */
    size_t task_count;
    size_t acknowledged_count;
    struct completed_checkpoint *content; /* grows with the acknowledgements */
};

struct coordinator {
    uint32_t retain_count;
    struct pending_checkpoint *pending;     /* NULL: none */
    struct completed_checkpoint **retained; /* oldest first */
    size_t retained_count;
    size_t retained_capacity;
    struct file_registry registry;  /* shared files of the retained ones */
    struct file_registry discarded; /* deleted files of attempts that live: never to come back */
    struct checkpoint_statistics statistics;
};

void coordinator_init(struct coordinator *coordinator, uint32_t retain_count);
void coordinator_done(struct coordinator *coordinator);

/* The newest completed one; NULL: none. */
const struct completed_checkpoint *coordinator_newest(const struct coordinator *coordinator);
struct checkpoint_id coordinator_newest_id(const struct coordinator *coordinator);

/* Takes a checkpoint that the store names, oldest first: at recovery. */
void coordinator_adopt(struct coordinator *coordinator, struct completed_checkpoint *checkpoint);

/* Starts one; none may be in progress. attempts: of all tasks, copied. sources: taken. */
void coordinator_begin(struct coordinator *coordinator, struct checkpoint_id id, bool is_final,
                       const struct attempt_id *attempts, size_t task_count,
                       struct source_state *sources, size_t source_count, int64_t now_ms,
                       int64_t wall_ms);

enum acknowledge_result {
    ACKNOWLEDGE_RECORDED,
    ACKNOWLEDGE_ALL,       /* and it was the last: write _metadata */
    ACKNOWLEDGE_DUPLICATE, /* ignored */
    ACKNOWLEDGE_STALE,     /* of an attempt that is not part of it: ignored, nothing is deleted */
    ACKNOWLEDGE_LATE,      /* the checkpoint has ended: its files are listed for deletion */
    ACKNOWLEDGE_INVALID,   /* err says which file may not be referenced: decline */
};

/* task_index: of the current task that has this attempt. state: taken. */
enum acknowledge_result coordinator_acknowledge(struct coordinator *coordinator,
                                                struct checkpoint_id id, size_t task_index,
                                                struct attempt_id attempt, struct task_state *state,
                                                int64_t wall_ms, struct path_list *ret_delete,
                                                struct error *err);

/* Ends the checkpoint in progress without result. Not while PENDING_STORING. Lists the shared files
 * to delete; the directory chk-<n> goes as a whole. */
void coordinator_abort(struct coordinator *coordinator, const char *reason, int64_t wall_ms,
                       struct path_list *ret_delete);

/* The pointer is durable. Lists the shared files and the ids of checkpoints that are not retained
 * any longer: the same write has dropped them. */
void coordinator_complete(struct coordinator *coordinator, int64_t wall_ms,
                          struct path_list *ret_delete);

/* What the job store must name now, newest last, the pending one included while it is stored. At
 * most `max` ids; returns their number. */
size_t coordinator_list_ids(const struct coordinator *coordinator, uint64_t *ret_ids, size_t max);

#endif
