/* Rows to channels; see the header. */
#include "taskmanager/exchange/partitioner.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/data/key.h"
#include "taskmanager/exchange/staging.h"

/* A batch of at least that many rows goes on as it is, where no row changes its company. */
#define DIRECT_ROWS 512

/* The rows of a batch are counted and placed in so many stretches side by side: where the next row
 * of a lane goes depends on the one before, and waiting for that is most of the work. */
#define STRETCHES 4

struct lane {
    struct channel_output *channel;
    struct staging staging;
    int64_t sent_us;   /* last batch */
    uint32_t row_next; /* of the held batch: rows[row_next, row_end) are still to be staged */
    uint32_t row_end;
    bool is_pending; /* broadcast: the held batch; control: the held element is still to be sent */
};

struct partitioner {
    enum partitioning partitioning;
    uint32_t lane_count;
    struct lane *lanes;
    uint32_t *keys;
    uint32_t key_count;
    uint32_t max_parallelism;
    uint16_t *subtask_of; /* by key group */
    struct key_batch key_batch;
    uint32_t *rows;    /* of the held batch, grouped by lane */
    uint16_t *targets; /* of the held batch, by selected row */
    uint32_t *starts;  /* of each stretch and lane: where its rows go */
    uint32_t rows_capacity;
    uint32_t lane_next; /* rebalance */
    struct batch *held;
    bool has_control;
    struct element control;
    uint32_t pending_count;
    int64_t now_us;
    int64_t buffer_timeout_us;
    uint64_t row_count;
    uint64_t byte_size;
};

struct partitioner *partitioner_create(const struct partitioner_config *config)
{
    CHECK(config->channel_count > 0 && config->channel_count <= JOB_PARALLELISM_MAX);
    CHECK(config->partitioning != PARTITION_FORWARD || config->channel_count == 1);
    struct partitioner *partitioner = allocate(sizeof(*partitioner));
    *partitioner = (struct partitioner){
        .partitioning = config->partitioning,
        .lane_count = config->channel_count,
        .lanes = allocate_array(config->channel_count, sizeof(struct lane)),
        .max_parallelism = config->max_parallelism,
        .lane_next = config->first_channel % config->channel_count,
        .buffer_timeout_us = config->buffer_timeout_us,
    };
    for (uint32_t i = 0; i < config->channel_count; i++) {
        struct lane *lane = &partitioner->lanes[i];
        lane->channel = config->channels[i];
        lane->sent_us = INT64_MIN / 2;
        staging_init(&lane->staging, config->schema, config->account);
    }
    key_batch_init(&partitioner->key_batch);
    if (config->partitioning == PARTITION_HASH) {
        CHECK(config->key_count > 0 && config->max_parallelism > 0 &&
              config->max_parallelism <= MAX_PARALLELISM_MAX);
        partitioner->key_count = config->key_count;
        partitioner->keys = copy_memory(config->keys, (size_t)config->key_count * sizeof(uint32_t));
        partitioner->starts =
            allocate_array((size_t)STRETCHES * config->channel_count, sizeof(uint32_t));
        partitioner->subtask_of = allocate_array(config->max_parallelism, sizeof(uint16_t));
        for (uint32_t group = 0; group < config->max_parallelism; group++)
            partitioner->subtask_of[group] =
                (uint16_t)key_group_subtask(group, config->channel_count, config->max_parallelism);
    }
    return partitioner;
}

void partitioner_destroy(struct partitioner *partitioner)
{
    if (partitioner == NULL)
        return;
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        partitioner->lanes[i].channel->ops->close(partitioner->lanes[i].channel);
        staging_done(&partitioner->lanes[i].staging);
    }
    batch_unref(partitioner->held);
    key_batch_done(&partitioner->key_batch);
    free(partitioner->lanes);
    free(partitioner->keys);
    free(partitioner->subtask_of);
    free(partitioner->rows);
    free(partitioner->targets);
    free(partitioner->starts);
    free(partitioner);
}

bool partitioner_has_room(const struct partitioner *partitioner)
{
    return partitioner->held == NULL && !partitioner->has_control;
}

static bool lane_has_room(struct lane *lane, enum element_kind kind)
{
    return lane->channel->ops->has_room(lane->channel, kind);
}

