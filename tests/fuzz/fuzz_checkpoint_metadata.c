/* The file _metadata: as it is, and with header and checksum made right for the payload. */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/some_task_state.h"

#include "common/graph/task_state_codec.h"
#include "jobmanager/checkpoint/metadata_codec.h"
#include "jobmanager/checkpoint/record_header.h"

static void check_bytes(const void *bytes, size_t size)
{
    struct checkpoint_metadata metadata = {0};
    struct checkpoint_metadata again = {0};
    struct error err = {0};
    const enum status code = checkpoint_metadata_decode(bytes, size, "file", &metadata, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        CHECK(metadata.checkpoint == NULL && metadata.graph == NULL);
        return;
    }
    SCOPED_TEXT_BUFFER struct text first;
    SCOPED_TEXT_BUFFER struct text second;
    text_init(&first, METADATA_BYTES_MAX);
    text_init(&second, METADATA_BYTES_MAX);
    checkpoint_metadata_encode(&metadata, "1.0", &first);
    CHECK(checkpoint_metadata_decode(first.bytes, first.size, "file", &again, &err) == STATUS_OK);
    checkpoint_metadata_encode(&again, "1.0", &second);
    fuzz_check_equal(first.bytes, first.size, second.bytes, second.size);
    checkpoint_metadata_done(&metadata);
    checkpoint_metadata_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    check_bytes(bytes, size);
    SCOPED_TEXT_BUFFER struct text sealed;
    text_init(&sealed, METADATA_BYTES_MAX);
    record_seal("MSCHKPT1", METADATA_FORMAT, "1.0", bytes, size, &sealed);
    check_bytes(sealed.bytes, sealed.size);
    struct task_state state = {0};
    struct error err = {0};
    const enum status code = task_state_decode(bytes, size, &state, &err);
    if (code != STATUS_OK)
        fuzz_check_error(code, &err);
    else
        task_state_done(&state);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    struct completed_checkpoint *checkpoint = allocate(sizeof(*checkpoint));
    *checkpoint = (struct completed_checkpoint){.id = {7}, .trigger_ms = 1, .complete_ms = 2};
    checkpoint->tasks = allocate(sizeof(*checkpoint->tasks));
    checkpoint->task_count = 1;
    some_task_state(checkpoint->tasks);
    checkpoint->sources = allocate(sizeof(*checkpoint->sources));
    checkpoint->source_count = 1;
    struct source_state *source = checkpoint->sources;
    source->uid = copy_text("lines/source");
    source_split_list_add(&source->pending, "/in:0-9", "state", 5);
    array_push(source->seen, source->seen_count, source->seen_capacity) = copy_text("/in:0-9");
    struct checkpoint_metadata metadata = {.job = {{{1}}},
                                           .leader_epoch = 3,
                                           .graph = copy_text("g"),
                                           .graph_size = 1,
                                           .checkpoint = checkpoint};
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, METADATA_BYTES_MAX);
    checkpoint_metadata_encode(&metadata, "1.0", &out);
    give(context, "file", out.bytes, out.size);
    give(context, "payload", out.bytes + RECORD_HEADER_BYTES, out.size - RECORD_HEADER_BYTES);
    text_clear(&out);
    task_state_encode(checkpoint->tasks, &out);
    give(context, "task-state", out.bytes, out.size);
    checkpoint_metadata_done(&metadata);
}
