/*
 * millstream test FILE.test.yaml...: runs a job on rows written in the file and compares what its
 * sinks get, three times: straight; at parallelism 2 with checkpoints in between; at parallelism 2
 * with a failure half-way, resumed from a checkpoint. docs/testing.md describes the file.
 */
#include "client/client_config.h"
#include "client/graph_endpoint.h"
#include "client/job_text.h"
#include "client/local_cluster.h"
#include "client/test_connectors.h"
#include "client/test_rows.h"
#include "common/base/allocate.h"
#include "common/base/nearest.h"
#include "compiler/compile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_TIMEOUT_MS 60000
#define DIFF_LINES_MAX 40
#define DEFAULTS_MAX   8
#define PATH_BYTES_MAX 4096
#define PARAMETERS_MAX 256

struct job_test {
    const struct arguments *arguments;
    const char *path; /* of the test file */
    struct yaml_document *document;
    char job_path[PATH_BYTES_MAX];
    struct text job_text;
    struct setting parameters[PARAMETERS_MAX];
    uint32_t parameter_count;
    struct test_script scripts[TEST_NODE_MAX];
    size_t script_count;
    struct test_output outputs[TEST_NODE_MAX]; /* sinks named in `expect` */
    const struct yaml_node *expected[TEST_NODE_MAX];
    size_t output_count;
    uint32_t problem_count;
};

struct way {
    const char *name;
    int64_t parallelism;
    bool has_checkpoints;
    bool must_fail;
    struct setting settings[DEFAULTS_MAX];
    uint32_t setting_count;
};

#define SETTING(key, value)                                                                        \
    {                                                                                              \
        (char *)(uintptr_t)(key), (char *)(uintptr_t)(value)                                       \
    }
#define COMMON                                                                                     \
    SETTING("pipeline.auto-watermark-interval", "0"), SETTING("state.backend.type", "memory")

static const struct way ways[] = {
    {"straight", 1, false, false, {COMMON, SETTING("execution.checkpointing.interval", "0")}, 3},
    {"at parallelism 2 with checkpoints",
     2,
     true,
     false,
     {COMMON, SETTING("execution.checkpointing.interval", "10ms")},
     3},
    {"at parallelism 2, failed and resumed",
     2,
     true,
     true,
     {COMMON, SETTING("execution.checkpointing.interval", "10ms"),
      SETTING("restart-strategy.type", "fixed-delay"),
      SETTING("restart-strategy.fixed-delay.delay", "1ms"),
      SETTING("restart-strategy.fixed-delay.attempts", "3")},
     6},
};

/* ---- the file ---- */

static void on_problem(void *context, uint32_t line, uint32_t column, const char *message)
{
    struct job_test *test = context;
    (void)fprintf(stderr, "%s:%u:%u: error: %s\n", test->path, line, column, message);
    test->problem_count++;
}

static void read_parameters(struct job_test *test, const struct yaml_node *map)
{
    for (uint32_t i = 0; map != NULL && i < map->count; i++) {
        if (map->kind != YAML_MAP || map->entries[i].value->kind != YAML_SCALAR ||
            test->parameter_count == PARAMETERS_MAX) {
            on_problem(test, map->line, map->column, "`parameters` is a map name: value");
            return;
        }
        test->parameters[test->parameter_count++] =
            (struct setting){(char *)(uintptr_t)map->entries[i].key->text,
                             (char *)(uintptr_t)map->entries[i].value->text};
    }
}

static bool is_list_of_nodes(struct job_test *test, const struct yaml_node *map, const char *name)
{
    if (map == NULL || map->kind != YAML_MAP || map->count == 0 || map->count > TEST_NODE_MAX) {
        const struct yaml_node *at = map != NULL ? map : yaml_root(test->document);
        SCOPED_TEXT char *message = format_text("`%s` is a map node: list of rows", name);
        on_problem(test, at->line, at->column, message);
        return false;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct yaml_node *value = map->entries[i].value;
        if (value->kind != YAML_LIST && !yaml_is_bare(value))
            on_problem(test, value->line, value->column, "a list of rows is expected");
    }
    return test->problem_count == 0;
}

