/* The command line: see command.h. */
#include "client/command.h"

#include "common/base/allocate.h"
#include "common/base/nearest.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum argument_kind {
    ARGUMENT_FLAG,
    ARGUMENT_TEXT,
    ARGUMENT_NUMBER,
    ARGUMENT_PREVIEW, /* --preview, --preview=ROWS */
    ARGUMENT_PARAMETER,
    ARGUMENT_CONFIG,
    ARGUMENT_OUTPUT,
};

struct argument_spec {
    const char *name;
    const char *alias;
    enum argument_kind kind;
    size_t offset;        /* of the field in struct arguments */
    const char *commands; /* which know it, with spaces around each */
};

#define FIELD(name) offsetof(struct arguments, name)

static const struct argument_spec specs[] = {
    {"--jobmanager", "-m", ARGUMENT_TEXT, FIELD(rest_address), " run list cancel info status "},
    {"--config", NULL, ARGUMENT_TEXT, FIELD(config_file), " run list cancel info status "},
    {"--detached", "-d", ARGUMENT_FLAG, FIELD(is_detached), " run "},
    {"--shutdown-on-exit", "-sae", ARGUMENT_FLAG, FIELD(shuts_down_on_exit), " run "},
    {"--parallelism", "-p", ARGUMENT_NUMBER, FIELD(parallelism), " run info "},
    {"--param", NULL, ARGUMENT_PARAMETER, 0, " run info "},
    {"--from-savepoint", "-s", ARGUMENT_TEXT, FIELD(savepoint), " run "},
    {"--fromSavepoint", NULL, ARGUMENT_TEXT, FIELD(savepoint), " run "},
    {"--local", NULL, ARGUMENT_FLAG, FIELD(is_local), " run "},
    {"--preview", NULL, ARGUMENT_PREVIEW, FIELD(preview_row_count), " run "},
    {"-D", NULL, ARGUMENT_CONFIG, 0, " run list cancel info status "},
    {"--definition", NULL, ARGUMENT_FLAG, FIELD(is_definition), " info "},
    {"--output", NULL, ARGUMENT_OUTPUT, 0, " run list cancel info status "},
    {"--all", "-a", ARGUMENT_FLAG, FIELD(is_all), " list "},
    {"--running", "-r", ARGUMENT_FLAG, FIELD(is_running_only), " list "},
    {"--scheduled", "-s", ARGUMENT_FLAG, FIELD(is_scheduled_only), " list "},
};

#define SPEC_COUNT (sizeof(specs) / sizeof(specs[0]))

static bool is_known_to(const struct argument_spec *spec, const char *command)
{
    const char *found = strstr(spec->commands, command);
    return found != NULL && found[-1] == ' ' && found[strlen(command)] == ' ';
}

static const struct argument_spec *find_spec(const char *command, const char *argument)
{
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (is_known_to(&specs[i], command) &&
            (strcmp(specs[i].name, argument) == 0 ||
             (specs[i].alias != NULL && strcmp(specs[i].alias, argument) == 0)))
            return &specs[i];
    }
    return NULL;
}

static enum status unknown_option(const char *command, const char *argument, struct error *err)
{
    const char *names[SPEC_COUNT];
    size_t count = 0;
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (is_known_to(&specs[i], command))
            names[count++] = specs[i].name;
    }
    const char *near = nearest_name(argument, names, count);
    if (near != NULL)
        return error_set(err, STATUS_INVALID, "%s: unknown option %s: did you mean %s?", command,
                         argument, near);
    return error_set(err, STATUS_INVALID, "%s: unknown option %s; `millstream help` lists them",
                     command, argument);
}

/* Appends "key=value" to a list of settings. */
static enum status add_setting(struct setting **settings, uint32_t *count, const char *option,
                               const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text)
        return error_set(err, STATUS_INVALID, "%s %s: expected name=value", option, text);
    if (*count == ARGUMENT_MAX)
        return error_set(err, STATUS_INVALID, "%s is given more than %d times", option,
                         ARGUMENT_MAX);
    *settings = reallocate_array(*settings, *count + 1, sizeof(**settings));
    (*settings)[(*count)++] = (struct setting){.key = copy_text_n(text, (size_t)(equals - text)),
                                               .value = copy_text(equals + 1)};
    return STATUS_OK;
}

