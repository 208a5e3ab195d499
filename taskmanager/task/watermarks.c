/* Minimum of the channels' watermarks. */
#include "taskmanager/task/watermarks.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

void watermarks_init(struct watermarks *watermarks, uint32_t channel_count, int64_t restored_ms)
{
    *watermarks = (struct watermarks){
        .channel_count = channel_count,
        .times_ms = allocate_array(channel_count + 1, sizeof(int64_t)),
        .states = allocate_array(channel_count + 1, sizeof(enum channel_time)),
        .combined_ms = restored_ms,
    };
    for (uint32_t i = 0; i < channel_count; i++)
        watermarks->times_ms[i] = WATERMARK_NONE;
}

void watermarks_done(struct watermarks *watermarks)
{
    free(watermarks->times_ms);
    free(watermarks->states);
    *watermarks = (struct watermarks){0};
}

static struct watermark_change combine(struct watermarks *watermarks)
{
    int64_t active_ms = WATERMARK_MAX;
    int64_t idle_ms = WATERMARK_NONE;
    int64_t finished_ms = WATERMARK_NONE;
    uint32_t active = 0;
    uint32_t finished = 0;
    for (uint32_t i = 0; i < watermarks->channel_count; i++) {
        const int64_t time_ms = watermarks->times_ms[i];
        if (watermarks->states[i] == CHANNEL_ACTIVE) {
            active++;
            if (time_ms < active_ms)
                active_ms = time_ms;
        } else if (watermarks->states[i] == CHANNEL_FINISHED) {
            finished++;
            if (time_ms > finished_ms)
                finished_ms = time_ms;
        } else if (time_ms > idle_ms) {
            idle_ms = time_ms;
        }
    }
    const bool all_finished = finished == watermarks->channel_count;
    const int64_t combined_ms = active > 0 ? active_ms : all_finished ? finished_ms : idle_ms;
    struct watermark_change change = {0};
    if (combined_ms > watermarks->combined_ms) {
        watermarks->combined_ms = combined_ms;
        change.has_advanced = true;
    }
    const bool is_idle = active == 0 && !all_finished;
    change.went_idle = is_idle && !watermarks->is_idle;
    change.went_active = !is_idle && watermarks->is_idle;
    watermarks->is_idle = is_idle;
    return change;
}

struct watermark_change watermarks_on_time(struct watermarks *watermarks, uint32_t channel,
                                           int64_t time_ms)
{
    CHECK(channel < watermarks->channel_count);
    if (time_ms > watermarks->times_ms[channel])
        watermarks->times_ms[channel] = time_ms;
    return combine(watermarks);
}

struct watermark_change watermarks_on_state(struct watermarks *watermarks, uint32_t channel,
                                            enum channel_time state)
{
    CHECK(channel < watermarks->channel_count);
    if (watermarks->states[channel] != CHANNEL_FINISHED)
        watermarks->states[channel] = state;
    return combine(watermarks);
}
