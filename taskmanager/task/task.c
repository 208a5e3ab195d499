/* Life and turns of a task. */
#include "taskmanager/task/task.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "taskmanager/task/sink_driver.h"
#include "taskmanager/task/task_internal.h"
#include "taskmanager/task/task_time.h"

struct task *task_create(const struct task_config *config)
{
    struct task *task = allocate(sizeof(*task));
    task->config = *config;
    task->deployment = config->deployment;
    task->waker = waker_ref(config->waker);
    task->flush_us = INT64_MAX;
    task->flushed_us = INT64_MIN / 2;
    task->wake_us = INT64_MAX;
    task->turn_end_us = clock_now_us(config->clock);
    task->depth = task->deployment->vertex;
    const uint64_t floor = task->deployment->floor.value;
    task->aborted = floor > 0 ? floor - 1 : 0;
    atomic_init(&task->watermark_ms, WATERMARK_NONE);
    return task;
}

void task_destroy(struct task *task)
{
    if (task == NULL)
        return;
    CHECK(task->stage == STAGE_ENDED);
    mailbox_done(&task->mailbox);
    task_deployment_done(task->deployment);
    free(task->deployment);
    waker_unref(task->waker);
    free(task);
}

void task_send(struct task *task, struct mail *mail)
{
    /* The task may end once it has seen the mail: the waker has to be held beyond that. */
    struct waker *waker = waker_ref(task->waker);
    mailbox_put(&task->mailbox, mail);
    waker_wake(waker);
    waker_unref(waker);
}

void task_event_init(const struct task *task, struct task_event *event, enum task_event_kind kind)
{
    *event = (struct task_event){
        .kind = kind,
        .job = task->deployment->job,
        .attempt = task->deployment->attempt,
    };
}

void task_emit(struct task *task, const struct task_event *event)
{
    task->config.host.on_event(task->config.host.context, event);
}

static void emit_phase(struct task *task, enum task_phase phase)
{
    struct task_event event;
    task_event_init(task, &event, TASK_EVENT_PHASE);
    event.phase = phase;
    if (phase == TASK_PHASE_FAILED) {
        event.error = &task->error;
        event.lost_peer = task->lost_peer;
        event.record = task->failed_record[0] != '\0' ? task->failed_record : NULL;
    }
    task_emit(task, &event);
}

static void close_with(struct task *task, enum task_phase outcome, const struct error *err)
{
    if (task->stage >= STAGE_CLOSING)
        return;
    task->stage = STAGE_CLOSING;
    task->outcome = outcome;
    if (err != NULL)
        task->error = *err;
    if (err != NULL && err->code == STATUS_RECORD && task->has_chain)
        memcpy(task->failed_record, task->chain.failed_record, sizeof(task->failed_record));
}

static void fail(struct task *task, const struct error *err)
{
    close_with(task, TASK_PHASE_FAILED, err);
}

/* ---- start ---- */

static void open_backend(void *argument)
{
    struct task *task = argument;
    const struct task_host *host = &task->config.host;
    struct mail *mail = mail_create(MAIL_BACKEND_OPEN);
    struct keyed_backend *backend = NULL;
    mail->status = host->open_backend(host->context, task->deployment, task->config.graph,
                                      task->config.account, task->waker, &backend, &mail->error);
    mail->pointer = backend;
    mailbox_put(&task->mailbox, mail);
}

static void start(struct task *task)
{
    struct error err = {0};
    emit_phase(task, TASK_PHASE_DEPLOYING);
    if (task_build(task, &err) != STATUS_OK) {
        fail(task, &err);
        return;
    }
    bool is_keyed = false;
    for (uint32_t i = 0; i < task->chain.operator_count; i++)
        is_keyed |= (task->chain.operators[i].ops->traits & OPERATOR_KEYED) != 0;
    emit_phase(task, TASK_PHASE_INITIALIZING);
    task->stage = STAGE_OPENING_BACKEND;
    if (is_keyed) {
        task_run_blocking(task, open_backend, task);
        return;
    }
    task_send(task, mail_create(MAIL_BACKEND_OPEN));
}

