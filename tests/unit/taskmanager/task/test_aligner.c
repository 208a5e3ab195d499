/* Barrier alignment and watermarks: tables of events and what follows. */
#include "taskmanager/task/aligner.h"
#include "taskmanager/task/watermarks.h"

#include <check.h>

enum action { BARRIER, END, ABORT, PASS };

struct row {
    enum action action;
    uint32_t channel;
    uint64_t id;
    enum align align;    /* expected */
    uint64_t aborted;    /* expected: displaced checkpoint, or 1 for a released alignment */
    const char *blocked; /* expected after it: one letter a channel, b or . */
};

static void run_table(uint32_t channels, uint64_t floor, const struct row *rows, size_t count)
{
    struct aligner aligner;
    aligner_init(&aligner, channels, (struct checkpoint_id){floor});
    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        const struct barrier barrier = {.id = {row->id}};
        struct checkpoint_id aborted = {0};
        enum align align = ALIGN_NOTHING;
        switch (row->action) {
        case BARRIER:
            align = aligner_on_barrier(&aligner, row->channel, &barrier, 0, &aborted);
            break;
        case END:
            align = aligner_on_end(&aligner, row->channel);
            break;
        case ABORT:
            aborted.value = aligner_on_abort(&aligner, barrier.id) ? 1 : 0;
            break;
        case PASS:
            aligner_pass(&aligner, barrier.id);
            break;
        }
        ck_assert_msg(align == row->align, "row %zu: align %d", i, (int)align);
        ck_assert_msg(aborted.value == row->aborted, "row %zu: aborted", i);
        if (align == ALIGN_COMPLETE)
            ck_assert_uint_eq(aligner.barrier.id.value, row->id);
        for (uint32_t j = 0; j < channels; j++)
            ck_assert_msg(aligner_is_blocked(&aligner, j) == (row->blocked[j] == 'b'),
                          "row %zu channel %u", i, j);
    }
    aligner_done(&aligner);
}

#define RUN(channels, floor, ...)                                                                  \
    do {                                                                                           \
        const struct row rows[] = {__VA_ARGS__};                                                   \
        run_table(channels, floor, rows, sizeof(rows) / sizeof(rows[0]));                          \
    } while (0)

START_TEST(aligns_all_channels)
{
    RUN(3, 0, {BARRIER, 0, 1, ALIGN_NOTHING, 0, "b.."}, {BARRIER, 2, 1, ALIGN_NOTHING, 0, "b.b"},
        {BARRIER, 1, 1, ALIGN_COMPLETE, 0, "..."}, {BARRIER, 1, 1, ALIGN_NOTHING, 0, "..."},
        {BARRIER, 1, 2, ALIGN_NOTHING, 0, ".b."});
}
END_TEST

START_TEST(single_input_completes_at_once)
{
    RUN(1, 0, {BARRIER, 0, 5, ALIGN_COMPLETE, 0, "."}, {BARRIER, 0, 4, ALIGN_NOTHING, 0, "."},
        {BARRIER, 0, 6, ALIGN_COMPLETE, 0, "."});
}
END_TEST

START_TEST(ended_channels_count_as_delivered)
{
    RUN(2, 0, {END, 0, 0, ALIGN_NOTHING, 0, ".."}, {BARRIER, 1, 1, ALIGN_COMPLETE, 0, ".."});
    RUN(2, 0, {BARRIER, 0, 1, ALIGN_NOTHING, 0, "b."}, {END, 1, 1, ALIGN_COMPLETE, 0, ".."},
        {BARRIER, 0, 2, ALIGN_COMPLETE, 0, ".."});
    RUN(3, 0, {END, 2, 0, ALIGN_NOTHING, 0, "..."}, {BARRIER, 0, 1, ALIGN_NOTHING, 0, "b.b"},
        {BARRIER, 1, 1, ALIGN_COMPLETE, 0, "..."});
}
END_TEST

START_TEST(later_barrier_aborts_earlier)
{
    RUN(2, 0, {BARRIER, 0, 1, ALIGN_NOTHING, 0, "b."}, {BARRIER, 1, 2, ALIGN_NOTHING, 1, ".b"},
        {BARRIER, 0, 1, ALIGN_NOTHING, 0, ".b"}, {BARRIER, 0, 2, ALIGN_COMPLETE, 0, ".."});
}
END_TEST

START_TEST(abort_releases_and_may_come_first)
{
    RUN(2, 0, {BARRIER, 0, 1, ALIGN_NOTHING, 0, "b."}, {ABORT, 0, 1, ALIGN_NOTHING, 1, ".."},
        {BARRIER, 1, 1, ALIGN_NOTHING, 0, ".."}, {ABORT, 0, 2, ALIGN_NOTHING, 0, ".."},
        {BARRIER, 0, 2, ALIGN_NOTHING, 0, ".."}, {BARRIER, 0, 3, ALIGN_NOTHING, 0, "b."},
        {ABORT, 0, 2, ALIGN_NOTHING, 0, "b."}, {BARRIER, 1, 3, ALIGN_COMPLETE, 0, ".."});
}
END_TEST

START_TEST(floor_and_pass)
{
    RUN(1, 10, {BARRIER, 0, 9, ALIGN_NOTHING, 0, "."}, {BARRIER, 0, 10, ALIGN_COMPLETE, 0, "."});
    RUN(2, 0, {BARRIER, 0, 3, ALIGN_NOTHING, 0, "b."}, {PASS, 0, 3, ALIGN_NOTHING, 0, ".."},
        {BARRIER, 1, 3, ALIGN_NOTHING, 0, ".."});
}
END_TEST

START_TEST(watermark_is_the_minimum_of_active_channels)
{
    struct watermarks marks;
    watermarks_init(&marks, 2, WATERMARK_NONE);
    ck_assert(!watermarks_on_time(&marks, 0, 10).has_advanced);
    ck_assert(watermarks_on_time(&marks, 1, 5).has_advanced);
    ck_assert_int_eq(marks.combined_ms, 5);
    ck_assert(!watermarks_on_time(&marks, 1, 4).has_advanced);
    struct watermark_change change = watermarks_on_state(&marks, 1, CHANNEL_IDLE);
    ck_assert(change.has_advanced && !change.went_idle);
    ck_assert_int_eq(marks.combined_ms, 10);
    change = watermarks_on_state(&marks, 0, CHANNEL_IDLE);
    ck_assert(change.went_idle && !change.has_advanced);
    change = watermarks_on_state(&marks, 1, CHANNEL_ACTIVE);
    ck_assert(change.went_active && !change.has_advanced); /* never back to 5 */
    ck_assert_int_eq(marks.combined_ms, 10);
    change = watermarks_on_state(&marks, 0, CHANNEL_FINISHED);
    ck_assert(!change.has_advanced);
    ck_assert(watermarks_on_time(&marks, 1, 20).has_advanced);
    (void)watermarks_on_time(&marks, 1, WATERMARK_MAX);
    change = watermarks_on_state(&marks, 1, CHANNEL_FINISHED);
    ck_assert(!change.went_idle);
    ck_assert(marks.combined_ms == WATERMARK_MAX);
    watermarks_done(&marks);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("aligner");
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, aligns_all_channels);
    tcase_add_test(rules, single_input_completes_at_once);
    tcase_add_test(rules, ended_channels_count_as_delivered);
    tcase_add_test(rules, later_barrier_aborts_earlier);
    tcase_add_test(rules, abort_releases_and_may_come_first);
    tcase_add_test(rules, floor_and_pass);
    tcase_add_test(rules, watermark_is_the_minimum_of_active_channels);
    suite_add_tcase(suite, rules);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
