/*
 * Session windows: merging, late rows, early results; and against the plainest reference, which
 * keeps all rows of each session in a list.
 */
#include "tests/kit/operator_kit.h"

#include "common/base/allocate.h"
#include "common/base/random.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT "k STRING, at TIMESTAMP(3), v INT"
#define OUTPUT                                                                                     \
    "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, f INT, top STRING"
#define DAY "1970-01-01 00:00:"

/* Two sessions and a third row between them that touches both; text accumulators move with them. */
START_TEST(a_row_between_two_sessions_makes_them_one)
{
    kit_verify(&(struct kit_case){
        .kind = "session_aggregate",
        .input_schema = INPUT,
        .output_schema = OUTPUT,
        .keys = {"k"},
        .columns = {{"n", "count(*)"},
                    {"f", "first_value(v)"},
                    {"top", "max(cast(v as string) || '-a-text-beyond-inline')"}},
        .settings = {{"window", "session"}, {"window.size_ms", "2000"}, {"time_column", "at"}},
        .compare = KIT_BAG,
        .has_late = true,
        .input =
            "+I[a, " DAY "10.000, 1]\n+I[a, " DAY "14.000, 2]\n+I[b, " DAY "14.000, 9]\n"
            "@11000\n+I[a, " DAY "12.000, 3]\n@13999\n+I[a, " DAY "30.000, 4]\n@15999\n"
            "+I[a, " DAY "15.999, 5]\n+I[a, " DAY "28.000, 6]\n+I[a, " DAY "14.001, 7]\n@max\n",
        .expected = "+I[a, " DAY "10.000, " DAY "16.000, 3, 1, 3-a-text-beyond-inline]\n"
                    "+I[b, " DAY "14.000, " DAY "16.000, 1, 9, 9-a-text-beyond-inline]\n"
                    "+I[a, " DAY "14.001, " DAY "17.999, 2, 5, 7-a-text-beyond-inline]\n"
                    "+I[a, " DAY "28.000, " DAY "32.000, 2, 4, 6-a-text-beyond-inline]\n",
    });
}
END_TEST

START_TEST(by_the_clock_rows_come_when_they_come)
{
    kit_verify(&(struct kit_case){
        .kind = "session_aggregate",
        .input_schema = "k STRING",
        .output_schema = "k STRING, window_start TIMESTAMP_LTZ(3), window_end TIMESTAMP_LTZ(3), n "
                         "BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"}},
        .settings = {{"window", "session"},
                     {"window.size_ms", "2000"},
                     {"window.time", "processing"}},
        .compare = KIT_BAG,
        .has_clock = true,
        .input = "!10000\n+I[a]\n+I[b]\n!11000\n+I[a]\n!12000\n!13000\n+I[c]\n!13001\n@max\n",
        .expected = "+I[b, " DAY "10.000, " DAY "12.000, 1]\n"
                    "+I[a, " DAY "10.000, " DAY "13.000, 2]\n"
                    "+I[c, " DAY "13.000, " DAY "15.000, 1]\n",
    });
}
END_TEST

/* ---- the reference ---- */

#define GAP         1500
#define ROWS_MAX    80
#define SESSION_MAX 80

struct reference_session {
    int key;
    int64_t start;
    int64_t end;
    bool is_fired;
    int values[ROWS_MAX];
    int count;
};

struct reference {
    int64_t lateness;
    bool is_each;
    int64_t watermark;
    struct reference_session sessions[SESSION_MAX];
    int count;
    struct text input;
    struct text expected;
};

static void append_time(struct text *out, int64_t ms)
{
    text_format(out, "1970-01-01 00:%02d:%02d.%03d", (int)(ms / 60000), (int)(ms / 1000 % 60),
                (int)(ms % 1000));
}

static void give(struct reference *reference, const struct reference_session *session)
{
    int64_t total = 0;
    for (int i = 0; i < session->count; i++)
        total += session->values[i];
    text_format(&reference->expected, "+I[k%d, ", session->key);
    append_time(&reference->expected, session->start);
    text_append(&reference->expected, ", ");
    append_time(&reference->expected, session->end);
    text_format(&reference->expected, ", %d, %d, %lld]\n", session->count, session->values[0],
                (long long)total);
}

static bool touches(const struct reference_session *session, int key, int64_t time)
{
    return session->key == key && time <= session->end && time + GAP >= session->start;
}

