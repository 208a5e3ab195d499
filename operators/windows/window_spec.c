/* The window clause and its arithmetic: see window_spec.h. */
#include "operators/windows/window_spec.h"

#include "common/base/check.h"
#include "common/data/value_text.h"

#include <string.h>

/* Instants whose windows have bounds in 64-bit microseconds, whatever their size. */
#define INSTANT_MS_MAX (INT64_MAX / 1000 - 2 * WINDOW_SIZE_MS_MAX)
#define ZONE_SEARCH_MS INT64_C(86400000)

static const char *const kind_names[] = {
    [WINDOW_TUMBLING] = "tumbling",     [WINDOW_HOPPING] = "hopping",
    [WINDOW_CUMULATING] = "cumulating", [WINDOW_SESSION] = "session",
    [WINDOW_COUNT] = "count",           [WINDOW_GLOBAL] = "global",
};
static const char *const emit_names[] = {
    [WINDOW_EMIT_FINAL] = "final",
    [WINDOW_EMIT_EACH] = "each",
    [WINDOW_EMIT_BATCH] = "batch",
    [WINDOW_EMIT_CHANGELOG] = "changelog",
};

static enum status read_name(const struct operator_spec *spec, const char *key,
                             const char *const *names, unsigned count, unsigned *ret_index,
                             struct error *err)
{
    const char *text = operator_setting(spec, key);
    for (unsigned i = 0; text != NULL && i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_index = i;
            return STATUS_OK;
        }
    }
    return text == NULL ? STATUS_OK
                        : error_set(err, STATUS_INVALID, "operator \"%s\": unknown %s \"%s\"",
                                    spec->uid, key, text);
}

static enum status read_number(const struct operator_spec *spec, const char *key, int64_t least,
                               int64_t most, int64_t *value, struct error *err)
{
    const char *text = operator_setting(spec, key);
    int64_t number = *value;
    if ((text != NULL && !parse_int64(text, strlen(text), &number)) || number < least ||
        number > most)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": %s is a number from %lld to %lld, not \"%s\"", spec->uid,
                         key, (long long)least, (long long)most, text != NULL ? text : "absent");
    *value = number;
    return STATUS_OK;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static enum status open_time(struct window_spec *window, const struct operator_env *env,
                             struct error *err)
{
    const struct operator_spec *spec = env->spec;
    window->time_column = -1;
    window->ticks_per_ms = 1000;
    const char *zone =
        env->job != NULL && env->job->time_zone != NULL ? env->job->time_zone : "UTC";
    if (window->is_processing_time)
        return window->kind == WINDOW_SESSION ? STATUS_OK
                                              : time_zone_create(zone, &window->zone, err);
    const char *name = operator_setting(spec, "time_column");
    if (window->kind == WINDOW_COUNT || window->kind == WINDOW_GLOBAL)
        return STATUS_OK;
    window->time_column = name != NULL ? schema_find(spec->inputs[0], name) : -1;
    if (window->time_column < 0)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": the input has no event time column \"%s\"", spec->uid,
                         name != NULL ? name : "");
    const struct type type = spec->inputs[0]->columns[window->time_column].type;
    if (!type_is_timestamp(type.kind))
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": the event time column \"%s\" is no TIMESTAMP", spec->uid,
                         name);
    if (type.precision > 6)
        window->ticks_per_ms = 1000000;
    return type.kind == TYPE_TIMESTAMP_LTZ && window->kind != WINDOW_SESSION
               ? time_zone_create(zone, &window->zone, err)
               : STATUS_OK;
}

enum status window_spec_open(struct window_spec *window, const struct operator_env *env,
                             struct error *err)
{
    static const char *const times[] = {"event", "processing"};
    const struct operator_spec *spec = env->spec;
    unsigned kind = WINDOW_TUMBLING;
    unsigned emit = WINDOW_EMIT_FINAL;
    unsigned time = 0;
    TRY(read_name(spec, "window", kind_names, 6, &kind, err));
    TRY(read_name(spec, "emit", emit_names, 4, &emit, err));
    TRY(read_name(spec, "window.time", times, 2, &time, err));
    window->kind = (enum window_kind)kind;
    window->emit = (enum window_emit)emit;
    window->is_processing_time = time == 1;
    window->size_ms = window->step_ms = window->slice_ms = 1;
    const bool has_size = kind != WINDOW_COUNT && kind != WINDOW_GLOBAL;
    if (has_size)
        TRY(read_number(spec, "window.size_ms", 1, WINDOW_SIZE_MS_MAX, &window->size_ms, err));
    window->step_ms = window->size_ms;
    if (kind == WINDOW_HOPPING || kind == WINDOW_CUMULATING)
        TRY(read_number(spec, "window.step_ms", 1, window->size_ms, &window->step_ms, err));
    window->slice_ms = common_divisor(window->size_ms, window->step_ms);
    if (kind == WINDOW_CUMULATING && window->slice_ms != window->step_ms)
        return error_set(err, STATUS_INVALID,
                         "operator \"%s\": a cumulating window is a whole number of steps",
                         spec->uid);
    TRY(read_number(spec, "window.offset_ms", -WINDOW_SIZE_MS_MAX, WINDOW_SIZE_MS_MAX,
                    &window->offset_ms, err));
    /* Windows of the cumulating kind begin anew every size. */
    const int64_t period = kind == WINDOW_CUMULATING ? window->size_ms : window->step_ms;
    window->offset_ms = (window->offset_ms % period + period) % period;
    TRY(read_number(spec, "window.lateness_ms", 0, WINDOW_SIZE_MS_MAX, &window->lateness_ms, err));
    window->row_count = 1;
    if (kind == WINDOW_COUNT)
        TRY(read_number(spec, "window.rows", 1, INT64_MAX, &window->row_count, err));
    TRY(read_number(spec, "time_shift_ms", -1, 0, &window->time_shift_ms, err));
    return open_time(window, env, err);
}

