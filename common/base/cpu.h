/*
 * What this processor can do. The build targets the baseline; wider kernels are chosen at run time
 * by cpu_has, each has a scalar twin, and MILLSTREAM_CPU=scalar in the environment selects the
 * twins.
 */
#ifndef COMMON_BASE_CPU_H
#define COMMON_BASE_CPU_H

#include <stdbool.h>

enum cpu_feature {
    CPU_SSE42 = 1 << 0,
    CPU_AVX2 = 1 << 1,
    CPU_AVX512 = 1 << 2, /* F, BW, DQ and VL */
};

extern unsigned cpu_features; /* set once before main; read only */

static inline bool cpu_has(enum cpu_feature feature)
{
    return (cpu_features & (unsigned)feature) != 0;
}

/* For tests: allow only these features (a mask) from now on; returns what was allowed. */
unsigned cpu_restrict(unsigned features);

#endif
