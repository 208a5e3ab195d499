/*
 * Words of a text: see split.h.
 *
 * A classifier turns 64 bytes into a mask of white space (compare with blank, range compare for
 * \t..\r, movemask). Edges of that mask are word starts and ends alternately, so the bits are
 * walked pairwise; a word that crosses the block keeps its start. Views of short words are made
 * with one 16-byte load and a mask by length instead of a copy of variable size.
 */
#include "expressions/split.h"

#include "common/base/allocate.h"
#include "common/base/cpu.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

static inline bool is_white(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Words of a text of that size at most. */
static void reserve(struct word_list *list, uint32_t size)
{
    const uint64_t need = (uint64_t)list->count + size / 2 + 1;
    if (need <= list->capacity)
        return;
    uint64_t capacity = list->capacity * UINT64_C(2);
    if (capacity < need)
        capacity = need;
    list->views = reallocate_array(list->views, capacity, sizeof(*list->views));
    list->capacity = (uint32_t)capacity;
}

/* bytes + 16 is readable. */
static inline void put_word(struct string_view *view, const char *bytes, uint32_t start,
                            uint32_t size, uint32_t buffer, uint32_t base)
{
    if (__builtin_expect(size <= STRING_VIEW_INLINE, 1)) {
        uint64_t first;
        uint32_t last;
        memcpy(&first, bytes + start, 8);
        memcpy(&last, bytes + start + 8, 4);
        if (size < 8) {
            first &= (UINT64_C(1) << (size * 8)) - 1;
            last = 0;
        } else {
            last &= (uint32_t)((UINT64_C(1) << ((size - 8) * 8)) - 1);
        }
        view->size = size;
        memcpy(view->inlined, &first, 8);
        memcpy(view->inlined + 8, &last, 4);
    } else {
        view->size = size;
        memcpy(view->ref.prefix, bytes + start, 4);
        view->ref.buffer = buffer;
        view->ref.offset = base + start;
    }
}

static void split_scalar(const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,
                         struct word_list *list)
{
    uint32_t at = 0;
    while (at < size) {
        while (at < size && is_white((unsigned char)bytes[at]))
            at++;
        const uint32_t start = at;
        while (at < size && !is_white((unsigned char)bytes[at]))
            at++;
        if (at > start)
            put_word(&list->views[list->count++], bytes, start, at - start, buffer, base);
    }
}

#ifdef __x86_64__

/* The walk over one block of 64: `white` has a bit per white byte, bits behind the text are set. */
#define WALK_BLOCK(white, position)                                                                \
    do {                                                                                           \
        const uint64_t word_bits = ~(white);                                                       \
        uint64_t edges = word_bits ^ (word_bits << 1 | inside);                                    \
        inside = word_bits >> 63;                                                                  \
        while (edges != 0) {                                                                       \
            const uint32_t edge = (position) + (uint32_t)__builtin_ctzll(edges);                   \
            edges &= edges - 1;                                                                    \
            if (start == UINT32_MAX) {                                                             \
                start = edge;                                                                      \
                if (edges == 0)                                                                    \
                    break;                                                                         \
                const uint32_t end = (position) + (uint32_t)__builtin_ctzll(edges);                \
                edges &= edges - 1;                                                                \
                put_word(&views[count++], bytes, start, end - start, buffer, base);                \
                start = UINT32_MAX;                                                                \
            } else {                                                                               \
                put_word(&views[count++], bytes, start, edge - start, buffer, base);               \
                start = UINT32_MAX;                                                                \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#define DEFINE_SPLIT(name, features, classify)                                                     \
    __attribute__((target(features))) static void name(                                            \
        const char *bytes, uint32_t size, uint32_t buffer, uint32_t base, struct word_list *list)  \
    {                                                                                              \
        struct string_view *views = list->views;                                                   \
        uint32_t count = list->count;                                                              \
        uint32_t start = UINT32_MAX;                                                               \
        uint64_t inside = 0;                                                                       \
        for (uint32_t at = 0; at < size; at += 64) {                                               \
            uint64_t white = classify(bytes + at);                                                 \
            if (size - at < 64)                                                                    \
                white |= UINT64_MAX << (size - at);                                                \
            WALK_BLOCK(white, at);                                                                 \
        }                                                                                          \
        if (start != UINT32_MAX)                                                                   \
            put_word(&views[count++], bytes, start, size - start, buffer, base);                   \
        list->count = count;                                                                       \
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

#define AVX512 "avx512f,avx512bw,avx512dq,avx512vl,bmi,bmi2"
__attribute__((target(AVX512))) static inline uint64_t classify_avx512(const char *bytes)
{
    const __m512i block = _mm512_loadu_si512((const void *)bytes);
    const __m512i shifted = _mm512_sub_epi8(block, _mm512_set1_epi8('\t'));
    return _mm512_cmple_epu8_mask(shifted, _mm512_set1_epi8(4)) |
           _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(' '));
}

DEFINE_SPLIT(split_avx2, "avx2,bmi,bmi2", classify_avx2)
DEFINE_SPLIT(split_avx512, AVX512, classify_avx512)
#endif

void split_words(const char *bytes, uint32_t size, uint32_t buffer, uint32_t base,
                 struct word_list *list)
{
    reserve(list, size);
#ifdef __x86_64__
    if (cpu_has(CPU_AVX512))
        split_avx512(bytes, size, buffer, base, list);
    else if (cpu_has(CPU_AVX2))
        split_avx2(bytes, size, buffer, base, list);
    else
        split_scalar(bytes, size, buffer, base, list);
#else
    split_scalar(bytes, size, buffer, base, list);
#endif
}
