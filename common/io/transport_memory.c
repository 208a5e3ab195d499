/*
 * Connections within one process. One thread delivers all callbacks, connection by connection; a
 * connection is two ends, each with a queue of frames on their way to it.
 */
#include "common/io/transport_memory.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SCHEME       "memory://"
#define REASON_BYTES 300

struct queued_frame {
    struct queued_frame *next;
    struct frame frame;
};

/* One end. Everything is guarded by the transport's mutex. */
struct connection {
    struct connection *next; /* in the transport's list until on_closed was called */
    struct memory_transport *transport;
    _Atomic uint32_t references;
    struct connection_handler handler;
    struct connection *peer;    /* NULL: being dialled, or the other end is gone; a reference */
    char *address;              /* that was dialled */
    struct queued_frame *first; /* on their way to this end */
    struct queued_frame **last;
    uint64_t queued_bytes;
    bool is_dialling;
    bool was_refused; /* this end's sender: on_writable is owed */
    bool is_ending;   /* the other end is gone: what is queued still arrives */
    bool is_closed;   /* on_closed is owed or was called */
    char reason[REASON_BYTES];
};

struct listener {
    struct listener *next;
    struct memory_transport *transport;
    char *address;
    accept_fn accept;
    void *context;
};

struct memory_transport {
    struct transport transport; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* something to deliver */
    pthread_cond_t idle;    /* a callback has ended */
    pthread_t thread;
    struct connection *connections;
    struct listener *listeners;
    struct listener *calling; /* whose accept runs now */
    uint32_t next_port;
    uint32_t drop_every;
    uint64_t frame_count;
    bool is_held;
    bool is_closing;
};

static struct connection *memory_ref(struct connection *connection)
{
    atomic_fetch_add(&connection->references, 1);
    return connection;
}

static void free_queue(struct connection *connection)
{
    while (connection->first != NULL) {
        struct queued_frame *next = connection->first->next;
        buffer_unref(connection->first->frame.payload);
        free(connection->first);
        connection->first = next;
    }
    connection->last = &connection->first;
    connection->queued_bytes = 0;
}

static void memory_unref(struct connection *connection)
{
    if (atomic_fetch_sub(&connection->references, 1) != 1)
        return;
    free_queue(connection);
    free(connection->address);
    free(connection);
}

/* The mutex is held. */
static struct connection *create_end(struct memory_transport *transport, const char *address)
{
    struct connection *connection = allocate(sizeof(*connection));
    connection->transport = transport;
    connection->address = copy_text(address);
    connection->last = &connection->first;
    atomic_init(&connection->references, 1); /* the transport's */
    connection->next = transport->connections;
    transport->connections = connection;
    return connection;
}

/* The mutex is held. */
static void mark_closed(struct connection *connection, const char *reason)
{
    if (connection->is_closed)
        return;
    connection->is_closed = true;
    (void)snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
    pthread_cond_signal(&connection->transport->changed);
}

static void memory_close(struct connection *connection, const char *reason)
{
    struct memory_transport *transport = connection->transport;
    pthread_mutex_lock(&transport->mutex);
    mark_closed(connection, reason);
    pthread_mutex_unlock(&transport->mutex);
}

static bool memory_send(struct connection *connection, const struct frame *frame, bool urgent)
{
    struct memory_transport *transport = connection->transport;
    const uint32_t size = frame->payload != NULL ? frame->payload->size : 0;
    CHECK(size <= FRAME_PAYLOAD_MAX);
    pthread_mutex_lock(&transport->mutex);
    /* What is sent before the dial has succeeded waits at this end's own queue of the peer-to-be:
     * the frames move over then. */
    struct connection *to = connection->is_dialling ? connection : connection->peer;
    bool is_taken = !connection->is_closed && to != NULL && !to->is_closed;
    if (is_taken && !urgent && to->queued_bytes + size > CONNECTION_QUEUE_BYTES_MAX) {
        connection->was_refused = true;
        is_taken = false;
    }
    const bool is_dropped =
        transport->drop_every != 0 && ++transport->frame_count % transport->drop_every == 0;
    if (is_taken && !is_dropped) {
        struct queued_frame *queued = allocate(sizeof(*queued));
        queued->frame = *frame;
        if (frame->payload != NULL)
            buffer_ref(frame->payload);
        *to->last = queued;
        to->last = &queued->next;
        to->queued_bytes += size + FRAME_HEADER_BYTES;
        pthread_cond_signal(&transport->changed);
    }
    pthread_mutex_unlock(&transport->mutex);
    return is_taken;
}

