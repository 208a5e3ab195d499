/* Event time of a source: what splits do, step by step, and what goes out. Times in seconds. */
#include "taskmanager/task/source_driver.h"
#include "taskmanager/task/task_time.h"

#include <check.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define SPLITS    4

struct fixture {
    struct source_time time;
    enum split_status status[SPLITS];
    int64_t now_us;
    bool is_held;
    struct watermark_change change; /* of the last pass */
};

static enum split_status status_of(const void *reader, uint32_t split)
{
    return ((const struct fixture *)reader)->status[split];
}

static void set_up(struct fixture *fixture, int64_t delay_ms, int64_t idle_s, int64_t restored_ms)
{
    const struct source_time_options options = {
        .delay_ms = delay_ms, .idle_us = idle_s * SECOND_US, .interval_us = 200000};
    *fixture = (struct fixture){.now_us = 5 * SECOND_US};
    source_time_init(&fixture->time, &options, restored_ms, fixture->now_us);
}

static void pass(struct fixture *fixture, int64_t after_us)
{
    const struct source_time_view view = {fixture, status_of};
    fixture->now_us += after_us;
    fixture->change =
        source_time_pass(&fixture->time, fixture->now_us, fixture->is_held ? after_us : 0, &view);
}

/* As a task would: whenever a pass is needed, until so much time has gone by. */
static void let_pass(struct fixture *fixture, int64_t seconds)
{
    const int64_t end_us = fixture->now_us + seconds * SECOND_US;
    struct watermark_change all = {0};
    while (fixture->now_us < end_us) {
        int64_t next_us = source_time_wake_us(&fixture->time);
        next_us = next_us > end_us ? end_us : next_us;
        ck_assert_int_gt(next_us, fixture->now_us - 1);
        pass(fixture, next_us > fixture->now_us ? next_us - fixture->now_us : 1);
        all.has_advanced |= fixture->change.has_advanced;
        all.went_idle |= fixture->change.went_idle;
        all.went_active |= fixture->change.went_active;
    }
    fixture->change = all;
}

