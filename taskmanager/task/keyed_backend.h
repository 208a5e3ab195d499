/*
 * What a task needs of the keyed state of its chain: one backend per task attempt. The product's
 * stands on taskmanager/state/backend.h (taskmanager/task_backend.c), whose rules hold here too;
 * the tests have one of their own.
 *
 * Opened and destroyed on pooled threads (both may block), used on the task's worker in between,
 * where nothing blocks. When a snapshot has ended the backend wakes the task.
 */
#ifndef TASKMANAGER_TASK_KEYED_BACKEND_H
#define TASKMANAGER_TASK_KEYED_BACKEND_H

#include "common/api/state.h"
#include "common/graph/task_state.h"
#include "taskmanager/exchange/element.h"

struct keyed_backend;

/* The end of a snapshot. */
struct keyed_snapshot {
    struct checkpoint_id id;
    enum status status;
    struct error error;
    struct keyed_state_handle handle; /* if STATUS_OK: owned by the caller */
    uint64_t uploaded_bytes;
};

struct keyed_backend_ops {
    /* Keyed state of one operator, owned by the backend; before the operator's open. */
    enum status (*operator_state)(struct keyed_backend *backend, const char *uid,
                                  struct keyed_state **ret_keyed, struct error *err);
    /* Fixes the state as it is now (microseconds). One at a time: abort the old one first. */
    enum status (*begin_snapshot)(struct keyed_backend *backend, const struct barrier *barrier,
                                  struct error *err);
    /* True once per snapshot that has ended and was not aborted. */
    bool (*poll_snapshot)(struct keyed_backend *backend, struct keyed_snapshot *ret_snapshot);
    void (*abort_snapshot)(struct keyed_backend *backend, struct checkpoint_id id);
    void (*completed)(struct keyed_backend *backend, struct checkpoint_id id);
    /* Takes the earliest timer with time <= up_to_ms. *ret_found false: none. What the timer points
     * to stays valid until the next call on the same operator's timers. */
    enum step (*take_timer)(struct keyed_state *keyed, enum timer_kind kind, int64_t up_to_ms,
                            bool *ret_found, struct timer *ret_timer, struct error *err);
    /* When the earliest one is due; INT64_MAX: none. */
    int64_t (*next_timer_ms)(const struct keyed_state *keyed, enum timer_kind kind);
    /* Estimates for status. */
    void (*count)(const struct keyed_backend *backend, uint64_t *ret_keys, uint64_t *ret_bytes);
    void (*destroy)(struct keyed_backend *backend);
};

struct keyed_backend {
    const struct keyed_backend_ops *ops;
};

#endif
