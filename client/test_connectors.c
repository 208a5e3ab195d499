/* Scripted source and collecting sink of a test: see test_connectors.h. */
#include "client/test_connectors.h"

#include "client/test_rows.h"
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/config/watermark_options.h"

#include <inttypes.h>

static struct test_run *run;

void test_connectors_use(struct test_run *next)
{
    run = next;
    run->has_failed = false;
    memset(run->committed, 0, sizeof(run->committed));
}

/* ---- source ---- */

struct test_source {
    struct operator_env *env;
    const struct yaml_node *steps; /* NULL: none */
    struct batch_builder builder;
    int64_t behind_ms; /* what its watermark is behind its largest time */
    bool has_event_time;
    bool has_split;
    bool is_waiting; /* for a checkpoint */
    uint32_t next;
};

static enum status read_delay(struct test_source *source, struct error *err)
{
    const struct job_graph *job = source->env->job;
    for (uint32_t i = 0; job != NULL && i < job->operator_count; i++) {
        const struct operator_spec *spec = &job->operators[i];
        if (strcmp(spec->kind, WATERMARK_OPERATOR) != 0 ||
            strcmp(spec->name, source->env->spec->name) != 0)
            continue;
        struct option_value values[WATERMARK_OPTION_COUNT];
        TRY(options_from_settings(watermark_options, spec->settings, spec->setting_count,
                                  WATERMARK_SETTING_PREFIX, values, err));
        source->behind_ms = values[WATERMARK_DELAY].integer + 1;
        source->has_event_time = true;
    }
    return STATUS_OK;
}

static enum status source_open(void *self, struct operator_env *env, const struct format *format,
                               struct error *err)
{
    (void)format;
    struct test_source *source = self;
    source->env = env;
    batch_builder_init(&source->builder, env->spec->outputs[0].schema, env->memory);
    for (size_t i = 0; i < run->script_count; i++) {
        if (strcmp(run->scripts[i].node, env->spec->name) == 0)
            source->steps = run->scripts[i].steps;
    }
    return read_delay(source, err);
}

static enum status source_add_splits(void *self, const struct split_list *splits, struct error *err)
{
    (void)err;
    struct test_source *source = self;
    for (size_t i = 0; i < splits->count; i++) {
        if (strcmp(splits->splits[i].id, "0") != 0)
            continue;
        source->has_split = true;
        if (splits->splits[i].state_size == sizeof(source->next))
            memcpy(&source->next, splits->splits[i].state, sizeof(source->next));
    }
    return STATUS_OK;
}

static uint32_t step_count(const struct test_source *source)
{
    return source->steps != NULL && source->has_split ? source->steps->count : 0;
}

/* A dozen in the course of a long script. */
static uint32_t checkpoint_every(const struct test_source *source)
{
    return 2 + step_count(source) / 12;
}

/* Has the time come for the one failure of this run? */
static bool must_fail(const struct test_source *source)
{
    if (!run->must_fail || source->next < step_count(source) / 2)
        return false;
    pthread_mutex_lock(&run->mutex);
    const bool is_first = !run->has_failed;
    run->has_failed = true;
    pthread_mutex_unlock(&run->mutex);
    return is_first;
}

static bool is_watermark(const struct test_source *source, const struct yaml_node *step)
{
    return step->kind == YAML_MAP && step->count == 1 &&
           strcmp(step->entries[0].key->text, "watermark") == 0 &&
           schema_find(source->builder.schema, "watermark") < 0;
}

static enum poll take_step(struct test_source *source, const struct yaml_node *step,
                           struct batch **ret_batch, struct error *err)
{
    if (!is_watermark(source, step)) {
        if (test_row_append(&source->builder, step, err) != STATUS_OK)
            return POLL_FAILED;
        *ret_batch = batch_builder_take(&source->builder);
        return POLL_BATCH;
    }
    int64_t time_ms = 0;
    if (!source->has_event_time) {
        (void)error_set(err, STATUS_INVALID, "line %u: the source has no `watermark`", step->line);
        return POLL_FAILED;
    }
    if (test_time_parse(step->entries[0].value, &time_ms, err) != STATUS_OK)
        return POLL_FAILED;
    const struct batch_origin origin = {.split = 0};
    source->env->ops->event_time(source->env, &origin, time_ms + source->behind_ms);
    return POLL_AGAIN;
}

