/*
 * A model of tasks: sources that read splits, keyed sums that align barriers and keep their state
 * in files, increments shared between checkpoints.
 */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

#define BATCH_RECORDS  3
#define CHANNEL_MAX    24
#define FILE_MAX       4
#define REMEMBERED_MAX 8

struct sim_split {
    char *id;
    uint32_t position;
};

/* What an acknowledged checkpoint held: files and the sums they add up to. */
struct sim_snapshot {
    struct checkpoint_id id;
    char *files[FILE_MAX];
    size_t file_count;
    int64_t sums[SIM_KEYS];
};

struct sim_task {
    struct task_deployment *deployment;
    enum task_status status;
    bool is_source;
    bool is_drained;
    bool is_canceled;
    bool is_finish_told;
    bool is_broken;   /* a file of its state is missing */
    int64_t hangs_ms; /* canceled, and does not end before */
    int64_t ready_ms; /* restored at */
    struct checkpoint_id triggered;
    struct checkpoint_id completed; /* newest known */
    struct checkpoint_id snapshot;  /* newest taken */
    struct checkpoint_id aborted;
    /* source */
    struct sim_split *splits;
    size_t split_count;
    size_t split_capacity;
    bool is_asking;
    bool no_more;
    bool is_barrier_due;
    /* sum */
    int64_t sums[SIM_KEYS];
    bool *has_ended;
    bool *has_barrier;
    struct checkpoint_id aligning;
    struct checkpoint_id aligning_completed;
    struct sim_snapshot remembered[REMEMBERED_MAX];
    size_t remembered_count;
};

/* ---- channels ---- */

static struct sim_channel *channel_of(struct sim *sim, struct attempt_id from, struct attempt_id to)
{
    for (size_t i = sim->channel_count; i-- > 0;)
        if (sim->channels[i]->from.value == from.value && sim->channels[i]->to.value == to.value)
            return sim->channels[i];
    struct sim_channel *channel = allocate(sizeof(*channel));
    channel->from = from;
    channel->to = to;
    array_push(sim->channels, sim->channel_count, sim->channel_capacity) = channel;
    return channel;
}

static size_t waiting_in(const struct sim_channel *channel)
{
    return channel->count - channel->first;
}

static void put(struct sim *sim, const struct sim_task *task, uint32_t peer,
                struct sim_channel_item item)
{
    struct sim_channel *channel = channel_of(sim, task->deployment->attempt,
                                             task->deployment->outputs[0].peers[peer].attempt);
    array_push(channel->items, channel->count, channel->capacity) = item;
}

/* ---- life ---- */

static void task_destroy(struct sim_task *task)
{
    task_deployment_done(task->deployment);
    free(task->deployment);
    for (size_t i = 0; i < task->split_count; i++)
        free(task->splits[i].id);
    for (size_t i = 0; i < task->remembered_count; i++)
        for (size_t j = 0; j < task->remembered[i].file_count; j++)
            free(task->remembered[i].files[j]);
    free(task->splits);
    free(task->has_ended);
    free(task->has_barrier);
    free(task);
}

void sim_tasks_done(struct sim_task_manager *task_manager)
{
    for (size_t i = 0; i < task_manager->task_count; i++)
        task_destroy(task_manager->tasks[i]);
    free(task_manager->tasks);
    task_manager->tasks = NULL;
    task_manager->task_count = task_manager->task_capacity = 0;
}

static void report_status(struct sim *sim, uint32_t index, struct sim_task *task,
                          enum task_status status, const struct task_failure *failure)
{
    struct control_event event = {.kind = CONTROL_EVENT_TASK_STATUS,
                                  .attempt = task->deployment->attempt};
    task->status = status;
    event.task_status.status = status;
    event.task_status.failure = failure;
    sim_control_step(sim, index, &event);
}

