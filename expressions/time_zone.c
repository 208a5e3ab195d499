/* Offsets of a time zone: see time_zone.h. Files are RFC 8536 (TZif), version 2 and later; behind
 * their last transition the rule in the footer holds (POSIX TZ, Mm.w.d form). */
#include "expressions/time_zone.h"

#include "common/base/allocate.h"
#include "common/data/value_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ZONE_FOLDER     "/usr/share/zoneinfo/"
#define ZONE_BYTES_MAX  (256 * 1024)
#define TRANSITIONS_MAX 10000

struct transition {
    int64_t at; /* UTC seconds */
    int32_t offset;
};

struct rule_date {
    int month;
    int week; /* 1..5, 5 the last */
    int day;  /* 0 Sunday */
    int32_t seconds;
};

struct time_zone {
    int32_t first_offset;
    size_t count;
    struct transition *transitions;
    bool has_rule;
    int32_t standard;
    int32_t daylight;
    struct rule_date starts; /* daylight saving time, in local standard time */
    struct rule_date ends;   /* in local daylight saving time */
};

void time_zone_destroy(struct time_zone *zone)
{
    if (zone != NULL)
        free(zone->transitions);
    free(zone);
}

/* ---- the rule behind the last transition: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static bool read_int(const char **at, int *ret_value)
{
    if (!isdigit((unsigned char)**at))
        return false;
    int value = 0;
    for (int digits = 0; isdigit((unsigned char)**at) && digits < 4; digits++)
        value = value * 10 + *(*at)++ - '0';
    *ret_value = value;
    return true;
}

static bool read_clock(const char **at, int32_t *ret_seconds)
{
    int sign = 1;
    if (**at == '-' || **at == '+')
        sign = *(*at)++ == '-' ? -1 : 1;
    int parts[3] = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        if (i > 0 && **at != ':')
            break;
        *at += i > 0;
        if (!read_int(at, &parts[i]))
            return false;
    }
    *ret_seconds = sign * (parts[0] * 3600 + parts[1] * 60 + parts[2]);
    return true;
}

static bool skip_zone_name(const char **at)
{
    if (**at == '<') {
        const char *end = strchr(*at, '>');
        if (end == NULL)
            return false;
        *at = end + 1;
        return true;
    }
    const char *start = *at;
    while (isalpha((unsigned char)**at))
        (*at)++;
    return *at > start;
}

static bool read_rule_date(const char **at, struct rule_date *date)
{
    if (strncmp(*at, ",M", 2) != 0)
        return false;
    *at += 2;
    date->seconds = 7200;
    if (!read_int(at, &date->month) || *(*at)++ != '.' || !read_int(at, &date->week) ||
        *(*at)++ != '.' || !read_int(at, &date->day))
        return false;
    if (date->month < 1 || date->month > 12 || date->week < 1 || date->week > 5 || date->day > 6)
        return false;
    if (**at != '/')
        return true;
    (*at)++;
    return read_clock(at, &date->seconds);
}

static bool read_rule(const char *text, struct time_zone *zone)
{
    int32_t west;
    if (!skip_zone_name(&text) || !read_clock(&text, &west))
        return false;
    zone->standard = zone->daylight = -west;
    zone->has_rule = true;
    if (*text == '\0')
        return true;
    if (!skip_zone_name(&text))
        return false;
    zone->daylight = zone->standard + 3600;
    if (*text != ',' && *text != '\0') {
        if (!read_clock(&text, &west))
            return false;
        zone->daylight = -west;
    }
    return read_rule_date(&text, &zone->starts) && read_rule_date(&text, &zone->ends);
}

/* Local seconds at which the date's moment lies in the year. */
static int64_t rule_moment(const struct rule_date *date, int64_t year)
{
    const int64_t first = days_from_civil(year, date->month, 1);
    const int first_weekday = (int)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
    int day = 1 + (date->day - first_weekday + 7) % 7 + (date->week - 1) * 7;
    if (day > days_of_month(year, date->month))
        day -= 7;
    return (first + day - 1) * 86400 + date->seconds;
}

static int32_t rule_offset(const struct time_zone *zone, int64_t utc)
{
    if (zone->standard == zone->daylight)
        return zone->standard;
    const int64_t local_days = (utc + zone->standard) / 86400 - (utc + zone->standard < 0);
    const int64_t year = civil_from_days(local_days).year;
    const int64_t start = rule_moment(&zone->starts, year) - zone->standard;
    const int64_t end = rule_moment(&zone->ends, year) - zone->daylight;
    const bool is_daylight = start < end ? utc >= start && utc < end : utc >= start || utc < end;
    return is_daylight ? zone->daylight : zone->standard;
}

/* ---- the file ---- */