static void on_backend_open(struct task *task, const struct mail *mail)
{
    task->keyed = mail->pointer;
    if (task->stage >= STAGE_CLOSING)
        return; /* canceled meanwhile: closing takes care of it */
    struct error err = {0};
    if (mail->status != STATUS_OK) {
        fail(task, &mail->error);
        return;
    }
    if (task_open(task, &err) != STATUS_OK) {
        fail(task, &err);
        return;
    }
    task->stage = STAGE_RECOVERING;
}

static bool recover(struct task *task)
{
    for (uint32_t i = 0; i < task->chain.operator_count; i++) {
        struct chain_operator *op = &task->chain.operators[i];
        if (!op->is_sink)
            continue;
        struct snapshot_entry *entries;
        const struct snapshot_reader reader =
            task_restored_entries(task, op->env.spec->uid, &entries);
        struct error err = {0};
        const enum step step = sink_driver_recover(op->self, &reader, &err);
        free(entries);
        if (step == STEP_FAILED) {
            (void)error_wrap(&err, err.code, "recover %s", op->env.spec->name);
            fail(task, &err);
        }
        if (step != STEP_DONE)
            return step == STEP_AGAIN;
    }
    task->stage = STAGE_RUNNING;
    task_time_start(task);
    emit_phase(task, TASK_PHASE_RUNNING);
    return true;
}

/* ---- mail ---- */

static void on_completed(struct task *task, struct checkpoint_id id)
{
    if (task->stage < STAGE_RECOVERING || task->stage > STAGE_DRAINED)
        return;
    task->told = id;
    for (uint32_t i = 0; i < task->chain.operator_count; i++)
        task->chain.operators[i].completed = id;
    if (task->keyed != NULL)
        task->keyed->ops->completed(task->keyed, id);
}

static void on_splits(struct task *task, const struct mail *mail)
{
    struct error err = {0};
    if (task->stage >= STAGE_CLOSING)
        return;
    if (task->source == NULL) {
        (void)error_set(&err, STATUS_INVALID, "splits were assigned to a task without a source");
        fail(task, &err);
    } else if (source_driver_add(task->source, &mail->splits, mail->is_last, &err) != STATUS_OK) {
        fail(task, &err);
    }
}

static void handle_mail(struct task *task, struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_TRIGGER:
        task_on_trigger(task, &mail->barrier);
        break;
    case MAIL_ABORT:
        task_on_abort(task, mail->id);
        break;
    case MAIL_COMPLETED:
        on_completed(task, mail->id);
        break;
    case MAIL_SPLITS:
        on_splits(task, mail);
        break;
    case MAIL_ALIGN:
        if (task->source != NULL)
            source_driver_align(task->source, mail->limit_ms);
        break;
    case MAIL_FINISH:
        task->must_finish = true;
        break;
    case MAIL_CANCEL:
        close_with(task, TASK_PHASE_CANCELED, NULL);
        break;
    case MAIL_FAIL:
        fail(task, &mail->error);
        break;
    case MAIL_BACKEND_OPEN:
        on_backend_open(task, mail);
        break;
    }
    mail_destroy(mail);
}

/* Between a trigger and the source's snapshot: splits that come now were assigned after the
 * JobManager noted what is pending, so they must not be in the snapshot or they are read twice. */
static bool has_barrier_ahead(const struct task *task)
{
    return task->source != NULL && (task->trigger.id.value != 0 ||
                                    (task->has_chain && task->chain.control == CHAIN_BARRIER &&
                                     !task->chain.control_has_snapshot));
}

/* Commands that need open operators stay until there are some. */
static bool can_wait(const struct task *task, const struct mail *mail)
{
    if (mail->kind == MAIL_SPLITS && has_barrier_ahead(task))
        return true;
    return (mail->kind == MAIL_SPLITS || mail->kind == MAIL_TRIGGER ||
            mail->kind == MAIL_COMPLETED) &&
           task->stage < STAGE_RECOVERING;
}

static struct mail **end_of(struct mail **list)
{
    while (*list != NULL)
        list = &(*list)->next;
    return list;
}

