/* millstream: the table of commands. */
#include "client/command.h"
#include "client/kafka.h"

#include "common/base/log.h"
#include "common/base/nearest.h"
#include "compiler/compile.h"
#include "connectors/registry.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SCHEMA_BYTES_MAX (16 * 1024 * 1024)

static const struct {
    const char *name;
    command_run run;
    const char *usage;
    const char *help;
} commands[] = {
    {"run", command_submit,
     "run [-m HOST:PORT] [-d] [-sae] [-p N] [--param NAME=VALUE]... [-D KEY=VALUE]... [-s "
     "CHECKPOINT] [--local [--preview[=ROWS]]] JOB.yaml",
     "submit a job and follow it; -d: do not wait; --local: in this process, without a cluster;\n"
     "      --preview: read at most ROWS (20) rows of each source, write nothing, commit nothing "
     "and\n"
     "      show what each node makes of them"},
    {"list", command_list, "list [-m HOST:PORT] [-a] [-r] [-s]",
     "jobs; -a: finished ones too; -r: running; -s: scheduled"},
    {"status", command_status, "status [-m HOST:PORT] [JOB]",
     "one screen about a job, or about the cluster"},
    {"cancel", command_cancel, "cancel [-m HOST:PORT] JOB", "cancel a job"},
    {"info", command_info, "info [-p N] [--param NAME=VALUE]... JOB.yaml | info --definition JOB",
     "the plan of a job file; or text and parameters of a submitted job"},
    {"test", command_test, "test [--param NAME=VALUE]... FILE.test.yaml...",
     "run jobs on rows written in a file, and compare what their sinks get"},
    {"schema", command_schema, "schema job", "the JSON schema of job files, for editors"},
    {"kafka", NULL, "kafka topics|produce|consume --brokers HOST:PORT ...",
     "topics of a Kafka cluster and their records; `millstream kafka help`"},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

enum exit_code command_schema(const struct arguments *arguments)
{
    if (arguments->positional_count != 1 || strcmp(arguments->positionals[0], "job") != 0) {
        (void)fprintf(stderr, "usage: millstream schema job\n");
        return EXIT_USAGE;
    }
    struct text schema;
    text_init(&schema, SCHEMA_BYTES_MAX);
    compiler_write_schema(connector_registry_builtin(), &schema);
    (void)fwrite(schema.bytes, 1, schema.size, stdout);
    text_done(&schema);
    return EXIT_DONE;
}

static void print_help(FILE *out)
{
    (void)fprintf(out, "millstream %s\n\n", MILLSTREAM_VERSION);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        (void)fprintf(out, "  millstream %s\n      %s\n", commands[i].usage, commands[i].help);
    (void)fprintf(out,
                  "\n  JOB is an id, a prefix of it of 4 or more digits, or the name of the one\n"
                  "  unfinished job that has it. --output json: results as JSON on stdout.\n"
                  "  Exit codes: 0 done, 1 job failed or canceled or command refused, 2 job file\n"
                  "  or usage, 3 cluster not reachable, 130 interrupted.\n");
}

static enum exit_code unknown_command(const char *name)
{
    const char *names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = commands[i].name;
    const char *near = nearest_name(name, names, COMMAND_COUNT);
    (void)fprintf(stderr, "millstream: unknown command %s%s%s; `millstream help` lists them\n",
                  name, near != NULL ? ": did you mean " : "", near != NULL ? near : "");
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN);
    /* What a local run has to say goes through its report; the rest is for a daemon's log. */
    log_configure("client", LOG_ERROR, LOG_FORMAT_TEXT);
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? EXIT_DONE : EXIT_USAGE;
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("millstream %s\n", MILLSTREAM_VERSION);
        return EXIT_DONE;
    }
    if (strcmp(name, "kafka") == 0)
        return (int)command_kafka(argc, argv); /* its options are its own */
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        struct arguments arguments;
        struct error err;
        enum exit_code code = EXIT_USAGE;
        if (arguments_parse(argc, argv, &arguments, &err) == STATUS_OK)
            code = commands[i].run(&arguments);
        else
            (void)fprintf(stderr, "millstream %s\nusage: millstream %s\n", err.message,
                          commands[i].usage);
        arguments_done(&arguments);
        return (int)code;
    }
    return (int)unknown_command(name);
}