static enum poll source_poll(void *self, struct emitter *out, struct batch **ret_batch,
                             struct error *err)
{
    (void)out;
    struct test_source *source = self;
    if (source->next >= step_count(source))
        return POLL_NEED_SPLITS;
    if (source->is_waiting)
        return POLL_IDLE;
    if (must_fail(source)) {
        (void)error_set(err, STATUS_UNAVAILABLE, "a failure on purpose");
        return POLL_FAILED;
    }
    const enum poll poll = take_step(source, source->steps->items[source->next], ret_batch, err);
    if (poll == POLL_FAILED)
        return poll;
    source->next++;
    source->is_waiting = run->has_checkpoints && source->next % checkpoint_every(source) == 0;
    return poll;
}

static enum status source_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)err;
    const struct test_source *source = self;
    if (source->has_split)
        split_list_add(ret_splits, "0", &source->next, sizeof(source->next));
    return STATUS_OK;
}

static void source_completed(void *self, struct checkpoint_id id)
{
    (void)id;
    struct test_source *source = self;
    source->is_waiting = false;
}

static enum split_status source_split_status(const void *self, uint32_t split)
{
    (void)split;
    const struct test_source *source = self;
    return source->next < step_count(source) ? SPLIT_HAS_MORE : SPLIT_FINISHED;
}

static void source_close(void *self)
{
    struct test_source *source = self;
    if (source->env != NULL)
        batch_builder_done(&source->builder);
    *source = (struct test_source){0};
}

static bool is_bounded(const struct operator_spec *spec)
{
    (void)spec;
    return true;
}

static const struct option_spec no_options[] = {{.name = NULL}};

static const struct source_connector test_source = {
    .abi_size = sizeof(struct source_connector),
    .name = TEST_CONNECTOR,
    .help = "Rows of a test.",
    .options = no_options,
    .is_replayable = true,
    .makes_splits = true,
    .is_bounded = is_bounded,
    .reader = {.instance_size = sizeof(struct test_source),
               .open = source_open,
               .add_splits = source_add_splits,
               .poll = source_poll,
               .snapshot = source_snapshot,
               .checkpoint_completed = source_completed,
               .close = source_close,
               .split_status = source_split_status},
};

/* ---- sink ---- */

/* Rows since the last checkpoint known to be complete, in up to so many parts. */
#define PARTS_MAX 64

struct part {
    uint64_t checkpoint; /* that holds it; 0: none yet */
    struct text rows;
};

struct test_sink {
    struct operator_env *env;
    size_t output; /* in run->outputs; SIZE_MAX: nobody looks */
    struct part parts[PARTS_MAX];
    uint32_t part_count; /* the last one is being written */
};

static enum status sink_open(void *self, struct operator_env *env, const struct format *format,
                             struct error *err)
{
    (void)format;
    (void)err;
    struct test_sink *sink = self;
    sink->env = env;
    sink->output = SIZE_MAX;
    for (size_t i = 0; i < run->output_count; i++) {
        if (strcmp(run->outputs[i].node, env->spec->name) == 0)
            sink->output = i;
    }
    text_init(&sink->parts[0].rows, TEST_ROWS_BYTES_MAX);
    sink->part_count = 1;
    return STATUS_OK;
}

static void commit(struct test_sink *sink, uint64_t checkpoint, const char *rows, size_t size)
{
    if (sink->output == SIZE_MAX)
        return;
    uint64_t *last = &run->committed[sink->output][sink->env->subtask_index % 256];
    pthread_mutex_lock(&run->mutex);
    if (checkpoint == 0 || checkpoint > *last) {
        text_append_bytes(&run->outputs[sink->output].rows, rows, size);
        *last = checkpoint > *last ? checkpoint : *last;
    }
    pthread_mutex_unlock(&run->mutex);
}

