/*
 * Which channels a task may read while a checkpoint aligns: a pure state machine.
 *
 * A channel that delivered barrier n is not read until all channels have; a finished channel
 * counts as having delivered every barrier. Barrier n+1 aborts n. An abort releases and may come
 * before the barrier. Barriers below the floor are ignored.
 */
#ifndef TASKMANAGER_TASK_ALIGNER_H
#define TASKMANAGER_TASK_ALIGNER_H

#include "taskmanager/exchange/element.h"

struct aligner {
    uint32_t channel_count;
    uint32_t delivered_count; /* of the barrier being aligned, finished channels included */
    uint32_t finished_count;
    bool *delivered;
    bool *finished;
    uint64_t floor;         /* barriers with a smaller id are ignored */
    bool is_aligning;       /* some, not all, have delivered `barrier` */
    struct barrier barrier; /* the one being aligned, or the last completed */
    int64_t started_us;     /* its first delivery */
};

enum align {
    ALIGN_NOTHING,  /* ignored or still waiting: go on reading what is not blocked */
    ALIGN_COMPLETE, /* every channel has delivered aligner.barrier: take the snapshot */
};

void aligner_init(struct aligner *aligner, uint32_t channel_count, struct checkpoint_id floor);
void aligner_done(struct aligner *aligner);

/* *ret_aborted: the checkpoint that this barrier displaced, 0 if none. */
enum align aligner_on_barrier(struct aligner *aligner, uint32_t channel,
                              const struct barrier *barrier, int64_t now_us,
                              struct checkpoint_id *ret_aborted);
/* The channel has ended. */
enum align aligner_on_end(struct aligner *aligner, uint32_t channel);
/* The coordinator gave it up (and every earlier one). true: an alignment was released. */
bool aligner_on_abort(struct aligner *aligner, struct checkpoint_id id);
/* A snapshot was taken without barriers (all channels had ended, or a source). */
void aligner_pass(struct aligner *aligner, struct checkpoint_id id);

static inline bool aligner_is_blocked(const struct aligner *aligner, uint32_t channel)
{
    return aligner->is_aligning && aligner->delivered[channel];
}

static inline bool aligner_is_below_floor(const struct aligner *aligner, struct checkpoint_id id)
{
    return id.value < aligner->floor;
}

#endif