static void lane_send(struct partitioner *partitioner, struct lane *lane, struct batch *batch)
{
    partitioner->row_count += batch_selected(batch);
    partitioner->byte_size += batch_byte_size(batch);
    lane->sent_us = partitioner->now_us;
    lane->channel->ops->push(lane->channel, element_of_batch(batch));
}

/* false: no room. */
static bool lane_flush(struct partitioner *partitioner, struct lane *lane)
{
    if (lane->staging.row_count == 0)
        return true;
    if (!lane_has_room(lane, ELEMENT_BATCH))
        return false;
    lane_send(partitioner, lane, staging_take(&lane->staging));
    return true;
}

static void reserve_rows(struct partitioner *partitioner, uint32_t count)
{
    if (count <= partitioner->rows_capacity)
        return;
    const uint32_t capacity = count < BATCH_ROWS_MAX ? BATCH_ROWS_MAX : count;
    partitioner->rows = reallocate_array(partitioner->rows, capacity, sizeof(uint32_t));
    partitioner->targets = reallocate_array(partitioner->targets, capacity, sizeof(uint16_t));
    partitioner->rows_capacity = capacity;
}

static void compute_targets(struct partitioner *partitioner, uint32_t count)
{
    const uint64_t *hashes = partitioner->key_batch.hashes;
    const uint16_t *subtask_of = partitioner->subtask_of;
    uint16_t *targets = partitioner->targets;
    const uint32_t groups = partitioner->max_parallelism;
    if ((groups & (groups - 1)) == 0) {
        const uint64_t mask = groups - 1;
        for (uint32_t i = 0; i < count; i++)
            targets[i] = subtask_of[hashes[i] & mask];
    } else {
        for (uint32_t i = 0; i < count; i++)
            targets[i] = subtask_of[key_group_of(hashes[i], groups)];
    }
}

static void count_targets(struct partitioner *partitioner, uint32_t count)
{
    const uint32_t lanes = partitioner->lane_count;
    const uint32_t length = count / STRETCHES;
    const uint16_t *targets = partitioner->targets;
    uint32_t *counts = partitioner->starts;
    memset(counts, 0, (size_t)STRETCHES * lanes * sizeof(uint32_t));
    for (uint32_t i = 0; i < length; i++) {
        counts[targets[i]]++;
        counts[lanes + targets[length + i]]++;
        counts[2 * lanes + targets[2 * length + i]]++;
        counts[3 * lanes + targets[3 * length + i]]++;
    }
    for (uint32_t i = STRETCHES * length; i < count; i++)
        counts[(STRETCHES - 1) * lanes + targets[i]]++;
}

/* positions[i]: the i-th selected row, or i where they are NULL. */
static inline uint32_t position_of(const uint32_t *positions, uint32_t i)
{
    return positions != NULL ? positions[i] : i;
}

static void place_rows(struct partitioner *partitioner, const uint32_t *selection, uint32_t count)
{
    const uint32_t lanes = partitioner->lane_count;
    const uint32_t length = count / STRETCHES;
    const uint16_t *targets = partitioner->targets;
    uint32_t *starts = partitioner->starts;
    uint32_t *rows = partitioner->rows;
    for (uint32_t i = 0; i < length; i++) {
        const uint32_t second = length + i;
        const uint32_t third = 2 * length + i;
        const uint32_t fourth = 3 * length + i;
        rows[starts[targets[i]]++] = position_of(selection, i);
        rows[starts[lanes + targets[second]]++] = position_of(selection, second);
        rows[starts[2 * lanes + targets[third]]++] = position_of(selection, third);
        rows[starts[3 * lanes + targets[fourth]]++] = position_of(selection, fourth);
    }
    for (uint32_t i = STRETCHES * length; i < count; i++)
        rows[starts[(STRETCHES - 1) * lanes + targets[i]]++] = position_of(selection, i);
}

_Static_assert(STRETCHES == 4, "as many lines as stretches");

