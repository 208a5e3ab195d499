/*
 * Frames over nng's byte streams (tcp, ipc, tls+tcp).
 *
 * Rules for nng 1.5.2 kept here: one operation per aio at a time; aios are stopped before they are
 * freed and never freed in their own callback; a reaper thread closes streams and calls on_closed;
 * sends may be partial; at most 8 vectors.
 *
 * A connection that is closed still sends what was queued, for at most LINGER_MS, so that the
 * reason of a refusal arrives.
 */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/io/frame_stream.h"

#include <nng/nng.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define VECTORS_MAX     8     /* of an aio */
#define SEND_TIMEOUT_MS 60000 /* without any progress: the peer is gone */
#define LINGER_MS       500
#define ACCEPT_PAUSE_MS 100
#define REASON_BYTES    600

struct nng_transport {
    struct transport transport; /* first */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t reaper;
    struct connection *connections; /* until on_closed was called */
    uint32_t listener_count;
    bool has_news; /* for the reaper, since it last began to look */
    bool is_closing;
};

struct connection {
    struct connection *next; /* in the transport's list; its mutex */
    struct nng_transport *transport;
    _Atomic uint32_t references;
    pthread_mutex_t callback_mutex; /* before `mutex`: one callback at a time */
    struct connection_handler handler;
    char *address; /* dialled */

    pthread_mutex_t mutex; /* before the transport's; guards what follows */
    nng_stream_dialer *dialer;
    nng_stream *stream;
    nng_aio *dial_aio;
    nng_aio *send_aio;
    nng_aio *recv_aio;
    bool is_connected;
    bool is_closing; /* no new operation, no frame is delivered */
    bool is_reapable;
    int64_t reap_us; /* while closing: at the latest */
    bool is_sending;
    bool was_refused;
    char reason[REASON_BYTES];
    struct frame_queue queue;

    struct frame_reader reader; /* the receiver's own */
};

struct listener {
    struct nng_transport *transport;
    nng_stream_listener *listener;
    nng_aio *aio;
    accept_fn accept;
    void *context;
    bool is_pausing; /* the accept callback's own */
};

static int64_t now_us(void)
{
    return clock_now_us(clock_system());
}

static struct connection *nng_connection_ref(struct connection *connection)
{
    atomic_fetch_add(&connection->references, 1);
    return connection;
}

static void nng_connection_unref(struct connection *connection)
{
    if (atomic_fetch_sub(&connection->references, 1) != 1)
        return;
    nng_aio_free(connection->dial_aio);
    nng_aio_free(connection->send_aio);
    nng_aio_free(connection->recv_aio);
    if (connection->stream != NULL)
        nng_stream_free(connection->stream);
    if (connection->dialer != NULL)
        nng_stream_dialer_free(connection->dialer);
    frame_queue_done(&connection->queue);
    frame_reader_done(&connection->reader);
    pthread_mutex_destroy(&connection->mutex);
    pthread_mutex_destroy(&connection->callback_mutex);
    free(connection->address);
    free(connection);
}

static void wake_reaper(struct nng_transport *transport)
{
    pthread_mutex_lock(&transport->mutex);
    transport->has_news = true;
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->mutex);
}

/* The mutex is held. at_once: the stream is of no use any more. */
static void begin_close(struct connection *connection, const char *reason, bool at_once)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        (void)snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
        connection->reap_us = now_us() + (int64_t)LINGER_MS * 1000;
    }
    if (at_once || !connection->is_connected || connection->queue.first == NULL)
        connection->is_reapable = true;
    wake_reaper(connection->transport);
}

static void fail_connection(struct connection *connection, const char *reason)
{
    pthread_mutex_lock(&connection->mutex);
    begin_close(connection, reason, true);
    pthread_mutex_unlock(&connection->mutex);
}

/* ---- sending ---- */

static void set_vectors(nng_aio *aio, const struct iovec *vectors, unsigned count)
{
    nng_iov same[VECTORS_MAX];
    for (unsigned i = 0; i < count; i++)
        same[i] = (nng_iov){vectors[i].iov_base, vectors[i].iov_len};
    CHECK(nng_aio_set_iov(aio, count, same) == 0);
}

