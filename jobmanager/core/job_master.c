/* The life of one job. */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "jobmanager/core/core_state.h"

#include <stdio.h>
#include <string.h>

struct job *job_create(struct core *core, struct job_id id, struct job_graph *graph)
{
    struct job *job = allocate(sizeof(*job));
    job->id = id;
    id128_format(id.value, job->id_text);
    job->lane = core->next_lane++;
    job->graph = graph;
    struct text text;
    text_init(&text, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &text);
    job->graph_size = text.size;
    job->graph_bytes = text_take(&text);
    text_done(&text);
    job_options_init(&job->options);
    for (int status = 0; status < JOB_STATUS_COUNT; status++)
        job->status_ms[status] = -1;
    job->status_ms[JOB_INITIALIZING] = core->wall_ms;
    job->submit_ms = job->start_ms = core->wall_ms;
    job->end_ms = -1;
    job->reread_ms = CORE_NEVER;
    job->sweep_ms = CORE_NEVER;
    job->checkpoint_next = 1;
    execution_graph_build(job);
    array_push(core->jobs, core->job_count, core->job_capacity) = job;
    return job;
}

void job_destroy(struct job *job)
{
    if (job == NULL)
        return;
    execution_graph_done(job);
    coordinator_done(&job->coordinator);
    restart_strategy_done(&job->restart);
    for (size_t i = 0; i < job->exception_count; i++)
        stored_exception_done(&job->exceptions[i]);
    for (size_t i = 0; i < job->stored_id_count; i++)
        completed_checkpoint_destroy(job->read[i]);
    completed_checkpoint_destroy(job->restored);
    free(job->read);
    free(job->stored_ids);
    free(job->submit_tokens);
    free(job->cancel_tokens);
    free(job->repeated_record);
    free(job->waits_for);
    free(job->record.problem);
    free(job->graph_bytes);
    job_graph_destroy(job->graph);
    free(job);
}

void job_set_status(struct core *core, struct job *job, enum job_status status)
{
    if (job->status == status)
        return;
    CHECK(job_status_may_follow(job->status, status));
    core_log(core, LOG_INFO, "job_state", job, "from=%s to=%s", job_status_name(job->status),
             job_status_name(status));
    job->status = status;
    job->status_ms[status] = core->wall_ms;
}

void job_start(struct core *core, struct job *job)
{
    restart_strategy_init(&job->restart, &job->options.restart);
    job_set_status(core, job, JOB_CREATED);
}

static void note_exception(struct core *core, struct job *job, const struct task *task,
                           enum status code, const char *message, const char *record)
{
    if (job->exception_count == JOB_STORE_EXCEPTION_MAX)
        stored_exception_done(&job->exceptions[--job->exception_count]);
    memmove(job->exceptions + 1, job->exceptions, job->exception_count * sizeof(*job->exceptions));
    job->exception_count++;
    job->exceptions[0] = (struct stored_exception){
        .wall_ms = core->wall_ms, .code = code, .message = copy_text(message)};
    if (record != NULL)
        job->exceptions[0].record = copy_text(record);
    if (task == NULL)
        return;
    char name[JOB_NAME_BYTES_MAX * 2];
    task_describe(task, name, sizeof(name));
    job->exceptions[0].task = copy_text(name);
    job->exceptions[0].host = task->host == NULL ? NULL : copy_text(task->host);
    job->exceptions[0].attempt = task->attempt;
}

/* ---- stopping ---- */

static void cancel_live_tasks(struct core *core, struct job *job, uint32_t region)
{
    execution_graph_tell(core, job, region, MESSAGE_CANCEL, NULL);
    for (size_t i = 0; i < job->task_count; i++) {
        struct task *task = &job->tasks[i];
        if (task->region != region || !task_is_live(task) || task->status == TASK_CANCELING)
            continue;
        task->canceling_ms = core->now_ms;
        task_set_status(core, task, TASK_CANCELING);
    }
}

/* A region's tasks stop; what then, job_check decides when they have. */
static void stop_region(struct core *core, struct job *job, uint32_t region)
{
    if (job->coordinator.pending != NULL && job->coordinator.pending->phase != PENDING_STORING)
        job_checkpoint_abort(core, job, "a task of the job has failed or is being stopped");
    job_sources_stop(core, job, region);
    if (job->regions[region].phase == REGION_LIVE || region_has_live_tasks(job, region))
        job->regions[region].phase = REGION_STOPPING;
    cancel_live_tasks(core, job, region);
}

static void stop_all(struct core *core, struct job *job)
{
    for (uint32_t r = 0; r < job->region_count; r++)
        stop_region(core, job, r);
    free(job->waits_for);
    job->waits_for = NULL;
}

