/* The file sink: kills and recoveries at every step, names, rolling, if_exists, a full disk. */
#include "tests/kit/connector_kit.h"

#include "common/base/allocate.h"
#include "common/data/batch_builder.h"
#include "connectors/registry.h"

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *directory;

static void set_up(void)
{
    directory = kit_directory_make();
}

static void tear_down(void)
{
    kit_directory_remove(directory);
}

/* One attempt of one subtask. */
struct attempt {
    struct connector_kit *kit;
    void *sink;
};

static struct setting checkpoints = {"execution.checkpointing.interval", "1s"};
static const struct job_graph job_with_checkpoints = {.config = &checkpoints, .config_count = 1};

static const struct sink_writer_ops *ops(void)
{
    return &sink_connector_find(connector_registry_builtin(), "file")->writer;
}

#define UNTIL_DONE(attempt, call)                                                                  \
    do {                                                                                           \
        struct error err_;                                                                         \
        struct error *err = &err_;                                                                 \
        enum step step_;                                                                           \
        while ((step_ = (call)) == STEP_WAIT)                                                      \
            connector_kit_wait((attempt)->kit);                                                    \
        ck_assert_msg(step_ == STEP_DONE, "%s", err_.message);                                     \
    } while (0)

static struct attempt start_as(uint64_t id, uint32_t subtask, uint32_t parallelism,
                               enum kit_blocking blocking, const char *if_exists,
                               const struct job_graph *job)
{
    struct attempt attempt = {
        .kit = connector_kit_create(kit_schema("word STRING"), blocking, "connector.path",
                                    directory, "connector.roll_size", "100", "connector.if_exists",
                                    if_exists, "format", "csv", NULL)};
    attempt.kit->env.job = job;
    attempt.kit->env.attempt.value = id;
    attempt.kit->env.subtask_index = subtask;
    attempt.kit->env.parallelism = parallelism;
    memset(attempt.kit->env.job_id.value.bytes, 0xAB, 16);
    attempt.sink = allocate(ops()->instance_size);
    struct error err;
    ck_assert_msg(ops()->open(attempt.sink, &attempt.kit->env,
                              format_find(connector_registry_builtin(), "csv"), &err) == STATUS_OK,
                  "%s", err.message);
    return attempt;
}

static void recover(struct attempt *attempt, const struct kit_snapshot *from)
{
    const struct snapshot_reader reader = {from != NULL ? from->entries : NULL,
                                           from != NULL ? from->count : 0};
    UNTIL_DONE(attempt, ops()->recover(attempt->sink, &reader, err));
}

static struct attempt start(uint64_t id, const struct kit_snapshot *from)
{
    struct attempt attempt = start_as(id, 0, 1, KIT_THREAD, "append", &job_with_checkpoints);
    recover(&attempt, from);
    return attempt;
}

/* As after a kill: nothing is finished. */
static void stop(struct attempt *attempt)
{
    ops()->close(attempt->sink);
    free(attempt->sink);
    connector_kit_destroy(attempt->kit);
}

static void write_word(struct attempt *attempt, const char *word)
{
    struct batch_builder builder;
    batch_builder_init(&builder, attempt->kit->output.schema, NULL);
    batch_builder_bytes(&builder, 0, word, strlen(word));
    batch_builder_end_row(&builder, ROW_INSERT);
    struct batch *batch = batch_builder_take(&builder);
    UNTIL_DONE(attempt, ops()->write(attempt->sink, batch, &attempt->kit->emitter, err));
    batch_unref(batch);
    batch_builder_done(&builder);
}

static void barrier(struct attempt *attempt, uint64_t id, struct kit_snapshot *ret_snapshot)
{
    kit_snapshot_init(ret_snapshot);
    UNTIL_DONE(attempt, ops()->before_barrier(attempt->sink, err));
    ck_assert_int_eq(
        ops()->snapshot(attempt->sink, (struct checkpoint_id){id}, &ret_snapshot->writer, NULL),
        STATUS_OK);
}

