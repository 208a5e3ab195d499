/* Watermarks of a source's splits: see source_time.h. */
#include "taskmanager/task/source_time.h"

#include "common/base/allocate.h"

/* Passes are at most so far apart while a clock runs: what exceeds it was no silence of the input
 * but of this process. */
#define GAP_MAX_US 1000000

void source_time_init(struct source_time *time, const struct source_time_options *options,
                      int64_t restored_ms, int64_t now_us)
{
    *time = (struct source_time){
        .is_on = true,
        .options = *options,
        .combined_ms = restored_ms,
        .ended_ms = WATERMARK_NONE,
        .sent_ms = WATERMARK_NONE,
        .sent_us = now_us - options->interval_us,
        .passed_us = now_us,
        /* An aligned source waits until it knows where its group is. */
        .limit_ms = options->max_drift_ms > 0 ? WATERMARK_NONE : WATERMARK_MAX,
        .local_limit_ms = WATERMARK_MAX,
        .wake_us = now_us, /* what was restored goes out at once */
    };
}

void source_time_done(struct source_time *time)
{
    for (size_t i = 0; i < time->count; i++)
        free(time->splits[i].id);
    free(time->splits);
    *time = (struct source_time){0};
}

void source_time_add_split(struct source_time *time, const char *id, int64_t restored_ms,
                           bool was_idle)
{
    if (!time->is_on)
        return;
    array_push(time->splits, time->count, time->capacity) = (struct split_time){
        .id = copy_text(id),
        .watermark_ms = restored_ms,
        .quiet_us = was_idle ? time->options.idle_us : 0,
        .was_quiet = was_idle,
    };
    time->has_none = false;
    time->wake_us = time->passed_us;
}

void source_time_no_split(struct source_time *time)
{
    if (time->has_none)
        return;
    time->has_none = true;
    time->no_split_us = 0;
    time->wake_us = time->passed_us;
}

void source_time_on_rows(struct source_time *time, uint32_t split, int64_t max_ms)
{
    if (!time->is_on || split >= time->count)
        return;
    struct split_time *at = &time->splits[split];
    const int64_t behind_ms = time->options.delay_ms + 1;
    const int64_t watermark_ms =
        max_ms < WATERMARK_NONE + 1 + behind_ms ? WATERMARK_NONE + 1 : max_ms - behind_ms;
    if (watermark_ms > at->watermark_ms)
        at->watermark_ms = watermark_ms;
    at->quiet_us = 0;
    at->was_quiet = false;
    int64_t wake_us = time->passed_us + time->options.interval_us;
    /* What has to be known at once: it counts again, or it has to wait for others. */
    const bool is_beyond = !at->is_paused && source_time_must_pause(time, split);
    if (at->activity == SPLIT_IDLE || is_beyond)
        wake_us = time->passed_us;
    if (at->activity == SPLIT_IDLE)
        at->activity = SPLIT_ACTIVE;
    time->wake_us = wake_us < time->wake_us ? wake_us : time->wake_us;
}

/* ---- one pass ---- */

static void let_quiet_pass(const struct source_time *time, struct split_time *at,
                           int64_t elapsed_us)
{
    if (at->was_quiet && !at->is_paused)
        at->quiet_us += elapsed_us;
    at->was_quiet = true;
    if (time->options.idle_us > 0 && at->quiet_us >= time->options.idle_us && !at->is_paused)
        at->activity = SPLIT_IDLE;
}

static void look_at(struct source_time *time, struct split_time *at, enum split_status status,
                    int64_t elapsed_us)
{
    switch (status) {
    case SPLIT_HAS_MORE:
        at->quiet_us = 0;
        at->was_quiet = false;
        at->activity = SPLIT_ACTIVE;
        return;
    case SPLIT_UNREACHABLE:
        /* Nothing is known: the clock stands still. It keeps its state. */
        at->was_quiet = false;
        return;
    case SPLIT_AT_END:
    case SPLIT_UNKNOWN:
        let_quiet_pass(time, at, elapsed_us);
        return;
    case SPLIT_FINISHED:
        at->activity = SPLIT_ENDED;
        if (at->watermark_ms > time->ended_ms)
            time->ended_ms = at->watermark_ms;
        return;
    }
}

static int64_t elapsed_since(struct source_time *time, int64_t now_us, int64_t held_us)
{
    const int64_t elapsed_us = now_us - time->passed_us - held_us;
    time->passed_us = now_us;
    if (elapsed_us < 0)
        return 0;
    return elapsed_us > GAP_MAX_US ? GAP_MAX_US : elapsed_us;
}

static void drop_ended(struct source_time *time)
{
    for (; time->first_live < time->count; time->first_live++) {
        struct split_time *at = &time->splits[time->first_live];
        if (at->activity != SPLIT_ENDED)
            return;
        free(take_pointer(&at->id));
    }
}

struct tally {
    size_t active;
    size_t idle;
    int64_t active_ms; /* least */
    int64_t idle_ms;   /* largest */
};

