/* Compressed files: reading them in any pieces, restores, damage, and what the sink writes. */
#include "tests/kit/file_reading.h"

#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/batch_builder.h"
#include "connectors/compression/compression.h"
#include "connectors/file/file.h"
#include "connectors/registry.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

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

static const enum compression kinds[] = {COMPRESSION_GZIP, COMPRESSION_ZSTD};

/* Lines as several frames. */
static void make_frames(enum compression kind, unsigned frame_count, struct text *lines,
                        struct text *ret_frames)
{
    struct random random;
    random_init(&random, frame_count);
    struct compressor *compressor = compressor_create(kind);
    text_init(lines, 1 << 24);
    text_init(ret_frames, 1 << 24);
    for (unsigned frame = 0; frame < frame_count; frame++) {
        const size_t first = lines->size;
        for (unsigned i = 0; i < 200; i++)
            text_format(lines, "%u line %llu\n", frame,
                        (unsigned long long)random_below(&random, UINT32_MAX));
        /* In two pieces, the second of which ends the frame. */
        const size_t half = (lines->size - first) / 2;
        ck_assert_int_eq(
            compressor_write(compressor, lines->bytes + first, half, false, ret_frames, NULL),
            STATUS_OK);
        ck_assert_int_eq(compressor_write(compressor, lines->bytes + first + half,
                                          lines->size - first - half, true, ret_frames, NULL),
                         STATUS_OK);
    }
    compressor_destroy(compressor);
}

static enum poll read_path(const char *path, bool restore_each, struct text *out, struct error *err)
{
    struct connector_kit *kit =
        connector_kit_create(kit_schema("line STRING"), KIT_INLINE, "connector", "file",
                             "connector.path", path, "format", "raw", NULL);
    struct split_list splits = {0};
    bool is_last = false;
    ck_assert_int_eq(file_source_discover(kit, &splits, &is_last, NULL), STATUS_OK);
    ck_assert_uint_eq(splits.count, 1);
    const enum poll poll = file_reader_poll_all(kit, &splits, restore_each, out, err);
    split_list_done(&splits);
    connector_kit_destroy(kit);
    return poll;
}

static char *path_of(enum compression kind)
{
    return format_text("%s/in.txt%s", directory, compression_extension(kind));
}

START_TEST(any_frames_and_blocks_give_each_line_once)
{
    static const uint32_t blocks[] = {61, 4096, 262144};
    for (size_t i = 0; i < 18; i++) {
        const enum compression kind = kinds[i % 2];
        file_reader_set_block_bytes(blocks[i / 2 % 3]);
        SCOPED_TEXT_BUFFER struct text lines;
        SCOPED_TEXT_BUFFER struct text frames;
        make_frames(kind, i < 6 ? 1 : 7, &lines, &frames);
        SCOPED_TEXT char *path = path_of(kind);
        kit_file_write(path, frames.bytes, frames.size);
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, 1 << 24);
        struct error err;
        ck_assert_msg(read_path(path, i >= 12, &out, &err) == POLL_NEED_SPLITS, "%s", err.message);
        ck_assert_uint_eq(out.size, lines.size);
        ck_assert(memcmp(out.bytes, lines.bytes, lines.size) == 0);
    }
}
END_TEST

START_TEST(a_cut_file_is_named_with_its_byte)
{
    for (size_t k = 0; k < 2; k++) {
        SCOPED_TEXT_BUFFER struct text lines;
        SCOPED_TEXT_BUFFER struct text frames;
        make_frames(kinds[k], 1, &lines, &frames);
        SCOPED_TEXT char *path = path_of(kinds[k]);
        for (size_t size = 1; size < frames.size; size += 97) {
            kit_file_write(path, frames.bytes, size);
            SCOPED_TEXT_BUFFER struct text out;
            text_init(&out, 1 << 24);
            struct error err;
            ck_assert_int_eq(read_path(path, false, &out, &err), POLL_FAILED);
            SCOPED_TEXT char *expected =
                format_text("%s: the file ends at byte %zu within compressed data", path, size);
            ck_assert_msg(strstr(err.message, expected) != NULL, "%s", err.message);
            ck_assert(memcmp(out.bytes, lines.bytes, out.size) == 0);
        }
    }
}
END_TEST

/* Both formats have checksums of the content, so that no flipped byte of it passes; flips in fields
 * that decoding does not need (gzip's time, operating system) may. */