static void complete(struct attempt *attempt, uint64_t id)
{
    UNTIL_DONE(attempt,
               ops()->checkpoint_completed(attempt->sink, (struct checkpoint_id){id}, err));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* "name=content;" of all visible files, and "(n hidden)". */
static char *listing(void)
{
    struct text out;
    text_init(&out, 1 << 16);
    struct dirent **entries = NULL;
    const int count = scandir(directory, &entries, NULL, by_name);
    ck_assert_int_ge(count, 0);
    unsigned hidden = 0;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (name[0] == '.') {
            hidden += name[1] == 'p';
        } else {
            SCOPED_TEXT char *path = format_text("%s/%s", directory, name);
            SCOPED_TEXT char *content = kit_file_read(path, NULL);
            for (char *c = content; *c != '\0'; c++)
                *c = *c == '\n' ? ' ' : *c;
            text_format(&out, "%s=%s;", name, content);
        }
        free(entries[i]);
    }
    free(entries);
    text_format(&out, "(%u hidden)", hidden);
    return out.bytes;
}

static void check_listing(const char *expected)
{
    SCOPED_TEXT char *found = listing();
    ck_assert_str_eq(found, expected);
}

START_TEST(a_file_is_visible_only_when_its_checkpoint_is_complete)
{
    struct kit_snapshot one;
    struct kit_snapshot two;
    struct attempt attempt = start(1, NULL);
    write_word(&attempt, "a");
    write_word(&attempt, "b");
    check_listing("(0 hidden)");
    barrier(&attempt, 1, &one);
    check_listing("(1 hidden)");
    write_word(&attempt, "c");
    complete(&attempt, 1);
    check_listing("part-abababab-0-0.csv=a b ;(0 hidden)");
    barrier(&attempt, 2, &two);
    complete(&attempt, 2);
    complete(&attempt, 2);
    check_listing("part-abababab-0-0.csv=a b ;part-abababab-0-1.csv=c ;(0 hidden)");
    struct kit_snapshot three;
    barrier(&attempt, 3, &three);
    complete(&attempt, 3);
    ck_assert_uint_eq(three.count, 1); /* an empty epoch makes no file */
    check_listing("part-abababab-0-0.csv=a b ;part-abababab-0-1.csv=c ;(0 hidden)");
    stop(&attempt);
    kit_snapshot_done(&one);
    kit_snapshot_done(&two);
    kit_snapshot_done(&three);
}
END_TEST

START_TEST(a_kill_after_the_checkpoint_is_finished_by_the_next_attempt)
{
    struct kit_snapshot snapshot;
    struct attempt attempt = start(1, NULL);
    write_word(&attempt, "a");
    barrier(&attempt, 1, &snapshot);
    write_word(&attempt, "lost");
    stop(&attempt);
    attempt = start(2, &snapshot);
    check_listing("part-abababab-0-0.csv=a ;(0 hidden)");
    struct kit_snapshot next;
    write_word(&attempt, "b");
    barrier(&attempt, 2, &next);
    complete(&attempt, 2);
    check_listing("part-abababab-0-0.csv=a ;part-abababab-0-1.csv=b ;(0 hidden)");
    stop(&attempt);
    /* The same again: nothing changes. */
    attempt = start(3, &next);
    check_listing("part-abababab-0-0.csv=a ;part-abababab-0-1.csv=b ;(0 hidden)");
    stop(&attempt);
    kit_snapshot_done(&snapshot);
    kit_snapshot_done(&next);
}
END_TEST

START_TEST(a_kill_before_completion_leaves_nothing_behind)
{
    struct kit_snapshot one;
    struct kit_snapshot two;
    struct attempt attempt = start(1, NULL);
    write_word(&attempt, "a");
    barrier(&attempt, 1, &one);
    complete(&attempt, 1);
    write_word(&attempt, "b");
    barrier(&attempt, 2, &two); /* never completed */
    for (unsigned i = 0; i < 60; i++)
        write_word(&attempt, "more than the roll size");
    stop(&attempt);
    attempt = start(2, &one);
    check_listing("part-abababab-0-0.csv=a ;(0 hidden)");
    write_word(&attempt, "b");
    struct kit_snapshot again;
    barrier(&attempt, 3, &again);
    complete(&attempt, 3);
    check_listing("part-abababab-0-0.csv=a ;part-abababab-0-1.csv=b ;(0 hidden)");
    stop(&attempt);
    kit_snapshot_done(&one);
    kit_snapshot_done(&two);
    kit_snapshot_done(&again);
}
END_TEST

