/*
 * Paces rows: an even flow in small portions, without catching up after a pause.
 *
 * One thread; times are clock_now_us of the caller's clock.
 */
#ifndef CONNECTORS_RATE_LIMITER_H
#define CONNECTORS_RATE_LIMITER_H

#include <stdint.h>

struct rate_limiter {
    double rows_per_us; /* 0: unlimited */
    double portion;     /* rows that go at once */
    double owed;        /* rows that may go, as of updated_us; negative after a larger portion */
    int64_t updated_us;
};

/* rows_per_second 0: unlimited. */
void rate_limiter_init(struct rate_limiter *limiter, double rows_per_second, int64_t now_us);
/* Rows that may go now; 0: wait until rate_limiter_next_us; UINT32_MAX: unlimited. */
uint32_t rate_limiter_due(struct rate_limiter *limiter, int64_t now_us);
void rate_limiter_take(struct rate_limiter *limiter, uint32_t rows);
int64_t rate_limiter_next_us(const struct rate_limiter *limiter);

#endif
