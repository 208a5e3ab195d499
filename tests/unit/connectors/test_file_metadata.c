/* Metadata columns of the file source: path, name, size, and the offset of each record. */
#include "tests/kit/file_reading.h"

#include "common/base/allocate.h"
#include "connectors/file/file.h"

#include <check.h>
#include <string.h>

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

/* A reader that has been given all splits, of which there must be more than so many. */
static void *open_reader(struct connector_kit *kit, size_t more_than)
{
    struct split_list splits = {0};
    bool is_last = false;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
    ck_assert_uint_gt(splits.count, more_than);
    void *reader = file_reader_open(kit, &splits);
    split_list_done(&splits);
    return reader;
}

/* All rows of a file as texts, one a line. */
static void read_all_rows(struct connector_kit *kit, struct text *out)
{
    void *reader = open_reader(kit, 0);
    for (;;) {
        struct batch *batch = NULL;
        const enum poll poll = file_source()->reader.poll(reader, &kit->emitter, &batch, NULL);
        if (poll == POLL_NEED_SPLITS)
            break;
        ck_assert(poll == POLL_BATCH || poll == POLL_AGAIN || poll == POLL_IDLE);
        for (uint32_t row = 0; batch != NULL && row < batch->row_count; row++) {
            batch_format_row(batch, row, out);
            text_append_char(out, '\n');
        }
        batch_unref(batch);
    }
    file_reader_close(reader);
}

START_TEST(metadata_gives_path_name_size_and_offset)
{
    SCOPED_TEXT char *path = path_of("in.txt");
    kit_file_write(path, "a\n\nbcd\ne", 8);
    struct connector_kit *kit = connector_kit_create(
        kit_schema("file STRING, line STRING, at BIGINT, name STRING, size BIGINT NOT NULL"),
        KIT_INLINE, "connector.path", path, "format", "raw", "metadata.file", "file.path",
        "metadata.at", "file.offset", "metadata.name", "file.name", "metadata.size", "file.size",
        NULL);
    struct text out SCOPED_TEXT_BUFFER;
    text_init(&out, 10000);
    read_all_rows(kit, &out);
    SCOPED_TEXT char *expected =
        format_text("+I[%s, a, 0, in.txt, 8]\n+I[%s, , 2, in.txt, 8]\n+I[%s, bcd, 3, in.txt, 8]\n"
                    "+I[%s, e, 7, in.txt, 8]\n",
                    path, path, path, path);
    ck_assert_str_eq(out.bytes, expected);
    connector_kit_destroy(kit);
}
END_TEST

/* Records of several lines, blank lines, a header, blocks of a few bytes: each offset is where the
 * record's text begins in the file. */
START_TEST(offsets_of_records_that_are_no_lines)
{
    SCOPED_TEXT char *path = path_of("in.csv");
    static const char csv[] = "a,b\n1,\"x\ny\"\n\n2,z\r\n3,\"\n\n\n\"\n4,w";
    kit_file_write(path, csv, sizeof(csv) - 1);
    static const uint32_t block_bytes[] = {3, 7, 65536};
    for (size_t i = 0; i < 3; i++) {
        file_reader_set_block_bytes(block_bytes[i]);
        struct connector_kit *kit = connector_kit_create(
            kit_schema("a INT, b STRING, at BIGINT"), KIT_INLINE, "connector.path", path, "format",
            "csv", "format.header", "true", "metadata.at", "file.offset", NULL);
        struct text out SCOPED_TEXT_BUFFER;
        text_init(&out, 10000);
        read_all_rows(kit, &out);
        ck_assert_str_eq(out.bytes, "+I[1, x\ny, 4]\n+I[2, z, 13]\n+I[3, \n\n\n, 18]\n"
                                    "+I[4, w, 26]\n");
        connector_kit_destroy(kit);
    }
    file_reader_set_block_bytes(65536);
}
END_TEST

/* More rows than a batch holds, in splits of a few records. */
START_TEST(offsets_over_batches_and_splits)
{
    SCOPED_TEXT char *path = path_of("in.txt");
    struct text content SCOPED_TEXT_BUFFER;
    text_init(&content, 1 << 20);
    for (unsigned i = 0; i < 9000; i++)
        text_format(&content, "%zu\n", content.size);
    kit_file_write(path, content.bytes, content.size);
    struct connector_kit *kit = connector_kit_create(
        kit_schema("line BIGINT, at BIGINT"), KIT_INLINE, "connector.path", path,
        "connector.split_size", "10k", "format", "csv", "metadata.at", "file.offset", NULL);
    void *reader = open_reader(kit, 3);
    unsigned rows = 0;
    for (enum poll poll = POLL_AGAIN; poll != POLL_NEED_SPLITS;) {
        struct batch *batch = NULL;
        poll = file_source()->reader.poll(reader, &kit->emitter, &batch, NULL);
        for (uint32_t row = 0; batch != NULL && row < batch->row_count; row++, rows++)
            ck_assert_int_eq(((const int64_t *)batch->columns[0]->values)[row],
                             ((const int64_t *)batch->columns[1]->values)[row]);
        batch_unref(batch);
    }
    ck_assert_uint_eq(rows, 9000);
    file_reader_close(reader);
    connector_kit_destroy(kit);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file metadata");
    TCase *cases = tcase_create("file metadata");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, metadata_gives_path_name_size_and_offset);
    tcase_add_test(cases, offsets_of_records_that_are_no_lines);
    tcase_add_test(cases, offsets_over_batches_and_splits);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
