/*
 * The commands of `millstream`: one file each, one row each in main.c.
 *
 * Results and `--output json` go to stdout, all else to stderr. Exit codes are fixed: scripts use
 * them.
 */
#ifndef CLIENT_COMMAND_H
#define CLIENT_COMMAND_H

#include "client/rest_client.h"
#include "common/base/status.h"
#include "common/graph/job_graph.h"

#include <stdbool.h>
#include <stdint.h>

enum exit_code {
    EXIT_DONE = 0,
    EXIT_REFUSED = 1,     /* job FAILED or CANCELED, or the command was refused */
    EXIT_USAGE = 2,       /* job file or usage */
    EXIT_UNREACHABLE = 3, /* cluster not reachable, or contact lost */
    EXIT_INTERRUPTED = 130,
};

#define ARGUMENT_MAX         1024
#define PREVIEW_ROWS_MAX     10000
#define PREVIEW_ROWS_DEFAULT "20"

/* What the command line says; the same options everywhere, those a command does not know are
 * refused by it. */
struct arguments {
    const char *command;
    const char *positionals[16];
    int positional_count;
    const char *rest_address;   /* -m, --jobmanager; NULL: from the configuration */
    const char *config_file;    /* --config */
    const char *savepoint;      /* -s, --from-savepoint */
    int64_t parallelism;        /* -p; 0: not given */
    bool is_detached;           /* -d */
    bool shuts_down_on_exit;    /* -sae */
    bool is_local;              /* --local */
    int64_t preview_row_count;  /* --preview; 0: none */
    bool is_definition;         /* --definition */
    bool is_json;               /* --output json */
    bool is_all;                /* -a, --all */
    bool is_running_only;       /* -r */
    bool is_scheduled_only;     /* -s of list */
    struct setting *parameters; /* --param name=value; borrowed texts */
    uint32_t parameter_count;
    struct setting *config; /* -D key=value */
    uint32_t config_count;
};

/* Fills what argv says (argv[1] is the command). Texts are copied. */
enum status arguments_parse(int argc, char **argv, struct arguments *ret_arguments,
                            struct error *err) MUST_CHECK;
void arguments_done(struct arguments *arguments);

typedef enum exit_code (*command_run)(const struct arguments *arguments);

enum exit_code command_submit(const struct arguments *arguments); /* run */
enum exit_code command_list(const struct arguments *arguments);
enum exit_code command_cancel(const struct arguments *arguments);
enum exit_code command_info(const struct arguments *arguments);
enum exit_code command_status(const struct arguments *arguments);
enum exit_code command_test(const struct arguments *arguments);
enum exit_code command_schema(const struct arguments *arguments);

/* A client for -m, else for rest.address and rest.port of the configuration. Exits the command with
 * a message on NULL (EXIT_USAGE). */
struct rest_client *command_connect(const struct arguments *arguments);

/* Says what failed on stderr and gives the exit code that belongs to it. */
enum exit_code command_fail(const char *what, const struct error *err);

/* JOB on the command line: an id, a unique prefix of 4 or more digits, or the name of the one
 * unfinished job that has it. */
enum status job_reference_resolve(struct rest_client *client, const char *reference,
                                  char ret_id[static ID_TEXT_SIZE], struct error *err) MUST_CHECK;

/* An interrupt that comes from here on ends job_follow: before whoever waits for the job's id can
 * send one. */
void job_follow_begin(void);
/* Follows a submitted job until it ends: one line on a terminal, lines in a pipe. */
enum exit_code job_follow(struct rest_client *client, const char *job_id, bool cancel_on_interrupt,
                          bool is_json);

#endif
