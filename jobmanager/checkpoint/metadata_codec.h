/*
 * The file _metadata of a checkpoint: record header (magic "MSCHKPT1"), then CheckpointMetadata of
 * proto/checkpoint.proto. The only place where the two meet.
 */
#ifndef JOBMANAGER_CHECKPOINT_METADATA_CODEC_H
#define JOBMANAGER_CHECKPOINT_METADATA_CODEC_H

#include "common/base/text.h"
#include "jobmanager/checkpoint/completed_checkpoint.h"

#define METADATA_BYTES_MAX (512 * 1024 * 1024)
#define METADATA_FORMAT    1
#define METADATA_TASK_MAX  1000000
#define METADATA_SPLIT_MAX 10000000

struct checkpoint_metadata {
    struct job_id job;
    uint64_t leader_epoch; /* under which it was written */
    char *graph;           /* encoded job graph */
    size_t graph_size;
    struct completed_checkpoint *checkpoint;
};

void checkpoint_metadata_done(struct checkpoint_metadata *metadata);

/* Appends. writer: version of the program. */
void checkpoint_metadata_encode(const struct checkpoint_metadata *metadata, const char *writer,
                                struct text *out);
/* what: names the file in messages. */
enum status checkpoint_metadata_decode(const void *bytes, size_t size, const char *what,
                                       struct checkpoint_metadata *ret_metadata,
                                       struct error *err) MUST_CHECK;

#endif
