/* One connection of the control plane: see rpc_link.h. */
#include "common/rpc/rpc_link.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/rpc/message_codec.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FRAME_RPC_HELLO   1
#define FRAME_RPC_MESSAGE 2
#define FRAME_FLAG_MORE   1

/* "MSRP", then major and minor as 16-bit little-endian numbers. */
#define HELLO_MAGIC "MSRP"
#define HELLO_BYTES 8
#define HOST_BYTES  256

struct rpc_link {
    _Atomic uint32_t references;
    struct transport *transport;
    struct connection *connection; /* a reference; set once, before the owner knows the link */
    struct rpc_link_handler handler;
    pthread_mutex_t send_lock; /* frames of one message stay together */
    bool is_open;              /* greeted; used by the transport's callbacks only */
    _Atomic bool is_trusted;   /* dialled, or rpc_link_trust */
    struct text incoming;      /* the message that is being put together */
};

struct rpc_server {
    struct transport *transport;
    struct listener *listener;
    rpc_accept accept;
    void *context;
};

static struct rpc_link *link_create(struct transport *transport)
{
    struct rpc_link *link = allocate(sizeof(*link));
    atomic_init(&link->references, 1);
    link->transport = transport;
    CHECK(pthread_mutex_init(&link->send_lock, NULL) == 0);
    text_init(&link->incoming, MESSAGE_BYTES_MAX);
    return link;
}

struct rpc_link *rpc_link_ref(struct rpc_link *link)
{
    atomic_fetch_add_explicit(&link->references, 1, memory_order_relaxed);
    return link;
}

void rpc_link_unref(struct rpc_link *link)
{
    if (link == NULL)
        return;
    if (atomic_fetch_sub_explicit(&link->references, 1, memory_order_acq_rel) != 1)
        return;
    if (link->connection != NULL)
        link->transport->ops->unref(link->connection);
    (void)pthread_mutex_destroy(&link->send_lock);
    text_done(&link->incoming);
    free(link);
}

static void send_frame(struct rpc_link *link, uint8_t kind, uint8_t flags, const char *bytes,
                       size_t size)
{
    struct buffer *payload = buffer_create(NULL, (uint32_t)size);
    memcpy(payload->bytes, bytes, size);
    payload->size = (uint32_t)size;
    const struct frame frame = {.kind = kind, .flags = flags, .payload = payload};
    /* Urgent frames are refused only by a closed connection, whose end is told by on_closed. */
    const bool is_queued = link->transport->ops->send(link->connection, &frame, true);
    (void)is_queued;
    buffer_unref(payload);
}

static void send_hello(struct rpc_link *link)
{
    char hello[HELLO_BYTES] = HELLO_MAGIC;
    hello[4] = (char)(RPC_PROTOCOL_MAJOR & 255);
    hello[5] = (char)(RPC_PROTOCOL_MAJOR >> 8);
    hello[6] = (char)(RPC_PROTOCOL_MINOR & 255);
    hello[7] = (char)(RPC_PROTOCOL_MINOR >> 8);
    send_frame(link, FRAME_RPC_HELLO, 0, hello, sizeof(hello));
}

void rpc_link_send(struct rpc_link *link, const struct message *message)
{
    struct text bytes;
    text_init(&bytes, MESSAGE_BYTES_MAX);
    message_encode(message, &bytes);
    if (bytes.overflowed) {
        rpc_link_close(link, "a message would be larger than the protocol allows");
        text_done(&bytes);
        return;
    }
    (void)pthread_mutex_lock(&link->send_lock);
    size_t offset = 0;
    do {
        const size_t left = bytes.size - offset;
        const size_t part = left < FRAME_PAYLOAD_MAX ? left : FRAME_PAYLOAD_MAX;
        send_frame(link, FRAME_RPC_MESSAGE, part < left ? FRAME_FLAG_MORE : 0, bytes.bytes + offset,
                   part);
        offset += part;
    } while (offset < bytes.size);
    (void)pthread_mutex_unlock(&link->send_lock);
    text_done(&bytes);
}

void rpc_link_remote_host(struct rpc_link *link, char *out, size_t size)
{
    char local[HOST_BYTES] = "";
    char remote[HOST_BYTES] = "?";
    link->transport->ops->addresses(link->connection, local, remote, HOST_BYTES);
    (void)snprintf(out, size, "%s", remote);
}

void rpc_link_trust(struct rpc_link *link)
{
    atomic_store(&link->is_trusted, true);
}

void rpc_link_close(struct rpc_link *link, const char *reason)
{
    link->transport->ops->close(link->connection, reason);
}

/* ---- what comes in ---- */

