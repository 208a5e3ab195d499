/* millstream run: submits a job and follows it. */
#include "client/command.h"

#include "client/client_config.h"
#include "client/job_text.h"
#include "client/local_cluster.h"
#include "client/preview.h"
#include "common/base/allocate.h"
#include "compiler/compile.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ENVIRONMENT_NAMES_MAX 65536
#define STARTING_WAIT_MS      10000
#define STARTING_POLL_MS      20

static json_t *settings_json(const struct setting *settings, uint32_t count)
{
    json_t *json = json_object();
    for (uint32_t i = 0; i < count; i++)
        (void)json_object_set_new(json, settings[i].key, json_string(settings[i].value));
    return json;
}

/* The values of the ${env:NAME} that the text uses; unset ones are left out. */
static json_t *environment_json(const struct text *text)
{
    struct text names;
    text_init(&names, ENVIRONMENT_NAMES_MAX);
    compiler_environment_names(text->bytes, text->size, &names);
    json_t *json = json_object();
    char *save = NULL;
    for (char *name = strtok_r(names.bytes, ",", &save); name != NULL;
         name = strtok_r(NULL, ",", &save)) {
        const char *value = getenv(name);
        if (value != NULL)
            (void)json_object_set_new(json, name, json_string(value));
    }
    text_done(&names);
    return json;
}

static json_t *request_json(const struct arguments *arguments, const struct text *text,
                            const char *job_id)
{
    SCOPED_TEXT char *submitter = job_text_submitter();
    json_t *definition = json_stringn(text->bytes, text->size);
    if (definition == NULL)
        return NULL;
    json_t *json =
        json_pack("{s:s,s:o,s:o,s:o,s:o,s:s}", "jobId", job_id, "definition", definition,
                  "parameters", settings_json(arguments->parameters, arguments->parameter_count),
                  "config", settings_json(arguments->config, arguments->config_count),
                  "environment", environment_json(text), "submitter", submitter);
    if (arguments->parallelism > 0)
        (void)json_object_set_new(json, "parallelism", json_integer(arguments->parallelism));
    if (arguments->savepoint != NULL) {
        char absolute[PATH_MAX];
        const char *path =
            realpath(arguments->savepoint, absolute) != NULL ? absolute : arguments->savepoint;
        (void)json_object_set_new(json, "savepointPath", json_string(path));
    }
    return json;
}

/* The server's list of problems in the form of a compiler's. */
static enum exit_code refuse(const char *path, const json_t *answer, const struct error *err)
{
    const json_t *problems = json_object_get(answer, "problems");
    if (!json_is_array(problems))
        return command_fail("run", err);
    size_t index;
    json_t *problem;
    json_array_foreach(problems, index, problem)
    {
        const json_int_t line = json_integer_value(json_object_get(problem, "line"));
        const char *message = json_string_value(json_object_get(problem, "message"));
        if (line > 0)
            (void)fprintf(stderr, "%s:%lld:%lld: error: %s\n", path, (long long)line,
                          (long long)json_integer_value(json_object_get(problem, "column")),
                          message);
        else
            (void)fprintf(stderr, "%s: error: %s\n", path, message);
    }
    return EXIT_USAGE;
}

static void print_warnings(const char *path, const json_t *answer)
{
    size_t index;
    json_t *warning;
    json_array_foreach(json_object_get(answer, "warnings"), index, warning)
    {
        (void)fprintf(stderr, "%s:%lld:%lld: warning: %s\n", path,
                      (long long)json_integer_value(json_object_get(warning, "line")),
                      (long long)json_integer_value(json_object_get(warning, "column")),
                      json_string_value(json_object_get(warning, "message")));
    }
}

/* A JobManager that is starting takes no job yet, but soon; the job's id is the same each time. */
static enum status post_job(struct rest_client *client, const json_t *request, json_t **ret_answer,
                            struct error *err)
{
    const struct timespec pause = {.tv_nsec = STARTING_POLL_MS * 1000000L};
    for (int waited_ms = 0;; waited_ms += STARTING_POLL_MS) {
        const enum status status =
            rest_call(client, "POST", "/jobs", request, "jobid", ret_answer, err);
        const bool is_starting = status == STATUS_UNAVAILABLE && *ret_answer != NULL;
        if (!is_starting || waited_ms >= STARTING_WAIT_MS)
            return status;
        json_decref(*ret_answer);
        *ret_answer = NULL;
        (void)nanosleep(&pause, NULL);
    }
}

static enum exit_code submit(const struct arguments *arguments, struct rest_client *client,
                             const char *path, const struct text *text)
{
    char job_id[ID_TEXT_SIZE];
    id128_format(id128_random(), job_id);
    json_t *request = request_json(arguments, text, job_id);
    if (request == NULL) {
        (void)fprintf(stderr, "%s: error: the file is no UTF-8 text; is it a job file?\n", path);
        return EXIT_USAGE;
    }
    json_t *answer = NULL;
    struct error err;
    const enum status status = post_job(client, request, &answer, &err);
    json_decref(request);
    enum exit_code code = EXIT_DONE;
    if (status != STATUS_OK) {
        code = refuse(path, answer, &err);
    } else {
        print_warnings(path, answer);
        if (!arguments->is_detached)
            job_follow_begin();
        if (arguments->is_json && arguments->is_detached)
            printf("{\"jobid\":\"%s\"}\n", job_id);
        else if (arguments->is_json)
            (void)fprintf(stderr, "Job has been submitted with JobID %s\n", job_id);
        else
            printf("Job has been submitted with JobID %s\n", job_id);
        (void)fflush(stdout);
        if (!arguments->is_detached)
            code = job_follow(client, job_id, arguments->shuts_down_on_exit, arguments->is_json);
    }
    json_decref(answer);
    return code;
}

enum exit_code command_submit(const struct arguments *arguments)
{
    if (arguments->positional_count != 1) {
        (void)fprintf(stderr, "usage: millstream run [options] JOB.yaml\n");
        return EXIT_USAGE;
    }
    const char *path = arguments->positionals[0];
    struct text text;
    struct error err;
    if (job_text_read(path, &text, &err) != STATUS_OK) {
        (void)fprintf(stderr, "millstream run: %s\n", err.message);
        return EXIT_USAGE;
    }
    enum exit_code code = EXIT_USAGE;
    if (arguments->preview_row_count > 0) {
        code = preview_run(arguments, path, &text);
    } else if (arguments->is_local) {
        code = local_cluster_run(arguments, path, &text);
    } else {
        struct rest_client *client = command_connect(arguments);
        if (client != NULL)
            code = submit(arguments, client, path, &text);
        rest_client_destroy(client);
    }
    text_done(&text);
    return code;
}