static bool is_ending(const struct job *job)
{
    return job_status_is_terminal(job->status) || job->status == JOB_CANCELLING ||
           job->status == JOB_FAILING || job_end_is_decided(job);
}

void job_fail(struct core *core, struct job *job, enum status code, const char *message)
{
    if (is_ending(job))
        return;
    core_log(core, LOG_ERROR, "job_failed", job, "%s", message);
    if (job->exception_count == 0 || strcmp(job->exceptions[0].message, message) != 0)
        note_exception(core, job, NULL, code, message, NULL);
    job_set_status(core, job, JOB_FAILING);
    stop_all(core, job);
}

void job_cancel(struct core *core, struct job *job)
{
    if (job_status_is_terminal(job->status) || job->status == JOB_CANCELLING ||
        job_end_is_decided(job))
        return;
    job_set_status(core, job, JOB_CANCELLING);
    stop_all(core, job);
}

/* ---- failures ---- */

/* The same failure on the same record again and again: no restart will help. */
static bool is_hopeless(struct job *job, const struct task_failure *failure)
{
    if (failure->record == NULL) {
        job->repeated_count = 0;
        return false;
    }
    char *signature = format_text("%s %s", status_name(failure->code), failure->record);
    const bool is_same =
        job->repeated_record != NULL && strcmp(job->repeated_record, signature) == 0;
    free(job->repeated_record);
    job->repeated_record = signature;
    job->repeated_count = is_same ? job->repeated_count + 1 : 1;
    return job->repeated_count >= RECORD_REPEAT_MAX;
}

static void on_task_failed(struct core *core, struct task *task, const struct task_failure *failure)
{
    struct job *job = task->job;
    struct region *region = &job->regions[task->region];
    const char *message = failure->message == NULL ? status_text(failure->code) : failure->message;
    char name[JOB_NAME_BYTES_MAX * 2];
    task_describe(task, name, sizeof(name));
    core_log(core, LOG_WARN, "task_failed", job, "task=%s attempt=%llu code=%s %s", name,
             (unsigned long long)task->attempt.value, status_name(failure->code), message);
    if (region->phase != REGION_LIVE || is_ending(job))
        return; /* a consequence of what is being handled already */
    note_exception(core, job, task, failure->code, message, failure->record);
    task_failure_copy(&region->cause, failure);
    if (id128_is_none(failure->lost_peer)) {
        const bool is_final = status_retry_class(failure->code) == RETRY_CLASS_NEVER &&
                              failure->code != STATUS_FENCED && failure->code != STATUS_CANCELED;
        if (is_hopeless(job, failure) || is_final) {
            SCOPED_TEXT char *why = is_final
                                        ? copy_text(message)
                                        : format_text("failed %d times on the same record (%s): %s",
                                                      RECORD_REPEAT_MAX, failure->record, message);
            job_fail(core, job, failure->code, why);
            return;
        }
    }
    stop_region(core, job, task->region);
    job_set_status(core, job, JOB_RESTARTING);
}

void job_on_task_update(struct core *core, struct task *task,
                        const struct message_task_update *update)
{
    struct job *job = task->job;
    if (!task_is_live(task) || !task_status_may_follow(task->status, update->status) ||
        update->status == TASK_CANCELING)
        return; /* e.g. RUNNING that crossed our CANCEL */
    const bool was_canceling = task->status == TASK_CANCELING;
    struct task_failure failure = {.code = STATUS_IO};
    switch (update->status) {
    case TASK_FINISHED:
        if (!task->is_finish_sent && !was_canceling) {
            failure.message = (char *)"the task ended before it was told to";
            task_set_status(core, task, TASK_FAILED);
            on_task_failed(core, task, &failure);
            return;
        }
        task_set_status(core, task, TASK_FINISHED);
        break;
    case TASK_FAILED:
        task_set_status(core, task, TASK_FAILED);
        on_task_failed(core, task, &update->failure);
        break;
    case TASK_INITIALIZING:
    case TASK_RUNNING:
    case TASK_CANCELED:
        task_set_status(core, task, update->status);
        break;
    case TASK_CREATED:
    case TASK_SCHEDULED:
    case TASK_DEPLOYING:
    case TASK_CANCELING:
    case TASK_STATUS_COUNT:
        break;
    }
    if (update->status == TASK_RUNNING && execution_graph_all(job, TASK_RUNNING))
        core_log(core, LOG_INFO, "job_running", job, "tasks=%zu", job->task_count);
}

