/*
 * The watermark of a task: the minimum over its channels that are neither idle nor finished. It
 * never goes back. With all channels idle or finished it is the largest of the idle ones, so that
 * the order in which they fell silent does not matter; all finished gives WATERMARK_MAX only if
 * some channel said so, since the end of input is not the end of time.
 */
#ifndef TASKMANAGER_TASK_WATERMARKS_H
#define TASKMANAGER_TASK_WATERMARKS_H

#include "taskmanager/exchange/element.h"

enum channel_time { CHANNEL_ACTIVE, CHANNEL_IDLE, CHANNEL_FINISHED };

struct watermarks {
    uint32_t channel_count;
    int64_t *times_ms; /* last watermark of each, WATERMARK_NONE before the first */
    enum channel_time *states;
    int64_t combined_ms;
    bool is_idle; /* no channel is active, not all have finished */
};

void watermarks_init(struct watermarks *watermarks, uint32_t channel_count, int64_t restored_ms);
void watermarks_done(struct watermarks *watermarks);

/* What the task has to forward after a change: nothing, one or both. */
struct watermark_change {
    bool has_advanced; /* combined_ms is new */
    bool went_idle;
    bool went_active;
};

struct watermark_change watermarks_on_time(struct watermarks *watermarks, uint32_t channel,
                                           int64_t time_ms);
struct watermark_change watermarks_on_state(struct watermarks *watermarks, uint32_t channel,
                                            enum channel_time state);

#endif
