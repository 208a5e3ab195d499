/*
 * Aligned windows against the plainest reference: every window keeps its rows in a list. Random
 * rows, watermarks, kinds, emissions and lateness; the kit adds batches, restores and backends.
 */
#include "tests/kit/operator_kit.h"

#include "common/base/allocate.h"
#include "common/base/random.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_COUNT 60

enum shape { TUMBLING, HOPPING, CUMULATING };

struct plan {
    enum shape shape;
    int64_t size;
    int64_t step;
    int64_t offset;
    int64_t lateness;
    const char *emit;
};

struct reference_row {
    int64_t start;
    int64_t end;
    int key;
    int64_t value;
    bool is_gone;
};

struct reference {
    const struct plan *plan;
    struct reference_row *rows; /* one per row and window, by arrival */
    size_t count;
    size_t capacity;
    int64_t watermark;
    struct text input;
    struct text expected;
};

static void append_time(struct text *out, int64_t ms)
{
    /* 1970-01-01 plus or minus some seconds. */
    const int64_t day = 86400000;
    const int64_t of_day = ((ms % day) + day) % day;
    text_format(out, "%s %02d:%02d:%02d.%03d", ms < 0 ? "1969-12-31" : "1970-01-01",
                (int)(of_day / 3600000), (int)(of_day / 60000 % 60), (int)(of_day / 1000 % 60),
                (int)(of_day % 1000));
}

static void append_window(struct reference *reference, const char *kind, int key, int64_t start,
                          int64_t end)
{
    int64_t n = 0;
    int64_t total = 0;
    int64_t low = INT64_MAX;
    for (size_t i = 0; i < reference->count; i++) {
        const struct reference_row *row = &reference->rows[i];
        if (row->is_gone || row->key != key || row->start != start || row->end != end)
            continue;
        n++;
        total += row->value;
        low = row->value < low ? row->value : low;
    }
    text_format(&reference->expected, "%s[k%d, ", kind, key);
    append_time(&reference->expected, start);
    text_append(&reference->expected, ", ");
    append_time(&reference->expected, end);
    text_format(&reference->expected, ", %lld, %lld", (long long)n, (long long)total);
    if (reference->plan->emit[0] != 'c')
        text_format(&reference->expected, ", %lld", (long long)low);
    text_append(&reference->expected, "]\n");
}

static bool is_early(const struct reference *reference)
{
    return strcmp(reference->plan->emit, "each") == 0;
}

/* The windows that hold a time, one after another. */
static bool window_at(const struct plan *plan, int64_t time, int64_t i, int64_t *start,
                      int64_t *end)
{
    const int64_t period = plan->shape == CUMULATING ? plan->size : plan->step;
    int64_t rest = (time - plan->offset) % period;
    rest += rest < 0 ? period : 0;
    const int64_t latest = time - rest;
    if (plan->shape == CUMULATING) {
        *start = latest;
        *end = latest + (i + 1) * plan->step;
        return *end <= latest + plan->size;
    }
    *start = latest - i * plan->step;
    *end = *start + plan->size;
    return *end > time;
}

static void take_row(struct reference *reference, int64_t time, int key, int64_t value)
{
    const struct plan *plan = reference->plan;
    bool is_late = true;
    int64_t start;
    int64_t end;
    text_format(&reference->input, "+I[k%d, ", key);
    append_time(&reference->input, time);
    text_format(&reference->input, ", %lld]\n", (long long)value);
    for (int64_t i = 0; i < 1000 && window_at(plan, time, i, &start, &end); i++) {
        if (end <= time || end - 1 + plan->lateness <= reference->watermark)
            continue;
        is_late = false;
        array_push(reference->rows, reference->count, reference->capacity) =
            (struct reference_row){.start = start, .end = end, .key = key, .value = value};
        const bool has_fired = end - 1 <= reference->watermark;
        if (is_early(reference) || (has_fired && plan->emit[0] == 'f'))
            append_window(reference, "+I", key, start, end);
    }
    if (is_late) {
        text_format(&reference->expected, "late +I[k%d, ", key);
        append_time(&reference->expected, time);
        text_format(&reference->expected, ", %lld]\n", (long long)value);
    }
}

static void pass_watermark(struct reference *reference, int64_t watermark)
{
    text_format(&reference->input, "@%lld\n", (long long)watermark);
    const int64_t lateness = reference->plan->lateness;
    const bool is_changelog = reference->plan->emit[0] == 'c';
    for (size_t i = 0; i < reference->count; i++) {
        struct reference_row *row = &reference->rows[i];
        /* What a changelog leaves is known when no late row can come any more. */
        const int64_t due = row->end - 1 + (is_changelog ? lateness : 0);
        bool is_first = !row->is_gone && due > reference->watermark && due <= watermark;
        for (size_t j = 0; j < i && is_first; j++)
            is_first = reference->rows[j].key != row->key || reference->rows[j].end != row->end ||
                       reference->rows[j].start != row->start || reference->rows[j].is_gone;
        if (is_first && !is_early(reference))
            append_window(reference, "+I", row->key, row->start, row->end);
    }
    for (size_t i = 0; i < reference->count; i++)
        reference->rows[i].is_gone |= reference->rows[i].end - 1 + lateness <= watermark;
    reference->watermark = watermark;
}

