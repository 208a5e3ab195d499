/* Alignment groups: who is told to wait beyond which time. */
#include "jobmanager/core/core_state.h"

#include <check.h>
#include <stdlib.h>

/* Three sources of one subtask each, two of them and the third's second subtask in a group. */
struct fixture {
    struct core core;
    struct job job;
    struct job *jobs[1];
    struct job_graph graph;
    struct operator_spec operators[3];
    struct setting settings[3][3];
    struct job_vertex vertices[3];
    uint32_t operator_of[3];
    struct task tasks[4];
    struct task_manager managers[2];
};

static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void set_up(struct fixture *f)
{
    static const char *const groups[] = {"g", "g", "other"};
    static const char *const drifts[] = {"10s", "20s", "30s"};
    memset(f, 0, sizeof(*f));
    for (uint32_t i = 0; i < 3; i++) {
        f->settings[i][0] = (struct setting){text_of("watermark.align"), text_of(groups[i])};
        f->settings[i][1] = (struct setting){text_of("watermark.column"), text_of("at")};
        f->settings[i][2] = (struct setting){text_of("watermark.max_drift"), text_of(drifts[i])};
        f->operators[i] = (struct operator_spec){
            .kind = text_of("watermark"), .settings = f->settings[i], .setting_count = 3};
        f->operator_of[i] = i;
        f->vertices[i] = (struct job_vertex){.operators = &f->operator_of[i], .operator_count = 1};
    }
    f->graph = (struct job_graph){
        .operators = f->operators, .operator_count = 3, .vertices = f->vertices, .vertex_count = 3};
    for (uint32_t i = 0; i < 4; i++)
        f->tasks[i] = (struct task){.job = &f->job,
                                    .vertex = i < 3 ? i : 1,
                                    .attempt = {i + 1},
                                    .status = TASK_RUNNING,
                                    .task_manager = &f->managers[i % 2],
                                    .metrics.watermark_ms = 1000 * (int64_t)(i + 1)};
    f->job.graph = &f->graph;
    f->job.status = JOB_RUNNING;
    f->job.tasks = f->tasks;
    f->job.task_count = 4;
    f->jobs[0] = &f->job;
    f->core.jobs = f->jobs;
    f->core.job_count = 1;
}

/* "1:11000 3:33000": attempts and limits, for both TaskManagers in turn. */
static void expect(struct fixture *f, const char *expected)
{
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 1000);
    for (uint32_t m = 0; m < 2; m++) {
        struct attempt_list targets = {0};
        alignment_answer(&f->core, &f->managers[m], &targets);
        for (size_t i = 0; i < targets.count; i++)
            text_format(&out, "%s%llu:%lld", out.size > 0 ? " " : "",
                        (unsigned long long)targets.attempts[i].value,
                        (long long)targets.limits_ms[i]);
        free(targets.attempts);
        free(targets.limits_ms);
    }
    ck_assert_str_eq(out.bytes, expected);
}

START_TEST(a_group_waits_for_its_slowest)
{
    struct fixture f;
    set_up(&f);
    expect(&f, "1:11000 3:33000 2:21000 4:21000");
    f.tasks[0].metrics.is_time_idle = true; /* does not count */
    expect(&f, "1:12000 3:33000 2:22000 4:22000");
    f.tasks[1].metrics.watermark_ms = INT64_MIN; /* knows nothing yet: all wait */
    expect(&f, "1:-9223372036854765808 3:33000 2:-9223372036854755808 4:-9223372036854755808");
    f.tasks[1].metrics.watermark_ms = INT64_MAX; /* has ended */
    expect(&f, "1:14000 3:33000 2:24000 4:24000");
    f.tasks[3].status = TASK_FINISHED; /* nobody is left to wait for */
    expect(&f, "1:9223372036854775807 3:33000 2:9223372036854775807");
}
END_TEST

START_TEST(only_aligned_sources_are_told)
{
    struct fixture f;
    set_up(&f);
    f.settings[2][0].key = text_of("watermark.idle");
    f.settings[2][0].value = text_of("1s");
    expect(&f, "1:11000 2:21000 4:21000");
    f.job.status = JOB_CANCELED;
    expect(&f, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("alignment");
    TCase *tests = tcase_create("alignment");
    tcase_add_test(tests, a_group_waits_for_its_slowest);
    tcase_add_test(tests, only_aligned_sources_are_told);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
