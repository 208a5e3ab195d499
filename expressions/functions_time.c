/* Parts of moments, rounding to units, adding and subtracting units. */
#include "expressions/binder.h"
#include "expressions/function.h"
#include "expressions/time_math.h"

#include "common/data/value_text.h"

enum unit {
    UNIT_MILLENNIUM,
    UNIT_CENTURY,
    UNIT_DECADE,
    UNIT_YEAR,
    UNIT_ISOYEAR,
    UNIT_QUARTER,
    UNIT_MONTH,
    UNIT_WEEK,
    UNIT_DAY,
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_HOUR,
    UNIT_MINUTE,
    UNIT_SECOND,
    UNIT_MILLISECOND,
    UNIT_MICROSECOND,
    UNIT_NANOSECOND,
    UNIT_EPOCH,
    UNIT_COUNT
};

static const struct {
    const char *name;
    int64_t us;     /* of units of fixed length */
    int64_t months; /* of units of months */
} units[UNIT_COUNT] = {
    [UNIT_MILLENNIUM] = {"MILLENNIUM", 0, 12000},
    [UNIT_CENTURY] = {"CENTURY", 0, 1200},
    [UNIT_DECADE] = {"DECADE", 0, 120},
    [UNIT_YEAR] = {"YEAR", 0, 12},
    [UNIT_ISOYEAR] = {"ISOYEAR", 0, 0},
    [UNIT_QUARTER] = {"QUARTER", 0, 3},
    [UNIT_MONTH] = {"MONTH", 0, 1},
    [UNIT_WEEK] = {"WEEK", 7 * DAY_US, 0},
    [UNIT_DAY] = {"DAY", DAY_US, 0},
    [UNIT_DOW] = {"DOW", 0, 0},
    [UNIT_ISODOW] = {"ISODOW", 0, 0},
    [UNIT_DOY] = {"DOY", 0, 0},
    [UNIT_HOUR] = {"HOUR", INT64_C(3600000000), 0},
    [UNIT_MINUTE] = {"MINUTE", 60000000, 0},
    [UNIT_SECOND] = {"SECOND", 1000000, 0},
    [UNIT_MILLISECOND] = {"MILLISECOND", 1000, 0},
    [UNIT_MICROSECOND] = {"MICROSECOND", 1, 0},
    [UNIT_NANOSECOND] = {"NANOSECOND", 0, 0},
    [UNIT_EPOCH] = {"EPOCH", 0, 0},
};

static const struct time_zone *zone_of(const struct call *call)
{
    return scratch_expression(call->scratch)->time_zone;
}

/* The unit that the grammar wrote as a string literal into argument i. */
static bool bind_unit(struct binder *binder, struct node *node, uint32_t i)
{
    uint32_t size = 0;
    const char *name = bind_literal_string(node, i, &size);
    for (uint32_t unit = 0; name != NULL && unit < UNIT_COUNT; unit++) {
        if (strlen(units[unit].name) == size && memcmp(units[unit].name, name, size) == 0) {
            node->index = unit;
            return true;
        }
    }
    return bind_fail(binder, node, "%s needs a unit of time such as DAY", node->name);
}

/* ---- extract ---- */

/* Monday is 1. */
static int iso_weekday(int64_t days)
{
    return (int)(((days + 3) % 7 + 7) % 7) + 1;
}

static int64_t iso_week(int64_t days, int64_t *ret_year)
{
    const int64_t thursday = days - iso_weekday(days) + 4;
    const int64_t year = civil_from_days(thursday).year;
    *ret_year = year;
    return (thursday - days_from_civil(year, 1, 1)) / 7 + 1;
}

static int64_t extract_date(enum unit unit, int64_t days)
{
    const struct civil_date date = civil_from_days(days);
    int64_t iso_year;
    const int64_t week = iso_week(days, &iso_year);
    switch (unit) {
    case UNIT_MILLENNIUM:
        return floor_divide(date.year + 999, 1000);
    case UNIT_CENTURY:
        return floor_divide(date.year + 99, 100);
    case UNIT_DECADE:
        return floor_divide(date.year, 10);
    case UNIT_YEAR:
        return date.year;
    case UNIT_ISOYEAR:
        return iso_year;
    case UNIT_QUARTER:
        return (date.month - 1) / 3 + 1;
    case UNIT_MONTH:
        return date.month;
    case UNIT_WEEK:
        return week;
    case UNIT_DOW:
        return iso_weekday(days) % 7 + 1; /* Sunday is 1 */
    case UNIT_ISODOW:
        return iso_weekday(days);
    case UNIT_DOY:
        return days - days_from_civil(date.year, 1, 1) + 1;
    default:
        return date.day;
    }
}

