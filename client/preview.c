/*
 * millstream run --local --preview[=ROWS] JOB.yaml: runs the job on the first rows of its sources,
 * without checkpoints, and prints what every node gave. docs/testing.md describes the output.
 */
#include "client/preview.h"

#include "client/client_config.h"
#include "client/job_text.h"
#include "client/local_cluster.h"
#include "client/preview_graph.h"
#include "common/base/allocate.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTING(key, value)                                                                        \
    {                                                                                              \
        (char *)(uintptr_t)(key), (char *)(uintptr_t)(value)                                       \
    }

#define PREVIEW_CONFIG_COUNT 5
#define DIRECTORY_BYTES_MAX  4096
#define OPEN_DIRECTORIES     16

static const char *wrong_option(const struct arguments *arguments)
{
    return !arguments->is_local           ? "--preview runs in this process: add --local"
           : arguments->is_detached       ? "--preview cannot be detached: it prints at its end"
           : arguments->savepoint != NULL ? "--preview starts without a checkpoint"
           : arguments->is_json           ? "--preview has no JSON output"
           : arguments->parallelism > 1   ? "--preview runs every node once: leave out -p"
                                          : NULL;
}

/* Below $TMPDIR, for what the JobManager and the TaskManager write of their own accord. */
static enum status make_directory(char ret_path[static DIRECTORY_BYTES_MAX])
{
    const char *above = getenv("TMPDIR");
    const int size = snprintf(ret_path, DIRECTORY_BYTES_MAX, "%s/millstream-preview-XXXXXX",
                              above != NULL && above[0] != '\0' ? above : "/tmp");
    struct error err;
    if (size < DIRECTORY_BYTES_MAX && mkdtemp(ret_path) != NULL)
        return STATUS_OK;
    const enum status status = error_set_errno(&err, errno, "directory %s", ret_path);
    (void)command_fail("run --preview", &err);
    return status;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    if (remove(path) != 0)
        (void)fprintf(stderr, "millstream run: remove %s: %s\n", path, strerror(errno));
    return 0;
}

static void remove_directory(const char *path)
{
    (void)nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS);
}

static enum status compile(const struct arguments *arguments, const char *path,
                           const struct text *text, const char *directory,
                           struct config **ret_config, struct job_graph **ret_graph)
{
    /* Nothing is kept, so there is nothing to go on from after a failure. */
    const struct setting own[PREVIEW_CONFIG_COUNT] = {
        SETTING("execution.checkpointing.interval", "0"),
        SETTING("state.backend.type", "memory"),
        SETTING("restart-strategy.type", "none"),
        SETTING("process.working-dir", directory),
        SETTING("execution.checkpointing.dir", directory),
    };
    const uint32_t given = arguments->config_count;
    struct setting *config = allocate_array(given + PREVIEW_CONFIG_COUNT, sizeof(*config));
    for (uint32_t i = 0; i < given; i++)
        config[i] = arguments->config[i];
    for (uint32_t i = 0; i < PREVIEW_CONFIG_COUNT; i++)
        config[given + i] = own[i];
    struct arguments changed = *arguments;
    changed.config = config;
    changed.config_count = given + PREVIEW_CONFIG_COUNT;
    enum status status = client_config_load(&changed, ret_config);
    if (status == STATUS_OK) {
        status = job_text_compile(&changed, path, text, *ret_config, ret_graph);
        if (status != STATUS_OK)
            config_destroy(*ret_config);
    }
    free(config);
    return status;
}

/* ---- printing ---- */

static void print_source(const struct preview_feed *feed)
{
    printf("source %s, %" PRIu32 " row%s read", feed->connector, feed->row_count,
           feed->row_count == 1 ? "" : "s");
    switch (feed->end) {
    case PREVIEW_END_OF_INPUT:
        break;
    case PREVIEW_END_LIMIT:
        printf(", stopped at the limit of %" PRIu32, feed->row_max);
        break;
    case PREVIEW_END_SILENCE:
        printf(", then nothing came any more");
        break;
    }
    if (feed->error_count > 0)
        printf("; %" PRIu32 " could not be read", feed->error_count);
}

