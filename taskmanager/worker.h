/*
 * The thread of a slot: runs its tasks in turns, the runnable one nearest the sink first, of equals
 * the one that has waited longest. A turn ends after WORKER_TURN_US. With nothing runnable it
 * sleeps, with a time only when a task asked for one.
 */
#ifndef TASKMANAGER_WORKER_H
#define TASKMANAGER_WORKER_H

#include "taskmanager/task/task.h"

#define WORKER_TURN_US 1000

struct worker;
struct worker_task;

/* The task has ended: on the worker's thread, before the task is destroyed. */
typedef void (*worker_ended_fn)(void *context, struct worker_task *task);

struct worker *worker_create(const struct clock *clock, worker_ended_fn on_ended, void *context)
    __attribute__((returns_nonnull, warn_unused_result));
/* All tasks have ended. Waits for the thread; wakers may outlive it and do nothing then. */
void worker_destroy(struct worker *worker);

/* Makes the task (config->waker is set here) and starts it. context: for on_ended. */
struct worker_task *worker_add(struct worker *worker, const struct task_config *config,
                               void *context) __attribute__((returns_nonnull));
struct task *worker_task_get(struct worker_task *task);
void *worker_task_context(struct worker_task *task);

#endif
