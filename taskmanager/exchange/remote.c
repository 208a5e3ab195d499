/* The two ends of a channel between TaskManagers. */
#include "taskmanager/exchange/remote.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/data/batch_codec.h"

#include <string.h>

#define CREDIT_BYTES_MIN    (32 * 1024) /* smaller grants wait for more */
#define CREDIT_WINDOW_SHARE 4           /* as do those of less than that part of the window */
#define PIECE_BYTES_MIN     (32 * 1024) /* a batch is cut for want of credit, but not smaller */
#define ENCODED_EXTRA_BYTES (1024 * 1024)
#define TOTAL_BYTES         4

static struct remote_channel *of_output(const struct channel_output *output)
{
    return (struct remote_channel *)((char *)(uintptr_t)output -
                                     offsetof(struct remote_channel, output));
}

static struct remote_channel *of_input(const struct channel_input *input)
{
    return (struct remote_channel *)((char *)(uintptr_t)input -
                                     offsetof(struct remote_channel, input));
}

void remote_fail(struct remote_channel *channel, const char *reason)
{
    if (channel->is_failed)
        return;
    channel->is_failed = true;
    channel->is_open = false;
    channel->reason = copy_text(reason);
    waker_wake(channel->waker);
}

void remote_on_open(struct remote_channel *channel, const struct remote_open *open)
{
    channel->is_open = true;
    channel->peer_number = open->number;
    channel->credit = open->credit;
    waker_wake(channel->waker);
}

uint32_t remote_first_credit(const struct remote_channel *channel)
{
    return channel->is_consumer ? REMOTE_FLOOR_BYTES : 0;
}

static enum status set_failure(struct remote_channel *channel, struct id128 *ret_peer,
                               struct error *err)
{
    *ret_peer = channel->link->peer;
    return error_set(err, STATUS_UNAVAILABLE, "%s", channel->reason);
}

/* ---- producer ---- */

/* What may be sent of the batch now; 0: credit is missing. The consumer gives more only when it has
 * taken a good deal, hence what is there must be used even if it does not suffice for a frame. */
static uint32_t piece_size(const struct remote_channel *channel)
{
    const uint32_t left = channel->sending->size - channel->sent_bytes;
    const int64_t may = channel->credit < FRAME_PAYLOAD_MAX ? channel->credit : FRAME_PAYLOAD_MAX;
    if (may >= left)
        return left;
    if (may < PIECE_BYTES_MIN)
        return 0;
    return (uint32_t)may - (channel->sent_bytes == 0 ? TOTAL_BYTES : 0);
}

static struct buffer *make_piece(const struct remote_channel *channel, uint32_t size, bool is_all)
{
    if (is_all)
        return buffer_ref(channel->sending);
    const uint32_t head = channel->sent_bytes == 0 ? TOTAL_BYTES : 0;
    struct buffer *piece = buffer_create(NULL, size + head);
    if (head > 0)
        put_u32((uint8_t *)piece->bytes, channel->sending->size);
    memcpy(piece->bytes + head, channel->sending->bytes + channel->sent_bytes, size);
    piece->size = size + head;
    return piece;
}

/* The connection for what this end sends, a reference, or NULL; *ret_size: of the next piece. */
static struct connection *begin_piece(struct remote_channel *channel, uint32_t *ret_size)
{
    struct connection *connection = NULL;
    pthread_mutex_lock(&channel->link->mutex);
    *ret_size = piece_size(channel);
    channel->wants_credit = *ret_size == 0;
    if (channel->is_open && *ret_size > 0)
        connection = link_connection(channel->link);
    pthread_mutex_unlock(&channel->link->mutex);
    return connection;
}

/* Only what another thread may touch is done under the mutex: the bytes are summed and written
 * without it. true: the batch is on its way. */
static bool send_batch(struct remote_channel *channel)
{
    while (channel->sent_bytes < channel->sending->size) {
        uint32_t size;
        struct connection *connection = begin_piece(channel, &size);
        if (connection == NULL)
            return false;
        const bool is_first = channel->sent_bytes == 0;
        const bool is_last = channel->sent_bytes + size == channel->sending->size;
        struct buffer *piece = make_piece(channel, size, is_first && is_last);
        const struct frame frame = {
            .kind = REMOTE_DATA,
            .flags =
                (uint8_t)((is_first ? REMOTE_FLAG_FIRST : 0) | (is_last ? REMOTE_FLAG_LAST : 0)),
            .channel = channel->peer_number,
            .payload = piece,
        };
        const bool is_sent = link_transmit(channel->link, connection, &frame, false);
        if (is_sent) {
            pthread_mutex_lock(&channel->link->mutex);
            channel->credit -= piece->size;
            pthread_mutex_unlock(&channel->link->mutex);
            channel->sent_bytes += size;
        }
        buffer_unref(piece);
        if (!is_sent)
            return false;
    }
    buffer_unref(channel->sending);
    channel->sending = NULL;
    return true;
}