static void read_mail(struct task *task)
{
    *end_of(&task->early) = mailbox_take(&task->mailbox);
    struct mail *mail = take_pointer(&task->early);
    struct mail **early_end = &task->early;
    bool has_splits = false; /* that wait: they belong into the snapshot of a later trigger */
    while (mail != NULL) {
        struct mail *next = mail->next;
        if (can_wait(task, mail) || (has_splits && mail->kind == MAIL_TRIGGER)) {
            has_splits |= mail->kind == MAIL_SPLITS;
            mail->next = NULL;
            *early_end = mail;
            early_end = &mail->next;
        } else {
            handle_mail(task, mail);
        }
        mail = next;
    }
}

/* ---- running ---- */

static enum chain_control_kind control_of(const struct element *element)
{
    switch (element->kind) {
    case ELEMENT_WATERMARK:
        return CHAIN_WATERMARK;
    case ELEMENT_BARRIER:
        return CHAIN_BARRIER;
    case ELEMENT_END:
        return CHAIN_END;
    case ELEMENT_IDLE:
    case ELEMENT_ACTIVE:
    case ELEMENT_LATENCY:
        return CHAIN_PASS;
    case ELEMENT_BATCH:
        break;
    }
    UNREACHABLE();
}

static bool start_pending(struct task *task)
{
    if (task->pending_count == 0)
        return false;
    const struct element element = task->pending[0];
    task->pending_count--;
    for (uint32_t i = 0; i < task->pending_count; i++)
        task->pending[i] = task->pending[i + 1];
    task->has_ended |= element.kind == ELEMENT_END;
    if (task->source != NULL && element.kind == ELEMENT_WATERMARK)
        atomic_store_explicit(&task->watermark_ms, element.watermark_ms, memory_order_relaxed);
    chain_start(&task->chain, control_of(&element), &element);
    return true;
}

static bool start_timed(struct task *task)
{
    const int64_t timer_ms = task_next_timer_ms(task);
    if (timer_ms != INT64_MAX && timer_ms <= clock_wall_ms(task->config.clock)) {
        chain_start(&task->chain, CHAIN_TIMERS, NULL);
        return true;
    }
    if (task->flush_us > task->now_us)
        return false;
    task->flush_us = INT64_MAX;
    task->flushed_us = task->now_us;
    chain_start(&task->chain, CHAIN_FLUSH, NULL);
    return true;
}

/* The chain is empty: what enters next. */
static enum task_poll start_next(struct task *task, struct error *err)
{
    if (start_pending(task))
        return TASK_POLL_STARTED;
    if (task->source != NULL && task->trigger.id.value != 0) {
        const struct element barrier = {.kind = ELEMENT_BARRIER, .barrier = task->trigger};
        task->trigger.id.value = 0;
        chain_start(&task->chain, CHAIN_BARRIER, &barrier);
        return TASK_POLL_STARTED;
    }
    if (start_timed(task))
        return TASK_POLL_STARTED;
    const enum task_poll poll =
        task->source != NULL ? task_poll_source(task, err) : task_poll_inputs(task, err);
    if (poll == TASK_POLL_STARTED && task->has_flush && task->flush_us == INT64_MAX &&
        task->buffer_timeout_us >= 0) /* due at once when nothing has left for that long */
        task->flush_us = task->flushed_us + task->buffer_timeout_us;
    return poll;
}

static void drained(struct task *task)
{
    task->stage = STAGE_DRAINED;
    struct task_event event;
    task_event_init(task, &event, TASK_EVENT_DRAINED);
    task_emit(task, &event);
}

static void tell_completed(struct task *task, enum step step)
{
    if (step != STEP_DONE || task->told.value == 0)
        return;
    struct task_event event;
    task_event_init(task, &event, TASK_EVENT_COMMITTED);
    event.id = task->told;
    task->told.value = 0;
    task_emit(task, &event);
}

