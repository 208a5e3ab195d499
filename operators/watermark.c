/*
 * watermark: event time enters the stream. Behind a source's computed columns and in its task, it
 * reads the time column of each batch and tells the task the largest; the task makes watermarks
 * of that (taskmanager/task/source_time.h). Rows without a time, and rows further ahead of the
 * wall clock than max_ahead, are left out and go to on_error, so that time cannot jump.
 */
#include "common/base/allocate.h"
#include "common/config/watermark_options.h"
#include "expressions/time_zone.h"
#include "operators/operators.h"

#include <inttypes.h>

#define MESSAGE_BYTES_MAX 400

struct watermark {
    struct operator_env *env;
    struct time_zone *zone; /* of a TIMESTAMP column; NULL: UTC */
    uint32_t column;
    int64_t ticks_per_ms;
    int64_t max_ahead_ms; /* 0: any time is taken */
    /* The batch at work, while some of its rows are handed to on_error. */
    bool is_busy;
    int64_t limit;       /* largest tick that is taken */
    int64_t max;         /* largest tick of the rows kept */
    uint32_t kept_count; /* of kept */
    uint32_t *kept;      /* NULL: no row fails */
    uint32_t next;       /* selected rows before it are dealt with */
};

static enum status watermark_open(void *self, struct operator_env *env, struct error *err)
{
    struct watermark *watermark = self;
    const struct operator_spec *spec = env->spec;
    watermark->env = env;
    struct option_value values[WATERMARK_OPTION_COUNT];
    TRY(options_from_settings(watermark_options, spec->settings, spec->setting_count,
                              WATERMARK_SETTING_PREFIX, values, err));
    const int32_t column = schema_find(spec->inputs[0], values[WATERMARK_COLUMN].text);
    if (column < 0 || !type_is_timestamp(spec->inputs[0]->columns[column].type.kind))
        return error_set(err, STATUS_INVALID, "operator \"%s\": no TIMESTAMP column \"%s\"",
                         spec->uid, values[WATERMARK_COLUMN].text);
    const struct type type = spec->inputs[0]->columns[column].type;
    watermark->column = (uint32_t)column;
    watermark->ticks_per_ms = type_timestamp_ticks(type) / 1000;
    watermark->max_ahead_ms = values[WATERMARK_MAX_AHEAD].integer;
    /* A TIMESTAMP is local time, so the wall clock it is compared with has to be too. */
    if (type.kind == TYPE_TIMESTAMP && env->job != NULL && env->job->time_zone != NULL)
        return time_zone_create(env->job->time_zone, &watermark->zone, err);
    return STATUS_OK;
}

static int64_t limit_of(const struct watermark *watermark)
{
    if (watermark->max_ahead_ms == 0)
        return INT64_MAX;
    const int64_t now_ms = clock_wall_ms(watermark->env->clock);
    const int64_t offset_s = time_zone_offset(watermark->zone, now_ms / 1000);
    const int64_t limit_ms = now_ms + offset_s * 1000 + watermark->max_ahead_ms;
    return limit_ms > INT64_MAX / watermark->ticks_per_ms ? INT64_MAX
                                                          : limit_ms * watermark->ticks_per_ms;
}

/* The largest time of all selected rows; INT64_MAX if one of them has none. */
static int64_t largest(const struct column *times, const struct batch *in)
{
    const int64_t *values = times->values;
    int64_t max = INT64_MIN;
    const uint32_t count = batch_selected(in);
    if (times->validity != NULL) {
        for (uint32_t i = 0; i < count; i++) {
            if (column_is_null(times, batch_row(in, i)))
                return INT64_MAX;
        }
    }
    if (in->selection == NULL) {
        for (uint32_t i = 0; i < count; i++)
            max = values[i] > max ? values[i] : max;
    } else {
        for (uint32_t i = 0; i < count; i++)
            max = values[in->selection[i]] > max ? values[in->selection[i]] : max;
    }
    return max;
}

static bool is_good(const struct watermark *watermark, const struct column *times, uint32_t row)
{
    return !column_is_null(times, row) && ((const int64_t *)times->values)[row] <= watermark->limit;
}

