/* What is remembered of a job's checkpoints for REST and CLI. */
#ifndef JOBMANAGER_CHECKPOINT_STATISTICS_H
#define JOBMANAGER_CHECKPOINT_STATISTICS_H

#include "common/base/ids.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKPOINT_HISTORY_MAX 20

enum checkpoint_outcome { CHECKPOINT_IN_PROGRESS, CHECKPOINT_COMPLETED, CHECKPOINT_FAILED };

/* What one task's acknowledgement said. */
struct checkpoint_task_figures {
    int64_t ack_ms; /* wall clock; 0: not acknowledged */
    uint64_t state_bytes;
    uint64_t uploaded_bytes;
    int64_t align_ms;
    int64_t pause_us;
    int64_t async_ms;
};

/* Of all tasks, in the order of the job's tasks; shared by the copies of a record (one thread). */
struct checkpoint_figures {
    uint32_t references;
    struct checkpoint_task_figures tasks[];
};

struct checkpoint_record {
    struct checkpoint_id id;
    enum checkpoint_outcome outcome;
    bool is_final;
    int64_t trigger_ms; /* wall clock */
    int64_t end_ms;     /* -1 while in progress */
    int64_t latest_ack_ms;
    uint32_t task_count;
    uint32_t acknowledged_count;
    uint64_t state_bytes;    /* everything the checkpoint refers to */
    uint64_t uploaded_bytes; /* new in it */
    uint64_t key_count;
    int64_t align_ms_max;
    int64_t pause_us_max;
    int64_t async_ms_max;
    bool is_discarded;                  /* complete, but no longer retained */
    char *failure;                      /* why it failed; NULL */
    char *path;                         /* "<job>/chk-<n>", once complete; NULL */
    struct checkpoint_figures *figures; /* task_count of them */
};

struct checkpoint_statistics {
    uint64_t triggered_count;
    uint64_t completed_count;
    uint64_t failed_count;
    uint64_t restored_count;
    uint64_t late_ack_count; /* of checkpoints that had ended */
    uint64_t duplicate_ack_count;
    uint64_t stale_ack_count;      /* of attempts that are not current */
    struct checkpoint_id restored; /* last restored from; 0: none */
    int64_t restored_ms;
    struct checkpoint_record history[CHECKPOINT_HISTORY_MAX]; /* newest first */
    size_t history_count;
    struct checkpoint_record latest_completed; /* id 0: none */
    struct checkpoint_record latest_failed;    /* id 0: none */
};

void checkpoint_statistics_copy(struct checkpoint_statistics *to,
                                const struct checkpoint_statistics *from);
void checkpoint_statistics_done(struct checkpoint_statistics *statistics);

/* A new record at the front; the oldest goes. */
struct checkpoint_record *checkpoint_statistics_begin(struct checkpoint_statistics *statistics,
                                                      struct checkpoint_id id, uint32_t task_count);
struct checkpoint_record *checkpoint_statistics_find(struct checkpoint_statistics *statistics,
                                                     struct checkpoint_id id);
/* Counts the outcome and keeps a copy as the latest of its kind. failure: copied, or NULL. */
void checkpoint_statistics_end(struct checkpoint_statistics *statistics, struct checkpoint_id id,
                               enum checkpoint_outcome outcome, const char *failure,
                               int64_t wall_ms);

#endif
