/* Arithmetic on moments: shared by operators, casts and time functions. */
#ifndef EXPRESSIONS_TIME_MATH_H
#define EXPRESSIONS_TIME_MATH_H

#include "expressions/kernel.h"
#include "expressions/time_zone.h"

#define DAY_US INT64_C(86400000000)

/* A DATE, TIMESTAMP or TIMESTAMP_LTZ as microseconds of local time (LTZ: in the zone) and what is
 * below a microsecond. */
struct moment {
    int64_t us;
    int32_t ns; /* 0..999 */
};

/* Entry `row` of the column itself, not of a batch. */
struct moment moment_load(const struct column *column, uint32_t row, const struct time_zone *zone);
/* Stores as the column's type; false if the type cannot hold it. */
bool moment_store(struct column *column, uint32_t row, struct moment moment,
                  const struct time_zone *zone);
/* The same day of another month, or its last day. */
int64_t add_months(int64_t us, int64_t months);
/* Rounding towards minus infinity. */
int64_t floor_divide(int64_t value, int64_t divisor);

kernel_function add_interval;      /* time, interval */
kernel_function subtract_interval; /* time, interval */
kernel_function subtract_times;    /* two of one type, gives microseconds */

#endif