/* The mutex is held. */
static void start_send(struct connection *connection)
{
    if (connection->is_sending || connection->is_reapable || !connection->is_connected ||
        connection->queue.first == NULL)
        return;
    struct iovec vectors[VECTORS_MAX];
    set_vectors(connection->send_aio, vectors,
                frame_queue_vectors(&connection->queue, vectors, VECTORS_MAX));
    connection->is_sending = true;
    nng_stream_send(connection->stream, connection->send_aio);
}

static void on_sent(void *context)
{
    struct connection *connection = context;
    const int result = nng_aio_result(connection->send_aio);
    const size_t count = nng_aio_count(connection->send_aio);
    pthread_mutex_lock(&connection->mutex);
    connection->is_sending = false;
    bool is_writable = false;
    if (result != 0) {
        begin_close(connection, nng_strerror(result), true);
    } else {
        frame_queue_pass(&connection->queue, count);
        is_writable = connection->was_refused && !connection->is_closing &&
                      connection->queue.byte_size <= CONNECTION_QUEUE_BYTES_MAX / 2;
        if (is_writable)
            connection->was_refused = false;
        if (connection->is_closing && connection->queue.first == NULL)
            begin_close(connection, "", true);
        start_send(connection);
    }
    pthread_mutex_unlock(&connection->mutex);
    if (!is_writable)
        return;
    pthread_mutex_lock(&connection->callback_mutex);
    if (connection->handler.on_writable != NULL)
        connection->handler.on_writable(connection->handler.context, connection);
    pthread_mutex_unlock(&connection->callback_mutex);
}

/* There is no room for so many bytes; on_writable follows. */
static bool is_refused(struct connection *connection, size_t size)
{
    pthread_mutex_lock(&connection->mutex);
    const bool is_full = connection->queue.byte_size + size > CONNECTION_QUEUE_BYTES_MAX;
    connection->was_refused |= is_full && !connection->is_closing;
    pthread_mutex_unlock(&connection->mutex);
    return is_full;
}

static bool nng_connection_send(struct connection *connection, const struct frame *frame,
                                bool urgent)
{
    const size_t size = frame_size(frame);
    /* Whoever is refused comes again: the checksum is not computed in vain. */
    if (!urgent && is_refused(connection, size))
        return false;
    struct queued_frame *queued = queued_frame_create(frame);
    pthread_mutex_lock(&connection->mutex);
    const bool is_full = connection->queue.byte_size + size > CONNECTION_QUEUE_BYTES_MAX;
    if (connection->is_closing || (is_full && !urgent)) {
        connection->was_refused |= !connection->is_closing;
        pthread_mutex_unlock(&connection->mutex);
        queued_frame_destroy(queued);
        return false;
    }
    frame_queue_push(&connection->queue, queued);
    start_send(connection);
    pthread_mutex_unlock(&connection->mutex);
    return true;
}

/* ---- receiving ---- */

/* The mutex is held. */
static void start_recv(struct connection *connection)
{
    if (connection->is_closing)
        return;
    struct iovec vectors[2];
    set_vectors(connection->recv_aio, vectors, frame_reader_room(&connection->reader, vectors));
    nng_stream_recv(connection->stream, connection->recv_aio);
}

static void deliver(void *context, const struct frame *frame)
{
    struct connection *connection = context;
    pthread_mutex_lock(&connection->mutex);
    const bool is_closing = connection->is_closing;
    pthread_mutex_unlock(&connection->mutex);
    if (is_closing)
        return;
    pthread_mutex_lock(&connection->callback_mutex);
    if (connection->handler.on_frame != NULL)
        connection->handler.on_frame(connection->handler.context, connection, frame);
    pthread_mutex_unlock(&connection->callback_mutex);
}

static void on_received(void *context)
{
    struct connection *connection = context;
    const int result = nng_aio_result(connection->recv_aio);
    if (result != 0) {
        fail_connection(connection, result == NNG_ECONNSHUT || result == NNG_ECLOSED
                                        ? "closed by the peer"
                                        : nng_strerror(result));
        return;
    }
    struct error err;
    if (frame_reader_take(&connection->reader, nng_aio_count(connection->recv_aio), deliver,
                          connection, &err) != STATUS_OK) {
        fail_connection(connection, err.message);
        return;
    }
    pthread_mutex_lock(&connection->mutex);
    start_recv(connection);
    pthread_mutex_unlock(&connection->mutex);
}

/* ---- life ---- */

