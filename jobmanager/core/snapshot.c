/* Copies of the core's state for others. */
#include "jobmanager/core/snapshot.h"

#include "common/base/allocate.h"
#include "jobmanager/core/core_state.h"

static char *copy_optional(const char *text)
{
    return text == NULL ? NULL : copy_text(text);
}

static void copy_task_manager(const struct task_manager *from, struct task_manager_snapshot *to)
{
    const struct message_register *registration = &from->registration;
    *to = (struct task_manager_snapshot){
        .id = from->incarnation,
        .name = copy_text(registration->name),
        .host = copy_text(registration->host),
        .data_address = copy_text(registration->data_address),
        .version = copy_text(registration->version),
        .http_port = registration->http_port,
        .cpu_count = registration->cpu_count,
        .slot_count = registration->slot_count,
        .memory_bytes = registration->memory_bytes,
        .memory_used_bytes = from->memory_used_bytes,
        .disk_free_bytes = from->disk_free_bytes,
        .disk_total_bytes = from->disk_total_bytes,
        .registered_ms = from->registered_wall_ms,
        .heartbeat_ms = from->heartbeat_wall_ms,
    };
    for (uint32_t i = 0; i < registration->slot_count; i++)
        to->free_slot_count += from->slots[i] == NULL ? 1 : 0;
}

static void copy_subtask(const struct task *from, struct subtask_snapshot *to)
{
    *to = (struct subtask_snapshot){
        .index = from->subtask_index,
        .attempt = from->attempt,
        .attempt_number = from->attempt_number,
        .status = from->status,
        .is_drained = from->is_drained,
        .task_manager = from->task_manager_id,
        .host = copy_text_or_empty(from->host),
        .metrics = from->metrics,
    };
    to->metrics.waits_for = copy_optional(from->metrics.waits_for);
    for (int status = 0; status < TASK_STATUS_COUNT; status++)
        to->status_ms[status] = from->status_ms[status];
}

static void copy_vertices(const struct job *from, struct job_snapshot *to)
{
    if (from->is_recovered_end)
        return;
    to->vertex_count = from->graph->vertex_count;
    to->vertices = allocate_array(to->vertex_count + 1, sizeof(*to->vertices));
    for (uint32_t v = 0; v < to->vertex_count; v++) {
        struct vertex_snapshot *vertex = &to->vertices[v];
        vertex->vertex = v;
        vertex->subtask_count = from->graph->vertices[v].parallelism;
        vertex->subtasks = allocate_array(vertex->subtask_count + 1, sizeof(*vertex->subtasks));
        for (uint32_t s = 0; s < vertex->subtask_count; s++)
            copy_subtask(&from->tasks[from->first_task[v] + s], &vertex->subtasks[s]);
    }
}

/* The first thing that the job waits for, in words; NULL: nothing. */
static char *describe_wait(const struct job *job)
{
    if (job_status_is_terminal(job->status))
        return NULL;
    if (job_end_is_decided(job) || !job->is_graph_stored)
        return format_text("the job store has not answered yet%s%s",
                           job->record.problem == NULL ? "" : ": ",
                           job->record.problem == NULL ? "" : job->record.problem);
    if (job->is_recovering)
        return copy_text("reads its checkpoints");
    if (job->waits_for != NULL)
        return copy_text(job->waits_for);
    for (size_t i = 0; i < job->assigner_count; i++)
        if (job->assigners[i].waits_for != NULL)
            return copy_text(job->assigners[i].waits_for);
    for (size_t i = 0; i < job->task_count; i++)
        if (task_is_live(&job->tasks[i]) && job->tasks[i].metrics.waits_for != NULL)
            return copy_text(job->tasks[i].metrics.waits_for);
    size_t running_count = 0;
    for (size_t i = 0; i < job->task_count; i++)
        running_count +=
            job->tasks[i].status == TASK_RUNNING || job->tasks[i].status == TASK_FINISHED ? 1 : 0;
    if (job->status == JOB_RUNNING && running_count < job->task_count)
        return format_text("%zu of %zu tasks are running", running_count, job->task_count);
    return NULL;
}

