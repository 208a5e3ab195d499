/* Event time of a task: see task_time.h. */
#include "taskmanager/task/task_time.h"

#include "common/config/watermark_options.h"
#include "taskmanager/task/task_internal.h"

#include <string.h>

#define ENTRY_VERSION   1
#define ENTRY_FLAG_IDLE 1
#define OPTION_INTERVAL "pipeline.auto-watermark-interval"
#define INTERVAL_MS     200

/* ---- the entry ---- */

static void put_le(uint8_t *bytes, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t get_le(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

void task_time_snapshot(const struct task *task, const struct chain_operator *op,
                        struct snapshot_writer *writer)
{
    if (op->watermark_ms == WATERMARK_NONE ||
        (op->position != 0 && (op->ops->traits & OPERATOR_KEYED) == 0))
        return;
    const bool is_idle =
        task->source != NULL ? task->source->time.is_idle : task->watermarks.is_idle;
    uint8_t bytes[TASK_TIME_BYTES] = {ENTRY_VERSION, is_idle ? ENTRY_FLAG_IDLE : 0};
    put_le(bytes + 2, op->env.subtask_index, 4);
    put_le(bytes + 6, op->env.parallelism, 4);
    put_le(bytes + 10, (uint64_t)op->watermark_ms, 8);
    writer->put(writer, TASK_TIME_ENTRY, OPERATOR_STATE_UNION, bytes, sizeof(bytes));
}

enum status task_time_restored(const struct operator_state *state, uint32_t subtask_index,
                               uint32_t parallelism, int64_t *ret_watermark_ms, struct error *err)
{
    int64_t least_ms = WATERMARK_MAX;
    bool has_any = false;
    for (size_t i = 0; i < state->entry_count; i++) {
        const struct operator_state_entry *entry = &state->entries[i];
        if (strcmp(entry->name, TASK_TIME_ENTRY) != 0)
            continue;
        const uint8_t *bytes = (const uint8_t *)entry->bytes;
        if (entry->size != TASK_TIME_BYTES || bytes[0] != ENTRY_VERSION)
            return error_set(err, STATUS_CORRUPT,
                             "restore event time of %s: entry of %zu bytes, version %d", state->uid,
                             (size_t)entry->size, entry->size > 0 ? bytes[0] : -1);
        const int64_t watermark_ms = (int64_t)get_le(bytes + 10, 8);
        if (get_le(bytes + 2, 4) == subtask_index && get_le(bytes + 6, 4) == parallelism) {
            *ret_watermark_ms = watermark_ms;
            return STATUS_OK;
        }
        least_ms = watermark_ms < least_ms ? watermark_ms : least_ms;
        has_any = true;
    }
    *ret_watermark_ms = has_any ? least_ms : WATERMARK_NONE;
    return STATUS_OK;
}

static enum status restore_operator(const struct task *task, struct chain_operator *op,
                                    struct error *err)
{
    const struct task_state *state = task->deployment->state;
    for (size_t i = 0; state != NULL && i < state->operator_count; i++) {
        if (strcmp(state->operators[i].uid, op->env.spec->uid) == 0)
            return task_time_restored(&state->operators[i], op->env.subtask_index,
                                      op->env.parallelism, &op->watermark_ms, err);
    }
    return STATUS_OK;
}

/* ---- start ---- */

static enum status read_interval(const struct task *task, int64_t *ret_ms, struct error *err)
{
    *ret_ms = INTERVAL_MS;
    const char *text = job_graph_config(task->config.graph, OPTION_INTERVAL);
    if (text != NULL && parse_duration_ms(text, OPTION_UNITS_OPTIONAL, ret_ms, err) != STATUS_OK)
        return error_wrap(err, STATUS_INVALID, "%s", OPTION_INTERVAL);
    return STATUS_OK;
}

static enum status init_source(struct task *task, const struct operator_spec *spec,
                               struct error *err)
{
    if (task->source == NULL || task->source->time.is_on)
        return error_set(err, STATUS_INVALID, "%s: a watermark operator away from its source",
                         spec->name);
    struct option_value values[WATERMARK_OPTION_COUNT];
    TRY(options_from_settings(watermark_options, spec->settings, spec->setting_count,
                              WATERMARK_SETTING_PREFIX, values, err));
    int64_t interval_ms = 0;
    TRY(read_interval(task, &interval_ms, err));
    const struct source_time_options options = {
        .delay_ms = values[WATERMARK_DELAY].integer,
        .idle_us = values[WATERMARK_IDLE].integer * 1000,
        .interval_us = interval_ms * 1000,
        .max_drift_ms = values[WATERMARK_ALIGN].is_set ? values[WATERMARK_MAX_DRIFT].integer : 0,
    };
    atomic_store_explicit(&task->is_time_aligned, options.max_drift_ms > 0, memory_order_relaxed);
    source_time_init(&task->source->time, &options, task->chain.operators[0].watermark_ms,
                     clock_now_us(task->config.clock));
    return STATUS_OK;
}

enum status task_time_build(struct task *task, struct error *err)
{
    for (uint32_t i = 0; i < task->chain.operator_count; i++)
        TRY(restore_operator(task, &task->chain.operators[i], err));
    for (uint32_t i = 0; i < task->chain.operator_count; i++) {
        const struct operator_spec *spec = task->chain.operators[i].env.spec;
        if (strcmp(spec->kind, WATERMARK_OPERATOR) == 0)
            TRY(init_source(task, spec, err));
    }
    return STATUS_OK;
}

void task_time_start(struct task *task)
{
    const int64_t restored_ms = task->watermarks.combined_ms;
    if (task->source != NULL || restored_ms == WATERMARK_NONE)
        return; /* a source's first pass says it */
    atomic_store_explicit(&task->watermark_ms, restored_ms, memory_order_relaxed);
    task_add_pending(task,
                     (struct element){.kind = ELEMENT_WATERMARK, .watermark_ms = restored_ms});
}

int64_t task_next_timer_ms(const struct task *task)
{
    int64_t next_ms = INT64_MAX;
    for (uint32_t i = 0; task->keyed != NULL && i < task->chain.operator_count; i++) {
        const struct keyed_state *keyed = task->chain.operators[i].env.keyed;
        if (keyed == NULL)
            continue;
        const int64_t time_ms = task->keyed->ops->next_timer_ms(keyed, TIMER_PROCESSING_TIME);
        next_ms = time_ms < next_ms ? time_ms : next_ms;
    }
    return next_ms;
}