static void on_dialled(void *context)
{
    struct connection *connection = context;
    const int result = nng_aio_result(connection->dial_aio);
    pthread_mutex_lock(&connection->mutex);
    if (result != 0) {
        char reason[REASON_BYTES];
        (void)snprintf(reason, sizeof(reason), "connect to %s: %s", connection->address,
                       nng_strerror(result));
        begin_close(connection, reason, true);
    } else {
        connection->stream = nng_aio_get_output(connection->dial_aio, 0);
        connection->is_connected = !connection->is_closing;
        if (connection->is_connected) {
            start_recv(connection);
            start_send(connection);
        }
    }
    pthread_mutex_unlock(&connection->mutex);
}

static struct connection *create_connection(struct nng_transport *transport, const char *address)
{
    struct connection *connection = allocate(sizeof(*connection));
    connection->transport = transport;
    connection->address = copy_text(address);
    frame_queue_init(&connection->queue);
    atomic_init(&connection->references, 1); /* the transport's */
    pthread_mutex_init(&connection->mutex, NULL);
    pthread_mutex_init(&connection->callback_mutex, NULL);
    CHECK(nng_aio_alloc(&connection->dial_aio, on_dialled, connection) == 0);
    CHECK(nng_aio_alloc(&connection->send_aio, on_sent, connection) == 0);
    CHECK(nng_aio_alloc(&connection->recv_aio, on_received, connection) == 0);
    nng_aio_set_timeout(connection->send_aio, SEND_TIMEOUT_MS);
    pthread_mutex_lock(&transport->mutex);
    connection->next = transport->connections;
    transport->connections = connection;
    pthread_mutex_unlock(&transport->mutex);
    return connection;
}

static char *url_of(const char *address)
{
    return strstr(address, "://") != NULL ? copy_text(address) : format_text("tcp://%s", address);
}

static struct connection *nng_transport_dial(struct transport *base, const char *address,
                                             const struct connection_handler *handler)
{
    struct nng_transport *transport = (struct nng_transport *)base;
    struct connection *connection = create_connection(transport, address);
    connection->handler = *handler;
    nng_connection_ref(connection);
    char *url = url_of(address);
    pthread_mutex_lock(&connection->mutex);
    const int result = nng_stream_dialer_alloc(&connection->dialer, url);
    if (result != 0) {
        char reason[REASON_BYTES];
        (void)snprintf(reason, sizeof(reason), "connect to %s: %s", address, nng_strerror(result));
        connection->dialer = NULL;
        begin_close(connection, reason, true);
    } else {
        /* Small frames do not wait for acknowledgements; "ipc" knows no such option. */
        (void)nng_stream_dialer_set_bool(connection->dialer, NNG_OPT_TCP_NODELAY, true);
        nng_stream_dialer_dial(connection->dialer, connection->dial_aio);
    }
    pthread_mutex_unlock(&connection->mutex);
    free(url);
    return connection;
}

static void nng_connection_close(struct connection *connection, const char *reason)
{
    pthread_mutex_lock(&connection->mutex);
    begin_close(connection, reason, false);
    pthread_mutex_unlock(&connection->mutex);
}

