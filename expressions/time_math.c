/* Arithmetic on moments: see time_math.h. */
#include "expressions/time_math.h"

#include "common/data/value_text.h"

int64_t floor_divide(int64_t value, int64_t divisor)
{
    const int64_t quotient = value / divisor;
    return quotient - (value % divisor < 0);
}

static int64_t ticks_per_us(struct type type)
{
    return type_timestamp_ticks(type) / 1000000;
}

struct moment moment_load(const struct column *column, uint32_t row, const struct time_zone *zone)
{
    if (column->type.kind == TYPE_DATE)
        return (struct moment){((const int32_t *)column->values)[row] * DAY_US, 0};
    const int64_t ticks = ((const int64_t *)column->values)[row];
    if (column->type.kind == TYPE_TIME)
        return (struct moment){ticks, 0};
    const int64_t scale = ticks_per_us(column->type);
    struct moment moment = {ticks, 0};
    if (scale != 1) {
        moment.us = floor_divide(ticks, scale);
        moment.ns = (int32_t)(ticks - moment.us * scale);
    }
    if (column->type.kind == TYPE_TIMESTAMP_LTZ)
        moment.us += (int64_t)time_zone_offset(zone, floor_divide(moment.us, 1000000)) * 1000000;
    return moment;
}

/* What the precision does not show is cut off. */
static int64_t cut_ticks(int64_t ticks, struct type type)
{
    static const int64_t powers[] = {1000000, 100000, 10000, 1000, 100, 10, 1, 100, 10, 1};
    const int64_t step = powers[type.precision];
    return step == 1 ? ticks : floor_divide(ticks, step) * step;
}

bool moment_store(struct column *column, uint32_t row, struct moment moment,
                  const struct time_zone *zone)
{
    const struct type type = column->type;
    if (type.kind == TYPE_DATE) {
        const int64_t days = floor_divide(moment.us, DAY_US);
        ((int32_t *)column->values)[row] = (int32_t)days;
        return days >= INT32_MIN && days <= INT32_MAX;
    }
    int64_t ticks = moment.us;
    if (type.kind == TYPE_TIME) {
        ticks -= floor_divide(ticks, DAY_US) * DAY_US;
        ((int64_t *)column->values)[row] = cut_ticks(ticks, type);
        return true;
    }
    if (type.kind == TYPE_TIMESTAMP_LTZ)
        ticks -= (int64_t)time_zone_offset_local(zone, floor_divide(ticks, 1000000)) * 1000000;
    const int64_t scale = ticks_per_us(type);
    if (scale != 1 && (__builtin_mul_overflow(ticks, scale, &ticks) ||
                       __builtin_add_overflow(ticks, moment.ns, &ticks)))
        return false;
    ((int64_t *)column->values)[row] = cut_ticks(ticks, type);
    return true;
}

int64_t add_months(int64_t us, int64_t months)
{
    const int64_t days = floor_divide(us, DAY_US);
    const struct civil_date date = civil_from_days(days);
    const int64_t total = date.year * 12 + (date.month - 1) + months;
    const int64_t year = floor_divide(total, 12);
    const int month = (int)(total - year * 12) + 1;
    const int last = days_of_month(year, month);
    const int day = date.day < last ? date.day : last;
    return days_from_civil(year, month, day) * DAY_US + (us - days * DAY_US);
}

/* Years that a moment in microseconds may reach; beyond is NULL. */
#define MONTHS_MAX (INT64_C(200000) * 12)

static bool shift_moment(const struct call *call, uint32_t row, int sign)
{
    const struct column *times = call->args[0].column;
    const struct column *intervals = call->args[1].column;
    const uint32_t from = arg_row(call, 1, row);
    const struct time_zone *zone = scratch_expression(call->scratch)->time_zone;
    struct moment moment = moment_load(times, arg_row(call, 0, row), zone);
    if (intervals->type.kind == TYPE_INTERVAL_MONTH) {
        const int64_t months = (int64_t)((const int32_t *)intervals->values)[from] * sign;
        if (months > MONTHS_MAX || months < -MONTHS_MAX)
            return false;
        moment.us = add_months(moment.us, months);
    } else {
        int64_t us;
        if (__builtin_mul_overflow(((const int64_t *)intervals->values)[from], sign, &us) ||
            __builtin_add_overflow(moment.us, us, &moment.us))
            return false;
    }
    return moment_store(call->result, row, moment, zone);
}

/* Instants differ by exact time: the zone plays no part. */
static bool shift_instant(const struct call *call, uint32_t row, int sign)
{
    const int64_t scale = type_timestamp_ticks(call->node->type) / 1000000;
    int64_t ticks;
    return !__builtin_mul_overflow(ARG(call, 1, int64_t, row), sign * scale, &ticks) &&
           !__builtin_add_overflow(ARG(call, 0, int64_t, row), ticks, &RESULT(call, int64_t)[row]);
}

static void shift(struct call *call, int sign)
{
    const bool is_exact = type_is_timestamp(call->node->type.kind) &&
                          call->args[1].column->type.kind == TYPE_INTERVAL_SECOND;
    FOR_ROWS(call, row)
    {
        if (!(is_exact ? shift_instant(call, row, sign) : shift_moment(call, row, sign)))
            call_set_null(call, row);
    }
}

void add_interval(struct call *call)
{
    shift(call, 1);
}

void subtract_interval(struct call *call)
{
    shift(call, -1);
}

void subtract_times(struct call *call)
{
    FOR_ROWS(call, row)
    {
        const struct moment a = moment_load(call->args[0].column, arg_row(call, 0, row), NULL);
        const struct moment b = moment_load(call->args[1].column, arg_row(call, 1, row), NULL);
        if (__builtin_sub_overflow(a.us, b.us, &RESULT(call, int64_t)[row]))
            call_set_null(call, row);
    }
}