void window_spec_close(struct window_spec *window)
{
    time_zone_destroy(window->zone);
    *window = (struct window_spec){0};
}

/* ---- clocks ---- */

static int64_t offset_ms_at(const struct window_spec *window, int64_t instant_ms)
{
    const int64_t seconds = window_floor(instant_ms, 0, 1000) / 1000;
    return (int64_t)time_zone_offset(window->zone, seconds) * 1000;
}

int64_t window_clock_ms(const struct window_spec *window, int64_t instant_ms)
{
    return window->zone == NULL ? instant_ms : instant_ms + offset_ms_at(window, instant_ms);
}

bool window_holds(int64_t instant_ms)
{
    return instant_ms >= -INSTANT_MS_MAX && instant_ms <= INSTANT_MS_MAX;
}

/* The first instant whose clock is past a time that it jumps over; it lies in (before, after]. */
static int64_t jump_over(const struct window_spec *window, int64_t clock_ms, int64_t before,
                         int64_t after)
{
    while (after - before > 1) {
        const int64_t middle = before + (after - before) / 2;
        if (window_clock_ms(window, middle) < clock_ms)
            before = middle;
        else
            after = middle;
    }
    return after;
}

/* The instant at which the clock shows a time: of two the later or the earlier; in a gap the
 * instant at which the clock jumps over it, so that later times never have earlier instants. */
static int64_t instant_of(const struct window_spec *window, int64_t clock_ms, bool is_later)
{
    if (window->zone == NULL)
        return clock_ms;
    const int64_t before = offset_ms_at(window, clock_ms - ZONE_SEARCH_MS);
    const int64_t after = offset_ms_at(window, clock_ms + ZONE_SEARCH_MS);
    const int64_t early = clock_ms - (before > after ? before : after);
    const int64_t late = clock_ms - (before > after ? after : before);
    const bool early_fits = window_clock_ms(window, early) == clock_ms;
    const bool late_fits = window_clock_ms(window, late) == clock_ms;
    if (early_fits && late_fits)
        return is_later ? late : early;
    if (!early_fits && !late_fits)
        return jump_over(window, clock_ms, early, late);
    return early_fits ? early : late;
}

/* ---- aligned windows ---- */

int64_t window_start_of(const struct window_spec *window, int64_t end)
{
    if (window->kind == WINDOW_CUMULATING)
        return window_floor(end - 1, window->offset_ms, window->size_ms);
    return end - window->size_ms;
}

int64_t window_end_after(const struct window_spec *window, int64_t clock_ms)
{
    const int64_t phase = window->offset_ms + window->size_ms;
    return window_floor(clock_ms, phase, window->step_ms) + window->step_ms;
}

int64_t window_first_end(const struct window_spec *window, int64_t slice_end)
{
    if (window->kind == WINDOW_GLOBAL)
        return WINDOW_END_NEVER;
    return window_end_after(window, slice_end - 1);
}

int64_t window_last_end(const struct window_spec *window, int64_t slice_end)
{
    if (window->kind == WINDOW_GLOBAL)
        return WINDOW_END_NEVER;
    const int64_t first_ms = slice_end - window->slice_ms;
    if (window->kind == WINDOW_CUMULATING)
        return window_floor(first_ms, window->offset_ms, window->size_ms) + window->size_ms;
    return window_floor(first_ms, window->offset_ms, window->step_ms) + window->size_ms;
}

int64_t window_fire_ms(const struct window_spec *window, int64_t end)
{
    return end == WINDOW_END_NEVER ? INT64_MAX : instant_of(window, end - 1, true);
}

int64_t window_forget_ms(const struct window_spec *window, int64_t end)
{
    return end == WINDOW_END_NEVER ? INT64_MAX : window_fire_ms(window, end) + window->lateness_ms;
}

int64_t window_start_us(const struct window_spec *window, int64_t start)
{
    return instant_of(window, start, false) * 1000;
}

int64_t window_end_us(const struct window_spec *window, int64_t end)
{
    const int64_t fire_ms = window_fire_ms(window, end);
    return (window_clock_ms(window, fire_ms) >= end ? fire_ms : fire_ms + 1) * 1000;
}