static const struct preview_feed *find_feed(const struct preview_run *run, const char *node)
{
    for (size_t i = 0; i < run->feed_count; i++) {
        if (strcmp(run->feeds[i].node, node) == 0)
            return &run->feeds[i];
    }
    return NULL;
}

static void print_errors(const struct preview_output *output)
{
    static const char *const policies[] = {
        [ON_ERROR_FAIL] = "each fails the job",
        [ON_ERROR_SKIP] = "the job skips them",
        [ON_ERROR_DEAD_LETTER] = "dead letters",
    };
    printf("\n== %s.errors: %" PRIu64 " record%s (on_error: %s)\n", output->node,
           output->table.total, output->table.total == 1 ? "" : "s", policies[output->on_error]);
    preview_table_print_errors(&output->table, stdout);
}

static void print_output(const struct preview_run *run, const struct preview_output *output)
{
    const struct preview_table *table = &output->table;
    const struct preview_feed *feed = find_feed(run, output->node);
    if (output->kind == PREVIEW_ERRORS || output->kind == PREVIEW_LATE) {
        if (table->total == 0)
            return;
        if (output->kind == PREVIEW_ERRORS) {
            print_errors(output);
            return;
        }
    }
    printf("\n== %s%s: ", output->node, output->kind == PREVIEW_LATE ? ".late" : "");
    if (output->kind == PREVIEW_SINK_ROWS && table->total > 0)
        printf("sink %s, %" PRIu64 " row%s not written", output->connector, table->total,
               table->total == 1 ? "" : "s");
    else if (output->kind == PREVIEW_SINK_ROWS)
        printf("sink %s, it would have written nothing", output->connector);
    else if (feed != NULL)
        print_source(feed);
    else if (table->total > 0)
        printf("%" PRIu64 " row%s", table->total, table->total == 1 ? "" : "s");
    else
        printf("it gave nothing");
    printf("%s\n", feed != NULL && table->total == 0 ? "; it gave nothing" : "");
    preview_table_print(table, stdout);
}

static void print_all(const struct preview_run *run, const struct preview_outputs *outputs)
{
    for (size_t i = 0; i < outputs->count; i++)
        print_output(run, outputs->outputs[i]);
    (void)fflush(stdout);
}

static void run_done(struct preview_run *run)
{
    for (size_t i = 0; i < run->feed_count; i++) {
        free(run->feeds[i].node);
        free(run->feeds[i].connector);
    }
    free(run->feeds);
    free(run->tables);
    (void)pthread_mutex_destroy(&run->mutex);
}

static enum exit_code run_in(const struct arguments *arguments, const char *path,
                             const struct text *text, const char *directory)
{
    struct config *config = NULL;
    struct job_graph *graph = NULL;
    if (compile(arguments, path, text, directory, &config, &graph) != STATUS_OK)
        return EXIT_USAGE;
    allocate_keep_batches();
    struct preview_run run = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct preview_outputs outputs = {0};
    preview_graph_prepare(graph, (uint32_t)arguments->preview_row_count, &run, &outputs);
    const struct connector_registry *connectors = preview_connectors_use(&run);
    const enum exit_code code = local_cluster_follow_graph(arguments, config, connectors, graph);
    print_all(&run, &outputs);
    preview_outputs_done(&outputs);
    run_done(&run);
    return code;
}

enum exit_code preview_run(const struct arguments *arguments, const char *path,
                           const struct text *text)
{
    const char *wrong = wrong_option(arguments);
    char directory[DIRECTORY_BYTES_MAX];
    if (wrong != NULL) {
        (void)fprintf(stderr, "millstream run: %s\n", wrong);
        return EXIT_USAGE;
    }
    if (make_directory(directory) != STATUS_OK)
        return EXIT_REFUSED;
    const enum exit_code code = run_in(arguments, path, text, directory);
    remove_directory(directory);
    return code;
}
