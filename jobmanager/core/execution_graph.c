/* Tasks and failover regions of a job. */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "jobmanager/core/core_state.h"

#include <stdio.h>
#include <string.h>

/* ---- building ---- */

/* Vertices that an edge connects belong to one region: pipelined data cannot be replayed. */
static void build_regions(struct job *job)
{
    const struct job_graph *graph = job->graph;
    uint32_t *region_of = allocate_array(graph->vertex_count + 1, sizeof(*region_of));
    for (uint32_t v = 0; v < graph->vertex_count; v++)
        region_of[v] = v;
    for (uint32_t e = 0; e < graph->edge_count; e++) {
        if (graph->edges[e].is_chained)
            continue;
        const uint32_t a = region_of[job_graph_vertex_of(graph, graph->edges[e].from_operator)];
        const uint32_t b = region_of[job_graph_vertex_of(graph, graph->edges[e].to_operator)];
        const uint32_t low = a < b ? a : b;
        const uint32_t high = a < b ? b : a;
        for (uint32_t v = 0; v < graph->vertex_count; v++)
            if (region_of[v] == high)
                region_of[v] = low;
    }
    /* The lowest vertex names its region; number them without gaps. */
    for (uint32_t v = 0; v < graph->vertex_count; v++)
        region_of[v] = region_of[v] == v ? job->region_count++ : region_of[region_of[v]];
    job->region_of = region_of;
    job->regions = allocate_array(job->region_count + 1, sizeof(*job->regions));
}

static void build_tasks(struct job *job)
{
    const struct job_graph *graph = job->graph;
    job->first_task = allocate_array(graph->vertex_count + 1, sizeof(*job->first_task));
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        const uint32_t parallelism = graph->vertices[v].parallelism;
        job->first_task[v] = (uint32_t)job->task_count;
        job->task_count += parallelism;
        if (parallelism > job->slot_count)
            job->slot_count = parallelism;
    }
    job->tasks = allocate_array(job->task_count + 1, sizeof(*job->tasks));
    for (uint32_t v = 0; v < graph->vertex_count; v++) {
        for (uint32_t s = 0; s < graph->vertices[v].parallelism; s++) {
            const uint32_t index = job->first_task[v] + s;
            struct task *task = &job->tasks[index];
            *task = (struct task){.job = job,
                                  .index = index,
                                  .vertex = v,
                                  .subtask_index = s,
                                  .region = job->region_of[v],
                                  .metrics.watermark_ms = INT64_MIN};
            for (int status = 0; status < TASK_STATUS_COUNT; status++)
                task->status_ms[status] = -1;
        }
    }
    job->slots = allocate_array(job->slot_count + 1, sizeof(*job->slots));
}

void execution_graph_build(struct job *job)
{
    const struct job_graph *graph = job->graph;
    build_regions(job);
    build_tasks(job);
    job->assigners = allocate_array(graph->operator_count + 1, sizeof(*job->assigners));
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        const struct operator_spec *spec = &graph->operators[i];
        if (spec->input_count > 0)
            continue;
        struct split_assigner *assigner = &job->assigners[job->assigner_count++];
        const uint32_t vertex = job_graph_vertex_of(graph, i);
        split_assigner_init(assigner, i, vertex, spec->uid);
        if (operator_setting(spec, SETTING_SPLITS_SPREAD) != NULL)
            split_assigner_spread(assigner, graph->vertices[vertex].parallelism);
    }
}

void execution_graph_done(struct job *job)
{
    for (size_t i = 0; i < job->task_count; i++) {
        free(job->tasks[i].host);
        free(job->tasks[i].metrics.waits_for);
    }
    for (uint32_t i = 0; i < job->region_count; i++)
        task_failure_done(&job->regions[i].cause);
    for (size_t i = 0; i < job->assigner_count; i++)
        split_assigner_done(&job->assigners[i]);
    free(job->assigners);
    free(job->regions);
    free(job->region_of);
    free(job->tasks);
    free(job->first_task);
    free(job->slots);
}

/* ---- tasks ---- */

void task_set_status(struct core *core, struct task *task, enum task_status status)
{
    CHECK(task_status_may_follow(task->status, status));
    task->status = status;
    task->status_ms[status] = core->wall_ms;
}

bool task_is_live(const struct task *task)
{
    switch (task->status) {
    case TASK_DEPLOYING:
    case TASK_INITIALIZING:
    case TASK_RUNNING:
    case TASK_CANCELING:
        return true;
    case TASK_CREATED:
    case TASK_SCHEDULED:
    case TASK_FINISHED:
    case TASK_CANCELED:
    case TASK_FAILED:
    case TASK_STATUS_COUNT:
        break;
    }
    return false;
}

void task_describe(const struct task *task, char *text, size_t size)
{
    const struct job_vertex *vertex = &task->job->graph->vertices[task->vertex];
    (void)snprintf(text, size, "%s (%u/%u)", vertex->name, task->subtask_index + 1,
                   vertex->parallelism);
}

struct task *execution_graph_find(const struct core *core, struct job_id id,
                                  struct attempt_id attempt)
{
    struct job *job = core_find_job(core, id);
    if (job == NULL || attempt.value == 0)
        return NULL;
    for (size_t i = 0; i < job->task_count; i++)
        if (job->tasks[i].attempt.value == attempt.value)
            return &job->tasks[i];
    return NULL;
}

bool execution_graph_all(const struct job *job, enum task_status status)
{
    for (size_t i = 0; i < job->task_count; i++)
        if (job->tasks[i].status != status)
            return false;
    return true;
}

bool region_has_live_tasks(const struct job *job, uint32_t region)
{
    for (size_t i = 0; i < job->task_count; i++)
        if ((region == UINT32_MAX || job->tasks[i].region == region) &&
            task_is_live(&job->tasks[i]))
            return true;
    return false;
}

/* ---- orders to many tasks ---- */

static bool is_addressed(const struct task *task, const struct task_manager *task_manager,
                         uint32_t region)
{
    return task->task_manager == task_manager && task_is_live(task) &&
           (region == UINT32_MAX || task->region == region);
}

void execution_graph_tell(struct core *core, struct job *job, uint32_t region,
                          enum message_kind kind, const struct message_checkpoint *checkpoint)
{
    for (size_t m = 0; m < core->task_manager_count; m++) {
        struct task_manager *task_manager = core->task_managers[m];
        struct attempt_list targets = {0};
        size_t capacity = 0;
        for (size_t i = 0; i < job->task_count; i++)
            if (is_addressed(&job->tasks[i], task_manager, region))
                array_push(targets.attempts, targets.count, capacity) = job->tasks[i].attempt;
        if (targets.count == 0)
            continue;
        struct message *message = message_create(kind);
        message->job = job->id;
        message->targets = targets;
        if (checkpoint != NULL) {
            message->checkpoint = *checkpoint;
            if (checkpoint->reason != NULL)
                message->checkpoint.reason = copy_text(checkpoint->reason);
        }
        membership_send(core, task_manager, message);
    }
}
