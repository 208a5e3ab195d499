/* Timers per key group: see key_group_timers.h. */
#include "operators/windows/key_group_timers.h"

#include "common/base/allocate.h"

void key_group_timers_open(struct key_group_timers *timers, struct operator_env *env,
                           const uint32_t *key_columns)
{
    timers->env = env;
    timers->key_columns = key_columns;
    timers->is_set = allocate_array(env->max_parallelism / 64 + 1, sizeof(*timers->is_set));
    timers->end = INT64_MIN;
    key_batch_init(&timers->keys);
}

void key_group_timers_close(struct key_group_timers *timers)
{
    free(timers->is_set);
    key_batch_done(&timers->keys);
    *timers = (struct key_group_timers){0};
}

static void start(struct key_group_timers *timers, const struct batch *in, int64_t end)
{
    if (end != timers->end) {
        memset(timers->is_set, 0,
               (timers->env->max_parallelism / 64 + 1) * sizeof(*timers->is_set));
        timers->end = end;
        timers->set_count = 0;
    }
    key_batch_compute(&timers->keys, in, timers->key_columns, timers->env->spec->key_count);
    timers->next = 0;
    timers->is_busy = true;
}

enum step key_group_timers_set(struct key_group_timers *timers, const struct batch *in, int64_t end,
                               int64_t time_ms, struct error *err)
{
    const struct key_group_range range = timers->env->key_groups;
    if (!timers->is_busy && end == timers->end && timers->set_count == range.last - range.first + 1)
        return STEP_DONE;
    if (!timers->is_busy)
        start(timers, in, end);
    struct keyed_state *keyed = timers->env->keyed;
    for (; timers->next < timers->keys.count; timers->next++) {
        const uint32_t i = timers->next;
        const uint32_t group = key_group_of(timers->keys.hashes[i], timers->env->max_parallelism);
        const uint64_t bit = UINT64_C(1) << (group % 64);
        if ((timers->is_set[group / 64] & bit) != 0)
            continue;
        const struct timer timer = {
            .kind = TIMER_PROCESSING_TIME,
            .time_ms = time_ms,
            .key = timers->keys.bytes[i],
            .key_size = timers->keys.sizes[i],
            .hash = timers->keys.hashes[i],
            .name_space = "",
        };
        const enum step step = keyed->ops->set_timer(keyed, &timer, err);
        if (step != STEP_DONE)
            return step;
        timers->is_set[group / 64] |= bit;
        timers->set_count++;
    }
    timers->is_busy = false;
    return STEP_DONE;
}