static int64_t extract_moment(enum unit unit, struct moment moment)
{
    const int64_t days = floor_divide(moment.us, DAY_US);
    const int64_t of_day = moment.us - days * DAY_US;
    switch (unit) {
    case UNIT_HOUR:
        return of_day / units[UNIT_HOUR].us;
    case UNIT_MINUTE:
        return of_day / units[UNIT_MINUTE].us % 60;
    case UNIT_SECOND:
        return of_day / 1000000 % 60;
    case UNIT_MILLISECOND:
        return of_day % 60000000 / 1000;
    case UNIT_MICROSECOND:
        return of_day % 60000000;
    case UNIT_NANOSECOND:
        return of_day % 60000000 * 1000 + moment.ns;
    case UNIT_EPOCH:
        return floor_divide(moment.us, 1000000);
    default:
        return extract_date(unit, days);
    }
}

static int64_t extract_interval(enum unit unit, const struct column *column, uint32_t row)
{
    if (column->type.kind == TYPE_INTERVAL_MONTH) {
        const int32_t months = ((const int32_t *)column->values)[row];
        return unit == UNIT_YEAR ? months / 12 : unit == UNIT_QUARTER ? months / 3 : months % 12;
    }
    const int64_t us = ((const int64_t *)column->values)[row];
    switch (unit) {
    case UNIT_DAY:
        return us / DAY_US;
    case UNIT_HOUR:
        return us / units[UNIT_HOUR].us % 24;
    case UNIT_MINUTE:
        return us / units[UNIT_MINUTE].us % 60;
    case UNIT_MILLISECOND:
        return us % 60000000 / 1000;
    case UNIT_EPOCH:
        return us / 1000000;
    default:
        return us / 1000000 % 60;
    }
}

static void extract_argument(struct call *call, uint32_t arg)
{
    const struct column *column = call->args[arg].column;
    const enum unit unit = (enum unit)call->node->index;
    const bool is_interval =
        column->type.kind == TYPE_INTERVAL_MONTH || column->type.kind == TYPE_INTERVAL_SECOND;
    /* The time since 1970 is the same everywhere. */
    const struct time_zone *zone = unit == UNIT_EPOCH ? NULL : zone_of(call);
    FOR_ROWS(call, row)
    {
        const uint32_t from = arg_row(call, arg, row);
        RESULT(call, int64_t)
        [row] = is_interval ? extract_interval(unit, column, from)
                            : extract_moment(unit, moment_load(column, from, zone));
    }
}

static void extract(struct call *call)
{
    extract_argument(call, 1);
}

static void extract_first(struct call *call)
{
    extract_argument(call, 0);
}

static bool bind_moment(struct binder *binder, struct node *node, uint32_t i)
{
    const enum type_kind kind = node->args[i]->type.kind;
    if (kind == TYPE_NONE || type_is_string(kind))
        return bind_coerce(binder, node, i, type_of_kind(TYPE_TIMESTAMP));
    return kind == TYPE_DATE || kind == TYPE_TIME || type_is_timestamp(kind) ||
           kind == TYPE_INTERVAL_MONTH || kind == TYPE_INTERVAL_SECOND ||
           bind_fail(binder, node->args[i], "%s needs a DATE, TIME, timestamp or interval, not %s",
                     node->name, type_text(node->args[i]->type));
}

static bool bind_point(struct binder *binder, struct node *node, uint32_t i)
{
    const enum type_kind kind = node->args[i]->type.kind;
    if (kind == TYPE_INTERVAL_MONTH || kind == TYPE_INTERVAL_SECOND)
        return bind_fail(binder, node->args[i], "%s needs a moment, not an interval", node->name);
    return bind_moment(binder, node, i);
}

static bool bind_extract(struct binder *binder, struct node *node)
{
    return bind_unit(binder, node, 0) && bind_moment(binder, node, 1);
}

