/* The job master's part in checkpoints: triggers, files, pointer, announcement. */
#include "common/base/allocate.h"
#include "jobmanager/checkpoint/metadata_codec.h"
#include "jobmanager/core/core_state.h"

#include <stdio.h>

#define FINAL_RETRY_MAX_MS 1000

static bool is_all_drained(const struct job *job)
{
    for (size_t i = 0; i < job->task_count; i++)
        if (job->tasks[i].status != TASK_FINISHED && !job->tasks[i].is_drained)
            return false;
    return true;
}

/* ---- ends without result ---- */

void job_checkpoint_abort(struct core *core, struct job *job, const char *reason)
{
    const struct checkpoint_id id = job->coordinator.pending->content->id;
    struct path_list gone = {0};
    coordinator_abort(&job->coordinator, reason, core->wall_ms, &gone);
    core_log(core, LOG_WARN, "checkpoint_failed", job, "checkpoint=%llu %s",
             (unsigned long long)id.value, reason);
    const struct message_checkpoint order = {
        .checkpoint = id,
        .completed = coordinator_newest_id(&job->coordinator),
        .reason = (char *)reason,
    };
    execution_graph_tell(core, job, UINT32_MAX, MESSAGE_ABORT, &order);
    char directory[32];
    (void)snprintf(directory, sizeof(directory), "chk-%llu/", (unsigned long long)id.value);
    path_list_add(&gone, directory);
    storage_cleanup(core, job, &gone);
    /* What is still being uploaded arrives after this. */
    if (job->sweep_ms == CORE_NEVER)
        job->sweep_ms = core->now_ms + SWEEP_AGAIN_MS;
    const int64_t paused_ms = core->now_ms + job->options.checkpoint_min_pause_ms;
    if (job->next_trigger_ms < paused_ms)
        job->next_trigger_ms = paused_ms;
    const int64_t interval_ms = job->options.checkpoint_interval_ms;
    job->final_after_ms =
        core->now_ms + (interval_ms < FINAL_RETRY_MAX_MS ? interval_ms : FINAL_RETRY_MAX_MS);
}

static void abort_overdue(struct core *core, struct job *job)
{
    const struct pending_checkpoint *pending = job->coordinator.pending;
    if (pending->phase == PENDING_STORING ||
        core->now_ms - pending->started_ms < job->options.checkpoint_timeout_ms)
        return;
    const char *missing = "none";
    char name[JOB_NAME_BYTES_MAX * 2];
    for (size_t i = 0; i < pending->task_count; i++) {
        if (pending->tasks[i].is_acknowledged)
            continue;
        task_describe(&job->tasks[i], name, sizeof(name));
        missing = name;
        break;
    }
    SCOPED_TEXT char *reason =
        format_text("timed out after %lld ms: %zu of %zu tasks had acknowledged, first missing: %s",
                    (long long)job->options.checkpoint_timeout_ms, pending->acknowledged_count,
                    pending->task_count, missing);
    job_checkpoint_abort(core, job, reason);
}

/* ---- trigger ---- */

static bool has_id(struct job *job)
{
    if (job->checkpoint_next < job->checkpoint_usable)
        return true;
    if (job->checkpoint_limit <= job->checkpoint_next) {
        job->checkpoint_limit = job->checkpoint_next + CHECKPOINT_BLOCK;
        (void)stored_record_touch(&job->record);
    }
    return false;
}