static void send_waiting(struct remote_channel *channel)
{
    if ((channel->sending != NULL && !send_batch(channel)) || channel->control_count == 0)
        return;
    pthread_mutex_lock(&channel->link->mutex);
    if (channel->is_open) {
        for (uint32_t i = 0; i < channel->control_count; i++) {
            uint8_t bytes[ELEMENT_CONTROL_BYTES_MAX];
            const size_t size = element_encode(&channel->controls[i], bytes);
            link_send_bytes(channel->link, REMOTE_CONTROL, channel->peer_number, bytes, size);
        }
        channel->control_count = 0;
    }
    pthread_mutex_unlock(&channel->link->mutex);
}

static bool remote_has_room(struct channel_output *output, enum element_kind kind)
{
    struct remote_channel *channel = of_output(output);
    if (channel->sending != NULL || channel->control_count > 0)
        return kind != ELEMENT_BATCH && channel->control_count < REMOTE_CONTROLS_MAX;
    if (kind != ELEMENT_BATCH)
        return true;
    pthread_mutex_lock(&channel->link->mutex);
    const bool has_room = channel->is_open && channel->credit > 0;
    channel->wants_credit = !has_room;
    pthread_mutex_unlock(&channel->link->mutex);
    return has_room;
}

static void remote_push(struct channel_output *output, struct element element)
{
    struct remote_channel *channel = of_output(output);
    if (element.kind == ELEMENT_BATCH) {
        CHECK(channel->sending == NULL && channel->control_count == 0);
        const size_t capacity = batch_encoded_size_max(element.batch);
        CHECK(capacity <= UINT32_MAX);
        channel->sending =
            buffer_create(channel->link->exchange->config.account, (uint32_t)capacity);
        channel->sending->size =
            (uint32_t)batch_encode(element.batch, channel->sending->bytes, capacity);
        channel->sent_bytes = 0;
        batch_unref(element.batch);
    } else {
        CHECK(channel->control_count < REMOTE_CONTROLS_MAX);
        channel->controls[channel->control_count++] = element;
    }
    send_waiting(channel);
}

static enum status remote_pump(struct channel_output *output, struct error *err)
{
    struct remote_channel *channel = of_output(output);
    enum status status = STATUS_OK;
    pthread_mutex_lock(&channel->link->mutex);
    if (channel->is_failed)
        status = set_failure(channel, &output->failed_peer, err);
    pthread_mutex_unlock(&channel->link->mutex);
    if (status == STATUS_OK)
        send_waiting(channel);
    return status;
}

static bool remote_is_drained(const struct channel_output *output)
{
    const struct remote_channel *channel = of_output(output);
    return channel->sending == NULL && channel->control_count == 0;
}

/* ---- consumer ---- */

static enum status add_item(struct remote_channel *channel, const struct frame *frame,
                            struct error *err)
{
    const uint32_t size = frame->payload != NULL ? frame->payload->size : 0;
    if (frame->kind == REMOTE_DATA) {
        if (channel->queued_bytes + size > channel->outstanding_bytes)
            return error_set(err, STATUS_CORRUPT, "%u bytes beyond the credit of %llu", size,
                             (unsigned long long)channel->outstanding_bytes);
        channel->queued_bytes += size;
    }
    struct remote_item *item = allocate(sizeof(*item));
    *item = (struct remote_item){
        .kind = frame->kind,
        .flags = frame->flags,
        .payload = frame->payload != NULL ? buffer_ref(frame->payload) : NULL,
    };
    *channel->last = item;
    channel->last = &item->next;
    waker_wake(channel->waker);
    return STATUS_OK;
}

enum status remote_on_frame(struct remote_channel *channel, const struct frame *frame,
                            struct error *err)
{
    const uint32_t size = frame->payload != NULL ? frame->payload->size : 0;
    if (frame->kind == REMOTE_CREDIT) {
        if (channel->is_consumer || size != 4)
            return error_set(err, STATUS_CORRUPT, "credit of %u bytes for a %s", size,
                             channel->is_consumer ? "consumer" : "producer");
        channel->credit += get_u32(frame->payload->bytes);
        if (channel->wants_credit)
            waker_wake(channel->waker);
        return STATUS_OK;
    }
    if (!channel->is_consumer || size == 0)
        return error_set(err, STATUS_CORRUPT, "frame of kind %u and %u bytes for a %s", frame->kind,
                         size, channel->is_consumer ? "consumer" : "producer");
    return add_item(channel, frame, err);
}

