/*
 * Alignment groups: sources of a job that name the same group wait for the slowest of its subtasks.
 *
 * Nothing is kept: each heartbeat brings where event time is in the tasks of a TaskManager, and its
 * reply says how far each of its aligned sources may go, the group's least watermark plus the
 * source's max_drift. A subtask that is idle or whose input has ended does not count; one that
 * knows no time yet holds the others. The slowest is never told to wait, so something always goes
 * on.
 */
#include "common/base/allocate.h"
#include "common/config/watermark_options.h"
#include "common/rpc/message_codec.h"
#include "jobmanager/core/core_state.h"

#include <string.h>

/* What a vertex says of its source. */
struct aligned_vertex {
    const char *group; /* NULL: not aligned */
    int64_t max_drift_ms;
    int64_t least_ms; /* of the group */
};

static void read_vertex(const struct job *job, uint32_t vertex, struct aligned_vertex *out)
{
    const struct job_vertex *planned = &job->graph->vertices[vertex];
    *out = (struct aligned_vertex){.least_ms = INT64_MAX};
    for (uint32_t i = 0; i < planned->operator_count; i++) {
        const struct operator_spec *spec = &job->graph->operators[planned->operators[i]];
        struct option_value values[WATERMARK_OPTION_COUNT];
        struct error err;
        if (strcmp(spec->kind, WATERMARK_OPERATOR) != 0 ||
            options_from_settings(watermark_options, spec->settings, spec->setting_count,
                                  WATERMARK_SETTING_PREFIX, values, &err) != STATUS_OK)
            continue;
        out->group = values[WATERMARK_ALIGN].text;
        out->max_drift_ms = values[WATERMARK_MAX_DRIFT].integer;
    }
}

static bool is_same_group(const struct aligned_vertex *a, const struct aligned_vertex *b)
{
    return a->group != NULL && b->group != NULL && strcmp(a->group, b->group) == 0;
}

/* One pass over the tasks, then one over the vertices of each group. */
static void find_least(const struct job *job, struct aligned_vertex *vertices)
{
    for (size_t i = 0; i < job->task_count; i++) {
        const struct task *task = &job->tasks[i];
        struct aligned_vertex *vertex = &vertices[task->vertex];
        if (task->status != TASK_FINISHED && !task->metrics.is_time_idle &&
            task->metrics.watermark_ms < vertex->least_ms)
            vertex->least_ms = task->metrics.watermark_ms;
    }
    for (uint32_t a = 0; a < job->graph->vertex_count; a++) {
        for (uint32_t b = 0; b < job->graph->vertex_count; b++) {
            if (is_same_group(&vertices[a], &vertices[b]) &&
                vertices[b].least_ms < vertices[a].least_ms)
                vertices[a].least_ms = vertices[b].least_ms;
        }
    }
}

static int64_t limit_of(const struct aligned_vertex *vertex)
{
    return vertex->least_ms > INT64_MAX - vertex->max_drift_ms
               ? INT64_MAX
               : vertex->least_ms + vertex->max_drift_ms;
}

static void answer_job(const struct job *job, const struct task_manager *task_manager,
                       const struct aligned_vertex *vertices, struct attempt_list *targets)
{
    size_t capacity = targets->count;
    for (size_t i = 0; i < job->task_count; i++) {
        const struct task *task = &job->tasks[i];
        if (task->task_manager != task_manager || vertices[task->vertex].group == NULL ||
            task->status != TASK_RUNNING || targets->count >= MESSAGE_TARGET_MAX)
            continue;
        size_t limit_capacity = capacity;
        size_t limit_count = targets->count;
        array_push(targets->attempts, targets->count, capacity) = task->attempt;
        array_push(targets->limits_ms, limit_count, limit_capacity) =
            limit_of(&vertices[task->vertex]);
    }
}

void alignment_answer(const struct core *core, const struct task_manager *task_manager,
                      struct attempt_list *targets)
{
    for (size_t i = 0; i < core->job_count; i++) {
        const struct job *job = core->jobs[i];
        if (job->graph == NULL || job_status_is_terminal(job->status))
            continue;
        const uint32_t count = job->graph->vertex_count;
        struct aligned_vertex *vertices = allocate_array((size_t)count + 1, sizeof(*vertices));
        bool is_aligned = false;
        for (uint32_t v = 0; v < count; v++) {
            read_vertex(job, v, &vertices[v]);
            is_aligned |= vertices[v].group != NULL;
        }
        if (is_aligned) {
            find_least(job, vertices);
            answer_job(job, task_manager, vertices, targets);
        }
        free(vertices);
    }
}
