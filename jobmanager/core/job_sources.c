/* Enumerators and readers of a job's sources. */
#include "common/base/allocate.h"
#include "jobmanager/core/core_state.h"

static void act_discover(struct core *core, struct job *job, const struct split_assigner *assigner,
                         enum core_action_kind kind)
{
    struct core_action *action = core_act(core, kind);
    action->discover.job = job->id;
    action->discover.operator_index = assigner->operator_index;
    action->discover.enumerator = assigner->enumerator;
    action->discover.spec = &job->graph->operators[assigner->operator_index];
    action->discover.graph = job->graph;
    action->discover.is_resumed = assigner->state.seen_count > 0;
}

void job_sources_start(struct core *core, struct job *job, uint32_t region)
{
    const struct completed_checkpoint *newest = coordinator_newest(&job->coordinator);
    for (size_t i = 0; i < job->assigner_count; i++) {
        struct split_assigner *assigner = &job->assigners[i];
        if (job->region_of[assigner->vertex] != region)
            continue;
        split_assigner_reset(
            assigner,
            newest == NULL ? NULL : completed_checkpoint_find_source(newest, assigner->state.uid));
        if (assigner->state.is_complete)
            continue;
        assigner->enumerator = core->next_enumerator++;
        act_discover(core, job, assigner, CORE_DISCOVER_START);
    }
}

void job_sources_stop(struct core *core, struct job *job, uint32_t region)
{
    for (size_t i = 0; i < job->assigner_count; i++) {
        struct split_assigner *assigner = &job->assigners[i];
        if (job->region_of[assigner->vertex] != region)
            continue;
        assigner->waiting_count = 0;
        assigner->told_count = 0;
        if (assigner->enumerator != 0)
            act_discover(core, job, assigner, CORE_DISCOVER_STOP);
        assigner->enumerator = 0;
    }
}

/* Takes the splits. Readers leave the queue when their region stops, so some may be gone. */
static void send_splits(struct core *core, struct job *job, const struct split_assigner *assigner,
                        struct attempt_id attempt, struct source_split_list *splits, bool is_last)
{
    struct task *task = execution_graph_find(core, job->id, attempt);
    if (task == NULL || task->task_manager == NULL) {
        source_split_list_done(splits);
        return;
    }
    struct message *message = message_create(MESSAGE_SPLITS);
    message->job = job->id;
    message->attempt = attempt;
    message->splits.operator_index = assigner->operator_index;
    message->splits.is_last = is_last;
    message->splits.splits = *splits;
    *splits = (struct source_split_list){0};
    membership_send(core, task->task_manager, message);
}

static void answer_readers(struct core *core, struct job *job, struct split_assigner *assigner)
{
    struct attempt_id attempt;
    struct source_split_list splits = {0};
    while (split_assigner_next(assigner, &attempt, &splits))
        send_splits(core, job, assigner, attempt, &splits, splits.count == 0);
    /* A reader without splits must not hold event time back. */
    while (split_assigner_none(assigner, &attempt))
        send_splits(core, job, assigner, attempt, &splits, false);
}

static struct split_assigner *find_assigner(struct job *job, uint32_t operator_index)
{
    for (size_t i = 0; i < job->assigner_count; i++)
        if (job->assigners[i].operator_index == operator_index)
            return &job->assigners[i];
    return NULL;
}

void job_on_want_splits(struct core *core, struct task *task, uint32_t operator_index)
{
    struct split_assigner *assigner = find_assigner(task->job, operator_index);
    if (assigner == NULL || assigner->vertex != task->vertex || !task_is_live(task) ||
        task->status == TASK_CANCELING)
        return;
    split_assigner_ask(assigner, task->subtask_index, task->attempt);
    answer_readers(core, task->job, assigner);
}

void job_on_discovered(struct core *core, const struct core_event *event)
{
    struct job *job = core_find_job(core, event->discovered.job);
    struct split_assigner *assigner =
        job == NULL ? NULL : find_assigner(job, event->discovered.operator_index);
    if (assigner == NULL || assigner->enumerator == 0 ||
        assigner->enumerator != event->discovered.enumerator)
        return; /* of an enumerator that was stopped */
    const struct operator_spec *spec = &job->graph->operators[assigner->operator_index];
    free(assigner->waits_for);
    assigner->waits_for = NULL;
    struct error err;
    enum status code = event->discovered.code;
    if (code == STATUS_OK)
        code = split_assigner_add(assigner, &event->discovered.splits, &err);
    else
        (void)error_set(&err, code, "%s",
                        event->discovered.message == NULL ? status_text(code)
                                                          : event->discovered.message);
    if (code != STATUS_OK) {
        SCOPED_TEXT char *message = format_text("source %s: %s", spec->name, err.message);
        /* What is not there yet is waited for. */
        if (code != STATUS_NOT_FOUND && status_retry_class(code) == RETRY_CLASS_NEVER)
            job_fail(core, job, code, message);
        else
            assigner->waits_for = take_pointer(&message);
        return;
    }
    assigner->has_looked = true;
    if (event->discovered.is_last) {
        assigner->state.is_complete = true;
        act_discover(core, job, assigner, CORE_DISCOVER_STOP);
        assigner->enumerator = 0;
    }
    answer_readers(core, job, assigner);
}