static void memory_addresses(struct connection *connection, char *local, char *remote, size_t size)
{
    (void)snprintf(local, size, "memory");
    (void)snprintf(remote, size, "%s", connection->address);
}

static struct connection *memory_dial(struct transport *base, const char *address,
                                      const struct connection_handler *handler)
{
    struct memory_transport *transport = (struct memory_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    struct connection *connection = create_end(transport, address);
    connection->handler = *handler;
    connection->is_dialling = true;
    memory_ref(connection);
    if (transport->is_closing)
        mark_closed(connection, "the transport is closing");
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->mutex);
    return connection;
}

static enum status memory_listen(struct transport *base, const char *address, accept_fn accept,
                                 void *context, struct listener **ret_listener, char **ret_address,
                                 struct error *err)
{
    struct memory_transport *transport = (struct memory_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    const char *name =
        strncmp(address, SCHEME, strlen(SCHEME)) == 0 ? address + strlen(SCHEME) : address;
    const char *port = strrchr(name, ':');
    char *full =
        port != NULL && strcmp(port, ":0") == 0
            ? format_text(SCHEME "%.*s:%u", (int)(port - name), name, ++transport->next_port)
            : format_text(SCHEME "%s", name);
    for (struct listener *other = transport->listeners; other != NULL; other = other->next) {
        if (strcmp(other->address, full) != 0)
            continue;
        pthread_mutex_unlock(&transport->mutex);
        const enum status status = error_set(err, STATUS_EXISTS, "listen at %s: in use", full);
        free(full);
        return status;
    }
    struct listener *listener = allocate(sizeof(*listener));
    *listener = (struct listener){transport->listeners, transport, full, accept, context};
    transport->listeners = listener;
    pthread_mutex_unlock(&transport->mutex);
    *ret_listener = listener;
    *ret_address = copy_text(full);
    return STATUS_OK;
}

static void memory_close_listener(struct listener *listener)
{
    struct memory_transport *transport = listener->transport;
    pthread_mutex_lock(&transport->mutex);
    struct listener **at = &transport->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    while (transport->calling == listener)
        pthread_cond_wait(&transport->idle, &transport->mutex);
    pthread_mutex_unlock(&transport->mutex);
    free(listener->address);
    free(listener);
}

/* ---- delivery: the mutex is held and given up around callbacks ---- */

static void connect_ends(struct memory_transport *transport, struct connection *from)
{
    struct listener *listener = transport->listeners;
    const bool has_scheme = strncmp(from->address, SCHEME, strlen(SCHEME)) == 0;
    while (listener != NULL &&
           strcmp(has_scheme ? listener->address : listener->address + strlen(SCHEME),
                  from->address) != 0)
        listener = listener->next;
    if (listener == NULL) {
        mark_closed(from, "connection refused");
        return;
    }
    struct connection *to = create_end(transport, "memory");
    from->is_dialling = false;
    from->peer = memory_ref(to);
    to->peer = memory_ref(from);
    to->first = from->first;
    to->last = from->first != NULL ? from->last : &to->first;
    to->queued_bytes = from->queued_bytes;
    from->first = NULL;
    from->last = &from->first;
    from->queued_bytes = 0;
    transport->calling = listener;
    /* Nobody else knows the new end yet but its peer, whose frames it does not deliver before. */
    pthread_mutex_unlock(&transport->mutex);
    struct connection_handler handler = {0};
    const bool is_accepted = listener->accept(listener->context, to, &handler);
    pthread_mutex_lock(&transport->mutex);
    transport->calling = NULL;
    pthread_cond_broadcast(&transport->idle);
    to->handler = handler;
    if (!is_accepted)
        mark_closed(to, "refused");
}

static void deliver_frame(struct memory_transport *transport, struct connection *connection)
{
    struct queued_frame *queued = connection->first;
    connection->first = queued->next;
    if (connection->first == NULL)
        connection->last = &connection->first;
    connection->queued_bytes -=
        FRAME_HEADER_BYTES + (queued->frame.payload != NULL ? queued->frame.payload->size : 0);
    struct connection *sender = connection->peer;
    const bool is_writable = sender != NULL && sender->was_refused && !sender->is_closed &&
                             connection->queued_bytes <= CONNECTION_QUEUE_BYTES_MAX / 2;
    if (is_writable) {
        sender->was_refused = false;
        memory_ref(sender);
    }
    pthread_mutex_unlock(&transport->mutex);
    if (connection->handler.on_frame != NULL)
        connection->handler.on_frame(connection->handler.context, connection, &queued->frame);
    if (is_writable) {
        if (sender->handler.on_writable != NULL)
            sender->handler.on_writable(sender->handler.context, sender);
        memory_unref(sender);
    }
    buffer_unref(queued->frame.payload);
    free(queued);
    pthread_mutex_lock(&transport->mutex);
}

static void deliver_close(struct memory_transport *transport, struct connection *connection)
{
    struct connection **at = &transport->connections;
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    struct connection *peer = take_pointer(&connection->peer);
    if (peer != NULL) {
        peer->is_ending = true;
        pthread_cond_signal(&transport->changed);
    }
    free_queue(connection);
    pthread_mutex_unlock(&transport->mutex);
    if (connection->handler.on_closed != NULL)
        connection->handler.on_closed(connection->handler.context, connection, connection->reason);
    if (peer != NULL)
        memory_unref(peer);
    memory_unref(connection);
    pthread_mutex_lock(&transport->mutex);
}

/* So that the next delivery is another's. */
static void move_to_end(struct memory_transport *transport, struct connection *connection)
{
    struct connection **at = &transport->connections;
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    while (*at != NULL)
        at = &(*at)->next;
    *at = connection;
    connection->next = NULL;
}

/* Delivers one thing; false: there is nothing. */
static bool deliver(struct memory_transport *transport)
{
    for (struct connection *connection = transport->connections; connection != NULL;
         connection = connection->next) {
        if (connection->is_ending && connection->first == NULL)
            mark_closed(connection, "closed by the peer");
        if (connection->is_closed) {
            deliver_close(transport, connection);
            return true;
        }
        if (transport->is_held)
            continue;
        if (connection->is_dialling) {
            connect_ends(transport, connection);
            return true;
        }
        if (connection->first != NULL) {
            move_to_end(transport, connection);
            deliver_frame(transport, connection);
            return true;
        }
    }
    return false;
}

static void *serve(void *argument)
{
    struct memory_transport *transport = argument;
    pthread_mutex_lock(&transport->mutex);
    while (!transport->is_closing || transport->connections != NULL) {
        if (!deliver(transport))
            pthread_cond_wait(&transport->changed, &transport->mutex);
    }
    pthread_mutex_unlock(&transport->mutex);
    return NULL;
}

static void memory_destroy(struct transport *base)
{
    struct memory_transport *transport = (struct memory_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    transport->is_closing = true;
    for (struct connection *connection = transport->connections; connection != NULL;
         connection = connection->next)
        mark_closed(connection, "the transport is closing");
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->mutex);
    pthread_join(transport->thread, NULL);
    CHECK(transport->listeners == NULL);
    pthread_mutex_destroy(&transport->mutex);
    pthread_cond_destroy(&transport->changed);
    pthread_cond_destroy(&transport->idle);
    free(transport);
}

static const struct transport_ops memory_ops = {
    .listen = memory_listen,
    .close_listener = memory_close_listener,
    .dial = memory_dial,
    .send = memory_send,
    .close = memory_close,
    .ref = memory_ref,
    .unref = memory_unref,
    .addresses = memory_addresses,
    .destroy = memory_destroy,
};

struct transport *transport_memory_create(void)
{
    struct memory_transport *transport = allocate(sizeof(*transport));
    transport->transport.ops = &memory_ops;
    pthread_mutex_init(&transport->mutex, NULL);
    pthread_cond_init(&transport->changed, NULL);
    pthread_cond_init(&transport->idle, NULL);
    CHECK(pthread_create(&transport->thread, NULL, serve, transport) == 0);
    return &transport->transport;
}

void transport_memory_hold(struct transport *base, bool is_held)
{
    struct memory_transport *transport = (struct memory_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    transport->is_held = is_held;
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->mutex);
}

void transport_memory_cut(struct transport *base, const char *reason)
{
    struct memory_transport *transport = (struct memory_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    for (struct connection *connection = transport->connections; connection != NULL;
         connection = connection->next)
        mark_closed(connection, reason);
    pthread_mutex_unlock(&transport->mutex);
}

void transport_memory_drop(struct transport *base, uint32_t every_nth)
{
    struct memory_transport *transport = (struct memory_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    transport->drop_every = every_nth;
    pthread_mutex_unlock(&transport->mutex);
}
