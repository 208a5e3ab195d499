/*
 * Event time of one subtask of a source: a watermark per split, combined to the task's.
 *
 * A split's watermark is its largest time seen, less the delay, less 1 ms; it starts where a
 * checkpoint left it and never goes back. The task's is the least of the splits that are active,
 * and goes out at most once per interval, before the next batch.
 *
 * A split is idle, and does not count, when it is known to have held nothing unread for the idle
 * time. That clock runs only while its reader says so and the task can take rows: not under back
 * pressure, not while the split is paused, not while whatever holds it does not answer, and a
 * machine that stood still counts as a second. A split that was idle in the checkpoint is idle
 * again as soon as its reader confirms that it has reached the end. A finished split does not count
 * either. With no split active the largest watermark of all counts, so that the order in which they
 * fell silent does not matter. A subtask that has no split, because the enumerator has none for
 * it, is idle at once if it never had one, else after the idle time; one that has not heard from
 * the enumerator holds time back.
 *
 * No clock in here: now is handed in, from a monotonic clock. One thread.
 */
#ifndef TASKMANAGER_TASK_SOURCE_TIME_H
#define TASKMANAGER_TASK_SOURCE_TIME_H

#include "common/api/connector.h"
#include "taskmanager/task/watermarks.h"

enum split_activity { SPLIT_ACTIVE, SPLIT_IDLE, SPLIT_ENDED };

struct split_time {
    char *id;
    int64_t watermark_ms;
    int64_t quiet_us; /* how long it is known to have held nothing unread */
    bool was_quiet;   /* at the last pass */
    bool is_paused;
    enum split_activity activity;
};

struct source_time_options {
    int64_t delay_ms;
    int64_t idle_us; /* 0: never idle */
    int64_t interval_us;
    int64_t max_drift_ms; /* of the alignment group; 0: none */
};

struct source_time {
    bool is_on; /* false: the source has no event time, every call does nothing */
    struct source_time_options options;
    struct split_time *splits; /* by number */
    size_t count;
    size_t capacity;
    size_t first_live;      /* those before it have ended */
    int64_t combined_ms;    /* of the splits */
    int64_t ended_ms;       /* the largest of the splits that have ended */
    int64_t sent_ms;        /* what went out last; WATERMARK_NONE: nothing */
    int64_t sent_us;        /* when */
    int64_t passed_us;      /* the last pass */
    int64_t wake_us;        /* when the next is needed */
    int64_t limit_ms;       /* of the alignment group; WATERMARK_MAX: none */
    int64_t local_limit_ms; /* of the splits of this task */
    int64_t no_split_us;    /* how long it is known that there is none */
    bool has_none;          /* the enumerator has none for this subtask */
    bool is_idle;           /* as sent */
};

/* restored_ms: the watermark that the task had in the checkpoint. */
void source_time_init(struct source_time *time, const struct source_time_options *options,
                      int64_t restored_ms, int64_t now_us);
void source_time_done(struct source_time *time);

/* The split with the next number. was_idle: in the checkpoint. */
void source_time_add_split(struct source_time *time, const char *id, int64_t restored_ms,
                           bool was_idle);
/* The enumerator says that there is none for this subtask now. */
void source_time_no_split(struct source_time *time);
/* A batch of the split is on its way. A number that was never given is ignored. */
void source_time_on_rows(struct source_time *time, uint32_t split, int64_t max_ms);

/* What is known of the splits. */
struct source_time_view {
    const void *reader;
    enum split_status (*status)(const void *reader, uint32_t split);
};
/* Looks at all splits. held_us: so much of the time since the last pass does not count. The
 * result says what has to go out now: sent_ms, idle, active. */
struct watermark_change source_time_pass(struct source_time *time, int64_t now_us, int64_t held_us,
                                         const struct source_time_view *view);
/* Is a pass due before the next batch? */
static inline bool source_time_is_due(const struct source_time *time, int64_t now_us)
{
    return time->is_on &&
           (now_us >= time->wake_us || now_us - time->passed_us >= time->options.interval_us);
}
/* When a pass is needed though nothing happens; INT64_MAX: never. */
static inline int64_t source_time_wake_us(const struct source_time *time)
{
    return time->is_on ? time->wake_us : INT64_MAX;
}

/* What the split's entry in a snapshot holds; NULL: no such split. */
const struct split_time *source_time_find(const struct source_time *time, const char *id);

/* ---- alignment ---- */

/* Splits beyond that time are to wait, from the next pass on. */
void source_time_set_limit(struct source_time *time, int64_t limit_ms);
/* Should the split wait? Those that do hold time back, but do not become idle. */
bool source_time_must_pause(const struct source_time *time, size_t split);
#endif
