/* REST: submitting a job's text. The text is compiled here; the core gets the graph. */
#include "jobmanager/rest/handlers.h"
#include "jobmanager/rest/probe.h"

#include "common/base/allocate.h"
#include "common/base/log.h"
#include "compiler/compile.h"

#include <string.h>

#define SUBMIT_SETTINGS_MAX 1000

/* The body: {"jobId", "definition", "parameters": {}, "environment": {}, "config": {},
 * "parallelism", "submitter", "savepointPath"}; all but the first two may be absent. */
struct submission {
    struct job_id job;
    const char *definition;
    size_t definition_size;
    struct setting *parameters; /* borrowed texts */
    uint32_t parameter_count;
    struct setting *config; /* borrowed texts */
    uint32_t config_count;
    const json_t *environment;
    uint32_t parallelism;
    const char *submitter;
    const char *savepoint;
};

static const char *const known_fields[] = {"jobId",  "definition",  "parameters", "environment",
                                           "config", "parallelism", "submitter",  "savepointPath"};

static enum status check_fields(const json_t *body, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++)
            is_known = is_known || strcmp(key, known_fields[i]) == 0;
        if (!is_known)
            return error_set(err, STATUS_INVALID, "unknown field \"%.64s\" in the request", key);
    }
    return STATUS_OK;
}

/* {"name": "value"} as settings that borrow the texts. */
static enum status read_settings(const json_t *object, const char *field, struct setting **ret,
                                 uint32_t *ret_count, struct error *err)
{
    if (object == NULL)
        return STATUS_OK;
    if (!json_is_object(object) || json_object_size(object) > SUBMIT_SETTINGS_MAX)
        return error_set(err, STATUS_INVALID, "\"%s\" must be an object of at most %d texts", field,
                         SUBMIT_SETTINGS_MAX);
    struct setting *settings = allocate_array(json_object_size(object), sizeof(*settings));
    uint32_t count = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (!json_is_string(value)) {
            free(settings);
            return error_set(err, STATUS_INVALID, "\"%s\": \"%.64s\" must be a text", field, key);
        }
        settings[count++] = (struct setting){.key = (char *)(uintptr_t)key,
                                             .value = (char *)(uintptr_t)json_string_value(value)};
    }
    *ret = settings;
    *ret_count = count;
    return STATUS_OK;
}

/* NULL if it is absent. */
static enum status read_text(const json_t *body, const char *field, const char **ret_text,
                             struct error *err)
{
    const json_t *value = json_object_get(body, field);
    if (value != NULL && !json_is_string(value))
        return error_set(err, STATUS_INVALID, "\"%s\" must be a text", field);
    *ret_text = json_string_value(value);
    return STATUS_OK;
}

static enum status read_submission(const json_t *body, struct submission *submission,
                                   struct error *err)
{
    if (!json_is_object(body))
        return error_set(err, STATUS_INVALID, "the request must be a JSON object");
    TRY(check_fields(body, err));
    const char *id = json_string_value(json_object_get(body, "jobId"));
    if (id == NULL)
        return error_set(err, STATUS_INVALID,
                         "\"jobId\" is missing: 32 hex digits that the client chooses");
    TRY(id128_parse(id, &submission->job.value, err));
    const json_t *definition = json_object_get(body, "definition");
    if (!json_is_string(definition))
        return error_set(err, STATUS_INVALID, "\"definition\" is missing: the job's text");
    submission->definition = json_string_value(definition);
    submission->definition_size = json_string_length(definition);
    const json_t *wanted = json_object_get(body, "parallelism");
    const json_int_t parallelism = json_integer_value(wanted);
    if ((wanted != NULL && !json_is_integer(wanted)) || parallelism < 0 ||
        parallelism > JOB_PARALLELISM_MAX)
        return error_set(err, STATUS_INVALID, "\"parallelism\" must be a number from 1 to %d",
                         JOB_PARALLELISM_MAX);
    submission->parallelism = (uint32_t)parallelism;
    submission->environment = json_object_get(body, "environment");
    if (submission->environment != NULL && !json_is_object(submission->environment))
        return error_set(err, STATUS_INVALID, "\"environment\" must be an object of texts");
    TRY(read_text(body, "submitter", &submission->submitter, err));
    TRY(read_text(body, "savepointPath", &submission->savepoint, err));
    TRY(read_settings(json_object_get(body, "parameters"), "parameters", &submission->parameters,
                      &submission->parameter_count, err));
    return read_settings(json_object_get(body, "config"), "config", &submission->config,
                         &submission->config_count, err);
}

