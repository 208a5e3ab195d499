/* Booleans, integers and floating point from and to text: see value_text.h. */
#include "common/base/allocate.h"
#include "common/data/value_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

void trim_text(const char **text, size_t *size)
{
    while (*size > 0 && (uint8_t) * *text <= ' ') {
        (*text)++;
        (*size)--;
    }
    while (*size > 0 && (uint8_t)(*text)[*size - 1] <= ' ')
        (*size)--;
}

static bool is_word(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && strncasecmp(text, word, size) == 0;
}

bool parse_bool(const char *text, size_t size, bool *ret_value)
{
    static const char *const words[] = {"false", "true", "f", "t", "no", "yes", "n", "y", "0", "1"};
    trim_text(&text, &size);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (is_word(text, size, words[i])) {
            *ret_value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

void format_bool(bool value, struct text *out)
{
    text_append(out, value ? "TRUE" : "FALSE");
}

bool parse_int64(const char *text, size_t size, int64_t *ret_value)
{
    trim_text(&text, &size);
    const bool is_negative = size > 0 && *text == '-';
    size_t i = size > 0 && (*text == '-' || *text == '+') ? 1 : 0;
    if (i == size)
        return false;
    const uint64_t limit = (uint64_t)INT64_MAX + is_negative;
    uint64_t value = 0;
    for (; i < size; i++) {
        const unsigned digit = (unsigned)(uint8_t)text[i] - '0';
        if (digit > 9 || value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *ret_value = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

void format_int64(int64_t value, struct text *out)
{
    char digits[24];
    char *at = digits + sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        *--at = '-';
    text_append_bytes(out, at, (size_t)(digits + sizeof(digits) - at));
}

/* ---- floating point ---- */

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

#define EXACT_DIGITS_MAX 15 /* integers of so many digits are doubles */

/* A number in decimal notation taken apart, as far as 15 digits can say it. */
struct double_parts {
    uint64_t digits;
    int digit_count; /* significant ones; above EXACT_DIGITS_MAX `digits` is not complete */
    int64_t exponent;
    bool is_negative;
};

/* The exponent behind "e": digits with an optional sign. */
static bool add_exponent(const char *text, size_t size, struct double_parts *parts)
{
    const bool is_negative = size > 0 && *text == '-';
    size_t i = size > 0 && (*text == '-' || *text == '+') ? 1 : 0;
    int64_t exponent = 0;
    if (i == size)
        return false;
    for (; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (exponent < 1000000)
            exponent = exponent * 10 + (text[i] - '0');
    }
    parts->exponent += is_negative ? -exponent : exponent;
    return true;
}

static bool take_apart(const char *text, size_t size, struct double_parts *ret_parts)
{
    struct double_parts parts = {.is_negative = size > 0 && *text == '-'};
    size_t i = size > 0 && (*text == '-' || *text == '+') ? 1 : 0;
    bool has_point = false;
    bool has_digit = false;
    for (; i < size && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9')
            return false;
        has_digit = true;
        parts.exponent -= has_point;
        if (parts.digit_count == 0 && text[i] == '0')
            continue;
        if (parts.digit_count <= EXACT_DIGITS_MAX) {
            parts.digits = parts.digits * 10 + (uint64_t)(text[i] - '0');
            parts.digit_count++;
        }
    }
    if (!has_digit || (i < size && !add_exponent(text + i + 1, size - i - 1, &parts)))
        return false;
    *ret_parts = parts;
    return true;
}

static double read_with_libc(const char *text, size_t size)
{
    char small[128];
    SCOPED_TEXT char *large = NULL;
    if (size >= sizeof(small)) {
        large = copy_text_n(text, size);
        return strtod(large, NULL);
    }
    memcpy(small, text, size);
    small[size] = '\0';
    return strtod(small, NULL);
}

static bool parse_special(const char *text, size_t size, double *ret_value)
{
    const bool has_sign = size > 0 && (*text == '-' || *text == '+');
    const bool is_negative = has_sign && *text == '-';
    text += has_sign;
    size -= has_sign;
    if (is_word(text, size, "nan"))
        *ret_value = (double)NAN;
    else if (is_word(text, size, "infinity") || is_word(text, size, "inf"))
        *ret_value = is_negative ? -(double)INFINITY : (double)INFINITY;
    else
        return false;
    return true;
}

bool parse_double(const char *text, size_t size, double *ret_value)
{
    struct double_parts parts;
    trim_text(&text, &size);
    if (!take_apart(text, size, &parts))
        return parse_special(text, size, ret_value);
    double value = (double)parts.digits;
    if (parts.digit_count <= EXACT_DIGITS_MAX && parts.exponent >= -22 && parts.exponent <= 22) {
        /* Both operands are exact, so that one operation rounds once (Clinger 1990). */
        if (parts.exponent < 0)
            value /= exact_powers[-parts.exponent];
        else
            value *= exact_powers[parts.exponent];
        *ret_value = parts.is_negative ? -value : value;
    } else {
        *ret_value = read_with_libc(text, size);
    }
    return true;
}

/* Digits d1 d2 ... dn without trailing zeros; the number is d1.d2...dn * 10^exponent. */
struct shortest {
    char digits[24];
    int count;
    int exponent;
};

/* Java's layout: plain from 10^-3 to below 10^7, else with an exponent. */
static void append_java(const struct shortest *shortest, struct text *out)
{
    static const char zeros[] = "0000000";
    const int exponent = shortest->exponent;
    const bool is_plain = exponent >= -3 && exponent < 7;
    if (is_plain && exponent < 0) {
        text_append(out, "0.");
        text_append_bytes(out, zeros, (size_t)(-exponent - 1));
        text_append_bytes(out, shortest->digits, (size_t)shortest->count);
        return;
    }
    const int whole = is_plain ? exponent + 1 : 1; /* digits before the point */
    const int given = shortest->count < whole ? shortest->count : whole;
    text_append_bytes(out, shortest->digits, (size_t)given);
    text_append_bytes(out, zeros, (size_t)(whole - given));
    text_append_char(out, '.');
    if (shortest->count > whole)
        text_append_bytes(out, shortest->digits + whole, (size_t)(shortest->count - whole));
    else
        text_append_char(out, '0');
    if (!is_plain) {
        text_append_char(out, 'E');
        format_int64(exponent, out);
    }
}

/* The fewest of 15 to 17 (6 to 9) digits that read back the same. */
static void find_shortest(double value, bool is_float, struct shortest *ret)
{
    char text[40];
    const int last = is_float ? 9 : 17;
    for (int precision = is_float ? 6 : 15; precision <= last; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision - 1, value);
        if (precision == last ||
            (is_float ? (double)strtof(text, NULL) == value : strtod(text, NULL) == value))
            break;
    }
    const char *mark = strchr(text, 'e');
    ret->exponent = (int)strtol(mark + 1, NULL, 10);
    ret->count = 0;
    for (const char *c = text; c < mark; c++) {
        if (*c >= '0' && *c <= '9')
            ret->digits[ret->count++] = *c;
    }
    while (ret->count > 1 && ret->digits[ret->count - 1] == '0')
        ret->count--;
}

/* Few decimal digits: the usual prices and measures, without libc. A whole number of at most 15
 * digits divided by a power of ten is rounded once, so if it gives the value, its digits are those
 * of the shortest text. */
static bool append_short_fraction(double value, struct text *out)
{
    for (int scale = 0; scale <= 8; scale++) {
        const double scaled = value * exact_powers[scale];
        const uint64_t whole = (uint64_t)(scaled + 0.5);
        if (whole >= UINT64_C(1000000000000000))
            return false;
        if ((double)whole / exact_powers[scale] != value)
            continue;
        const uint64_t unit = (uint64_t)exact_powers[scale];
        format_int64((int64_t)(whole / unit), out);
        text_append_char(out, '.');
        char digits[16];
        uint64_t rest = whole % unit;
        const int digit_count = scale > 0 ? scale : 1;
        for (int i = digit_count; i-- > 0;) {
            digits[i] = (char)('0' + rest % 10);
            rest /= 10;
        }
        text_append_bytes(out, digits, (size_t)digit_count);
        return true;
    }
    return false;
}

static void format_real(double value, bool is_float, struct text *out)
{
    if (isnan(value)) {
        text_append(out, "NaN");
        return;
    }
    if (signbit(value))
        text_append_char(out, '-');
    const double size = fabs(value);
    struct shortest shortest;
    if (isinf(size)) {
        text_append(out, "Infinity");
    } else if (size == 0) {
        text_append(out, "0.0");
    } else if (is_float || size < 1e-3 || size >= 1e7 || !append_short_fraction(size, out)) {
        find_shortest(size, is_float, &shortest);
        append_java(&shortest, out);
    }
}

void format_double(double value, struct text *out)
{
    format_real(value, false, out);
}

void format_float(float value, struct text *out)
{
    format_real((double)value, true, out);
}
