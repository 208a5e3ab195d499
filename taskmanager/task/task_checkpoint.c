/* Snapshots of a task: the part at the barrier, and the acknowledgement when it is durable. */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "taskmanager/task/task_internal.h"
#include "taskmanager/task/task_time.h"

#include <string.h>

/* Collects the entries of one operator. */
struct entry_writer {
    struct snapshot_writer writer; /* first */
    struct operator_state *to;
    size_t capacity;
};

static void put_entry(struct snapshot_writer *writer, const char *name,
                      enum operator_state_kind kind, const void *bytes, size_t size)
{
    struct entry_writer *entries = (struct entry_writer *)writer;
    struct operator_state *to = entries->to;
    array_push(to->entries, to->entry_count, entries->capacity) = (struct operator_state_entry){
        .name = copy_text(name),
        .kind = (uint8_t)kind,
        .bytes = copy_memory(bytes, size),
        .size = size,
    };
}

static struct task_state *create_state(const struct task *task, bool is_finished)
{
    struct task_state *state = allocate(sizeof(*state));
    *state = (struct task_state){
        .vertex = task->vertex->id,
        .subtask_index = task->deployment->subtask_index,
        .attempt = task->deployment->attempt,
        .operators = allocate_array(task->chain.operator_count, sizeof(struct operator_state)),
        .operator_count = task->chain.operator_count,
        .is_finished = is_finished,
    };
    state->keyed.key_groups = task->chain.operators[0].env.key_groups;
    return state;
}

static enum status snapshot_operators(struct task *task, struct checkpoint_id id,
                                      struct task_state *state, struct error *err)
{
    for (uint32_t i = 0; i < task->chain.operator_count; i++) {
        struct chain_operator *op = &task->chain.operators[i];
        struct operator_state *to = &state->operators[i];
        to->uid = copy_text(op->env.spec->uid);
        struct entry_writer writer = {.writer = {.put = put_entry}, .to = to};
        task_time_snapshot(task, op, &writer.writer);
        if (op->ops->snapshot == NULL)
            continue;
        const enum status status = op->ops->snapshot(op->self, id, &writer.writer, err);
        if (status != STATUS_OK)
            return error_wrap(err, status, "%s: snapshot of checkpoint %llu", op->env.spec->name,
                              (unsigned long long)id.value);
    }
    return STATUS_OK;
}

static void destroy_state(struct task_state *state)
{
    if (state != NULL)
        task_state_done(state);
    free(state);
}

static void acknowledge(struct task *task, struct checkpoint_id id, struct task_state *state)
{
    struct task_event event;
    task_event_init(task, &event, TASK_EVENT_ACKNOWLEDGE);
    event.id = id;
    event.state = &state;
    task_emit(task, &event);
    destroy_state(state);
}

void task_decline(struct task *task, struct checkpoint_id id, const char *reason)
{
    struct task_event event;
    task_event_init(task, &event, TASK_EVENT_DECLINE);
    event.id = id;
    event.reason = reason;
    task_emit(task, &event);
}

static void drop_snapshot(struct task *task)
{
    destroy_state(task->snapshot);
    task->snapshot = NULL;
}

void task_poll_snapshot(struct task *task)
{
    struct keyed_snapshot ended;
    if (task->snapshot == NULL || !task->keyed->ops->poll_snapshot(task->keyed, &ended))
        return;
    CHECK(ended.id.value == task->snapshot_id.value);
    if (ended.status != STATUS_OK) {
        drop_snapshot(task);
        task_decline(task, ended.id, ended.error.message);
        return;
    }
    struct task_state *state = take_pointer(&task->snapshot);
    state->keyed = ended.handle;
    state->uploaded_bytes = ended.uploaded_bytes;
    state->async_ms = (task->now_us - task->snapshot_us) / 1000;
    acknowledge(task, ended.id, state);
}

void task_abort_snapshot(struct task *task)
{
    if (task->snapshot == NULL)
        return;
    task->keyed->ops->abort_snapshot(task->keyed, task->snapshot_id);
    drop_snapshot(task);
}

enum status task_snapshot(struct task *task, const struct barrier *barrier, bool is_finished,
                          struct error *err)
{
    const struct clock *clock = task->config.clock;
    const int64_t started_us = clock_now_us(clock);
    struct task_state *state = create_state(task, is_finished);
    if (task->input_count > 0 && task->aligner.barrier.id.value == barrier->id.value)
        state->align_ms = (started_us - task->aligner.started_us) / 1000;
    const enum status status = snapshot_operators(task, barrier->id, state, err);
    if (status != STATUS_OK) {
        destroy_state(state);
        return status;
    }
    if (task->keyed == NULL) {
        state->pause_us = clock_now_us(clock) - started_us;
        acknowledge(task, barrier->id, state);
        return STATUS_OK;
    }
    if (task->snapshot != NULL) {
        task_abort_snapshot(task);
        task_decline(task, task->snapshot_id, "a later checkpoint began before it was durable");
    }
    const enum status begun = task->keyed->ops->begin_snapshot(task->keyed, barrier, err);
    if (begun != STATUS_OK) {
        destroy_state(state);
        return begun;
    }
    state->pause_us = clock_now_us(clock) - started_us;
    task->snapshot = state;
    task->snapshot_id = barrier->id;
    task->snapshot_us = started_us;
    return STATUS_OK;
}

enum status task_on_barrier(void *context, const struct barrier *barrier, struct error *err)
{
    struct task *task = context;
    if (task->trigger.id.value <= barrier->id.value)
        task->trigger.id.value = 0;
    aligner_pass(&task->aligner, barrier->id);
    if (barrier->id.value <= task->aborted)
        return STATUS_OK; /* given up meanwhile; those downstream learn it from the coordinator */
    return task_snapshot(task, barrier, false, err);
}

void task_on_trigger(struct task *task, const struct barrier *barrier)
{
    const struct checkpoint_id id = barrier->id;
    if (id.value <= task->aborted)
        return;
    if (aligner_is_below_floor(&task->aligner, id)) {
        /* Its barrier may have come before the trigger: then it is acknowledged already. */
        if (task->source != NULL)
            task_decline(task, id, "a later checkpoint has passed this source");
        return;
    }
    if (task->trigger.id.value != 0 && task->trigger.id.value < id.value && task->source != NULL)
        task_decline(task, task->trigger.id, "a later checkpoint was triggered before it began");
    task->trigger = *barrier;
}

void task_on_abort(struct task *task, struct checkpoint_id id)
{
    if (id.value <= task->aborted)
        return;
    task->aborted = id.value;
    if (task->trigger.id.value <= id.value)
        task->trigger.id.value = 0;
    if (task->stage >= STAGE_RECOVERING && task->stage <= STAGE_DRAINED) {
        (void)aligner_on_abort(&task->aligner, id);
        for (uint32_t i = 0; i < task->chain.operator_count; i++) {
            struct chain_operator *op = &task->chain.operators[i];
            if (op->ops->checkpoint_aborted != NULL)
                op->ops->checkpoint_aborted(op->self, id);
        }
        if (task->snapshot_id.value <= id.value)
            task_abort_snapshot(task);
    } else if (task->has_chain) {
        (void)aligner_on_abort(&task->aligner, id);
    }
}
