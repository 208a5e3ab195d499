/*
 * What a window clause says, and the arithmetic of aligned windows (tumbling, hopping, cumulating).
 *
 * Time. Rows carry ticks of their event time column; windows are laid out in milliseconds of the
 * window's own clock: UTC for TIMESTAMP, the local clock of the session time zone for TIMESTAMP_LTZ
 * (so that a day is a day there, as in Flink SQL). A window [start, end) is named by its end. It
 * fires when the watermark reaches window_fire_ms(end), the instant of end - 1 ms, and can be
 * forgotten `lateness` later.
 *
 * Slices. Windows of a kind lie on a grid: ends are offset + size + k * step. The greatest common
 * divisor of size and step cuts time into slices such that every window is a whole number of them;
 * a slice is named by its end.
 *
 * Ticks are 64-bit microseconds or nanoseconds, so times in milliseconds and everything that is
 * added to them here stay far from the limits of 64 bits. Rows whose bounds do not fit into
 * microseconds are refused (window_holds).
 */
#ifndef OPERATORS_WINDOWS_WINDOW_SPEC_H
#define OPERATORS_WINDOWS_WINDOW_SPEC_H

#include "common/api/operator.h"
#include "expressions/time_zone.h"

#define WINDOW_SIZE_MS_MAX (INT64_C(1000) * 366 * 86400000) /* a thousand years */

enum window_kind {
    WINDOW_TUMBLING,
    WINDOW_HOPPING,
    WINDOW_CUMULATING,
    WINDOW_SESSION,
    WINDOW_COUNT,
    WINDOW_GLOBAL,
};

enum window_emit { WINDOW_EMIT_FINAL, WINDOW_EMIT_EACH, WINDOW_EMIT_BATCH, WINDOW_EMIT_CHANGELOG };

/* The end of the only window of WINDOW_GLOBAL. */
#define WINDOW_END_NEVER INT64_MAX

struct window_spec {
    enum window_kind kind;
    enum window_emit emit;
    bool is_processing_time;
    int64_t size_ms;     /* session: the gap */
    int64_t step_ms;     /* distance of ends: tumbling size, hopping slide, cumulating step */
    int64_t slice_ms;    /* greatest common divisor of both */
    int64_t offset_ms;   /* 0 <= offset < step */
    int64_t lateness_ms; /* how long fired windows are kept */
    int64_t row_count;   /* count windows */
    int32_t time_column; /* of the input; -1: processing time, or none */
    int64_t ticks_per_ms;
    int64_t time_shift_ms;  /* event time = column + shift: -1 for the end of an earlier window */
    struct time_zone *zone; /* owned; NULL: UTC */
};

/* Settings: window, emit, window.size_ms, window.step_ms, window.offset_ms, window.lateness_ms,
 * window.rows, window.time (event, processing), time_column, time_shift_ms. */
enum status window_spec_open(struct window_spec *window, const struct operator_env *env,
                             struct error *err) MUST_CHECK;
void window_spec_close(struct window_spec *window);

/* The largest multiple of step at or below value, both shifted by offset. */
static inline int64_t window_floor(int64_t value, int64_t offset, int64_t step)
{
    const int64_t rest = (value - offset) % step;
    return value - rest - (rest < 0 ? step : 0);
}

static inline int64_t window_ticks_to_ms(const struct window_spec *window, int64_t ticks)
{
    const int64_t rest = ticks % window->ticks_per_ms;
    return (ticks - rest) / window->ticks_per_ms - (rest < 0 ? 1 : 0) + window->time_shift_ms;
}

/* The window's clock at an instant. */
int64_t window_clock_ms(const struct window_spec *window, int64_t instant_ms);
/* Can the bounds of all windows that hold this instant be written in microseconds? */
bool window_holds(int64_t instant_ms);

/* The end of the slice that a time of the window's clock lies in. */
static inline int64_t window_slice_end(const struct window_spec *window, int64_t clock_ms)
{
    return window_floor(clock_ms, window->offset_ms, window->slice_ms) + window->slice_ms;
}

/* First and last end of the windows that a slice belongs to; they lie step_ms apart. */
int64_t window_first_end(const struct window_spec *window, int64_t slice_end);
int64_t window_last_end(const struct window_spec *window, int64_t slice_end);
/* The start of the window with that end. */
int64_t window_start_of(const struct window_spec *window, int64_t end);
/* The first window end above a time of the window's clock. */
int64_t window_end_after(const struct window_spec *window, int64_t clock_ms);

/* The watermark at which the window fires: the instant of its last millisecond, the later one where
 * the local clock shows it twice. */
int64_t window_fire_ms(const struct window_spec *window, int64_t end);
/* The watermark at which it can be forgotten. */
int64_t window_forget_ms(const struct window_spec *window, int64_t end);

/* Bounds as instants, in microseconds. */
int64_t window_start_us(const struct window_spec *window, int64_t start);
int64_t window_end_us(const struct window_spec *window, int64_t end);

#endif
