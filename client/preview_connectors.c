/* Wrapped sources and the collecting sink of a preview: see preview_connectors.h. */
#include "client/preview_connectors.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "connectors/registry.h"

#include <stdlib.h>

#define SOURCE_MAX   64
#define POLL_WAIT_US 100000
/* Between two looks whether the reader has enough. */
#define ENUMERATOR_WAIT_MS 50

static struct preview_run *run;

static const struct source_connector *real_source(const struct operator_spec *spec)
{
    const struct source_connector *real =
        source_connector_find(connector_registry_builtin(), operator_setting(spec, "connector"));
    CHECK(real != NULL);
    return real;
}

static struct preview_feed *feed_of(const struct operator_spec *spec)
{
    for (size_t i = 0; i < run->feed_count; i++) {
        if (strcmp(run->feeds[i].node, spec->name) == 0)
            return &run->feeds[i];
    }
    CHECK(false);
    return NULL;
}

/* ---- enumerator ---- */

struct preview_enumerator {
    const struct source_connector *real;
    struct preview_feed *feed;
    void *inner;
    int64_t opened_us;
    bool is_bounded;
    bool is_open;
};

static enum status enumerator_open(void *self, const struct operator_spec *spec, struct error *err)
{
    struct preview_enumerator *enumerator = self;
    enumerator->real = real_source(spec);
    enumerator->feed = feed_of(spec);
    enumerator->is_bounded = enumerator->real->is_bounded(spec);
    enumerator->opened_us = clock_now_us(clock_system());
    enumerator->inner = allocate(enumerator->real->enumerator.instance_size);
    enumerator->is_open = true;
    return enumerator->real->enumerator.open(enumerator->inner, spec, err);
}

/* An unbounded source is looked through once; its last split is known when its reader has had
 * enough. */
static enum status enumerator_discover(void *self, struct split_list *ret_found, bool *ret_is_last,
                                       struct error *err)
{
    struct preview_enumerator *enumerator = self;
    struct preview_feed *feed = enumerator->feed;
    if (atomic_load(&feed->is_done)) {
        *ret_is_last = true;
        return STATUS_OK;
    }
    *ret_is_last = false;
    if (!enumerator->is_bounded && atomic_load(&feed->is_found))
        return STATUS_OK;
    const enum status status =
        enumerator->real->enumerator.discover(enumerator->inner, ret_found, ret_is_last, err);
    if (status == STATUS_OK) {
        atomic_store(&feed->is_found, true);
        return STATUS_OK;
    }
    const int64_t waited_us = clock_now_us(clock_system()) - enumerator->opened_us;
    if (waited_us < INT64_C(1000) * PREVIEW_PATIENCE_MS)
        return status;
    struct error cause = *err;
    return error_set(err, STATUS_INVALID, "source \"%s\" was not there within %d s: %s", feed->node,
                     PREVIEW_PATIENCE_MS / 1000, cause.message);
}

static int64_t enumerator_interval_ms(const void *self)
{
    (void)self;
    return ENUMERATOR_WAIT_MS;
}

static void enumerator_close(void *self)
{
    struct preview_enumerator *enumerator = self;
    if (enumerator->is_open && enumerator->real->enumerator.close != NULL)
        enumerator->real->enumerator.close(enumerator->inner);
    free(enumerator->inner);
    *enumerator = (struct preview_enumerator){0};
}

static const struct enumerator_ops enumerator_ops = {
    .instance_size = sizeof(struct preview_enumerator),
    .open = enumerator_open,
    .discover = enumerator_discover,
    .interval_ms = enumerator_interval_ms,
    .close = enumerator_close,
};

/* ---- reader ---- */

struct preview_reader {
    struct operator_env_ops ops; /* first: what env->ops points to while this is open */
    const struct operator_env_ops *task_ops;
    struct operator_env *env;
    const struct reader_ops *real;
    struct preview_feed *feed;
    void *inner;
    char *waits_for;
    int64_t active_us; /* when there was something last */
    int64_t wake_us;
    uint32_t split_count;
    bool is_bounded;
    bool is_open;
};

static uint32_t taken(const struct preview_feed *feed)
{
    return feed->row_count + feed->error_count;
}

static struct preview_reader *reader_of(const struct operator_env *env)
{
    return (struct preview_reader *)(uintptr_t)env->ops;
}

/* A record that cannot be read is one of those that were asked for. */
static enum step on_row_error(struct operator_env *env, const struct row_error *error,
                              struct emitter *out, struct error *err)
{
    struct preview_reader *reader = reader_of(env);
    if (taken(reader->feed) >= reader->feed->row_max)
        return STEP_DONE;
    const enum step step = reader->task_ops->row_error(env, error, out, err);
    if (step == STEP_DONE) {
        reader->feed->error_count++;
        reader->active_us = clock_now_us(env->clock);
    }
    return step;
}

