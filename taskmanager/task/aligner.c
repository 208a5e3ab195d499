/* Barrier alignment; see the header for the rules. */
#include "taskmanager/task/aligner.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

void aligner_init(struct aligner *aligner, uint32_t channel_count, struct checkpoint_id floor)
{
    *aligner = (struct aligner){
        .channel_count = channel_count,
        .delivered = allocate_array(channel_count + 1, sizeof(bool)),
        .finished = allocate_array(channel_count + 1, sizeof(bool)),
        .floor = floor.value,
    };
}

void aligner_done(struct aligner *aligner)
{
    free(aligner->delivered);
    free(aligner->finished);
    *aligner = (struct aligner){0};
}

static enum align check_complete(struct aligner *aligner)
{
    if (aligner->delivered_count < aligner->channel_count)
        return ALIGN_NOTHING;
    aligner->is_aligning = false;
    aligner->floor = aligner->barrier.id.value + 1;
    return ALIGN_COMPLETE;
}

enum align aligner_on_barrier(struct aligner *aligner, uint32_t channel,
                              const struct barrier *barrier, int64_t now_us,
                              struct checkpoint_id *ret_aborted)
{
    CHECK(channel < aligner->channel_count);
    *ret_aborted = (struct checkpoint_id){0};
    if (barrier->id.value < aligner->floor || aligner->finished[channel])
        return ALIGN_NOTHING;
    if (!aligner->is_aligning || barrier->id.value != aligner->barrier.id.value) {
        if (aligner->is_aligning)
            *ret_aborted = aligner->barrier.id;
        aligner->is_aligning = true;
        aligner->barrier = *barrier;
        aligner->floor = barrier->id.value;
        aligner->started_us = now_us;
        memcpy(aligner->delivered, aligner->finished, aligner->channel_count * sizeof(bool));
        aligner->delivered_count = aligner->finished_count;
    }
    if (!aligner->delivered[channel]) {
        aligner->delivered[channel] = true;
        aligner->delivered_count++;
    }
    return check_complete(aligner);
}

enum align aligner_on_end(struct aligner *aligner, uint32_t channel)
{
    CHECK(channel < aligner->channel_count && !aligner->finished[channel]);
    aligner->finished[channel] = true;
    aligner->finished_count++;
    if (!aligner->is_aligning)
        return ALIGN_NOTHING;
    CHECK(!aligner->delivered[channel]);
    aligner->delivered[channel] = true;
    aligner->delivered_count++;
    return check_complete(aligner);
}

bool aligner_on_abort(struct aligner *aligner, struct checkpoint_id id)
{
    if (id.value < aligner->floor)
        return false;
    aligner->floor = id.value + 1;
    const bool was_aligning = aligner->is_aligning && aligner->barrier.id.value <= id.value;
    if (was_aligning)
        aligner->is_aligning = false;
    return was_aligning;
}

void aligner_pass(struct aligner *aligner, struct checkpoint_id id)
{
    if (id.value >= aligner->floor)
        aligner->floor = id.value + 1;
    if (aligner->is_aligning && aligner->barrier.id.value <= id.value)
        aligner->is_aligning = false;
}
