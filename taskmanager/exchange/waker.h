/*
 * How one thread makes a task of another runnable again. Both ends of a channel hold a reference,
 * so a wake may come late, when the task is long gone: it must then do nothing.
 */
#ifndef TASKMANAGER_EXCHANGE_WAKER_H
#define TASKMANAGER_EXCHANGE_WAKER_H

#include "common/base/scoped.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct waker {
    _Atomic uint32_t references;
    /* Any thread; never blocks for long; takes no lock of the exchange. What was published before
     * the call is seen by the woken task's next turn. */
    void (*wake)(struct waker *waker);
    void (*destroy)(struct waker *waker);
};

static inline void waker_wake(struct waker *waker)
{
    waker->wake(waker);
}

static inline struct waker *waker_ref(struct waker *waker)
{
    atomic_fetch_add_explicit(&waker->references, 1, memory_order_relaxed);
    return waker;
}

/* NULL is ignored. */
static inline void waker_unref(struct waker *waker)
{
    if (waker != NULL &&
        atomic_fetch_sub_explicit(&waker->references, 1, memory_order_acq_rel) == 1)
        waker->destroy(waker);
}

#endif
