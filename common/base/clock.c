/* Time: see clock.h. */
#include "common/base/clock.h"

#include <time.h>

static int64_t system_now_us(const struct clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t system_wall_ms(const struct clock *clock)
{
    (void)clock;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct clock *clock_system(void)
{
    static const struct clock system = {.now_us = system_now_us, .wall_ms = system_wall_ms};
    return &system;
}

static int64_t manual_now_us(const struct clock *clock)
{
    return ((const struct manual_clock *)clock)->us;
}

static int64_t manual_wall_ms(const struct clock *clock)
{
    const struct manual_clock *manual = (const struct manual_clock *)clock;
    return manual->us / 1000 + manual->wall_offset_ms;
}

void manual_clock_init(struct manual_clock *manual, int64_t us)
{
    *manual = (struct manual_clock){.clock = {.now_us = manual_now_us, .wall_ms = manual_wall_ms},
                                    .us = us};
}