static void copy_exceptions(const struct job *from, struct job_snapshot *to)
{
    to->exception_count = from->exception_count;
    to->exceptions = allocate_array(from->exception_count + 1, sizeof(*to->exceptions));
    for (size_t i = 0; i < from->exception_count; i++) {
        const struct stored_exception *exception = &from->exceptions[i];
        to->exceptions[i] = (struct exception_snapshot){
            .wall_ms = exception->wall_ms,
            .code = exception->code,
            .message = copy_text(exception->message),
            .record = copy_optional(exception->record),
            .task = copy_optional(exception->task),
            .host = copy_text_or_empty(exception->host),
            .attempt = exception->attempt,
        };
    }
}

static void copy_job(const struct core *core, const struct job *from, struct job_snapshot *to)
{
    *to = (struct job_snapshot){
        .id = from->id,
        .graph = from->graph,
        .status = from->status,
        .start_ms = from->start_ms,
        .end_ms = job_status_is_terminal(from->status) ? from->end_ms : -1,
        .slots_needed = from->slot_count,
        .restart_count = from->restart_count,
        .restart_at_ms = -1,
        .waits_for = describe_wait(from),
        .options = from->options,
    };
    for (int status = 0; status < JOB_STATUS_COUNT; status++)
        to->status_ms[status] = from->status_ms[status];
    for (uint32_t r = 0; r < from->region_count; r++)
        if (from->regions[r].phase == REGION_DELAYED)
            to->restart_at_ms = core->wall_ms + from->regions[r].restart_ms - core->now_ms;
    copy_vertices(from, to);
    copy_exceptions(from, to);
    checkpoint_statistics_copy(&to->checkpoints, &from->coordinator.statistics);
}

static void copy_jobs(const struct core *core, struct cluster_snapshot *to)
{
    to->jobs = allocate_array(core->job_count + 1, sizeof(*to->jobs));
    for (size_t i = 0; i < core->job_count; i++)
        if (!job_status_is_terminal(core->jobs[i]->status))
            copy_job(core, core->jobs[i], &to->jobs[to->job_count++]);
    for (size_t i = core->job_count; i-- > 0;)
        if (job_status_is_terminal(core->jobs[i]->status))
            copy_job(core, core->jobs[i], &to->jobs[to->job_count++]);
}

void core_snapshot(const struct core *core, struct cluster_snapshot *ret_snapshot)
{
    struct cluster_snapshot to = {.leader_epoch = core->config.leader_epoch,
                                  .stale_message_count = core->stale_count,
                                  .duplicate_message_count = core->duplicate_count,
                                  .task_manager_count = core->task_manager_count};
    to.task_managers = allocate_array(core->task_manager_count + 1, sizeof(*to.task_managers));
    for (size_t i = 0; i < core->task_manager_count; i++) {
        const struct task_manager *from = core->task_managers[i];
        copy_task_manager(from, &to.task_managers[i]);
        to.slot_count += to.task_managers[i].slot_count;
        to.free_slot_count += to.task_managers[i].free_slot_count;
        to.stale_message_count += from->session.stale_count;
        to.duplicate_message_count += from->session.duplicate_count;
    }
    copy_jobs(core, &to);
    *ret_snapshot = to;
}

/* ---- release ---- */

static void job_snapshot_done(struct job_snapshot *job)
{
    for (uint32_t v = 0; v < job->vertex_count; v++) {
        for (uint32_t s = 0; s < job->vertices[v].subtask_count; s++) {
            free(job->vertices[v].subtasks[s].host);
            free(job->vertices[v].subtasks[s].metrics.waits_for);
        }
        free(job->vertices[v].subtasks);
    }
    free(job->vertices);
    for (size_t i = 0; i < job->exception_count; i++) {
        free(job->exceptions[i].message);
        free(job->exceptions[i].record);
        free(job->exceptions[i].task);
        free(job->exceptions[i].host);
    }
    free(job->exceptions);
    free(job->waits_for);
    checkpoint_statistics_done(&job->checkpoints);
}

void cluster_snapshot_done(struct cluster_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->task_manager_count; i++) {
        free(snapshot->task_managers[i].name);
        free(snapshot->task_managers[i].host);
        free(snapshot->task_managers[i].data_address);
        free(snapshot->task_managers[i].version);
    }
    free(snapshot->task_managers);
    for (size_t i = 0; i < snapshot->job_count; i++)
        job_snapshot_done(&snapshot->jobs[i]);
    free(snapshot->jobs);
    *snapshot = (struct cluster_snapshot){0};
}
