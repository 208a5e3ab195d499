/*
 * Values from and to SQL text, and calendar arithmetic (proleptic Gregorian): what casts, formats,
 * literals and messages share. Texts are not NUL-terminated. false: the text is no such value.
 */
#ifndef COMMON_DATA_VALUE_TEXT_H
#define COMMON_DATA_VALUE_TEXT_H

#include "common/data/type.h"

bool parse_bool(const char *text, size_t size, bool *ret_value);
bool parse_int64(const char *text, size_t size, int64_t *ret_value); /* false also on overflow */
bool parse_double(const char *text, size_t size, double *ret_value);
/* Rounded half up to the scale; false if it does not fit the precision. */
bool parse_decimal(const char *text, size_t size, unsigned precision, unsigned scale,
                   __int128 *ret_unscaled);
bool parse_date(const char *text, size_t size, int32_t *ret_days);
bool parse_time(const char *text, size_t size, int64_t *ret_us);
/* "2024-01-31 10:00:00.123" or with T; a zone suffix (Z, +02:00) is accepted only if ret_zone is
 * given and is stored there in seconds east (0 if absent, with *ret_has_zone false). */
bool parse_timestamp(const char *text, size_t size, unsigned precision, int64_t *ret_ticks,
                     int32_t *ret_zone, bool *ret_has_zone);

void format_int64(int64_t value, struct text *out);
void format_double(double value, struct text *out); /* shortest text that reads back the same */
void format_float(float value, struct text *out);
void format_decimal(__int128 unscaled, unsigned scale, struct text *out);
void format_date(int32_t days, struct text *out);
void format_time(int64_t us, unsigned precision, struct text *out);
/* "2024-01-31 10:00:00.123": precision digits of fraction; precision also fixes the ticks. */
void format_timestamp(int64_t ticks, unsigned precision, struct text *out);

struct civil_date {
    int64_t year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
};
int64_t days_from_civil(int64_t year, int month, int day);
struct civil_date civil_from_days(int64_t days);

/* Bytes of a valid UTF-8 text? */
bool utf8_is_valid(const char *bytes, size_t size);
/* Characters of a valid UTF-8 text. */
size_t utf8_length(const char *bytes, size_t size);

/* 10^n, n 0..38. */
__int128 decimal_power(unsigned n);

#endif
