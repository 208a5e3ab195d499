/*
 * Words of a text: see split.h.
 *
 * A classifier turns 64 bytes into a mask of white space (compare with blank, range compare for
 * \t..\r, movemask). Its edges are the starts and ends of words, walked pairwise; a word that
 * crosses the block keeps its start. Views of short words are made with one 16-byte load and a mask
 * by length instead of a copy of variable size. A first pass counts, so that the views are written
 * where they stay.
 */
#include "expressions/split.h"

#include "common/base/cpu.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static inline bool is_white(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

#ifdef __x86_64__
/* Four bytes for the size, then as many as the word has. SSE2 is in every amd64. */
#define KEEP(n) (n > 0 ? -1 : 0)
#define KEEP_ROW(n)                                                                                \
    {                                                                                              \
        0, 0, 0, 0, KEEP(n), KEEP(n - 1), KEEP(n - 2), KEEP(n - 3), KEEP(n - 4), KEEP(n - 5),      \
            KEEP(n - 6), KEEP(n - 7), KEEP(n - 8), KEEP(n - 9), KEEP(n - 10), KEEP(n - 11)         \
    }
static const _Alignas(16) int8_t keep_masks[STRING_VIEW_INLINE + 1][16] = {
    KEEP_ROW(0), KEEP_ROW(1), KEEP_ROW(2), KEEP_ROW(3),  KEEP_ROW(4),  KEEP_ROW(5), KEEP_ROW(6),
    KEEP_ROW(7), KEEP_ROW(8), KEEP_ROW(9), KEEP_ROW(10), KEEP_ROW(11), KEEP_ROW(12)};

/* bytes + 16 is readable. */
static inline void put_short(struct string_view *view, const char *bytes, uint32_t size)
{
    const __m128i word = _mm_slli_si128(_mm_loadu_si128((const __m128i *)(const void *)bytes), 4);
    const __m128i mask = _mm_load_si128((const __m128i *)(const void *)keep_masks[size]);
    const __m128i value = _mm_or_si128(_mm_and_si128(word, mask), _mm_cvtsi32_si128((int)size));
    _mm_storeu_si128((__m128i *)(void *)view, value);
}
#else
static inline void put_short(struct string_view *view, const char *bytes, uint32_t size)
{
    *view = string_view_inline(bytes, size);
}
#endif

static inline void put_word(struct string_view *view, const char *bytes, uint32_t start,
                            uint32_t size, uint32_t buffer, uint32_t base)
{
    if (__builtin_expect(size <= STRING_VIEW_INLINE, 1)) {
        put_short(view, bytes + start, size);
        return;
    }
    view->size = size;
    memcpy(view->ref.prefix, bytes + start, 4);
    view->ref.buffer = buffer;
    view->ref.offset = base + start;
}

static uint32_t split_scalar(const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,
                             struct string_view *views)
{
    uint32_t at = 0;
    uint32_t count = 0;
    while (at < size) {
        while (at < size && is_white((unsigned char)bytes[at]))
            at++;
        const uint32_t start = at;
        while (at < size && !is_white((unsigned char)bytes[at]))
            at++;
        if (at > start)
            put_word(&views[count++], bytes, start, at - start, buffer, base);
    }
    return count;
}

static uint32_t count_scalar(const char *bytes, uint32_t size)
{
    uint32_t count = 0;
    bool inside = false;
    for (uint32_t at = 0; at < size; at++) {
        const bool is_word = !is_white((unsigned char)bytes[at]);
        count += is_word && !inside;
        inside = is_word;
    }
    return count;
}

#ifdef __x86_64__

/* Bits of word bytes in the block at `at`; what lies behind the text is white. */
#define WORD_BITS(classify)                                                                        \
    (size - at < 64 ? ~classify(bytes + at) & ~(UINT64_MAX << (size - at)) : ~classify(bytes + at))

