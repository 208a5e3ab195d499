/* Runs the enumerators of sources: see discovery.h. */
#include "jobmanager/discovery.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/clock.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

/* What one enumerator's thread needs; the list is guarded by discovery.lock. */
struct active {
    struct active *next;
    struct discovery *discovery;
    struct job_id job;
    uint32_t operator_index;
    uint64_t enumerator;
    bool is_resumed;
    struct job_graph *graph;
    bool is_stopped;
};

struct discovery {
    const struct connector_registry *registry;
    struct secret_places secrets;
    discovery_done done;
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t change; /* something was stopped, or a thread has ended */
    struct active *first;
};

void discovery_result_destroy(struct discovery_result *result)
{
    source_split_list_done(&result->splits);
    free(result);
}

struct discovery *discovery_create(const struct connector_registry *registry,
                                   const struct secret_places *secrets, discovery_done done,
                                   void *context)
{
    struct discovery *discovery = allocate(sizeof(*discovery));
    discovery->registry = registry;
    discovery->secrets = *secrets;
    discovery->done = done;
    discovery->context = context;
    CHECK(pthread_mutex_init(&discovery->lock, NULL) == 0);
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&discovery->change, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    return discovery;
}

/* Sleeps; true when the enumerator was stopped meanwhile. */
static bool pause_or_stop(struct active *active, int64_t pause_ms)
{
    struct discovery *discovery = active->discovery;
    const int64_t until_us = clock_now_us(clock_system()) + pause_ms * 1000;
    const struct timespec until = {.tv_sec = until_us / 1000000,
                                   .tv_nsec = until_us % 1000000 * 1000};
    (void)pthread_mutex_lock(&discovery->lock);
    int code = 0;
    while (!active->is_stopped && code == 0)
        code = pthread_cond_timedwait(&discovery->change, &discovery->lock, &until);
    const bool is_stopped = active->is_stopped;
    (void)pthread_mutex_unlock(&discovery->lock);
    return is_stopped;
}

static struct discovery_result *discover_once(const struct active *active,
                                              const struct enumerator_ops *ops, void *self)
{
    struct discovery_result *result = allocate(sizeof(*result));
    result->job = active->job;
    result->operator_index = active->operator_index;
    result->enumerator = active->enumerator;
    struct split_list found = {0};
    result->code = ops->discover(self, &found, &result->is_last, &result->err);
    for (size_t i = 0; i < found.count && result->code == STATUS_OK; i++)
        source_split_list_add(&result->splits, found.splits[i].id, found.splits[i].state,
                              found.splits[i].state_size);
    split_list_done(&found);
    return result;
}

/* Calls discover until there is nothing more to find or the enumerator is stopped. */
static void discover_all(struct active *active, const struct enumerator_ops *ops, void *self)
{
    int64_t pause_ms = DISCOVERY_PAUSE_FIRST_MS;
    bool is_last = false;
    do {
        struct discovery_result *result = discover_once(active, ops, self);
        is_last = result->code == STATUS_OK && result->is_last;
        if (result->code == STATUS_OK) {
            pause_ms = DISCOVERY_PAUSE_FIRST_MS;
        } else {
            pause_ms =
                pause_ms * 2 < DISCOVERY_PAUSE_MAX_MS ? pause_ms * 2 : DISCOVERY_PAUSE_MAX_MS;
        }
        const bool is_failed = result->code != STATUS_OK;
        active->discovery->done(active->discovery->context, result);
        if (!is_failed && !is_last && ops->interval_ms != NULL)
            pause_ms = ops->interval_ms(self);
    } while (!is_last && !pause_or_stop(active, pause_ms));
}

static void report_failure(const struct active *active, enum status code, const char *message)
{
    struct discovery_result *result = allocate(sizeof(*result));
    result->job = active->job;
    result->operator_index = active->operator_index;
    result->enumerator = active->enumerator;
    result->code = error_set(&result->err, code, "%s", message);
    active->discovery->done(active->discovery->context, result);
}

/* A source whose readers make their own splits: there is nothing to find. */
static void report_none(const struct active *active)
{
    struct discovery_result *result = allocate(sizeof(*result));
    result->job = active->job;
    result->operator_index = active->operator_index;
    result->enumerator = active->enumerator;
    result->is_last = true;
    active->discovery->done(active->discovery->context, result);
}

static void run_enumerator(struct active *active)
{
    struct operator_spec *spec = &active->graph->operators[active->operator_index];
    const char *name = operator_setting(spec, "connector");
    const struct source_connector *connector =
        name != NULL ? source_connector_find(active->discovery->registry, name) : NULL;
    if (connector == NULL) {
        report_failure(active, STATUS_INVALID, "the source has no connector of that name");
        return;
    }
    if (connector->makes_splits) {
        report_none(active);
        return;
    }
    struct error err;
    if (secrets_resolve_operator(&active->discovery->secrets, spec, &err) != STATUS_OK) {
        report_failure(active, err.code, err.message);
        return;
    }
    const struct enumerator_ops *ops = &connector->enumerator;
    void *self = allocate(ops->instance_size);
    const enum status status = ops->open(self, spec, &err);
    if (status == STATUS_OK && active->is_resumed && ops->resume != NULL)
        ops->resume(self);
    if (status == STATUS_OK)
        discover_all(active, ops, self);
    else
        report_failure(active, status, err.message);
    if (ops->close != NULL)
        ops->close(self);
    free(self);
}

static void *run_thread(void *argument)
{
    struct active *active = argument;
    struct discovery *discovery = active->discovery;
    run_enumerator(active);
    (void)pthread_mutex_lock(&discovery->lock);
    struct active **slot = &discovery->first;
    while (*slot != active)
        slot = &(*slot)->next;
    *slot = active->next;
    (void)pthread_cond_broadcast(&discovery->change);
    (void)pthread_mutex_unlock(&discovery->lock);
    job_graph_destroy(active->graph);
    free(active);
    return NULL;
}

void discovery_start(struct discovery *discovery, struct job_id job, uint32_t operator_index,
                     uint64_t enumerator, bool is_resumed, struct job_graph *graph)
{
    struct active *active = allocate(sizeof(*active));
    active->discovery = discovery;
    active->job = job;
    active->operator_index = operator_index;
    active->enumerator = enumerator;
    active->graph = graph;
    active->is_resumed = is_resumed;
    (void)pthread_mutex_lock(&discovery->lock);
    active->next = discovery->first;
    discovery->first = active;
    (void)pthread_mutex_unlock(&discovery->lock);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_thread, active) == 0);
    (void)pthread_detach(thread);
}

void discovery_stop(struct discovery *discovery, uint64_t enumerator)
{
    (void)pthread_mutex_lock(&discovery->lock);
    for (struct active *active = discovery->first; active != NULL; active = active->next) {
        if (active->enumerator == enumerator)
            active->is_stopped = true;
    }
    (void)pthread_cond_broadcast(&discovery->change);
    (void)pthread_mutex_unlock(&discovery->lock);
}

void discovery_destroy(struct discovery *discovery)
{
    if (discovery == NULL)
        return;
    (void)pthread_mutex_lock(&discovery->lock);
    for (struct active *active = discovery->first; active != NULL; active = active->next)
        active->is_stopped = true;
    (void)pthread_cond_broadcast(&discovery->change);
    while (discovery->first != NULL)
        (void)pthread_cond_wait(&discovery->change, &discovery->lock);
    (void)pthread_mutex_unlock(&discovery->lock);
    (void)pthread_cond_destroy(&discovery->change);
    (void)pthread_mutex_destroy(&discovery->lock);
    free(discovery);
}