static int64_t read_be(const unsigned char *bytes, int size)
{
    uint64_t value = (bytes[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

struct counts {
    size_t utc, standard, leap, times, types, chars;
};

static bool read_counts(const unsigned char *header, struct counts *counts)
{
    if (memcmp(header, "TZif", 4) != 0 || header[4] < '2')
        return false;
    counts->utc = (size_t)read_be(header + 20, 4);
    counts->standard = (size_t)read_be(header + 24, 4);
    counts->leap = (size_t)read_be(header + 28, 4);
    counts->times = (size_t)read_be(header + 32, 4);
    counts->types = (size_t)read_be(header + 36, 4);
    counts->chars = (size_t)read_be(header + 40, 4);
    return counts->times <= TRANSITIONS_MAX && counts->types >= 1 && counts->types <= 256 &&
           counts->chars <= 4096 && counts->leap <= 1000 && counts->utc <= 256 &&
           counts->standard <= 256;
}

static size_t block_bytes(const struct counts *counts, size_t time_size)
{
    return counts->times * time_size + counts->times + counts->types * 6 + counts->chars +
           counts->leap * (time_size + 4) + counts->standard + counts->utc;
}

static bool parse_zone(const unsigned char *bytes, size_t size, struct time_zone *zone)
{
    struct counts counts;
    if (size < 44 || !read_counts(bytes, &counts))
        return false;
    const size_t second = 44 + block_bytes(&counts, 4);
    if (second + 44 > size || !read_counts(bytes + second, &counts))
        return false;
    const unsigned char *times = bytes + second + 44;
    const size_t body = block_bytes(&counts, 8);
    if (second + 44 + body > size)
        return false;
    const unsigned char *indices = times + counts.times * 8;
    const unsigned char *types = indices + counts.times;
    zone->first_offset = (int32_t)read_be(types, 4);
    zone->count = counts.times;
    zone->transitions = allocate_array(counts.times + 1, sizeof(*zone->transitions));
    for (size_t i = 0; i < counts.times; i++) {
        if (indices[i] >= counts.types)
            return false;
        zone->transitions[i].at = read_be(times + i * 8, 8);
        zone->transitions[i].offset = (int32_t)read_be(types + indices[i] * 6u, 4);
    }
    char footer[128] = "";
    const char *rule = (const char *)times + body;
    const size_t left = size - (second + 44 + body);
    for (size_t i = 1; i < left && i < sizeof(footer) && rule[i] != '\n'; i++)
        footer[i - 1] = rule[i];
    return footer[0] == '\0' || read_rule(footer, zone);
}

static bool name_is_safe(const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("_-+/", *c) == NULL)
            return false;
    }
    return name[0] != '\0' && name[0] != '/' && strlen(name) < 100;
}

static enum status load_zone(const char *name, struct time_zone *zone, struct error *err)
{
    if (!name_is_safe(name))
        return error_set(err, STATUS_INVALID,
                         "\"%.60s\" is no time zone such as Europe/Berlin, UTC or +02:00", name);
    char path[200];
    (void)snprintf(path, sizeof(path), ZONE_FOLDER "%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return error_set(
            err, STATUS_INVALID,
            "the time zone \"%.60s\" is not known here (no file %s; the package tzdata "
            "has them)",
            name, path);
    unsigned char *bytes = allocate(ZONE_BYTES_MAX);
    const size_t size = fread(bytes, 1, ZONE_BYTES_MAX, file);
    (void)fclose(file);
    const bool ok = parse_zone(bytes, size, zone);
    free(bytes);
    return ok ? STATUS_OK
              : error_set(err, STATUS_INVALID, "the file %s is no time zone of version 2 or later",
                          path);
}

enum status time_zone_create(const char *name, struct time_zone **ret_zone, struct error *err)
{
    if (strcmp(name, "UTC") == 0 || strcmp(name, "Z") == 0) {
        *ret_zone = NULL;
        return STATUS_OK;
    }
    struct time_zone *zone = allocate(sizeof(*zone));
    const char *at = name;
    int32_t offset;
    if ((name[0] == '+' || name[0] == '-') && read_clock(&at, &offset) && *at == '\0' &&
        offset <= 64800 && offset >= -64800) {
        zone->first_offset = offset;
    } else {
        const enum status status = load_zone(name, zone, err);
        if (status != STATUS_OK) {
            time_zone_destroy(zone);
            return status;
        }
    }
    *ret_zone = zone;
    return STATUS_OK;
}

int32_t time_zone_offset(const struct time_zone *zone, int64_t utc)
{
    if (zone == NULL)
        return 0;
    if (zone->count == 0 || utc < zone->transitions[0].at)
        return zone->count == 0 && zone->has_rule ? rule_offset(zone, utc) : zone->first_offset;
    if (zone->has_rule && utc >= zone->transitions[zone->count - 1].at)
        return rule_offset(zone, utc);
    size_t low = 0;
    size_t high = zone->count;
    while (high - low > 1) {
        const size_t middle = (low + high) / 2;
        if (zone->transitions[middle].at <= utc)
            low = middle;
        else
            high = middle;
    }
    return zone->transitions[low].offset;
}

int32_t time_zone_offset_local(const struct time_zone *zone, int64_t local)
{
    if (zone == NULL)
        return 0;
    /* Offsets change at most once within two days. */
    const int32_t before = time_zone_offset(zone, local - 86400);
    const int32_t after = time_zone_offset(zone, local + 86400);
    if (before == after || time_zone_offset(zone, local - before) == before)
        return before;
    return time_zone_offset(zone, local - after) == after ? after : before;
}