#define DEFINE_SPLIT(name, features, classify)                                                     \
    __attribute__((target(features))) static uint32_t split_##name(                                \
        const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,                          \
        struct string_view *views)                                                                 \
    {                                                                                              \
        const struct string_view *const first = views;                                             \
        uint32_t start = 0;                                                                        \
        uint64_t inside = 0; /* 1: the word from start goes on */                                  \
        for (uint32_t at = 0; at < size; at += 64) {                                               \
            const uint64_t word = WORD_BITS(classify);                                             \
            const uint64_t before = word << 1 | inside;                                            \
            uint64_t starts = word & ~before;                                                      \
            uint64_t ends = before & ~word;                                                        \
            if (inside != 0 && ends != 0) {                                                        \
                const uint32_t end = at + (uint32_t)__builtin_ctzll(ends);                         \
                put_word(views++, bytes, start, end - start, buffer, base);                        \
                ends &= ends - 1;                                                                  \
            }                                                                                      \
            while (ends != 0) {                                                                    \
                const uint32_t from = (uint32_t)__builtin_ctzll(starts);                           \
                const uint32_t to = (uint32_t)__builtin_ctzll(ends);                               \
                put_word(views++, bytes, at + from, to - from, buffer, base);                      \
                starts &= starts - 1;                                                              \
                ends &= ends - 1;                                                                  \
            }                                                                                      \
            if (starts != 0)                                                                       \
                start = at + (uint32_t)__builtin_ctzll(starts);                                    \
            inside = word >> 63;                                                                   \
        }                                                                                          \
        if (inside != 0)                                                                           \
            put_word(views++, bytes, start, size - start, buffer, base);                           \
        return (uint32_t)(views - first);                                                          \
    }                                                                                              \
    __attribute__((target(features))) static uint32_t count_##name(const char *bytes,              \
                                                                   uint32_t size)                  \
    {                                                                                              \
        uint32_t count = 0;                                                                        \
        uint64_t inside = 0;                                                                       \
        for (uint32_t at = 0; at < size; at += 64) {                                               \
            const uint64_t word = WORD_BITS(classify);                                             \
            count += (uint32_t)__builtin_popcountll(word & ~(word << 1 | inside));                 \
            inside = word >> 63;                                                                   \
        }                                                                                          \
        return count;                                                                              \
    }

__attribute__((target("avx2"))) static inline uint32_t white_avx2(__m256i block)
{
    /* \t..\r are the five values from 9 on: (c - 9) as unsigned at most 4. */
    const __m256i shifted = _mm256_sub_epi8(block, _mm256_set1_epi8('\t'));
    const __m256i control =
        _mm256_cmpeq_epi8(_mm256_min_epu8(shifted, _mm256_set1_epi8(4)), shifted);
    const __m256i blank = _mm256_cmpeq_epi8(block, _mm256_set1_epi8(' '));
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(control, blank));
}

__attribute__((target("avx2"))) static inline uint64_t classify_avx2(const char *bytes)
{
    const uint32_t low = white_avx2(_mm256_loadu_si256((const __m256i *)(const void *)bytes));
    const uint32_t high =
        white_avx2(_mm256_loadu_si256((const __m256i *)(const void *)(bytes + 32)));
    return (uint64_t)high << 32 | low;
}

#define AVX512 "avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2,popcnt"
__attribute__((target(AVX512))) static inline uint64_t classify_avx512(const char *bytes)
{
    const __m512i block = _mm512_loadu_si512((const void *)bytes);
    const __m512i shifted = _mm512_sub_epi8(block, _mm512_set1_epi8('\t'));
    return _mm512_cmple_epu8_mask(shifted, _mm512_set1_epi8(4)) |
           _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(' '));
}

DEFINE_SPLIT(avx2, "avx2,bmi,bmi2,popcnt", classify_avx2)
DEFINE_SPLIT(avx512, AVX512, classify_avx512)
#endif

uint32_t split_words(const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,
                     struct string_view *views)
{
#ifdef __x86_64__
    if (cpu_has(CPU_AVX512))
        return split_avx512(bytes, size, buffer, base, views);
    if (cpu_has(CPU_AVX2))
        return split_avx2(bytes, size, buffer, base, views);
#endif
    return split_scalar(bytes, size, buffer, base, views);
}

uint32_t split_count(const char *bytes, uint32_t size)
{
#ifdef __x86_64__
    if (cpu_has(CPU_AVX512))
        return count_avx512(bytes, size);
    if (cpu_has(CPU_AVX2))
        return count_avx2(bytes, size);
#endif
    return count_scalar(bytes, size);
}
