/* JOB on the command line to a job id: see command.h. */
#include "client/command.h"

#include "common/base/ids.h"
#include "common/base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PREFIX_MIN 4

static bool is_unfinished(const char *state)
{
    return strcmp(state, "FINISHED") != 0 && strcmp(state, "FAILED") != 0 &&
           strcmp(state, "CANCELED") != 0;
}

static bool is_prefix_of_id(const char *reference)
{
    size_t size = 0;
    for (; reference[size] != '\0'; size++) {
        if (!isxdigit((unsigned char)reference[size]))
            return false;
    }
    return size >= PREFIX_MIN && size < ID_TEXT_SIZE;
}

/* Matches by id prefix and by name at once; an id match wins. */
static enum status choose(const json_t *jobs, const char *reference,
                          char ret_id[static ID_TEXT_SIZE], struct error *err)
{
    const bool may_be_id = is_prefix_of_id(reference);
    const char *by_id = NULL;
    const char *by_name = NULL;
    int id_count = 0;
    int name_count = 0;
    size_t index;
    json_t *job;
    json_array_foreach(jobs, index, job)
    {
        const char *id = json_string_value(json_object_get(job, "jid"));
        const char *name = json_string_value(json_object_get(job, "name"));
        const char *state = json_string_value(json_object_get(job, "state"));
        if (id == NULL || name == NULL || state == NULL)
            continue;
        if (may_be_id && strncasecmp(id, reference, strlen(reference)) == 0) {
            by_id = id;
            id_count++;
        }
        if (strcmp(name, reference) == 0 && is_unfinished(state)) {
            by_name = id;
            name_count++;
        }
    }
    if (id_count > 1 || (id_count == 0 && name_count > 1))
        return error_set(err, STATUS_INVALID,
                         "%s stands for %d jobs; give more digits of the id (`millstream list -a`)",
                         reference, id_count > 1 ? id_count : name_count);
    if (id_count == 0 && name_count == 0)
        return error_set(err, STATUS_NOT_FOUND,
                         "no job %s: neither an id, nor a prefix of at least %d digits, nor the "
                         "name of an unfinished job; `millstream list -a` shows all",
                         reference, PREFIX_MIN);
    (void)snprintf(ret_id, ID_TEXT_SIZE, "%s", id_count == 1 ? by_id : by_name);
    return STATUS_OK;
}

enum status job_reference_resolve(struct rest_client *client, const char *reference,
                                  char ret_id[static ID_TEXT_SIZE], struct error *err)
{
    json_t *answer = NULL;
    enum status status = rest_call(client, "GET", "/jobs/overview", NULL, "jobs", &answer, err);
    if (status == STATUS_OK)
        status = choose(json_object_get(answer, "jobs"), reference, ret_id, err);
    json_decref(answer);
    return status;
}
