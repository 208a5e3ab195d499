/* millstream status [JOB]: one screen about a job, or about the cluster. */
#include "client/command.h"

#include "common/base/allocate.h"
#include "common/base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int64_t field(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

static const char *text_field(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "-";
}

static void print_age(const char *before, int64_t age_ms, const char *after)
{
    if (age_ms < 120000)
        printf("%s%.1f s%s", before, (double)age_ms / 1000, after);
    else if (age_ms < 2 * 3600000)
        printf("%s%" PRId64 " min%s", before, age_ms / 60000, after);
    else
        printf("%s%" PRId64 " h%s", before, age_ms / 3600000, after);
}

static void format_bytes(int64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        unit++;
    }
    (void)snprintf(out, size, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void print_nodes(const json_t *nodes)
{
    printf("  %-24s %4s %14s %11s %14s %11s %9s %11s %10s\n", "node", "par", "rows in", "rows/s",
           "rows out", "rows/s", "skipped", "state keys", "state");
    size_t index;
    json_t *node;
    json_array_foreach(nodes, index, node)
    {
        char bytes[24];
        format_bytes(field(node, "state-bytes"), bytes, sizeof(bytes));
        printf("  %-24.24s %4" PRId64 " %14" PRId64 " %11" PRId64 " %14" PRId64 " %11" PRId64
               " %9" PRId64 " %11" PRId64 " %10s\n",
               text_field(node, "name"), field(node, "parallelism"), field(node, "records-in"),
               field(node, "records-in-per-second"), field(node, "records-out"),
               field(node, "records-out-per-second"), field(node, "errors-skipped"),
               field(node, "state-keys"), bytes);
    }
}

/* How far sources are behind that know it. */
static void print_lag(const json_t *nodes)
{
    size_t index;
    json_t *node;
    json_array_foreach(nodes, index, node)
    {
        if (json_object_get(node, "records-lag-max") != NULL)
            printf("  lag         %-24.24s %" PRId64 " records at most in one split\n",
                   text_field(node, "name"), field(node, "records-lag-max"));
    }
}

/* Rows that came after all their windows had fired. */
static void print_late(const json_t *nodes)
{
    size_t index;
    json_t *node;
    json_array_foreach(nodes, index, node)
    {
        if (field(node, "late-dropped") > 0)
            printf("  late        %-24.24s %" PRId64 " rows\n", text_field(node, "name"),
                   field(node, "late-dropped"));
    }
}

/* Where event time is in each node, for jobs that have it. */
static void print_event_time(const json_t *nodes, int64_t now_ms)
{
    size_t index;
    json_t *node;
    json_array_foreach(nodes, index, node)
    {
        const json_t *watermark = json_object_get(node, "watermark");
        if (watermark == NULL)
            return;
        printf("  %-12s%-24.24s ", index == 0 ? "event time" : "", text_field(node, "name"));
        const int64_t watermark_ms = field(node, "watermark");
        if (json_is_null(watermark))
            printf("not known yet");
        else if (watermark_ms == INT64_MAX)
            printf("has ended");
        else if (watermark_ms > now_ms)
            print_age("", watermark_ms - now_ms, " ahead");
        else
            print_age("", now_ms - watermark_ms, " behind");
        printf("%s\n", json_is_true(json_object_get(node, "watermark-idle")) ? ", idle" : "");
    }
}

static void print_checkpoints(const json_t *checkpoint, int64_t now_ms)
{
    const json_t *completed = json_object_get(checkpoint, "completed");
    const json_t *failed = json_object_get(checkpoint, "failed");
    if (json_is_object(completed)) {
        char size[24];
        char uploaded[24];
        format_bytes(field(completed, "state-size"), size, sizeof(size));
        format_bytes(field(completed, "uploaded-bytes"), uploaded, sizeof(uploaded));
        printf("  checkpoint %" PRId64, field(completed, "id"));
        print_age(" completed ", now_ms - field(completed, "timestamp"), " ago");
        printf(" in %" PRId64 " ms, %s, %s of it new\n", field(completed, "duration"), size,
               uploaded);
        printf("    %s\n", text_field(completed, "path"));
    } else if (json_is_true(json_object_get(checkpoint, "enabled"))) {
        printf("  no checkpoint completed yet\n");
    } else {
        printf("  checkpoints are off (execution.checkpointing.interval)\n");
    }
    if (json_is_object(failed)) {
        printf("  checkpoint %" PRId64, field(failed, "id"));
        print_age(" failed ", now_ms - field(failed, "timestamp"), " ago: ");
        printf("%s\n", text_field(failed, "reason"));
    }
}

static void print_job(const json_t *job)
{
    const json_t *extra = json_object_get(job, "millstream");
    const int64_t now_ms = field(job, "now");
    printf("Job %s (%s)\n  %s", text_field(job, "name"), text_field(job, "jid"),
           text_field(job, "state"));
    print_age(" for ", now_ms - field(extra, "state-since"), "");
    printf(", %" PRId64 " restarts\n", field(extra, "restarts"));
    if (json_is_string(json_object_get(extra, "waiting-for")))
        printf("  waiting: %s\n", text_field(extra, "waiting-for"));
    print_nodes(json_object_get(extra, "nodes"));
    print_lag(json_object_get(extra, "nodes"));
    print_late(json_object_get(extra, "nodes"));
    print_event_time(json_object_get(extra, "nodes"), now_ms);
    print_checkpoints(json_object_get(extra, "checkpoint"), now_ms);
    const json_t *failure = json_object_get(extra, "last-failure");
    if (json_is_object(failure)) {
        print_age("  last failure ", now_ms - field(failure, "timestamp"), " ago: ");
        printf("%s\n", text_field(failure, "message"));
    }
}

static void print_cluster(const json_t *overview, const json_t *managers, const json_t *jobs)
{
    printf("%" PRId64 " TaskManagers, %" PRId64 " slots, %" PRId64 " free\n",
           field(overview, "taskmanagers"), field(overview, "slots-total"),
           field(overview, "slots-available"));
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(managers, "taskmanagers"), index, entry)
    {
        printf("  %-40s %3" PRId64 " slots, %3" PRId64 " free, last heartbeat %.1f s ago\n",
               text_field(entry, "id"), field(entry, "slotsNumber"), field(entry, "freeSlots"),
               (double)(field(managers, "now") - field(entry, "timeSinceLastHeartbeat")) / 1000);
    }
    printf("%" PRId64 " jobs running, %" PRId64 " finished, %" PRId64 " canceled, %" PRId64
           " failed\n",
           field(overview, "jobs-running"), field(overview, "jobs-finished"),
           field(overview, "jobs-cancelled"), field(overview, "jobs-failed"));
    json_array_foreach(json_object_get(jobs, "jobs"), index, entry)
    {
        const char *waiting = json_string_value(json_object_get(entry, "waiting-for"));
        printf("  %s  %-11s %s%s%s\n", text_field(entry, "jid"), text_field(entry, "state"),
               text_field(entry, "name"), waiting != NULL ? ", waiting: " : "",
               waiting != NULL ? waiting : "");
    }
}

