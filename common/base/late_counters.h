/*
 * What an operator tells of rows that came after their windows: written by the task's thread, read
 * by whoever shows them.
 */
#ifndef COMMON_BASE_LATE_COUNTERS_H
#define COMMON_BASE_LATE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/* Late by at most 1 ms, 10 ms, 100 ms, 1 s, 10 s, 1 min, 10 min, 1 h, 1 day, and more. */
#define LATE_BUCKET_COUNT 10
extern const int64_t late_bucket_bounds_ms[LATE_BUCKET_COUNT]; /* the last one is INT64_MAX */

struct late_counters {
    _Atomic uint64_t dropped; /* rows that changed nothing, given on `late` or not */
    _Atomic uint64_t buckets[LATE_BUCKET_COUNT]; /* of them, by how late: each row in one */
};

/* late_ms: watermark - time of the row. */
void late_counters_add(struct late_counters *counters, int64_t late_ms);

#endif
