/* common/config/config: sources, precedence, all errors at once. */
#include "common/config/config.h"

#include "common/base/allocate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];
static struct setting environment[8];
static uint32_t environment_count;

static const char *get_env(void *context, const char *name)
{
    (void)context;
    return setting_find(environment, environment_count, name);
}

static void make_folder(void)
{
    (void)snprintf(folder, sizeof(folder), "/tmp/test_config_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    environment_count = 0;
}

static void remove_folder(void)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, CONFIG_FILE_NAME);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void set_env(const char *name, const char *value)
{
    environment[environment_count++] =
        (struct setting){(char *)(uintptr_t)name, (char *)(uintptr_t)value};
}

static void write_file(const char *content)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, CONFIG_FILE_NAME);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs(content, file);
    (void)fclose(file);
    set_env("MILLSTREAM_CONF_DIR", folder);
}

static enum status load(const char *const *overrides, size_t count, struct config **ret_config,
                        struct config_report *report)
{
    const struct config_sources sources = {
        .overrides = overrides, .override_count = count, .get_env = get_env};
    return config_load(&sources, ret_config, report);
}

START_TEST(later_sources_win)
{
    write_file("rest:\n  port: 9000\n  address: file\nheartbeat.interval: 200\n"
               "io.tmp.dirs: [/a, /b]\nstate.checkpoints.num-retained: 7\n");
    set_env("TASK_MANAGER_NUMBER_OF_TASK_SLOTS", "3");
    set_env("MILLSTREAM_PROPERTIES", "# x\nrest.port: 9001\n\njobmanager.rpc.address: jm\n");
    const char *const overrides[] = {"rest.port=9002", "parallelism.default=4"};
    struct config_report report;
    SCOPED(config_destroy) struct config *config = NULL;
    ck_assert_int_eq(load(overrides, 2, &config, &report), STATUS_OK);
    ck_assert_uint_eq(report.warning_count, 0);
    config_report_done(&report);
    ck_assert_int_eq(config_int(config, CONFIG_REST_PORT), 9002);
    ck_assert_str_eq(config_text(config, CONFIG_REST_ADDRESS), "file");
    ck_assert_str_eq(config_text(config, CONFIG_JOBMANAGER_RPC_ADDRESS), "jm");
    ck_assert_int_eq(config_duration_ms(config, CONFIG_HEARTBEAT_INTERVAL), 200);
    ck_assert_int_eq(config_int(config, CONFIG_TASKMANAGER_SLOTS), 3);
    ck_assert_int_eq(config_int(config, CONFIG_CHECKPOINTS_RETAINED), 7);
    ck_assert_str_eq(config_text(config, CONFIG_TMP_DIRS), "/a,/b");
    ck_assert_int_eq(config_int(config, CONFIG_PARALLELISM), 4);
    ck_assert_ptr_nonnull(strstr(config_file(config), folder));
    ck_assert(!config_is_set(config, CONFIG_JOBMANAGER_RPC_PORT));
    ck_assert_int_eq(config_int(config, CONFIG_JOBMANAGER_RPC_PORT), 6123);
}
END_TEST

START_TEST(all_errors_at_once)
{
    write_file("rest.prot: 1\nrest.port: x\nheartbeat.timeout: 10ms\nstate.backend: rocks\n");
    const char *const overrides[] = {"nothing", "taskmanager.numberOfTaskSlots=0",
                                     "unknown.thing.here=1"};
    struct config_report report;
    struct config *config = NULL;
    ck_assert_int_eq(load(overrides, 3, &config, &report), STATUS_INVALID);
    ck_assert_ptr_null(config);
    ck_assert_uint_eq(report.error_count, 5);
    ck_assert_ptr_nonnull(
        strstr(report.errors[0], ":2: option \"rest.port\": expected a whole number, got \"x\""));
    ck_assert_ptr_nonnull(strstr(report.errors[1], "must be from 20ms to 1h"));
    ck_assert_ptr_nonnull(strstr(report.errors[2], "did you mean \"rocksdb\"?"));
    ck_assert_str_eq(report.errors[3], "-D nothing: expected key=value");
    ck_assert_uint_eq(report.warning_count, 2);
    ck_assert_ptr_nonnull(
        strstr(report.warnings[0], ":1: unknown key \"rest.prot\": did you mean \"rest.port\"?"));
    config_report_done(&report);
}
END_TEST

START_TEST(missing_and_broken_files_are_named)
{
    struct config_report report;
    struct config *config = NULL;
    const struct config_sources sources = {.file = "/nowhere/millstream.yaml"};
    ck_assert_int_eq(config_load(&sources, &config, &report), STATUS_INVALID);
    ck_assert_str_eq(report.errors[0], "configuration: open /nowhere/millstream.yaml: No such file "
                                       "or directory");
    config_report_done(&report);
    write_file("a: [\n");
    ck_assert_int_eq(load(NULL, 0, &config, &report), STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(report.errors[0], "is no valid YAML"));
    config_report_done(&report);
}
END_TEST

START_TEST(job_settings_make_the_same_configuration)
{
    SCOPED(config_destroy) struct config *config = config_create();
    ck_assert_int_eq(config_set(config, "execution.checkpointing.interval", "1s", "-D", NULL),
                     STATUS_OK);
    ck_assert_int_eq(config_set(config, "rest.port", "1", "-D", NULL), STATUS_OK);
    struct job_graph graph = {0};
    config_job_settings(config, &graph.config, &graph.config_count);
    ck_assert_ptr_null(job_graph_config(&graph, "rest.port"));
    ck_assert_str_eq(job_graph_config(&graph, "execution.checkpointing.interval"), "1s");
    for (uint32_t i = 1; i < graph.config_count; i++)
        ck_assert_int_lt(strcmp(graph.config[i - 1].key, graph.config[i].key), 0);
    SCOPED(config_destroy) struct config *of_job = config_of_job(&graph);
    ck_assert_int_eq(config_duration_ms(of_job, CONFIG_CHECKPOINT_INTERVAL), 1000);
    SCOPED(config_destroy) struct config *copy = config_copy(config);
    ck_assert_int_eq(config_int(copy, CONFIG_REST_PORT), 1);
    for (uint32_t i = 0; i < graph.config_count; i++) {
        free(graph.config[i].key);
        free(graph.config[i].value);
    }
    free(graph.config);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("common/config/config");
    TCase *tests = tcase_create("config");
    tcase_add_checked_fixture(tests, make_folder, remove_folder);
    tcase_add_test(tests, later_sources_win);
    tcase_add_test(tests, all_errors_at_once);
    tcase_add_test(tests, missing_and_broken_files_are_named);
    tcase_add_test(tests, job_settings_make_the_same_configuration);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
