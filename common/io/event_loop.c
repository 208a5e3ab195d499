/* The event loop of a daemon: see event_loop.h. */
#include "common/io/event_loop.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

struct waiting_call {
    event_loop_call call;
    void *argument;
};

struct event_loop {
    const struct clock *clock;
    event_loop_tick tick;
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Calls wait in one array while the other is being run. */
    struct waiting_call *waiting;
    size_t count;
    size_t capacity;
    bool is_stopped;
};

struct event_loop *event_loop_create(const struct clock *clock, event_loop_tick tick, void *context)
{
    struct event_loop *loop = allocate(sizeof(*loop));
    loop->clock = clock;
    loop->tick = tick;
    loop->context = context;
    CHECK(pthread_mutex_init(&loop->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&loop->wake, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    return loop;
}

bool event_loop_post(struct event_loop *loop, event_loop_call call, void *argument)
{
    (void)pthread_mutex_lock(&loop->lock);
    const bool is_taken = !loop->is_stopped && loop->count < EVENT_LOOP_CALLS_MAX;
    if (is_taken) {
        array_push(loop->waiting, loop->count, loop->capacity) =
            (struct waiting_call){.call = call, .argument = argument};
        if (loop->count == 1)
            (void)pthread_cond_signal(&loop->wake);
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return is_taken;
}

/* Sleeps until there is a call, the deadline or the end; the lock is held. */
static void wait_for_work(struct event_loop *loop, int64_t deadline_us)
{
    while (loop->count == 0 && !loop->is_stopped) {
        if (deadline_us == EVENT_LOOP_NO_DEADLINE) {
            (void)pthread_cond_wait(&loop->wake, &loop->lock);
            continue;
        }
        const struct timespec until = {.tv_sec = deadline_us / 1000000,
                                       .tv_nsec = deadline_us % 1000000 * 1000};
        if (pthread_cond_timedwait(&loop->wake, &loop->lock, &until) == ETIMEDOUT)
            return;
    }
}

void event_loop_run(struct event_loop *loop)
{
    struct waiting_call *running = NULL;
    size_t running_capacity = 0;
    bool is_stopped = false;
    while (!is_stopped) {
        const int64_t deadline_us = loop->tick(loop->context, clock_now_us(loop->clock));
        (void)pthread_mutex_lock(&loop->lock);
        wait_for_work(loop, deadline_us);
        struct waiting_call *taken = loop->waiting;
        const size_t taken_count = loop->count;
        const size_t taken_capacity = loop->capacity;
        loop->waiting = running;
        loop->capacity = running_capacity;
        loop->count = 0;
        is_stopped = loop->is_stopped;
        (void)pthread_mutex_unlock(&loop->lock);
        running = taken;
        running_capacity = taken_capacity;
        for (size_t i = 0; i < taken_count; i++)
            running[i].call(running[i].argument);
    }
    free(running);
}

void event_loop_stop(struct event_loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    loop->is_stopped = true;
    (void)pthread_cond_signal(&loop->wake);
    (void)pthread_mutex_unlock(&loop->lock);
}

void event_loop_destroy(struct event_loop *loop)
{
    if (loop == NULL)
        return;
    (void)pthread_cond_destroy(&loop->wake);
    (void)pthread_mutex_destroy(&loop->lock);
    free(loop->waiting);
    free(loop);
}