static struct tally count_splits(const struct source_time *time)
{
    struct tally tally = {.active_ms = WATERMARK_MAX, .idle_ms = WATERMARK_NONE};
    for (size_t i = time->first_live; i < time->count; i++) {
        const struct split_time *at = &time->splits[i];
        if (at->activity == SPLIT_ACTIVE) {
            tally.active++;
            tally.active_ms =
                at->watermark_ms < tally.active_ms ? at->watermark_ms : tally.active_ms;
        } else if (at->activity == SPLIT_IDLE) {
            tally.idle++;
            tally.idle_ms = at->watermark_ms > tally.idle_ms ? at->watermark_ms : tally.idle_ms;
        }
    }
    return tally;
}

static bool is_idle_without_splits(struct source_time *time, int64_t elapsed_us)
{
    if (!time->has_none)
        return false;
    if (time->count == 0)
        return true;
    time->no_split_us += elapsed_us;
    return time->options.idle_us > 0 && time->no_split_us >= time->options.idle_us;
}

/* Every clock that runs is looked at each second, and when it is up. */
static int64_t find_wake(const struct source_time *time)
{
    int64_t wake_us = INT64_MAX;
    if (time->combined_ms > time->sent_ms)
        wake_us = time->sent_us + time->options.interval_us;
    for (size_t i = time->first_live; i < time->count; i++) {
        const struct split_time *at = &time->splits[i];
        if (at->activity != SPLIT_ACTIVE)
            continue;
        int64_t left_us = GAP_MAX_US;
        if (at->was_quiet && time->options.idle_us > 0 && !at->is_paused &&
            time->options.idle_us - at->quiet_us < left_us)
            left_us = time->options.idle_us - at->quiet_us;
        wake_us = time->passed_us + left_us < wake_us ? time->passed_us + left_us : wake_us;
    }
    if (time->first_live == time->count && time->has_none && !time->is_idle &&
        time->options.idle_us > 0 && time->passed_us + GAP_MAX_US < wake_us)
        wake_us = time->passed_us + GAP_MAX_US;
    return wake_us;
}

/* Within the task the group is aligned at once. */
static int64_t local_limit(const struct source_time *time, const struct tally *tally)
{
    const int64_t drift_ms = time->options.max_drift_ms;
    if (drift_ms == 0 || tally->active == 0 || tally->active_ms > WATERMARK_MAX - drift_ms)
        return WATERMARK_MAX;
    return tally->active_ms + drift_ms;
}

struct watermark_change source_time_pass(struct source_time *time, int64_t now_us, int64_t held_us,
                                         const struct source_time_view *view)
{
    struct watermark_change change = {0};
    if (!time->is_on)
        return change;
    const int64_t elapsed_us = elapsed_since(time, now_us, held_us);
    for (size_t i = time->first_live; i < time->count; i++) {
        struct split_time *at = &time->splits[i];
        const enum split_status status =
            view->status != NULL ? view->status(view->reader, (uint32_t)i) : SPLIT_UNKNOWN;
        if (at->activity != SPLIT_ENDED)
            look_at(time, at, status, elapsed_us);
    }
    drop_ended(time);
    const struct tally tally = count_splits(time);
    const int64_t silent_ms = tally.idle_ms > time->ended_ms ? tally.idle_ms : time->ended_ms;
    const int64_t splits_ms = tally.active > 0 ? tally.active_ms : silent_ms;
    if (splits_ms > time->combined_ms)
        time->combined_ms = splits_ms;
    const bool is_idle =
        tally.active == 0 && (tally.idle > 0 || is_idle_without_splits(time, elapsed_us));
    change.went_idle = is_idle && !time->is_idle;
    change.went_active = !is_idle && time->is_idle;
    change.has_advanced = time->combined_ms > time->sent_ms &&
                          (change.went_idle || now_us - time->sent_us >= time->options.interval_us);
    if (change.has_advanced) {
        time->sent_ms = time->combined_ms;
        time->sent_us = now_us;
    }
    time->local_limit_ms = local_limit(time, &tally);
    time->is_idle = is_idle;
    time->wake_us = find_wake(time);
    return change;
}

const struct split_time *source_time_find(const struct source_time *time, const char *id)
{
    for (size_t i = time->count; i > time->first_live; i--) {
        if (strcmp(time->splits[i - 1].id, id) == 0)
            return &time->splits[i - 1];
    }
    return NULL;
}

/* ---- alignment ---- */

void source_time_set_limit(struct source_time *time, int64_t limit_ms)
{
    if (time->limit_ms == limit_ms)
        return;
    time->limit_ms = limit_ms;
    time->wake_us = time->passed_us;
}

bool source_time_must_pause(const struct source_time *time, size_t split)
{
    const struct split_time *at = &time->splits[split];
    return at->activity != SPLIT_ENDED &&
           (at->watermark_ms > time->limit_ms || at->watermark_ms > time->local_limit_ms);
}
