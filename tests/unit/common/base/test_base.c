/* common/base: status, text, addresses, ids, crc, nearest names, memory accounts. */
#include "common/base/address.h"
#include "common/base/allocate.h"
#include "common/base/buffer.h"
#include "common/base/cpu.h"
#include "common/base/crc32c.h"
#include "common/base/ids.h"
#include "common/base/memory.h"
#include "common/base/nearest.h"
#include "common/base/random.h"
#include "common/base/shared_text.h"
#include "common/base/status.h"
#include "common/base/text.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

START_TEST(error_wraps_outermost_first)
{
    struct error err;
    ck_assert_int_eq(error_set_errno(&err, ENOENT, "open %s", "/x"), STATUS_NOT_FOUND);
    ck_assert_int_eq(error_wrap(&err, STATUS_IO, "restore job %d", 7), STATUS_IO);
    ck_assert_str_eq(err.message, "restore job 7: open /x: No such file or directory");
    ck_assert_int_eq(err.code, STATUS_IO);
}
END_TEST

START_TEST(long_error_is_cut_at_a_character)
{
    char long_text[2 * ERROR_MESSAGE_MAX];
    for (size_t i = 0; i + 2 < sizeof(long_text); i += 2)
        memcpy(long_text + i, "\xC3\xA9", 3);
    struct error err;
    (void)error_set(&err, STATUS_INVALID, "%s", long_text);
    const size_t size = strlen(err.message);
    ck_assert_str_eq(err.message + size - 3, "...");
    ck_assert_int_eq((unsigned char)err.message[size - 4], 0xA9);
}
END_TEST

START_TEST(text_keeps_its_maximum)
{
    struct text text;
    text_init(&text, 5);
    text_append(&text, "abc");
    ck_assert(!text.overflowed);
    text_append(&text, "defg");
    ck_assert(text.overflowed);
    ck_assert_str_eq(text.bytes, "abcde");
    text_done(&text);
}
END_TEST

START_TEST(text_escapes_json)
{
    struct text text;
    text_init(&text, 100);
    text_append_json(&text, "a\"\\\n\x01\xff\xc3\xa9", 8);
    ck_assert_str_eq(text.bytes, "\"a\\\"\\\\\\n\\u0001\xEF\xBF\xBD\xC3\xA9\"");
    text_done(&text);
}
END_TEST

static void check_address(char *address, const char *expected)
{
    ck_assert_str_eq(address, expected);
    free(address);
}

START_TEST(addresses_bracket_bare_ipv6)
{
    check_address(address_join("10.0.0.1", "80"), "10.0.0.1:80");
    check_address(address_join_number("::1", 6123), "[::1]:6123");
    check_address(address_join_number("[::1]", 0), "[::1]:0");
}
END_TEST

START_TEST(advertised_address_never_is_a_wildcard)
{
    check_address(address_advertised("0.0.0.0:99", NULL), ":99");
    check_address(address_advertised("[::]:99", NULL), ":99");
    check_address(address_advertised("[::]:99", "fe80::2"), "[fe80::2]:99");
    check_address(address_advertised("127.0.0.1:99", NULL), "127.0.0.1:99");
    check_address(address_advertised("ipc:///run/x", NULL), "ipc:///run/x");
    check_address(address_advertised(NULL, "host"), "");
}
END_TEST

START_TEST(ids_read_back)
{
    const struct id128 id = id128_random();
    char text[ID_TEXT_SIZE];
    id128_format(id, text);
    struct id128 again;
    ck_assert_int_eq(id128_parse(text, &again, NULL), STATUS_OK);
    ck_assert(id128_equals(id, again));
    text[31] = '\0';
    ck_assert_int_eq(id128_parse(text, &again, NULL), STATUS_INVALID);
}
END_TEST

START_TEST(crc_matches_the_published_vector_in_both_kernels)
{
    ck_assert_uint_eq(crc32c(0, "123456789", 9), 0xE3069283);
    ck_assert_uint_eq(crc32c_scalar(0, "123456789", 9), 0xE3069283);
    char bytes[257];
    struct random random;
    random_init(&random, 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)random_next(&random);
    for (size_t size = 0; size <= sizeof(bytes); size++)
        ck_assert_uint_eq(crc32c(7, bytes, size), crc32c_scalar(7, bytes, size));
}
END_TEST