void job_on_drained(struct task *task)
{
    if (task->status == TASK_RUNNING)
        task->is_drained = true;
}

void job_on_task_manager_lost(struct core *core, struct job *job,
                              const struct task_manager *task_manager, const char *reason)
{
    for (uint32_t i = 0; i < job->slot_count; i++)
        if (job->slots[i].task_manager == task_manager)
            job->slots[i].task_manager = NULL;
    for (size_t i = 0; i < job->task_count; i++) {
        struct task *task = &job->tasks[i];
        if (task->task_manager != task_manager)
            continue;
        task->task_manager = NULL;
        if (!task_is_live(task))
            continue;
        task_set_status(core, task, TASK_FAILED);
        struct region *region = &job->regions[task->region];
        if (region->phase != REGION_LIVE || is_ending(job))
            continue;
        SCOPED_TEXT char *message =
            format_text("TaskManager %s on %s was lost: %s", task_manager->registration.name,
                        task_manager->registration.host, reason);
        note_exception(core, job, task, STATUS_UNAVAILABLE, message, NULL);
        region->is_free_restart = true;
        stop_region(core, job, task->region);
        job_set_status(core, job, JOB_RESTARTING);
    }
}

/* ---- ends ---- */

static void end_job(struct core *core, struct job *job, enum job_status status)
{
    core_log(core, LOG_INFO, "job_ending", job, "as=%s", job_status_name(status));
    job->ending = status;
    job->end_ms = core->wall_ms;
    job->ending_revision = stored_record_touch(&job->record);
    scheduler_release(job);
}

static bool keeps_checkpoints(const struct job *job, enum job_status status)
{
    return status == JOB_FAILED || (status == JOB_CANCELED && job->options.retain_on_cancellation);
}

void job_encode_record(const struct job *job, struct text *out)
{
    const bool is_ended = job_end_is_decided(job);
    struct stored_job record = {
        .job = job->id,
        .status = is_ended ? job->ending : JOB_RUNNING,
        .start_ms = job->start_ms,
        .end_ms = job->end_ms,
        .is_cancel_requested = job->is_cancel_requested,
        .checkpoint_limit = job->checkpoint_limit,
        .is_final_complete = job->is_final_complete,
        .restart_count = job->restart_count,
        .exception_count = job->exception_count,
    };
    const struct pending_checkpoint *pending = job->coordinator.pending;
    if (pending != NULL && pending->phase == PENDING_STORING)
        record.is_final_complete |= pending->content->is_final;
    memcpy(record.exceptions, job->exceptions, sizeof(record.exceptions));
    if (job->is_recovering) {
        for (size_t i = 0; i < job->stored_id_count; i++)
            if (job->stored_ids[i] != 0)
                record.retained[record.retained_count++] = job->stored_ids[i];
    } else if (!is_ended || keeps_checkpoints(job, job->ending)) {
        record.retained_count =
            coordinator_list_ids(&job->coordinator, record.retained, JOB_STORE_RETAINED_MAX);
    }
    stored_job_encode(&record, MILLSTREAM_VERSION, out);
}

void job_clean_up(struct core *core, struct job *job)
{
    /* Of a job that had ended before, once more when every TaskManager of the earlier leader has
     * surely ended its tasks. */
    const bool is_again = job->is_recovered_end && !job->is_cleaned_up;
    job->sweep_ms = is_again ? core->now_ms + SWEEP_AGAIN_MS : CORE_NEVER;
    job->is_cleaned_up = true;
    if (!keeps_checkpoints(job, job->status))
        storage_delete_job(core, job);
    else if (!job->is_recovering)
        storage_sweep(core, job); /* all that is kept is known */
    else
        ended_job_sweep(core, job);
}

static void on_ended(struct core *core, struct job *job)
{
    job_set_status(core, job, job->ending);
    for (size_t i = 0; i < job->cancel_token_count; i++) {
        const bool is_canceled = job->status == JOB_CANCELED;
        core_reply(core, REPLY_CANCEL, job->cancel_tokens[i], job->id,
                   is_canceled ? STATUS_OK : STATUS_INVALID,
                   is_canceled ? NULL : "the job ended before it could be canceled");
    }
    job->cancel_token_count = 0;
    job_clean_up(core, job);
}

void job_on_record_durable(struct core *core, struct job *job)
{
    if (job->is_restore_pending) {
        job->is_restore_pending = false;
        dispatcher_store_graph(core, job);
    }
    job_checkpoint_on_durable(core, job);
    if (job_end_is_decided(job) && !job_status_is_terminal(job->status) &&
        job->record.durable >= job->ending_revision)
        on_ended(core, job);
}

