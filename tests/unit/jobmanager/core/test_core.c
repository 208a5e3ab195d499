/* jobmanager/core: registration, waiting for slots, state tables, restarts. The protocols as a
 * whole are the simulator's (tests/sim). */
#include "common/base/allocate.h"
#include "jobmanager/core/restart_strategy.h"
#include "jobmanager/core/snapshot.h"
#include "jobmanager/core/split_assigner.h"

#include <check.h>
#include <string.h>

static struct core *make_core(struct core_output *output)
{
    struct core_config config;
    core_config_init(&config);
    config.cluster_id = (char *)"blue";
    config.host = (char *)"jm-host";
    config.checkpoint_directory = (char *)"/data/chk";
    config.token = (char *)"secret";
    config.leader_epoch = 1;
    config.incarnation.bytes[0] = 1;
    struct core *core = core_create(&config, 1);
    struct core_event event = {.kind = CORE_EVENT_START};
    core_step(core, &event, 0, 0, output);
    event = (struct core_event){.kind = CORE_EVENT_STORAGE_DONE};
    event.storage.request = 1;
    core_step(core, &event, 0, 0, output);
    ck_assert(core_is_ready(core));
    core_output_clear(output);
    return core;
}

static void register_process(struct core *core, uint8_t incarnation, const char *cluster,
                             const char *token, uint32_t minor, uint64_t connection, int64_t now_ms,
                             struct core_output *output)
{
    struct core_event event = {.kind = CORE_EVENT_OPENED, .connection = connection};
    core_step(core, &event, now_ms, now_ms, output);
    struct message *message = message_create(MESSAGE_REGISTER);
    message->sequence = 1;
    message->sender.bytes[0] = incarnation;
    message->registration = (struct message_register){
        .protocol_major = RPC_PROTOCOL_MAJOR,
        .protocol_minor = minor,
        .version = copy_text("1"),
        .cluster_id = copy_text(cluster),
        .name = copy_text("tm"),
        .host = copy_text("tm-host"),
        .data_address = copy_text("tm-host:1"),
        .slot_count = 2,
        .checkpoint_directory = copy_text("/mnt/chk"),
        .token = copy_text(token),
        .token_error = copy_text(""),
    };
    event = (struct core_event){
        .kind = CORE_EVENT_MESSAGE, .connection = connection, .message = message};
    core_step(core, &event, now_ms, now_ms, output);
}

static void register_from(struct core *core, const char *cluster, const char *token, uint32_t minor,
                          uint64_t connection, struct core_output *output)
{
    register_process(core, 7, cluster, token, minor, connection, 1, output);
}

/* The text of the refusal, or NULL. */
static const char *refusal(const struct core_output *output)
{
    for (size_t i = 0; i < output->count; i++)
        if (output->actions[i].kind == CORE_SEND &&
            output->actions[i].message->kind == MESSAGE_REFUSED)
            return output->actions[i].message->refused.reason;
    return NULL;
}

START_TEST(strangers_are_refused_in_words)
{
    struct core_output output = {0};
    struct core *core = make_core(&output);
    register_from(core, "red", "secret", 0, 1, &output);
    ck_assert_ptr_nonnull(strstr(refusal(&output), "cluster blue"));
    ck_assert_ptr_nonnull(strstr(refusal(&output), "cluster red"));
    core_output_clear(&output);
    register_from(core, "blue", "secret", 2, 2, &output);
    ck_assert_ptr_nonnull(strstr(refusal(&output), "protocol 1.0"));
    core_output_clear(&output);
    register_from(core, "blue", "other", 0, 3, &output);
    ck_assert_ptr_nonnull(strstr(refusal(&output), "jm-host"));
    ck_assert_ptr_nonnull(strstr(refusal(&output), "tm-host"));
    ck_assert_ptr_nonnull(strstr(refusal(&output), "/mnt/chk"));
    core_output_clear(&output);
    register_from(core, "blue", "secret", 1, 4, &output);
    ck_assert_ptr_null(refusal(&output));
    core_output_done(&output);
    core_destroy(core);
}
END_TEST

