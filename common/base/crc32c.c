/* CRC-32C: see crc32c.h. */
#include "common/base/crc32c.h"

#include "common/base/cpu.h"

#include <stdbool.h>
#include <string.h>

#define POLYNOMIAL_REFLECTED UINT32_C(0x82F63B78)

/* The instruction takes three cycles and one can begin in each: three stretches of so many bytes
 * are computed side by side and then put together. */
#define LANE_BYTES 1024

struct table {
    uint32_t slice[4][256];
};

static struct table make_table(void)
{
    struct table table;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL_REFLECTED : 0);
        table.slice[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int s = 1; s < 4; s++) {
            const uint32_t before = table.slice[s - 1][i];
            table.slice[s][i] = (before >> 8) ^ table.slice[0][before & 255];
        }
    }
    return table;
}

static struct table crc_table;

/* What LANE_BYTES bytes of 0 make of a CRC, a table for each of its bytes: CRCs are linear. */
static struct table lane_table;

static struct table make_lane_table(void)
{
    uint32_t bits[32];
    for (int bit = 0; bit < 32; bit++) {
        uint32_t crc = UINT32_C(1) << bit;
        for (int i = 0; i < LANE_BYTES; i++)
            crc = (crc >> 8) ^ crc_table.slice[0][crc & 255];
        bits[bit] = crc;
    }
    struct table table = {0};
    for (int s = 0; s < 4; s++) {
        for (int i = 0; i < 256; i++) {
            for (int bit = 0; bit < 8; bit++)
                table.slice[s][i] ^= (i >> bit & 1) != 0 ? bits[8 * s + bit] : 0;
        }
    }
    return table;
}

__attribute__((constructor)) static void init_table(void)
{
    crc_table = make_table();
    lane_table = make_lane_table();
}

uint32_t crc32c_scalar(uint32_t crc, const void *bytes, size_t size)
{
    const unsigned char *next = bytes;
    crc = ~crc;
    for (; size >= 4; size -= 4, next += 4) {
        crc ^= (uint32_t)next[0] | (uint32_t)next[1] << 8 | (uint32_t)next[2] << 16 |
               (uint32_t)next[3] << 24;
        crc = crc_table.slice[3][crc & 255] ^ crc_table.slice[2][(crc >> 8) & 255] ^
              crc_table.slice[1][(crc >> 16) & 255] ^ crc_table.slice[0][crc >> 24];
    }
    for (; size > 0; size--, next++)
        crc = (crc >> 8) ^ crc_table.slice[0][(crc ^ *next) & 255];
    return ~crc;
}

#ifdef __x86_64__
#include <nmmintrin.h>

static uint32_t skip_lane(uint32_t crc)
{
    return lane_table.slice[0][crc & 255] ^ lane_table.slice[1][(crc >> 8) & 255] ^
           lane_table.slice[2][(crc >> 16) & 255] ^ lane_table.slice[3][crc >> 24];
}

static inline uint64_t load_word(const unsigned char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *bytes,
                                                               size_t size)
{
    const unsigned char *next = bytes;
    uint64_t wide = ~crc;
    for (; size >= 3 * LANE_BYTES; size -= 3 * LANE_BYTES, next += 3 * LANE_BYTES) {
        uint64_t second = 0;
        uint64_t third = 0;
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            wide = _mm_crc32_u64(wide, load_word(next + i));
            second = _mm_crc32_u64(second, load_word(next + LANE_BYTES + i));
            third = _mm_crc32_u64(third, load_word(next + 2 * LANE_BYTES + i));
        }
        wide = skip_lane((uint32_t)wide) ^ (uint32_t)second;
        wide = skip_lane((uint32_t)wide) ^ (uint32_t)third;
    }
    for (; size >= 8; size -= 8, next += 8)
        wide = _mm_crc32_u64(wide, load_word(next));
    uint32_t narrow = (uint32_t)wide;
    for (; size > 0; size--, next++)
        narrow = _mm_crc32_u8(narrow, *next);
    return ~narrow;
}
#endif

uint32_t crc32c(uint32_t crc, const void *bytes, size_t size)
{
#ifdef __x86_64__
    if (cpu_has(CPU_SSE42))
        return crc32c_sse42(crc, bytes, size);
#endif
    return crc32c_scalar(crc, bytes, size);
}