static void verify(const struct plan *plan, uint64_t seed)
{
    static const char *const shapes[] = {"tumbling", "hopping", "cumulating"};
    struct random random;
    random_init(&random, seed);
    struct reference reference = {.plan = plan, .watermark = INT64_MIN / 2};
    text_init(&reference.input, 1 << 20);
    text_init(&reference.expected, 1 << 20);
    int64_t now = -20000;
    for (int i = 0; i < EVENT_COUNT; i++) {
        now += (int64_t)random_below(&random, 1500);
        const int64_t watermark = now - (int64_t)random_below(&random, 2000);
        if (random_below(&random, 5) == 0 && watermark > reference.watermark)
            pass_watermark(&reference, watermark);
        else
            take_row(&reference, now - (int64_t)random_below(&random, 9000),
                     (int)random_below(&random, 3), (int64_t)random_below(&random, 100));
    }
    pass_watermark(&reference, 1000000);
    char size[32];
    char step[32];
    char offset[32];
    char lateness[32];
    (void)snprintf(size, sizeof(size), "%lld", (long long)plan->size);
    (void)snprintf(step, sizeof(step), "%lld", (long long)plan->step);
    (void)snprintf(offset, sizeof(offset), "%lld", (long long)plan->offset);
    (void)snprintf(lateness, sizeof(lateness), "%lld", (long long)plan->lateness);
    const bool is_changelog = plan->emit[0] == 'c';
    kit_verify(&(struct kit_case){
        .kind = "window_aggregate",
        .input_schema = "k STRING, at TIMESTAMP(3), v BIGINT",
        .output_schema = is_changelog
                             ? "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), "
                               "n BIGINT, total BIGINT"
                             : "k STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), "
                               "n BIGINT, total BIGINT, low BIGINT",
        .keys = {"k"},
        .columns = {{"n", "count(*)"},
                    {"total", "sum(v)"},
                    {is_changelog ? NULL : "low", is_changelog ? NULL : "min(v)"}},
        .settings = {{"window", shapes[plan->shape]},
                     {"window.size_ms", size},
                     {plan->shape == TUMBLING ? "time_column" : "window.step_ms",
                      plan->shape == TUMBLING ? "at" : step},
                     {"time_column", "at"},
                     {"window.offset_ms", offset},
                     {"window.lateness_ms", lateness},
                     {"emit", plan->emit}},
        .compare = is_changelog ? KIT_MATERIALIZED : KIT_BAG,
        .has_late = true,
        .input = reference.input.bytes,
        .expected = reference.expected.bytes,
    });
    free(reference.rows);
    text_done(&reference.input);
    text_done(&reference.expected);
}

static const struct plan plans[] = {
    {TUMBLING, 4000, 4000, 0, 0, "final"},       {TUMBLING, 3000, 3000, 700, 0, "final"},
    {TUMBLING, 4000, 4000, 0, 3000, "final"},    {TUMBLING, 4000, 4000, 0, 3000, "changelog"},
    {TUMBLING, 4000, 4000, 0, 1000, "each"},     {HOPPING, 5000, 1000, 0, 0, "final"},
    {HOPPING, 5000, 2000, 300, 0, "final"},      {HOPPING, 6000, 2000, 0, 0, "changelog"},
    {HOPPING, 5000, 2000, 300, 2500, "final"},   {HOPPING, 6000, 2000, 0, 2000, "changelog"},
    {HOPPING, 4000, 1000, 0, 0, "each"},         {CUMULATING, 6000, 2000, 0, 0, "final"},
    {CUMULATING, 6000, 1000, 500, 0, "final"},   {CUMULATING, 6000, 2000, 0, 2000, "final"},
    {CUMULATING, 6000, 2000, 0, 0, "changelog"}, {CUMULATING, 6000, 3000, 0, 1000, "each"},
};

START_TEST(windows_are_those_of_the_reference)
{
    for (uint64_t seed = 0; seed < 3; seed++)
        verify(&plans[_i], seed * 100 + (uint64_t)_i);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("windows_random");
    TCase *test = tcase_create("reference");
    tcase_set_timeout(test, 120);
    tcase_add_loop_test(test, windows_are_those_of_the_reference, 0,
                        (int)(sizeof(plans) / sizeof(plans[0])));
    suite_add_tcase(suite, test);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
