/* common/rpc: codec of control messages, sessions. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/graph/task_state_codec.h"
#include "common/rpc/message_codec.h"

#include <check.h>
#include <string.h>

static struct message *sample(enum message_kind kind)
{
    struct message *message = message_create(kind);
    message->sequence = 7;
    message->leader_epoch = 3;
    message->sender.bytes[0] = 0xAB;
    message->job.value.bytes[15] = 0xCD;
    message->attempt.value = 42;
    return message;
}

static struct message *acknowledgement(void)
{
    struct message *message = sample(MESSAGE_ACKNOWLEDGE);
    message->acknowledge.checkpoint.value = 5;
    struct task_state *state = &message->acknowledge.state;
    state->attempt.value = 42;
    state->keyed.backend = copy_text("rocksdb");
    state->keyed.meta = copy_text_n("m\0x", 3);
    state->keyed.meta_size = 3;
    state->keyed.files = allocate(sizeof(*state->keyed.files));
    state->keyed.file_count = 1;
    state->keyed.files[0] = (struct state_file){.path = copy_text("shared/42/000001.sst"),
                                                .name = copy_text("000001.sst"),
                                                .size = 10,
                                                .crc32c = 0xE3069283,
                                                .is_shared = true};
    state->operators = allocate(sizeof(*state->operators));
    state->operator_count = 1;
    state->operators[0].uid = copy_text("lines/source");
    state->operators[0].entries = allocate(sizeof(*state->operators[0].entries));
    state->operators[0].entry_count = 1;
    state->operators[0].entries[0] = (struct operator_state_entry){
        .name = copy_text("splits"), .kind = 1, .bytes = copy_text_n("\1\0\2", 3), .size = 3};
    return message;
}

static struct message *deployment(void)
{
    struct message *message = sample(MESSAGE_DEPLOY);
    message->deploy.graph = copy_text("graph");
    message->deploy.graph_size = 5;
    message->deploy.tasks = allocate(sizeof(*message->deploy.tasks));
    message->deploy.task_count = 1;
    struct task_deployment *task = &message->deploy.tasks[0];
    task->attempt.value = 9;
    task->vertex = 1;
    task->restore.value = 4;
    task->inputs = allocate(sizeof(*task->inputs));
    task->input_count = 1;
    task->inputs[0].peers = allocate(sizeof(*task->inputs[0].peers));
    task->inputs[0].peer_count = 1;
    task->inputs[0].peers[0].attempt.value = 8;
    task->inputs[0].peers[0].data_address = copy_text("host:1");
    task->state = allocate(sizeof(*task->state));
    task->state->is_finished = true;
    return message;
}

static void encode(const struct message *message, struct text *text)
{
    text_init(text, MESSAGE_BYTES_MAX);
    message_encode(message, text);
}

/* Bytes of decode(encode(x)) are the bytes of encode(x). */
static void check_round_trip(struct message *message)
{
    struct text first;
    struct text second;
    struct message *decoded = NULL;
    struct error err;
    encode(message, &first);
    ck_assert_int_eq(message_decode(first.bytes, first.size, &decoded, &err), STATUS_OK);
    ck_assert_int_eq(decoded->kind, message->kind);
    ck_assert_uint_eq(decoded->sequence, 7);
    encode(decoded, &second);
    ck_assert_uint_eq(first.size, second.size);
    ck_assert_mem_eq(first.bytes, second.bytes, first.size);
    text_done(&first);
    text_done(&second);
    message_destroy(decoded);
    message_destroy(message);
}

START_TEST(every_kind_survives)
{
    for (int kind = MESSAGE_REGISTER; kind < MESSAGE_KIND_COUNT; kind++) {
        struct message *message = sample((enum message_kind)kind);
        if (kind == MESSAGE_REGISTERED)
            message->registered = (struct message_registered){1000, 5000};
        check_round_trip(message);
    }
    check_round_trip(acknowledgement());
    check_round_trip(deployment());
}
END_TEST

START_TEST(a_heartbeat_is_answered_with_limits)
{
    static const uint8_t tail[] = {0x3A, 2, 9, 10, 0x42, 3, 3, 0xD0, 0x0F};
    struct message *message = sample(MESSAGE_HEARTBEAT_REPLY);
    free(message->targets.attempts);
    message->targets.attempts = allocate_array(2, sizeof(struct attempt_id));
    message->targets.limits_ms = allocate_array(2, sizeof(int64_t));
    message->targets.count = 2;
    message->targets.attempts[0].value = 9;
    message->targets.attempts[1].value = 10;
    message->targets.limits_ms[0] = -2;
    message->targets.limits_ms[1] = 1000;
    struct text bytes;
    encode(message, &bytes);
    ck_assert_mem_eq(bytes.bytes + bytes.size - sizeof(tail), tail, sizeof(tail));
    struct message *decoded = NULL;
    struct error err;
    ck_assert_int_eq(message_decode(bytes.bytes, bytes.size, &decoded, &err), STATUS_OK);
    ck_assert_int_eq(decoded->targets.limits_ms[0], -2);
    ck_assert_int_eq(decoded->targets.limits_ms[1], 1000);
    message_destroy(decoded);
    /* One limit less than there are targets. */
    bytes.bytes[bytes.size - sizeof(tail) + 5] = 1;
    bytes.size -= 2;
    ck_assert_int_eq(message_decode(bytes.bytes, bytes.size, &decoded, &err), STATUS_CORRUPT);
    text_done(&bytes);
    check_round_trip(message);
}
END_TEST