START_TEST(the_watermark_is_behind_by_delay_and_a_millisecond)
{
    struct fixture f;
    set_up(&f, 2000, 30, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    pass(&f, 0);
    ck_assert(!f.change.has_advanced);
    source_time_on_rows(&f.time, 0, 10000);
    pass(&f, 200000);
    ck_assert(f.change.has_advanced);
    ck_assert_int_eq(f.time.sent_ms, 7999);
    /* Out of order: not back. The largest there is and the smallest: no overflow. */
    source_time_on_rows(&f.time, 0, 9000);
    pass(&f, 200000);
    ck_assert(!f.change.has_advanced);
    source_time_on_rows(&f.time, 0, INT64_MIN);
    source_time_on_rows(&f.time, 0, INT64_MAX);
    pass(&f, 200000);
    ck_assert(f.time.sent_ms == INT64_MAX - 2001);
    source_time_on_rows(&f.time, 77, 1); /* no such split */
    source_time_done(&f.time);
}
END_TEST

START_TEST(it_goes_out_once_per_interval)
{
    struct fixture f;
    set_up(&f, 0, 30, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    source_time_on_rows(&f.time, 0, 101);
    pass(&f, 0);
    ck_assert(f.change.has_advanced);
    unsigned sent = 0;
    for (int i = 0; i < 1000; i++) { /* a second of batches */
        source_time_on_rows(&f.time, 0, 102 + i);
        pass(&f, 1000);
        sent += f.change.has_advanced;
    }
    ck_assert_uint_eq(sent, 5);
    /* The last rows are not forgotten, though nothing follows. */
    source_time_on_rows(&f.time, 0, 5001);
    ck_assert_int_le(source_time_wake_us(&f.time), f.now_us + 200000);
    let_pass(&f, 1);
    ck_assert(f.change.has_advanced);
    ck_assert_int_eq(f.time.sent_ms, 5000);
    source_time_done(&f.time);
}
END_TEST

START_TEST(the_slowest_active_split_counts)
{
    struct fixture f;
    set_up(&f, 0, 30, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    source_time_add_split(&f.time, "b", WATERMARK_NONE, false);
    source_time_on_rows(&f.time, 0, 1001);
    let_pass(&f, 1);
    ck_assert(!f.change.has_advanced); /* nothing is known of b */
    source_time_on_rows(&f.time, 1, 501);
    let_pass(&f, 1);
    ck_assert_int_eq(f.time.sent_ms, 500);
    /* A new split holds time where it is; a finished one lets it go. */
    source_time_add_split(&f.time, "c", WATERMARK_NONE, false);
    source_time_on_rows(&f.time, 1, 901);
    let_pass(&f, 1);
    ck_assert_int_eq(f.time.sent_ms, 500);
    f.status[2] = SPLIT_FINISHED;
    f.status[1] = SPLIT_FINISHED;
    let_pass(&f, 1);
    ck_assert_int_eq(f.time.sent_ms, 1000);
    /* All finished: time stays where it is, and the end of the source is told by others. */
    f.status[0] = SPLIT_FINISHED;
    let_pass(&f, 100);
    ck_assert(!f.change.has_advanced && !f.change.went_idle);
    ck_assert(source_time_wake_us(&f.time) == INT64_MAX);
    source_time_done(&f.time);
}
END_TEST

START_TEST(an_empty_split_at_its_end_becomes_idle)
{
    struct fixture f;
    set_up(&f, 0, 30, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    source_time_add_split(&f.time, "empty", WATERMARK_NONE, false);
    f.status[1] = SPLIT_AT_END;
    source_time_on_rows(&f.time, 0, 1001);
    let_pass(&f, 29);
    ck_assert(!f.change.has_advanced);
    let_pass(&f, 2);
    ck_assert(f.change.has_advanced && !f.change.went_idle);
    ck_assert_int_eq(f.time.sent_ms, 1000);
    /* Its first rows make it count at once, before they are due; time does not go back. */
    source_time_on_rows(&f.time, 1, 101);
    ck_assert(source_time_is_due(&f.time, f.now_us));
    source_time_on_rows(&f.time, 0, 2001);
    let_pass(&f, 1);
    ck_assert(!f.change.has_advanced);
    ck_assert_int_eq(f.time.sent_ms, 1000);
    source_time_done(&f.time);
}
END_TEST

START_TEST(unread_input_ends_idleness_before_it_is_read)
{
    struct fixture f;
    set_up(&f, 0, 10, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", 500, false);
    f.status[0] = SPLIT_AT_END;
    let_pass(&f, 11);
    ck_assert(f.change.went_idle);
    ck_assert_int_eq(f.time.sent_ms, 500);
    ck_assert(source_time_wake_us(&f.time) == INT64_MAX); /* no work while idle */
    f.status[0] = SPLIT_HAS_MORE;
    pass(&f, 1000);
    ck_assert(f.change.went_active);
    source_time_done(&f.time);
}
END_TEST

/* What is no idleness: rows cannot be taken, the split is paused, nobody answers, the whole process
 * stood still, there is unread input. */
START_TEST(silence_alone_is_not_idleness)
{
    struct fixture f;
    set_up(&f, 0, 30, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", 500, false);
    f.status[0] = SPLIT_AT_END;
    let_pass(&f, 5);
    switch (_i) {
    case 0:
        f.is_held = true;
        break;
    case 1:
        f.time.splits[0].is_paused = true;
        break;
    case 2:
        f.status[0] = SPLIT_UNREACHABLE;
        break;
    case 3:
        f.status[0] = SPLIT_HAS_MORE;
        break;
    default:
        break;
    }
    if (_i < 4)
        let_pass(&f, 3600);
    else
        pass(&f, 3600 * SECOND_US);
    ck_assert(!f.change.went_idle);
    /* The clock goes on where it stood (from its beginning where there was something unread). */
    f.is_held = false;
    f.time.splits[0].is_paused = false;
    f.status[0] = SPLIT_AT_END;
    let_pass(&f, _i == 3 ? 29 : 23);
    ck_assert(!f.change.went_idle);
    let_pass(&f, 4);
    ck_assert(f.change.went_idle);
    source_time_done(&f.time);
}
END_TEST

/* A task that is under pressure most of the time still learns that a split is empty. */
START_TEST(pressure_slows_the_clock_by_what_it_takes)
{
    struct fixture f;
    set_up(&f, 0, 30, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    f.status[0] = SPLIT_AT_END;
    const struct source_time_view view = {&f, status_of};
    int64_t idle_after_us = 0;
    for (int64_t i = 0; i < 2000 && idle_after_us == 0; i++) {
        f.now_us += 200000;
        if (source_time_pass(&f.time, f.now_us, 150000, &view).went_idle)
            idle_after_us = i * 200000;
    }
    ck_assert_int_eq(idle_after_us, 120 * SECOND_US);
    source_time_done(&f.time);
}
END_TEST

START_TEST(a_clock_that_goes_back_counts_nothing)
{
    struct fixture f;
    set_up(&f, 0, 10, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    f.status[0] = SPLIT_AT_END;
    pass(&f, 0);
    pass(&f, -3600 * SECOND_US);
    ck_assert_int_eq(f.time.splits[0].quiet_us, 0);
    let_pass(&f, 9);
    ck_assert(!f.change.went_idle);
    let_pass(&f, 2);
    ck_assert(f.change.went_idle);
    source_time_done(&f.time);
}
END_TEST

START_TEST(the_order_of_falling_silent_does_not_matter)
{
    struct fixture f;
    set_up(&f, 0, 10, WATERMARK_NONE);
    source_time_add_split(&f.time, "fast", WATERMARK_NONE, false);
    source_time_add_split(&f.time, "slow", WATERMARK_NONE, false);
    source_time_on_rows(&f.time, 0, 1001);
    source_time_on_rows(&f.time, 1, 501);
    f.status[_i] = SPLIT_AT_END;
    let_pass(&f, 5);
    f.status[1 - _i] = SPLIT_AT_END;
    let_pass(&f, 12);
    ck_assert(f.change.went_idle);
    ck_assert_int_eq(f.time.sent_ms, 1000);
    source_time_done(&f.time);
}
END_TEST

START_TEST(idle_zero_is_never)
{
    struct fixture f;
    set_up(&f, 0, 0, WATERMARK_NONE);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    f.status[0] = SPLIT_AT_END;
    let_pass(&f, 100000);
    ck_assert(!f.change.went_idle);
    source_time_done(&f.time);
}
END_TEST

START_TEST(without_splits)
{
    struct fixture f;
    set_up(&f, 0, 10, WATERMARK_NONE);
    let_pass(&f, 1000);
    ck_assert(!f.change.went_idle); /* nobody has said that there is none */
    source_time_no_split(&f.time);
    pass(&f, 1000);
    ck_assert(f.change.went_idle);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    pass(&f, 1000);
    ck_assert(f.change.went_active);
    /* All read, and no other: as a split at its end. */
    source_time_on_rows(&f.time, 0, 1001);
    f.status[0] = SPLIT_FINISHED;
    let_pass(&f, 100);
    ck_assert(f.change.has_advanced);
    ck_assert(!f.change.went_idle);
    source_time_no_split(&f.time);
    let_pass(&f, 9);
    ck_assert(!f.change.went_idle);
    let_pass(&f, 2);
    ck_assert(f.change.went_idle);
    ck_assert_int_eq(f.time.sent_ms, 1000);
    source_time_done(&f.time);
}
END_TEST

START_TEST(restored_time_never_goes_back)
{
    struct fixture f;
    set_up(&f, 0, 30, 700);
    source_time_add_split(&f.time, "a", 1000, false);
    source_time_add_split(&f.time, "b", 700, true);
    f.status[0] = SPLIT_AT_END;
    f.status[1] = SPLIT_UNREACHABLE; /* nothing is known yet */
    pass(&f, 0);
    ck_assert(f.change.has_advanced); /* those behind learn it again */
    ck_assert_int_eq(f.time.sent_ms, 700);
    source_time_on_rows(&f.time, 0, 601); /* read again */
    let_pass(&f, 20);
    ck_assert(!f.change.has_advanced);
    ck_assert_int_eq(f.time.splits[0].watermark_ms, 1000);
    /* It was idle: so it is when its end is confirmed. */
    f.status[1] = SPLIT_AT_END;
    pass(&f, SECOND_US);
    ck_assert(f.change.has_advanced && !f.change.went_idle);
    ck_assert_int_eq(f.time.sent_ms, 1000);
    source_time_done(&f.time);
}
END_TEST

START_TEST(those_ahead_of_the_limit_pause)
{
    struct fixture f;
    const struct source_time_options options = {
        .idle_us = 30 * SECOND_US, .interval_us = 200000, .max_drift_ms = 1000};
    set_up(&f, 0, 30, WATERMARK_NONE);
    source_time_init(&f.time, &options, WATERMARK_NONE, f.now_us);
    source_time_add_split(&f.time, "a", WATERMARK_NONE, false);
    source_time_add_split(&f.time, "b", WATERMARK_NONE, false);
    pass(&f, 0);
    ck_assert(!source_time_must_pause(&f.time, 0)); /* it has nothing to wait with yet */
    source_time_on_rows(&f.time, 0, 1501);
    ck_assert(source_time_is_due(&f.time, f.now_us));
    ck_assert(source_time_must_pause(&f.time, 0)); /* nothing is known of the others */
    source_time_on_rows(&f.time, 1, 401);
    source_time_set_limit(&f.time, 5000);
    pass(&f, 1); /* within the task at once */
    ck_assert(source_time_must_pause(&f.time, 0));
    ck_assert(!source_time_must_pause(&f.time, 1));
    source_time_on_rows(&f.time, 1, 501);
    pass(&f, 1);
    ck_assert(!source_time_must_pause(&f.time, 0));
    source_time_set_limit(&f.time, 450); /* what the group says */
    ck_assert(source_time_is_due(&f.time, f.now_us));
    ck_assert(source_time_must_pause(&f.time, 0));
    ck_assert(source_time_must_pause(&f.time, 1));
    source_time_set_limit(&f.time, WATERMARK_MAX);
    f.status[1] = SPLIT_FINISHED;
    pass(&f, 1);
    ck_assert(!source_time_must_pause(&f.time, 0));
    source_time_done(&f.time);
}
END_TEST

/* ---- entries in snapshots ---- */

static const uint8_t time_entry[TASK_TIME_BYTES] = {1, 0, 2, 0, 0, 0, 4, 0, 0,
                                                    0, 8, 7, 6, 5, 4, 3, 2, 1};

START_TEST(the_least_counts_after_a_rescale)
{
    uint8_t other[TASK_TIME_BYTES];
    memcpy(other, time_entry, sizeof(other));
    other[2] = 3;
    other[10] = 7;
    struct operator_state_entry entries[] = {
        {.name = "splits", .bytes = "x", .size = 1},
        {.name = TASK_TIME_ENTRY, .bytes = (char *)(uintptr_t)time_entry, .size = TASK_TIME_BYTES},
        {.name = TASK_TIME_ENTRY, .bytes = (char *)other, .size = TASK_TIME_BYTES},
    };
    struct operator_state state = {.uid = "a/source", .entries = entries, .entry_count = 3};
    int64_t watermark_ms = 0;
    struct error err;
    ck_assert_int_eq(task_time_restored(&state, 2, 4, &watermark_ms, &err), STATUS_OK);
    ck_assert_int_eq(watermark_ms, INT64_C(0x0102030405060708));
    ck_assert_int_eq(task_time_restored(&state, 2, 8, &watermark_ms, &err), STATUS_OK);
    ck_assert_int_eq(watermark_ms, INT64_C(0x0102030405060707));
    state.entry_count = 1;
    ck_assert_int_eq(task_time_restored(&state, 2, 4, &watermark_ms, &err), STATUS_OK);
    ck_assert(watermark_ms == WATERMARK_NONE);
    state.entry_count = 3;
    other[0] = 9;
    ck_assert_int_eq(task_time_restored(&state, 0, 1, &watermark_ms, &err), STATUS_CORRUPT);
}
END_TEST

/* ---- splits ---- */

static struct split_list given; /* what the reader was given last */

static enum status take_splits(void *self, const struct split_list *splits, struct error *err)
{
    (void)self;
    (void)err;
    for (size_t i = 0; i < splits->count; i++)
        split_list_add(&given, splits->splits[i].id, splits->splits[i].state,
                       splits->splits[i].state_size);
    return STATUS_OK;
}

static enum status give_splits(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)self;
    (void)err;
    for (size_t i = 0; i < given.count; i++)
        split_list_add(ret_splits, given.splits[i].id, given.splits[i].state,
                       given.splits[i].state_size);
    return STATUS_OK;
}

static const struct source_connector twin = {
    .reader = {.add_splits = take_splits, .snapshot = give_splits}};

struct kept_entry {
    struct snapshot_writer writer;
    uint8_t bytes[100];
    size_t size;
};

static void keep_entry(struct snapshot_writer *writer, const char *name,
                       enum operator_state_kind kind, const void *bytes, size_t size)
{
    struct kept_entry *kept = (struct kept_entry *)writer;
    ck_assert_str_eq(name, SOURCE_SPLITS_ENTRY);
    ck_assert_int_eq(kind, OPERATOR_STATE_LIST);
    ck_assert_uint_le(size, sizeof(kept->bytes));
    memcpy(kept->bytes, bytes, size);
    kept->size = size;
}

/* Both versions of an entry, and that what is written is the second. */
START_TEST(a_split_keeps_its_watermark)
{
    static const uint8_t first[] = {1, 2, 0, 0, 0, 'i', 'd', 9};
    static const uint8_t second[] = {2, 2, 0, 0, 0, 0xE8, 3, 0, 0, 0, 0, 0, 0, 1, 'i', 'd', 9};
    struct fixture f;
    set_up(&f, 0, 30, WATERMARK_NONE);
    struct source_driver driver = {.connector = &twin, .time = f.time};
    const struct snapshot_entry entry = {SOURCE_SPLITS_ENTRY, _i == 0 ? first : second,
                                         _i == 0 ? sizeof(first) : sizeof(second)};
    const struct snapshot_reader reader = {&entry, 1};
    struct error err;
    given = (struct split_list){0};
    ck_assert_int_eq(source_driver_ops.restore(&driver, &reader, &err), STATUS_OK);
    ck_assert_uint_eq(given.count, 1);
    ck_assert_str_eq(given.splits[0].id, "id");
    ck_assert_uint_eq(given.splits[0].state_size, 1);
    const struct split_time *split = source_time_find(&driver.time, "id");
    ck_assert_ptr_nonnull(split);
    ck_assert(split->watermark_ms == (_i == 0 ? WATERMARK_NONE : 1000));
    driver.time.splits[0].watermark_ms = 1000;
    driver.time.splits[0].activity = SPLIT_IDLE;
    struct kept_entry kept = {.writer = {.put = keep_entry}};
    ck_assert_int_eq(
        source_driver_ops.snapshot(&driver, (struct checkpoint_id){1}, &kept.writer, &err),
        STATUS_OK);
    ck_assert_uint_eq(kept.size, sizeof(second));
    ck_assert_mem_eq(kept.bytes, second, sizeof(second));
    for (size_t size = 0; size < 16; size++) { /* cut short */
        const struct snapshot_entry cut = {SOURCE_SPLITS_ENTRY, second, size};
        const struct snapshot_reader part = {&cut, 1};
        ck_assert_int_eq(source_driver_ops.restore(&driver, &part, &err), STATUS_CORRUPT);
    }
    split_list_done(&given);
    source_time_done(&driver.time);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("source time");
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, the_watermark_is_behind_by_delay_and_a_millisecond);
    tcase_add_test(rules, it_goes_out_once_per_interval);
    tcase_add_test(rules, the_slowest_active_split_counts);
    tcase_add_test(rules, an_empty_split_at_its_end_becomes_idle);
    tcase_add_test(rules, unread_input_ends_idleness_before_it_is_read);
    tcase_add_loop_test(rules, silence_alone_is_not_idleness, 0, 5);
    tcase_add_test(rules, pressure_slows_the_clock_by_what_it_takes);
    tcase_add_test(rules, a_clock_that_goes_back_counts_nothing);
    tcase_add_loop_test(rules, the_order_of_falling_silent_does_not_matter, 0, 2);
    tcase_add_test(rules, idle_zero_is_never);
    tcase_add_test(rules, without_splits);
    tcase_add_test(rules, restored_time_never_goes_back);
    tcase_add_test(rules, those_ahead_of_the_limit_pause);
    tcase_add_test(rules, the_least_counts_after_a_rescale);
    tcase_add_loop_test(rules, a_split_keeps_its_watermark, 0, 2);
    suite_add_tcase(suite, rules);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