/* One pass: runs the chain, then lets something new in. STEP_DONE: more may follow at once. */
static enum step run_once(struct task *task, int64_t deadline_us, struct error *err)
{
    enum step step = chain_run(&task->chain, deadline_us, err);
    if (step == STEP_FAILED)
        return STEP_FAILED;
    const enum step told = chain_tell_completed(&task->chain, err);
    if (told == STEP_FAILED)
        return STEP_FAILED;
    tell_completed(task, told);
    if (step != STEP_DONE)
        return step;
    if (task->has_ended) {
        drained(task);
        return STEP_DONE;
    }
    if (!chain_has_room(&task->chain)) {
        task->chain.is_blocked = true;
        return STEP_WAIT;
    }
    switch (start_next(task, err)) {
    case TASK_POLL_STARTED:
        return STEP_DONE;
    case TASK_POLL_AGAIN: /* its turn is over, or its dead letters found no room */
        task->chain.is_blocked = !chain_has_room(&task->chain);
        return task->chain.is_blocked ? STEP_WAIT : STEP_AGAIN;
    case TASK_POLL_NOTHING:
        return told == STEP_AGAIN ? STEP_AGAIN : STEP_WAIT;
    case TASK_POLL_FAILED:
        return STEP_FAILED;
    }
    UNREACHABLE();
}

static enum step run_running(struct task *task, int64_t deadline_us, struct error *err)
{
    for (;;) {
        const enum step step = run_once(task, deadline_us, err);
        if (step != STEP_DONE || task->stage != STAGE_RUNNING)
            return step;
        if (clock_now_us(task->config.clock) >= deadline_us)
            return STEP_AGAIN;
    }
}

/* Input has ended: checkpoints are taken on the trigger alone, until FINISH. */
static enum step run_drained(struct task *task, struct error *err)
{
    if (task->trigger.id.value != 0) {
        const struct barrier barrier = task->trigger;
        task->trigger.id.value = 0;
        aligner_pass(&task->aligner, barrier.id);
        if (task_snapshot(task, &barrier, true, err) != STATUS_OK)
            return STEP_FAILED;
    }
    const enum step told = chain_tell_completed(&task->chain, err);
    if (told == STEP_FAILED)
        return STEP_FAILED;
    tell_completed(task, told);
    if (told != STEP_DONE)
        return told;
    if (task->must_finish && chain_is_drained(&task->chain))
        close_with(task, TASK_PHASE_FINISHED, NULL);
    return STEP_WAIT;
}

static enum status pump(struct task *task, struct error *err)
{
    task->now_us = clock_now_us(task->config.clock);
    const enum status status = chain_pump(&task->chain, task->now_us, err);
    if (status != STATUS_OK)
        task->lost_peer = chain_failed_peer(&task->chain);
    return status;
}

static void find_wake(struct task *task)
{
    int64_t wake_us = chain_due_us(&task->chain);
    if (wake_us <= task->now_us)
        wake_us = INT64_MAX; /* due, but without room: the channel wakes */
    /* With something inside, whatever that waits for wakes. */
    if (task->stage == STAGE_RUNNING && !task->chain.is_blocked && chain_is_empty(&task->chain)) {
        if (task->flush_us < wake_us)
            wake_us = task->flush_us;
        const int64_t source_us =
            task->source != NULL ? source_driver_wake_us(task->source) : INT64_MAX;
        if (source_us < wake_us)
            wake_us = source_us;
        if (task->source != NULL && !task->source->is_finished &&
            source_time_wake_us(&task->source->time) < wake_us)
            wake_us = source_time_wake_us(&task->source->time);
        const int64_t timer_ms = task_next_timer_ms(task);
        if (timer_ms != INT64_MAX) {
            const int64_t in_ms = timer_ms - clock_wall_ms(task->config.clock);
            const int64_t timer_us = task->now_us + (in_ms > 0 ? in_ms * 1000 : 0);
            wake_us = timer_us < wake_us ? timer_us : wake_us;
        }
    }
    task->wake_us = wake_us;
}

static enum task_turn run_open(struct task *task, int64_t deadline_us)
{
    struct error err = {0};
    chain_woken(&task->chain);
    enum step step = STEP_FAILED;
    if (pump(task, &err) == STATUS_OK) {
        step = task->stage == STAGE_RUNNING ? run_running(task, deadline_us, &err) : STEP_DONE;
        if (task->stage == STAGE_DRAINED && step != STEP_FAILED)
            step = run_drained(task, &err);
        if (step != STEP_FAILED && pump(task, &err) != STATUS_OK)
            step = STEP_FAILED;
    }
    if (step == STEP_FAILED)
        fail(task, &err);
    task_sum_counters(task);
    if (task->stage >= STAGE_CLOSING || step == STEP_AGAIN)
        return TURN_AGAIN;
    /* What the second pump freed can be used at once. */
    if (task->chain.is_blocked && chain_has_room(&task->chain))
        return TURN_AGAIN;
    find_wake(task);
    return TURN_WAIT;
}