static enum step sink_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    (void)out;
    (void)err;
    struct test_sink *sink = self;
    struct text *rows = &sink->parts[sink->part_count - 1].rows;
    for (uint32_t i = 0; i < batch_selected(in); i++) {
        batch_format_row(in, batch_row(in, i), rows);
        text_append_char(rows, '\n');
    }
    if (!run->must_fail) {
        commit(sink, 0, rows->bytes, rows->size);
        text_clear(rows);
    }
    return STEP_DONE;
}

/* What is not committed yet: one entry for each part, the checkpoint and its rows. */
static enum status sink_snapshot(void *self, struct checkpoint_id id,
                                 struct snapshot_writer *writer, struct error *err)
{
    struct test_sink *sink = self;
    sink->parts[sink->part_count - 1].checkpoint = id.value;
    for (uint32_t i = 0; i < sink->part_count; i++) {
        const struct part *part = &sink->parts[i];
        const size_t size = sizeof(part->checkpoint) + part->rows.size;
        char *bytes = allocate(size);
        memcpy(bytes, &part->checkpoint, sizeof(part->checkpoint));
        memcpy(bytes + sizeof(part->checkpoint), part->rows.bytes, part->rows.size);
        writer->put(writer, "part", OPERATOR_STATE_LIST, bytes, size);
        free(bytes);
    }
    if (sink->part_count == PARTS_MAX)
        return error_set(err, STATUS_LIMIT, "%d checkpoints without an answer", PARTS_MAX);
    text_init(&sink->parts[sink->part_count].rows, TEST_ROWS_BYTES_MAX);
    sink->parts[sink->part_count++].checkpoint = 0;
    return STATUS_OK;
}

static enum step sink_completed(void *self, struct checkpoint_id id, struct error *err)
{
    (void)err;
    struct test_sink *sink = self;
    uint32_t done = 0;
    while (done + 1 < sink->part_count && sink->parts[done].checkpoint <= id.value) {
        commit(sink, sink->parts[done].checkpoint, sink->parts[done].rows.bytes,
               sink->parts[done].rows.size);
        text_done(&sink->parts[done++].rows);
    }
    sink->part_count -= done;
    memmove(sink->parts, sink->parts + done, sink->part_count * sizeof(sink->parts[0]));
    return STEP_DONE;
}

static enum step sink_recover(void *self, const struct snapshot_reader *pending, struct error *err)
{
    (void)err;
    struct test_sink *sink = self;
    for (size_t i = 0; i < pending->count; i++) {
        const struct snapshot_entry *entry = &pending->entries[i];
        uint64_t checkpoint = 0;
        CHECK(entry->size >= sizeof(checkpoint));
        memcpy(&checkpoint, entry->bytes, sizeof(checkpoint));
        commit(sink, checkpoint, (const char *)entry->bytes + sizeof(checkpoint),
               entry->size - sizeof(checkpoint));
    }
    return STEP_DONE;
}

static void sink_close(void *self)
{
    struct test_sink *sink = self;
    for (uint32_t i = 0; i < sink->part_count; i++)
        text_done(&sink->parts[i].rows);
    *sink = (struct test_sink){0};
}

static const struct sink_connector test_sink = {
    .abi_size = sizeof(struct sink_connector),
    .name = TEST_CONNECTOR,
    .help = "Rows for a test.",
    .options = no_options,
    .takes_changes = true,
    .guarantee = GUARANTEE_EXACTLY_ONCE,
    .writer = {.instance_size = sizeof(struct test_sink),
               .open = sink_open,
               .recover = sink_recover,
               .write = sink_write,
               .snapshot = sink_snapshot,
               .checkpoint_completed = sink_completed,
               .close = sink_close},
};

static const struct source_connector *const sources[] = {&test_source, NULL};
static const struct sink_connector *const sinks[] = {&test_sink, NULL};
static const struct format *const formats[] = {NULL};
const struct connector_registry test_connector_registry = {sources, sinks, formats};