static void restore_source(struct sim_task *task, const struct task_state *state)
{
    for (size_t i = 0; i < state->operator_count; i++)
        for (size_t j = 0; j < state->operators[i].entry_count; j++) {
            const struct operator_state_entry *entry = &state->operators[i].entries[j];
            struct sim_split *split =
                &array_push(task->splits, task->split_count, task->split_capacity);
            split->id = copy_text(entry->name);
            split->position = (uint32_t)strtoul(entry->bytes, NULL, 10);
        }
}

static void restore_sum(struct sim *sim, struct sim_task *task, const struct task_state *state)
{
    char id[ID_TEXT_SIZE];
    id128_format(task->deployment->job.value, id);
    struct sim_snapshot *snapshot = &task->remembered[task->remembered_count++];
    snapshot->id = task->deployment->restore;
    for (size_t i = 0; i < state->keyed.file_count; i++) {
        SCOPED_TEXT char *path = format_text("%s/%s", id, state->keyed.files[i].path);
        const struct sim_file *file = sim_store_find(&sim->checkpoints, path);
        if (file == NULL) {
            task->is_broken = true; /* if its leader still counts on it, the job will FAIL */
            continue;
        }
        int64_t sums[SIM_KEYS];
        memcpy(sums, file->bytes, sizeof(sums));
        for (int key = 0; key < SIM_KEYS; key++)
            task->sums[key] += sums[key];
        if (snapshot->file_count < FILE_MAX)
            snapshot->files[snapshot->file_count++] = copy_text(state->keyed.files[i].path);
    }
    memcpy(snapshot->sums, task->sums, sizeof(task->sums));
}

void sim_task_deploy(struct sim *sim, uint32_t index, struct control_action *action)
{
    struct sim_task_manager *task_manager = &sim->task_managers[index];
    struct sim_task *task = allocate(sizeof(*task));
    task->deployment = take_pointer(&action->deploy.deployment);
    task->status = TASK_DEPLOYING;
    task->is_source = task->deployment->vertex % 2 == 0;
    task->completed = task->deployment->restore;
    task->ready_ms = sim->now_ms + (int64_t)sim_below(sim, 50);
    if (!task->is_source) {
        task->has_ended = allocate_array(task->deployment->inputs[0].peer_count, sizeof(bool));
        task->has_barrier = allocate_array(task->deployment->inputs[0].peer_count, sizeof(bool));
    }
    if (task->deployment->state != NULL) {
        if (task->is_source)
            restore_source(task, task->deployment->state);
        else
            restore_sum(sim, task, task->deployment->state);
    }
    array_push(task_manager->tasks, task_manager->task_count, task_manager->task_capacity) = task;
}

static struct sim_task *find_task(const struct sim_task_manager *task_manager,
                                  struct attempt_id attempt)
{
    for (size_t i = 0; i < task_manager->task_count; i++)
        if (task_manager->tasks[i]->deployment->attempt.value == attempt.value)
            return task_manager->tasks[i];
    return NULL;
}

static void source_barrier(struct sim *sim, uint32_t index, struct sim_task *task);

static void add_splits(struct sim *sim, uint32_t index, struct sim_task *task,
                       struct control_action *action)
{
    /* Orders take effect in their order: these splits are not in the snapshot of that trigger. */
    if (task->is_barrier_due)
        source_barrier(sim, index, task);
    task->is_asking = action->splits.splits.count == 0 && !action->splits.is_last; /* none now */
    task->no_more |= action->splits.is_last;
    const int rounds = sim->plant == PLANT_SPLITS_TWICE && sim_chance(sim, 300) ? 2 : 1;
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < action->splits.splits.count; i++) {
            struct sim_split *split =
                &array_push(task->splits, task->split_count, task->split_capacity);
            split->id = copy_text(action->splits.splits.splits[i].id);
            split->position = (uint32_t)strtoul(action->splits.splits.splits[i].state, NULL, 10);
        }
}

static void release_alignment(struct sim_task *task)
{
    task->aligning.value = 0;
    for (uint32_t i = 0; !task->is_source && i < task->deployment->inputs[0].peer_count; i++)
        task->has_barrier[i] = false;
}

