/* "Did you mean": see nearest.h. */
#include "common/base/nearest.h"

#include <ctype.h>
#include <string.h>

#define NAME_MAX_BYTES 64

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int lower(char c)
{
    return tolower((unsigned char)c);
}

/* Optimal string alignment distance. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t rows[3][NAME_MAX_BYTES + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            const size_t cost = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            row[j] = min_of(min_of(above[j] + 1, row[j - 1] + 1), above[j - 1] + cost);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                row[j] = min_of(row[j], rows[(i - 2) % 3][j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

const char *nearest_name(const char *name, const char *const *candidates, size_t count)
{
    const size_t name_size = strlen(name);
    if (name_size > NAME_MAX_BYTES)
        return NULL;
    const char *best = NULL;
    size_t best_distance = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(candidates[i]);
        if (size > NAME_MAX_BYTES)
            continue;
        const size_t d = distance(name, name_size, candidates[i], size);
        const size_t longer = size > name_size ? size : name_size;
        if (d * 3 <= longer && (best == NULL || d < best_distance)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}