START_TEST(a_zombie_that_commits_too_changes_nothing)
{
    struct kit_snapshot snapshot;
    struct attempt zombie = start(1, NULL);
    write_word(&zombie, "a");
    barrier(&zombie, 1, &snapshot);
    struct attempt attempt = start(2, &snapshot);
    complete(&zombie, 1);
    check_listing("part-abababab-0-0.csv=a ;(0 hidden)");
    stop(&zombie);
    stop(&attempt);
    kit_snapshot_done(&snapshot);
}
END_TEST

START_TEST(fewer_subtasks_finish_the_files_of_more)
{
    struct kit_snapshot all;
    kit_snapshot_init(&all);
    struct attempt attempts[3];
    for (uint32_t i = 0; i < 3; i++) {
        attempts[i] = start_as(1 + i, i, 3, KIT_INLINE, "append", &job_with_checkpoints);
        recover(&attempts[i], NULL);
        write_word(&attempts[i], i == 0 ? "a" : i == 1 ? "b" : "c");
        struct kit_snapshot part;
        barrier(&attempts[i], 1, &part);
        for (size_t k = 0; k < part.count; k++)
            all.writer.put(&all.writer, part.entries[k].name, OPERATOR_STATE_UNION,
                           part.entries[k].bytes, part.entries[k].size);
        kit_snapshot_done(&part);
    }
    for (uint32_t i = 0; i < 3; i++)
        stop(&attempts[i]);
    for (uint32_t i = 0; i < 2; i++) {
        attempts[i] = start_as(10 + i, i, 2, KIT_INLINE, "append", &job_with_checkpoints);
        recover(&attempts[i], &all);
    }
    check_listing("part-abababab-0-0.csv=a ;part-abababab-1-0.csv=b ;part-abababab-2-0.csv=c ;"
                  "(0 hidden)");
    stop(&attempts[0]);
    stop(&attempts[1]);
    kit_snapshot_done(&all);
}
END_TEST

START_TEST(files_roll_at_their_size)
{
    struct kit_snapshot snapshot;
    struct attempt attempt = start(1, NULL);
    for (unsigned i = 0; i < 11; i++)
        write_word(&attempt, "0123456789012345678901234567890123456789");
    barrier(&attempt, 1, &snapshot);
    ck_assert_uint_eq(snapshot.count, 5); /* 3 rows a file */
    complete(&attempt, 1);
    SCOPED_TEXT char *last = format_text("%s/part-abababab-0-3.csv", directory);
    struct stat status;
    ck_assert_int_eq(stat(last, &status), 0);
    ck_assert_int_eq(status.st_size, 2 * 41);
    stop(&attempt);
    kit_snapshot_done(&snapshot);
}
END_TEST

START_TEST(without_checkpoints_the_end_commits)
{
    for (unsigned round = 0; round < 2; round++) {
        struct attempt attempt = start_as(1 + round, 0, 1, KIT_THREAD, "append", NULL);
        recover(&attempt, NULL);
        write_word(&attempt, round == 0 ? "a" : "b");
        UNTIL_DONE(&attempt, ops()->finish(attempt.sink, err));
        stop(&attempt);
    }
    /* A second run from the start steps over what is there. */
    check_listing("part-abababab-0-0.csv=a ;part-abababab-0-1.csv=b ;(0 hidden)");
}
END_TEST

START_TEST(with_checkpoints_the_end_waits_for_one)
{
    struct kit_snapshot snapshot;
    struct attempt attempt = start(1, NULL);
    write_word(&attempt, "a");
    UNTIL_DONE(&attempt, ops()->finish(attempt.sink, err));
    check_listing("(1 hidden)");
    barrier(&attempt, 1, &snapshot);
    complete(&attempt, 1);
    check_listing("part-abababab-0-0.csv=a ;(0 hidden)");
    stop(&attempt);
    kit_snapshot_done(&snapshot);
}
END_TEST