/* year(t), hour(t), ...: the unit is in the name. */
static bool bind_named_extract(struct binder *binder, struct node *node)
{
    static const struct {
        const char *name;
        enum unit unit;
    } names[] = {
        {"year", UNIT_YEAR},     {"quarter", UNIT_QUARTER}, {"month", UNIT_MONTH},
        {"week", UNIT_WEEK},     {"dayofyear", UNIT_DOY},   {"dayofmonth", UNIT_DAY},
        {"dayofweek", UNIT_DOW}, {"hour", UNIT_HOUR},       {"minute", UNIT_MINUTE},
        {"second", UNIT_SECOND},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, node->name) == 0)
            node->index = names[i].unit;
    }
    return bind_moment(binder, node, 0);
}

/* ---- floor, ceil ---- */

static int64_t floor_moment(enum unit unit, int64_t us)
{
    if (unit == UNIT_WEEK) { /* weeks begin on Monday, 1970-01-05 was one */
        const int64_t monday = 4 * DAY_US;
        return floor_divide(us - monday, units[unit].us) * units[unit].us + monday;
    }
    if (units[unit].us > 0)
        return floor_divide(us, units[unit].us) * units[unit].us;
    const struct civil_date date = civil_from_days(floor_divide(us, DAY_US));
    const int64_t months = date.year * 12 + date.month - 1;
    const int64_t first = floor_divide(months, units[unit].months) * units[unit].months;
    const int64_t year = floor_divide(first, 12);
    return days_from_civil(year, (int)(first - year * 12) + 1, 1) * DAY_US;
}

static int64_t next_moment(enum unit unit, int64_t floored)
{
    return units[unit].us > 0 ? floored + units[unit].us : add_months(floored, units[unit].months);
}

static void round_to(struct call *call, bool up)
{
    const enum unit unit = (enum unit)call->node->index;
    FOR_ROWS(call, row)
    {
        struct moment moment =
            moment_load(call->args[0].column, arg_row(call, 0, row), zone_of(call));
        const int64_t floored = floor_moment(unit, moment.us);
        const bool is_exact = floored == moment.us && moment.ns == 0;
        moment.us = up && !is_exact ? next_moment(unit, floored) : floored;
        moment.ns = 0;
        if (!moment_store(call->result, row, moment, zone_of(call)))
            call_set_null(call, row);
    }
}

static void floor_to(struct call *call)
{
    round_to(call, false);
}

static void ceil_to(struct call *call)
{
    round_to(call, true);
}

static bool bind_round(struct binder *binder, struct node *node)
{
    if (!bind_unit(binder, node, 1) || !bind_point(binder, node, 0))
        return false;
    node->type = node->args[0]->type;
    if (units[node->index].us == 0 && units[node->index].months == 0)
        return bind_fail(binder, node, "%s is no unit to round to", units[node->index].name);
    return node->type.kind == TYPE_DATE || type_is_timestamp(node->type.kind) ||
           bind_fail(binder, node, "%s needs a DATE or a timestamp, not %s", node->name,
                     type_text(node->type));
}

/* ---- timestampadd, timestampdiff ---- */

#define UNITS_MAX INT64_C(100000000000)

static void timestampadd(struct call *call)
{
    const enum unit unit = (enum unit)call->node->index;
    FOR_ROWS(call, row)
    {
        struct moment moment =
            moment_load(call->args[2].column, arg_row(call, 2, row), zone_of(call));
        const int64_t count = ARG(call, 1, int64_t, row);
        const int64_t months_max = INT64_C(200000) * 12;
        int64_t us = 0;
        bool fits = count < UNITS_MAX * 1000 && count > -UNITS_MAX * 1000;
        if (units[unit].months > 0) {
            fits = fits && count < months_max && count > -months_max;
            if (fits)
                moment.us = add_months(moment.us, count * units[unit].months);
        } else {
            fits = fits && !__builtin_mul_overflow(count, units[unit].us, &us) &&
                   !__builtin_add_overflow(moment.us, us, &moment.us);
        }
        if (!fits || !moment_store(call->result, row, moment, zone_of(call)))
            call_set_null(call, row);
    }
}