START_TEST(a_flipped_byte_never_gives_other_lines)
{
    for (size_t k = 0; k < 2; k++) {
        SCOPED_TEXT_BUFFER struct text lines;
        SCOPED_TEXT_BUFFER struct text frames;
        make_frames(kinds[k], 1, &lines, &frames);
        SCOPED_TEXT char *path = path_of(kinds[k]);
        unsigned refused = 0;
        for (size_t at = 0; at < frames.size; at += 13) {
            frames.bytes[at] = (char)(frames.bytes[at] ^ 0x10);
            kit_file_write(path, frames.bytes, frames.size);
            SCOPED_TEXT_BUFFER struct text out;
            text_init(&out, 1 << 24);
            struct error err;
            if (read_path(path, false, &out, &err) == POLL_FAILED) {
                refused++;
                ck_assert_msg(strstr(err.message, path) != NULL, "%s", err.message);
            } else {
                ck_assert_uint_eq(out.size, lines.size);
                ck_assert(memcmp(out.bytes, lines.bytes, lines.size) == 0);
            }
            frames.bytes[at] = (char)(frames.bytes[at] ^ 0x10);
        }
        ck_assert_uint_gt(refused, 0);
    }
}
END_TEST

START_TEST(a_frame_with_a_large_window_is_refused)
{
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27)));
    ck_assert(!ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)));
    char frame[1000];
    ZSTD_inBuffer from = {.src = "a\n", .size = 2};
    ZSTD_outBuffer to = {.dst = frame, .size = sizeof(frame)};
    /* Without the size of the content the header names the window. */
    ck_assert(!ZSTD_isError(ZSTD_compressStream2(context, &to, &from, ZSTD_e_flush)));
    ck_assert_uint_eq(ZSTD_compressStream2(context, &to, &from, ZSTD_e_end), 0);
    ZSTD_freeCCtx(context);
    SCOPED_TEXT char *path = path_of(COMPRESSION_ZSTD);
    kit_file_write(path, frame, to.pos);
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, 1000);
    struct error err;
    ck_assert_int_eq(read_path(path, false, &out, &err), POLL_FAILED);
    ck_assert_msg(strstr(err.message, "window above 8 MiB") != NULL, "%s", err.message);
}
END_TEST

static void write_words(struct connector_kit *kit, const struct sink_writer_ops *ops, void *sink,
                        unsigned count)
{
    struct error err;
    struct batch_builder builder;
    batch_builder_init(&builder, kit->output.schema, NULL);
    for (unsigned i = 0; i < count; i++) {
        char word[32];
        const int size = snprintf(word, sizeof(word), "word%u", i);
        batch_builder_bytes(&builder, 0, word, (size_t)size);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    ck_assert_int_eq(ops->write(sink, batch, &kit->emitter, &err), STEP_DONE);
    batch_unref(batch);
    batch_builder_done(&builder);
}

/* Reads all files of the directory, whose names must end as said; returns the lines. */
static unsigned count_lines(const char *extension)
{
    unsigned lines = 0;
    DIR *open = opendir(directory);
    const struct dirent *entry;
    while ((entry = readdir(open)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        ck_assert_msg(strstr(entry->d_name, extension) != NULL, "%s", entry->d_name);
        SCOPED_TEXT char *path = format_text("%s/%s", directory, entry->d_name);
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, 1 << 24);
        struct error err;
        ck_assert_msg(read_path(path, false, &out, &err) == POLL_NEED_SPLITS, "%s", err.message);
        for (size_t i = 0; i < out.size; i++)
            lines += out.bytes[i] == '\n';
    }
    ck_assert_int_eq(closedir(open), 0);
    return lines;
}

START_TEST(the_sink_writes_whole_streams)
{
    static const char *const names[] = {"gzip", "zstd"};
    static const char *const extensions[] = {".csv.gz", ".csv.zst"};
    const struct sink_writer_ops *ops =
        &sink_connector_find(connector_registry_builtin(), "file")->writer;
    for (size_t k = 0; k < 2; k++) {
        struct connector_kit *kit =
            connector_kit_create(kit_schema("word STRING"), KIT_INLINE, "connector.path", directory,
                                 "connector.roll_size", "10k", "connector.if_exists", "replace",
                                 "connector.compression", names[k], "format", "csv", NULL);
        kit->env.job_id.value.bytes[0] = (uint8_t)(k + 1); /* replace keeps a job's own files */
        void *sink = allocate(ops->instance_size);
        struct error err;
        ck_assert_int_eq(
            ops->open(sink, &kit->env, format_find(connector_registry_builtin(), "csv"), &err),
            STATUS_OK);
        const struct snapshot_reader none = {0};
        ck_assert_int_eq(ops->recover(sink, &none, &err), STEP_DONE);
        for (unsigned i = 0; i < 10; i++)
            write_words(kit, ops, sink, 400);
        ck_assert_int_eq(ops->finish(sink, &err), STEP_DONE);
        ops->close(sink);
        free(sink);
        connector_kit_destroy(kit);
        ck_assert_uint_eq(count_lines(extensions[k]), 4000);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("compressed_files");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, set_up, tear_down);
    tcase_set_timeout(files, 30);
    tcase_add_test(files, any_frames_and_blocks_give_each_line_once);
    tcase_add_test(files, a_cut_file_is_named_with_its_byte);
    tcase_add_test(files, a_flipped_byte_never_gives_other_lines);
    tcase_add_test(files, a_frame_with_a_large_window_is_refused);
    tcase_add_test(files, the_sink_writes_whole_streams);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
