/*
 * The producing side of one edge: decides which channel each row takes and when a channel's rows
 * leave. One task, one thread.
 *
 *   FORWARD           the one channel
 *   HASH              key group of the row's key, then the subtask that owns the group
 *   REBALANCE,RESCALE channels in turn, by batch; one without room is passed over
 *   BROADCAST         every channel
 *
 * Small pieces are collected per channel up to a full batch or the buffer timeout; the first piece
 * after a pause of that length leaves at once. Holds at most one batch or one control element that
 * found no room; until it is gone nothing else may be pushed.
 */
#ifndef TASKMANAGER_EXCHANGE_PARTITIONER_H
#define TASKMANAGER_EXCHANGE_PARTITIONER_H

#include "common/base/memory.h"
#include "common/graph/job_graph.h"
#include "taskmanager/exchange/channel.h"

struct partitioner_config {
    enum partitioning partitioning;
    const struct schema *schema;
    const uint32_t *keys; /* HASH: column indices */
    uint32_t key_count;
    struct channel_output *const
        *channels; /* by subtask of the consumer; closed by the partitioner */
    uint32_t channel_count;
    uint32_t max_parallelism;
    uint32_t first_channel;    /* REBALANCE, RESCALE: where to begin */
    int64_t buffer_timeout_us; /* negative: only full batches leave */
    struct memory_account *account;
};

struct partitioner;

struct partitioner *partitioner_create(const struct partitioner_config *config)
    __attribute__((returns_nonnull, warn_unused_result));
/* Closes the channels; what they were not given is dropped. */
void partitioner_destroy(struct partitioner *partitioner);

bool partitioner_has_room(const struct partitioner *partitioner);
/* Takes the batch; requires room. */
void partitioner_push(struct partitioner *partitioner, struct batch *batch);
/* Sends a control element to every channel, behind all rows pushed so far; requires room. */
void partitioner_control(struct partitioner *partitioner, const struct element *element);

/* Goes on with what is held and sends what is due. Once or twice per turn of the task; now_us is
 * also the time of the pushes that follow. */
enum status partitioner_pump(struct partitioner *partitioner, int64_t now_us,
                             struct error *err) MUST_CHECK;
/* When partitioner_pump has to be called again for the buffer timeout; INT64_MAX: not at all. */
int64_t partitioner_due_us(const struct partitioner *partitioner);

/* After a failure of pump: the TaskManager that was lost. */
struct id128 partitioner_failed_peer(const struct partitioner *partitioner);
/* Nothing pushed waits on this side any more. */
bool partitioner_is_drained(const struct partitioner *partitioner);

uint64_t partitioner_rows(const struct partitioner *partitioner);
uint64_t partitioner_bytes(const struct partitioner *partitioner);

#endif