static enum status show_job(struct rest_client *client, const char *reference, bool is_json,
                            struct error *err)
{
    char id[ID_TEXT_SIZE];
    TRY(job_reference_resolve(client, reference, id, err));
    SCOPED_TEXT char *path = format_text("/jobs/%s", id);
    json_t *job = NULL;
    const enum status status = rest_call(client, "GET", path, NULL, "millstream", &job, err);
    if (status == STATUS_OK && is_json) {
        (void)json_dumpf(job, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (status == STATUS_OK) {
        print_job(job);
    }
    json_decref(job);
    return status;
}

static enum status show_cluster(struct rest_client *client, bool is_json, struct error *err)
{
    json_t *overview = NULL;
    json_t *managers = NULL;
    json_t *jobs = NULL;
    enum status status =
        rest_call(client, "GET", "/overview", NULL, "taskmanagers", &overview, err);
    if (status == STATUS_OK)
        status = rest_call(client, "GET", "/taskmanagers", NULL, "taskmanagers", &managers, err);
    if (status == STATUS_OK)
        status = rest_call(client, "GET", "/jobs/overview", NULL, "jobs", &jobs, err);
    if (status == STATUS_OK && is_json) {
        json_t *all = json_pack("{s:O,s:O,s:O}", "overview", overview, "taskmanagers",
                                json_object_get(managers, "taskmanagers"), "jobs",
                                json_object_get(jobs, "jobs"));
        (void)json_dumpf(all, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(all);
    } else if (status == STATUS_OK) {
        print_cluster(overview, managers, jobs);
    }
    json_decref(overview);
    json_decref(managers);
    json_decref(jobs);
    return status;
}

enum exit_code command_status(const struct arguments *arguments)
{
    if (arguments->positional_count > 1) {
        (void)fprintf(stderr, "usage: millstream status [JOB]\n");
        return EXIT_USAGE;
    }
    struct rest_client *client = command_connect(arguments);
    if (client == NULL)
        return EXIT_USAGE;
    struct error err;
    const enum status status =
        arguments->positional_count == 1
            ? show_job(client, arguments->positionals[0], arguments->is_json, &err)
            : show_cluster(client, arguments->is_json, &err);
    rest_client_destroy(client);
    return status == STATUS_OK ? EXIT_DONE : command_fail("status", &err);
}