/* ---- end ---- */

static void destroy_backend(void *argument)
{
    struct keyed_backend *keyed = argument;
    keyed->ops->destroy(keyed);
}

static void close_operators(struct task *task)
{
    if (task->has_chain)
        chain_done(&task->chain);
    task->has_chain = false;
    task->source = NULL;
    for (uint32_t i = 0; i < task->input_count; i++)
        task->inputs[i].channel->ops->close(task->inputs[i].channel);
    free(task->inputs);
    task->inputs = NULL;
    task->input_count = 0;
    aligner_done(&task->aligner);
    watermarks_done(&task->watermarks);
}

/* Only what owns something is still of interest. */
static void read_closing_mail(struct task *task)
{
    *end_of(&task->early) = mailbox_take(&task->mailbox);
    struct mail *mail = take_pointer(&task->early);
    while (mail != NULL) {
        struct mail *next = mail->next;
        if (mail->kind == MAIL_BACKEND_OPEN)
            task->keyed = mail->pointer;
        mail_destroy(mail);
        mail = next;
    }
}

static enum task_turn run_closing(struct task *task)
{
    task->wake_us = INT64_MAX;
    if (atomic_load(&task->pooled_calls) > 0)
        return TURN_WAIT;
    if (task->stage == STAGE_CLOSING) {
        read_closing_mail(task); /* a backend may have been opened just now */
        task_abort_snapshot(task);
        close_operators(task);
        task->stage = STAGE_CLOSING_BACKEND;
        if (task->keyed != NULL) {
            task_run_blocking(task, destroy_backend, take_pointer(&task->keyed));
            return TURN_WAIT;
        }
    }
    task->stage = STAGE_ENDED;
    emit_phase(task, task->outcome);
    return TURN_ENDED;
}

static void account_time(struct task *task, int64_t start_us)
{
    const int64_t gap_us = start_us - task->turn_end_us;
    if (gap_us <= 0 || !task->was_waiting)
        return;
    if (task->was_held)
        task->held_us += gap_us;
    _Atomic uint64_t *counter = task->was_blocked ? &task->blocked_us : &task->idle_us;
    atomic_fetch_add_explicit(counter, (uint64_t)gap_us, memory_order_relaxed);
}

enum task_turn task_run(struct task *task, int64_t deadline_us)
{
    CHECK(task->stage != STAGE_ENDED);
    const int64_t start_us = clock_now_us(task->config.clock);
    task->now_us = start_us;
    account_time(task, start_us);
    enum task_turn turn = TURN_WAIT;
    task->wake_us = INT64_MAX;
    if (task->stage == STAGE_NEW)
        start(task);
    if (task->stage < STAGE_CLOSING)
        read_mail(task);
    else
        read_closing_mail(task);
    if (task->stage >= STAGE_RECOVERING && task->stage <= STAGE_DRAINED)
        task_poll_snapshot(task);
    if (task->stage == STAGE_RECOVERING && recover(task))
        turn = TURN_AGAIN;
    else if (task->stage == STAGE_RUNNING || task->stage == STAGE_DRAINED)
        turn = run_open(task, deadline_us);
    if (task->stage >= STAGE_CLOSING)
        turn = run_closing(task);
    if (turn == TURN_WAIT && task->early != NULL &&
        (task->stage == STAGE_RUNNING || task->stage == STAGE_DRAINED) &&
        !can_wait(task, task->early))
        turn = TURN_AGAIN; /* the barrier that it waited for has passed */
    task->was_blocked = task->has_chain && task->chain.is_blocked;
    task->was_held = task->was_blocked || (task->has_chain && !chain_is_empty(&task->chain));
    task->was_waiting = turn == TURN_WAIT;
    task_count_turn(task, start_us);
    return turn;
}

int64_t task_wake_us(const struct task *task)
{
    return task->wake_us;
}

uint32_t task_depth(const struct task *task)
{
    return task->depth;
}