static enum status set_number(const char *option, const char *text, int64_t max,
                              int64_t *ret_number, struct error *err)
{
    char *end = NULL;
    const long long number = strtoll(text, &end, 10);
    if (*text == '\0' || *end != '\0' || number < 1 || number > max)
        return error_set(err, STATUS_INVALID, "%s %s: expected a number from 1 to %lld", option,
                         text, (long long)max);
    *ret_number = number;
    return STATUS_OK;
}

static enum status set_value(struct arguments *arguments, const struct argument_spec *spec,
                             const char *value, struct error *err)
{
    char *field = (char *)arguments + spec->offset;
    switch (spec->kind) {
    case ARGUMENT_FLAG:
        *(bool *)field = true;
        return STATUS_OK;
    case ARGUMENT_TEXT:
        *(const char **)field = value;
        return STATUS_OK;
    case ARGUMENT_NUMBER:
        return set_number(spec->name, value, JOB_PARALLELISM_MAX, (int64_t *)field, err);
    case ARGUMENT_PREVIEW:
        return set_number(spec->name, value, PREVIEW_ROWS_MAX, (int64_t *)field, err);
    case ARGUMENT_PARAMETER:
        return add_setting(&arguments->parameters, &arguments->parameter_count, spec->name, value,
                           err);
    case ARGUMENT_CONFIG:
        return add_setting(&arguments->config, &arguments->config_count, spec->name, value, err);
    case ARGUMENT_OUTPUT:
        if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
            return error_set(err, STATUS_INVALID, "--output %s: expected text or json", value);
        arguments->is_json = strcmp(value, "json") == 0;
        return STATUS_OK;
    }
    return STATUS_OK;
}

/* One option with its value, which may be glued to it: --param=a=b, -Dkey=value, -p2. */
static enum status parse_option(struct arguments *arguments, int argc, char **argv, int *index,
                                struct error *err)
{
    const char *argument = argv[*index];
    const struct argument_spec *spec = find_spec(arguments->command, argument);
    const char *value = NULL;
    if (spec == NULL && strncmp(argument, "--", 2) == 0 && strchr(argument, '=') != NULL) {
        SCOPED_TEXT char *name = copy_text_n(argument, strcspn(argument, "="));
        spec = find_spec(arguments->command, name);
        value = strchr(argument, '=') + 1;
    } else if (spec == NULL && argument[1] != '-' && argument[1] != '\0') {
        const char name[3] = {argument[0], argument[1], '\0'};
        spec = find_spec(arguments->command, name);
        if (spec != NULL && spec->kind == ARGUMENT_FLAG)
            spec = NULL;
        value = argument + 2;
    }
    if (spec == NULL)
        return unknown_option(arguments->command, argument, err);
    if (spec->kind == ARGUMENT_FLAG)
        return set_value(arguments, spec, "", err);
    if (spec->kind == ARGUMENT_PREVIEW && value == NULL)
        value = PREVIEW_ROWS_DEFAULT;
    if (value == NULL) {
        if (*index + 1 >= argc)
            return error_set(err, STATUS_INVALID, "%s: %s needs a value", arguments->command,
                             argument);
        value = argv[++*index];
    }
    return set_value(arguments, spec, value, err);
}

enum status arguments_parse(int argc, char **argv, struct arguments *ret_arguments,
                            struct error *err)
{
    *ret_arguments = (struct arguments){.command = argc > 1 ? argv[1] : "help"};
    const int positional_max =
        (int)(sizeof(ret_arguments->positionals) / sizeof(ret_arguments->positionals[0]));
    for (int i = 2; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            TRY(parse_option(ret_arguments, argc, argv, &i, err));
        } else if (ret_arguments->positional_count == positional_max) {
            return error_set(err, STATUS_INVALID, "%s: one argument too many: %s",
                             ret_arguments->command, argv[i]);
        } else {
            ret_arguments->positionals[ret_arguments->positional_count++] = argv[i];
        }
    }
    return STATUS_OK;
}

static void settings_done(struct setting *settings, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        free(settings[i].key);
        free(settings[i].value);
    }
    free(settings);
}

void arguments_done(struct arguments *arguments)
{
    settings_done(arguments->parameters, arguments->parameter_count);
    settings_done(arguments->config, arguments->config_count);
}
