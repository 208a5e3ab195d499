/* The file source: splits, blocks, positions, restores, errors; line_scan's kernels. */
#include "tests/kit/file_reading.h"

#include "common/base/allocate.h"
#include "common/base/cpu.h"
#include "common/base/random.h"
#include "connectors/file/file.h"
#include "connectors/formats/line_scan.h"
#include "connectors/registry.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char *directory;

static void set_up(void)
{
    directory = kit_directory_make();
}

static void tear_down(void)
{
    kit_directory_remove(directory);
    file_reader_set_block_bytes(256 * 1024);
}

static char *path_of(const char *name)
{
    return format_text("%s/%s", directory, name);
}

static struct connector_kit *make_kit(const char *path, const char *split_size,
                                      enum kit_blocking blocking)
{
    return connector_kit_create(kit_schema("line STRING"), blocking, "connector", "file",
                                "connector.path", path, "connector.split_size", split_size,
                                "format", "raw", NULL);
}

static char *make_lines(unsigned count, size_t *ret_size)
{
    struct random random;
    random_init(&random, count);
    struct text text;
    text_init(&text, 1 << 24);
    for (unsigned i = 0; i < count; i++) {
        const unsigned size = (unsigned)random_below(&random, i % 10 == 0 ? 300 : 40);
        text_format(&text, "%u:", i);
        for (unsigned k = 0; k < size; k++)
            text_append_char(&text, (char)('a' + random_below(&random, 26)));
        text_append(&text, i % 7 == 0 ? "\xC3\xA9\n" : "\n");
    }
    *ret_size = text.size;
    return text.bytes;
}

static void check_reads(const char *split_size, uint32_t block, bool restore_each,
                        enum kit_blocking blocking, bool with_last_newline)
{
    size_t size = 0;
    char *lines = make_lines(400, &size);
    char *path = path_of("in.txt");
    kit_file_write(path, lines, with_last_newline ? size : size - 1);
    file_reader_set_block_bytes(block);
    struct connector_kit *kit = make_kit(path, split_size, blocking);
    struct split_list splits = {0};
    bool is_last = false;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
    ck_assert(is_last);
    struct text out;
    text_init(&out, 1 << 24);
    file_reader_read_all(kit, &splits, restore_each, &out);
    ck_assert_uint_eq(kit->error_count, 0);
    ck_assert_uint_eq(out.size, size);
    ck_assert(memcmp(out.bytes, lines, size) == 0);
    text_done(&out);
    split_list_done(&splits);
    connector_kit_destroy(kit);
    free(path);
    free(lines);
}

START_TEST(any_split_and_block_size_gives_each_line_once_in_order)
{
    static const char *const split_sizes[] = {"7", "64", "100", "1000", "1m"};
    static const uint32_t blocks[] = {16, 61, 256, 4096, 262144};
    for (size_t s = 0; s < 5; s++) {
        for (size_t b = 0; b < 5; b++)
            check_reads(split_sizes[s], blocks[b], false, KIT_INLINE, (s + b) % 2 == 0);
    }
}
END_TEST

START_TEST(a_restore_after_every_batch_gives_each_line_once)
{
    check_reads("1000", 256, true, KIT_INLINE, true);
    check_reads("64", 100, true, KIT_INLINE, false);
    check_reads("1m", 262144, true, KIT_INLINE, true);
    check_reads("1m", 997, true, KIT_THREAD, true);
}
END_TEST

START_TEST(reads_ahead_on_another_thread)
{
    check_reads("1m", 512, false, KIT_THREAD, true);
    check_reads("300", 512, false, KIT_THREAD, false);
}
END_TEST

START_TEST(every_boundary_of_two_splits_gives_each_line_once)
{
    static const char text[] = "a\n\nbcd\n\xC3\xA9\nlonger line than others\nx";
    char *path = path_of("in.txt");
    kit_file_write(path, text, sizeof(text) - 1);
    for (unsigned at = 1; at < sizeof(text); at++) {
        char size_text[16];
        (void)snprintf(size_text, sizeof(size_text), "%u", at);
        struct connector_kit *kit = make_kit(path, size_text, KIT_INLINE);
        struct split_list splits = {0};
        bool is_last = false;
        ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
        struct text out;
        text_init(&out, 1000);
        /* One reader for each split: what a split gives does not depend on the others. */
        for (size_t i = 0; i < splits.count; i++) {
            const struct split_list one = {.splits = &splits.splits[i], .count = 1};
            file_reader_read_all(kit, &one, false, &out);
        }
        ck_assert_uint_eq(out.size, sizeof(text));
        ck_assert(memcmp(out.bytes, text, sizeof(text) - 1) == 0);
        text_done(&out);
        split_list_done(&splits);
        connector_kit_destroy(kit);
    }
    free(path);
}
END_TEST

