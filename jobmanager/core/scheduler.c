/*
 * Slots and deployments.
 *
 * Slot sharing as in Flink: one slot holds one subtask of every vertex, so a job needs as many
 * slots as its largest parallelism. All attempts and slots of a start are decided together, then
 * sent; attempt ids come from a block that is durable.
 */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "jobmanager/core/core_state.h"

#include <string.h>

static struct job_slot *slot_of(const struct task *task)
{
    struct job *job = task->job;
    const uint32_t parallelism = job->graph->vertices[task->vertex].parallelism;
    return &job->slots[(uint64_t)task->subtask_index * job->slot_count / parallelism];
}

static bool is_waiting(const struct task *task)
{
    return task->job->regions[task->region].phase == REGION_WAITING;
}

static uint32_t free_slots(const struct task_manager *task_manager)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < task_manager->registration.slot_count; i++)
        if (task_manager->slots[i] == NULL)
            count++;
    return count;
}

static bool has_disk(const struct task_manager *task_manager)
{
    return task_manager->disk_total_bytes == 0 ||
           task_manager->disk_free_bytes / DISK_FREE_PERCENT >=
               task_manager->disk_total_bytes / 100;
}

/* The emptiest TaskManager: slots are spread evenly. Ties: who registered first. */
static struct task_manager *emptiest(const struct core *core)
{
    struct task_manager *best = NULL;
    uint64_t best_free = 0;
    for (size_t i = 0; i < core->task_manager_count; i++) {
        struct task_manager *task_manager = core->task_managers[i];
        const uint64_t free_count = free_slots(task_manager);
        if (free_count == 0 || !has_disk(task_manager))
            continue;
        /* free/total compared crosswise */
        if (best == NULL || free_count * best->registration.slot_count >
                                best_free * task_manager->registration.slot_count) {
            best = task_manager;
            best_free = free_count;
        }
    }
    return best;
}

static void take_slot(const struct core *core, struct job *job, struct job_slot *slot)
{
    struct task_manager *task_manager = emptiest(core);
    CHECK(task_manager != NULL);
    uint32_t index = 0;
    while (task_manager->slots[index] != NULL)
        index++;
    task_manager->slots[index] = job;
    *slot = (struct job_slot){.task_manager = task_manager, .index = index};
}

static void set_waits_for(struct job *job, char *text)
{
    free(job->waits_for);
    job->waits_for = text;
}

/* Which slots do the waiting tasks lack? Marks them and returns their number. */
static uint32_t missing_slots(const struct job *job, bool *is_missing)
{
    uint32_t count = 0;
    for (size_t i = 0; i < job->task_count; i++) {
        const struct job_slot *slot = slot_of(&job->tasks[i]);
        const size_t index = (size_t)(slot - job->slots);
        if (!is_waiting(&job->tasks[i]) || slot->task_manager != NULL || is_missing[index])
            continue;
        is_missing[index] = true;
        count++;
    }
    return count;
}

static bool take_slots(const struct core *core, struct job *job)
{
    bool *is_missing = allocate_array(job->slot_count + 1, sizeof(*is_missing));
    const uint32_t needed = missing_slots(job, is_missing);
    uint32_t free_count = 0;
    uint32_t full_disks = 0;
    for (size_t i = 0; i < core->task_manager_count; i++) {
        if (has_disk(core->task_managers[i]))
            free_count += free_slots(core->task_managers[i]);
        else
            full_disks++;
    }
    const bool is_enough = free_count >= needed;
    if (!is_enough && full_disks > 0)
        set_waits_for(job,
                      format_text("needs %u slots, %u are free; %u TaskManagers have less than "
                                  "%d %% of their disk free and get no tasks",
                                  needed, free_count, full_disks, DISK_FREE_PERCENT));
    else if (!is_enough)
        set_waits_for(job, format_text("needs %u slots, %u are free", needed, free_count));
    for (uint32_t i = 0; is_enough && i < job->slot_count; i++)
        if (is_missing[i])
            take_slot(core, job, &job->slots[i]);
    free(is_missing);
    return is_enough;
}

/* Are enough attempt ids durable? Else more are asked for. */
static bool reserve_attempts(struct core *core, struct job *job, uint64_t count)
{
    if (core->attempt_usable >= core->attempt_next &&
        core->attempt_usable - core->attempt_next >= count)
        return true;
    if (core->attempt_limit < core->attempt_next + count) {
        core->attempt_limit = core->attempt_next + count + ATTEMPT_BLOCK;
        (void)stored_record_touch(&core->cluster_record);
    }
    set_waits_for(
        job, format_text("the job store has not answered yet%s%s",
                         core->cluster_record.problem == NULL ? "" : ": ",
                         core->cluster_record.problem == NULL ? "" : core->cluster_record.problem));
    return false;
}

