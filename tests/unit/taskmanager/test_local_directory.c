/* The working directory of a process, while others on the same host start and end. */
#include "common/base/allocate.h"
#include "taskmanager/local_directory.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROCESSES 6
#define ROUNDS    60

static char parent[64];

static void make_parent(void)
{
    (void)snprintf(parent, sizeof(parent), "/tmp/millstream-local-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(parent));
}

static void remove_parent(void)
{
    ck_assert_int_eq(rmdir(parent), 0); /* nothing is left in it */
}

static void write_file(const struct local_directory *directory)
{
    SCOPED_TEXT char *path = format_text("%s/state", local_directory_path(directory));
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(what_a_dead_process_left_is_removed)
{
    SCOPED_TEXT char *left = format_text("%s/tm-00000000000000000000000000000001", parent);
    ck_assert_int_eq(mkdir(left, 0700), 0);
    SCOPED_TEXT char *below = format_text("%s/db", left);
    ck_assert_int_eq(mkdir(below, 0700), 0);
    struct local_directory *directory = NULL;
    struct error err;
    ck_assert_int_eq(local_directory_open(parent, id128_random(), &directory, &err), STATUS_OK);
    ck_assert_int_ne(access(left, F_OK), 0);
    write_file(directory);
    struct local_directory *other = NULL;
    ck_assert_int_eq(local_directory_open(parent, id128_random(), &other, &err), STATUS_OK);
    ck_assert_int_eq(access(local_directory_path(directory), F_OK), 0);
    local_directory_close(other);
    local_directory_close(directory);
}
END_TEST

START_TEST(io_tmp_dirs_are_made_swept_and_chosen)
{
    SCOPED_TEXT char *first = format_text("%s/a", parent);
    SCOPED_TEXT char *second = format_text("%s/b", parent);
    SCOPED_TEXT char *left = format_text("%s/tm-00000000000000000000000000000001", first);
    ck_assert_int_eq(mkdir(first, 0700) | mkdir(left, 0700), 0);
    SCOPED(config_destroy) struct config *config = config_create();
    SCOPED_TEXT char *both = format_text("%s , %s", first, second);
    struct error err;
    ck_assert_int_eq(config_set(config, "process.working-dir", "/nowhere", "test", &err),
                     STATUS_OK);
    ck_assert_int_eq(config_set(config, "io.tmp.dirs", both, "test", &err), STATUS_OK);
    SCOPED_TEXT char *chosen = NULL;
    ck_assert_int_eq(local_directory_choose(config, &chosen, &err), STATUS_OK);
    ck_assert(strcmp(chosen, first) == 0 || strcmp(chosen, second) == 0);
    ck_assert_int_ne(access(left, F_OK), 0);
    ck_assert_int_eq(rmdir(first) | rmdir(second), 0);
    /* One that cannot be made is an error, not silently left out. */
    SCOPED_TEXT char *bad = format_text("%s,/proc/millstream", parent);
    ck_assert_int_eq(config_set(config, "io.tmp.dirs", bad, "test", &err), STATUS_OK);
    SCOPED_TEXT char *none = NULL;
    ck_assert_int_ne(local_directory_choose(config, &none, &err), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "io.tmp.dirs: "));
}
END_TEST

static void *start_and_end(void *failures)
{
    for (int i = 0; i < ROUNDS; i++) {
        struct local_directory *directory = NULL;
        struct error err;
        if (local_directory_open(parent, id128_random(), &directory, &err) != STATUS_OK) {
            (*(int *)failures)++;
            continue;
        }
        /* Locked by us from the first moment: nobody took it for one that was left. */
        *(int *)failures += access(local_directory_path(directory), F_OK) != 0;
        local_directory_close(directory);
    }
    return NULL;
}

START_TEST(processes_that_start_at_once_leave_each_other_alone)
{
    pthread_t threads[PROCESSES];
    int failures[PROCESSES] = {0};
    for (int i = 0; i < PROCESSES; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, start_and_end, &failures[i]), 0);
    for (int i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
        ck_assert_int_eq(failures[i], 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local directory");
    TCase *tests = tcase_create("local directory");
    tcase_add_checked_fixture(tests, make_parent, remove_parent);
    tcase_add_test(tests, what_a_dead_process_left_is_removed);
    tcase_add_test(tests, io_tmp_dirs_are_made_swept_and_chosen);
    tcase_add_test(tests, processes_that_start_at_once_leave_each_other_alone);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
