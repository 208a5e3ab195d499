/* What a task tells: see task_report.h. */
#include "taskmanager/task_report.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <string.h>

#define METRIC_TASKS_MAX 4096

static enum task_status status_of_phase(enum task_phase phase)
{
    switch (phase) {
    case TASK_PHASE_DEPLOYING:
        return TASK_DEPLOYING;
    case TASK_PHASE_INITIALIZING:
        return TASK_INITIALIZING;
    case TASK_PHASE_RUNNING:
        return TASK_RUNNING;
    case TASK_PHASE_FINISHED:
        return TASK_FINISHED;
    case TASK_PHASE_CANCELED:
        return TASK_CANCELED;
    case TASK_PHASE_FAILED:
        return TASK_FAILED;
    }
    UNREACHABLE();
}

static void set_failure(struct task_report *report, const struct error *err)
{
    report->failure.code = err->code;
    report->failure.message = copy_text(err->message);
}

void task_report_init(struct task_report *report, const struct task_event *event)
{
    *report = (struct task_report){.event.attempt = event->attempt};
    struct control_event *to = &report->event;
    switch (event->kind) {
    case TASK_EVENT_PHASE:
        to->kind = CONTROL_EVENT_TASK_STATUS;
        to->task_status.status = status_of_phase(event->phase);
        if (event->phase == TASK_PHASE_FAILED) {
            set_failure(report, event->error);
            report->failure.lost_peer = event->lost_peer;
            if (event->record != NULL)
                report->failure.record = copy_text(event->record);
        }
        return;
    case TASK_EVENT_ACKNOWLEDGE:
        to->kind = CONTROL_EVENT_TASK_ACKNOWLEDGE;
        to->acknowledge.checkpoint = event->id;
        to->acknowledge.state = take_pointer(event->state);
        return;
    case TASK_EVENT_DECLINE:
        to->kind = CONTROL_EVENT_TASK_DECLINE;
        to->decline.checkpoint = event->id;
        report->reason = copy_text(event->reason);
        return;
    case TASK_EVENT_DRAINED:
        to->kind = CONTROL_EVENT_TASK_DRAINED;
        return;
    case TASK_EVENT_WANTS_SPLITS:
        to->kind = CONTROL_EVENT_TASK_WANTS_SPLITS;
        to->wants_splits.operator_index = event->operator_index;
        return;
    case TASK_EVENT_COMMITTED:
        break;
    }
    UNREACHABLE();
}

void task_report_init_failed(struct task_report *report, struct attempt_id attempt,
                             const struct error *err)
{
    *report = (struct task_report){.event.attempt = attempt};
    report->event.kind = CONTROL_EVENT_TASK_STATUS;
    report->event.task_status.status = TASK_FAILED;
    set_failure(report, err);
}

void task_report_done(struct task_report *report)
{
    if (report->event.kind == CONTROL_EVENT_TASK_ACKNOWLEDGE && !report->is_taken) {
        task_state_done(report->event.acknowledge.state);
        free(report->event.acknowledge.state);
    }
    task_failure_done(&report->failure);
    free(report->reason);
}

const struct control_event *task_report_event(struct task_report *report)
{
    if (report->event.kind == CONTROL_EVENT_TASK_STATUS)
        report->event.task_status.failure = &report->failure;
    if (report->event.kind == CONTROL_EVENT_TASK_DECLINE)
        report->event.decline.reason = report->reason;
    return &report->event;
}

static void copy_operators(struct task_metrics *to, const struct task_counters *from)
{
    to->operator_count = from->operator_count < TASK_METRICS_OPERATOR_MAX
                             ? from->operator_count
                             : TASK_METRICS_OPERATOR_MAX;
    memcpy(to->operator_records_in, from->operator_rows_in,
           to->operator_count * sizeof(to->operator_records_in[0]));
    memcpy(to->operator_records_out, from->operator_rows_out,
           to->operator_count * sizeof(to->operator_records_out[0]));
}

void task_report_metrics_done(struct task_metrics *metrics, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(metrics[i].waits_for);
    free(metrics);
}

struct task_metrics *task_report_metrics(struct task_runtime *runtime, size_t *ret_count,
                                         bool *ret_is_aligned)
{
    *ret_is_aligned = false;
    struct task_status_line *lines = allocate_array(METRIC_TASKS_MAX, sizeof(*lines));
    const uint32_t count = task_runtime_read(runtime, lines, METRIC_TASKS_MAX);
    struct task_metrics *metrics = allocate_array(count, sizeof(*metrics));
    for (uint32_t i = 0; i < count; i++) {
        const struct task_counters *counters = &lines[i].counters;
        metrics[i] = (struct task_metrics){
            .job = lines[i].job,
            .attempt = lines[i].attempt,
            .records_in = counters->rows_in,
            .records_out = counters->rows_out,
            .bytes_in = counters->bytes_in,
            .bytes_out = counters->bytes_out,
            .busy_ms = counters->busy_us / 1000,
            .idle_ms = counters->idle_us / 1000,
            .back_pressured_ms = counters->blocked_us / 1000,
            .late_records = counters->late,
            .error_records = counters->errors,
            .state_keys = counters->state_keys,
            .state_bytes = counters->state_bytes,
            .watermark_ms = counters->watermark_ms,
            .records_lag_max = counters->records_lag_max,
            .has_lag = counters->has_lag,
            .is_time_idle = counters->is_time_idle,
            .waits_for = counters->waits_for[0] != '\0' ? copy_text(counters->waits_for) : NULL,
        };
        copy_operators(&metrics[i], counters);
        memcpy(metrics[i].late_buckets, counters->late_buckets, sizeof(metrics[i].late_buckets));
        *ret_is_aligned |= counters->is_time_aligned;
    }
    free(lines);
    *ret_count = count;
    return metrics;
}