START_TEST(an_existing_file_is_never_replaced)
{
    struct kit_snapshot snapshot;
    struct attempt attempt = start(1, NULL);
    write_word(&attempt, "a");
    barrier(&attempt, 1, &snapshot);
    SCOPED_TEXT char *other = format_text("%s/part-abababab-0-0.csv", directory);
    kit_file_write(other, "other", 5);
    struct error err;
    enum step step = STEP_WAIT;
    while ((step = ops()->checkpoint_completed(attempt.sink, (struct checkpoint_id){1}, &err)) ==
           STEP_WAIT)
        connector_kit_wait(attempt.kit);
    ck_assert_int_eq(step, STEP_FAILED);
    ck_assert_ptr_nonnull(strstr(err.message, "exists and is another file"));
    check_listing("part-abababab-0-0.csv=other;(1 hidden)");
    stop(&attempt);
    kit_snapshot_done(&snapshot);
}
END_TEST

START_TEST(if_exists_appends_fails_or_replaces)
{
    SCOPED_TEXT char *old = format_text("%s/part-12345678-0-0.csv", directory);
    SCOPED_TEXT char *mine = format_text("%s/notes.txt", directory);
    kit_file_write(old, "old", 3);
    kit_file_write(mine, "mine", 4);
    struct attempt attempt = start_as(1, 0, 1, KIT_INLINE, "append", NULL);
    recover(&attempt, NULL);
    check_listing("notes.txt=mine;part-12345678-0-0.csv=old;(0 hidden)");
    stop(&attempt);
    attempt = start_as(1, 0, 1, KIT_INLINE, "fail", NULL);
    struct error err;
    ck_assert_int_eq(ops()->recover(attempt.sink, NULL, &err), STEP_FAILED);
    ck_assert_ptr_nonnull(strstr(err.message, "if_exists is fail"));
    stop(&attempt);
    attempt = start_as(1, 0, 1, KIT_INLINE, "replace", NULL);
    recover(&attempt, NULL);
    check_listing("notes.txt=mine;(0 hidden)");
    stop(&attempt);
}
END_TEST

START_TEST(a_directory_that_cannot_be_written_is_named)
{
    SCOPED_TEXT char *file = format_text("%s/file", directory);
    kit_file_write(file, "", 0);
    char *whole = directory;
    directory = format_text("%s/file/below", whole);
    struct attempt attempt = start_as(1, 0, 1, KIT_INLINE, "append", NULL);
    struct error err;
    ck_assert_int_eq(ops()->recover(attempt.sink, NULL, &err), STEP_FAILED);
    ck_assert_ptr_nonnull(strstr(err.message, "file/below"));
    stop(&attempt);
    free(directory);
    directory = whole;
}
END_TEST

START_TEST(damaged_pending_state_is_refused)
{
    struct attempt attempt = start_as(1, 0, 1, KIT_INLINE, "append", NULL);
    const struct snapshot_entry entry = {"pending", "\x01short", 6};
    const struct snapshot_reader reader = {&entry, 1};
    struct error err;
    ck_assert_int_eq(ops()->recover(attempt.sink, &reader, &err), STEP_FAILED);
    ck_assert_int_eq(err.code, STATUS_CORRUPT);
    stop(&attempt);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("file sink");
    TCase *cases = tcase_create("file sink");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, a_file_is_visible_only_when_its_checkpoint_is_complete);
    tcase_add_test(cases, a_kill_after_the_checkpoint_is_finished_by_the_next_attempt);
    tcase_add_test(cases, a_kill_before_completion_leaves_nothing_behind);
    tcase_add_test(cases, a_zombie_that_commits_too_changes_nothing);
    tcase_add_test(cases, fewer_subtasks_finish_the_files_of_more);
    tcase_add_test(cases, files_roll_at_their_size);
    tcase_add_test(cases, without_checkpoints_the_end_commits);
    tcase_add_test(cases, with_checkpoints_the_end_waits_for_one);
    tcase_add_test(cases, an_existing_file_is_never_replaced);
    tcase_add_test(cases, if_exists_appends_fails_or_replaces);
    tcase_add_test(cases, a_directory_that_cannot_be_written_is_named);
    tcase_add_test(cases, damaged_pending_state_is_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