/* Follows what was drained in the last period, as far as the account allows. */
static void adjust_window(struct remote_channel *channel)
{
    const struct exchange_config *config = &channel->link->exchange->config;
    const int64_t now_us = clock_now_us(config->clock);
    if (now_us - channel->period_us < REMOTE_RATE_PERIOD_US)
        return;
    uint64_t target = channel->drained_bytes;
    if (target > REMOTE_FLOAT_BYTES_MAX)
        target = REMOTE_FLOAT_BYTES_MAX;
    /* What was granted cannot be taken back. */
    if (channel->outstanding_bytes > target + REMOTE_FLOOR_BYTES)
        target = channel->outstanding_bytes - REMOTE_FLOOR_BYTES;
    channel->drained_bytes = 0;
    channel->period_us = now_us;
    if (target > channel->floating_bytes) {
        if (config->account == NULL ||
            memory_reserve(config->account, target - channel->floating_bytes))
            channel->floating_bytes = target;
    } else {
        if (config->account != NULL)
            memory_release(config->account, channel->floating_bytes - target);
        channel->floating_bytes = target;
    }
}

/* The mutex is held: `size` bytes have left the queue. Returns what the producer is to be granted
 * for them, or 0. */
static uint32_t drained(struct remote_channel *channel, uint32_t size)
{
    channel->queued_bytes -= size;
    channel->outstanding_bytes -= size;
    channel->drained_bytes += size;
    adjust_window(channel);
    const uint64_t window = REMOTE_FLOOR_BYTES + channel->floating_bytes;
    if (!channel->is_open || window <= channel->outstanding_bytes)
        return 0;
    const uint64_t grant = window - channel->outstanding_bytes;
    const bool is_little = grant < CREDIT_BYTES_MIN || grant < window / CREDIT_WINDOW_SHARE;
    if (is_little && channel->outstanding_bytes > REMOTE_FLOOR_BYTES / 2)
        return 0;
    channel->outstanding_bytes += grant;
    return (uint32_t)grant;
}

/* What a task takes in one go from the connection's side. */
struct taken {
    struct remote_item *item; /* NULL: nothing is there */
    bool is_failed;           /* nor will be */
    uint32_t grant;
    uint32_t peer_number;
    struct connection *connection; /* for the grant: a reference */
};

static struct taken take_item(struct remote_channel *channel, struct id128 *ret_peer,
                              struct error *err)
{
    struct taken taken = {0};
    pthread_mutex_lock(&channel->link->mutex);
    taken.item = channel->first;
    if (taken.item != NULL) {
        channel->first = taken.item->next;
        if (channel->first == NULL)
            channel->last = &channel->first;
        if (taken.item->kind == REMOTE_DATA)
            taken.grant = drained(channel, taken.item->payload->size);
    } else if (channel->is_failed) {
        taken.is_failed = true;
        (void)set_failure(channel, ret_peer, err);
    }
    if (taken.grant > 0)
        taken.connection = link_connection(channel->link);
    taken.peer_number = channel->peer_number;
    pthread_mutex_unlock(&channel->link->mutex);
    return taken;
}

static void send_grant(struct remote_channel *channel, const struct taken *taken)
{
    struct buffer *payload = buffer_create(NULL, sizeof(uint32_t));
    put_u32((uint8_t *)payload->bytes, taken->grant);
    payload->size = sizeof(uint32_t);
    const struct frame frame = {
        .kind = REMOTE_CREDIT, .channel = taken->peer_number, .payload = payload};
    (void)link_transmit(channel->link, taken->connection, &frame, true);
    buffer_unref(payload);
}

static void free_item(struct remote_item *item)
{
    buffer_unref(item->payload);
    free(item);
}

static enum status begin_assembly(struct remote_channel *channel, const struct buffer *payload,
                                  struct error *err)
{
    const uint32_t total = payload->size >= TOTAL_BYTES ? get_u32(payload->bytes) : 0;
    const uint32_t max = channel->link->exchange->config.max_record_bytes + ENCODED_EXTRA_BYTES;
    if (channel->assembly != NULL || total < payload->size || total > max)
        return error_set(err, STATUS_CORRUPT, "batch of %u bytes, at most %u", total, max);
    channel->assembly = buffer_create(channel->link->exchange->config.account, total);
    channel->assembly_size = total;
    return STATUS_OK;
}