START_TEST(directories_and_globs_give_visible_files_by_name)
{
    static const char *const names[] = {"b.txt", "a.txt", ".hidden", "_temporary", "c.csv"};
    for (size_t i = 0; i < 5; i++) {
        SCOPED_TEXT char *path = path_of(names[i]);
        kit_file_write(path, names[i], strlen(names[i]));
    }
    SCOPED_TEXT char *empty = path_of("empty.txt");
    kit_file_write(empty, "", 0);
    static const char *const patterns[] = {"", "/*.txt", "/[ac].*"};
    static const char *const expected[] = {"a.txt\nb.txt\nc.csv\n", "a.txt\nb.txt\n",
                                           "a.txt\nc.csv\n"};
    for (size_t i = 0; i < 3; i++) {
        SCOPED_TEXT char *pattern = format_text("%s%s", directory, patterns[i]);
        struct connector_kit *kit = make_kit(pattern, "1m", KIT_INLINE);
        struct split_list splits = {0};
        bool is_last = false;
        ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
        struct text out;
        text_init(&out, 1000);
        file_reader_read_all(kit, &splits, false, &out);
        ck_assert_str_eq(out.bytes, expected[i]);
        text_done(&out);
        split_list_done(&splits);
        connector_kit_destroy(kit);
    }
}
END_TEST