static void read_keys(struct job_test *test, const struct yaml_node *root)
{
    static const char *const keys[] = {"job", "parameters", "sources", "expect"};
    for (uint32_t i = 0; i < root->count; i++) {
        const struct yaml_node *key = root->entries[i].key;
        bool is_known = false;
        for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
            is_known |= strcmp(keys[k], key->text) == 0;
        if (is_known)
            continue;
        const char *nearest = nearest_name(key->text, keys, sizeof(keys) / sizeof(*keys));
        SCOPED_TEXT char *message =
            format_text("unknown key \"%.80s\"%s%s", key->text,
                        nearest != NULL ? ": did you mean " : "", nearest != NULL ? nearest : "");
        on_problem(test, key->line, key->column, message);
    }
    const struct yaml_node *job = yaml_find(root, "job");
    if (job == NULL || job->kind != YAML_SCALAR || job->size == 0)
        on_problem(test, root->line, root->column, "`job` names the job's file");
    read_parameters(test, yaml_find(root, "parameters"));
    const struct yaml_node *sources = yaml_find(root, "sources");
    const struct yaml_node *expect = yaml_find(root, "expect");
    if (!is_list_of_nodes(test, sources, "sources") || !is_list_of_nodes(test, expect, "expect"))
        return;
    for (uint32_t i = 0; i < sources->count; i++)
        test->scripts[test->script_count++] =
            (struct test_script){sources->entries[i].key->text, sources->entries[i].value};
    for (uint32_t i = 0; i < expect->count; i++) {
        test->expected[test->output_count] = expect->entries[i].value;
        test->outputs[test->output_count++].node = expect->entries[i].key->text;
    }
}

/* Beside the test file, unless its path is absolute. */
static void find_job(struct job_test *test, const char *name)
{
    const char *slash = strrchr(test->path, '/');
    const int folder = name[0] == '/' || slash == NULL ? 0 : (int)(slash - test->path) + 1;
    (void)snprintf(test->job_path, sizeof(test->job_path), "%.*s%s", folder, test->path, name);
}

static enum status read_test(struct job_test *test, struct error *err)
{
    struct text text;
    TRY(job_text_read(test->path, &text, err));
    const enum status status =
        yaml_read(text.bytes, text.size, "test file", on_problem, test, &test->document);
    text_done(&text);
    if (status != STATUS_OK)
        return error_set(err, status, "%s is no test file", test->path);
    const struct yaml_node *root = yaml_root(test->document);
    if (root == NULL || root->kind != YAML_MAP)
        return error_set(err, STATUS_INVALID, "%s is no test file: it has no keys", test->path);
    read_keys(test, root);
    if (test->problem_count > 0)
        return error_set(err, STATUS_INVALID, "%s is no test file", test->path);
    find_job(test, yaml_find(root, "job")->text);
    return job_text_read(test->job_path, &test->job_text, err);
}

/* ---- the graph ---- */

static const struct operator_spec *find_operator(const struct job_graph *graph, const char *kind,
                                                 const char *node)
{
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        if (strcmp(graph->operators[i].kind, kind) == 0 &&
            strcmp(graph->operators[i].name, node) == 0)
            return &graph->operators[i];
    }
    return NULL;
}

static enum status prepare_graph(const struct job_test *test, struct job_graph *graph,
                                 struct error *err)
{
    for (size_t i = 0; i < test->script_count; i++) {
        if (find_operator(graph, "source", test->scripts[i].node) == NULL)
            return error_set(err, STATUS_INVALID, "%s: the job has no source \"%s\"", test->path,
                             test->scripts[i].node);
    }
    for (size_t i = 0; i < test->output_count; i++) {
        if (find_operator(graph, "sink", test->outputs[i].node) == NULL)
            return error_set(err, STATUS_INVALID, "%s: the job has no sink \"%s\"", test->path,
                             test->outputs[i].node);
    }
    for (uint32_t i = 0; i < graph->operator_count; i++) {
        struct operator_spec *spec = &graph->operators[i];
        if (strcmp(spec->kind, "source") == 0 || strcmp(spec->kind, "sink") == 0)
            graph_endpoint_replace(spec, TEST_CONNECTOR);
    }
    return STATUS_OK;
}

