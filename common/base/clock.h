/*
 * Time comes in through this interface, so that a simulator can own it.
 *
 * Deadlines and intervals use now_us (monotonic); only what people or data see uses wall_ms.
 */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t (*now_us)(const struct clock *clock);  /* monotonic, from an arbitrary origin */
    int64_t (*wall_ms)(const struct clock *clock); /* milliseconds since 1970-01-01T00:00:00Z */
};

static inline int64_t clock_now_us(const struct clock *clock)
{
    return clock->now_us(clock);
}

static inline int64_t clock_now_ms(const struct clock *clock)
{
    return clock->now_us(clock) / 1000;
}

static inline int64_t clock_wall_ms(const struct clock *clock)
{
    return clock->wall_ms(clock);
}

/* The machine's clock. Static, any thread. */
const struct clock *clock_system(void);

/* A clock that stands still until it is moved: for tests and the simulator. */
struct manual_clock {
    struct clock clock; /* first: &manual.clock is a struct clock */
    _Atomic int64_t us; /* tests move it while threads of libraries read it */
    _Atomic int64_t wall_offset_ms;
};

void manual_clock_init(struct manual_clock *manual, int64_t us);

#endif
