/* Paces rows: see rate_limiter.h. */
#include "connectors/rate_limiter.h"

#include <math.h>

#define PORTIONS_PER_SECOND 100
/* What a pause lets go at once afterwards, in seconds of the rate. */
#define BURST_SECONDS 0.1

void rate_limiter_init(struct rate_limiter *limiter, double rows_per_second, int64_t now_us)
{
    *limiter = (struct rate_limiter){.rows_per_us = rows_per_second / 1e6, .updated_us = now_us};
    const double portion = floor(rows_per_second / PORTIONS_PER_SECOND);
    limiter->portion = portion < 1 ? 1 : portion;
    limiter->owed = limiter->portion;
}

uint32_t rate_limiter_due(struct rate_limiter *limiter, int64_t now_us)
{
    if (limiter->rows_per_us <= 0)
        return UINT32_MAX;
    if (now_us > limiter->updated_us) {
        limiter->owed += (double)(now_us - limiter->updated_us) * limiter->rows_per_us;
        limiter->updated_us = now_us;
    }
    const double burst = limiter->rows_per_us * 1e6 * BURST_SECONDS;
    const double most = burst > limiter->portion ? burst : limiter->portion;
    if (limiter->owed > most)
        limiter->owed = most;
    /* A sum of many small steps may lack a hair. */
    if (limiter->owed + 1e-6 < limiter->portion)
        return 0;
    const double due = floor(limiter->owed + 1e-6);
    return due >= UINT32_MAX ? UINT32_MAX - 1 : (uint32_t)due;
}

void rate_limiter_take(struct rate_limiter *limiter, uint32_t rows)
{
    if (limiter->rows_per_us > 0)
        limiter->owed -= rows;
}

int64_t rate_limiter_next_us(const struct rate_limiter *limiter)
{
    if (limiter->rows_per_us <= 0)
        return INT64_MAX;
    const double missing = limiter->portion - limiter->owed;
    if (missing <= 0)
        return limiter->updated_us;
    const double us = ceil(missing / limiter->rows_per_us);
    return us > 1e15 ? INT64_MAX : limiter->updated_us + (int64_t)us;
}