START_TEST(registering_twice_replaces)
{
    struct core_output output = {0};
    struct core *core = make_core(&output);
    register_from(core, "blue", "secret", 0, 1, &output);
    core_output_clear(&output);
    register_from(core, "blue", "secret", 0, 2, &output);
    bool is_closed = false;
    for (size_t i = 0; i < output.count; i++)
        is_closed |= output.actions[i].kind == CORE_CLOSE && output.actions[i].connection == 1;
    ck_assert(is_closed);
    struct cluster_snapshot snapshot;
    core_snapshot(core, &snapshot);
    ck_assert_uint_eq(snapshot.task_manager_count, 1);
    ck_assert_uint_eq(snapshot.free_slot_count, 2);
    cluster_snapshot_done(&snapshot);
    core_output_done(&output);
    core_destroy(core);
}
END_TEST

START_TEST(a_name_belongs_to_whoever_is_alive)
{
    struct core_output output = {0};
    struct core *core = make_core(&output);
    register_process(core, 7, "blue", "secret", 0, 1, 1, &output);
    core_output_clear(&output);
    register_process(core, 8, "blue", "secret", 0, 2, 2000, &output);
    ck_assert_ptr_nonnull(strstr(refusal(&output), "another TaskManager of the name tm"));
    core_output_clear(&output);
    /* Two heartbeats later the first is taken for dead. */
    register_process(core, 8, "blue", "secret", 0, 3, 2002, &output);
    ck_assert_ptr_null(refusal(&output));
    struct cluster_snapshot snapshot;
    core_snapshot(core, &snapshot);
    ck_assert_uint_eq(snapshot.task_manager_count, 1);
    cluster_snapshot_done(&snapshot);
    core_output_done(&output);
    core_destroy(core);
}
END_TEST

START_TEST(silence_costs_the_registration)
{
    struct core_output output = {0};
    struct core *core = make_core(&output);
    register_from(core, "blue", "secret", 0, 1, &output);
    struct core_event tick = {.kind = CORE_EVENT_TICK};
    core_step(core, &tick, 4999, 0, &output);
    ck_assert_int_eq(output.next_tick_ms, 5001);
    core_step(core, &tick, 5001, 0, &output);
    struct cluster_snapshot snapshot;
    core_snapshot(core, &snapshot);
    ck_assert_uint_eq(snapshot.task_manager_count, 0);
    cluster_snapshot_done(&snapshot);
    core_output_done(&output);
    core_destroy(core);
}
END_TEST

START_TEST(states_follow_the_tables)
{
    ck_assert(job_status_may_follow(JOB_RUNNING, JOB_RESTARTING));
    ck_assert(!job_status_may_follow(JOB_FINISHED, JOB_RUNNING));
    ck_assert(!job_status_may_follow(JOB_CANCELLING, JOB_RUNNING));
    ck_assert(task_status_may_follow(TASK_CANCELING, TASK_FINISHED));
    ck_assert(!task_status_may_follow(TASK_CANCELED, TASK_RUNNING));
    for (int status = 0; status < JOB_STATUS_COUNT; status++)
        ck_assert(!job_status_may_follow((enum job_status)status, JOB_INITIALIZING));
}
END_TEST