/* Groups the rows of the held batch by lane, in their order: a counting sort. */
static void split_by_key(struct partitioner *partitioner)
{
    const struct batch *batch = partitioner->held;
    const uint32_t count = batch_selected(batch);
    reserve_rows(partitioner, count);
    struct lane *lanes = partitioner->lanes;
    if (partitioner->lane_count == 1) {
        for (uint32_t i = 0; i < count; i++)
            partitioner->rows[i] = batch_row(batch, i);
        lanes[0].row_next = 0;
        lanes[0].row_end = count;
        return;
    }
    key_batch_compute(&partitioner->key_batch, batch, partitioner->keys, partitioner->key_count);
    compute_targets(partitioner, count);
    count_targets(partitioner, count);
    uint32_t start = 0;
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        lanes[i].row_next = start;
        for (uint32_t stretch = 0; stretch < STRETCHES; stretch++) {
            uint32_t *place = &partitioner->starts[stretch * partitioner->lane_count + i];
            const uint32_t size = *place;
            *place = start;
            start += size;
        }
        lanes[i].row_end = start;
    }
    place_rows(partitioner, batch->selection, count);
}

/* Stages rows of the held batch for a lane. false: some are left for want of room. */
static bool lane_stage(struct partitioner *partitioner, struct lane *lane)
{
    while (lane->row_next < lane->row_end) {
        const uint32_t taken =
            staging_append(&lane->staging, partitioner->held, partitioner->rows + lane->row_next,
                           lane->row_end - lane->row_next, partitioner->now_us);
        lane->row_next += taken;
        if ((taken == 0 || lane->staging.row_count == BATCH_ROWS_MAX ||
             lane->staging.byte_size >= BATCH_BYTES_MAX) &&
            !lane_flush(partitioner, lane))
            return lane->row_next == lane->row_end;
    }
    return true;
}

static bool pump_hash(struct partitioner *partitioner)
{
    bool is_done = true;
    for (uint32_t i = 0; i < partitioner->lane_count; i++)
        is_done &= lane_stage(partitioner, &partitioner->lanes[i]);
    return is_done;
}

/* The lane that takes the next batch, or NULL. */
static struct lane *choose_lane(struct partitioner *partitioner)
{
    struct lane *next = &partitioner->lanes[partitioner->lane_next];
    if (next->staging.row_count > 0 || next->row_next < next->row_end)
        return next;
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        const uint32_t index = (partitioner->lane_next + i) % partitioner->lane_count;
        if (lane_has_room(&partitioner->lanes[index], ELEMENT_BATCH)) {
            partitioner->lane_next = index;
            return &partitioner->lanes[index];
        }
    }
    return NULL;
}

static void next_lane(struct partitioner *partitioner)
{
    if (++partitioner->lane_next >= partitioner->lane_count)
        partitioner->lane_next = 0;
}

static bool pump_in_turn(struct partitioner *partitioner)
{
    struct lane *lane = choose_lane(partitioner);
    if (lane == NULL)
        return false;
    const uint32_t count = batch_selected(partitioner->held);
    if (count >= DIRECT_ROWS) {
        if (lane->staging.row_count > 0) {
            if (!lane_flush(partitioner, lane))
                return false;
            next_lane(partitioner);
            lane = choose_lane(partitioner);
        }
        if (lane == NULL || !lane_has_room(lane, ELEMENT_BATCH))
            return false;
        lane_send(partitioner, lane, batch_compact(partitioner->held));
        next_lane(partitioner);
        return true;
    }
    if (lane->row_next == lane->row_end) {
        reserve_rows(partitioner, count);
        for (uint32_t i = 0; i < count; i++)
            partitioner->rows[i] = batch_row(partitioner->held, i);
        lane->row_next = 0;
        lane->row_end = count;
    }
    return lane_stage(partitioner, lane);
}

static bool pump_broadcast(struct partitioner *partitioner)
{
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        struct lane *lane = &partitioner->lanes[i];
        if (!lane->is_pending || !lane_has_room(lane, ELEMENT_BATCH))
            continue;
        lane_send(partitioner, lane, batch_ref(partitioner->held));
        lane->is_pending = false;
        partitioner->pending_count--;
    }
    return partitioner->pending_count == 0;
}

static void pump_held(struct partitioner *partitioner)
{
    bool is_done = false;
    switch (partitioner->partitioning) {
    case PARTITION_HASH:
        is_done = pump_hash(partitioner);
        break;
    case PARTITION_FORWARD:
    case PARTITION_REBALANCE:
    case PARTITION_RESCALE:
        is_done = pump_in_turn(partitioner);
        break;
    case PARTITION_BROADCAST:
        is_done = pump_broadcast(partitioner);
        break;
    }
    if (!is_done)
        return;
    batch_unref(partitioner->held);
    partitioner->held = NULL;
}

