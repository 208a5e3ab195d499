/* taskmanager/control: registration, lease, order of checkpoint commands. */
#include "common/base/allocate.h"
#include "taskmanager/control/control.h"

#include <check.h>
#include <string.h>

static struct control_output output;
static uint64_t sequence;

static size_t count_of(enum control_action_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < output.count; i++)
        count += output.actions[i].kind == kind ? 1 : 0;
    return count;
}

static void step(struct control *control, struct control_event event, int64_t now_ms)
{
    event.connection = 1;
    control_output_clear(&output);
    control_step(control, &event, now_ms, &output);
}

static void hear(struct control *control, struct message *message, int64_t now_ms)
{
    message->sequence = ++sequence;
    message->leader_epoch = 5;
    message->sender.bytes[0] = 1;
    step(control, (struct control_event){.kind = CONTROL_EVENT_MESSAGE, .message = message},
         now_ms);
}

static struct message *order(enum message_kind kind, uint64_t checkpoint)
{
    struct message *message = message_create(kind);
    message->targets.attempts = allocate(sizeof(struct attempt_id));
    message->targets.attempts[0].value = 3;
    message->targets.count = 1;
    if (checkpoint > 0)
        message->checkpoint.checkpoint.value = checkpoint;
    return message;
}

static struct control *member(void)
{
    const struct control_config config = {.incarnation.bytes = {2}, .registration.slot_count = 1};
    struct control *control = control_create(&config, 1);
    sequence = 0;
    step(control, (struct control_event){.kind = CONTROL_EVENT_START}, 0);
    ck_assert_uint_eq(count_of(CONTROL_CONNECT), 1);
    step(control, (struct control_event){.kind = CONTROL_EVENT_CONNECTED}, 1);
    ck_assert_int_eq(output.actions[0].message->kind, MESSAGE_REGISTER);
    struct message *registered = message_create(MESSAGE_REGISTERED);
    registered->registered = (struct message_registered){1000, 5000};
    hear(control, registered, 2);
    return control;
}

static void deploy(struct control *control)
{
    struct message *message = message_create(MESSAGE_DEPLOY);
    message->deploy.graph = copy_text("g");
    message->deploy.graph_size = 1;
    message->deploy.tasks = allocate(sizeof(*message->deploy.tasks));
    message->deploy.task_count = 1;
    message->deploy.tasks[0].attempt.value = 3;
    message->deploy.tasks[0].restore.value = 10;
    message->deploy.tasks[0].floor.value = 11;
    hear(control, message, 3);
    ck_assert_uint_eq(count_of(CONTROL_DEPLOY), 1);
}

START_TEST(without_a_leader_tasks_stop_before_it_registers_again)
{
    struct control *control = member();
    deploy(control);
    step(control, (struct control_event){.kind = CONTROL_EVENT_DISCONNECTED}, 100);
    ck_assert_uint_eq(count_of(CONTROL_CANCEL), 1);
    step(control, (struct control_event){.kind = CONTROL_EVENT_TICK}, 60000);
    ck_assert_uint_eq(count_of(CONTROL_CONNECT), 0);
    struct control_event ended = {.kind = CONTROL_EVENT_TASK_STATUS, .attempt = {3}};
    ended.task_status.status = TASK_CANCELED;
    step(control, ended, 60001);
    ck_assert_uint_eq(count_of(CONTROL_CONNECT), 1);
    ck_assert_uint_eq(count_of(CONTROL_SEND), 0);
    control_destroy(control);
    control_output_done(&output);
}
END_TEST

START_TEST(checkpoint_orders_only_go_forward)
{
    struct control *control = member();
    deploy(control);
    hear(control, order(MESSAGE_TRIGGER, 10), 4); /* below the floor */
    ck_assert_uint_eq(count_of(CONTROL_TRIGGER), 0);
    hear(control, order(MESSAGE_TRIGGER, 11), 5);
    ck_assert_uint_eq(count_of(CONTROL_TRIGGER), 1);
    hear(control, order(MESSAGE_TRIGGER, 11), 6);
    ck_assert_uint_eq(count_of(CONTROL_TRIGGER), 0);
    hear(control, order(MESSAGE_COMPLETED, 11), 7);
    ck_assert_uint_eq(count_of(CONTROL_COMPLETED), 1);
    hear(control, order(MESSAGE_COMPLETED, 10), 8);
    ck_assert_uint_eq(count_of(CONTROL_COMPLETED), 0);
    hear(control, order(MESSAGE_CANCEL, 0), 9);
    ck_assert_uint_eq(count_of(CONTROL_CANCEL), 1);
    hear(control, order(MESSAGE_TRIGGER, 12), 10);
    ck_assert_uint_eq(count_of(CONTROL_TRIGGER), 0);
    control_destroy(control);
    control_output_done(&output);
}
END_TEST

START_TEST(the_lease_ends_by_silence)
{
    struct control *control = member();
    for (int64_t now_ms = 1000; now_ms < 5000; now_ms += 1000)
        step(control, (struct control_event){.kind = CONTROL_EVENT_TICK}, now_ms);
    ck_assert_uint_eq(count_of(CONTROL_CLOSE), 0);
    step(control, (struct control_event){.kind = CONTROL_EVENT_TICK}, 5002);
    ck_assert_uint_eq(count_of(CONTROL_CLOSE), 1);
    control_destroy(control);
    control_output_done(&output);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("control");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, without_a_leader_tasks_stop_before_it_registers_again);
    tcase_add_test(cases, checkpoint_orders_only_go_forward);
    tcase_add_test(cases, the_lease_ends_by_silence);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
