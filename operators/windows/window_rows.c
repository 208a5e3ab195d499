/* Rows by slice and lateness: see window_rows.h. */
#include "operators/windows/window_rows.h"

#include "common/base/allocate.h"

void window_rows_done(struct window_rows *rows)
{
    for (int c = 0; c < WINDOW_ROW_CLASS_COUNT; c++)
        free(rows->rows[c]);
    free(rows->slices);
    free(rows->late_ms);
    free(rows->touched);
    row_failures_done(&rows->failures);
    *rows = (struct window_rows){0};
}

void window_rows_reserve(struct window_rows *rows, uint32_t count)
{
    if (count <= rows->capacity)
        return;
    rows->capacity = count;
    for (int c = 0; c < WINDOW_ROW_CLASS_COUNT; c++)
        rows->rows[c] = reallocate_array(rows->rows[c], count, sizeof(uint32_t));
    rows->slices = reallocate_array(rows->slices, (size_t)count + 2, sizeof(int64_t));
    rows->late_ms = reallocate_array(rows->late_ms, count, sizeof(int64_t));
}

bool window_row_instant(const struct window_spec *window, const struct batch *in, uint32_t row,
                        int64_t *ret_ms)
{
    const struct column *column = in->columns[window->time_column];
    if (column_is_null(column, row))
        return false;
    *ret_ms = window_ticks_to_ms(window, ((const int64_t *)column->values)[row]);
    return window_holds(*ret_ms);
}

void window_row_fails(struct row_failures *failures, const struct window_spec *window,
                      const struct batch *in, uint32_t row)
{
    const uint32_t time = (uint32_t)window->time_column;
    const bool is_null = column_is_null(in->columns[time], row);
    array_push(failures->failures, failures->count, failures->capacity) = (struct row_failure){
        .row = row,
        .message = format_text("column \"%s\": %s: a row needs an event time to belong to a "
                               "window (filter such rows out with `where`)",
                               in->schema->columns[time].name,
                               is_null ? "the event time is NULL"
                                       : "the event time is beyond what windows can hold"),
    };
}

/* The slice that the last row was in: ticks in [from, to). */
struct slice_now {
    int64_t from;
    int64_t to;
    int64_t end;
    enum window_row_class class;
};

static int64_t ticks_of(const struct window_spec *window, int64_t instant_ms)
{
    int64_t ticks;
    if (__builtin_mul_overflow(instant_ms - window->time_shift_ms, window->ticks_per_ms, &ticks))
        return instant_ms < 0 ? INT64_MIN : INT64_MAX;
    return ticks;
}

static enum window_row_class class_of(const struct window_spec *window, int64_t slice_end,
                                      int64_t watermark_ms)
{
    const int64_t last = window_last_end(window, slice_end);
    if (window_fire_ms(window, last) > watermark_ms)
        return WINDOW_ROW_ON_TIME;
    return window_forget_ms(window, last) > watermark_ms ? WINDOW_ROW_ALLOWED : WINDOW_ROW_LATE;
}

static void enter_slice(struct window_rows *rows, const struct window_spec *window,
                        int64_t instant_ms, int64_t watermark_ms, struct slice_now *now)
{
    now->end = window_slice_end(window, window_clock_ms(window, instant_ms));
    now->class = class_of(window, now->end, watermark_ms);
    /* Local clocks jump within a slice: there every row looks itself. */
    now->from = now->to = 0;
    if (window->zone == NULL) {
        now->from = ticks_of(window, now->end - window->slice_ms);
        now->to = ticks_of(window, now->end);
    }
    if (now->class != WINDOW_ROW_LATE &&
        (rows->touched_count == 0 || rows->touched[rows->touched_count - 1] != now->end))
        array_push(rows->touched, rows->touched_count, rows->touched_capacity) = now->end;
}

static void assign_event_times(struct window_rows *rows, const struct window_spec *window,
                               const struct batch *in, int64_t watermark_ms)
{
    const struct column *column = in->columns[window->time_column];
    const int64_t *ticks = column->values;
    const uint32_t count = batch_selected(in);
    struct slice_now now = {0};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = batch_row(in, i);
        const bool is_null = column_is_null(column, row);
        if (is_null || ticks[row] < now.from || ticks[row] >= now.to) {
            int64_t instant_ms = 0;
            if (!window_row_instant(window, in, row, &instant_ms)) {
                window_row_fails(&rows->failures, window, in, row);
                continue;
            }
            enter_slice(rows, window, instant_ms, watermark_ms, &now);
        }
        const uint32_t at = rows->counts[now.class]++;
        rows->rows[now.class][at] = row;
        rows->slices[row] = now.end;
        if (now.class == WINDOW_ROW_LATE)
            rows->late_ms[at] =
                window_late_ms(watermark_ms, window_ticks_to_ms(window, ticks[row]));
    }
}

void window_rows_assign(struct window_rows *rows, const struct window_spec *window,
                        const struct batch *in, int64_t watermark_ms, int64_t now_ms)
{
    window_rows_reserve(rows, in->row_count);
    memset(rows->counts, 0, sizeof(rows->counts));
    rows->touched_count = 0;
    if (window->kind != WINDOW_GLOBAL && !window->is_processing_time) {
        assign_event_times(rows, window, in, watermark_ms);
        return;
    }
    int64_t end = WINDOW_END_NEVER;
    if (window->kind != WINDOW_GLOBAL)
        end = window_slice_end(window, window_clock_ms(window, now_ms));
    const uint32_t count = batch_selected(in);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = batch_row(in, i);
        rows->rows[WINDOW_ROW_ON_TIME][i] = row;
        rows->slices[row] = end;
    }
    rows->counts[WINDOW_ROW_ON_TIME] = count;
    array_push(rows->touched, rows->touched_count, rows->touched_capacity) = end;
}

struct batch *window_rows_view(const struct window_rows *rows, struct batch *in,
                               enum window_row_class class)
{
    const uint32_t count = rows->counts[class];
    if (count == batch_selected(in))
        return batch_ref(in);
    struct batch *view = batch_create(in->schema, in->row_count);
    for (uint32_t c = 0; c < in->column_count; c++)
        view->columns[c] = column_ref(in->columns[c]);
    if (in->row_kinds != NULL)
        view->row_kinds = copy_memory(in->row_kinds, in->row_count);
    view->selection = reallocate_array(NULL, (size_t)count + 1, sizeof(uint32_t));
    memcpy(view->selection, rows->rows[class], count * sizeof(uint32_t));
    view->selected_count = count;
    view->origin = in->origin;
    if (view->origin.source != NULL)
        (void)buffer_ref(view->origin.source);
    return view;
}
