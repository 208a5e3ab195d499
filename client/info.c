/* millstream info: the plan of a job file, or the definition of a submitted job. */
#include "client/command.h"

#include "client/client_config.h"
#include "client/job_text.h"
#include "common/base/allocate.h"
#include "compiler/compile.h"

#include <stdio.h>
#include <string.h>

#define PLAN_BYTES_MAX (16 * 1024 * 1024)

static enum exit_code show_plan(const struct arguments *arguments, const char *path,
                                const struct text *text)
{
    struct config *config = NULL;
    if (client_config_load(arguments, &config) != STATUS_OK)
        return EXIT_USAGE;
    struct job_graph *graph = NULL;
    const enum status status = job_text_compile(arguments, path, text, config, &graph);
    config_destroy(config);
    if (status != STATUS_OK)
        return EXIT_USAGE;
    struct text plan;
    text_init(&plan, PLAN_BYTES_MAX);
    if (arguments->is_json)
        compiler_plan_json(graph, "00000000000000000000000000000000", &plan);
    else
        compiler_explain(graph, &plan);
    printf("%s%s", plan.bytes, plan.size > 0 && plan.bytes[plan.size - 1] == '\n' ? "" : "\n");
    text_done(&plan);
    job_graph_destroy(graph);
    return EXIT_DONE;
}

static const char *text_field(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "-";
}

static void print_definition(const json_t *answer)
{
    printf("# job %s, submitted by %s\n", text_field(answer, "jid"),
           text_field(answer, "submitter"));
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(answer, "parameters"), name, value)
    {
        printf("# --param %s=%s\n", name, json_is_string(value) ? json_string_value(value) : "-");
    }
    printf("%s", text_field(answer, "definition"));
}

static enum exit_code show_definition(const struct arguments *arguments, const char *reference)
{
    struct rest_client *client = command_connect(arguments);
    if (client == NULL)
        return EXIT_USAGE;
    struct error err;
    char id[ID_TEXT_SIZE];
    json_t *answer = NULL;
    enum status status = job_reference_resolve(client, reference, id, &err);
    if (status == STATUS_OK) {
        SCOPED_TEXT char *path = format_text("/jobs/%s/definition", id);
        status = rest_call(client, "GET", path, NULL, "definition", &answer, &err);
    }
    rest_client_destroy(client);
    if (status == STATUS_OK && arguments->is_json) {
        (void)json_dumpf(answer, stdout, JSON_INDENT(2));
        printf("\n");
    } else if (status == STATUS_OK) {
        print_definition(answer);
    }
    json_decref(answer);
    return status == STATUS_OK ? EXIT_DONE : command_fail("info", &err);
}

enum exit_code command_info(const struct arguments *arguments)
{
    if (arguments->positional_count != 1) {
        (void)fprintf(stderr, "usage: millstream info JOB.yaml | info --definition JOB\n");
        return EXIT_USAGE;
    }
    if (arguments->is_definition)
        return show_definition(arguments, arguments->positionals[0]);
    struct text text;
    struct error err;
    if (job_text_read(arguments->positionals[0], &text, &err) != STATUS_OK) {
        (void)fprintf(stderr, "millstream info: %s\n", err.message);
        return EXIT_USAGE;
    }
    const enum exit_code code = show_plan(arguments, arguments->positionals[0], &text);
    text_done(&text);
    return code;
}
