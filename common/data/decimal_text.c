/* DECIMAL from and to text: see value_text.h. */
#include "common/base/check.h"
#include "common/data/value_text.h"

static const __int128 powers[TYPE_DECIMAL_PRECISION_MAX + 1] = {
    INT64_C(1),
    INT64_C(10),
    INT64_C(100),
    INT64_C(1000),
    INT64_C(10000),
    INT64_C(100000),
    INT64_C(1000000),
    INT64_C(10000000),
    INT64_C(100000000),
    INT64_C(1000000000),
    INT64_C(10000000000),
    INT64_C(100000000000),
    INT64_C(1000000000000),
    INT64_C(10000000000000),
    INT64_C(100000000000000),
    INT64_C(1000000000000000),
    INT64_C(10000000000000000),
    INT64_C(100000000000000000),
    INT64_C(1000000000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(10),
    (__int128)INT64_C(1000000000000000000) * INT64_C(100),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(10000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(100000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(10000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(100000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(10000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(100000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(10000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(100000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(10000000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(100000000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000000000000000),
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000000000000000) * 10,
    (__int128)INT64_C(1000000000000000000) * INT64_C(1000000000000000000) * 100,
};

__int128 decimal_power(unsigned n)
{
    DCHECK(n <= TYPE_DECIMAL_PRECISION_MAX);
    return powers[n];
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Beyond this every exponent gives zero or too large a number. */
#define EXPONENT_MAX 1000000000

/* A text taken apart: digits of mantissa[0, mantissa_size) but for one point. */
struct decimal_parts {
    const char *mantissa;
    size_t mantissa_size;
    int64_t fraction_digits;
    int64_t exponent;
    bool is_negative;
};

static bool parse_exponent(const char *text, size_t size, int64_t *ret_exponent)
{
    const bool is_negative = size > 0 && *text == '-';
    const size_t first = size > 0 && (*text == '-' || *text == '+') ? 1 : 0;
    int64_t exponent = 0;
    if (first == size)
        return false;
    for (size_t i = first; i < size; i++) {
        if (!is_digit(text[i]))
            return false;
        if (exponent < EXPONENT_MAX)
            exponent = exponent * 10 + (text[i] - '0');
    }
    *ret_exponent = is_negative ? -exponent : exponent;
    return true;
}

static bool take_apart(const char *text, size_t size, struct decimal_parts *ret_parts)
{
    struct decimal_parts parts = {.is_negative = size > 0 && *text == '-'};
    size_t i = size > 0 && (*text == '-' || *text == '+') ? 1 : 0;
    bool has_point = false;
    size_t digit_count = 0;
    parts.mantissa = text + i;
    for (; i < size && (is_digit(text[i]) || (text[i] == '.' && !has_point)); i++) {
        has_point = has_point || text[i] == '.';
        digit_count += text[i] != '.';
        parts.fraction_digits += has_point && text[i] != '.';
    }
    parts.mantissa_size = (size_t)(text + i - parts.mantissa);
    if (digit_count == 0)
        return false;
    if (i < size) {
        if (text[i] != 'e' && text[i] != 'E')
            return false;
        if (!parse_exponent(text + i + 1, size - i - 1, &parts.exponent))
            return false;
    }
    *ret_parts = parts;
    return true;
}

bool parse_decimal(const char *text, size_t size, unsigned precision, unsigned scale,
                   __int128 *ret_unscaled)
{
    struct decimal_parts parts;
    trim_text(&text, &size);
    if (!take_apart(text, size, &parts))
        return false;
    /* The value is digits * 10^-fraction_digits * 10^exponent: this many digits, counted from the
     * first that is not 0, stand before the end of the scale. */
    int64_t left = -parts.fraction_digits + parts.exponent + (int64_t)scale;
    size_t first = 0;
    while (first < parts.mantissa_size &&
           (parts.mantissa[first] == '0' || parts.mantissa[first] == '.'))
        first++;
    for (size_t i = first; i < parts.mantissa_size; i++)
        left += parts.mantissa[i] != '.';
    if (first == parts.mantissa_size) {
        *ret_unscaled = 0;
        return true;
    }
    if (left > (int64_t)precision)
        return false;
    __int128 unscaled = 0;
    bool rounds_up = false;
    size_t i = first;
    for (; left >= 0 && i < parts.mantissa_size; i++) {
        if (parts.mantissa[i] == '.')
            continue;
        if (left == 0) {
            rounds_up = parts.mantissa[i] >= '5';
            break;
        }
        unscaled = unscaled * 10 + (parts.mantissa[i] - '0');
        left--;
    }
    if (left > 0)
        unscaled *= decimal_power((unsigned)left);
    unscaled += rounds_up;
    if (unscaled >= decimal_power(precision))
        return false;
    *ret_unscaled = parts.is_negative ? -unscaled : unscaled;
    return true;
}

void format_decimal(__int128 unscaled, unsigned scale, struct text *out)
{
    char digits[64];
    char *at = digits + sizeof(digits);
    unsigned __int128 rest =
        unscaled < 0 ? -(unsigned __int128)unscaled : (unsigned __int128)unscaled;
    unsigned written = 0;
    DCHECK(scale <= TYPE_DECIMAL_PRECISION_MAX);
    while (rest > UINT64_MAX || written < scale) {
        *--at = (char)('0' + (unsigned)(rest % 10));
        rest /= 10;
        if (++written == scale)
            *--at = '.';
    }
    uint64_t low = (uint64_t)rest;
    do {
        *--at = (char)('0' + low % 10);
        low /= 10;
        if (++written == scale)
            *--at = '.';
    } while (low > 0);
    if (unscaled < 0)
        *--at = '-';
    text_append_bytes(out, at, (size_t)(digits + sizeof(digits) - at));
}
