/* The keyed state of tasks: taskmanager/state/backend.h behind task/keyed_backend.h. */
#ifndef TASKMANAGER_TASK_BACKEND_H
#define TASKMANAGER_TASK_BACKEND_H

#include "taskmanager/state/backend.h"
#include "taskmanager/task/task.h"

/* What all tasks of the process share. Borrowed. */
struct task_backend_config {
    enum state_backend_kind kind;
    const char *directory; /* attempts get "<directory>/<attempt>" */
    uint64_t cache_bytes;  /* of each task */
    uint64_t queue_bytes;  /* of each task */
    struct state_block_cache *block_cache;
    struct file_store *store; /* checkpoint storage; NULL: no snapshots */
    const struct clock *clock;
};

/* For task_runtime_config.open_backend; context: a struct task_backend_config. Blocks. */
enum status task_backend_open(void *context, const struct task_deployment *deployment,
                              const struct job_graph *graph, struct memory_account *account,
                              struct waker *waker, struct keyed_backend **ret_backend,
                              struct error *err) MUST_CHECK;

#endif