static void on_waits_for(struct operator_env *env, const char *reason)
{
    struct preview_reader *reader = reader_of(env);
    free(reader->waits_for);
    reader->waits_for = reason != NULL ? copy_text(reason) : NULL;
    reader->task_ops->waits_for(env, reason);
}

static enum status reader_open(void *self, struct operator_env *env, const struct format *format,
                               struct error *err)
{
    struct preview_reader *reader = self;
    const struct source_connector *real = real_source(env->spec);
    reader->env = env;
    reader->real = &real->reader;
    reader->feed = feed_of(env->spec);
    reader->is_bounded = real->is_bounded(env->spec);
    reader->active_us = clock_now_us(env->clock);
    reader->wake_us = INT64_MAX;
    reader->task_ops = env->ops;
    reader->ops = *env->ops;
    reader->ops.row_error = on_row_error;
    reader->ops.waits_for = on_waits_for;
    env->ops = &reader->ops;
    reader->inner = allocate(reader->real->instance_size);
    reader->is_open = true;
    return reader->real->open(reader->inner, env, format, err);
}

static enum status reader_add_splits(void *self, const struct split_list *splits, struct error *err)
{
    struct preview_reader *reader = self;
    if (atomic_load(&reader->feed->is_done))
        return STATUS_OK;
    reader->split_count += (uint32_t)splits->count;
    reader->active_us = clock_now_us(reader->env->clock);
    return reader->real->add_splits(reader->inner, splits, err);
}

static void finish(struct preview_reader *reader, enum preview_end end)
{
    reader->feed->end = end;
    atomic_store(&reader->feed->is_done, true);
}

static void keep_first(struct batch *batch, uint32_t count)
{
    if (batch_selected(batch) <= count)
        return;
    if (batch->selection == NULL) {
        batch->selection = allocate_array(count, sizeof(*batch->selection));
        for (uint32_t i = 0; i < count; i++)
            batch->selection[i] = i;
    }
    batch->selected_count = count;
}

/* The least that is known of any split. */
static enum split_status least_known(const struct preview_reader *reader)
{
    enum split_status least = SPLIT_FINISHED;
    for (uint32_t i = 0; i < reader->split_count; i++) {
        const enum split_status status = reader->real->split_status == NULL
                                             ? SPLIT_UNKNOWN
                                             : reader->real->split_status(reader->inner, i);
        if (status == SPLIT_UNREACHABLE)
            return status;
        if (status == SPLIT_HAS_MORE || least == SPLIT_FINISHED)
            least = status;
    }
    return least;
}

/* Nothing came: for long enough? */
static enum poll on_nothing(struct preview_reader *reader, enum poll poll, struct error *err)
{
    const int64_t now_us = clock_now_us(reader->env->clock);
    reader->wake_us = now_us + POLL_WAIT_US;
    if (reader->split_count == 0 && !atomic_load(&reader->feed->is_found))
        reader->active_us = now_us; /* the enumerator has its own patience */
    const int64_t silence_ms = (now_us - reader->active_us) / 1000;
    const enum split_status known = least_known(reader);
    if (known == SPLIT_UNREACHABLE && silence_ms >= PREVIEW_PATIENCE_MS) {
        (void)error_set(err, STATUS_UNAVAILABLE, "nothing could be read within %d s%s%s",
                        PREVIEW_PATIENCE_MS / 1000, reader->waits_for != NULL ? ": " : "",
                        reader->waits_for != NULL ? reader->waits_for : "");
        return POLL_FAILED;
    }
    const int64_t wanted_ms = known == SPLIT_HAS_MORE || known == SPLIT_UNREACHABLE
                                  ? PREVIEW_PATIENCE_MS
                                  : PREVIEW_SILENCE_MS;
    if (reader->is_bounded || silence_ms < wanted_ms)
        return poll;
    finish(reader, PREVIEW_END_SILENCE);
    return POLL_NEED_SPLITS;
}

static enum poll reader_poll(void *self, struct emitter *out, struct batch **ret_batch,
                             struct error *err)
{
    struct preview_reader *reader = self;
    struct preview_feed *feed = reader->feed;
    if (!atomic_load(&feed->is_done) && taken(feed) >= feed->row_max)
        finish(reader, PREVIEW_END_LIMIT);
    if (atomic_load(&feed->is_done)) {
        reader->wake_us = INT64_MAX;
        return POLL_NEED_SPLITS;
    }
    const enum poll poll = reader->real->poll(reader->inner, out, ret_batch, err);
    switch (poll) {
    case POLL_BATCH:
        if (taken(feed) >= feed->row_max) { /* its unreadable records were enough */
            batch_unref(*ret_batch);
            return POLL_AGAIN;
        }
        keep_first(*ret_batch, feed->row_max - taken(feed));
        feed->row_count += batch_selected(*ret_batch);
        reader->active_us = clock_now_us(reader->env->clock);
        return POLL_BATCH;
    case POLL_IDLE:
    case POLL_NEED_SPLITS:
        return on_nothing(reader, poll, err);
    case POLL_AGAIN:
    case POLL_FAILED:
        return poll;
    }
    UNREACHABLE();
}

