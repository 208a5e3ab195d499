/* Events in, actions out. */
#include "jobmanager/core/core.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "jobmanager/core/core_state.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- output ---- */

static void action_done(struct core_action *action)
{
    switch (action->kind) {
    case CORE_SEND:
        message_destroy(action->message);
        break;
    case CORE_CLOSE:
        free(action->close.reason);
        break;
    case CORE_STORAGE:
        free(action->storage.path);
        free(action->storage.bytes);
        for (size_t i = 0; i < action->storage.path_count; i++)
            free(action->storage.paths[i]);
        free(action->storage.paths);
        break;
    case CORE_REPLY:
        free(action->reply.message);
        break;
    case CORE_LOG:
        free(action->log.job);
        free(action->log.text);
        break;
    case CORE_FATAL:
        free(action->fatal.message);
        break;
    case CORE_DISCOVER_START:
    case CORE_DISCOVER_STOP:
        break;
    }
}

void core_output_clear(struct core_output *output)
{
    for (size_t i = 0; i < output->count; i++)
        action_done(&output->actions[i]);
    output->count = 0;
}

void core_output_done(struct core_output *output)
{
    core_output_clear(output);
    free(output->actions);
    *output = (struct core_output){0};
}

struct core_action *core_act(struct core *core, enum core_action_kind kind)
{
    struct core_output *output = core->output;
    struct core_action *action = &array_push(output->actions, output->count, output->capacity);
    action->kind = kind;
    return action;
}

void core_log(struct core *core, enum log_level level, const char *event, const struct job *job,
              const char *format, ...)
{
    struct core_action *action = core_act(core, CORE_LOG);
    action->log.level = level;
    action->log.event = event;
    action->log.job = job == NULL ? NULL : copy_text(job->id_text);
    va_list arguments;
    va_start(arguments, format);
    action->log.text = format_text_v(format, arguments);
    va_end(arguments);
}

void core_fatal(struct core *core, const char *message)
{
    core->phase = CORE_DEAD;
    core_act(core, CORE_FATAL)->fatal.message = copy_text(message);
}

void core_reply(struct core *core, enum reply_kind kind, uint64_t token, struct job_id job,
                enum status code, const char *message)
{
    struct core_action *action = core_act(core, CORE_REPLY);
    action->reply.token = token;
    action->reply.kind = kind;
    action->reply.job = job;
    action->reply.code = code;
    action->reply.message = message == NULL ? NULL : copy_text(message);
}

struct job *core_find_job(const struct core *core, struct job_id id)
{
    for (size_t i = 0; i < core->job_count; i++)
        if (id128_equals(core->jobs[i]->id.value, id.value))
            return core->jobs[i];
    return NULL;
}

/* ---- life ---- */

void core_config_init(struct core_config *config)
{
    *config = (struct core_config){.heartbeat_interval_ms = 1000,
                                   .heartbeat_timeout_ms = 5000,
                                   .registration_timeout_ms = 10000,
                                   .ended_job_max = 100,
                                   .ended_job_keep_ms = INT64_C(7) * 24 * 3600 * 1000};
}

struct core *core_create(const struct core_config *config, uint64_t seed)
{
    CHECK(config->leader_epoch > 0 && !id128_is_none(config->incarnation));
    struct core *core = allocate(sizeof(*core));
    core->config = *config;
    core->config.cluster_id = copy_text_or_empty(config->cluster_id);
    core->config.host = copy_text_or_empty(config->host);
    core->config.version = copy_text_or_empty(config->version);
    core->config.checkpoint_directory = copy_text_or_empty(config->checkpoint_directory);
    core->config.token = copy_text_or_empty(config->token);
    random_init(&core->random, seed);
    core->attempt_next = 1;
    core->next_request = 1;
    core->next_lane = 1;
    core->next_enumerator = 1;
    core->load_retry_ms = CORE_NEVER;
    return core;
}

