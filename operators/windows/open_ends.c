/* Open windows: see open_ends.h. */
#include "operators/windows/open_ends.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

void open_ends_done(struct open_ends *open)
{
    free(open->ends);
    *open = (struct open_ends){0};
}

size_t open_ends_up_to(const struct open_ends *open, int64_t end)
{
    size_t low = 0;
    size_t high = open->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (open->ends[middle] <= end)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool open_ends_add(struct open_ends *open, int64_t end)
{
    const size_t at = open_ends_up_to(open, end);
    if (at > 0 && open->ends[at - 1] == end)
        return true;
    if (open->count == OPEN_ENDS_MAX)
        return false;
    array_push(open->ends, open->count, open->capacity) = end;
    memmove(&open->ends[at + 1], &open->ends[at], (open->count - 1 - at) * sizeof(*open->ends));
    open->ends[at] = end;
    return true;
}

void open_ends_drop_first(struct open_ends *open, size_t count)
{
    DCHECK(count <= open->count);
    open->count -= count;
    memmove(open->ends, open->ends + count, open->count * sizeof(*open->ends));
}

enum step open_ends_restore(struct open_ends *open, struct state *state, struct error *err)
{
    while (!open->is_complete) {
        int64_t last[3] = {0};
        struct state_range range = {.is_after = true};
        if (open->count > 0) {
            last[0] = open->ends[open->count - 1];
            range.from = (const char *)last;
            range.from_size = sizeof(last[0]);
        }
        bool is_found = false;
        const char *subkey = NULL;
        uint32_t size = 0;
        const enum step step = state_find_subkey(state, &range, &is_found, &subkey, &size, err);
        if (step != STEP_DONE)
            return step;
        if (!is_found) {
            open->is_complete = true;
            break;
        }
        int64_t end;
        CHECK(size == sizeof(end));
        memcpy(&end, subkey, sizeof(end));
        if (!open_ends_add(open, end)) {
            (void)error_set(err, STATUS_LIMIT, "the state has more than %zu open windows",
                            OPEN_ENDS_MAX);
            return STEP_FAILED;
        }
    }
    return STEP_DONE;
}

void end_range_init(struct end_range *range, int64_t from, int64_t to)
{
    *range = (struct end_range){.bounds = {from, to}};
    range->range.from = (const char *)&range->bounds[0];
    range->range.from_size = sizeof(from);
    range->range.to = (const char *)&range->bounds[1];
    range->range.to_size = sizeof(to);
}
