/* Arithmetic of unscaled DECIMALs: see decimal_math.h. */
#include "expressions/decimal_math.h"

#include "common/data/value_text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>

typedef unsigned __int128 u128;

/* A magnitude of 256 bits. */
struct wide {
    u128 high;
    u128 low;
};

static u128 magnitude(__int128 value)
{
    return value < 0 ? -(u128)value : (u128)value;
}

static struct wide wide_product(u128 a, u128 b)
{
    const u128 mask = UINT64_MAX;
    const u128 a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
    const u128 low = a0 * b0;
    const u128 middle_a = a1 * b0 + (low >> 64);
    const u128 middle_b = a0 * b1 + (middle_a & mask);
    return (struct wide){a1 * b1 + (middle_a >> 64) + (middle_b >> 64),
                         middle_b << 64 | (low & mask)};
}

/* value / divisor rounded half up; false if the quotient exceeds 127 bits. */
static bool wide_divide(struct wide value, u128 divisor, u128 *ret_quotient)
{
    if (value.high >= divisor)
        return false;
    u128 quotient;
    u128 rest;
    if (value.high == 0) {
        quotient = value.low / divisor;
        rest = value.low % divisor;
    } else {
        rest = value.high;
        quotient = 0;
        for (int bit = 127; bit >= 0; bit--) {
            const bool carry = rest >> 127 != 0;
            rest = rest << 1 | (value.low >> bit & 1);
            quotient <<= 1;
            if (carry || rest >= divisor) {
                rest -= divisor;
                quotient |= 1;
            }
        }
    }
    if (rest >= divisor - rest)
        quotient++;
    *ret_quotient = quotient;
    return quotient >> 127 == 0;
}

static bool signed_result(u128 value, bool is_negative, unsigned precision, __int128 *ret_value)
{
    if (value >= (u128)decimal_power(precision))
        return false;
    *ret_value = is_negative ? -(__int128)value : (__int128)value;
    return true;
}

bool decimal_rescale(__int128 value, unsigned scale, struct decimal_shape to, __int128 *ret_value)
{
    u128 result = magnitude(value);
    if (to.scale > scale) {
        if (__builtin_mul_overflow(result, (u128)decimal_power(to.scale - scale), &result))
            return false;
    } else if (to.scale < scale) {
        const u128 divisor = (u128)decimal_power(scale - to.scale);
        const u128 rest = result % divisor;
        result = result / divisor + (rest >= divisor - rest);
    }
    return signed_result(result, value < 0, to.precision, ret_value);
}

/* |value| * 10^up, 256 bits. */
static struct wide raise_scale(__int128 value, unsigned up)
{
    return wide_product(magnitude(value), (u128)decimal_power(up));
}

static int wide_compare(struct wide a, struct wide b)
{
    if (a.high != b.high)
        return a.high < b.high ? -1 : 1;
    return a.low == b.low ? 0 : a.low < b.low ? -1 : 1;
}

bool decimal_add(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b, bool subtract,
                 struct decimal_shape to, __int128 *ret_value)
{
    const unsigned scale = scale_a > scale_b ? scale_a : scale_b;
    const struct wide wide_a = raise_scale(a, scale - scale_a);
    const struct wide wide_b = raise_scale(b, scale - scale_b);
    const bool b_negative = (b < 0) != subtract;
    struct wide sum;
    bool is_negative = a < 0;
    if ((a < 0) == b_negative) {
        sum.low = wide_a.low + wide_b.low;
        sum.high = wide_a.high + wide_b.high + (sum.low < wide_a.low);
    } else {
        const bool a_larger = wide_compare(wide_a, wide_b) >= 0;
        const struct wide large = a_larger ? wide_a : wide_b;
        const struct wide small = a_larger ? wide_b : wide_a;
        sum.low = large.low - small.low;
        sum.high = large.high - small.high - (large.low < small.low);
        is_negative = a_larger ? a < 0 : b_negative;
    }
    u128 result;
    return wide_divide(sum, (u128)decimal_power(scale - to.scale), &result) &&
           signed_result(result, is_negative, to.precision, ret_value);
}

bool decimal_multiply(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                      struct decimal_shape to, __int128 *ret_value)
{
    const struct wide product = wide_product(magnitude(a), magnitude(b));
    const unsigned down = scale_a + scale_b - to.scale;
    u128 result;
    if (down > 38)
        return false;
    return wide_divide(product, (u128)decimal_power(down), &result) &&
           signed_result(result, (a < 0) != (b < 0), to.precision, ret_value);
}

bool decimal_divide(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                    struct decimal_shape to, __int128 *ret_value)
{
    const int up = (int)to.scale + (int)scale_b - (int)scale_a;
    u128 divisor = magnitude(b);
    u128 base = magnitude(a);
    unsigned first_up = up > 0 ? (unsigned)up : 0;
    if (first_up > 38) {
        if (__builtin_mul_overflow(base, (u128)decimal_power(first_up - 38), &base))
            return false;
        first_up = 38;
    }
    if (up < 0 && __builtin_mul_overflow(divisor, (u128)decimal_power((unsigned)-up), &divisor))
        return false;
    u128 result;
    return wide_divide(wide_product(base, (u128)decimal_power(first_up)), divisor, &result) &&
           signed_result(result, (a < 0) != (b < 0), to.precision, ret_value);
}

bool decimal_modulo(__int128 a, unsigned scale_a, __int128 b, unsigned scale_b,
                    struct decimal_shape to, __int128 *ret_value)
{
    const unsigned scale = scale_a > scale_b ? scale_a : scale_b;
    __int128 x;
    __int128 y;
    if (!decimal_rescale(a, scale_a, (struct decimal_shape){38, scale}, &x) ||
        !decimal_rescale(b, scale_b, (struct decimal_shape){38, scale}, &y))
        return false;
    return decimal_rescale(x % y, scale, to, ret_value);
}

double decimal_to_double(__int128 value, unsigned scale)
{
    /* Both parts exact: one rounding, as in reading the text. */
    if (scale <= 22 && value < ((__int128)1 << 53) && value > -((__int128)1 << 53))
        return (double)value / (double)decimal_power(scale);
    return (double)((long double)value / (long double)decimal_power(scale));
}

bool decimal_from_double(double value, struct decimal_shape to, __int128 *ret_value)
{
    if (!isfinite(value) || fabs(value) >= 1e39)
        return false;
    char text[400];
    const int size = snprintf(text, sizeof(text), "%.17g", value);
    double back = 0;
    for (int digits = 15; digits <= 17; digits++) {
        const int shorter = snprintf(text, sizeof(text), "%.*g", digits, value);
        if (parse_double(text, (size_t)shorter, &back) && back == value)
            return parse_decimal(text, (size_t)shorter, to.precision, to.scale, ret_value);
    }
    return parse_decimal(text, (size_t)size, to.precision, to.scale, ret_value);
}
