/* The arithmetic of aligned windows: grids, negative times, limits, days of 23 and 25 hours. */
#include "operators/windows/window_spec.h"

#include "common/base/random.h"

#include <check.h>
#include <stdlib.h>

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

static struct window_spec spec_of(enum window_kind kind, int64_t size, int64_t step, int64_t slice,
                                  int64_t offset)
{
    return (struct window_spec){.kind = kind,
                                .size_ms = size,
                                .step_ms = step,
                                .slice_ms = slice,
                                .offset_ms = offset,
                                .ticks_per_ms = 1000};
}

START_TEST(ticks_round_down_also_before_1970)
{
    struct window_spec window = spec_of(WINDOW_TUMBLING, 1000, 1000, 1000, 0);
    static const int64_t cases[][2] = {{0, 0},   {999, 0},    {1000, 1},
                                       {-1, -1}, {-1000, -1}, {-1001, -2}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ck_assert_int_eq(window_ticks_to_ms(&window, cases[i][0]), cases[i][1]);
    window.ticks_per_ms = 1000000;
    ck_assert_int_eq(window_ticks_to_ms(&window, -1), -1);
    window.time_shift_ms = -1;
    ck_assert_int_eq(window_ticks_to_ms(&window, 10000000), 9);
}
END_TEST

/* Every window that holds a time is on the grid, and the slices of a window cover it exactly. */
START_TEST(slices_and_windows_agree)
{
    static const struct {
        enum window_kind kind;
        int64_t size;
        int64_t step;
        int64_t slice;
        int64_t offset;
    } grids[] = {
        {WINDOW_TUMBLING, 7, 7, 7, 3},     {WINDOW_HOPPING, 10, 4, 2, 1},
        {WINDOW_HOPPING, 9, 3, 3, 2},      {WINDOW_HOPPING, 5, 5, 5, 0},
        {WINDOW_CUMULATING, 12, 3, 3, 10}, {WINDOW_CUMULATING, 4, 1, 1, 0},
    };
    struct random random;
    random_init(&random, 1);
    for (size_t g = 0; g < sizeof(grids) / sizeof(grids[0]); g++) {
        const struct window_spec window =
            spec_of(grids[g].kind, grids[g].size, grids[g].step, grids[g].slice, grids[g].offset);
        for (int i = 0; i < 2000; i++) {
            int64_t time = (int64_t)random_below(&random, 200) - 100;
            if (i % 2 == 0)
                time += INT64_MAX / 1000 - 3 * WINDOW_SIZE_MS_MAX;
            const int64_t slice = window_slice_end(&window, time);
            ck_assert(slice > time && slice - window.slice_ms <= time);
            const int64_t first = window_first_end(&window, slice);
            const int64_t last = window_last_end(&window, slice);
            ck_assert_int_eq((last - first) % window.step_ms, 0);
            for (int64_t end = first - 2 * window.step_ms; end <= last + 2 * window.step_ms;
                 end += window.step_ms) {
                const int64_t start = window_start_of(&window, end);
                const bool holds = start <= time && time < end;
                ck_assert_msg(holds == (end >= first && end <= last),
                              "grid %zu, time %lld, window [%lld, %lld)", g, (long long)time,
                              (long long)start, (long long)end);
                ck_assert_int_eq((end - slice) % window.slice_ms, 0);
            }
            ck_assert_int_eq(window_end_after(&window, slice - 1), first);
        }
    }
}
END_TEST

START_TEST(times_whose_bounds_cannot_be_written_are_known)
{
    ck_assert(window_holds(0));
    ck_assert(window_holds(-INT64_C(62135596800000)));
    ck_assert(!window_holds(INT64_MAX / 1000));
    ck_assert(!window_holds(INT64_MIN / 1000));
    ck_assert(!window_holds(INT64_MAX));
    ck_assert(!window_holds(INT64_MIN));
}
END_TEST

static void in_berlin(struct window_spec *window)
{
    struct error err;
    ck_assert_int_eq(time_zone_create("Europe/Berlin", &window->zone, &err), STATUS_OK);
}

/* 2024-03-31 has 23 hours in Berlin, 2024-10-27 has 25. */
START_TEST(a_day_is_a_day_of_the_local_clock)
{
    struct window_spec window = spec_of(WINDOW_TUMBLING, DAY, DAY, DAY, 0);
    in_berlin(&window);
    static const struct {
        int64_t noon_ms;
        int64_t start_ms;
        int64_t hours;
    } days[] = {
        {INT64_C(1711792800000), INT64_C(1711753200000), 24}, /* 2024-03-30 */
        {INT64_C(1711879200000), INT64_C(1711839600000), 23},
        {INT64_C(1730023200000), INT64_C(1729980000000), 25},
        {INT64_C(1730113200000), INT64_C(1730070000000), 24},
    };
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        const int64_t end = window_slice_end(&window, window_clock_ms(&window, days[i].noon_ms));
        const int64_t start_us = window_start_us(&window, window_start_of(&window, end));
        ck_assert_int_eq(start_us / 1000, days[i].start_ms);
        ck_assert_int_eq((window_end_us(&window, end) - start_us) / 1000, days[i].hours * HOUR);
        ck_assert_int_eq(window_fire_ms(&window, end), days[i].start_ms + days[i].hours * HOUR - 1);
    }
    window_spec_close(&window);
}
END_TEST