START_TEST(splits_have_numbers_and_end)
{
    SCOPED_TEXT char *first = path_of("1");
    SCOPED_TEXT char *second = path_of("2");
    kit_file_write(first, "a\nb\n", 4);
    kit_file_write(second, "c\n", 2);
    struct connector_kit *kit = make_kit(directory, "1m", KIT_INLINE);
    struct split_list splits = {0};
    bool is_last = false;
    struct error err;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, &err), STATUS_OK);
    ck_assert_uint_eq(splits.count, 2);
    void *reader = file_reader_open(kit, &splits);
    uint32_t at = 0;
    for (;;) {
        struct batch *batch = NULL;
        const enum poll poll = file_source()->reader.poll(reader, &kit->emitter, &batch, &err);
        if (poll == POLL_NEED_SPLITS)
            break;
        if (poll != POLL_BATCH)
            continue;
        ck_assert_uint_eq(batch->origin.split, at);
        for (uint32_t i = 0; i < 2; i++)
            ck_assert_int_eq(file_source()->reader.split_status(reader, i),
                             i <= at ? SPLIT_FINISHED : SPLIT_HAS_MORE);
        at++;
        batch_unref(batch);
    }
    ck_assert_uint_eq(at, 2);
    /* What comes later is numbered on. */
    ck_assert_int_eq(file_source()->reader.add_splits(reader, &splits, &err), STATUS_OK);
    ck_assert_int_eq(file_source()->reader.split_status(reader, 1), SPLIT_FINISHED);
    ck_assert_int_eq(file_source()->reader.split_status(reader, 2), SPLIT_HAS_MORE);
    file_reader_close(reader);
    split_list_done(&splits);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(a_missing_path_is_waited_for_or_refused)
{
    SCOPED_TEXT char *path = path_of("none");
    struct connector_kit *kit = make_kit(path, "1m", KIT_INLINE);
    struct split_list splits = {0};
    bool is_last = false;
    struct error err;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, &err), STATUS_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    kit->settings[kit->spec.setting_count++] =
        (struct setting){copy_text("connector.on_missing"), copy_text("fail")};
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, &err), STATUS_INVALID);
    connector_kit_destroy(kit);
    SCOPED_TEXT char *pattern = path_of("*.none");
    kit = make_kit(pattern, "1m", KIT_INLINE);
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, &err), STATUS_NOT_FOUND);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(watching_finds_new_files_and_ignores_changes)
{
    SCOPED_TEXT char *a = path_of("a");
    kit_file_write(a, "1\n", 2);
    struct connector_kit *kit =
        connector_kit_create(kit_schema("line STRING"), KIT_INLINE, "connector.path", directory,
                             "connector.watch", "10ms", "format", "raw", NULL);
    ck_assert(!file_source()->is_bounded(&kit->spec));
    void *enumerator = allocate(file_source()->enumerator.instance_size);
    ck_assert_int_eq(file_source()->enumerator.open(enumerator, &kit->spec, NULL), STATUS_OK);
    ck_assert_int_eq(file_source()->enumerator.interval_ms(enumerator), 10);
    struct split_list splits = {0};
    bool is_last = true;
    ck_assert_int_eq(file_source()->enumerator.discover(enumerator, &splits, &is_last, NULL),
                     STATUS_OK);
    ck_assert(!is_last);
    ck_assert_uint_eq(splits.count, 1);
    SCOPED_TEXT char *b = path_of("b");
    kit_file_write(a, "1\n2\n", 4);
    kit_file_write(b, "3\n", 2);
    ck_assert_int_eq(file_source()->enumerator.discover(enumerator, &splits, &is_last, NULL),
                     STATUS_OK);
    ck_assert_uint_eq(splits.count, 2);
    struct text out;
    text_init(&out, 100);
    file_reader_read_all(kit, &splits, false, &out);
    ck_assert_str_eq(out.bytes, "1\n3\n");
    text_done(&out);
    split_list_done(&splits);
    file_source()->enumerator.close(enumerator);
    free(enumerator);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(a_file_that_shrinks_or_vanishes_is_named_with_its_offset)
{
    SCOPED_TEXT char *path = path_of("in.txt");
    kit_file_write(path, "one\ntwo\nthree\n", 14);
    file_reader_set_block_bytes(4);
    struct connector_kit *kit = make_kit(path, "1m", KIT_INLINE);
    struct split_list splits = {0};
    bool is_last = false;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
    kit_file_write(path, "one\n", 4);
    struct text out;
    text_init(&out, 100);
    struct error err;
    void *reader = file_reader_open(kit, &splits);
    ck_assert_int_eq(file_reader_poll(kit, reader, &out, &err), POLL_FAILED);
    ck_assert_ptr_nonnull(
        strstr(err.message, "in.txt at byte 0: the file has shrunk from 14 to 4"));
    file_reader_close(reader);
    ck_assert_int_eq(unlink(path), 0);
    reader = file_reader_open(kit, &splits);
    ck_assert_int_eq(file_reader_poll(kit, reader, &out, &err), POLL_FAILED);
    ck_assert_ptr_nonnull(strstr(err.message, "in.txt at byte 0"));
    file_reader_close(reader);
    text_done(&out);
    split_list_done(&splits);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(bad_and_too_large_records_go_to_on_error_with_their_byte)
{
    SCOPED_TEXT char *path = path_of("in.txt");
    struct text text;
    text_init(&text, 1 << 20);
    text_append(&text, "good\nbad \xFF byte\nnul ");
    text_append_char(&text, '\0');
    text_append(&text, "\n");
    const size_t large_at = text.size;
    for (unsigned i = 0; i < 40000; i++)
        text_append_char(&text, 'x');
    text_append(&text, "\nlast");
    kit_file_write(path, text.bytes, text.size);
    static const uint32_t blocks[] = {64, 9000, 262144};
    for (size_t b = 0; b < 2; b++) {
        file_reader_set_block_bytes(blocks[b]);
        struct setting config = {"pipeline.max-record-size", "30000"};
        const struct job_graph job = {.config = &config, .config_count = 1};
        struct connector_kit *kit = make_kit(path, "1m", KIT_INLINE);
        kit->env.job = &job;
        kit->no_room_count = 1;
        struct split_list splits = {0};
        bool is_last = false;
        ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
        struct text out;
        text_init(&out, 1000);
        file_reader_read_all(kit, &splits, true, &out);
        ck_assert_uint_eq(out.size, 16);
        ck_assert(memcmp(out.bytes, "good\nnul \0\nlast\n", 16) == 0);
        ck_assert_uint_eq(kit->error_count, 2);
        ck_assert_str_eq(kit->errors[0].cause, "parse");
        ck_assert_int_eq(kit->errors[0].position, 5);
        ck_assert_uint_eq(kit->errors[0].raw_size, 10);
        ck_assert_ptr_nonnull(strstr(kit->errors[0].message, "0xFF at position 4"));
        ck_assert_str_eq(kit->errors[1].cause, "too_large");
        ck_assert_int_eq(kit->errors[1].position, (int64_t)large_at);
        text_done(&out);
        split_list_done(&splits);
        connector_kit_destroy(kit);
    }
    text_done(&text);
}
END_TEST

START_TEST(a_rate_spreads_lines_evenly)
{
    size_t size = 0;
    SCOPED_TEXT char *lines = make_lines(400, &size);
    SCOPED_TEXT char *path = path_of("in.txt");
    kit_file_write(path, lines, size);
    struct connector_kit *kit =
        connector_kit_create(kit_schema("line STRING"), KIT_INLINE, "connector.path", path,
                             "connector.rate", "1000", "format", "raw", NULL);
    kit->env.parallelism = 2;
    struct split_list splits = {0};
    bool is_last = false;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
    void *reader = file_reader_open(kit, &splits);
    uint32_t rows = 0;
    unsigned polls = 0;
    for (;; polls++) {
        struct batch *batch = NULL;
        const enum poll poll = file_source()->reader.poll(reader, &kit->emitter, &batch, NULL);
        if (poll == POLL_NEED_SPLITS)
            break;
        if (poll == POLL_BATCH) {
            ck_assert_uint_le(batch->row_count, 6);
            rows += batch->row_count;
            batch_unref(batch);
        } else if (poll == POLL_IDLE) {
            const int64_t next = file_source()->reader.next_wake_us(reader);
            ck_assert_int_gt(next, kit->clock.us);
            ck_assert_int_lt(next, kit->clock.us + 1000000);
            kit->clock.us = next;
        }
    }
    ck_assert_uint_eq(rows, 400);
    ck_assert_uint_lt(polls, 400);
    ck_assert_int_ge(kit->clock.us, 770000);
    ck_assert_int_le(kit->clock.us, 830000);
    file_source()->reader.close(reader);
    free(reader);
    split_list_done(&splits);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(a_damaged_split_state_is_refused)
{
    SCOPED_TEXT char *path = path_of("in.txt");
    kit_file_write(path, "a\nb\n", 4);
    struct connector_kit *kit = make_kit(path, "1m", KIT_INLINE);
    struct split_list splits = {0};
    bool is_last = false;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
    struct split_list none = {0};
    void *reader = file_reader_open(kit, &none);
    const size_t whole = splits.splits[0].state_size;
    struct error err;
    for (size_t size = 0; size < whole; size++) {
        splits.splits[0].state_size = size;
        ck_assert_int_eq(file_source()->reader.add_splits(reader, &splits, &err), STATUS_CORRUPT);
    }
    splits.splits[0].state_size = whole;
    /* A compression that is not known; a reserved byte, to which a later version may give a
     * meaning.
     */
    for (unsigned place = 2; place < 4; place++) {
        splits.splits[0].state[place] = 100;
        ck_assert_int_eq(file_source()->reader.add_splits(reader, &splits, &err), STATUS_CORRUPT);
        splits.splits[0].state[place] = 0;
    }
    splits.splits[0].state[0] = 9;
    ck_assert_int_eq(file_source()->reader.add_splits(reader, &splits, &err), STATUS_UNSUPPORTED);
    file_reader_close(reader);
    split_list_done(&splits);
    connector_kit_destroy(kit);
}
END_TEST

START_TEST(line_scan_kernels_agree)
{
    struct random random;
    random_init(&random, 3);
    char bytes[512 + 64];
    for (unsigned round = 0; round < 3000; round++) {
        const uint32_t size = (uint32_t)random_below(&random, 513);
        const uint64_t newline_every = 1 + random_below(&random, 90);
        for (uint32_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = random_below(&random, newline_every) == 0 ? '\n'
                       : random_below(&random, 50) == 0          ? '\xC3'
                                                                 : 'a';
        const uint32_t from = (uint32_t)random_below(&random, size + 1);
        const uint32_t capacity = 1 + (uint32_t)random_below(&random, 60);
        struct line_end expected[64];
        struct line_end lines[64];
        const struct line_scan scalar = line_scan_scalar(bytes, from, size, expected, capacity);
        static const unsigned features[] = {0, CPU_SSE42, CPU_SSE42 | CPU_AVX2};
        for (size_t f = 0; f < 3; f++) {
            const unsigned before = cpu_restrict(features[f]);
            const struct line_scan scan = line_scan(bytes, from, size, lines, capacity);
            (void)cpu_restrict(before);
            ck_assert_uint_eq(scan.count, scalar.count);
            ck_assert_uint_eq(scan.next, scalar.next);
            if (scan.count < capacity)
                ck_assert_uint_eq(scan.is_ascii, scalar.is_ascii);
            ck_assert(memcmp(lines, expected, scan.count * sizeof(lines[0])) == 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file source");
    TCase *files = tcase_create("file source");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, any_split_and_block_size_gives_each_line_once_in_order);
    tcase_add_test(files, a_restore_after_every_batch_gives_each_line_once);
    tcase_add_test(files, reads_ahead_on_another_thread);
    tcase_add_test(files, every_boundary_of_two_splits_gives_each_line_once);
    tcase_add_test(files, directories_and_globs_give_visible_files_by_name);
    tcase_add_test(files, splits_have_numbers_and_end);
    tcase_add_test(files, a_missing_path_is_waited_for_or_refused);
    tcase_add_test(files, watching_finds_new_files_and_ignores_changes);
    tcase_add_test(files, a_file_that_shrinks_or_vanishes_is_named_with_its_offset);
    tcase_add_test(files, bad_and_too_large_records_go_to_on_error_with_their_byte);
    tcase_add_test(files, a_rate_spreads_lines_evenly);
    tcase_add_test(files, a_damaged_split_state_is_refused);
    tcase_add_test(files, line_scan_kernels_agree);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