/* NULL if the greeting is fine, else why not. */
static const char *check_hello(const struct frame *frame, char *reason, size_t size)
{
    const struct buffer *payload = frame->payload;
    if (frame->kind != FRAME_RPC_HELLO || payload == NULL || payload->size != HELLO_BYTES ||
        memcmp(payload->bytes, HELLO_MAGIC, 4) != 0)
        return "the other side does not speak Millstream's RPC: is the address right?";
    const unsigned char *bytes = (const unsigned char *)payload->bytes;
    const unsigned major = bytes[4] | (unsigned)bytes[5] << 8;
    const unsigned minor = bytes[6] | (unsigned)bytes[7] << 8;
    const unsigned distance =
        minor > RPC_PROTOCOL_MINOR ? minor - RPC_PROTOCOL_MINOR : RPC_PROTOCOL_MINOR - minor;
    if (major == RPC_PROTOCOL_MAJOR && distance <= 1)
        return NULL;
    (void)snprintf(reason, size,
                   "the other side speaks RPC version %u.%u, this one %d.%d: upgrade the older one",
                   major, minor, RPC_PROTOCOL_MAJOR, RPC_PROTOCOL_MINOR);
    return reason;
}

static void on_hello(struct rpc_link *link, struct connection *connection,
                     const struct frame *frame)
{
    char reason[160];
    const char *refusal = check_hello(frame, reason, sizeof(reason));
    if (refusal != NULL) {
        link->transport->ops->close(connection, refusal);
        return;
    }
    link->is_open = true;
    char local[HOST_BYTES] = "";
    char remote[HOST_BYTES] = "";
    link->transport->ops->addresses(connection, local, remote, HOST_BYTES);
    link->handler.on_open(link->handler.context, link, local, remote);
}

static void on_message_complete(struct rpc_link *link, struct connection *connection)
{
    struct message *message = NULL;
    struct error err;
    const enum status status =
        message_decode(link->incoming.bytes, link->incoming.size, &message, &err);
    text_done(&link->incoming);
    text_init(&link->incoming, MESSAGE_BYTES_MAX);
    if (status == STATUS_OK)
        link->handler.on_message(link->handler.context, link, message);
    else
        link->transport->ops->close(connection, err.message);
}

static void on_frame(void *context, struct connection *connection, const struct frame *frame)
{
    struct rpc_link *link = context;
    if (!link->is_open) {
        on_hello(link, connection, frame);
        return;
    }
    if (frame->kind != FRAME_RPC_MESSAGE) {
        link->transport->ops->close(connection, "a frame of an unknown kind");
        return;
    }
    const size_t size = frame->payload != NULL ? frame->payload->size : 0;
    if (!atomic_load(&link->is_trusted) && link->incoming.size + size > RPC_STRANGER_BYTES_MAX) {
        link->transport->ops->close(connection, "more than 64 KiB before the registration");
        return;
    }
    if (size > 0)
        text_append_bytes(&link->incoming, frame->payload->bytes, size);
    if (link->incoming.overflowed)
        link->transport->ops->close(connection, "a message larger than the protocol allows");
    else if ((frame->flags & FRAME_FLAG_MORE) == 0)
        on_message_complete(link, connection);
}

static void on_writable(void *context, struct connection *connection)
{
    (void)context;
    (void)connection;
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    (void)connection;
    struct rpc_link *link = context;
    link->handler.on_closed(link->handler.context, link, reason);
    rpc_link_unref(link); /* the connection's */
}

static struct connection_handler connection_handler_of(struct rpc_link *link)
{
    return (struct connection_handler){.context = rpc_link_ref(link),
                                       .on_frame = on_frame,
                                       .on_writable = on_writable,
                                       .on_closed = on_closed};
}

struct rpc_link *rpc_link_dial(struct transport *transport, const char *address,
                               const struct rpc_link_handler *handler)
{
    struct rpc_link *link = link_create(transport);
    link->handler = *handler;
    atomic_store(&link->is_trusted, true);
    const struct connection_handler below = connection_handler_of(link);
    link->connection = transport->ops->dial(transport, address, &below);
    send_hello(link);
    return link;
}

static bool on_accept(void *context, struct connection *connection,
                      struct connection_handler *ret_handler)
{
    const struct rpc_server *server = context;
    struct rpc_link *link = link_create(server->transport);
    link->connection = server->transport->ops->ref(connection);
    if (!server->accept(server->context, link, &link->handler)) {
        rpc_link_unref(link);
        return false;
    }
    *ret_handler = connection_handler_of(link);
    send_hello(link);
    return true;
}

enum status rpc_server_start(struct transport *transport, const char *address, rpc_accept accept,
                             void *context, struct rpc_server **ret_server, char **ret_address,
                             struct error *err)
{
    struct rpc_server *server = allocate(sizeof(*server));
    server->transport = transport;
    server->accept = accept;
    server->context = context;
    const enum status status = transport->ops->listen(transport, address, on_accept, server,
                                                      &server->listener, ret_address, err);
    if (status != STATUS_OK) {
        free(server);
        return status;
    }
    *ret_server = server;
    return STATUS_OK;
}

void rpc_server_stop(struct rpc_server *server)
{
    if (server == NULL)
        return;
    server->transport->ops->close_listener(server->listener);
    free(server);
}
