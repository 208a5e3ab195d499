/* Connections between TaskManagers: handshake, opening of channels, frames. */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "taskmanager/exchange/remote.h"

#include <stdio.h>
#include <string.h>

#define HELLO_MAGIC      "MSDX"
#define HELLO_HEAD_BYTES 25 /* magic 4, major 2, minor 2, incarnation 16, size 1 */
#define OPEN_BYTES       29
#define REASON_BYTES     600

#define SLOT_BITS 16

static const struct transport_ops *transport_of(const struct exchange *exchange)
{
    return exchange->config.transport->ops;
}

/* ---- sending ---- */

struct connection *link_connection(struct link *link)
{
    if (link->session == NULL || !link->is_ready)
        return NULL;
    return transport_of(link->exchange)->ref(link->session->connection);
}

bool link_transmit(struct link *link, struct connection *connection, const struct frame *frame,
                   bool urgent)
{
    const bool is_sent = transport_of(link->exchange)->send(connection, frame, urgent);
    transport_of(link->exchange)->unref(connection);
    return is_sent;
}

void link_send_bytes(struct link *link, uint8_t kind, uint32_t number, const void *bytes,
                     size_t size)
{
    struct connection *connection = link_connection(link);
    if (connection == NULL)
        return;
    struct buffer *payload = buffer_create(NULL, (uint32_t)size);
    memcpy(payload->bytes, bytes, size);
    payload->size = (uint32_t)size;
    const struct frame frame = {.kind = kind, .channel = number, .payload = payload};
    (void)link_transmit(link, connection, &frame, true);
    buffer_unref(payload);
}

static void put_u64(uint8_t *to, uint64_t value)
{
    put_u32(to, (uint32_t)value);
    put_u32(to + 4, (uint32_t)(value >> 32));
}

static uint64_t get_u64(const uint8_t *from)
{
    return get_u32(from) | (uint64_t)get_u32(from + 4) << 32;
}

static void send_hello(const struct session *session)
{
    const struct exchange *exchange = session->exchange;
    const size_t id_size = strlen(exchange->cluster_id);
    struct buffer *payload = buffer_create(NULL, HELLO_HEAD_BYTES + EXCHANGE_CLUSTER_ID_MAX);
    uint8_t *bytes = (uint8_t *)payload->bytes;
    memcpy(bytes, HELLO_MAGIC, 4);
    bytes[4] = REMOTE_PROTOCOL_MAJOR;
    bytes[5] = 0;
    bytes[6] = REMOTE_PROTOCOL_MINOR;
    bytes[7] = 0;
    memcpy(bytes + 8, exchange->config.incarnation.bytes, 16);
    bytes[24] = (uint8_t)id_size;
    memcpy(bytes + HELLO_HEAD_BYTES, exchange->cluster_id, id_size);
    payload->size = (uint32_t)(HELLO_HEAD_BYTES + id_size);
    const struct frame frame = {.kind = REMOTE_HELLO, .payload = payload};
    (void)transport_of(exchange)->send(session->connection, &frame, true);
    buffer_unref(payload);
}

static void send_open(struct link *link, const struct remote_channel *channel)
{
    uint8_t bytes[OPEN_BYTES];
    bytes[0] = channel->is_consumer ? 1 : 0;
    put_u32(bytes + 1, channel->identity.edge);
    put_u64(bytes + 5, channel->identity.producer.value);
    put_u64(bytes + 13, channel->identity.consumer.value);
    put_u32(bytes + 21, channel->number);
    put_u32(bytes + 25, remote_first_credit(channel));
    link_send_bytes(link, REMOTE_OPEN, 0, bytes, sizeof(bytes));
}

/* ---- channels of a link ---- */

static struct remote_channel *find_channel(const struct link *link, uint32_t number)
{
    const uint32_t slot = number & ((1U << SLOT_BITS) - 1);
    if (slot >= link->slot_count || link->generations[slot] != number >> SLOT_BITS)
        return NULL;
    return link->channels[slot];
}

static bool is_counterpart(const struct remote_channel *channel, const struct remote_open *open)
{
    return channel->is_consumer != open->is_consumer &&
           channel->identity.edge == open->identity.edge &&
           channel->identity.producer.value == open->identity.producer.value &&
           channel->identity.consumer.value == open->identity.consumer.value;
}

static uint32_t free_slot(struct link *link)
{
    for (uint32_t i = 0; i < link->slot_count; i++) {
        if (link->channels[i] == NULL)
            return i;
    }
    const uint32_t count = link->slot_count == 0 ? 16 : link->slot_count * 2;
    CHECK(count <= REMOTE_CHANNELS_MAX);
    link->channels = reallocate_array(link->channels, count, sizeof(struct remote_channel *));
    link->generations = reallocate_array(link->generations, count, sizeof(uint16_t));
    const uint32_t first = link->slot_count;
    memset(link->channels + first, 0, (count - first) * sizeof(struct remote_channel *));
    memset(link->generations + first, 0, (count - first) * sizeof(uint16_t));
    link->slot_count = count;
    return first;
}

