/* The counters of a task: see task.h. */
#include "taskmanager/task/task_internal.h"

#define STATE_COUNT_EVERY_US 500000

static uint64_t value_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void count_state(struct task *task)
{
    if (task->keyed == NULL || task->keyed->ops->count == NULL ||
        task->turn_end_us - task->state_counted_us < STATE_COUNT_EVERY_US)
        return;
    uint64_t keys = 0;
    uint64_t bytes = 0;
    task->keyed->ops->count(task->keyed, &keys, &bytes);
    atomic_store_explicit(&task->state_keys, keys, memory_order_relaxed);
    atomic_store_explicit(&task->state_bytes, bytes, memory_order_relaxed);
    task->state_counted_us = task->turn_end_us;
}

void task_count_turn(struct task *task, int64_t start_us)
{
    task->turn_end_us = clock_now_us(task->config.clock);
    atomic_fetch_add_explicit(&task->busy_us, (uint64_t)(task->turn_end_us - start_us),
                              memory_order_relaxed);
    count_state(task);
}

void task_read_counters(const struct task *task, struct task_counters *ret_counters)
{
    struct task_counters counters = {
        .rows_in = value_of(&task->rows_in),
        .rows_out = value_of(&task->rows_out),
        .bytes_in = value_of(&task->bytes_in),
        .bytes_out = value_of(&task->bytes_out),
        .busy_us = value_of(&task->busy_us),
        .idle_us = value_of(&task->idle_us),
        .blocked_us = value_of(&task->blocked_us),
        .errors = value_of(&task->errors),
        .state_keys = value_of(&task->state_keys),
        .state_bytes = value_of(&task->state_bytes),
        .watermark_ms = atomic_load_explicit(&task->watermark_ms, memory_order_relaxed),
    };
    const uint32_t count = task->has_chain ? task->chain.operator_count : 0;
    for (uint32_t i = 0; i < count && i < TASK_COUNTERS_OPERATOR_MAX; i++) {
        counters.operator_rows_in[i] = value_of(&task->chain.operators[i].counters.rows_in);
        counters.operator_rows_out[i] = value_of(&task->chain.operators[i].counters.rows_out);
        counters.operator_count++;
    }
    *ret_counters = counters;
}