static const char *get_env(void *context, const char *name)
{
    return json_string_value(json_object_get(context, name));
}

static enum status compile(const struct rest *rest, const struct submission *submission,
                           struct job_graph **ret_graph, struct compile_report *report)
{
    const struct compile_options options = {
        .registry = rest->service.connectors,
        .parameters = submission->parameters,
        .parameter_count = submission->parameter_count,
        .overrides = submission->config,
        .override_count = submission->config_count,
        .parallelism = submission->parallelism,
        .cluster_config = rest->service.config,
        .get_env = get_env,
        .env_context = (void *)(uintptr_t)submission->environment,
        .wall_ms = wall_now_ms(),
        .submitter = submission->submitter,
    };
    return compile_job(submission->definition, submission->definition_size, &options, ret_graph,
                       report);
}

/* {"errors": ["12:5: ..."], "problems": [{"line", "column", "message", "warning"}]} */
static json_t *problems_json(const struct compile_report *report, bool want_warnings)
{
    json_t *problems = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct compile_problem *problem = &report->problems[i];
        if (problem->is_warning == want_warnings)
            (void)json_array_append_new(
                problems, json_pack("{s:I,s:I,s:s}", "line", (json_int_t)problem->line, "column",
                                    (json_int_t)problem->column, "message", problem->message));
    }
    return problems;
}

static void respond_problems(struct http_response *response, const struct compile_report *report)
{
    json_t *errors = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct compile_problem *problem = &report->problems[i];
        if (problem->is_warning)
            continue;
        (void)json_array_append_new(errors, problem->line > 0
                                                ? json_sprintf("%u:%u: %s", problem->line,
                                                               problem->column, problem->message)
                                                : json_string(problem->message));
    }
    respond_json(response, json_pack("{s:o,s:o}", "errors", errors, "problems",
                                     problems_json(report, false)));
    response->status = 400;
}

static void submit_graph(struct rest *rest, const struct submission *submission,
                         struct job_graph *graph, const struct compile_report *report,
                         struct http_response *response)
{
    char id[ID_TEXT_SIZE];
    id128_format(submission->job.value, id);
    SCOPED_TEXT char *name = copy_text(graph->name);
    struct error err;
    const enum status status = rest->service.submit(rest->service.context, submission->job, graph,
                                                    submission->savepoint, &err);
    if (status != STATUS_OK) {
        http_response_error(response,
                            status == STATUS_EXISTS        ? 409
                            : status == STATUS_UNAVAILABLE ? 503
                            : status == STATUS_IO          ? 500
                                                           : 400,
                            "%s", err.message);
        return;
    }
    respond_json(response, json_pack("{s:s,s:s,s:o}", "jobid", id, "name", name, "warnings",
                                     problems_json(report, true)));
    response->status = 202;
}

void handle_job_submit(void *context, const struct http_request *request,
                       struct http_response *response)
{
    struct rest *rest = context;
    json_error_t where;
    json_t *body = json_loadb(request->body, request->body_size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &where);
    if (body == NULL) {
        http_response_error(response, 400, "the request is no JSON: line %d: %s", where.line,
                            where.text);
        return;
    }
    struct submission submission = {0};
    struct error err;
    if (read_submission(body, &submission, &err) != STATUS_OK) {
        http_response_error(response, 400, "%s", err.message);
    } else {
        struct compile_report report = {0};
        struct job_graph *graph = NULL;
        if (compile(rest, &submission, &graph, &report) == STATUS_OK) {
            const struct secret_places secrets = {
                .directory = config_text(rest->service.config, CONFIG_SECRETS_DIR)};
            probe_connectors(rest->service.connectors, &secrets, graph, &report);
            submit_graph(rest, &submission, graph, &report, response);
        } else {
            respond_problems(response, &report);
        }
        compile_report_done(&report);
    }
    free(submission.parameters);
    free(submission.config);
    json_decref(body);
}
