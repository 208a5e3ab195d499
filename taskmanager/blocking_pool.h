/*
 * Threads for calls that may block: started on demand, at most thread_max, ended after a few idle
 * seconds. Calls beyond that wait in order; each caller has a bounded number of calls under way
 * (an operator waits for its own), which bounds the queue.
 */
#ifndef TASKMANAGER_BLOCKING_POOL_H
#define TASKMANAGER_BLOCKING_POOL_H

#include <stdint.h>

struct blocking_pool;

struct blocking_pool *blocking_pool_create(uint32_t thread_max)
    __attribute__((returns_nonnull, warn_unused_result));
/* Runs what is queued, waits for all threads. */
void blocking_pool_destroy(struct blocking_pool *pool);
/* Any thread; never blocks for long. */
void blocking_pool_run(struct blocking_pool *pool, void (*run)(void *argument), void *argument);

#endif