static void trigger(struct core *core, struct job *job, bool is_final)
{
    const struct checkpoint_id id = {job->checkpoint_next++};
    struct attempt_id *attempts = allocate_array(job->task_count + 1, sizeof(*attempts));
    for (size_t i = 0; i < job->task_count; i++)
        attempts[i] = job->tasks[i].attempt;
    struct source_state *sources = allocate_array(job->assigner_count + 1, sizeof(*sources));
    for (size_t i = 0; i < job->assigner_count; i++)
        source_state_copy(&sources[i], &job->assigners[i].state);
    coordinator_begin(&job->coordinator, id, is_final, attempts, job->task_count, sources,
                      job->assigner_count, core->now_ms, core->wall_ms);
    free(attempts);
    const struct message_checkpoint order = {
        .checkpoint = id,
        .completed = coordinator_newest_id(&job->coordinator),
        .is_final = is_final,
    };
    execution_graph_tell(core, job, UINT32_MAX, MESSAGE_TRIGGER, &order);
    job->next_trigger_ms = core->now_ms + job->options.checkpoint_interval_ms;
}

/* Drained tasks may end: without checkpoints at once, else when the final one is complete. */
static void finish_drained(struct core *core, struct job *job)
{
    bool is_told = true;
    for (size_t i = 0; i < job->task_count; i++)
        is_told &= job->tasks[i].status == TASK_FINISHED || job->tasks[i].is_finish_sent;
    if (is_told)
        return;
    execution_graph_tell(core, job, UINT32_MAX, MESSAGE_FINISH, NULL);
    for (size_t i = 0; i < job->task_count; i++)
        job->tasks[i].is_finish_sent = true;
}

void job_checkpoint_check(struct core *core, struct job *job)
{
    if (job->coordinator.pending != NULL) {
        abort_overdue(core, job);
        return;
    }
    if (job->status != JOB_RUNNING)
        return;
    const bool is_drained = is_all_drained(job);
    if (is_drained && (!job->options.checkpoints_on || job->is_final_complete)) {
        finish_drained(core, job);
        return;
    }
    if (!job->options.checkpoints_on || job->is_final_complete ||
        !execution_graph_all(job, TASK_RUNNING))
        return;
    const int64_t due_ms = is_drained ? job->final_after_ms : job->next_trigger_ms;
    if (core->now_ms >= due_ms && has_id(job))
        trigger(core, job, is_drained);
}

int64_t job_checkpoint_next_ms(const struct job *job)
{
    const struct pending_checkpoint *pending = job->coordinator.pending;
    if (pending != NULL)
        return pending->phase == PENDING_STORING
                   ? CORE_NEVER
                   : pending->started_ms + job->options.checkpoint_timeout_ms;
    if (job->status != JOB_RUNNING || !job->options.checkpoints_on || job->is_final_complete ||
        !execution_graph_all(job, TASK_RUNNING))
        return CORE_NEVER;
    if (job->checkpoint_next >= job->checkpoint_usable &&
        job->checkpoint_limit > job->checkpoint_next)
        return CORE_NEVER; /* waits for the store */
    return is_all_drained(job) ? job->final_after_ms : job->next_trigger_ms;
}

/* ---- answers ---- */

static void write_metadata(struct core *core, struct job *job)
{
    struct completed_checkpoint *content = job->coordinator.pending->content;
    const struct checkpoint_metadata metadata = {.job = job->id,
                                                 .leader_epoch = core->config.leader_epoch,
                                                 .graph = job->graph_bytes,
                                                 .graph_size = job->graph_size,
                                                 .checkpoint = content};
    struct text text;
    text_init(&text, METADATA_BYTES_MAX);
    checkpoint_metadata_encode(&metadata, core->config.version, &text);
    if (text.overflowed) {
        text_done(&text);
        job_checkpoint_abort(core, job, "its _metadata is larger than 512 MiB");
        return;
    }
    struct storage_request *request =
        storage_ask(core, STORAGE_PUT_METADATA, REQUEST_WRITE_METADATA, job, content->id.value);
    request->path =
        format_text("%s/chk-%llu/_metadata", job->id_text, (unsigned long long)content->id.value);
    request->size = text.size;
    request->bytes = text_take(&text);
    text_done(&text);
}

