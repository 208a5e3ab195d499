/* millstream cancel JOB. */
#include "client/command.h"

#include "common/base/allocate.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define CANCEL_WAIT_MS 60000
#define CANCEL_POLL_MS 50

/* Waits until the job has ended: a script may start the next one right behind us. */
static enum status wait_for_end(struct rest_client *client, const char *id, char *ret_state,
                                size_t state_size, struct error *err)
{
    SCOPED_TEXT char *path = format_text("/jobs/%s/status", id);
    for (int waited_ms = 0; waited_ms < CANCEL_WAIT_MS; waited_ms += CANCEL_POLL_MS) {
        json_t *answer = NULL;
        const enum status status = rest_call(client, "GET", path, NULL, "status", &answer, err);
        const char *state = json_string_value(json_object_get(answer, "status"));
        (void)snprintf(ret_state, state_size, "%s", state != NULL ? state : "");
        json_decref(answer);
        if (status != STATUS_OK)
            return status;
        if (strcmp(ret_state, "CANCELED") == 0 || strcmp(ret_state, "FAILED") == 0 ||
            strcmp(ret_state, "FINISHED") == 0)
            return STATUS_OK;
        const struct timespec pause = {.tv_nsec = CANCEL_POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return error_set(err, STATUS_TIMEOUT, "job %s is still %s after %d s; `millstream status %s`",
                     id, ret_state, CANCEL_WAIT_MS / 1000, id);
}

static enum status cancel(struct rest_client *client, const char *reference,
                          char ret_id[static ID_TEXT_SIZE], char *ret_state, size_t state_size,
                          struct error *err)
{
    TRY(job_reference_resolve(client, reference, ret_id, err));
    SCOPED_TEXT char *path = format_text("/jobs/%s?mode=cancel", ret_id);
    json_t *answer = NULL;
    const enum status status = rest_call(client, "PATCH", path, NULL, NULL, &answer, err);
    json_decref(answer);
    TRY(status);
    return wait_for_end(client, ret_id, ret_state, state_size, err);
}

enum exit_code command_cancel(const struct arguments *arguments)
{
    if (arguments->positional_count != 1) {
        (void)fprintf(stderr, "usage: millstream cancel JOB\n");
        return EXIT_USAGE;
    }
    struct rest_client *client = command_connect(arguments);
    if (client == NULL)
        return EXIT_USAGE;
    struct error err;
    char id[ID_TEXT_SIZE];
    char state[32];
    const enum status status =
        cancel(client, arguments->positionals[0], id, state, sizeof(state), &err);
    rest_client_destroy(client);
    if (status != STATUS_OK)
        return command_fail("cancel", &err);
    if (arguments->is_json)
        printf("{\"jobid\":\"%s\",\"status\":\"%s\"}\n", id, state);
    else if (strcmp(state, "CANCELED") == 0)
        printf("Cancelled job %s.\n", id);
    else
        printf("Job %s had already ended: %s.\n", id, state);
    return EXIT_DONE;
}
