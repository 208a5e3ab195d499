/*
 * Values from and to SQL text, and calendar arithmetic (proleptic Gregorian): what casts, formats,
 * literals and messages share. Texts are not NUL-terminated; white space around a value is ignored.
 * false: the text is no such value.
 */
#ifndef COMMON_DATA_VALUE_TEXT_H
#define COMMON_DATA_VALUE_TEXT_H

#include "common/data/type.h"

/* true, t, yes, y, 1 and false, f, no, n, 0 in either case: as Flink's CAST. */
bool parse_bool(const char *text, size_t size, bool *ret_value);
bool parse_int64(const char *text, size_t size, int64_t *ret_value); /* false also on overflow */
/* Decimal notation with an optional exponent, NaN, Infinity, -Infinity; too large is infinite. */
bool parse_double(const char *text, size_t size, double *ret_value);
/* "-12.345", "1.2e3"; rounded half up (away from zero) to the scale; false if it does not fit the
 * precision. */
bool parse_decimal(const char *text, size_t size, unsigned precision, unsigned scale,
                   __int128 *ret_unscaled);
/* "2024-01-31", years 0000 to 9999; month and day may have one digit. */
bool parse_date(const char *text, size_t size, int32_t *ret_days);
/* "10:00", "10:00:00", "10:00:00.123456"; digits beyond microseconds are cut off. */
bool parse_time(const char *text, size_t size, int64_t *ret_us);
/* "2024-01-31 10:00:00.123", also with T, or a date alone; digits beyond the precision are cut off.
 * A zone suffix (Z, +02:00, +0200, +02) is accepted only if ret_zone is given and is stored there
 * in seconds east (0 if absent, with *ret_has_zone false); the ticks are the time as written, from
 * which the caller takes the zone's. false also beyond what the ticks can express. */
bool parse_timestamp(const char *text, size_t size, unsigned precision, int64_t *ret_ticks,
                     int32_t *ret_zone, bool *ret_has_zone);

void format_int64(int64_t value, struct text *out);
/* The shortest text that reads back the same, as Java writes it: 1.0, 0.001, 1.0E7, NaN. */
void format_double(double value, struct text *out);
void format_float(float value, struct text *out);
void format_decimal(__int128 unscaled, unsigned scale, struct text *out);
void format_bool(bool value, struct text *out); /* TRUE, FALSE */
void format_date(int32_t days, struct text *out);
void format_time(int64_t us, unsigned precision, struct text *out);
/* "2024-01-31 10:00:00.123": precision digits of fraction; precision also fixes the ticks. */
void format_timestamp(int64_t ticks, unsigned precision, struct text *out);

/* "+1-02": years and months; "+3 04:05:06.789": days and a time, milliseconds. */
void format_interval_month(int32_t months, struct text *out);
void format_interval_second(int64_t us, struct text *out);

struct civil_date {
    int64_t year;
    int month; /* 1..12 */
    int day;   /* 1..31 */
};
/* Days since 1970-01-01; year within +-5,000,000. (Hinnant, chrono-compatible low-level date
 * algorithms.) */
int64_t days_from_civil(int64_t year, int month, int day);
struct civil_date civil_from_days(int64_t days);
int days_of_month(int64_t year, int month);

/* Bytes of a valid UTF-8 text? */
bool utf8_is_valid(const char *bytes, size_t size);
/* Characters of a valid UTF-8 text; of another text some number <= size. */
size_t utf8_length(const char *bytes, size_t size);

/* The value without white space at both ends: moves *text and *size. */
void trim_text(const char **text, size_t *size);

/* 10^n, n 0..38. */
__int128 decimal_power(unsigned n);

#endif
