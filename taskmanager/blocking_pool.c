/* Threads on demand behind a queue. */
#include "taskmanager/blocking_pool.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#define IDLE_SECONDS 5

struct call {
    struct call *next;
    void (*run)(void *argument);
    void *argument;
};

struct blocking_pool {
    pthread_mutex_t mutex;
    pthread_cond_t has_call;
    pthread_cond_t no_thread;
    uint32_t thread_max;
    uint32_t thread_count;
    uint32_t idle_count;
    uint32_t call_count; /* queued */
    struct call *first;
    struct call **last;
    bool is_closing;
};

struct blocking_pool *blocking_pool_create(uint32_t thread_max)
{
    struct blocking_pool *pool = allocate(sizeof(*pool));
    pool->thread_max = thread_max > 0 ? thread_max : 1;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->has_call, &attributes);
    pthread_cond_init(&pool->no_thread, NULL);
    pthread_condattr_destroy(&attributes);
    return pool;
}

/* The mutex is held. false: nothing came in time. */
static bool wait_for_call(struct blocking_pool *pool)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_SECONDS;
    pool->idle_count++;
    int timed_out = 0;
    while (pool->first == NULL && !pool->is_closing && timed_out == 0)
        timed_out = pthread_cond_timedwait(&pool->has_call, &pool->mutex, &until);
    pool->idle_count--;
    return pool->first != NULL;
}

static void *serve(void *argument)
{
    struct blocking_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    while (pool->first != NULL || wait_for_call(pool)) {
        struct call *call = pool->first;
        pool->first = call->next;
        if (pool->first == NULL)
            pool->last = &pool->first;
        pool->call_count--;
        pthread_mutex_unlock(&pool->mutex);
        call->run(call->argument);
        free(call);
        pthread_mutex_lock(&pool->mutex);
    }
    if (--pool->thread_count == 0)
        pthread_cond_broadcast(&pool->no_thread);
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* The mutex is held. */
static void start_thread(struct blocking_pool *pool)
{
    pthread_t thread;
    const int failed = pthread_create(&thread, NULL, serve, pool);
    /* Others may still serve the queue; with no thread at all nothing ever would. */
    CHECK(failed == 0 || pool->thread_count > 0);
    if (failed != 0)
        return;
    pthread_detach(thread);
    pool->thread_count++;
}

void blocking_pool_run(struct blocking_pool *pool, void (*run)(void *argument), void *argument)
{
    struct call *call = allocate(sizeof(*call));
    *call = (struct call){NULL, run, argument};
    pthread_mutex_lock(&pool->mutex);
    CHECK(!pool->is_closing);
    *pool->last = call;
    pool->last = &call->next;
    pool->call_count++;
    if (pool->idle_count < pool->call_count && pool->thread_count < pool->thread_max)
        start_thread(pool);
    pthread_cond_signal(&pool->has_call);
    pthread_mutex_unlock(&pool->mutex);
}

void blocking_pool_destroy(struct blocking_pool *pool)
{
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->is_closing = true;
    pthread_cond_broadcast(&pool->has_call);
    while (pool->thread_count > 0)
        pthread_cond_wait(&pool->no_thread, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    pthread_cond_destroy(&pool->has_call);
    pthread_cond_destroy(&pool->no_thread);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}