/* ---- comparing ---- */

struct lines {
    char **items;
    size_t count;
    size_t capacity;
};

static void lines_add(struct lines *lines, const char *text, size_t size)
{
    array_push(lines->items, lines->count, lines->capacity) = copy_text_n(text, size);
}

static void lines_done(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
    *lines = (struct lines){0};
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_sort(struct lines *lines)
{
    if (lines->count > 1)
        qsort(lines->items, lines->count, sizeof(char *), compare_lines);
}

static void split_rows(const struct text *rows, struct lines *out)
{
    const char *at = rows->bytes;
    for (const char *end; at != NULL && (end = strchr(at, '\n')) != NULL; at = end + 1)
        lines_add(out, at, (size_t)(end - at));
}

static enum status expected_rows(const struct yaml_node *list, const struct schema *schema,
                                 struct lines *out, struct error *err)
{
    for (uint32_t i = 0; list->kind == YAML_LIST && i < list->count; i++) {
        struct text row SCOPED_TEXT_BUFFER;
        text_init(&row, TEST_ROWS_BYTES_MAX);
        TRY(test_row_format(schema, list->items[i], &row, err));
        lines_add(out, row.bytes, row.size);
    }
    return STATUS_OK;
}

/* Both sorted: the rows of each that the other lacks. */
static bool print_difference(const char *node, const struct lines *expected,
                             const struct lines *got)
{
    size_t e = 0;
    size_t g = 0;
    uint32_t shown = 0;
    while (e < expected->count || g < got->count) {
        const int order = e == expected->count ? 1
                          : g == got->count    ? -1
                                               : strcmp(expected->items[e], got->items[g]);
        if (order == 0) {
            e++;
            g++;
            continue;
        }
        if (shown == 0)
            printf("  sink %s (- expected, + got):\n", node);
        if (shown++ < DIFF_LINES_MAX)
            printf("  %c %s\n", order < 0 ? '-' : '+',
                   order < 0 ? expected->items[e] : got->items[g]);
        *(order < 0 ? &e : &g) += 1;
    }
    if (shown > DIFF_LINES_MAX)
        printf("    and %u more\n", shown - DIFF_LINES_MAX);
    return shown == 0;
}

static enum status compare_output(const struct job_test *test, size_t output,
                                  const struct schema *schema, bool *ret_same, struct error *err)
{
    struct lines expected = {0};
    struct lines got = {0};
    split_rows(&test->outputs[output].rows, &got);
    const enum status status = expected_rows(test->expected[output], schema, &expected, err);
    if (status == STATUS_OK) {
        lines_sort(&expected);
        lines_sort(&got);
        *ret_same &= print_difference(test->outputs[output].node, &expected, &got);
    }
    lines_done(&expected);
    lines_done(&got);
    return status;
}

/* ---- one way ---- */

static enum status compile(const struct job_test *test, const struct way *way,
                           struct config **ret_config, struct job_graph **ret_graph,
                           struct error *err)
{
    struct setting *config =
        allocate_array(test->arguments->config_count + way->setting_count, sizeof(*config));
    uint32_t config_count = 0;
    for (uint32_t i = 0; i < test->arguments->config_count; i++)
        config[config_count++] = test->arguments->config[i];
    for (uint32_t i = 0; i < way->setting_count; i++)
        config[config_count++] = way->settings[i];
    struct arguments arguments = *test->arguments;
    arguments.parameters = (struct setting *)(uintptr_t)test->parameters;
    arguments.parameter_count = test->parameter_count;
    arguments.parallelism = way->parallelism;
    arguments.config = config;
    arguments.config_count = config_count;
    arguments.is_local = true;
    enum status status = client_config_load(&arguments, ret_config);
    if (status == STATUS_OK)
        status =
            job_text_compile(&arguments, test->job_path, &test->job_text, *ret_config, ret_graph);
    free(config);
    return status == STATUS_OK
               ? STATUS_OK
               : error_set(err, STATUS_INVALID, "%s does not compile", test->job_path);
}

static enum status run_way(struct job_test *test, const struct way *way, bool *ret_same,
                           struct error *err)
{
    struct config *config = NULL;
    struct job_graph *graph = NULL;
    enum status status = compile(test, way, &config, &graph, err);
    if (status == STATUS_OK)
        status = prepare_graph(test, graph, err);
    if (status != STATUS_OK) {
        config_destroy(config);
        job_graph_destroy(graph);
        return status;
    }
    struct schema *schemas[TEST_NODE_MAX];
    for (size_t i = 0; i < test->output_count; i++) {
        schemas[i] = schema_ref(find_operator(graph, "sink", test->outputs[i].node)->inputs[0]);
        text_init(&test->outputs[i].rows, TEST_ROWS_BYTES_MAX);
    }
    struct test_run *run = allocate(sizeof(*run));
    *run = (struct test_run){.scripts = test->scripts,
                             .script_count = test->script_count,
                             .outputs = test->outputs,
                             .output_count = test->output_count,
                             .has_checkpoints = way->has_checkpoints,
                             .must_fail = way->must_fail,
                             .mutex = PTHREAD_MUTEX_INITIALIZER};
    test_connectors_use(run);
    status = local_cluster_run_graph(config, &test_connector_registry, graph, RUN_TIMEOUT_MS, err);
    if (status == STATUS_OK && way->must_fail && !run->has_failed)
        status = error_set(err, STATUS_INVALID, "nothing failed: is there no row to read?");
    for (size_t i = 0; i < test->output_count; i++) {
        if (status == STATUS_OK)
            status = compare_output(test, i, schemas[i], ret_same, err);
        text_done(&test->outputs[i].rows);
        schema_unref(schemas[i]);
    }
    free(run);
    return status;
}

static enum exit_code run_test(const struct arguments *arguments, const char *path)
{
    struct job_test *test = allocate(sizeof(*test));
    test->arguments = arguments;
    test->path = path;
    for (uint32_t i = 0; i < arguments->parameter_count && i < PARAMETERS_MAX; i++)
        test->parameters[test->parameter_count++] = arguments->parameters[i];
    struct error err;
    enum exit_code code = EXIT_DONE;
    if (read_test(test, &err) != STATUS_OK) {
        (void)fprintf(stderr, "millstream test: %s\n", err.message);
        code = EXIT_USAGE;
    }
    for (size_t i = 0; code == EXIT_DONE && i < sizeof(ways) / sizeof(*ways); i++) {
        bool is_same = true;
        const enum status status = run_way(test, &ways[i], &is_same, &err);
        if (status != STATUS_OK)
            printf("%s, %s: %s\n", path, ways[i].name, err.message);
        if (status == STATUS_OK && is_same)
            continue;
        if (status == STATUS_OK)
            printf("%s: FAILED %s\n", path, ways[i].name);
        code = EXIT_REFUSED;
    }
    if (code == EXIT_DONE)
        printf("%s: ok\n", path);
    text_done(&test->job_text);
    yaml_document_destroy(test->document);
    free(test);
    return code;
}

enum exit_code command_test(const struct arguments *arguments)
{
    if (arguments->positional_count == 0) {
        (void)fprintf(stderr, "usage: millstream test FILE.test.yaml...\n");
        return EXIT_USAGE;
    }
    allocate_keep_batches();
    enum exit_code code = EXIT_DONE;
    for (int i = 0; i < arguments->positional_count; i++) {
        const enum exit_code one = run_test(arguments, arguments->positionals[i]);
        code = one > code ? one : code;
    }
    return code;
}