static void format_address(const nng_sockaddr *address, char *text, size_t size)
{
    if (address->s_family == NNG_AF_INET) {
        const uint8_t *a = (const uint8_t *)&address->s_in.sa_addr;
        (void)snprintf(text, size, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    } else if (address->s_family == NNG_AF_INET6) {
        const uint8_t *a = address->s_in6.sa_addr;
        (void)snprintf(text, size, "[%x:%x:%x:%x:%x:%x:%x:%x]", a[0] << 8 | a[1], a[2] << 8 | a[3],
                       a[4] << 8 | a[5], a[6] << 8 | a[7], a[8] << 8 | a[9], a[10] << 8 | a[11],
                       a[12] << 8 | a[13], a[14] << 8 | a[15]);
    } else {
        (void)snprintf(text, size, "localhost");
    }
}

static void nng_connection_addresses(struct connection *connection, char *local, char *remote,
                                     size_t size)
{
    (void)snprintf(local, size, "?");
    (void)snprintf(remote, size, "%s", connection->address);
    pthread_mutex_lock(&connection->mutex);
    nng_sockaddr address;
    if (connection->stream != NULL) {
        if (nng_stream_get_addr(connection->stream, NNG_OPT_LOCADDR, &address) == 0)
            format_address(&address, local, size);
        if (nng_stream_get_addr(connection->stream, NNG_OPT_REMADDR, &address) == 0)
            format_address(&address, remote, size);
    }
    pthread_mutex_unlock(&connection->mutex);
}

/* ---- listening ---- */

static void take_stream(struct listener *listener, nng_stream *stream)
{
    struct connection *connection = create_connection(listener->transport, "?");
    pthread_mutex_lock(&connection->mutex);
    connection->stream = stream;
    connection->is_connected = true;
    pthread_mutex_unlock(&connection->mutex);
    /* Nothing is received before the handler is known. */
    struct connection_handler handler = {0};
    pthread_mutex_lock(&connection->callback_mutex);
    const bool is_accepted = listener->accept(listener->context, connection, &handler);
    if (is_accepted)
        connection->handler = handler;
    pthread_mutex_unlock(&connection->callback_mutex);
    pthread_mutex_lock(&connection->mutex);
    if (is_accepted)
        start_recv(connection);
    else
        begin_close(connection, "refused", false);
    pthread_mutex_unlock(&connection->mutex);
}

static void on_accepted(void *context)
{
    struct listener *listener = context;
    const int result = nng_aio_result(listener->aio);
    if (result == NNG_ECLOSED || result == NNG_ECANCELED)
        return;
    if (!listener->is_pausing && result == 0) {
        take_stream(listener, nng_aio_get_output(listener->aio, 0));
    } else if (!listener->is_pausing) {
        listener->is_pausing = true; /* out of descriptors: not in a hurry */
        nng_sleep_aio(ACCEPT_PAUSE_MS, listener->aio);
        return;
    }
    listener->is_pausing = false;
    nng_stream_listener_accept(listener->listener, listener->aio);
}

static void close_nng_listener(struct listener *listener)
{
    nng_stream_listener_close(listener->listener);
    nng_aio_stop(listener->aio);
    nng_aio_free(listener->aio);
    nng_stream_listener_free(listener->listener);
    pthread_mutex_lock(&listener->transport->mutex);
    listener->transport->listener_count--;
    pthread_mutex_unlock(&listener->transport->mutex);
    free(listener);
}

/* "host:0" with the port that was given. */
static char *bound_address(nng_stream_listener *listener, const char *address)
{
    const char *port = strrchr(address, ':');
    int number = 0;
    if (port == NULL || strcmp(port, ":0") != 0 ||
        nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &number) != 0)
        return copy_text(address);
    return format_text("%.*s:%d", (int)(port - address), address, number);
}

static enum status nng_transport_listen(struct transport *base, const char *address,
                                        accept_fn accept, void *context,
                                        struct listener **ret_listener, char **ret_address,
                                        struct error *err)
{
    struct nng_transport *transport = (struct nng_transport *)base;
    char *url = url_of(address);
    struct listener *listener = allocate(sizeof(*listener));
    listener->transport = transport;
    listener->accept = accept;
    listener->context = context;
    int result = nng_stream_listener_alloc(&listener->listener, url);
    free(url);
    if (result != 0) {
        free(listener);
        return error_set(err, STATUS_INVALID, "listen at %s: %s", address, nng_strerror(result));
    }
    (void)nng_stream_listener_set_bool(listener->listener, NNG_OPT_TCP_NODELAY, true);
    result = nng_stream_listener_listen(listener->listener);
    if (result != 0) {
        nng_stream_listener_free(listener->listener);
        free(listener);
        return error_set(err, result == NNG_EADDRINUSE ? STATUS_EXISTS : STATUS_IO,
                         "listen at %s: %s", address, nng_strerror(result));
    }
    CHECK(nng_aio_alloc(&listener->aio, on_accepted, listener) == 0);
    pthread_mutex_lock(&transport->mutex);
    transport->listener_count++;
    pthread_mutex_unlock(&transport->mutex);
    *ret_address = bound_address(listener->listener, address);
    *ret_listener = listener;
    nng_stream_listener_accept(listener->listener, listener->aio);
    return STATUS_OK;
}

/* ---- reaper ---- */

/* Is it time to end it? Else the time at which it will be. */
static bool is_due(struct connection *connection, int64_t *ret_wake_us)
{
    pthread_mutex_lock(&connection->mutex);
    const bool is_reapable =
        connection->is_reapable || (connection->is_closing && connection->reap_us <= now_us());
    if (is_reapable)
        connection->is_reapable = true;
    else if (connection->is_closing && connection->reap_us < *ret_wake_us)
        *ret_wake_us = connection->reap_us;
    pthread_mutex_unlock(&connection->mutex);
    return is_reapable;
}