START_TEST(golden_bytes_of_a_trigger)
{
    static const uint8_t golden[] = {
        0x08, 0x0d, 0x10, 0x07, 0x18, 0x03, 0x22, 0x10, 0xab, 0,    0,    0,    0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x2a, 0x10, 0,    0,
        0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0xcd,
        0x30, 0x2a, 0x3a, 1,    9,    0x9a, 0x01, 0x06, 0x08, 0x05, 0x10, 0x04, 0x18, 0x01};
    struct message *message = sample(MESSAGE_TRIGGER);
    message->targets.attempts = allocate(sizeof(struct attempt_id));
    message->targets.attempts[0].value = 9;
    message->targets.count = 1;
    message->checkpoint.checkpoint.value = 5;
    message->checkpoint.completed.value = 4;
    message->checkpoint.is_final = true;
    struct text text;
    encode(message, &text);
    ck_assert_uint_eq(text.size, sizeof(golden));
    ck_assert_mem_eq(text.bytes, golden, sizeof(golden));
    text_done(&text);
    message_destroy(message);
}
END_TEST

/* Whatever the bytes are: a status, or a message that can be released. */
START_TEST(damaged_bytes_do_no_harm)
{
    struct random random;
    random_init(&random, 1);
    struct message *samples[] = {acknowledgement(), deployment()};
    size_t refused = 0;
    for (int i = 0; i < 4000; i++) {
        struct text text;
        struct error err;
        struct message *decoded = NULL;
        encode(samples[i % 2], &text);
        for (int change = 0; change < 3; change++)
            text.bytes[random_below(&random, text.size)] = (char)random_next(&random);
        const size_t size = i % 3 == 0 ? (size_t)random_below(&random, text.size) : text.size;
        if (message_decode(text.bytes, size, &decoded, &err) != STATUS_OK)
            refused++;
        message_destroy(decoded);
        text_done(&text);
    }
    ck_assert_uint_gt(refused, 1000);
    message_destroy(samples[0]);
    message_destroy(samples[1]);
}
END_TEST

START_TEST(paths_have_two_forms)
{
    uint64_t number;
    ck_assert_int_eq(state_path_parse("chk-7/a.sst", &number), STATE_PATH_PRIVATE);
    ck_assert_uint_eq(number, 7);
    ck_assert_int_eq(state_path_parse("shared/12/x/a.sst", &number), STATE_PATH_SHARED);
    ck_assert_uint_eq(number, 12);
    static const char *const bad[] = {"",           "/etc/passwd",  "chk-7",     "chk-/a",
                                      "chk-7/../a", "shared/1/.a",  "chk-07/a",  "chk-7/",
                                      "shared//a",  "shared/1/a b", "x/chk-1/a", "chk-1/a/"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(state_path_parse(bad[i], &number) == STATE_PATH_INVALID, "%s", bad[i]);
}
END_TEST

START_TEST(sessions_drop_duplicates_and_break_at_gaps)
{
    struct message_session session = {.leader_epoch = 3};
    struct message *message = sample(MESSAGE_DRAINED);
    message->sequence = 1;
    ck_assert_int_eq(message_session_check(&session, message), SESSION_TAKE);
    ck_assert_int_eq(message_session_check(&session, message), SESSION_DROP);
    message->sequence = 2;
    message->leader_epoch = 2;
    ck_assert_int_eq(message_session_check(&session, message), SESSION_DROP);
    message->sequence = 4;
    ck_assert_int_eq(message_session_check(&session, message), SESSION_BREAK);
    message->sequence = 3;
    message->sender.bytes[0]++;
    ck_assert_int_eq(message_session_check(&session, message), SESSION_BREAK);
    ck_assert_uint_eq(session.duplicate_count, 1);
    ck_assert_uint_eq(session.stale_count, 1);
    message_destroy(message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("message");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, every_kind_survives);
    tcase_add_test(cases, a_heartbeat_is_answered_with_limits);
    tcase_add_test(cases, golden_bytes_of_a_trigger);
    tcase_add_test(cases, damaged_bytes_do_no_harm);
    tcase_add_test(cases, paths_have_two_forms);
    tcase_add_test(cases, sessions_drop_duplicates_and_break_at_gaps);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