void core_destroy(struct core *core)
{
    if (core == NULL)
        return;
    for (size_t i = 0; i < core->job_count; i++)
        job_destroy(core->jobs[i]);
    for (size_t i = 0; i < core->task_manager_count; i++)
        task_manager_destroy(core->task_managers[i]);
    for (size_t i = 0; i < core->newcomer_count; i++)
        free(core->newcomers[i].host);
    free(core->jobs);
    free(core->task_managers);
    free(core->newcomers);
    free(core->requests);
    free(core->cluster_record.problem);
    free(core->config.cluster_id);
    free(core->config.host);
    free(core->config.version);
    free(core->config.checkpoint_directory);
    free(core->config.token);
    free(core);
}

bool core_is_ready(const struct core *core)
{
    return core->phase == CORE_READY;
}

bool core_takes_submits(const struct core *core)
{
    return core->phase == CORE_READY && core->attempt_usable > 0;
}

const struct job_graph *core_find_graph(const struct core *core, struct job_id job)
{
    const struct job *found = core_find_job(core, job);
    return found == NULL ? NULL : found->graph;
}

/* ---- steps ---- */

static void dispatch(struct core *core, const struct core_event *event)
{
    switch (event->kind) {
    case CORE_EVENT_START:
        recovery_start(core);
        break;
    case CORE_EVENT_OPENED:
        membership_on_opened(core, event->connection, event->opened.remote_host);
        break;
    case CORE_EVENT_CLOSED:
        membership_on_closed(core, event->connection, event->closed.reason);
        break;
    case CORE_EVENT_MESSAGE:
        membership_on_message(core, event->connection, event->message);
        break;
    case CORE_EVENT_TICK:
        break;
    case CORE_EVENT_STORAGE_DONE:
        storage_on_done(core, event);
        break;
    case CORE_EVENT_SUBMIT:
        dispatcher_submit(core, event);
        break;
    case CORE_EVENT_CANCEL:
        dispatcher_cancel(core, event);
        break;
    case CORE_EVENT_DISCOVERED:
        job_on_discovered(core, event);
        break;
    }
}

/* Everything that follows from the state and the time. */
static void advance(struct core *core)
{
    membership_check(core);
    if (core->phase == CORE_LOADING && core->now_ms >= core->load_retry_ms)
        recovery_start(core);
    if (core->phase != CORE_READY)
        return;
    for (size_t i = 0; i < core->job_count; i++)
        job_check(core, core->jobs[i]);
    dispatcher_forget_old(core);
    /* Last: what the jobs asked for goes out in one write each. */
    storage_write_cluster(core);
    for (size_t i = 0; i < core->job_count; i++)
        storage_write_job(core, core->jobs[i]);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t record_next_ms(const struct stored_record *record)
{
    return record->in_flight == 0 && record->durable < record->revision ? record->retry_ms
                                                                        : CORE_NEVER;
}

static int64_t next_tick_ms(const struct core *core)
{
    int64_t next = earlier(membership_next_ms(core), core->load_retry_ms);
    if (core->phase != CORE_READY)
        return next;
    next = earlier(next, dispatcher_next_ms(core));
    next = earlier(next, record_next_ms(&core->cluster_record));
    for (size_t i = 0; i < core->job_count; i++) {
        next = earlier(next, job_next_ms(core->jobs[i]));
        next = earlier(next, record_next_ms(&core->jobs[i]->record));
    }
    return next;
}

/* What an event hands over and nobody takes. */
static void release_taken(const struct core_event *event)
{
    if (event->kind == CORE_EVENT_MESSAGE)
        message_destroy(event->message);
    if (event->kind == CORE_EVENT_SUBMIT)
        job_graph_destroy(event->submit.graph);
}

void core_step(struct core *core, const struct core_event *event, int64_t now_ms, int64_t wall_ms,
               struct core_output *output)
{
    if (core->phase == CORE_DEAD) {
        release_taken(event);
        output->next_tick_ms = CORE_NEVER;
        return;
    }
    core->now_ms = now_ms;
    core->wall_ms = wall_ms;
    core->output = output;
    dispatch(core, event);
    if (core->phase != CORE_DEAD)
        advance(core);
    output->next_tick_ms = core->phase == CORE_DEAD ? CORE_NEVER : next_tick_ms(core);
    core->output = NULL;
}
