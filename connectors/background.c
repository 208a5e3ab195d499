/* Blocking work off the worker: see background.h. */
#include "connectors/background.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <pthread.h>
#include <stdatomic.h>

struct background {
    pthread_mutex_t lock;    /* what the job and the worker share in memory */
    pthread_mutex_t control; /* the fields below; never held while a job runs */
    pthread_cond_t changed;
    struct operator_env *env;
    enum background_place place;
    unsigned references;
    bool has_thread;
    bool closing;
    _Atomic bool busy;
    void (*run)(void *memory); /* the job to run; NULL: none */
    void (*done)(void *memory);
    max_align_t memory[];
};

struct background *background_create(struct operator_env *env, enum background_place place,
                                     size_t memory_size, void (*done)(void *memory))
{
    struct background *background = allocate(sizeof(*background) + memory_size);
    pthread_mutex_init(&background->lock, NULL);
    pthread_mutex_init(&background->control, NULL);
    pthread_cond_init(&background->changed, NULL);
    background->env = env;
    background->place = place;
    background->references = 1;
    background->done = done;
    return background;
}

/* control is held; it is released here. */
static void unref_locked(struct background *background)
{
    const bool is_last = --background->references == 0;
    pthread_mutex_unlock(&background->control);
    if (!is_last)
        return;
    background->done(background->memory);
    pthread_cond_destroy(&background->changed);
    pthread_mutex_destroy(&background->control);
    pthread_mutex_destroy(&background->lock);
    free(background);
}

void background_release(struct background *background)
{
    if (background == NULL)
        return;
    pthread_mutex_lock(&background->control);
    background->closing = true;
    pthread_cond_broadcast(&background->changed);
    unref_locked(background);
}

void *background_memory(struct background *background)
{
    return background->memory;
}

/* control is held before and after. */
static void run_locked(struct background *background)
{
    void (*run)(void *) = background->run;
    background->run = NULL;
    pthread_mutex_unlock(&background->control);
    run(background->memory);
    pthread_mutex_lock(&background->control);
    atomic_store_explicit(&background->busy, false, memory_order_release);
    if (!background->closing)
        background->env->ops->wake(background->env);
}

static void run_on_pool(void *argument)
{
    struct background *background = argument;
    pthread_mutex_lock(&background->control);
    run_locked(background);
    unref_locked(background);
}

static void *run_on_thread(void *argument)
{
    struct background *background = argument;
    pthread_mutex_lock(&background->control);
    while (!background->closing || background->run != NULL) {
        if (background->run != NULL)
            run_locked(background);
        else
            pthread_cond_wait(&background->changed, &background->control);
    }
    unref_locked(background);
    return NULL;
}

/* control is held. false: no thread could be made. */
static bool make_thread(struct background *background)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, run_on_thread, background) != 0)
        return false;
    pthread_detach(thread);
    background->references++;
    background->has_thread = true;
    return true;
}

void background_start(struct background *background, void (*run)(void *memory))
{
    pthread_mutex_lock(&background->control);
    CHECK(!background->closing && !background_is_busy(background));
    background->run = run;
    atomic_store_explicit(&background->busy, true, memory_order_relaxed);
    /* Without a thread of its own the pool has to do. */
    if (background->place == BACKGROUND_OWN_THREAD &&
        (background->has_thread || make_thread(background))) {
        pthread_cond_signal(&background->changed);
        pthread_mutex_unlock(&background->control);
        return;
    }
    background->references++;
    pthread_mutex_unlock(&background->control);
    background->env->ops->run_blocking(background->env, run_on_pool, background);
}

bool background_is_busy(struct background *background)
{
    return atomic_load_explicit(&background->busy, memory_order_acquire);
}

void background_wake(struct background *background)
{
    pthread_mutex_lock(&background->control);
    if (!background->closing)
        background->env->ops->wake(background->env);
    pthread_mutex_unlock(&background->control);
}

bool background_is_closing(struct background *background)
{
    pthread_mutex_lock(&background->control);
    const bool closing = background->closing;
    pthread_mutex_unlock(&background->control);
    return closing;
}

void background_lock(struct background *background)
{
    pthread_mutex_lock(&background->lock);
}

void background_unlock(struct background *background)
{
    pthread_mutex_unlock(&background->lock);
}
