/* common/io/file_store_local: atomic objects, safe paths, checksums, failures of the disk. */
#include "common/base/allocate.h"
#include "common/base/crc32c.h"
#include "common/io/file_store.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];
static struct file_store *store;
static struct error err;

static void setup(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/file-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *directory = format_text("%s/a/b/", root);
    ck_assert_int_eq(file_store_local_create(directory, &store, &err), STATUS_OK);
}

static void teardown(void)
{
    store->ops->destroy(store);
    struct file_store *whole;
    ck_assert_int_eq(file_store_local_create("/tmp", &whole, &err), STATUS_OK);
    ck_assert_int_eq(whole->ops->remove_tree(whole, root + strlen("/tmp/"), &err), STATUS_OK);
    whole->ops->destroy(whole);
}

static void expect_content(const char *path, const char *content)
{
    struct text SCOPED_TEXT_BUFFER text;
    text_init(&text, 1000);
    ck_assert_int_eq(store->ops->get(store, path, &text, &err), STATUS_OK);
    ck_assert_str_eq(text.bytes, content);
}

static enum status count_entry(void *context, const char *name, bool is_directory, uint64_t size,
                               struct error *unused)
{
    (void)unused;
    text_format(context, "%s%s:%llu ", name, is_directory ? "/" : "", (unsigned long long)size);
    return STATUS_OK;
}

static void expect_list(const char *path, const char *expected)
{
    struct text SCOPED_TEXT_BUFFER text;
    text_init(&text, 1000);
    ck_assert_int_eq(store->ops->list(store, path, count_entry, &text, &err), STATUS_OK);
    ck_assert_str_eq(text.bytes, expected);
}