static void reap(struct connection *connection)
{
    if (connection->dialer != NULL)
        nng_stream_dialer_close(connection->dialer);
    nng_aio_stop(connection->dial_aio);
    if (connection->stream != NULL)
        nng_stream_close(connection->stream);
    nng_aio_stop(connection->send_aio);
    nng_aio_stop(connection->recv_aio);
    pthread_mutex_lock(&connection->callback_mutex);
    if (connection->handler.on_closed != NULL)
        connection->handler.on_closed(connection->handler.context, connection, connection->reason);
    pthread_mutex_unlock(&connection->callback_mutex);
    nng_connection_unref(connection);
}

/* Takes one connection that is due out of the list. The transport's mutex is held, and given up
 * for a connection's own: the list's members live as long as only this thread removes them. */
static struct connection *next_due(struct nng_transport *transport, int64_t *ret_wake_us)
{
    struct connection *connection = transport->connections;
    while (connection != NULL) {
        pthread_mutex_unlock(&transport->mutex);
        const bool found = is_due(connection, ret_wake_us);
        pthread_mutex_lock(&transport->mutex);
        if (!found) {
            connection = connection->next;
            continue;
        }
        struct connection **at = &transport->connections;
        while (*at != connection)
            at = &(*at)->next;
        *at = connection->next;
        return connection;
    }
    return NULL;
}

static void wait_until(struct nng_transport *transport, int64_t wake_us)
{
    if (wake_us == INT64_MAX) {
        pthread_cond_wait(&transport->changed, &transport->mutex);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t in_us = wake_us - now_us();
    if (in_us < 0)
        in_us = 0;
    const int64_t ns = until.tv_nsec + in_us % 1000000 * 1000;
    until.tv_sec += in_us / 1000000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    (void)pthread_cond_timedwait(&transport->changed, &transport->mutex, &until);
}

static void *run_reaper(void *argument)
{
    struct nng_transport *transport = argument;
    pthread_mutex_lock(&transport->mutex);
    while (!transport->is_closing || transport->connections != NULL) {
        int64_t wake_us = INT64_MAX;
        transport->has_news = false;
        struct connection *connection = next_due(transport, &wake_us);
        if (connection == NULL) {
            if (!transport->has_news)
                wait_until(transport, wake_us);
            continue;
        }
        pthread_mutex_unlock(&transport->mutex);
        reap(connection);
        pthread_mutex_lock(&transport->mutex);
    }
    pthread_mutex_unlock(&transport->mutex);
    return NULL;
}

static void close_all(struct nng_transport *transport)
{
    pthread_mutex_lock(&transport->mutex);
    size_t count = 0;
    size_t capacity = 0;
    struct connection **all = NULL;
    for (struct connection *at = transport->connections; at != NULL; at = at->next)
        array_push(all, count, capacity) = nng_connection_ref(at);
    pthread_mutex_unlock(&transport->mutex);
    for (size_t i = 0; i < count; i++) {
        nng_connection_close(all[i], "the transport is closing");
        nng_connection_unref(all[i]);
    }
    free(all);
}

static void nng_transport_destroy(struct transport *base)
{
    struct nng_transport *transport = (struct nng_transport *)base;
    close_all(transport);
    pthread_mutex_lock(&transport->mutex);
    CHECK(transport->listener_count == 0);
    transport->is_closing = true;
    transport->has_news = true;
    pthread_cond_signal(&transport->changed);
    pthread_mutex_unlock(&transport->mutex);
    pthread_join(transport->reaper, NULL);
    pthread_mutex_destroy(&transport->mutex);
    pthread_cond_destroy(&transport->changed);
    free(transport);
}

static const struct transport_ops nng_ops = {
    .listen = nng_transport_listen,
    .close_listener = close_nng_listener,
    .dial = nng_transport_dial,
    .send = nng_connection_send,
    .close = nng_connection_close,
    .ref = nng_connection_ref,
    .unref = nng_connection_unref,
    .addresses = nng_connection_addresses,
    .destroy = nng_transport_destroy,
};

struct transport *transport_nng_create(void)
{
    struct nng_transport *transport = allocate(sizeof(*transport));
    transport->transport.ops = &nng_ops;
    pthread_mutex_init(&transport->mutex, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&transport->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    CHECK(pthread_create(&transport->reaper, NULL, run_reaper, transport) == 0);
    return &transport->transport;
}