void sim_task_command(struct sim *sim, uint32_t index, struct control_action *action)
{
    struct sim_task *task = find_task(&sim->task_managers[index], action->attempt);
    if (task == NULL)
        return;
    switch (action->kind) {
    case CONTROL_CANCEL:
        if (!task->is_canceled && sim_has_faults(sim) && sim_chance(sim, sim->hang_permille))
            task->hangs_ms = sim->now_ms + (int64_t)sim_below(sim, 25000);
        task->is_canceled = true;
        break;
    case CONTROL_TRIGGER:
        task->triggered = action->checkpoint.checkpoint;
        if (action->checkpoint.completed.value > task->completed.value)
            task->completed = action->checkpoint.completed;
        task->is_barrier_due = task->is_source;
        break;
    case CONTROL_ABORT:
        task->aborted = action->checkpoint.checkpoint;
        if (task->aligning.value != 0 && task->aligning.value <= task->aborted.value)
            release_alignment(task);
        if (task->triggered.value <= task->aborted.value)
            task->is_barrier_due = false;
        break;
    case CONTROL_COMPLETED:
        if (action->checkpoint.checkpoint.value > task->completed.value)
            task->completed = action->checkpoint.checkpoint;
        break;
    case CONTROL_SPLITS:
        add_splits(sim, index, task, action);
        break;
    case CONTROL_FINISH:
        task->is_finish_told = true;
        break;
    case CONTROL_ALIGN: /* its sources have no event time */
    case CONTROL_CONNECT:
    case CONTROL_CLOSE:
    case CONTROL_SEND:
    case CONTROL_DEPLOY:
    case CONTROL_LOG:
        break;
    }
}

/* ---- snapshots ---- */

static void send_snapshot(struct sim *sim, uint32_t index, struct sim_task *task,
                          struct checkpoint_id checkpoint, struct task_state *state)
{
    task->snapshot = checkpoint;
    struct control_event *sent = allocate(sizeof(*sent));
    sent->kind = CONTROL_EVENT_TASK_ACKNOWLEDGE;
    sent->attempt = task->deployment->attempt;
    sent->acknowledge.checkpoint = checkpoint;
    sent->acknowledge.state = state;
    struct sim_event *event =
        sim_schedule(sim, 1 + (int64_t)sim_below(sim, 30 + sim->slow_ms), SIM_TASK_SENT, index,
                     sim->task_managers[index].generation);
    event->content = sent;
}

void sim_task_on_sent(struct sim *sim, struct sim_event *event)
{
    const uint32_t index = (uint32_t)event->number;
    struct control_event *sent = event->content;
    const struct sim_task_manager *task_manager = &sim->task_managers[index];
    if (task_manager->is_alive && task_manager->generation == event->generation &&
        find_task(task_manager, sent->attempt) != NULL) {
        if (sim_has_faults(sim) && sim_chance(sim, 10)) {
            task_state_done(sent->acknowledge.state);
            free(sent->acknowledge.state);
            sent->kind = CONTROL_EVENT_TASK_DECLINE;
            sent->decline.reason = "upload failed";
        }
        sim_control_step(sim, index, sent);
    } else {
        task_state_done(sent->acknowledge.state);
        free(sent->acknowledge.state);
    }
}

static void snapshot_source(struct sim *sim, uint32_t index, struct sim_task *task)
{
    struct task_state *state = allocate(sizeof(*state));
    state->operator_count = 1;
    state->operators = allocate(sizeof(*state->operators));
    state->operators[0].uid = copy_text("source");
    state->operators[0].entry_count = task->split_count;
    state->operators[0].entries =
        allocate_array(task->split_count + 1, sizeof(*state->operators[0].entries));
    for (size_t i = 0; i < task->split_count; i++) {
        struct operator_state_entry *entry = &state->operators[0].entries[i];
        entry->name = copy_text(task->splits[i].id);
        entry->bytes = format_text("%u", task->splits[i].position);
        entry->size = strlen(entry->bytes);
    }
    send_snapshot(sim, index, task, task->triggered, state);
}

