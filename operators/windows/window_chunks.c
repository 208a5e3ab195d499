/* Rows by window: see window_chunks.h. */
#include "operators/windows/window_chunks.h"

#include "common/base/allocate.h"

#include <string.h>

void window_chunks_done(struct window_chunks *chunks)
{
    free(chunks->sources);
    free(chunks->ends);
    *chunks = (struct window_chunks){0};
}

void window_chunks_start(struct window_chunks *chunks)
{
    chunks->pass = 0;
    memset(chunks->next, 0, sizeof(chunks->next));
    chunks->next_end = INT64_MIN;
}

/* Rows of both classes in the order of the batch. false: none is left. */
static bool next_class(const struct window_chunks *chunks, enum window_row_class *ret_class)
{
    const struct window_rows *rows = chunks->rows;
    bool is_found = false;
    uint32_t least = 0;
    for (unsigned class = 0; class < WINDOW_ROW_LATE; class ++) {
        if (chunks->next[class] == rows->counts[class])
            continue;
        const uint32_t row = rows->rows[class][chunks->next[class]];
        if (!is_found || row < least) {
            least = row;
            *ret_class = (enum window_row_class) class;
        }
        is_found = true;
    }
    return is_found;
}

/* Does the window take part in this pass? */
static bool is_wanted(const struct window_chunks *chunks, int64_t end, int64_t watermark_ms)
{
    if (window_forget_ms(chunks->window, end) <= watermark_ms)
        return false;
    const bool has_fired = window_fire_ms(chunks->window, end) <= watermark_ms;
    return chunks->is_loud ? chunks->pass == 0 : has_fired == (chunks->pass == 1);
}

/* Copies of rows, as many as a batch holds. */
static uint32_t collect(struct window_chunks *chunks, int64_t watermark_ms)
{
    const struct window_rows *rows = chunks->rows;
    uint32_t count = 0;
    enum window_row_class class = WINDOW_ROW_ON_TIME;
    while (next_class(chunks, &class)) {
        const uint32_t row = rows->rows[class][chunks->next[class]];
        const int64_t slice_end = rows->slices[row];
        const int64_t last = window_last_end(chunks->window, slice_end);
        int64_t end = chunks->next_end != INT64_MIN ? chunks->next_end
                                                    : window_first_end(chunks->window, slice_end);
        for (; end <= last && count < BATCH_ROWS_MAX; end += chunks->window->step_ms) {
            if (!is_wanted(chunks, end, watermark_ms))
                continue;
            chunks->sources[count] = row;
            chunks->ends[count++] = end;
        }
        chunks->next_end = end <= last ? end : INT64_MIN;
        if (end <= last)
            return count;
        chunks->next[class]++;
    }
    return count;
}

static struct batch *copy_rows(const struct window_chunks *chunks, const struct batch *in,
                               uint32_t count)
{
    struct batch *batch = batch_create(in->schema, count);
    for (uint32_t c = 0; c < in->column_count; c++)
        batch->columns[c] = column_gather(in->columns[c], chunks->sources, count);
    if (in->row_kinds != NULL) {
        batch->row_kinds = allocate(count);
        for (uint32_t i = 0; i < count; i++)
            batch->row_kinds[i] = in->row_kinds[chunks->sources[i]];
    }
    batch->origin = in->origin;
    if (batch->origin.source != NULL)
        (void)buffer_ref(batch->origin.source);
    return batch;
}

struct batch *window_chunks_next(struct window_chunks *chunks, struct batch *in,
                                 int64_t watermark_ms, const int64_t **ret_ends, bool *ret_is_quiet)
{
    const struct window_rows *rows = chunks->rows;
    if (!chunks->is_copied) {
        while (chunks->pass < WINDOW_ROW_LATE && rows->counts[chunks->pass] == 0)
            chunks->pass++;
        if (chunks->pass == WINDOW_ROW_LATE)
            return NULL;
        *ret_ends = rows->slices;
        *ret_is_quiet = !chunks->is_loud && chunks->pass == WINDOW_ROW_ON_TIME;
        return window_rows_view(rows, in, (enum window_row_class)chunks->pass++);
    }
    if (chunks->ends == NULL) {
        chunks->sources = allocate_array(BATCH_ROWS_MAX, sizeof(*chunks->sources));
        chunks->ends = allocate_array(BATCH_ROWS_MAX + 2, sizeof(*chunks->ends));
    }
    while (chunks->pass < 2) {
        const uint32_t count = collect(chunks, watermark_ms);
        *ret_is_quiet = !chunks->is_loud && chunks->pass == 0;
        enum window_row_class class;
        if (!next_class(chunks, &class)) {
            chunks->pass++;
            memset(chunks->next, 0, sizeof(chunks->next));
        }
        if (count > 0) {
            *ret_ends = chunks->ends;
            return copy_rows(chunks, in, count);
        }
    }
    return NULL;
}
