/* jobmanager/checkpoint: _metadata, the coordinator's answers, the registry of shared files. */
#include "common/base/allocate.h"
#include "jobmanager/checkpoint/coordinator.h"
#include "jobmanager/checkpoint/metadata_codec.h"

#include <check.h>
#include <string.h>

static struct task_state state_with(uint64_t attempt, const char *path)
{
    struct task_state state = {.attempt = {attempt}};
    state.keyed.backend = copy_text("memory");
    state.keyed.meta = copy_text("");
    state.keyed.files = allocate(sizeof(*state.keyed.files));
    state.keyed.file_count = 1;
    state.keyed.files[0] = (struct state_file){.path = copy_text(path),
                                               .name = copy_text("f"),
                                               .size = 3,
                                               .is_shared = strncmp(path, "shared/", 7) == 0};
    return state;
}

static enum acknowledge_result acknowledge(struct coordinator *coordinator, uint64_t id,
                                           uint64_t attempt, const char *path,
                                           struct path_list *gone)
{
    struct error err;
    struct task_state state = state_with(attempt, path);
    return coordinator_acknowledge(coordinator, (struct checkpoint_id){id}, 0,
                                   (struct attempt_id){attempt}, &state, 0, gone, &err);
}

static void begin(struct coordinator *coordinator, uint64_t id)
{
    const struct attempt_id attempt = {7};
    coordinator_begin(coordinator, (struct checkpoint_id){id}, false, &attempt, 1, NULL, 0, 0, 0);
}

static void complete(struct coordinator *coordinator, uint64_t id, const char *path,
                     struct path_list *gone)
{
    begin(coordinator, id);
    ck_assert_int_eq(acknowledge(coordinator, id, 7, path, gone), ACKNOWLEDGE_ALL);
    coordinator->pending->phase = PENDING_STORING;
    coordinator_complete(coordinator, 0, gone);
}

START_TEST(acknowledgements_have_rules)
{
    struct coordinator coordinator;
    struct path_list gone = {0};
    coordinator_init(&coordinator, 3);
    begin(&coordinator, 1);
    ck_assert_int_eq(acknowledge(&coordinator, 1, 6, "shared/6/a", &gone), ACKNOWLEDGE_STALE);
    ck_assert_int_eq(acknowledge(&coordinator, 1, 7, "shared/6/a", &gone), ACKNOWLEDGE_INVALID);
    ck_assert_int_eq(acknowledge(&coordinator, 1, 7, "chk-2/a", &gone), ACKNOWLEDGE_INVALID);
    ck_assert_uint_eq(gone.count, 0);
    ck_assert_int_eq(acknowledge(&coordinator, 1, 7, "shared/7/a", &gone), ACKNOWLEDGE_ALL);
    ck_assert_int_eq(acknowledge(&coordinator, 1, 7, "shared/7/a", &gone), ACKNOWLEDGE_DUPLICATE);
    coordinator_abort(&coordinator, "test", 0, &gone);
    ck_assert_uint_eq(gone.count, 1);
    ck_assert_str_eq(gone.paths[0], "shared/7/a");
    /* What was deleted may not come back. */
    begin(&coordinator, 2);
    ck_assert_int_eq(acknowledge(&coordinator, 2, 7, "shared/7/a", &gone), ACKNOWLEDGE_INVALID);
    ck_assert_int_eq(acknowledge(&coordinator, 1, 7, "shared/7/b", &gone), ACKNOWLEDGE_LATE);
    ck_assert_str_eq(gone.paths[1], "shared/7/b");
    path_list_done(&gone);
    coordinator_done(&coordinator);
}
END_TEST

START_TEST(shared_files_live_as_long_as_they_are_named)
{
    struct coordinator coordinator;
    struct path_list gone = {0};
    coordinator_init(&coordinator, 2);
    complete(&coordinator, 1, "shared/7/a", &gone);
    complete(&coordinator, 2, "shared/7/a", &gone);
    complete(&coordinator, 3, "shared/7/b", &gone);
    ck_assert_uint_eq(gone.count, 1);
    ck_assert_str_eq(gone.paths[0], "chk-1/");
    complete(&coordinator, 4, "shared/7/b", &gone);
    ck_assert_uint_eq(gone.count, 3);
    ck_assert_str_eq(gone.paths[1], "shared/7/a");
    ck_assert_str_eq(gone.paths[2], "chk-2/");
    uint64_t ids[4];
    ck_assert_uint_eq(coordinator_list_ids(&coordinator, ids, 4), 2);
    ck_assert_uint_eq(ids[1], 4);
    path_list_done(&gone);
    coordinator_done(&coordinator);
}
END_TEST

START_TEST(metadata_survives_and_damage_is_found)
{
    struct completed_checkpoint *checkpoint = allocate(sizeof(*checkpoint));
    checkpoint->id.value = 9;
    checkpoint->tasks = allocate(sizeof(*checkpoint->tasks));
    checkpoint->tasks[0] = state_with(7, "shared/7/a");
    checkpoint->task_count = 1;
    struct checkpoint_metadata metadata = {
        .job.value.bytes = {1}, .graph = copy_text("g"), .graph_size = 1, .checkpoint = checkpoint};
    struct text text;
    struct error err;
    struct checkpoint_metadata decoded = {0};
    text_init(&text, 100000);
    checkpoint_metadata_encode(&metadata, "1.2.3", &text);
    ck_assert_mem_eq(text.bytes, "MSCHKPT1\1\0\0\0", 12);
    ck_assert_mem_eq(text.bytes + 24, "1.2.3\0", 6);
    ck_assert_int_eq(checkpoint_metadata_decode(text.bytes, text.size, "x", &decoded, &err),
                     STATUS_OK);
    ck_assert_uint_eq(decoded.checkpoint->id.value, 9);
    ck_assert_str_eq(decoded.checkpoint->tasks[0].keyed.files[0].path, "shared/7/a");
    checkpoint_metadata_done(&decoded);
    for (size_t i = 0; i < text.size; i++) {
        text.bytes[i] ^= 0x20;
        ck_assert_int_ne(checkpoint_metadata_decode(text.bytes, text.size, "x", &decoded, &err),
                         STATUS_OK);
        text.bytes[i] ^= 0x20;
        ck_assert_int_ne(checkpoint_metadata_decode(text.bytes, i, "x", &decoded, &err), STATUS_OK);
    }
    text_done(&text);
    checkpoint_metadata_done(&metadata);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, acknowledgements_have_rules);
    tcase_add_test(cases, shared_files_live_as_long_as_they_are_named);
    tcase_add_test(cases, metadata_survives_and_damage_is_found);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