START_TEST(put_creates_replaces_and_refuses)
{
    ck_assert_int_eq(store->ops->put(store, "x/y/z", "one", 3, true, &err), STATUS_OK);
    expect_content("x/y/z", "one");
    ck_assert_int_eq(store->ops->put(store, "x/y/z", "two", 3, true, &err), STATUS_EXISTS);
    expect_content("x/y/z", "one");
    ck_assert_int_eq(store->ops->put(store, "x/y/z", "three", 5, false, &err), STATUS_OK);
    expect_content("x/y/z", "three");
    expect_list("x/y", "z:5 ");
    expect_list("x", "y/:0 ");
    expect_list("nowhere", "");
    struct text SCOPED_TEXT_BUFFER small;
    text_init(&small, 4);
    ck_assert_int_eq(store->ops->get(store, "x/y/z", &small, &err), STATUS_LIMIT);
    ck_assert_int_eq(store->ops->get(store, "x/y/none", &small, &err), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(unsafe_paths_are_refused)
{
    static const char *const paths[] = {"",        "/",   "/etc/x", "..",       "a/..",
                                        "a/../b",  ".",   "a//b",   "a/",       "a b",
                                        "a/\xC3x", "a\n", "./a",    "a/.tmp-1", "a\\b"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct text SCOPED_TEXT_BUFFER text;
        text_init(&text, 10);
        uint32_t crc;
        uint64_t size;
        ck_assert_int_eq(store->ops->put(store, paths[i], "x", 1, false, &err), STATUS_INVALID);
        ck_assert_int_eq(store->ops->get(store, paths[i], &text, &err), STATUS_INVALID);
        ck_assert_int_eq(store->ops->remove(store, paths[i], &err), STATUS_INVALID);
        ck_assert_int_eq(store->ops->remove_tree(store, paths[i], &err), STATUS_INVALID);
        ck_assert_int_eq(store->ops->upload(store, "/dev/null", paths[i], &crc, &size, &err),
                         STATUS_INVALID);
        ck_assert_int_eq(store->ops->download(store, paths[i], "/nowhere/x", 0, 0, &err),
                         STATUS_INVALID);
    }
    ck_assert_int_eq(store->ops->put(store, "..a/b..c/-", "x", 1, false, &err), STATUS_OK);
}
END_TEST

START_TEST(upload_and_download_check_the_content)
{
    SCOPED_TEXT char *local = format_text("%s/local", root);
    FILE *file = fopen(local, "w");
    ck_assert_int_eq(fputs("123456789", file) >= 0, 1);
    ck_assert_int_eq(fclose(file), 0);
    uint32_t crc = 0;
    uint64_t size = 0;
    ck_assert_int_eq(store->ops->upload(store, local, "s/1", &crc, &size, &err), STATUS_OK);
    ck_assert_uint_eq(crc, 0xE3069283U);
    ck_assert_uint_eq(size, 9);
    SCOPED_TEXT char *back = format_text("%s/back", root);
    ck_assert_int_eq(store->ops->download(store, "s/1", back, crc, size, &err), STATUS_OK);
    ck_assert_int_eq(unlink(back), 0);
    ck_assert_int_eq(store->ops->download(store, "s/1", back, crc ^ 1, size, &err), STATUS_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.message, "s/1"));
    ck_assert_int_eq(access(back, F_OK), -1);
    ck_assert_int_eq(store->ops->put(store, "s/1", "12345678", 8, false, &err), STATUS_OK);
    ck_assert_int_eq(store->ops->download(store, "s/1", back, crc, size, &err), STATUS_CORRUPT);
    ck_assert_int_eq(store->ops->download(store, "s/2", back, crc, size, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, "s/2"));
    ck_assert_int_eq(store->ops->upload(store, back, "s/3", &crc, &size, &err), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(removal)
{
    ck_assert_int_eq(store->ops->put(store, "t/a/b", "x", 1, false, &err), STATUS_OK);
    ck_assert_int_eq(store->ops->put(store, "t/c", "x", 1, false, &err), STATUS_OK);
    SCOPED_TEXT char *link_path = format_text("%s/a/b/t/link", root);
    ck_assert_int_eq(symlink(root, link_path), 0);
    ck_assert_int_eq(store->ops->remove(store, "t/c", &err), STATUS_OK);
    ck_assert_int_eq(store->ops->remove(store, "t/c", &err), STATUS_NOT_FOUND);
    ck_assert_int_eq(store->ops->remove_tree(store, "t", &err), STATUS_OK);
    ck_assert_int_eq(store->ops->remove_tree(store, "t", &err), STATUS_OK);
    expect_list("", "");
    ck_assert_int_eq(access(root, F_OK), 0);
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    ck_assert_int_eq(store->ops->space(store, &free_bytes, &total_bytes, &err), STATUS_OK);
    ck_assert_uint_gt(total_bytes, 0);
    ck_assert_uint_le(free_bytes, total_bytes);
}
END_TEST

START_TEST(a_full_disk_leaves_nothing)
{
    ck_assert_int_eq(store->ops->put(store, "f/old", "old", 3, false, &err), STATUS_OK);
    static char large[100000];
    SCOPED_TEXT char *local = format_text("%s/local", root);
    const int fd = open(local, O_WRONLY | O_CREAT, 0666);
    ck_assert_int_eq(write(fd, large, sizeof(large)), sizeof(large));
    ck_assert_int_eq(close(fd), 0);
    (void)signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {.rlim_cur = 10000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    uint32_t crc;
    uint64_t size;
    ck_assert_int_eq(store->ops->put(store, "f/old", large, sizeof(large), false, &err), STATUS_IO);
    ck_assert_int_eq(store->ops->put(store, "f/new", large, sizeof(large), true, &err), STATUS_IO);
    ck_assert_int_eq(store->ops->upload(store, local, "f/up", &crc, &size, &err), STATUS_IO);
    const struct rlimit no_limit = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &no_limit), 0);
    expect_list("f", "old:3 ");
    expect_content("f/old", "old");
}
END_TEST

START_TEST(a_file_in_the_way_is_named)
{
    ck_assert_int_eq(store->ops->put(store, "w", "x", 1, false, &err), STATUS_OK);
    ck_assert_int_ne(store->ops->put(store, "w/x", "x", 1, false, &err), STATUS_OK);
    ck_assert_ptr_nonnull(strstr(err.message, "/w"));
    struct file_store *other = NULL;
    SCOPED_TEXT char *path = format_text("%s/a/b/w", root);
    ck_assert_int_eq(file_store_local_create(path, &other, &err), STATUS_INVALID);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(file_store_local_create("", &other, &err), STATUS_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file_store_local");
    TCase *tests = tcase_create("local");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, put_creates_replaces_and_refuses);
    tcase_add_test(tests, unsafe_paths_are_refused);
    tcase_add_test(tests, upload_and_download_check_the_content);
    tcase_add_test(tests, removal);
    tcase_add_test(tests, a_full_disk_leaves_nothing);
    tcase_add_test(tests, a_file_in_the_way_is_named);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