/* ---- deployment ---- */

static void start_attempt(struct core *core, struct task *task)
{
    const struct job_slot *slot = slot_of(task);
    CHECK(!task_is_live(task) && slot->task_manager != NULL);
    if (task->attempt.value != 0)
        task->attempt_number++;
    task->attempt.value = core->attempt_next++;
    task->task_manager = slot->task_manager;
    task->slot = slot->index;
    task->task_manager_id = slot->task_manager->incarnation;
    free(task->host);
    task->host = copy_text(slot->task_manager->registration.host);
    task->is_drained = false;
    task->is_finish_sent = false;
    task->canceling_ms = 0;
    free(task->metrics.waits_for);
    task->metrics = (struct task_metrics){.watermark_ms = INT64_MIN};
    for (int status = 0; status < TASK_STATUS_COUNT; status++)
        task->status_ms[status] = -1;
    task->status = TASK_CREATED;
    task->status_ms[TASK_CREATED] = core->wall_ms;
    task_set_status(core, task, TASK_SCHEDULED);
    task_set_status(core, task, TASK_DEPLOYING);
}

/* Does producer subtask i feed consumer subtask j? */
static bool is_connected(enum partitioning partitioning, uint32_t i, uint32_t producers, uint32_t j,
                         uint32_t consumers)
{
    CHECK(producers > 0 && consumers > 0);
    switch (partitioning) {
    case PARTITION_FORWARD:
        return i == j;
    case PARTITION_RESCALE:
        return producers <= consumers ? (uint64_t)j * producers / consumers == i
                                      : (uint64_t)i * consumers / producers == j;
    case PARTITION_HASH:
    case PARTITION_REBALANCE:
    case PARTITION_BROADCAST:
        break;
    }
    return true;
}

static void add_peer(struct channel_group *group, size_t *capacity, const struct task *peer)
{
    size_t count = group->peer_count;
    struct channel_peer *to = &array_push(group->peers, count, *capacity);
    group->peer_count = (uint32_t)count;
    *to = (struct channel_peer){.subtask_index = peer->subtask_index,
                                .attempt = peer->attempt,
                                .task_manager = peer->task_manager_id,
                                .data_address =
                                    copy_text(peer->task_manager->registration.data_address)};
}

/* The channels of one edge at this task, as consumer or as producer. */
static void connect_edge(const struct task *task, uint32_t edge_index, bool is_input,
                         struct channel_group *group)
{
    const struct job *job = task->job;
    const struct job_edge *edge = &job->graph->edges[edge_index];
    const uint32_t peer_vertex =
        job_graph_vertex_of(job->graph, is_input ? edge->from_operator : edge->to_operator);
    const uint32_t own = job->graph->vertices[task->vertex].parallelism;
    const uint32_t peers = job->graph->vertices[peer_vertex].parallelism;
    size_t capacity = 0;
    group->edge = edge_index;
    for (uint32_t s = 0; s < peers; s++) {
        const bool is_peer =
            is_input ? is_connected(edge->partitioning, s, peers, task->subtask_index, own)
                     : is_connected(edge->partitioning, task->subtask_index, own, s, peers);
        if (is_peer)
            add_peer(group, &capacity, &job->tasks[job->first_task[peer_vertex] + s]);
    }
}

static void connect_task(const struct task *task, struct task_deployment *deployment)
{
    const struct job_graph *graph = task->job->graph;
    size_t input_capacity = 0;
    size_t output_capacity = 0;
    size_t input_count = 0;
    size_t output_count = 0;
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        if (graph->edges[e].is_chained)
            continue;
        if (job_graph_vertex_of(graph, graph->edges[e].to_operator) == task->vertex)
            connect_edge(task, e, true,
                         &array_push(deployment->inputs, input_count, input_capacity));
        if (job_graph_vertex_of(graph, graph->edges[e].from_operator) == task->vertex)
            connect_edge(task, e, false,
                         &array_push(deployment->outputs, output_count, output_capacity));
    }
    deployment->input_count = (uint32_t)input_count;
    deployment->output_count = (uint32_t)output_count;
}