static const struct sim_snapshot *remembered(const struct sim_task *task, struct checkpoint_id id)
{
    for (size_t i = 0; i < task->remembered_count; i++)
        if (id.value != 0 && task->remembered[i].id.value == id.value)
            return &task->remembered[i];
    return NULL;
}

/* The files of the completed checkpoint and one with what has changed since; everything in one
 * private or shared file when there are too many. */
static void snapshot_sum(struct sim *sim, uint32_t index, struct sim_task *task,
                         struct checkpoint_id checkpoint, struct checkpoint_id completed)
{
    char id[ID_TEXT_SIZE];
    int64_t delta[SIM_KEYS];
    struct sim_snapshot now = {.id = checkpoint};
    id128_format(task->deployment->job.value, id);
    memcpy(delta, task->sums, sizeof(delta));
    memcpy(now.sums, task->sums, sizeof(delta));
    const struct sim_snapshot *base = remembered(task, completed);
    const bool is_private = sim_chance(sim, 200);
    if (base != NULL && base->file_count + 1 < FILE_MAX && !is_private)
        for (size_t i = 0; i < base->file_count; i++)
            if (strncmp(base->files[i], "shared/", 7) == 0)
                now.files[now.file_count++] = copy_text(base->files[i]);
    if (base != NULL && now.file_count > 0 && now.file_count == base->file_count) {
        for (int key = 0; key < SIM_KEYS; key++)
            delta[key] -= base->sums[key];
    } else {
        for (size_t i = 0; i < now.file_count; i++)
            free(now.files[i]);
        now.file_count = 0;
    }
    now.files[now.file_count++] =
        is_private ? format_text("chk-%llu/%llu", (unsigned long long)checkpoint.value,
                                 (unsigned long long)task->deployment->attempt.value)
                   : format_text("shared/%llu/%llu.sst",
                                 (unsigned long long)task->deployment->attempt.value,
                                 (unsigned long long)checkpoint.value);
    SCOPED_TEXT char *path = format_text("%s/%s", id, now.files[now.file_count - 1]);
    sim_store_put(&sim->checkpoints, path, delta, sizeof(delta));
    struct task_state *state = allocate(sizeof(*state));
    state->keyed.backend = copy_text("memory");
    state->keyed.meta = copy_text("");
    state->keyed.file_count = now.file_count;
    state->keyed.files = allocate_array(FILE_MAX, sizeof(*state->keyed.files));
    for (size_t i = 0; i < now.file_count; i++)
        state->keyed.files[i] = (struct state_file){
            .path = copy_text(now.files[i]),
            .name = copy_text("f"),
            .size = sizeof(delta),
            .is_shared = strncmp(now.files[i], "shared/", 7) == 0,
        };
    if (task->remembered_count == REMEMBERED_MAX) {
        for (size_t i = 0; i < task->remembered[0].file_count; i++)
            free(task->remembered[0].files[i]);
        memmove(task->remembered, task->remembered + 1,
                (REMEMBERED_MAX - 1) * sizeof(*task->remembered));
        task->remembered_count--;
    }
    task->remembered[task->remembered_count++] = now;
    send_snapshot(sim, index, task, checkpoint, state);
}

/* ---- turns ---- */

static void source_barrier(struct sim *sim, uint32_t index, struct sim_task *task)
{
    task->is_barrier_due = false;
    for (uint32_t i = 0; !task->is_drained && i < task->deployment->outputs[0].peer_count; i++)
        put(sim, task, i,
            (struct sim_channel_item){
                .kind = ITEM_BARRIER, .checkpoint = task->triggered, .completed = task->completed});
    snapshot_source(sim, index, task);
}

static void report(struct sim *sim, uint32_t index, const struct sim_task *task,
                   enum control_event_kind kind)
{
    struct control_event event = {.kind = kind, .attempt = task->deployment->attempt};
    event.wants_splits.operator_index = task->deployment->vertex;
    sim_control_step(sim, index, &event);
}

