/*
 * Processing-time timers of an operator whose windows are the same for all keys: one per window and
 * key group, so that each key group takes its timers along when the parallelism changes.
 */
#ifndef OPERATORS_WINDOWS_KEY_GROUP_TIMERS_H
#define OPERATORS_WINDOWS_KEY_GROUP_TIMERS_H

#include "common/api/operator.h"

struct key_group_timers {
    struct operator_env *env;
    const uint32_t *key_columns; /* borrowed, of the input */
    uint64_t *is_set;            /* bit per key group, for the window that ends at `end` */
    int64_t end;
    uint32_t set_count;
    /* The batch at work. */
    bool is_busy;
    uint32_t next;
    struct key_batch keys;
};

void key_group_timers_open(struct key_group_timers *timers, struct operator_env *env,
                           const uint32_t *key_columns);
void key_group_timers_close(struct key_group_timers *timers);
/* Makes sure that the key groups of the batch have a timer at time_ms for the window. Resumable. */
enum step key_group_timers_set(struct key_group_timers *timers, const struct batch *in, int64_t end,
                               int64_t time_ms, struct error *err);

#endif