static void match_opens(struct link *link, struct remote_channel *channel)
{
    for (size_t i = 0; i < link->open_count; i++) {
        if (!is_counterpart(channel, &link->opens[i]))
            continue;
        remote_on_open(channel, &link->opens[i]);
        link->opens[i] = link->opens[--link->open_count];
        return;
    }
}

void link_add(struct link *link, struct remote_channel *channel)
{
    pthread_mutex_lock(&link->mutex);
    const uint32_t slot = free_slot(link);
    link->channels[slot] = channel;
    channel->number = (uint32_t)link->generations[slot] << SLOT_BITS | slot;
    if (link->is_ready) {
        send_open(link, channel);
        match_opens(link, channel);
    } else {
        link_connect(link);
    }
    pthread_mutex_unlock(&link->mutex);
}

void link_remove(struct link *link, struct remote_channel *channel)
{
    pthread_mutex_lock(&link->mutex);
    const uint32_t slot = channel->number & ((1U << SLOT_BITS) - 1);
    link->channels[slot] = NULL;
    link->generations[slot]++;
    if (link->is_ready && !channel->is_failed) {
        uint8_t bytes[4];
        put_u32(bytes, channel->number);
        link_send_bytes(link, REMOTE_CLOSE, channel->is_open ? channel->peer_number : UINT32_MAX,
                        bytes, sizeof(bytes));
    }
    pthread_mutex_unlock(&link->mutex);
}

/* The mutex is held. only_open: those that wait for the peer may go on with another connection. */
static void fail_channels(struct link *link, bool only_open, const char *reason)
{
    char peer[ID_TEXT_SIZE];
    id128_format(link->peer, peer);
    char text[REASON_BYTES];
    (void)snprintf(text, sizeof(text), "data connection with TaskManager %s at %s: %s", peer,
                   link->address != NULL ? link->address : "?", reason);
    for (uint32_t i = 0; i < link->slot_count; i++) {
        struct remote_channel *channel = link->channels[i];
        if (channel != NULL && (channel->is_open || !only_open))
            remote_fail(channel, text);
    }
    link->open_count = 0;
}

void link_destroy(struct link *link)
{
    for (uint32_t i = 0; i < link->slot_count; i++)
        CHECK(link->channels[i] == NULL);
    pthread_mutex_destroy(&link->mutex);
    free(link->channels);
    free(link->generations);
    free(link->opens);
    free(link->address);
    free(link);
}

/* ---- frames ---- */

static enum status on_open(struct link *link, const struct frame *frame, struct error *err)
{
    if (frame->payload == NULL || frame->payload->size < OPEN_BYTES)
        return error_set(err, STATUS_CORRUPT, "OPEN of %u bytes",
                         frame->payload != NULL ? frame->payload->size : 0);
    const uint8_t *bytes = (const uint8_t *)frame->payload->bytes;
    const struct remote_open open = {
        .is_consumer = bytes[0] != 0,
        .identity = {.edge = get_u32(bytes + 1),
                     .producer = {get_u64(bytes + 5)},
                     .consumer = {get_u64(bytes + 13)}},
        .number = get_u32(bytes + 21),
        .credit = get_u32(bytes + 25),
    };
    for (uint32_t i = 0; i < link->slot_count; i++) {
        struct remote_channel *channel = link->channels[i];
        if (channel == NULL || channel->is_open || channel->is_failed ||
            !is_counterpart(channel, &open))
            continue;
        remote_on_open(channel, &open);
        return STATUS_OK;
    }
    if (link->open_count >= REMOTE_OPENS_MAX)
        return error_set(err, STATUS_LIMIT, "%d channels were opened that nobody here knows",
                         REMOTE_OPENS_MAX);
    array_push(link->opens, link->open_count, link->open_capacity) = open;
    return STATUS_OK;
}

static enum status on_close(struct link *link, const struct frame *frame, struct error *err)
{
    if (frame->payload == NULL || frame->payload->size < 4)
        return error_set(err, STATUS_CORRUPT, "CLOSE without a number");
    const uint32_t number = get_u32(frame->payload->bytes);
    struct remote_channel *channel = find_channel(link, frame->channel);
    if (channel != NULL && channel->is_open && channel->peer_number == number) {
        channel->is_open = false; /* whoever decides about the job ends this side too */
        return STATUS_OK;
    }
    for (size_t i = 0; i < link->open_count; i++) {
        if (link->opens[i].number == number) {
            link->opens[i] = link->opens[--link->open_count];
            break;
        }
    }
    /* The peer may have closed before it learnt this end's number. */
    for (uint32_t i = 0; i < link->slot_count; i++) {
        channel = link->channels[i];
        if (channel != NULL && channel->is_open && channel->peer_number == number)
            channel->is_open = false;
    }
    return STATUS_OK;
}

