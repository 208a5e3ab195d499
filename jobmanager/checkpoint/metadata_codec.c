/* _metadata to bytes and back. */
#include "jobmanager/checkpoint/metadata_codec.h"

#include "common/graph/codec_scratch.h"
#include "common/graph/task_state_codec.h"
#include "jobmanager/checkpoint/record_header.h"
#include "proto/checkpoint.pb-c.h"

#include <string.h>

#define MAGIC "MSCHKPT1"

void checkpoint_metadata_done(struct checkpoint_metadata *metadata)
{
    free(metadata->graph);
    completed_checkpoint_destroy(metadata->checkpoint);
    *metadata = (struct checkpoint_metadata){0};
}

static Millstream__SourceState *encode_source(const struct source_state *from,
                                              struct codec_scratch *scratch)
{
    Millstream__SourceState *to = codec_scratch_take(scratch, 1, sizeof(*to));
    millstream__source_state__init(to);
    to->uid = from->uid;
    to->is_complete = from->is_complete;
    to->n_seen = from->seen_count;
    to->seen = from->seen;
    to->n_pending = from->pending.count;
    to->pending = codec_scratch_take(scratch, from->pending.count, sizeof(*to->pending));
    for (size_t i = 0; i < from->pending.count; i++) {
        Millstream__SourceSplit *split = codec_scratch_take(scratch, 1, sizeof(*split));
        millstream__source_split__init(split);
        split->id = from->pending.splits[i].id;
        split->state.data = (uint8_t *)from->pending.splits[i].state;
        split->state.len = from->pending.splits[i].state_size;
        to->pending[i] = split;
    }
    return to;
}

static void encode_tasks(const struct completed_checkpoint *from,
                         Millstream__CheckpointMetadata *to, struct codec_scratch *scratch)
{
    to->n_tasks = from->task_count;
    to->tasks = codec_scratch_take(scratch, from->task_count, sizeof(*to->tasks));
    for (size_t i = 0; i < from->task_count; i++) {
        struct text text;
        text_init(&text, METADATA_BYTES_MAX);
        task_state_encode(&from->tasks[i], &text);
        to->tasks[i].len = text.size;
        to->tasks[i].data = codec_scratch_take(scratch, text.size, 1);
        memcpy(to->tasks[i].data, text.bytes, text.size);
        text_done(&text);
    }
}

void checkpoint_metadata_encode(const struct checkpoint_metadata *metadata, const char *writer,
                                struct text *out)
{
    struct codec_scratch scratch = {0};
    const struct completed_checkpoint *from = metadata->checkpoint;
    struct id128 job = metadata->job.value;
    Millstream__CheckpointMetadata to;
    millstream__checkpoint_metadata__init(&to);
    to.job.data = job.bytes;
    to.job.len = sizeof(job.bytes);
    to.checkpoint = from->id.value;
    to.trigger_ms = from->trigger_ms;
    to.complete_ms = from->complete_ms;
    to.is_final = from->is_final;
    to.leader_epoch = metadata->leader_epoch;
    to.graph.data = (uint8_t *)metadata->graph;
    to.graph.len = metadata->graph_size;
    encode_tasks(from, &to, &scratch);
    to.n_sources = from->source_count;
    to.sources = codec_scratch_take(&scratch, from->source_count, sizeof(*to.sources));
    for (size_t i = 0; i < from->source_count; i++)
        to.sources[i] = encode_source(&from->sources[i], &scratch);
    const size_t size = millstream__checkpoint_metadata__get_packed_size(&to);
    uint8_t *packed = codec_scratch_take(&scratch, size, 1);
    millstream__checkpoint_metadata__pack(&to, packed);
    record_seal(MAGIC, METADATA_FORMAT, writer, packed, size, out);
    codec_scratch_done(&scratch);
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum status decode_source(const Millstream__SourceState *from, struct source_state *to,
                                 struct error *err)
{
    if (from->n_pending > METADATA_SPLIT_MAX || from->n_seen > METADATA_SPLIT_MAX)
        return error_set(err, STATUS_LIMIT, "source %.100s has too many splits", from->uid);
    to->uid = copy_text(from->uid);
    to->is_complete = from->is_complete;
    for (size_t i = 0; i < from->n_pending; i++)
        source_split_list_add(&to->pending, from->pending[i]->id, from->pending[i]->state.data,
                              from->pending[i]->state.len);
    for (size_t i = 0; i < from->n_seen; i++)
        array_push(to->seen, to->seen_count, to->seen_capacity) = copy_text(from->seen[i]);
    if (to->seen_count > 0)
        qsort(to->seen, to->seen_count, sizeof(*to->seen), compare_ids);
    return STATUS_OK;
}

static enum status decode_parts(const Millstream__CheckpointMetadata *from,
                                struct checkpoint_metadata *to, struct error *err)
{
    if (from->job.len != sizeof(to->job.value.bytes) || from->checkpoint == 0 ||
        from->n_tasks > METADATA_TASK_MAX || from->n_sources > METADATA_TASK_MAX)
        return error_set(err, STATUS_CORRUPT, "its content makes no sense");
    memcpy(to->job.value.bytes, from->job.data, from->job.len);
    to->leader_epoch = from->leader_epoch;
    to->graph =
        copy_text_n(from->graph.len > 0 ? (const char *)from->graph.data : "", from->graph.len);
    to->graph_size = from->graph.len;
    struct completed_checkpoint *checkpoint = allocate(sizeof(*checkpoint));
    to->checkpoint = checkpoint;
    checkpoint->id.value = from->checkpoint;
    checkpoint->trigger_ms = from->trigger_ms;
    checkpoint->complete_ms = from->complete_ms;
    checkpoint->is_final = from->is_final;
    checkpoint->tasks = allocate_array(from->n_tasks + 1, sizeof(*checkpoint->tasks));
    checkpoint->task_count = from->n_tasks;
    for (size_t i = 0; i < from->n_tasks; i++)
        TRY(task_state_decode(from->tasks[i].data, from->tasks[i].len, &checkpoint->tasks[i], err));
    checkpoint->sources = allocate_array(from->n_sources + 1, sizeof(*checkpoint->sources));
    checkpoint->source_count = from->n_sources;
    for (size_t i = 0; i < from->n_sources; i++)
        TRY(decode_source(from->sources[i], &checkpoint->sources[i], err));
    return STATUS_OK;
}

enum status checkpoint_metadata_decode(const void *bytes, size_t size, const char *what,
                                       struct checkpoint_metadata *ret_metadata, struct error *err)
{
    const void *payload;
    size_t payload_size;
    TRY(record_open(MAGIC, METADATA_FORMAT, what, bytes, size, &payload, &payload_size, err));
    Millstream__CheckpointMetadata *from =
        millstream__checkpoint_metadata__unpack(NULL, payload_size, payload);
    if (from == NULL)
        return error_set(err, STATUS_CORRUPT, "%s cannot be decoded", what);
    struct checkpoint_metadata metadata = {0};
    const enum status status = decode_parts(from, &metadata, err);
    millstream__checkpoint_metadata__free_unpacked(from, NULL);
    if (status != STATUS_OK) {
        checkpoint_metadata_done(&metadata);
        return error_wrap(err, status, "%s", what);
    }
    *ret_metadata = metadata;
    return STATUS_OK;
}
