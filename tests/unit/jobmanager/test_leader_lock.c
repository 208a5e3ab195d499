/* jobmanager: the lock and the epoch of a job store. */
#include "jobmanager/leader_lock.h"

#include "common/base/allocate.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];

static void make_directory(void)
{
    (void)snprintf(directory, sizeof(directory), "/tmp/millstream-lock-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void write_epoch(const char *text)
{
    SCOPED_TEXT char *path = format_text("%s/epoch", directory);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

static void remove_directory(void)
{
    static const char *const names[] = {"lock", "epoch", "epoch.new"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        SCOPED_TEXT char *path = format_text("%s/%s", directory, names[i]);
        (void)unlink(path);
    }
    ck_assert_int_eq(rmdir(directory), 0);
}

START_TEST(epoch_grows_with_each_start)
{
    for (uint64_t start = 1; start <= 3; start++) {
        struct leader_lock *lock = NULL;
        uint64_t epoch = 0;
        struct error err;
        ck_assert_int_eq(leader_lock_acquire(directory, &lock, &epoch, &err), STATUS_OK);
        ck_assert_uint_eq(epoch, start);
        ck_assert_int_eq(leader_lock_check(lock, &err), STATUS_OK);
        leader_lock_release(lock);
    }
}
END_TEST

START_TEST(a_second_holder_is_refused_by_pid)
{
    struct leader_lock *lock = NULL;
    uint64_t epoch = 0;
    struct error err;
    ck_assert_int_eq(leader_lock_acquire(directory, &lock, &epoch, &err), STATUS_OK);
    struct leader_lock *second = NULL;
    ck_assert_int_eq(leader_lock_acquire(directory, &second, &epoch, &err), STATUS_FENCED);
    SCOPED_TEXT char *pid = format_text("pid %ld", (long)getpid());
    ck_assert_ptr_nonnull(strstr(err.message, pid));
    leader_lock_release(lock);
}
END_TEST

START_TEST(a_raised_epoch_fences)
{
    struct leader_lock *lock = NULL;
    uint64_t epoch = 0;
    struct error err;
    ck_assert_int_eq(leader_lock_acquire(directory, &lock, &epoch, &err), STATUS_OK);
    write_epoch("7\n");
    ck_assert_int_eq(leader_lock_check(lock, &err), STATUS_FENCED);
    leader_lock_release(lock);
}
END_TEST

START_TEST(a_damaged_epoch_is_named_not_ignored)
{
    write_epoch("seven\n");
    struct leader_lock *lock = NULL;
    uint64_t epoch = 0;
    struct error err;
    ck_assert_int_eq(leader_lock_acquire(directory, &lock, &epoch, &err), STATUS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "/epoch"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("leader lock");
    TCase *tests = tcase_create("leader lock");
    tcase_add_checked_fixture(tests, make_directory, remove_directory);
    tcase_add_test(tests, epoch_grows_with_each_start);
    tcase_add_test(tests, a_second_holder_is_refused_by_pid);
    tcase_add_test(tests, a_raised_epoch_fences);
    tcase_add_test(tests, a_damaged_epoch_is_named_not_ignored);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