static void describe_deployment(const struct task *task, struct task_deployment *deployment)
{
    const struct job *job = task->job;
    *deployment = (struct task_deployment){.job = job->id,
                                           .attempt = task->attempt,
                                           .vertex = task->vertex,
                                           .subtask_index = task->subtask_index,
                                           .slot = task->slot,
                                           .floor = {job->checkpoint_next}};
    connect_task(task, deployment);
    const struct completed_checkpoint *newest = coordinator_newest(&job->coordinator);
    if (newest == NULL)
        return;
    deployment->restore = newest->id;
    const struct task_state *state = completed_checkpoint_find_task(
        newest, job->graph->vertices[task->vertex].id, task->subtask_index);
    if (state != NULL) {
        deployment->state = allocate(sizeof(*deployment->state));
        task_state_copy(deployment->state, state);
    }
}

static void send_deployments(struct core *core, struct job *job)
{
    for (size_t m = 0; m < core->task_manager_count; m++) {
        struct task_manager *task_manager = core->task_managers[m];
        struct message *message = message_create(MESSAGE_DEPLOY);
        size_t capacity = 0;
        for (size_t i = 0; i < job->task_count; i++)
            if (is_waiting(&job->tasks[i]) && job->tasks[i].task_manager == task_manager)
                describe_deployment(
                    &job->tasks[i],
                    &array_push(message->deploy.tasks, message->deploy.task_count, capacity));
        if (message->deploy.task_count == 0) {
            message_destroy(message);
            continue;
        }
        message->job = job->id;
        message->deploy.graph = copy_text_n(job->graph_bytes, job->graph_size);
        message->deploy.graph_size = job->graph_size;
        membership_send(core, task_manager, message);
    }
}

static void note_start(struct core *core, struct job *job)
{
    bool is_restart = false;
    for (uint32_t r = 0; r < job->region_count; r++) {
        struct region *region = &job->regions[r];
        if (region->phase != REGION_WAITING)
            continue;
        is_restart |= region->has_run;
        region->phase = REGION_LIVE;
        region->has_run = true;
        region->is_free_restart = false;
        task_failure_done(&region->cause);
        job_sources_start(core, job, r);
    }
    struct checkpoint_statistics *statistics = &job->coordinator.statistics;
    const struct checkpoint_id newest = coordinator_newest_id(&job->coordinator);
    if (newest.value != 0) {
        statistics->restored = newest;
        statistics->restored_count++;
        statistics->restored_ms = core->wall_ms;
    }
    if (is_restart) {
        job->restart_count++;
        storage_sweep(core, job);
        job->sweep_ms = core->now_ms + SWEEP_AGAIN_MS;
    }
    core_log(core, LOG_INFO, "job_deployed", job, "restored_checkpoint=%llu restarts=%u",
             (unsigned long long)newest.value, job->restart_count);
}

void scheduler_try(struct core *core, struct job *job)
{
    uint64_t waiting_count = 0;
    for (size_t i = 0; i < job->task_count; i++)
        waiting_count += is_waiting(&job->tasks[i]) ? 1 : 0;
    if (waiting_count == 0)
        return;
    /* Whether the checkpoint that is being stored is the newest, only the store knows. */
    if (job->coordinator.pending != NULL) {
        set_waits_for(job, format_text("the job store has not answered yet: %s",
                                       job->record.problem == NULL ? "a checkpoint is being stored"
                                                                   : job->record.problem));
        return;
    }
    if (!reserve_attempts(core, job, waiting_count) || !take_slots(core, job))
        return;
    set_waits_for(job, NULL);
    for (size_t i = 0; i < job->task_count; i++)
        if (is_waiting(&job->tasks[i]))
            start_attempt(core, &job->tasks[i]);
    send_deployments(core, job);
    note_start(core, job);
    job->next_trigger_ms = core->now_ms + job->options.checkpoint_interval_ms;
    bool is_all_live = true;
    for (uint32_t r = 0; r < job->region_count; r++)
        is_all_live &= job->regions[r].phase == REGION_LIVE;
    if (is_all_live)
        job_set_status(core, job, JOB_RUNNING);
}

void scheduler_release(struct job *job)
{
    for (uint32_t i = 0; i < job->slot_count; i++) {
        struct job_slot *slot = &job->slots[i];
        if (slot->task_manager != NULL)
            slot->task_manager->slots[slot->index] = NULL;
        slot->task_manager = NULL;
    }
}