void job_on_acknowledge(struct core *core, struct task *task, struct message_acknowledge *message)
{
    struct job *job = task->job;
    struct path_list gone = {0};
    struct error err;
    message->state.attempt = task->attempt;
    message->state.vertex = job->graph->vertices[task->vertex].id;
    message->state.subtask_index = task->subtask_index;
    switch (coordinator_acknowledge(&job->coordinator, message->checkpoint, task->index,
                                    task->attempt, &message->state, core->wall_ms, &gone, &err)) {
    case ACKNOWLEDGE_ALL:
        write_metadata(core, job);
        break;
    case ACKNOWLEDGE_INVALID:
        core_log(core, LOG_ERROR, "acknowledgement_refused", job, "%s", err.message);
        job_checkpoint_abort(core, job, err.message);
        break;
    case ACKNOWLEDGE_RECORDED:
    case ACKNOWLEDGE_DUPLICATE:
    case ACKNOWLEDGE_STALE:
    case ACKNOWLEDGE_LATE:
        break;
    }
    storage_cleanup(core, job, &gone);
}

void job_on_decline(struct core *core, struct task *task, const struct message_decline *message)
{
    struct job *job = task->job;
    const struct pending_checkpoint *pending = job->coordinator.pending;
    if (pending == NULL || pending->phase != PENDING_COLLECTING ||
        pending->content->id.value != message->checkpoint.value)
        return;
    char name[JOB_NAME_BYTES_MAX * 2];
    task_describe(task, name, sizeof(name));
    SCOPED_TEXT char *reason = format_text("%s declined: %s", name, message->reason);
    job_checkpoint_abort(core, job, reason);
}

/* ---- durability ---- */

void job_on_metadata_written(struct core *core, struct job *job, uint64_t number, enum status code,
                             const char *message)
{
    struct pending_checkpoint *pending = job->coordinator.pending;
    if (pending == NULL || pending->phase != PENDING_WRITING ||
        pending->content->id.value != number) {
        /* It was aborted meanwhile: the file came after the directory had been removed. */
        storage_ask(core, STORAGE_DELETE_TREE, REQUEST_CLEANUP, job, 0)->path =
            format_text("%s/chk-%llu", job->id_text, (unsigned long long)number);
        return;
    }
    if (code != STATUS_OK) {
        /* Nothing names the file yet, so what became of it does not matter. */
        SCOPED_TEXT char *reason = format_text("_metadata cannot be written: %s", message);
        job_checkpoint_abort(core, job, reason);
        return;
    }
    pending->phase = PENDING_STORING;
    job->storing_revision = stored_record_touch(&job->record);
}

void job_checkpoint_on_durable(struct core *core, struct job *job)
{
    const struct pending_checkpoint *pending = job->coordinator.pending;
    if (pending == NULL || pending->phase != PENDING_STORING ||
        job->record.durable < job->storing_revision)
        return;
    const struct checkpoint_id id = pending->content->id;
    job->is_final_complete |= pending->content->is_final;
    struct path_list gone = {0};
    coordinator_complete(&job->coordinator, core->wall_ms, &gone);
    struct checkpoint_statistics *statistics = &job->coordinator.statistics;
    struct checkpoint_record *record = checkpoint_statistics_find(statistics, id);
    if (record != NULL) {
        free(record->path);
        record->path = format_text("%s/chk-%llu", job->id_text, (unsigned long long)id.value);
        free(statistics->latest_completed.path);
        statistics->latest_completed.path = copy_text(record->path);
    }
    restart_strategy_on_checkpoint(&job->restart);
    const struct message_checkpoint order = {.checkpoint = id, .completed = id};
    execution_graph_tell(core, job, UINT32_MAX, MESSAGE_COMPLETED, &order);
    storage_cleanup(core, job, &gone);
    const int64_t paused_ms = core->now_ms + job->options.checkpoint_min_pause_ms;
    if (job->next_trigger_ms < paused_ms)
        job->next_trigger_ms = paused_ms;
}