static void source_turn(struct sim *sim, uint32_t index, struct sim_task *task)
{
    const uint32_t peers = task->deployment->outputs[0].peer_count;
    const struct sim_job *job = sim_find_job(sim, task->deployment->job);
    if (task->is_barrier_due && task->triggered.value > task->aborted.value)
        source_barrier(sim, index, task);
    for (int i = 0; i < BATCH_RECORDS && task->split_count > 0; i++) {
        struct sim_split *split = &task->splits[0];
        if (split->position >= job->records_per_split) {
            free(split->id);
            task->split_count--;
            memmove(split, split + 1, task->split_count * sizeof(*split));
            continue;
        }
        const uint32_t key = sim_key_at(split->id, split->position);
        const struct sim_channel *channel =
            channel_of(sim, task->deployment->attempt,
                       task->deployment->outputs[0].peers[key % peers].attempt);
        if (waiting_in(channel) >= CHANNEL_MAX)
            return; /* back pressure */
        put(sim, task, key % peers,
            (struct sim_channel_item){.kind = ITEM_RECORD,
                                      .key = key,
                                      .amount = sim_amount_at(split->id, split->position)});
        split->position++;
    }
    if (task->split_count > 0 || task->is_drained)
        return;
    if (task->no_more) {
        for (uint32_t i = 0; i < peers; i++)
            put(sim, task, i, (struct sim_channel_item){.kind = ITEM_END});
        task->is_drained = true;
        report(sim, index, task, CONTROL_EVENT_TASK_DRAINED);
    } else if (!task->is_asking) {
        task->is_asking = true;
        report(sim, index, task, CONTROL_EVENT_TASK_WANTS_SPLITS);
    }
}

static bool is_aligned(const struct sim *sim, const struct sim_task *task)
{
    bool any = false;
    for (uint32_t i = 0; i < task->deployment->inputs[0].peer_count; i++) {
        any |= task->has_barrier[i];
        if (!task->has_ended[i] && !task->has_barrier[i] && sim->plant != PLANT_NO_ALIGNMENT)
            return false;
    }
    return any;
}

static void read_channel(struct sim *sim, struct sim_task *task, uint32_t input)
{
    struct sim_channel *channel = channel_of(sim, task->deployment->inputs[0].peers[input].attempt,
                                             task->deployment->attempt);
    for (int i = 0; i < BATCH_RECORDS && waiting_in(channel) > 0; i++) {
        if (task->has_barrier[input])
            return; /* aligned: not read until all have delivered the barrier */
        const struct sim_channel_item *item = &channel->items[channel->first++];
        if (item->kind == ITEM_RECORD) {
            task->sums[item->key] += item->amount;
        } else if (item->kind == ITEM_END) {
            task->has_ended[input] = true;
        } else if (item->checkpoint.value > task->aborted.value &&
                   item->checkpoint.value > task->snapshot.value &&
                   item->checkpoint.value >= task->deployment->floor.value) {
            if (item->checkpoint.value > task->aligning.value)
                release_alignment(task);
            task->aligning = item->checkpoint;
            task->aligning_completed = item->completed;
            task->has_barrier[input] = true;
        }
    }
}

static void sum_turn(struct sim *sim, uint32_t index, struct sim_task *task)
{
    const uint32_t peers = task->deployment->inputs[0].peer_count;
    bool is_ended = true;
    for (uint32_t i = 0; i < peers; i++) {
        const uint32_t input = (i + (uint32_t)sim_below(sim, peers)) % peers;
        if (!task->has_ended[input])
            read_channel(sim, task, input);
    }
    for (uint32_t i = 0; i < peers; i++)
        is_ended &= task->has_ended[i];
    if (is_aligned(sim, task)) {
        const struct checkpoint_id checkpoint = task->aligning;
        release_alignment(task);
        snapshot_sum(sim, index, task, checkpoint, task->aligning_completed);
    }
    if (is_ended && task->triggered.value > task->snapshot.value &&
        task->triggered.value > task->aborted.value)
        snapshot_sum(sim, index, task, task->triggered, task->completed);
    if (is_ended && !task->is_drained) {
        task->is_drained = true;
        report(sim, index, task, CONTROL_EVENT_TASK_DRAINED);
    }
}

