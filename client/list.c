/* millstream list: the jobs, in Flink's lines. */
#include "client/command.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct section {
    const char *title;
    const char *states; /* with spaces around each */
};

static const struct section sections[] = {
    {"Running/Restarting Jobs", " RUNNING RESTARTING INITIALIZING FAILING CANCELLING "},
    {"Scheduled Jobs", " CREATED "},
    {"Terminated Jobs", " FINISHED CANCELED FAILED SUSPENDED "},
};

static bool is_in(const struct section *section, const char *state)
{
    const char *found = strstr(section->states, state);
    return found != NULL && found[-1] == ' ' && found[strlen(state)] == ' ';
}

static const char *text_field(const json_t *job, const char *name)
{
    const char *text = json_string_value(json_object_get(job, name));
    return text != NULL ? text : "-";
}

static void print_job(const json_t *job)
{
    const time_t start = (time_t)(json_integer_value(json_object_get(job, "start-time")) / 1000);
    struct tm local;
    char when[32] = "";
    if (localtime_r(&start, &local) != NULL)
        (void)strftime(when, sizeof(when), "%d.%m.%Y %H:%M:%S", &local);
    const char *waiting = json_string_value(json_object_get(job, "waiting-for"));
    printf("%s : %s : %s (%s)%s%s\n", when, text_field(job, "jid"), text_field(job, "name"),
           text_field(job, "state"), waiting != NULL ? " waiting: " : "",
           waiting != NULL ? waiting : "");
}

static void print_section(const struct section *section, const json_t *jobs)
{
    printf("------------------ %s -------------------\n", section->title);
    size_t index;
    json_t *job;
    size_t count = 0;
    json_array_foreach(jobs, index, job)
    {
        const char *state = json_string_value(json_object_get(job, "state"));
        if (state != NULL && is_in(section, state)) {
            print_job(job);
            count++;
        }
    }
    if (count == 0)
        printf("No %s.\n", section->title);
    printf("--------------------------------------------------------------\n");
}

enum exit_code command_list(const struct arguments *arguments)
{
    struct rest_client *client = command_connect(arguments);
    if (client == NULL)
        return EXIT_USAGE;
    struct error err;
    json_t *answer = NULL;
    if (rest_call(client, "GET", "/jobs/overview", NULL, "jobs", &answer, &err) != STATUS_OK) {
        json_decref(answer);
        rest_client_destroy(client);
        return command_fail("list", &err);
    }
    const json_t *jobs = json_object_get(answer, "jobs");
    if (arguments->is_json) {
        (void)json_dumpf(jobs, stdout, JSON_INDENT(2));
        printf("\n");
    } else {
        const bool shows_all = arguments->is_all;
        const bool shows_one = arguments->is_running_only || arguments->is_scheduled_only;
        if (shows_all || !shows_one || arguments->is_running_only)
            print_section(&sections[0], jobs);
        if (shows_all || !shows_one || arguments->is_scheduled_only)
            print_section(&sections[1], jobs);
        if (shows_all)
            print_section(&sections[2], jobs);
    }
    json_decref(answer);
    rest_client_destroy(client);
    return EXIT_DONE;
}