/* There are no checkpoints in a preview. */
static enum status reader_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    struct preview_reader *reader = self;
    return reader->real->snapshot(reader->inner, ret_splits, err);
}

static void reader_close(void *self)
{
    struct preview_reader *reader = self;
    if (reader->is_open) {
        if (reader->real->close != NULL)
            reader->real->close(reader->inner);
        reader->env->ops = reader->task_ops;
    }
    free(reader->waits_for);
    free(reader->inner);
    *reader = (struct preview_reader){0};
}

static int64_t reader_next_wake_us(const void *self)
{
    const struct preview_reader *reader = self;
    if (atomic_load(&reader->feed->is_done))
        return INT64_MAX;
    const int64_t inner_us =
        reader->real->next_wake_us != NULL ? reader->real->next_wake_us(reader->inner) : INT64_MAX;
    return inner_us < reader->wake_us ? inner_us : reader->wake_us;
}

static enum split_status reader_split_status(const void *self, uint32_t split)
{
    const struct preview_reader *reader = self;
    if (atomic_load(&reader->feed->is_done))
        return SPLIT_FINISHED;
    return reader->real->split_status(reader->inner, split);
}

static void reader_pause_split(void *self, uint32_t split, bool is_paused)
{
    struct preview_reader *reader = self;
    if (!atomic_load(&reader->feed->is_done))
        reader->real->pause_split(reader->inner, split, is_paused);
}

static struct reader_ops wrap_reader(const struct reader_ops *real)
{
    return (struct reader_ops){
        .instance_size = sizeof(struct preview_reader),
        .open = reader_open,
        .add_splits = reader_add_splits,
        .poll = reader_poll,
        .snapshot = reader_snapshot,
        .close = reader_close,
        .next_wake_us = reader_next_wake_us,
        .split_status = real->split_status != NULL ? reader_split_status : NULL,
        .pause_split = real->pause_split != NULL ? reader_pause_split : NULL,
    };
}

/* ---- sink ---- */

struct preview_sink {
    struct preview_table *table;
};

static enum status sink_open(void *self, struct operator_env *env, const struct format *format,
                             struct error *err)
{
    (void)format;
    (void)err;
    struct preview_sink *sink = self;
    const char *table = operator_setting(env->spec, SETTING_PREVIEW_TABLE);
    const size_t index = table != NULL ? strtoul(table, NULL, 10) : SIZE_MAX;
    CHECK(index < run->table_count);
    sink->table = run->tables[index];
    return STATUS_OK;
}

static enum step sink_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    (void)out;
    (void)err;
    struct preview_sink *sink = self;
    (void)pthread_mutex_lock(&run->mutex);
    preview_table_add(sink->table, in);
    (void)pthread_mutex_unlock(&run->mutex);
    return STEP_DONE;
}

static const struct option_spec no_options[] = {{.name = NULL}};

static const struct sink_connector preview_sink = {
    .abi_size = sizeof(struct sink_connector),
    .name = PREVIEW_SINK,
    .help = "Rows for a preview.",
    .options = no_options,
    .takes_changes = true,
    .guarantee = GUARANTEE_AT_LEAST_ONCE,
    .writer = {.instance_size = sizeof(struct preview_sink),
               .open = sink_open,
               .write = sink_write},
};

/* ---- the registry ---- */

const struct connector_registry *preview_connectors_use(struct preview_run *next)
{
    static struct source_connector wrappers[SOURCE_MAX];
    static const struct source_connector *sources[SOURCE_MAX + 1];
    static const struct sink_connector *const sinks[] = {&preview_sink, NULL};
    static struct connector_registry registry;
    const struct connector_registry *real = connector_registry_builtin();
    size_t count = 0;
    for (; real->sources[count] != NULL; count++) {
        CHECK(count < SOURCE_MAX);
        wrappers[count] = *real->sources[count];
        wrappers[count].reader = wrap_reader(&real->sources[count]->reader);
        if (real->sources[count]->enumerator.discover != NULL)
            wrappers[count].enumerator = enumerator_ops;
        sources[count] = &wrappers[count];
    }
    sources[count] = NULL;
    registry = (struct connector_registry){sources, sinks, real->formats};
    run = next;
    return &registry;
}