/* ---- what is due ---- */

static bool is_registered(const struct core *core, struct id128 incarnation)
{
    for (size_t i = 0; i < core->task_manager_count; i++)
        if (id128_equals(core->task_managers[i]->incarnation, incarnation))
            return true;
    return false;
}

/* All tasks of the region have ended: when does it run again? */
static void decide_restart(struct core *core, struct job *job, struct region *region)
{
    const struct task_failure *cause = &region->cause;
    const bool is_peer_lost =
        !id128_is_none(cause->lost_peer) && !is_registered(core, cause->lost_peer);
    int64_t delay_ms = 0;
    const char *why = "";
    if (!region->is_free_restart && !is_peer_lost &&
        !restart_strategy_on_failure(&job->restart, &core->random, job->options.checkpoints_on,
                                     core->now_ms, &delay_ms, &why)) {
        SCOPED_TEXT char *message = format_text(
            "%s; no restart: %s", cause->message == NULL ? "failed" : cause->message, why);
        job_fail(core, job, cause->code, message);
        return;
    }
    region->phase = delay_ms > 0 ? REGION_DELAYED : REGION_WAITING;
    region->restart_ms = core->now_ms + delay_ms;
}

static void check_regions(struct core *core, struct job *job)
{
    for (uint32_t r = 0; r < job->region_count && !is_ending(job); r++) {
        struct region *region = &job->regions[r];
        if (region->phase == REGION_STOPPING && !region_has_live_tasks(job, r))
            decide_restart(core, job, region);
        if (region->phase == REGION_DELAYED && core->now_ms >= region->restart_ms)
            region->phase = REGION_WAITING;
    }
}

/* A task that does not stop: its TaskManager is given up. */
static void check_cancel_timeouts(struct core *core, struct job *job)
{
    for (size_t i = 0; i < job->task_count; i++) {
        struct task *task = &job->tasks[i];
        if (task->status != TASK_CANCELING ||
            core->now_ms - task->canceling_ms < job->options.cancel_timeout_ms)
            continue;
        char reason[JOB_NAME_BYTES_MAX * 2 + 64];
        char name[JOB_NAME_BYTES_MAX * 2];
        task_describe(task, name, sizeof(name));
        (void)snprintf(reason, sizeof(reason), "task %s did not stop within %lld ms", name,
                       (long long)job->options.cancel_timeout_ms);
        if (task->task_manager != NULL)
            membership_drop(core, task->task_manager, reason);
    }
}

static void check_end(struct core *core, struct job *job)
{
    if (job->status == JOB_CANCELLING || job->status == JOB_FAILING) {
        if (!region_has_live_tasks(job, UINT32_MAX))
            end_job(core, job, job->status == JOB_FAILING ? JOB_FAILED : JOB_CANCELED);
    } else if (job->status == JOB_RUNNING && execution_graph_all(job, TASK_FINISHED)) {
        end_job(core, job, JOB_FINISHED);
    }
}

void job_check(struct core *core, struct job *job)
{
    if (job_status_is_terminal(job->status) && core->now_ms >= job->sweep_ms)
        job_clean_up(core, job);
    if (job_status_is_terminal(job->status) || job_end_is_decided(job))
        return;
    if (job->status == JOB_INITIALIZING) {
        recovery_check(core, job);
        if (job->status != JOB_CREATED)
            return;
    }
    check_cancel_timeouts(core, job);
    check_regions(core, job);
    if (!is_ending(job)) {
        scheduler_try(core, job);
        job_checkpoint_check(core, job);
    }
    check_end(core, job);
    if (core->now_ms >= job->sweep_ms && !job_end_is_decided(job)) {
        job->sweep_ms = CORE_NEVER;
        storage_sweep(core, job);
    }
}

int64_t job_next_ms(const struct job *job)
{
    if (job_status_is_terminal(job->status))
        return job->sweep_ms;
    if (job_end_is_decided(job))
        return CORE_NEVER;
    int64_t next = job->sweep_ms < job->reread_ms ? job->sweep_ms : job->reread_ms;
    for (uint32_t r = 0; r < job->region_count; r++)
        if (job->regions[r].phase == REGION_DELAYED && job->regions[r].restart_ms < next)
            next = job->regions[r].restart_ms;
    for (size_t i = 0; i < job->task_count; i++) {
        const int64_t due = job->tasks[i].canceling_ms + job->options.cancel_timeout_ms;
        if (job->tasks[i].status == TASK_CANCELING && due < next)
            next = due;
    }
    const int64_t checkpoint = job_checkpoint_next_ms(job);
    return checkpoint < next ? checkpoint : next;
}