static bool bind_timestampadd(struct binder *binder, struct node *node)
{
    if (!bind_unit(binder, node, 0) || !bind_point(binder, node, 2))
        return false;
    node->type = node->args[2]->type;
    if (node->type.kind == TYPE_DATE && units[node->index].us > 0 &&
        units[node->index].us < DAY_US) {
        node->type = type_of_kind(TYPE_TIMESTAMP);
        node->type.precision = 0;
    }
    if (units[node->index].us == 0 && units[node->index].months == 0)
        return bind_fail(binder, node, "%s is no unit to add", units[node->index].name);
    return true;
}

/* Whole units between; months by the calendar. */
static int64_t whole_units(enum unit unit, int64_t from, int64_t to)
{
    if (units[unit].us > 0)
        return (to - from) / units[unit].us;
    const struct civil_date a = civil_from_days(floor_divide(from, DAY_US));
    const struct civil_date b = civil_from_days(floor_divide(to, DAY_US));
    int64_t months = (b.year - a.year) * 12 + (b.month - a.month);
    if (months > 0 && add_months(from, months) > to)
        months--;
    else if (months < 0 && add_months(from, months) < to)
        months++;
    return months / units[unit].months;
}

static void timestampdiff(struct call *call)
{
    const enum unit unit = (enum unit)call->node->index;
    FOR_ROWS(call, row)
    {
        const struct moment from =
            moment_load(call->args[1].column, arg_row(call, 1, row), zone_of(call));
        const struct moment to =
            moment_load(call->args[2].column, arg_row(call, 2, row), zone_of(call));
        int64_t distance;
        if (__builtin_sub_overflow(to.us, from.us, &distance))
            call_set_null(call, row);
        else
            RESULT(call, int32_t)[row] = (int32_t)whole_units(unit, from.us, to.us);
    }
}

static bool bind_timestampdiff(struct binder *binder, struct node *node)
{
    if (!bind_unit(binder, node, 0) || !bind_point(binder, node, 1) || !bind_point(binder, node, 2))
        return false;
    return units[node->index].us > 0 || units[node->index].months > 0 ||
           bind_fail(binder, node, "%s is no unit to count", units[node->index].name);
}

#define NAMED(name, help)                                                                          \
    {                                                                                              \
        name, "x", 'i', 0, extract_first, bind_named_extract, name "(time)", help,                 \
            name "(TIMESTAMP '2024-02-29 13:14:15')", "BIGINT"                                     \
    }

const struct function functions_time[] = {
    {"extract", "ux", 'i', 0, extract, bind_extract, "EXTRACT(unit FROM time)",
     "a part: YEAR, QUARTER, MONTH, WEEK, DAY, DOW, DOY, HOUR, MINUTE, SECOND, EPOCH, ...",
     "EXTRACT(DAY FROM DATE '2024-02-29')", "BIGINT"},
    NAMED("year", "the year"),
    NAMED("quarter", "1 to 4"),
    NAMED("month", "1 to 12"),
    NAMED("week", "the week of ISO 8601"),
    NAMED("dayofyear", "1 to 366"),
    NAMED("dayofmonth", "1 to 31"),
    NAMED("dayofweek", "1 (Sunday) to 7"),
    NAMED("hour", "0 to 23"),
    NAMED("minute", "0 to 59"),
    NAMED("second", "0 to 59"),
    {"floor to", "xu", 0, FUNCTION_GIVES_NULL, floor_to, bind_round, "FLOOR(time TO unit)",
     "the start of the unit", "FLOOR(TIMESTAMP '2024-02-29 13:14:15' TO HOUR)", "type of the time"},
    {"ceil to", "xu", 0, FUNCTION_GIVES_NULL, ceil_to, bind_round, "CEIL(time TO unit)",
     "the start of the next unit unless it is one", "CEIL(DATE '2024-02-29' TO MONTH)",
     "type of the time"},
    {"timestampadd", "uix", 0, FUNCTION_GIVES_NULL, timestampadd, bind_timestampadd,
     "timestampadd(unit, count, time)", "so many units later",
     "timestampadd(DAY, 1, DATE '2024-02-29')", "type of the time"},
    {"timestampdiff", "uxx", 'n', FUNCTION_GIVES_NULL, timestampdiff, bind_timestampdiff,
     "timestampdiff(unit, from, to)", "whole units from one to the other",
     "timestampdiff(DAY, DATE '2024-02-28', DATE '2024-03-01')", "INT"},
};
DEFINE_FAMILY_COUNT(time);
