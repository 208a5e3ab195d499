/* Dates, times, timestamps and intervals from and to text, and the calendar: see value_text.h. */
#include "common/data/value_text.h"

#define US_PER_SECOND  INT64_C(1000000)
#define SECONDS_OF_DAY INT64_C(86400)
#define US_OF_DAY      (SECONDS_OF_DAY * US_PER_SECOND)
#define ZONE_MAX       (18 * 3600)

/* ---- the calendar ---- */

int64_t days_from_civil(int64_t year, int month, int day)
{
    /* Years start in March, so that the leap day is their last. */
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct civil_date civil_from_days(int64_t days)
{
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t shifted = (5 * day_of_year + 2) / 153;
    const int month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    return (struct civil_date){
        .year = year_of_era + era * 400 + (month <= 2),
        .month = month,
        .day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1),
    };
}

int days_of_month(int64_t year, int month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && is_leap);
}

/* ---- from text ---- */

struct cursor {
    const char *at;
    const char *end;
};

/* Between min_digits and max_digits digits. */
static bool take_number(struct cursor *cursor, int min_digits, int max_digits, int *ret_value)
{
    int value = 0;
    int count = 0;
    while (count < max_digits && cursor->at < cursor->end && *cursor->at >= '0' &&
           *cursor->at <= '9') {
        value = value * 10 + (*cursor->at++ - '0');
        count++;
    }
    *ret_value = value;
    return count >= min_digits;
}

static bool take_char(struct cursor *cursor, char c)
{
    const bool is_there = cursor->at < cursor->end && *cursor->at == c;
    cursor->at += is_there;
    return is_there;
}