START_TEST(crc_of_lanes_is_that_of_the_bytes)
{
    static char bytes[3 * 3072 + 64];
    struct random random;
    random_init(&random, 2);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)random_next(&random);
    for (size_t lanes = 1; lanes <= 3; lanes++) {
        for (size_t more = 0; more <= 32; more++) {
            const size_t size = lanes * 3072 - 16 + more;
            ck_assert_uint_eq(crc32c(9, bytes + more, size), crc32c_scalar(9, bytes + more, size));
        }
    }
    ck_assert_uint_eq(crc32c(crc32c(0, bytes, 5000), bytes + 5000, sizeof(bytes) - 5000),
                      crc32c_scalar(0, bytes, sizeof(bytes)));
}
END_TEST

START_TEST(nearest_name_is_found_or_not)
{
    static const char *const names[] = {"lower", "upper", "substring"};
    ck_assert_str_eq(nearest_name("lowr", names, 3), "lower");
    ck_assert_str_eq(nearest_name("UPEPR", names, 3), "upper");
    ck_assert_ptr_null(nearest_name("xyz", names, 3));
}
END_TEST

static void *write_texts(void *argument)
{
    struct shared_text *shared = argument;
    char text[SHARED_TEXT_BYTES];
    for (unsigned i = 0; i < 20000; i++) {
        memset(text, 'a' + (int)(i % 26), sizeof(text));
        text[i % sizeof(text)] = '\0';
        shared_text_write(shared, text);
    }
    shared_text_write(shared, "last");
    return NULL;
}

START_TEST(a_shared_text_is_read_whole)
{
    static struct shared_text shared;
    char text[SHARED_TEXT_BYTES];
    shared_text_read(&shared, text);
    ck_assert_str_eq(text, "");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    SCOPED_TEXT char *longer = format_text("%sy", text);
    shared_text_write(&shared, longer);
    char found[SHARED_TEXT_BYTES];
    shared_text_read(&shared, found);
    ck_assert_str_eq(found, text);

    pthread_t writer;
    ck_assert_int_eq(pthread_create(&writer, NULL, write_texts, &shared), 0);
    do {
        shared_text_read(&shared, found);
        const size_t size = strlen(found);
        for (size_t i = 1; i < size && strcmp(found, "last") != 0; i++)
            ck_assert_int_eq(found[i], found[0]);
    } while (strcmp(found, "last") != 0);
    ck_assert_int_eq(pthread_join(writer, NULL), 0);
    shared_text_write(&shared, NULL);
    shared_text_read(&shared, found);
    ck_assert_str_eq(found, "");
}
END_TEST

START_TEST(memory_is_refused_at_any_level)
{
    struct memory_account root;
    struct memory_account child;
    memory_account_init(&root, "process", NULL, 100);
    memory_account_init(&child, "cache", &root, 80);
    ck_assert(memory_reserve(&child, 60));
    ck_assert(!memory_reserve(&child, 30));
    ck_assert_uint_eq(memory_used(&child), 60);
    ck_assert(memory_reserve(&root, 40));
    ck_assert(!memory_reserve(&child, 10));
    ck_assert_uint_eq(memory_used(&root), 100);
    ck_assert_uint_eq(memory_used(&child), 60);
    memory_release(&child, 60);
    ck_assert_uint_eq(memory_used(&root), 40);
}
END_TEST

START_TEST(buffer_credits_its_account)
{
    struct memory_account account;
    memory_account_init(&account, "x", NULL, 1000);
    struct buffer *buffer = buffer_create(&account, 600);
    ck_assert_uint_eq(memory_used(&account), 600);
    struct buffer *second = buffer_ref(buffer);
    buffer_unref(buffer);
    ck_assert_uint_eq(memory_used(&account), 600);
    buffer_unref(second);
    ck_assert_uint_eq(memory_used(&account), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_add_test(tests, error_wraps_outermost_first);
    tcase_add_test(tests, long_error_is_cut_at_a_character);
    tcase_add_test(tests, text_keeps_its_maximum);
    tcase_add_test(tests, text_escapes_json);
    tcase_add_test(tests, addresses_bracket_bare_ipv6);
    tcase_add_test(tests, advertised_address_never_is_a_wildcard);
    tcase_add_test(tests, ids_read_back);
    tcase_add_test(tests, crc_of_lanes_is_that_of_the_bytes);
    tcase_add_test(tests, crc_matches_the_published_vector_in_both_kernels);
    tcase_add_test(tests, nearest_name_is_found_or_not);
    tcase_add_test(tests, a_shared_text_is_read_whole);
    tcase_add_test(tests, memory_is_refused_at_any_level);
    tcase_add_test(tests, buffer_credits_its_account);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