START_TEST(backoff_grows_and_is_forgotten)
{
    struct job_options options;
    struct restart_strategy strategy;
    struct random random;
    const char *why;
    int64_t delay = 0;
    job_options_init(&options);
    ck_assert_int_eq(options.restart.kind, RESTART_EXPONENTIAL_DELAY);
    options.restart.jitter = 0;
    random_init(&random, 1);
    restart_strategy_init(&strategy, &options.restart);
    static const int64_t expected[] = {1000, 1500, 2250};
    for (int i = 0; i < 3; i++) {
        ck_assert(restart_strategy_on_failure(&strategy, &random, true, 1000 + i, &delay, &why));
        ck_assert_int_eq(delay, expected[i]);
    }
    for (int i = 0; i < 20; i++)
        (void)restart_strategy_on_failure(&strategy, &random, true, 2000, &delay, &why);
    ck_assert_int_eq(delay, 60000);
    restart_strategy_on_checkpoint(&strategy);
    (void)restart_strategy_on_failure(&strategy, &random, true, 100000, &delay, &why);
    ck_assert_int_eq(delay, 60000); /* one checkpoint is not enough */
    restart_strategy_on_checkpoint(&strategy);
    restart_strategy_on_checkpoint(&strategy);
    (void)restart_strategy_on_failure(&strategy, &random, true, 160000, &delay, &why);
    ck_assert_int_eq(delay, 1000);
    restart_strategy_done(&strategy);
}
END_TEST

/* A reader that asks quickly does not get what the others should have. */
START_TEST(splits_are_spread)
{
    struct split_assigner assigner;
    struct source_split_list found = {0};
    struct attempt_id attempt;
    struct error err;
    split_assigner_init(&assigner, 0, 0, "lines/source");
    split_assigner_spread(&assigner, 2);
    const char *const ids[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < 5; i++)
        source_split_list_add(&found, ids[i], "1", 1);
    ck_assert_int_eq(split_assigner_add(&assigner, &found, &err), STATUS_OK);
    unsigned given[2] = {0};
    for (int i = 0; i < 20; i++) {
        const uint32_t subtask = i % 4 == 3; /* one asks three times as often */
        struct source_split_list splits = {0};
        split_assigner_ask(&assigner, subtask, (struct attempt_id){5 + subtask});
        if (split_assigner_next(&assigner, &attempt, &splits))
            given[attempt.value - 5] += (unsigned)splits.count;
        source_split_list_done(&splits);
    }
    ck_assert_uint_eq(given[0] + given[1], 5);
    ck_assert_uint_ge(given[1], 2);
    ck_assert_uint_ge(given[0], 2);
    source_split_list_done(&found);
    split_assigner_done(&assigner);
}
END_TEST

START_TEST(splits_are_given_once)
{
    struct split_assigner assigner;
    struct source_split_list found = {0};
    struct source_split_list given = {0};
    struct attempt_id attempt;
    struct error err;
    split_assigner_init(&assigner, 0, 0, "lines/source");
    source_split_list_add(&found, "b", "1", 1);
    source_split_list_add(&found, "a", "2", 1);
    source_split_list_add(&found, "b", "3", 1);
    split_assigner_ask(&assigner, 0, (struct attempt_id){5});
    split_assigner_ask(&assigner, 0, (struct attempt_id){5});
    ck_assert(!split_assigner_next(&assigner, &attempt, &given));
    ck_assert_int_eq(split_assigner_add(&assigner, &found, &err), STATUS_OK);
    ck_assert_int_eq(split_assigner_add(&assigner, &found, &err), STATUS_OK);
    ck_assert_uint_eq(assigner.state.pending.count, 2);
    ck_assert(split_assigner_next(&assigner, &attempt, &given));
    ck_assert_uint_eq(attempt.value, 5);
    ck_assert_str_eq(given.splits[0].id, "b");
    ck_assert(!split_assigner_next(&assigner, &attempt, &given));
    source_split_list_done(&found);
    source_split_list_done(&given);
    split_assigner_done(&assigner);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("core");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, strangers_are_refused_in_words);
    tcase_add_test(cases, registering_twice_replaces);
    tcase_add_test(cases, a_name_belongs_to_whoever_is_alive);
    tcase_add_test(cases, silence_costs_the_registration);
    tcase_add_test(cases, states_follow_the_tables);
    tcase_add_test(cases, backoff_grows_and_is_forgotten);
    tcase_add_test(cases, splits_are_given_once);
    tcase_add_test(cases, splits_are_spread);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
