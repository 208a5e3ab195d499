/*
 * Blocking work of one connector instance, off its worker thread.
 *
 * A background holds the memory that a job on another thread may touch; it outlives the instance
 * until the job has returned, so that closing never waits. Jobs run one at a time, either on the
 * task's pool (env->ops->run_blocking) or, for work that may hang for ever (a stuck pipe, a silent
 * peer), on a thread of its own.
 *
 * The memory belongs to the worker while background_is_busy() is false and to the job while it is
 * true; what both touch meanwhile is protected with background_lock().
 */
#ifndef CONNECTORS_BACKGROUND_H
#define CONNECTORS_BACKGROUND_H

#include "common/api/operator.h"

struct background;

enum background_place { BACKGROUND_POOL, BACKGROUND_OWN_THREAD };

/* memory_size zeroed bytes; done(memory) releases what they hold, after the last job, on whatever
 * thread comes last. */
struct background *background_create(struct operator_env *env, enum background_place place,
                                     size_t memory_size, void (*done)(void *memory))
    __attribute__((returns_nonnull, warn_unused_result));
/* The instance is closing: no wake and no new job from here on. NULL is ignored. */
void background_release(struct background *background);

void *background_memory(struct background *background);
/* Worker only; not while busy. run(memory) is executed once, then the task is woken. */
void background_start(struct background *background, void (*run)(void *memory));
bool background_is_busy(struct background *background);

/* Any thread. Wakes the task unless the instance is closing. */
void background_wake(struct background *background);
/* For jobs: true once the instance is closing. */
bool background_is_closing(struct background *background);
void background_lock(struct background *background);
void background_unlock(struct background *background);

#endif
