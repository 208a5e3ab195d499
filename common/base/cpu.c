/* Processor features: see cpu.h. */
#include "common/base/cpu.h"

#include <stdlib.h>
#include <string.h>

unsigned cpu_features;

static unsigned detect(void)
{
    unsigned features = 0;
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("sse4.2"))
        features |= CPU_SSE42;
    if (__builtin_cpu_supports("avx2"))
        features |= CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        features |= CPU_AVX512;
#endif
    return features;
}

/* Before the constructors without priority, which may already use kernels. */
__attribute__((constructor(101))) static void init_features(void)
{
    const char *wanted = getenv("MILLSTREAM_CPU");
    if (wanted == NULL || strcmp(wanted, "scalar") != 0)
        cpu_features = detect();
}

unsigned cpu_restrict(unsigned features)
{
    const unsigned before = cpu_features;
    cpu_features = detect() & features;
    return before;
}