static void drop(struct reference *reference, int index)
{
    reference->sessions[index] = reference->sessions[--reference->count];
}

static void take_row(struct reference *reference, int64_t time, int key, int value)
{
    struct reference_session merged = {.key = key, .start = time, .end = time + GAP};
    struct text *input = &reference->input;
    text_format(input, "+I[k%d, ", key);
    append_time(input, time);
    text_format(input, ", %d]\n", value);
    for (int i = 0; i < reference->count; i++) {
        if (touches(&reference->sessions[i], key, time) && reference->sessions[i].end > merged.end)
            merged.end = reference->sessions[i].end;
    }
    if (merged.end - 1 + reference->lateness <= reference->watermark) {
        text_format(&reference->expected, "late +I[k%d, ", key);
        append_time(&reference->expected, time);
        text_format(&reference->expected, ", %d]\n", value);
        return;
    }
    for (;;) {
        int first = -1;
        for (int i = 0; i < reference->count; i++) {
            if (touches(&reference->sessions[i], key, time) &&
                (first < 0 || reference->sessions[i].start < reference->sessions[first].start))
                first = i;
        }
        if (first < 0)
            break;
        const struct reference_session *session = &reference->sessions[first];
        merged.start = session->start < merged.start ? session->start : merged.start;
        for (int i = 0; i < session->count; i++)
            merged.values[merged.count++] = session->values[i];
        drop(reference, first);
    }
    merged.values[merged.count++] = value;
    merged.is_fired = merged.end - 1 <= reference->watermark;
    if (merged.is_fired || reference->is_each)
        give(reference, &merged);
    reference->sessions[reference->count++] = merged;
}

static void pass_watermark(struct reference *reference, int64_t watermark)
{
    text_format(&reference->input, "@%lld\n", (long long)watermark);
    reference->watermark = watermark;
    for (int i = 0; i < reference->count; i++) {
        struct reference_session *session = &reference->sessions[i];
        if (session->end - 1 > watermark)
            continue;
        if (!session->is_fired && !reference->is_each)
            give(reference, session);
        session->is_fired = true;
        if (session->end - 1 + reference->lateness <= watermark)
            drop(reference, i--);
    }
}

static void verify(int64_t lateness, bool is_each, uint64_t seed)
{
    static struct reference reference;
    struct random random;
    random_init(&random, seed);
    reference =
        (struct reference){.lateness = lateness, .is_each = is_each, .watermark = INT64_MIN / 2};
    text_init(&reference.input, 1 << 20);
    text_init(&reference.expected, 1 << 20);
    int64_t now = 10000;
    for (int i = 0; i < ROWS_MAX - 1; i++) {
        now += (int64_t)random_below(&random, 900);
        const int64_t watermark = now - (int64_t)random_below(&random, 3000);
        if (random_below(&random, 4) == 0 && watermark > reference.watermark)
            pass_watermark(&reference, watermark);
        else
            take_row(&reference, now - (int64_t)random_below(&random, 7000),
                     (int)random_below(&random, 3), (int)random_below(&random, 100));
    }
    pass_watermark(&reference, 1000000);
    char late[32];
    (void)snprintf(late, sizeof(late), "%lld", (long long)lateness);
    kit_verify(&(struct kit_case){
        .kind = "session_aggregate",
        .input_schema = INPUT,
        .output_schema = "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), n BIGINT, "
                         "f INT, total BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"},
                    {"f", "first_value(v)"},
                    {"total", "sum(cast(v as bigint))"}},
        .settings = {{"window", "session"},
                     {"window.size_ms", "1500"},
                     {"window.lateness_ms", late},
                     {"emit", is_each ? "each" : "final"},
                     {"time_column", "at"}},
        .compare = KIT_BAG,
        .has_late = true,
        .input = reference.input.bytes,
        .expected = reference.expected.bytes,
    });
    text_done(&reference.input);
    text_done(&reference.expected);
}

START_TEST(sessions_are_those_of_the_reference)
{
    static const int64_t lateness[] = {0, 0, 2000, 0};
    verify(lateness[_i % 4], _i % 4 == 3, (uint64_t)_i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sessions");
    TCase *test = tcase_create("sessions");
    tcase_set_timeout(test, 120);
    tcase_add_test(test, a_row_between_two_sessions_makes_them_one);
    tcase_add_test(test, by_the_clock_rows_come_when_they_come);
    tcase_add_loop_test(test, sessions_are_those_of_the_reference, 0, 16);
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
