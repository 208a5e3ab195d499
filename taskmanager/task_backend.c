/* Adapts state backends to tasks. */
#include "taskmanager/task_backend.h"

#include "common/base/allocate.h"

#include <inttypes.h>

struct task_backend {
    struct keyed_backend keyed; /* first */
    struct state_backend *state;
    struct waker *waker;
};

static struct state_backend *state_of(struct keyed_backend *keyed)
{
    return ((struct task_backend *)keyed)->state;
}

static enum status backend_operator(struct keyed_backend *keyed, const char *uid,
                                    struct keyed_state **ret_keyed, struct error *err)
{
    return state_backend_operator(state_of(keyed), uid, ret_keyed, err);
}

static enum status backend_begin(struct keyed_backend *keyed, const struct barrier *barrier,
                                 struct error *err)
{
    const struct checkpoint_id none = {0}; /* a savepoint refers to nothing */
    return state_backend_begin_snapshot(state_of(keyed), barrier->id,
                                        barrier->is_savepoint ? none : barrier->newest_completed,
                                        err);
}

static bool backend_poll(struct keyed_backend *keyed, struct keyed_snapshot *ret_snapshot)
{
    struct state_snapshot snapshot;
    if (!state_backend_poll_snapshot(state_of(keyed), &snapshot))
        return false;
    *ret_snapshot = (struct keyed_snapshot){
        .id = snapshot.checkpoint,
        .status = snapshot.status,
        .error = snapshot.err,
        .handle = snapshot.handle,
        .uploaded_bytes = snapshot.uploaded_bytes,
    };
    return true;
}

static void backend_abort(struct keyed_backend *keyed, struct checkpoint_id id)
{
    state_backend_abort_snapshot(state_of(keyed), id);
}

static void backend_completed(struct keyed_backend *keyed, struct checkpoint_id id)
{
    state_backend_checkpoint_completed(state_of(keyed), id);
}

static void backend_count(const struct keyed_backend *keyed, uint64_t *ret_keys,
                          uint64_t *ret_bytes)
{
    struct state_metrics metrics;
    state_backend_metrics(((const struct task_backend *)keyed)->state, &metrics);
    *ret_keys = metrics.entry_count;
    *ret_bytes = metrics.byte_count;
}

static void backend_destroy(struct keyed_backend *keyed)
{
    struct task_backend *backend = (struct task_backend *)keyed;
    state_backend_destroy(backend->state);
    waker_unref(backend->waker);
    free(backend);
}

static const struct keyed_backend_ops backend_ops = {
    .count = backend_count,
    .operator_state = backend_operator,
    .begin_snapshot = backend_begin,
    .poll_snapshot = backend_poll,
    .abort_snapshot = backend_abort,
    .completed = backend_completed,
    .take_timer = state_timers_pop,
    .next_timer_ms = state_timers_next_ms,
    .destroy = backend_destroy,
};

static void wake(void *context)
{
    waker_wake(context);
}

enum status task_backend_open(void *context, const struct task_deployment *deployment,
                              const struct job_graph *graph, struct memory_account *account,
                              struct waker *waker, struct keyed_backend **ret_backend,
                              struct error *err)
{
    const struct task_backend_config *shared = context;
    SCOPED_TEXT char *directory =
        format_text("%s/%" PRIu64, shared->directory, deployment->attempt.value);
    char job[ID_TEXT_SIZE];
    id128_format(deployment->job.value, job);
    const struct job_vertex *vertex = &graph->vertices[deployment->vertex];
    const struct state_backend_config config = {
        .kind = shared->kind,
        .directory = directory,
        .key_groups = key_group_range_of(deployment->subtask_index, vertex->parallelism,
                                         graph->max_parallelism),
        .max_parallelism = graph->max_parallelism,
        .attempt = deployment->attempt,
        .account = account,
        .cache_bytes = shared->cache_bytes,
        .queue_bytes = shared->queue_bytes,
        .block_cache = shared->block_cache,
        .clock = shared->clock,
        .store = shared->store,
        .store_prefix = job,
        .wake = wake,
        .wake_context = waker,
    };
    struct task_backend *backend = allocate(sizeof(*backend));
    backend->keyed.ops = &backend_ops;
    backend->waker = waker_ref(waker);
    enum status status = state_backend_create(&config, &backend->state, err);
    if (status == STATUS_OK && deployment->state != NULL &&
        deployment->state->keyed.backend != NULL) {
        status = state_backend_restore(backend->state, &deployment->state->keyed,
                                       deployment->restore, err);
        if (status != STATUS_OK)
            state_backend_destroy(backend->state);
    }
    if (status != STATUS_OK) {
        waker_unref(backend->waker);
        free(backend);
        return error_wrap(err, status, "keyed state of %s", vertex->name);
    }
    *ret_backend = &backend->keyed;
    return STATUS_OK;
}