static bool take_date(struct cursor *cursor, int64_t *ret_days)
{
    int year = 0;
    int month = 0;
    int day = 0;
    if (!take_number(cursor, 4, 4, &year) || !take_char(cursor, '-') ||
        !take_number(cursor, 1, 2, &month) || !take_char(cursor, '-') ||
        !take_number(cursor, 1, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *ret_days = days_from_civil(year, month, day);
    return true;
}

/* Seconds of the day and nanoseconds. */
static bool take_time(struct cursor *cursor, int64_t *ret_seconds, int64_t *ret_ns)
{
    int hour = 0;
    int minute = 0;
    int second = 0;
    int64_t ns = 0;
    if (!take_number(cursor, 1, 2, &hour) || !take_char(cursor, ':') ||
        !take_number(cursor, 1, 2, &minute))
        return false;
    if (take_char(cursor, ':')) {
        if (!take_number(cursor, 1, 2, &second))
            return false;
        if (take_char(cursor, '.')) {
            const char *start = cursor->at;
            for (int64_t unit = 100000000; cursor->at < cursor->end && *cursor->at >= '0' &&
                                           *cursor->at <= '9' && cursor->at - start < 18;
                 unit /= 10)
                ns += unit * (*cursor->at++ - '0');
            if (cursor->at == start)
                return false;
        }
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *ret_seconds = hour * 3600 + minute * 60 + second;
    *ret_ns = ns;
    return true;
}

static bool take_zone(struct cursor *cursor, int32_t *ret_zone)
{
    if (take_char(cursor, 'Z') || take_char(cursor, 'z')) {
        *ret_zone = 0;
        return true;
    }
    const bool is_west = take_char(cursor, '-');
    if (!is_west && !take_char(cursor, '+'))
        return false;
    int hours = 0;
    int minutes = 0;
    if (!take_number(cursor, 2, 2, &hours))
        return false;
    if (cursor->at < cursor->end) {
        (void)take_char(cursor, ':');
        if (!take_number(cursor, 2, 2, &minutes))
            return false;
    }
    const int seconds = hours * 3600 + minutes * 60;
    if (minutes > 59 || seconds > ZONE_MAX)
        return false;
    *ret_zone = is_west ? -seconds : seconds;
    return true;
}

bool parse_date(const char *text, size_t size, int32_t *ret_days)
{
    int64_t days = 0;
    trim_text(&text, &size);
    struct cursor cursor = {text, text + size};
    if (!take_date(&cursor, &days) || cursor.at != cursor.end)
        return false;
    *ret_days = (int32_t)days;
    return true;
}

bool parse_time(const char *text, size_t size, int64_t *ret_us)
{
    int64_t seconds = 0;
    int64_t ns = 0;
    trim_text(&text, &size);
    struct cursor cursor = {text, text + size};
    if (!take_time(&cursor, &seconds, &ns) || cursor.at != cursor.end)
        return false;
    *ret_us = seconds * US_PER_SECOND + ns / 1000;
    return true;
}

bool parse_timestamp(const char *text, size_t size, unsigned precision, int64_t *ret_ticks,
                     int32_t *ret_zone, bool *ret_has_zone)
{
    static const int64_t units[] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                    10000,      1000,      100,      10,      1};
    int64_t days = 0;
    int64_t seconds = 0;
    int64_t ns = 0;
    int32_t zone = 0;
    bool has_zone = false;
    trim_text(&text, &size);
    struct cursor cursor = {text, text + size};
    if (!take_date(&cursor, &days))
        return false;
    if (cursor.at < cursor.end) {
        if (!take_char(&cursor, ' ') && !take_char(&cursor, 'T') && !take_char(&cursor, 't'))
            return false;
        if (!take_time(&cursor, &seconds, &ns))
            return false;
        if (cursor.at < cursor.end && ret_zone != NULL) {
            (void)take_char(&cursor, ' ');
            if (!take_zone(&cursor, &zone))
                return false;
            has_zone = true;
        }
    }
    if (cursor.at != cursor.end)
        return false;
    ns -= ns % units[precision];
    const bool is_ns = precision > 6;
    int64_t ticks = 0;
    if (__builtin_mul_overflow(days * SECONDS_OF_DAY + seconds,
                               is_ns ? 1000 * US_PER_SECOND : US_PER_SECOND, &ticks) ||
        __builtin_add_overflow(ticks, is_ns ? ns : ns / 1000, &ticks))
        return false;
    *ret_ticks = ticks;
    if (ret_zone != NULL) {
        *ret_zone = zone;
        *ret_has_zone = has_zone;
    }
    return true;
}

/* ---- to text ---- */

/* `count` digits with leading zeros; returns the place behind them. */
static char *put_digits(char *at, int64_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

static char *put_date(char *at, int64_t days)
{
    const struct civil_date date = civil_from_days(days);
    const int64_t year = date.year < 0 ? -date.year : date.year;
    if (date.year < 0)
        *at++ = '-';
    at = put_digits(at, year, year > 999999 ? 7 : year > 99999 ? 6 : year > 9999 ? 5 : 4);
    *at++ = '-';
    at = put_digits(at, date.month, 2);
    *at++ = '-';
    return put_digits(at, date.day, 2);
}

/* fraction: ticks of a second, of which there are 10^fraction_digits; shown are `precision`. */
static char *put_time(char *at, int64_t seconds, int64_t fraction, unsigned fraction_digits,
                      unsigned precision)
{
    at = put_digits(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_digits(at, seconds / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, seconds % 60, 2);
    if (precision == 0)
        return at;
    *at++ = '.';
    (void)put_digits(at, fraction, fraction_digits);
    return at + precision;
}

void format_date(int32_t days, struct text *out)
{
    char text[32];
    text_append_bytes(out, text, (size_t)(put_date(text, days) - text));
}

void format_time(int64_t us, unsigned precision, struct text *out)
{
    char text[32];
    const char *end = put_time(text, us / US_PER_SECOND, us % US_PER_SECOND, 6, precision);
    text_append_bytes(out, text, (size_t)(end - text));
}

void format_timestamp(int64_t ticks, unsigned precision, struct text *out)
{
    char text[64];
    const int64_t per_second = precision > 6 ? 1000 * US_PER_SECOND : US_PER_SECOND;
    const int64_t per_day = SECONDS_OF_DAY * per_second;
    const int64_t days = ticks / per_day - (ticks % per_day < 0);
    const int64_t of_day = ticks % per_day + (ticks % per_day < 0 ? per_day : 0);
    char *at = put_date(text, days);
    *at++ = ' ';
    at = put_time(at, of_day / per_second, of_day % per_second, precision > 6 ? 9 : 6, precision);
    text_append_bytes(out, text, (size_t)(at - text));
}

void format_interval_month(int32_t months, struct text *out)
{
    const int64_t size = months < 0 ? -(int64_t)months : months;
    text_append_char(out, months < 0 ? '-' : '+');
    format_int64(size / 12, out);
    text_format(out, "-%02d", (int)(size % 12));
}

void format_interval_second(int64_t us, struct text *out)
{
    const uint64_t size = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
    const int64_t of_day = (int64_t)(size % (uint64_t)US_OF_DAY);
    char text[32];
    text_append_char(out, us < 0 ? '-' : '+');
    format_int64((int64_t)(size / (uint64_t)US_OF_DAY), out);
    text_append_char(out, ' ');
    const char *end = put_time(text, of_day / US_PER_SECOND, of_day % US_PER_SECOND, 6, 3);
    text_append_bytes(out, text, (size_t)(end - text));
}