static enum status on_link_frame(struct link *link, const struct frame *frame, struct error *err)
{
    switch (frame->kind) {
    case REMOTE_OPEN:
        return on_open(link, frame, err);
    case REMOTE_CLOSE:
        return on_close(link, frame, err);
    case REMOTE_DATA:
    case REMOTE_CONTROL:
    case REMOTE_CREDIT: {
        struct remote_channel *channel = find_channel(link, frame->channel);
        return channel == NULL || channel->is_failed ? STATUS_OK
                                                     : remote_on_frame(channel, frame, err);
    }
    case REMOTE_HELLO:
    default: /* a byte of the peer's */
        return error_set(err, STATUS_CORRUPT, "frame of unexpected kind %u", frame->kind);
    }
}

/* ---- handshake ---- */

static enum status check_hello(const struct session *session, const struct frame *frame,
                               struct id128 *ret_peer, struct error *err)
{
    const struct exchange *exchange = session->exchange;
    const uint32_t size = frame->payload != NULL ? frame->payload->size : 0;
    const uint8_t *bytes = size > 0 ? (const uint8_t *)frame->payload->bytes : NULL;
    if (frame->kind != REMOTE_HELLO || size < HELLO_HEAD_BYTES ||
        memcmp(bytes, HELLO_MAGIC, 4) != 0)
        return error_set(err, STATUS_CORRUPT, "the first frame is no HELLO of a TaskManager");
    const unsigned major = bytes[4] | (unsigned)bytes[5] << 8;
    const unsigned minor = bytes[6] | (unsigned)bytes[7] << 8;
    if (major != REMOTE_PROTOCOL_MAJOR || minor > REMOTE_PROTOCOL_MINOR + 1U)
        return error_set(err, STATUS_UNSUPPORTED,
                         "data protocol %u.%u does not work with %d.%d here: run versions next to "
                         "each other",
                         major, minor, REMOTE_PROTOCOL_MAJOR, REMOTE_PROTOCOL_MINOR);
    const size_t id_size = bytes[24];
    if (size < HELLO_HEAD_BYTES + id_size || id_size != strlen(exchange->cluster_id) ||
        memcmp(bytes + HELLO_HEAD_BYTES, exchange->cluster_id, id_size) != 0)
        return error_set(err, STATUS_INVALID, "cluster.id is '%.*s' there and '%s' here",
                         (int)(size < HELLO_HEAD_BYTES + id_size ? 0 : id_size),
                         (const char *)bytes + HELLO_HEAD_BYTES, exchange->cluster_id);
    memcpy(ret_peer->bytes, bytes + 8, 16);
    if (session->is_dialled && !id128_equals(*ret_peer, session->expected))
        return error_set(err, STATUS_INVALID, "another TaskManager answers there");
    if (!session->is_dialled && id128_compare(*ret_peer, exchange->config.incarnation) >= 0)
        return error_set(err, STATUS_INVALID, "dialled by the TaskManager that has to wait");
    return STATUS_OK;
}

/* HELLO was right: the link uses this connection from now on. */
static void attach(struct session *session, const struct id128 *peer)
{
    struct link *link =
        session->link != NULL ? session->link : exchange_link(session->exchange, peer, NULL);
    pthread_mutex_lock(&link->mutex);
    pthread_mutex_lock(&session->exchange->mutex);
    session->has_hello = true;
    pthread_mutex_unlock(&session->exchange->mutex);
    session->link = link;
    if (link->session != NULL && link->session != session) {
        fail_channels(link, true, "the peer has made a new connection");
        transport_of(link->exchange)->close(link->session->connection, "replaced");
    }
    link->session = session;
    link->is_ready = true;
    link->open_count = 0;
    for (uint32_t i = 0; i < link->slot_count; i++) {
        if (link->channels[i] != NULL && !link->channels[i]->is_failed)
            send_open(link, link->channels[i]);
    }
    pthread_mutex_unlock(&link->mutex);
}

/* ---- callbacks of the transport ---- */

static void on_frame(void *context, struct connection *connection, const struct frame *frame)
{
    struct session *session = context;
    struct error err = {0};
    enum status status;
    if (!session->has_hello) {
        struct id128 peer;
        status = check_hello(session, frame, &peer, &err);
        if (status == STATUS_OK)
            attach(session, &peer);
    } else {
        struct link *link = session->link;
        pthread_mutex_lock(&link->mutex);
        status = link->session == session ? on_link_frame(link, frame, &err) : STATUS_OK;
        pthread_mutex_unlock(&link->mutex);
    }
    if (status != STATUS_OK)
        transport_of(session->exchange)->close(connection, err.message);
}

