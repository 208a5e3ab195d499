/* Following a job until it ends: see job_follow in command.h. */
#include "client/command.h"

#include "common/base/allocate.h"
#include "common/base/clock.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POLL_MS         100
#define LINE_EVERY_MS   2000
#define CONTACT_LOST_MS 60000

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int signal_number)
{
    (void)signal_number;
    is_interrupted = 1;
}

struct progress {
    bool is_terminal;
    int64_t last_line_ms;
    char last_state[32];
};

static const char *state_of(const json_t *job)
{
    const char *state = json_string_value(json_object_get(job, "state"));
    return state != NULL ? state : "of unknown state";
}

static int64_t field(const json_t *object, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(object, name));
}

/* "RUNNING  lines 12,345 rows/s -> counts ...  checkpoint 7" in one line. */
static void format_line(const json_t *job, struct text *out)
{
    const json_t *extra = json_object_get(job, "millstream");
    text_append(out, state_of(job));
    const char *waiting = json_string_value(json_object_get(extra, "waiting-for"));
    if (waiting != NULL)
        text_format(out, ", waiting: %s", waiting);
    size_t index;
    json_t *node;
    json_array_foreach(json_object_get(extra, "nodes"), index, node)
    {
        const int64_t rows =
            field(node, "records-out") > 0 ? field(node, "records-out") : field(node, "records-in");
        text_format(out, "  %s: %" PRId64 " rows", json_string_value(json_object_get(node, "name")),
                    rows);
    }
    const json_t *completed = json_object_get(json_object_get(extra, "checkpoint"), "completed");
    if (json_is_object(completed))
        text_format(out, "  checkpoint %" PRId64, field(completed, "id"));
    const int64_t restarts = field(extra, "restarts");
    if (restarts > 0)
        text_format(out, "  restarts %" PRId64, restarts);
}

static void show(struct progress *progress, const json_t *job, int64_t now_ms)
{
    const char *state = state_of(job);
    const bool is_new = strcmp(state, progress->last_state) != 0;
    if (!is_new && !progress->is_terminal && now_ms - progress->last_line_ms < LINE_EVERY_MS)
        return;
    struct text line;
    text_init(&line, 2000);
    format_line(job, &line);
    if (progress->is_terminal)
        (void)fprintf(stderr, "\r\x1b[K%.150s", line.bytes);
    else
        (void)fprintf(stderr, "%s\n", line.bytes);
    text_done(&line);
    progress->last_line_ms = now_ms;
    (void)snprintf(progress->last_state, sizeof(progress->last_state), "%s", state);
}

static bool has_ended(const char *state)
{
    return strcmp(state, "FINISHED") == 0 || strcmp(state, "FAILED") == 0 ||
           strcmp(state, "CANCELED") == 0;
}

static enum exit_code report_end(const json_t *job, const char *id, bool is_json)
{
    const char *state = state_of(job);
    const json_t *extra = json_object_get(job, "millstream");
    const json_t *failure = json_object_get(extra, "last-failure");
    if (is_json) {
        printf("{\"jobid\":\"%s\",\"status\":\"%s\",\"duration\":%" PRId64 "}\n", id, state,
               field(job, "duration"));
    } else {
        printf("Job %s has %s after %.1f s.\n", id,
               strcmp(state, "FINISHED") == 0 ? "finished" : state,
               (double)field(job, "duration") / 1000);
    }
    if (strcmp(state, "FAILED") == 0 && json_is_object(failure))
        (void)fprintf(stderr, "%s\n", json_string_value(json_object_get(failure, "message")));
    return strcmp(state, "FINISHED") == 0 ? EXIT_DONE : EXIT_REFUSED;
}

static enum exit_code interrupt(struct rest_client *client, const char *id, bool cancels)
{
    if (!cancels) {
        (void)fprintf(stderr, "\nThe job runs on. To cancel it: millstream cancel %s\n", id);
        return EXIT_INTERRUPTED;
    }
    struct error err;
    json_t *answer = NULL;
    SCOPED_TEXT char *path = format_text("/jobs/%s?mode=cancel", id);
    const enum status status = rest_call(client, "PATCH", path, NULL, NULL, &answer, &err);
    json_decref(answer);
    if (status != STATUS_OK)
        (void)fprintf(stderr, "\ncancel %s: %s\n", id, err.message);
    else
        (void)fprintf(stderr, "\nCancelled job %s.\n", id);
    return EXIT_INTERRUPTED;
}

void job_follow_begin(void)
{
    const struct sigaction action = {.sa_handler = on_interrupt};
    (void)sigaction(SIGINT, &action, NULL);
}

enum exit_code job_follow(struct rest_client *client, const char *job_id, bool cancel_on_interrupt,
                          bool is_json)
{
    const struct clock *clock = clock_system();
    struct progress progress = {.is_terminal = isatty(STDERR_FILENO) == 1};
    SCOPED_TEXT char *path = format_text("/jobs/%s", job_id);
    int64_t contact_ms = clock_now_ms(clock);
    while (is_interrupted == 0) {
        struct error err;
        json_t *job = NULL;
        const enum status status = rest_call(client, "GET", path, NULL, "state", &job, &err);
        const int64_t now_ms = clock_now_ms(clock);
        if (status == STATUS_OK) {
            contact_ms = now_ms;
            show(&progress, job, now_ms);
            if (has_ended(progress.last_state)) {
                if (progress.is_terminal)
                    (void)fprintf(stderr, "\n");
                const enum exit_code code = report_end(job, job_id, is_json);
                json_decref(job);
                return code;
            }
        }
        json_decref(job);
        /* A JobManager that is started again takes the job up: only a long silence is the end. */
        if (status != STATUS_OK &&
            (status != STATUS_UNAVAILABLE || now_ms - contact_ms > CONTACT_LOST_MS))
            return command_fail("follow the job", &err);
        const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return interrupt(client, job_id, cancel_on_interrupt);
}
