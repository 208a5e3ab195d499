/* What enters a task: elements of its channels, or batches of its source. */
#include "common/base/check.h"
#include "taskmanager/task/task_internal.h"

void task_add_pending(struct task *task, struct element element)
{
    CHECK(task->pending_count < TASK_PENDING_MAX);
    task->pending[task->pending_count++] = element;
}

static void add_change(struct task *task, struct watermark_change change, int64_t watermark_ms)
{
    if (change.went_active || change.went_idle)
        atomic_store_explicit(&task->is_time_idle, change.went_idle, memory_order_relaxed);
    if (change.went_active)
        task_add_pending(task, (struct element){.kind = ELEMENT_ACTIVE});
    if (change.has_advanced)
        task_add_pending(task,
                         (struct element){.kind = ELEMENT_WATERMARK, .watermark_ms = watermark_ms});
    if (change.went_idle)
        task_add_pending(task, (struct element){.kind = ELEMENT_IDLE});
}

static void note_change(struct task *task, struct watermark_change change)
{
    if (change.has_advanced)
        atomic_store_explicit(&task->watermark_ms, task->watermarks.combined_ms,
                              memory_order_relaxed);
    add_change(task, change, task->watermarks.combined_ms);
}

static void note_barrier(struct task *task)
{
    task_add_pending(task,
                     (struct element){.kind = ELEMENT_BARRIER, .barrier = task->aligner.barrier});
}

static void on_barrier(struct task *task, uint32_t channel, const struct barrier *barrier)
{
    struct checkpoint_id aborted;
    const enum align align =
        aligner_on_barrier(&task->aligner, channel, barrier, task->now_us, &aborted);
    if (aborted.value != 0)
        task_decline(task, aborted, "the barrier of a later checkpoint came first");
    if (align == ALIGN_COMPLETE)
        note_barrier(task);
}

static void on_end(struct task *task, uint32_t channel)
{
    task->inputs[channel].has_ended = true;
    task->ended_count++;
    note_change(task, watermarks_on_state(&task->watermarks, channel, CHANNEL_FINISHED));
    if (aligner_on_end(&task->aligner, channel) == ALIGN_COMPLETE)
        note_barrier(task);
    if (task->ended_count == task->input_count)
        task_add_pending(task, (struct element){.kind = ELEMENT_END});
}

static void take_batch(struct task *task, uint32_t channel, struct batch *batch)
{
    atomic_fetch_add_explicit(&task->rows_in, batch_selected(batch), memory_order_relaxed);
    atomic_fetch_add_explicit(&task->bytes_in, batch_byte_size(batch), memory_order_relaxed);
    chain_push(&task->chain, task->inputs[channel].input, batch);
}

/* true: a batch entered the chain or something is pending. */
static bool take_element(struct task *task, uint32_t channel, const struct element *element)
{
    switch (element->kind) {
    case ELEMENT_BATCH:
        take_batch(task, channel, element->batch);
        return true;
    case ELEMENT_WATERMARK:
        note_change(task, watermarks_on_time(&task->watermarks, channel, element->watermark_ms));
        break;
    case ELEMENT_IDLE:
        note_change(task, watermarks_on_state(&task->watermarks, channel, CHANNEL_IDLE));
        break;
    case ELEMENT_ACTIVE:
        note_change(task, watermarks_on_state(&task->watermarks, channel, CHANNEL_ACTIVE));
        break;
    case ELEMENT_BARRIER:
        on_barrier(task, channel, &element->barrier);
        break;
    case ELEMENT_END:
        on_end(task, channel);
        break;
    case ELEMENT_LATENCY:
        task_add_pending(task, *element);
        break;
    }
    return task->pending_count > 0;
}

enum task_poll task_poll_inputs(struct task *task, struct error *err)
{
    for (uint32_t i = 0; i < task->input_count; i++) {
        const uint32_t channel = task->input_next;
        task->input_next = channel + 1 == task->input_count ? 0 : channel + 1;
        struct task_input *input = &task->inputs[channel];
        struct element element;
        while (!input->has_ended && !aligner_is_blocked(&task->aligner, channel)) {
            const enum take take = input->channel->ops->take(input->channel, &element, err);
            if (take == TAKE_FAILED) {
                task->lost_peer = input->channel->failed_peer;
                return TASK_POLL_FAILED;
            }
            if (take == TAKE_EMPTY)
                break;
            if (take_element(task, channel, &element))
                return TASK_POLL_STARTED;
        }
    }
    return TASK_POLL_NOTHING;
}

void task_on_event_time(void *context, uint32_t split, int64_t max_ms)
{
    struct task *task = context;
    if (task->source != NULL)
        source_time_on_rows(&task->source->time, split, max_ms);
}

static void pass_time(struct task *task)
{
    struct source_driver *source = task->source;
    if (!source_time_is_due(&source->time, task->now_us))
        return;
    const struct watermark_change change =
        source_driver_pass_time(source, task->now_us, task->held_us);
    add_change(task, change, source->time.sent_ms);
    task->held_us = 0;
}

enum task_poll task_poll_source(struct task *task, struct error *err)
{
    if (task->source->is_finished)
        return TASK_POLL_NOTHING;
    pass_time(task);
    if (task->pending_count > 0)
        return TASK_POLL_STARTED;
    struct batch *batch = NULL;
    struct chain_operator *op = &task->chain.operators[0];
    const enum source_poll poll = source_driver_poll(task->source, &op->emitter, &batch, err);
    (void)chain_flush_errors(op);
    switch (poll) {
    case SOURCE_BATCH:
        atomic_fetch_add_explicit(&task->rows_in, batch_selected(batch), memory_order_relaxed);
        atomic_fetch_add_explicit(&task->bytes_in, batch_byte_size(batch), memory_order_relaxed);
        chain_push_from_source(&task->chain, batch);
        return TASK_POLL_STARTED;
    case SOURCE_IDLE:
        return TASK_POLL_NOTHING;
    case SOURCE_AGAIN:
        return TASK_POLL_AGAIN;
    case SOURCE_WANTS_SPLITS: {
        struct task_event event;
        task_event_init(task, &event, TASK_EVENT_WANTS_SPLITS);
        event.operator_index = task->vertex->operators[0];
        task_emit(task, &event);
        return TASK_POLL_NOTHING;
    }
    case SOURCE_FINISHED:
        task_add_pending(
            task, (struct element){.kind = ELEMENT_WATERMARK, .watermark_ms = WATERMARK_MAX});
        task_add_pending(task, (struct element){.kind = ELEMENT_END});
        return TASK_POLL_STARTED;
    case SOURCE_FAILED:
        (void)error_wrap(err, err->code, "%s", op->env.spec->name);
        return TASK_POLL_FAILED;
    }
    UNREACHABLE();
}
