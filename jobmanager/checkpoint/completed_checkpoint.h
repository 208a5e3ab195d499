/* A checkpoint of which every part is known: what _metadata holds. */
#ifndef JOBMANAGER_CHECKPOINT_COMPLETED_CHECKPOINT_H
#define JOBMANAGER_CHECKPOINT_COMPLETED_CHECKPOINT_H

#include "common/base/scoped.h"
#include "common/graph/source_split.h"
#include "common/graph/task_state.h"

struct completed_checkpoint {
    struct checkpoint_id id;
    bool is_final;       /* every task was drained */
    int64_t trigger_ms;  /* wall clock */
    int64_t complete_ms; /* wall clock */
    struct task_state *tasks;
    size_t task_count;
    struct source_state *sources;
    size_t source_count;
};

void completed_checkpoint_destroy(struct completed_checkpoint *checkpoint);
DEFINE_SCOPED(struct completed_checkpoint, completed_checkpoint_destroy)

/* Drops all that only a restore needs; the files stay known. */
void completed_checkpoint_trim(struct completed_checkpoint *checkpoint);
/* NULL: the checkpoint holds nothing of that subtask. */
const struct task_state *
completed_checkpoint_find_task(const struct completed_checkpoint *checkpoint, struct id128 vertex,
                               uint32_t subtask_index);
const struct source_state *
completed_checkpoint_find_source(const struct completed_checkpoint *checkpoint, const char *uid);

#endif
