/* jobmanager: the execution of storage requests, above all what a sweep leaves. */
#include "jobmanager/storage.h"

#include "common/base/allocate.h"

#include <check.h>
#include <pthread.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct storage_result *result;
} answer = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static void on_done(void *context, struct storage_result *result)
{
    (void)context;
    (void)pthread_mutex_lock(&answer.lock);
    answer.result = result;
    (void)pthread_cond_signal(&answer.done);
    (void)pthread_mutex_unlock(&answer.lock);
}

static struct storage_result *ask(struct storage *storage, struct storage_request *request)
{
    storage_submit(storage, request);
    (void)pthread_mutex_lock(&answer.lock);
    while (answer.result == NULL)
        (void)pthread_cond_wait(&answer.done, &answer.lock);
    struct storage_result *result = take_pointer(&answer.result);
    (void)pthread_mutex_unlock(&answer.lock);
    return result;
}

static void put(struct file_store *store, const char *path)
{
    ck_assert_int_eq(store->ops->put(store, path, "x", 1, false, NULL), STATUS_OK);
}

static bool has(struct file_store *store, const char *path)
{
    struct text out;
    text_init(&out, 10);
    const enum status status = store->ops->get(store, path, &out, NULL);
    text_done(&out);
    return status == STATUS_OK;
}

static char **paths_of(const char *const *names, size_t count)
{
    char **paths = allocate_array(count, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        paths[i] = copy_text(names[i]);
    return paths;
}

START_TEST(a_sweep_removes_only_what_is_old_and_not_named)
{
    struct file_store *checkpoints = file_store_memory_create();
    struct storage *storage = storage_create(NULL, checkpoints, NULL, on_done, NULL);
    static const char *const gone[] = {"job/chk-1/_metadata", "job/chk-1/4/MANIFEST",
                                       "job/shared/4/1.sst", "job/shared/6/1.sst"};
    static const char *const stays[] = {"job/chk-2/_metadata", "job/chk-2/6/MANIFEST",
                                        "job/chk-9/_metadata", "job/shared/4/2.sst",
                                        "job/shared/5/1.sst",  "job/shared/12/1.sst",
                                        "job/notes.txt",       "other/chk-1/_metadata"};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        put(checkpoints, gone[i]);
    for (size_t i = 0; i < sizeof(stays) / sizeof(stays[0]); i++)
        put(checkpoints, stays[i]);
    static const char *const kept[] = {"job/chk-2/", "job/shared/4/2.sst", "job/shared/5/"};
    struct storage_request request = {.kind = STORAGE_SWEEP,
                                      .id = 7,
                                      .path = copy_text("job"),
                                      .paths = paths_of(kept, 3),
                                      .path_count = 3,
                                      .attempt_below = 12,
                                      .checkpoint_below = 9};
    struct storage_result *result = ask(storage, &request);
    ck_assert_uint_eq(result->request, 7);
    ck_assert_int_eq(result->code, STATUS_OK);
    storage_result_destroy(result);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        ck_assert_msg(!has(checkpoints, gone[i]), "%s is still there", gone[i]);
    for (size_t i = 0; i < sizeof(stays) / sizeof(stays[0]); i++)
        ck_assert_msg(has(checkpoints, stays[i]), "%s is gone", stays[i]);
    storage_destroy(storage);
    checkpoints->ops->destroy(checkpoints);
}
END_TEST

START_TEST(loading_gives_every_object_by_path)
{
    struct file_store *jobs = file_store_memory_create();
    struct storage *storage = storage_create(jobs, NULL, NULL, on_done, NULL);
    put(jobs, "cluster");
    put(jobs, "jobs/a/graph");
    put(jobs, "jobs/a/state");
    struct storage_request request = {.kind = STORAGE_LOAD, .path = copy_text("")};
    struct storage_result *result = ask(storage, &request);
    ck_assert_int_eq(result->code, STATUS_OK);
    ck_assert_uint_eq(result->object_count, 3);
    ck_assert_str_eq(result->objects[0].path, "cluster");
    ck_assert_str_eq(result->objects[2].path, "jobs/a/state");
    storage_result_destroy(result);
    struct storage_request without = {.kind = STORAGE_DELETE_TREE, .path = copy_text("job")};
    result = ask(storage, &without);
    ck_assert_int_eq(result->code, STATUS_INVALID);
    ck_assert_ptr_nonnull(strstr(result->err.message, "execution.checkpointing.dir"));
    storage_result_destroy(result);
    storage_destroy(storage);
    jobs->ops->destroy(jobs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storage");
    TCase *tests = tcase_create("storage");
    tcase_add_test(tests, a_sweep_removes_only_what_is_old_and_not_named);
    tcase_add_test(tests, loading_gives_every_object_by_path);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
