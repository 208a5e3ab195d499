/* Control messages between JobManager and TaskManagers. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/some_task_state.h"

#include "common/rpc/message_codec.h"

static void check_session(const struct message *message)
{
    struct message_session session = {0};
    if (message_session_check(&session, message) == SESSION_TAKE)
        CHECK(session.last_sequence == message->sequence);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    SCOPED(message_destroy) struct message *message = NULL;
    SCOPED(message_destroy) struct message *again = NULL;
    struct error err = {0};
    const enum status code = message_decode(bytes, size, &message, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        CHECK(message == NULL);
        return 0;
    }
    CHECK(message->kind > MESSAGE_NONE && message->kind < MESSAGE_KIND_COUNT);
    CHECK(message_kind_name(message->kind)[0] != '\0');
    SCOPED_TEXT_BUFFER struct text first;
    SCOPED_TEXT_BUFFER struct text second;
    text_init(&first, MESSAGE_BYTES_MAX);
    text_init(&second, MESSAGE_BYTES_MAX);
    message_encode(message, &first);
    CHECK(message_decode(first.bytes, first.size, &again, &err) == STATUS_OK);
    message_encode(again, &second);
    fuzz_check_equal(first.bytes, first.size, second.bytes, second.size);
    check_session(message);
    return 0;
}

static void fill_deploy(struct message_deploy *deploy)
{
    deploy->graph = copy_text("graph");
    deploy->graph_size = 5;
    deploy->tasks = allocate(sizeof(*deploy->tasks));
    deploy->task_count = 1;
    struct task_deployment *task = deploy->tasks;
    task->job = (struct job_id){{{9}}};
    task->attempt = (struct attempt_id){8};
    task->restore = (struct checkpoint_id){7};
    task->inputs = allocate(sizeof(*task->inputs));
    task->input_count = 1;
    task->inputs->peers = allocate(sizeof(*task->inputs->peers));
    task->inputs->peer_count = 1;
    task->inputs->peers->attempt = (struct attempt_id){5};
    task->inputs->peers->task_manager = (struct id128){{4}};
    task->inputs->peers->data_address = copy_text("127.0.0.1:6121");
    task->state = allocate(sizeof(*task->state));
    some_task_state(task->state);
}

/* kinds without a body of their own need nothing. */
static void fill(struct message *message)
{
    if (message->kind == MESSAGE_REGISTER) {
        struct message_register *registration = &message->registration;
        registration->protocol_major = RPC_PROTOCOL_MAJOR;
        registration->version = copy_text("0.1.0");
        registration->cluster_id = copy_text("default");
        registration->host = copy_text("localhost");
        registration->data_address = copy_text("127.0.0.1:6121");
        registration->slot_count = 2;
        registration->token = copy_text("0123");
    } else if (message->kind == MESSAGE_HEARTBEAT) {
        message->heartbeat.tasks = allocate(sizeof(*message->heartbeat.tasks));
        message->heartbeat.task_count = 1;
        message->heartbeat.tasks->records_in = 300;
        message->heartbeat.tasks->waits_for = copy_text("/in: No such file or directory");
    } else if (message->kind == MESSAGE_TASK_UPDATE) {
        message->task_update.status = TASK_FAILED;
        message->task_update.failure.code = STATUS_IO;
        message->task_update.failure.message = copy_text("open /x: Permission denied");
    } else if (message->kind == MESSAGE_ACKNOWLEDGE) {
        message->acknowledge.checkpoint = (struct checkpoint_id){7};
        some_task_state(&message->acknowledge.state);
    } else if (message->kind == MESSAGE_DECLINE) {
        message->decline.reason = copy_text("not running");
    } else if (message->kind == MESSAGE_REFUSED) {
        message->refused.reason = copy_text("cluster.id differs");
    } else if (message->kind == MESSAGE_DEPLOY) {
        fill_deploy(&message->deploy);
    } else if (message->kind == MESSAGE_TRIGGER || message->kind == MESSAGE_ABORT ||
               message->kind == MESSAGE_COMPLETED) {
        message->checkpoint.checkpoint = (struct checkpoint_id){7};
        message->checkpoint.completed = (struct checkpoint_id){6};
    } else if (message->kind == MESSAGE_SPLITS) {
        source_split_list_add(&message->splits.splits, "/in/a.txt:0-100", "state", 5);
        message->splits.is_last = true;
    }
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    for (int kind = MESSAGE_NONE + 1; kind < MESSAGE_KIND_COUNT; kind++) {
        SCOPED(message_destroy) struct message *message = message_create((enum message_kind)kind);
        message->sequence = 1;
        message->leader_epoch = 2;
        message->sender = (struct id128){{3}};
        message->job = (struct job_id){{{4}}};
        message->attempt = (struct attempt_id){5};
        if (kind == MESSAGE_CANCEL || kind == MESSAGE_TRIGGER) {
            message->targets.attempts = allocate_array(2, sizeof(struct attempt_id));
            message->targets.count = 2;
        }
        fill(message);
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, MESSAGE_BYTES_MAX);
        message_encode(message, &out);
        give(context, message_kind_name(message->kind), out.bytes, out.size);
    }
}
