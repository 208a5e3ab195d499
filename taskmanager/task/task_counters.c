/* The counters of a task and whose they are: see task.h. */
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

static void copy_counter(_Atomic uint64_t *to, const _Atomic uint64_t *from)
{
    atomic_store_explicit(to, value_of(from), memory_order_relaxed);
}

static void sum_late(struct task *task)
{
    uint64_t dropped = 0;
    uint64_t buckets[LATE_BUCKET_COUNT] = {0};
    for (uint32_t i = 0; i < task->chain.operator_count; i++) {
        const struct late_counters *late = &task->chain.operators[i].late;
        dropped += value_of(&late->dropped);
        for (unsigned b = 0; b < LATE_BUCKET_COUNT; b++)
            buckets[b] += value_of(&late->buckets[b]);
    }
    atomic_store_explicit(&task->late.dropped, dropped, memory_order_relaxed);
    for (unsigned b = 0; b < LATE_BUCKET_COUNT; b++)
        atomic_store_explicit(&task->late.buckets[b], buckets[b], memory_order_relaxed);
}

/* Into the task: the chain is built and freed by the worker while others read. */
void task_sum_counters(struct task *task)
{
    uint64_t rows = 0;
    uint64_t bytes = 0;
    uint64_t errors = 0;
    const uint32_t count = task->chain.operator_count;
    for (uint32_t i = 0; i < count; i++) {
        const struct chain_operator *op = &task->chain.operators[i];
        errors += value_of(&op->counters.errors);
        if (i < TASK_COUNTERS_OPERATOR_MAX) {
            copy_counter(&task->operator_rows_in[i], &op->counters.rows_in);
            copy_counter(&task->operator_rows_out[i], &op->counters.rows_out);
        }
        for (uint32_t j = 0; j < op->output_count; j++) {
            for (uint32_t k = 0; k < op->outputs[j].partitioner_count; k++) {
                rows += partitioner_rows(op->outputs[j].partitioners[k]);
                bytes += partitioner_bytes(op->outputs[j].partitioners[k]);
            }
        }
    }
    const uint32_t shown = count < TASK_COUNTERS_OPERATOR_MAX ? count : TASK_COUNTERS_OPERATOR_MAX;
    atomic_store_explicit(&task->operator_count, shown, memory_order_relaxed);
    atomic_store_explicit(&task->rows_out, rows, memory_order_relaxed);
    atomic_store_explicit(&task->bytes_out, bytes, memory_order_relaxed);
    atomic_store_explicit(&task->errors, errors, memory_order_relaxed);
    uint64_t lag = 0;
    if (task->source != NULL && source_driver_lag(task->source, &lag)) {
        atomic_store_explicit(&task->records_lag_max, lag, memory_order_relaxed);
        atomic_store_explicit(&task->has_lag, true, memory_order_relaxed);
    }
    sum_late(task);
}

void task_count_turn(struct task *task, int64_t start_us)
{
    task->turn_end_us = clock_now_us(task->config.clock);
    atomic_fetch_add_explicit(&task->busy_us, (uint64_t)(task->turn_end_us - start_us),
                              memory_order_relaxed);
    count_state(task);
}

void task_on_waits_for(void *context, const char *reason)
{
    struct task *task = context;
    shared_text_write(&task->waits_for, reason);
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
        .late = value_of(&task->late.dropped),
        .state_keys = value_of(&task->state_keys),
        .state_bytes = value_of(&task->state_bytes),
        .watermark_ms = atomic_load_explicit(&task->watermark_ms, memory_order_relaxed),
        .is_time_aligned = atomic_load_explicit(&task->is_time_aligned, memory_order_relaxed),
        .records_lag_max = value_of(&task->records_lag_max),
        .has_lag = atomic_load_explicit(&task->has_lag, memory_order_relaxed),
        .is_time_idle = atomic_load_explicit(&task->is_time_idle, memory_order_relaxed),
    };
    counters.operator_count = atomic_load_explicit(&task->operator_count, memory_order_relaxed);
    for (uint32_t i = 0; i < counters.operator_count; i++) {
        counters.operator_rows_in[i] = value_of(&task->operator_rows_in[i]);
        counters.operator_rows_out[i] = value_of(&task->operator_rows_out[i]);
    }
    shared_text_read(&task->waits_for, counters.waits_for);
    for (unsigned b = 0; b < LATE_BUCKET_COUNT; b++)
        counters.late_buckets[b] = value_of(&task->late.buckets[b]);
    *ret_counters = counters;
}

struct job_id task_job(const struct task *task)
{
    return task->deployment->job;
}

struct attempt_id task_attempt(const struct task *task)
{
    return task->deployment->attempt;
}