static void on_writable(void *context, struct connection *connection)
{
    (void)connection;
    struct session *session = context;
    struct link *link = session->link;
    if (link == NULL)
        return;
    pthread_mutex_lock(&link->mutex);
    for (uint32_t i = 0; i < link->slot_count; i++) {
        if (link->channels[i] != NULL && !link->channels[i]->is_consumer)
            waker_wake(link->channels[i]->waker);
    }
    pthread_mutex_unlock(&link->mutex);
}

static void forget_session(struct session *session)
{
    struct exchange *exchange = session->exchange;
    const struct transport_ops *ops = transport_of(exchange);
    struct connection *connection = session->connection;
    pthread_mutex_lock(&exchange->mutex);
    struct session **at = &exchange->sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    free(session);
    ops->unref(connection);
    if (--exchange->session_count == 0)
        pthread_cond_broadcast(&exchange->no_session);
    pthread_mutex_unlock(&exchange->mutex);
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    struct session *session = context;
    struct link *link = session->link;
    char local[128];
    char remote[128];
    transport_of(session->exchange)->addresses(connection, local, remote, sizeof(remote));
    pthread_mutex_lock(&session->exchange->mutex);
    const bool is_closing = session->exchange->is_closing;
    pthread_mutex_unlock(&session->exchange->mutex);
    if (!is_closing)
        log_event(LOG_WARN, "data_connection_closed", "peer", remote, "reason", reason, NULL);
    if (link != NULL) {
        pthread_mutex_lock(&link->mutex);
        if (link->session == session) {
            link->session = NULL;
            link->is_ready = false;
            fail_channels(link, false, reason);
        }
        pthread_mutex_unlock(&link->mutex);
    }
    forget_session(session);
}

static void handler_init(struct session *session, struct connection_handler *ret_handler)
{
    *ret_handler = (struct connection_handler){
        .context = session,
        .on_frame = on_frame,
        .on_writable = on_writable,
        .on_closed = on_closed,
    };
}

static struct session *session_create(struct exchange *exchange)
{
    struct session *session = allocate(sizeof(*session));
    session->exchange = exchange;
    session->started_us = clock_now_us(exchange->config.clock);
    return session;
}

/* The exchange's mutex is held. */
static void list_session(struct session *session)
{
    struct exchange *exchange = session->exchange;
    session->next = exchange->sessions;
    exchange->sessions = session;
    exchange->session_count++;
}

/* Counts accepted connections without HELLO, and closes those that take too long. */
static uint32_t count_strangers(struct exchange *exchange, int64_t now_us)
{
    uint32_t count = 0;
    for (struct session *session = exchange->sessions; session != NULL; session = session->next) {
        if (session->is_dialled || session->has_hello)
            continue;
        count++;
        if (now_us - session->started_us > REMOTE_HELLO_TIMEOUT_US)
            transport_of(exchange)->close(session->connection, "no HELLO within 10 s");
    }
    return count;
}

bool session_accept(void *context, struct connection *connection,
                    struct connection_handler *ret_handler)
{
    struct exchange *exchange = context;
    struct session *session = session_create(exchange);
    session->connection = transport_of(exchange)->ref(connection);
    pthread_mutex_lock(&exchange->mutex);
    const bool is_welcome = !exchange->is_closing &&
                            count_strangers(exchange, session->started_us) < REMOTE_STRANGERS_MAX;
    if (is_welcome)
        list_session(session);
    pthread_mutex_unlock(&exchange->mutex);
    if (!is_welcome) {
        transport_of(exchange)->unref(connection);
        free(session);
        return false;
    }
    handler_init(session, ret_handler);
    send_hello(session);
    return true;
}

void link_connect(struct link *link)
{
    struct exchange *exchange = link->exchange;
    if (link->session != NULL || id128_compare(exchange->config.incarnation, link->peer) >= 0)
        return; /* the other side dials */
    if (link->address == NULL || link->address[0] == '\0') {
        fail_channels(link, false, "its data address is not known");
        return;
    }
    struct session *session = session_create(exchange);
    session->is_dialled = true;
    session->expected = link->peer;
    session->link = link;
    link->session = session;
    struct connection_handler handler;
    handler_init(session, &handler);
    /* Callbacks that come at once wait for the link's mutex, or for that of the exchange. */
    pthread_mutex_lock(&exchange->mutex);
    session->connection =
        transport_of(exchange)->dial(exchange->config.transport, link->address, &handler);
    list_session(session);
    if (exchange->is_closing)
        transport_of(exchange)->close(session->connection, "this TaskManager ends");
    pthread_mutex_unlock(&exchange->mutex);
    send_hello(session);
}
