/* Values of two columns of one type compared: what =, <, IN, GREATEST and array_contains mean. */
#ifndef EXPRESSIONS_COMPARE_VALUE_H
#define EXPRESSIONS_COMPARE_VALUE_H

#include "common/data/batch.h"

/* Neither is NULL. Strings by their bytes; ARRAY and ROW element by element, NULL elements equal
 * each other and come first. Negative, 0 or positive; a NaN is unordered (returned as 1) but in
 * nested values. */
int compare_values(const struct column *a, uint32_t row_a, const struct column *b, uint32_t row_b);
bool type_is_comparable(struct type type); /* everything without a MAP in it */

static inline bool views_equal(const struct column *a, const struct string_view *x,
                               const struct column *b, const struct string_view *y)
{
    uint64_t head_x, head_y;
    memcpy(&head_x, x, 8);
    memcpy(&head_y, y, 8);
    if (head_x != head_y)
        return false;
    if (x->size <= STRING_VIEW_INLINE)
        return memcmp((const char *)x + 8, (const char *)y + 8, 8) == 0;
    return memcmp(string_view_bytes(a, x), string_view_bytes(b, y), x->size) == 0;
}

static inline int views_compare(const struct column *a, const struct string_view *x,
                                const struct column *b, const struct string_view *y)
{
    const uint32_t size = x->size < y->size ? x->size : y->size;
    const int order = memcmp(string_view_bytes(a, x), string_view_bytes(b, y), size);
    return order != 0 ? order : x->size < y->size ? -1 : x->size > y->size;
}

#endif