/* The process that a consumer reads from is gone. */
static bool lost_peer(const struct sim *sim, const struct sim_task *task, struct id128 *ret_peer)
{
    const uint32_t peers = task->is_source ? 0 : task->deployment->inputs[0].peer_count;
    for (uint32_t i = 0; i < peers; i++) {
        const struct id128 peer = task->deployment->inputs[0].peers[i].task_manager;
        const struct sim_task_manager *task_manager = &sim->task_managers[peer.bytes[1]];
        *ret_peer = peer;
        if (!task_manager->is_alive || !id128_equals(task_manager->incarnation, peer))
            return !task->has_ended[i];
    }
    return false;
}

static void finish(struct sim *sim, uint32_t index, struct sim_task *task)
{
    struct sim_job *job = sim_find_job(sim, task->deployment->job);
    if (!task->is_source)
        memcpy(job->results[task->deployment->vertex / 2][task->deployment->subtask_index],
               task->sums, sizeof(task->sums));
    report_status(sim, index, task, TASK_FINISHED, NULL);
}

static void task_turn(struct sim *sim, uint32_t index, struct sim_task *task)
{
    struct task_failure failure = {.code = STATUS_UNAVAILABLE, .message = (char *)"peer lost"};
    if (task->is_canceled && sim->now_ms < task->hangs_ms)
        return;
    if (task->is_canceled) {
        report_status(sim, index, task, TASK_CANCELED, NULL);
    } else if (task->status == TASK_DEPLOYING) {
        report_status(sim, index, task, TASK_INITIALIZING, NULL);
    } else if (task->is_broken) {
        failure.code = STATUS_NOT_FOUND;
        report_status(sim, index, task, TASK_FAILED, &failure);
    } else if (task->status == TASK_INITIALIZING) {
        if (sim->now_ms >= task->ready_ms)
            report_status(sim, index, task, TASK_RUNNING, NULL);
    } else if (lost_peer(sim, task, &failure.lost_peer)) {
        report_status(sim, index, task, TASK_FAILED, &failure);
    } else if (task->is_finish_told && task->is_drained) {
        finish(sim, index, task);
    } else if (task->is_source) {
        source_turn(sim, index, task);
    } else {
        sum_turn(sim, index, task);
    }
}

void sim_tasks_turn(struct sim *sim, uint32_t index)
{
    struct sim_task_manager *task_manager = &sim->task_managers[index];
    for (size_t i = 0; i < task_manager->task_count;) {
        struct sim_task *task = task_manager->tasks[i];
        task_turn(sim, index, task);
        if (!task_status_is_terminal(task->status)) {
            i++;
            continue;
        }
        task_destroy(task);
        task_manager->task_count--;
        memmove(task_manager->tasks + i, task_manager->tasks + i + 1,
                (task_manager->task_count - i) * sizeof(*task_manager->tasks));
    }
    (void)sim_schedule(sim, task_manager->task_count > 0 ? 10 : 50, SIM_TASKS, index,
                       task_manager->generation);
}

void sim_task_fail_one(struct sim *sim, uint32_t index)
{
    struct sim_task_manager *task_manager = &sim->task_managers[index];
    if (task_manager->task_count == 0)
        return;
    const size_t place = (size_t)sim_below(sim, task_manager->task_count);
    struct sim_task *task = task_manager->tasks[place];
    const struct task_failure failure = {.code = STATUS_IO, .message = (char *)"simulated"};
    report_status(sim, index, task, TASK_FAILED, &failure);
    task_destroy(task);
    task_manager->task_count--;
    memmove(task_manager->tasks + place, task_manager->tasks + place + 1,
            (task_manager->task_count - place) * sizeof(*task_manager->tasks));
}
