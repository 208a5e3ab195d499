/* Line ends and ASCII flags, 64 bytes at a time: see line_scan.h. */
#include "connectors/formats/line_scan.h"

#include "common/base/cpu.h"

#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* For 64 bytes: bit i set where byte i is a newline, or is beyond ASCII. */
struct masks {
    uint64_t newlines;
    uint64_t high;
};

struct line_scan line_scan_scalar(const char *bytes, uint32_t from, uint32_t size,
                                  struct line_end *lines, uint32_t capacity)
{
    struct line_scan scan = {.next = from};
    unsigned seen = 0;
    for (uint32_t i = from; i < size && scan.count < capacity; i++) {
        seen |= (unsigned char)bytes[i];
        if (bytes[i] != '\n')
            continue;
        lines[scan.count++] = (struct line_end){.end = i, .is_ascii = (seen & 0x80) == 0};
        scan.next = i + 1;
        seen = 0;
    }
    scan.is_ascii = (seen & 0x80) == 0;
    return scan;
}

#ifdef __x86_64__

static inline __attribute__((always_inline, target("avx2"))) struct masks
masks_avx2(const char *bytes)
{
    const __m256i newline = _mm256_set1_epi8('\n');
    const __m256i low = _mm256_loadu_si256((const __m256i *)bytes);
    const __m256i high = _mm256_loadu_si256((const __m256i *)(bytes + 32));
    return (struct masks){
        .newlines = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, newline)) |
                    (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, newline))
                        << 32,
        .high = (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                          << 32,
    };
}

static inline __attribute__((always_inline)) struct masks masks_sse2(const char *bytes)
{
    const __m128i newline = _mm_set1_epi8('\n');
    struct masks masks = {0};
    for (unsigned i = 0; i < 4; i++) {
        const __m128i part = _mm_loadu_si128((const __m128i *)(bytes + 16 * i));
        const unsigned found = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(part, newline));
        masks.newlines |= (uint64_t)found << (16 * i);
        masks.high |= (uint64_t)(unsigned)_mm_movemask_epi8(part) << (16 * i);
    }
    return masks;
}

/* The loop that both kernels share: `load` gives the masks of the 64 bytes at a place. */
#define SCAN_BODY(load)                                                                            \
    struct line_scan scan = {.next = from};                                                        \
    uint64_t carried = 0; /* beyond ASCII in the open line, from earlier chunks */                 \
    for (uint32_t at = from; at < size && scan.count < capacity; at += 64) {                       \
        struct masks masks = load(bytes + at);                                                     \
        if (size - at < 64) {                                                                      \
            const uint64_t valid = (UINT64_C(1) << (size - at)) - 1;                               \
            masks.newlines &= valid;                                                               \
            masks.high &= valid;                                                                   \
        }                                                                                          \
        while (masks.newlines != 0 && scan.count < capacity) {                                     \
            const uint64_t line = masks.newlines ^ (masks.newlines - 1);                           \
            const uint32_t end = at + (uint32_t)__builtin_ctzll(masks.newlines);                   \
            lines[scan.count++] =                                                                  \
                (struct line_end){.end = end, .is_ascii = ((masks.high & line) | carried) == 0};   \
            carried = 0;                                                                           \
            masks.high &= ~line;                                                                   \
            masks.newlines &= masks.newlines - 1;                                                  \
            scan.next = end + 1;                                                                   \
        }                                                                                          \
        carried |= masks.high;                                                                     \
    }                                                                                              \
    scan.is_ascii = carried == 0;                                                                  \
    return scan

static __attribute__((target("avx2"))) struct line_scan scan_avx2(const char *bytes, uint32_t from,
                                                                  uint32_t size,
                                                                  struct line_end *lines,
                                                                  uint32_t capacity)
{
    SCAN_BODY(masks_avx2);
}

static struct line_scan scan_sse2(const char *bytes, uint32_t from, uint32_t size,
                                  struct line_end *lines, uint32_t capacity)
{
    SCAN_BODY(masks_sse2);
}

#endif

struct line_scan line_scan(const char *bytes, uint32_t from, uint32_t size, struct line_end *lines,
                           uint32_t capacity)
{
#ifdef __x86_64__
    if (cpu_has(CPU_AVX2))
        return scan_avx2(bytes, from, size, lines, capacity);
    if (cpu_has(CPU_SSE42))
        return scan_sse2(bytes, from, size, lines, capacity);
#endif
    return line_scan_scalar(bytes, from, size, lines, capacity);
}
