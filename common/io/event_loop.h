/*
 * The event loop of a daemon: one thread runs posted calls in order and a tick when it is due.
 *
 * Everything that decides in a daemon runs on this thread; other threads (transport, HTTP, storage)
 * post calls. An idle loop sleeps until the next tick's deadline.
 */
#ifndef COMMON_IO_EVENT_LOOP_H
#define COMMON_IO_EVENT_LOOP_H

#include "common/base/clock.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_LOOP_CALLS_MAX   65536
#define EVENT_LOOP_NO_DEADLINE INT64_MAX

struct event_loop;

typedef void (*event_loop_call)(void *argument);
/* Returns when it wants to be called again, on the monotonic clock; EVENT_LOOP_NO_DEADLINE: only
 * after the next posted call. */
typedef int64_t (*event_loop_tick)(void *context, int64_t now_us);

struct event_loop *event_loop_create(const struct clock *clock, event_loop_tick tick, void *context)
    __attribute__((returns_nonnull, warn_unused_result));

/* Any thread. false: the loop has EVENT_LOOP_CALLS_MAX calls waiting or was stopped; the argument
 * stays the caller's. */
bool event_loop_post(struct event_loop *loop, event_loop_call call, void *argument)
    __attribute__((warn_unused_result));

/* Runs until event_loop_stop; calls that wait then are still run. */
void event_loop_run(struct event_loop *loop);

/* Any thread, also a signal handler's thread. Idempotent. */
void event_loop_stop(struct event_loop *loop);

void event_loop_destroy(struct event_loop *loop);

#endif