static void begin(struct watermark *watermark, const struct batch *in)
{
    const struct column *times = in->columns[watermark->column];
    watermark->is_busy = true;
    watermark->next = 0;
    watermark->limit = limit_of(watermark);
    watermark->kept_count = batch_selected(in);
    watermark->max = largest(times, in);
    if (watermark->max <= watermark->limit && watermark->max != INT64_MAX)
        return;
    watermark->kept = allocate_array((size_t)watermark->kept_count + 1, sizeof(uint32_t));
    watermark->kept_count = 0;
    watermark->max = INT64_MIN;
    for (uint32_t i = 0; i < batch_selected(in); i++) {
        const uint32_t row = batch_row(in, i);
        if (!is_good(watermark, times, row))
            continue;
        const int64_t time = ((const int64_t *)times->values)[row];
        watermark->max = time > watermark->max ? time : watermark->max;
        watermark->kept[watermark->kept_count++] = row;
    }
}

/* The same row must give the same message each time it comes: no clock in it. */
static enum step deliver_one(struct watermark *watermark, const struct batch *in, uint32_t row,
                             struct emitter *out, struct error *err)
{
    const struct column *times = in->columns[watermark->column];
    const char *name = watermark->env->spec->inputs[0]->columns[watermark->column].name;
    const bool is_null = column_is_null(times, row);
    struct text message SCOPED_TEXT_BUFFER;
    text_init(&message, MESSAGE_BYTES_MAX);
    text_format(&message, "column \"%s\": ", name);
    if (is_null) {
        text_append(&message, "the event time is NULL");
    } else {
        column_format_value(times, row, &message);
        text_format(&message,
                    " is more than %" PRId64 " s ahead of this host's clock (max_ahead of the "
                    "watermark)",
                    watermark->max_ahead_ms / 1000);
    }
    const struct row_error error = {
        .cause = is_null ? "event_time" : "max_ahead",
        .message = message.bytes,
        .origin = &in->origin,
        .position = -1,
    };
    return watermark->env->ops->row_error(watermark->env, &error, out, err);
}

static enum step deliver(struct watermark *watermark, const struct batch *in, struct emitter *out,
                         struct error *err)
{
    const struct column *times = in->columns[watermark->column];
    for (; watermark->kept != NULL && watermark->next < batch_selected(in); watermark->next++) {
        const uint32_t row = batch_row(in, watermark->next);
        if (is_good(watermark, times, row))
            continue;
        const enum step step = deliver_one(watermark, in, row, out, err);
        if (step != STEP_DONE)
            return step;
    }
    return STEP_DONE;
}

/* The batch with the kept rows selected. */
static struct batch *select_kept(struct watermark *watermark, const struct batch *in)
{
    struct batch *output = batch_create(in->schema, in->row_count);
    for (uint32_t i = 0; i < in->column_count; i++)
        output->columns[i] = column_ref(in->columns[i]);
    output->selection = take_pointer(&watermark->kept);
    output->selected_count = watermark->kept_count;
    if (in->row_kinds != NULL)
        output->row_kinds = copy_memory(in->row_kinds, in->row_count);
    output->origin = in->origin;
    if (output->origin.source != NULL)
        (void)buffer_ref(output->origin.source);
    return output;
}

static int64_t floor_ms(int64_t ticks, int64_t ticks_per_ms)
{
    return ticks / ticks_per_ms - (ticks % ticks_per_ms < 0);
}

static enum step watermark_process(void *self, uint16_t input, struct batch *in,
                                   struct emitter *out, struct error *err)
{
    struct watermark *watermark = self;
    (void)input;
    if (!emitter_has_room(out, 0))
        return STEP_AGAIN;
    if (!watermark->is_busy)
        begin(watermark, in);
    const enum step step = deliver(watermark, in, out, err);
    if (step != STEP_DONE)
        return step;
    watermark->is_busy = false;
    if (watermark->kept_count > 0) {
        watermark->env->ops->event_time(watermark->env, &in->origin,
                                        floor_ms(watermark->max, watermark->ticks_per_ms));
        emitter_emit(out, 0, watermark->kept != NULL ? select_kept(watermark, in) : batch_ref(in));
    }
    free(take_pointer(&watermark->kept));
    return STEP_DONE;
}

static void watermark_close(void *self)
{
    struct watermark *watermark = self;
    free(watermark->kept);
    time_zone_destroy(watermark->zone);
    *watermark = (struct watermark){0};
}

const struct operator_ops watermark_operator = {
    .abi_size = sizeof(struct operator_ops),
    .traits = OPERATOR_TAKES_CHANGES,
    .kind = WATERMARK_OPERATOR,
    .instance_size = sizeof(struct watermark),
    .input_count = 1,
    .open = watermark_open,
    .process = watermark_process,
    .close = watermark_close,
};