static void pump_control(struct partitioner *partitioner)
{
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        struct lane *lane = &partitioner->lanes[i];
        if (!lane->is_pending || !lane_flush(partitioner, lane) ||
            !lane_has_room(lane, partitioner->control.kind))
            continue;
        lane->channel->ops->push(lane->channel, partitioner->control);
        lane->is_pending = false;
        partitioner->pending_count--;
    }
    partitioner->has_control = partitioner->pending_count > 0;
}

static void mark_all_pending(struct partitioner *partitioner)
{
    for (uint32_t i = 0; i < partitioner->lane_count; i++)
        partitioner->lanes[i].is_pending = true;
    partitioner->pending_count = partitioner->lane_count;
}

void partitioner_push(struct partitioner *partitioner, struct batch *batch)
{
    CHECK(partitioner_has_room(partitioner));
    if (batch_selected(batch) == 0) {
        batch_unref(batch);
        return;
    }
    partitioner->held = batch;
    if (partitioner->partitioning == PARTITION_HASH) {
        split_by_key(partitioner);
    } else if (partitioner->partitioning == PARTITION_BROADCAST) {
        partitioner->held = batch_compact(batch);
        batch_unref(batch);
        mark_all_pending(partitioner);
    }
    pump_held(partitioner);
}

void partitioner_control(struct partitioner *partitioner, const struct element *element)
{
    CHECK(partitioner_has_room(partitioner) && element->kind != ELEMENT_BATCH);
    partitioner->control = *element;
    partitioner->has_control = true;
    mark_all_pending(partitioner);
    pump_control(partitioner);
}

static int64_t lane_due_us(const struct partitioner *partitioner, const struct lane *lane)
{
    if (lane->staging.row_count == 0 || partitioner->buffer_timeout_us < 0)
        return INT64_MAX;
    const int64_t timeout_us = partitioner->buffer_timeout_us;
    if (lane->staging.first_us - lane->sent_us >= timeout_us)
        return lane->staging.first_us;
    return lane->staging.first_us + timeout_us;
}

enum status partitioner_pump(struct partitioner *partitioner, int64_t now_us, struct error *err)
{
    partitioner->now_us = now_us;
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        struct lane *lane = &partitioner->lanes[i];
        TRY(lane->channel->ops->pump(lane->channel, err));
    }
    if (partitioner->held != NULL)
        pump_held(partitioner);
    if (partitioner->has_control)
        pump_control(partitioner);
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        struct lane *lane = &partitioner->lanes[i];
        if (lane_due_us(partitioner, lane) > now_us || !lane_flush(partitioner, lane))
            continue;
        if (i == partitioner->lane_next && partitioner->partitioning != PARTITION_HASH &&
            partitioner->partitioning != PARTITION_BROADCAST && partitioner->held == NULL)
            next_lane(partitioner);
    }
    return STATUS_OK;
}

int64_t partitioner_due_us(const struct partitioner *partitioner)
{
    int64_t due_us = INT64_MAX;
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        const int64_t lane_us = lane_due_us(partitioner, &partitioner->lanes[i]);
        if (lane_us < due_us)
            due_us = lane_us;
    }
    return due_us;
}

struct id128 partitioner_failed_peer(const struct partitioner *partitioner)
{
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        if (!id128_is_none(partitioner->lanes[i].channel->failed_peer))
            return partitioner->lanes[i].channel->failed_peer;
    }
    return (struct id128){{0}};
}

bool partitioner_is_drained(const struct partitioner *partitioner)
{
    if (!partitioner_has_room(partitioner))
        return false;
    for (uint32_t i = 0; i < partitioner->lane_count; i++) {
        const struct lane *lane = &partitioner->lanes[i];
        if (lane->staging.row_count > 0 || !lane->channel->ops->is_drained(lane->channel))
            return false;
    }
    return true;
}

uint64_t partitioner_rows(const struct partitioner *partitioner)
{
    return partitioner->row_count;
}

uint64_t partitioner_bytes(const struct partitioner *partitioner)
{
    return partitioner->byte_size;
}
