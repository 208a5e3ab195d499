/* Late rows, counted: see late_counters.h. */
#include "common/base/late_counters.h"

const int64_t late_bucket_bounds_ms[LATE_BUCKET_COUNT] = {
    1, 10, 100, 1000, 10000, 60000, 600000, 3600000, 86400000, INT64_MAX,
};

void late_counters_add(struct late_counters *counters, int64_t late_ms)
{
    unsigned bucket = 0;
    while (late_ms > late_bucket_bounds_ms[bucket])
        bucket++;
    atomic_fetch_add_explicit(&counters->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->dropped, 1, memory_order_relaxed);
}