/* On 2024-03-31 the clock jumps from 2 to 3: no end may fire before an earlier one. */
START_TEST(ends_within_a_gap_fire_in_order)
{
    struct window_spec window = spec_of(WINDOW_HOPPING, HOUR, HOUR / 4, HOUR / 4, 0);
    in_berlin(&window);
    const int64_t jump_ms = INT64_C(1711846800000); /* 01:00 UTC */
    const int64_t two = window_clock_ms(&window, jump_ms - 1) + 1;
    ck_assert_int_eq(window_clock_ms(&window, jump_ms), two + HOUR);
    int64_t last_fire_ms = INT64_MIN;
    int64_t last_end_us = INT64_MIN;
    for (int64_t end = two - 4 * HOUR; end <= two + 6 * HOUR; end += HOUR / 4) {
        const int64_t fire_ms = window_fire_ms(&window, end);
        ck_assert_int_ge(fire_ms, last_fire_ms);
        ck_assert_int_ge(window_end_us(&window, end), last_end_us);
        if (end > two && end <= two + HOUR) {
            ck_assert_int_eq(fire_ms, jump_ms);
            ck_assert_int_eq(window_end_us(&window, end), jump_ms * 1000);
        } else {
            ck_assert_int_eq(window_clock_ms(&window, fire_ms), end - 1);
        }
        last_fire_ms = fire_ms;
        last_end_us = window_end_us(&window, end);
    }
    window_spec_close(&window);
}
END_TEST

/* The hour from 2 to 3 comes twice on 2024-10-27: one window, which fires after the second. */
START_TEST(an_hour_that_comes_twice_is_one_window)
{
    struct window_spec window = spec_of(WINDOW_TUMBLING, HOUR, HOUR, HOUR, 0);
    in_berlin(&window);
    const int64_t first = INT64_C(1729987200000); /* 2:00 CEST */
    const int64_t end = window_slice_end(&window, window_clock_ms(&window, first + 1));
    ck_assert_int_eq(window_slice_end(&window, window_clock_ms(&window, first + HOUR + 1)), end);
    ck_assert_int_eq(window_start_us(&window, end - HOUR) / 1000, first);
    ck_assert_int_eq(window_fire_ms(&window, end), first + 2 * HOUR - 1);
    ck_assert_int_eq(window_fire_ms(&window, end - HOUR), first - 1);
    ck_assert_int_eq(window_fire_ms(&window, end + HOUR), first + 3 * HOUR - 1);
    window_spec_close(&window);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window_spec");
    TCase *test = tcase_create("window_spec");
    tcase_add_test(test, ticks_round_down_also_before_1970);
    tcase_add_test(test, slices_and_windows_agree);
    tcase_add_test(test, times_whose_bounds_cannot_be_written_are_known);
    tcase_add_test(test, a_day_is_a_day_of_the_local_clock);
    tcase_add_test(test, ends_within_a_gap_fire_in_order);
    tcase_add_test(test, an_hour_that_comes_twice_is_one_window);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