/* *ret_complete: the whole batch, a new reference, or NULL if more frames are to come. */
static enum status assemble(struct remote_channel *channel, const struct remote_item *item,
                            struct buffer **ret_complete, struct error *err)
{
    const bool is_first = (item->flags & REMOTE_FLAG_FIRST) != 0;
    const bool is_last = (item->flags & REMOTE_FLAG_LAST) != 0;
    *ret_complete = NULL;
    if (is_first && is_last && channel->assembly == NULL) {
        *ret_complete = buffer_ref(item->payload);
        return STATUS_OK;
    }
    uint32_t from = 0;
    if (is_first) {
        TRY(begin_assembly(channel, item->payload, err));
        from = TOTAL_BYTES;
    }
    struct buffer *assembly = channel->assembly;
    const uint32_t size = item->payload->size - from;
    if (assembly == NULL || size > channel->assembly_size - assembly->size ||
        is_last != (assembly->size + size == channel->assembly_size))
        return error_set(err, STATUS_CORRUPT, "a piece of %u bytes that fits no batch", size);
    memcpy(assembly->bytes + assembly->size, item->payload->bytes + from, size);
    assembly->size += size;
    if (is_last)
        *ret_complete = take_pointer(&channel->assembly);
    return STATUS_OK;
}

static enum take decode_item(struct remote_channel *channel, const struct remote_item *item,
                             struct element *ret_element, struct error *err)
{
    if (item->kind == REMOTE_CONTROL)
        return element_decode(item->payload->bytes, item->payload->size, ret_element, err) ==
                       STATUS_OK
                   ? TAKE_ELEMENT
                   : TAKE_FAILED;
    struct buffer *complete;
    if (assemble(channel, item, &complete, err) != STATUS_OK)
        return TAKE_FAILED;
    if (complete == NULL)
        return TAKE_EMPTY;
    struct batch *batch;
    const enum status status =
        batch_decode(channel->schema, complete, 0, complete->size, &batch, err);
    buffer_unref(complete);
    if (status != STATUS_OK)
        return TAKE_FAILED;
    *ret_element = element_of_batch(batch);
    return TAKE_ELEMENT;
}

static enum take remote_take(struct channel_input *input, struct element *ret_element,
                             struct error *err)
{
    struct remote_channel *channel = of_input(input);
    for (;;) {
        const struct taken taken = take_item(channel, &input->failed_peer, err);
        if (taken.connection != NULL)
            send_grant(channel, &taken);
        if (taken.item == NULL)
            return taken.is_failed ? TAKE_FAILED : TAKE_EMPTY;
        const enum take take = decode_item(channel, taken.item, ret_element, err);
        free_item(taken.item);
        if (take == TAKE_FAILED) {
            char peer[ID_TEXT_SIZE];
            id128_format(channel->link->peer, peer);
            (void)error_wrap(err, STATUS_CORRUPT, "from TaskManager %s at %s", peer,
                             channel->link->address != NULL ? channel->link->address : "?");
        }
        if (take != TAKE_EMPTY)
            return take;
    }
}

/* ---- both ---- */

static void close_channel(struct remote_channel *channel)
{
    link_remove(channel->link, channel);
    while (channel->first != NULL) {
        struct remote_item *item = channel->first;
        channel->first = item->next;
        free_item(item);
    }
    struct memory_account *account = channel->link->exchange->config.account;
    if (account != NULL && channel->floating_bytes > 0)
        memory_release(account, channel->floating_bytes);
    buffer_unref(channel->sending);
    buffer_unref(channel->assembly);
    schema_unref(channel->schema);
    waker_unref(channel->waker);
    free(channel->reason);
    free(channel);
}

static void remote_close_output(struct channel_output *output)
{
    close_channel(of_output(output));
}

static void remote_close_input(struct channel_input *input)
{
    close_channel(of_input(input));
}

static const struct channel_output_ops output_ops = {
    .has_room = remote_has_room,
    .push = remote_push,
    .pump = remote_pump,
    .is_drained = remote_is_drained,
    .close = remote_close_output,
};

static const struct channel_input_ops input_ops = {
    .take = remote_take,
    .close = remote_close_input,
};

static struct remote_channel *
create_channel(struct link *link, const struct channel_identity *identity, struct waker *waker)
{
    struct remote_channel *channel = allocate(sizeof(*channel));
    channel->output.ops = &output_ops;
    channel->input.ops = &input_ops;
    channel->link = link;
    channel->identity = *identity;
    channel->waker = waker_ref(waker);
    channel->last = &channel->first;
    channel->period_us = clock_now_us(link->exchange->config.clock);
    return channel;
}

struct channel_output *remote_open_output(struct link *link,
                                          const struct channel_identity *identity,
                                          struct waker *producer)
{
    struct remote_channel *channel = create_channel(link, identity, producer);
    link_add(link, channel);
    return &channel->output;
}

struct channel_input *remote_open_input(struct link *link, const struct channel_identity *identity,
                                        const struct schema *schema, struct waker *consumer)
{
    struct remote_channel *channel = create_channel(link, identity, consumer);
    channel->is_consumer = true;
    channel->schema = schema_ref(schema);
    channel->outstanding_bytes = REMOTE_FLOOR_BYTES;
    link_add(link, channel);
    return &channel->input;
}
