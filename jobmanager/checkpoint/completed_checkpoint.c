/* Completed checkpoints. */
#include "jobmanager/checkpoint/completed_checkpoint.h"

#include "common/base/allocate.h"

#include <string.h>

static void release_sources(struct completed_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->source_count; i++)
        source_state_done(&checkpoint->sources[i]);
    free(checkpoint->sources);
    checkpoint->sources = NULL;
    checkpoint->source_count = 0;
}

void completed_checkpoint_destroy(struct completed_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    for (size_t i = 0; i < checkpoint->task_count; i++)
        task_state_done(&checkpoint->tasks[i]);
    free(checkpoint->tasks);
    release_sources(checkpoint);
    free(checkpoint);
}

void completed_checkpoint_trim(struct completed_checkpoint *checkpoint)
{
    release_sources(checkpoint);
    for (size_t i = 0; i < checkpoint->task_count; i++) {
        struct task_state *state = &checkpoint->tasks[i];
        struct task_state kept = *state;
        kept.operators = NULL;
        kept.operator_count = 0;
        kept.keyed = (struct keyed_state_handle){0};
        const struct keyed_state_handle keyed = state->keyed;
        state->keyed = (struct keyed_state_handle){0};
        task_state_done(state); /* the operators; the files move over */
        *state = kept;
        state->keyed = keyed;
    }
}

const struct task_state *
completed_checkpoint_find_task(const struct completed_checkpoint *checkpoint, struct id128 vertex,
                               uint32_t subtask_index)
{
    for (size_t i = 0; i < checkpoint->task_count; i++) {
        const struct task_state *state = &checkpoint->tasks[i];
        if (state->subtask_index == subtask_index && id128_equals(state->vertex, vertex))
            return state;
    }
    return NULL;
}

const struct source_state *
completed_checkpoint_find_source(const struct completed_checkpoint *checkpoint, const char *uid)
{
    for (size_t i = 0; i < checkpoint->source_count; i++)
        if (strcmp(checkpoint->sources[i].uid, uid) == 0)
            return &checkpoint->sources[i];
    return NULL;
}
