/* A slot's thread. */
#include "taskmanager/worker.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <pthread.h>
#include <time.h>

/* Shared with wakers that may outlive the worker. */
struct alarm_bell {
    _Atomic uint32_t references;
    pthread_mutex_t mutex;
    pthread_cond_t rung;
    _Atomic bool is_sleeping;
};

struct worker_task {
    struct waker waker; /* first; the worker holds one reference until the task has ended */
    struct worker_task *next;
    struct alarm_bell *bell;
    struct task *task;
    void *context;
    _Atomic bool is_runnable;
    int64_t wake_us;
    uint64_t last_turn;
};

struct worker {
    const struct clock *clock;
    worker_ended_fn on_ended;
    void *context;
    pthread_t thread;
    struct alarm_bell *bell;
    struct worker_task *incoming; /* guarded by the bell's mutex */
    bool is_closing;              /* as well */
    struct worker_task *tasks;    /* the thread's own */
    uint64_t turn;
};

static void bell_unref(struct alarm_bell *bell)
{
    if (atomic_fetch_sub_explicit(&bell->references, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&bell->mutex);
    pthread_cond_destroy(&bell->rung);
    free(bell);
}

static struct alarm_bell *bell_create(void)
{
    struct alarm_bell *bell = allocate(sizeof(*bell));
    atomic_init(&bell->references, 1);
    pthread_mutex_init(&bell->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&bell->rung, &attributes);
    pthread_condattr_destroy(&attributes);
    return bell;
}

/* Mark first, then look whether the worker sleeps; the worker does it the other way round. */
static void wake_task(struct waker *waker)
{
    struct worker_task *task = (struct worker_task *)waker;
    if (atomic_exchange(&task->is_runnable, true))
        return;
    struct alarm_bell *bell = task->bell;
    if (!atomic_load(&bell->is_sleeping))
        return;
    pthread_mutex_lock(&bell->mutex);
    pthread_cond_signal(&bell->rung);
    pthread_mutex_unlock(&bell->mutex);
}

static void destroy_waker(struct waker *waker)
{
    struct worker_task *task = (struct worker_task *)waker;
    bell_unref(task->bell);
    free(task);
}

static void take_incoming(struct worker *worker)
{
    struct worker_task *task = take_pointer(&worker->incoming);
    while (task != NULL) {
        struct worker_task *next = task->next;
        task->next = worker->tasks;
        worker->tasks = task;
        task = next;
    }
}

static bool is_better(const struct worker_task *a, const struct worker_task *b)
{
    const uint32_t depth_a = task_depth(a->task);
    const uint32_t depth_b = task_depth(b->task);
    return depth_a != depth_b ? depth_a > depth_b : a->last_turn < b->last_turn;
}

/* The task to run next, or NULL; *ret_wake_us: when one of the others is due. */
static struct worker_task *choose(struct worker *worker, int64_t *ret_wake_us)
{
    struct worker_task *best = NULL;
    int64_t now_us = -1;
    *ret_wake_us = INT64_MAX;
    for (struct worker_task *task = worker->tasks; task != NULL; task = task->next) {
        bool is_ready = atomic_load(&task->is_runnable);
        if (!is_ready && task->wake_us != INT64_MAX) {
            if (now_us < 0)
                now_us = clock_now_us(worker->clock);
            is_ready = task->wake_us <= now_us;
            if (!is_ready && task->wake_us < *ret_wake_us)
                *ret_wake_us = task->wake_us;
        }
        if (is_ready && (best == NULL || is_better(task, best)))
            best = task;
    }
    return best;
}

static void remove_task(struct worker *worker, struct worker_task *task)
{
    struct worker_task **at = &worker->tasks;
    while (*at != task)
        at = &(*at)->next;
    *at = task->next;
    worker->on_ended(worker->context, task);
    task_destroy(take_pointer(&task->task));
    waker_unref(&task->waker);
}

static void run_turn(struct worker *worker, struct worker_task *task)
{
    /* An exchange: it reads the mark of whoever woke the task, and so sees what they published. */
    (void)atomic_exchange(&task->is_runnable, false);
    task->last_turn = ++worker->turn;
    const int64_t deadline_us = clock_now_us(worker->clock) + WORKER_TURN_US;
    switch (task_run(task->task, deadline_us)) {
    case TURN_AGAIN:
        task->wake_us = INT64_MAX;
        atomic_store(&task->is_runnable, true);
        return;
    case TURN_WAIT:
        task->wake_us = task_wake_us(task->task);
        return;
    case TURN_ENDED:
        remove_task(worker, task);
        return;
    }
    UNREACHABLE();
}

static void sleep_until(struct worker *worker, int64_t wake_us)
{
    struct alarm_bell *bell = worker->bell;
    if (wake_us == INT64_MAX) {
        pthread_cond_wait(&bell->rung, &bell->mutex);
        return;
    }
    const int64_t in_us = wake_us - clock_now_us(worker->clock);
    if (in_us <= 0)
        return;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + in_us % 1000000 * 1000;
    until.tv_sec += in_us / 1000000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    (void)pthread_cond_timedwait(&bell->rung, &bell->mutex, &until);
}

static void *serve(void *argument)
{
    struct worker *worker = argument;
    struct alarm_bell *bell = worker->bell;
    for (;;) {
        int64_t wake_us;
        struct worker_task *task = choose(worker, &wake_us);
        if (task != NULL)
            run_turn(worker, task);
        pthread_mutex_lock(&bell->mutex);
        take_incoming(worker);
        if (task == NULL) {
            atomic_store(&bell->is_sleeping, true);
            task = choose(worker, &wake_us);
            if (task == NULL && worker->is_closing && worker->tasks == NULL) {
                atomic_store(&bell->is_sleeping, false);
                pthread_mutex_unlock(&bell->mutex);
                return NULL;
            }
            if (task == NULL)
                sleep_until(worker, wake_us);
            atomic_store(&bell->is_sleeping, false);
        }
        take_incoming(worker);
        pthread_mutex_unlock(&bell->mutex);
    }
}

struct worker *worker_create(const struct clock *clock, worker_ended_fn on_ended, void *context)
{
    struct worker *worker = allocate(sizeof(*worker));
    worker->clock = clock;
    worker->on_ended = on_ended;
    worker->context = context;
    worker->bell = bell_create();
    CHECK(pthread_create(&worker->thread, NULL, serve, worker) == 0);
    return worker;
}

static void ring(struct worker *worker)
{
    pthread_cond_signal(&worker->bell->rung);
}

void worker_destroy(struct worker *worker)
{
    if (worker == NULL)
        return;
    pthread_mutex_lock(&worker->bell->mutex);
    worker->is_closing = true;
    ring(worker);
    pthread_mutex_unlock(&worker->bell->mutex);
    pthread_join(worker->thread, NULL);
    CHECK(worker->tasks == NULL && worker->incoming == NULL);
    bell_unref(worker->bell);
    free(worker);
}

struct worker_task *worker_add(struct worker *worker, const struct task_config *config,
                               void *context)
{
    struct worker_task *task = allocate(sizeof(*task));
    atomic_init(&task->waker.references, 1);
    task->waker.wake = wake_task;
    task->waker.destroy = destroy_waker;
    task->bell = worker->bell;
    atomic_fetch_add(&worker->bell->references, 1);
    task->context = context;
    task->wake_us = INT64_MAX;
    atomic_init(&task->is_runnable, true);
    struct task_config own = *config;
    own.waker = &task->waker;
    task->task = task_create(&own);
    pthread_mutex_lock(&worker->bell->mutex);
    CHECK(!worker->is_closing);
    task->next = worker->incoming;
    worker->incoming = task;
    ring(worker);
    pthread_mutex_unlock(&worker->bell->mutex);
    return task;
}

struct task *worker_task_get(struct worker_task *task)
{
    return task->task;
}

void *worker_task_context(struct worker_task *task)
{
    return task->context;
}
