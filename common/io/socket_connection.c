/* One connection of the socket transport: connecting, sending, receiving, closing. */
#include "common/io/socket_connection.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/io/socket_address.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define RECEIVE_BYTES_MAX (1024 * 1024) /* before other connections have their turn */
#define SEND_VECTORS_MAX  64
#define STALLED_MS        60000 /* something to be sent, and no progress: the peer is gone */
#define LINGER_US         500000

struct connection *socket_connection_ref(struct connection *connection)
{
    atomic_fetch_add_explicit(&connection->references, 1, memory_order_relaxed);
    return connection;
}

void socket_connection_unref(struct connection *connection)
{
    if (atomic_fetch_sub_explicit(&connection->references, 1, memory_order_acq_rel) != 1)
        return;
    frame_queue_done(&connection->queue);
    frame_reader_done(&connection->reader);
    if (connection->addresses != NULL)
        freeaddrinfo(connection->addresses);
    pthread_mutex_destroy(&connection->mutex);
    free(connection->address);
    free(connection);
}

/* ---- state; the mutex is held ---- */

static void update_events(struct connection *connection)
{
    const bool is_reading = connection->wants_read && !connection->is_closing;
    const bool is_writing = connection->is_connecting || connection->wants_write;
    const uint32_t events = (is_reading ? EPOLLIN : 0U) | (is_writing ? EPOLLOUT : 0U);
    if (connection->fd < 0 || events == connection->events)
        return;
    struct epoll_event event = {.events = events, .data = {.ptr = connection}};
    CHECK(epoll_ctl(connection->transport->epoll, EPOLL_CTL_MOD, connection->fd, &event) == 0);
    connection->events = events;
}

/* at_once: the socket is of no use any more. */
static void begin_close(struct connection *connection, const char *reason, bool at_once)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        (void)snprintf(connection->reason, sizeof(connection->reason), "%s", reason);
        connection->reap_us = clock_now_us(clock_system()) + LINGER_US;
        update_events(connection);
    }
    if (at_once || !connection->is_connected || connection->queue.first == NULL)
        connection->is_reapable = true;
    socket_transport_wake(connection->transport);
}

static void begin_close_errno(struct connection *connection, int errno_value)
{
    char text[256];
    begin_close(connection, strerror_r(errno_value, text, sizeof(text)), true);
}

/* The socket has no events yet. */
static void take_socket(struct connection *connection, int fd)
{
    const int on = 1;
    const unsigned stalled_ms = STALLED_MS;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stalled_ms, sizeof(stalled_ms));
    connection->fd = fd;
    connection->events = 0;
    struct epoll_event event = {.data = {.ptr = connection}};
    CHECK(epoll_ctl(connection->transport->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void note_addresses(struct connection *connection)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);
    if (getsockname(connection->fd, (struct sockaddr *)&address, &size) == 0)
        socket_address_format_host(&address, connection->local_host, CONNECTION_HOST_BYTES);
    size = sizeof(address);
    if (getpeername(connection->fd, (struct sockaddr *)&address, &size) == 0)
        socket_address_format_host(&address, connection->remote_host, CONNECTION_HOST_BYTES);
}

/* ---- sending ---- */

/* The mutex is held, and given up meanwhile. Sends until nothing is left or the socket is full;
 * leaves that to whoever is sending already. */
static void flush(struct connection *connection)
{
    if (connection->is_flushing || !connection->is_connected)
        return;
    connection->is_flushing = true;
    while (connection->queue.first != NULL && !connection->wants_write &&
           !connection->is_reapable) {
        struct iovec vectors[SEND_VECTORS_MAX];
        const unsigned count = frame_queue_vectors(&connection->queue, vectors, SEND_VECTORS_MAX);
        const struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
        size_t size = 0;
        for (unsigned i = 0; i < count; i++)
            size += vectors[i].iov_len;
        const int fd = connection->fd;
        pthread_mutex_unlock(&connection->mutex);
        const ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        const int error = errno;
        pthread_mutex_lock(&connection->mutex);
        if (sent >= 0)
            frame_queue_pass(&connection->queue, (size_t)sent);
        else if (error != EAGAIN && error != EINTR)
            begin_close_errno(connection, error);
        connection->wants_write = sent >= 0 ? (size_t)sent < size : error == EAGAIN;
    }
    connection->is_flushing = false;
    update_events(connection);
    if (connection->was_refused && !connection->is_closing &&
        connection->queue.byte_size <= CONNECTION_QUEUE_BYTES_MAX / 2) {
        connection->was_refused = false;
        connection->owes_writable = true;
        socket_transport_wake(connection->transport);
    }
    if (connection->is_closing)
        begin_close(connection, "", false);
}

/* The mutex is held: there is no room for so many bytes, and on_writable follows. */
static bool is_refused(struct connection *connection, size_t size)
{
    const bool is_full = connection->queue.byte_size + size > CONNECTION_QUEUE_BYTES_MAX;
    connection->was_refused |= is_full && !connection->is_closing;
    return is_full;
}

bool socket_connection_send(struct connection *connection, const struct frame *frame, bool urgent)
{
    const size_t size = frame_size(frame);
    if (!urgent) { /* whoever is refused comes again: the checksum is not computed in vain */
        pthread_mutex_lock(&connection->mutex);
        const bool is_full = is_refused(connection, size);
        pthread_mutex_unlock(&connection->mutex);
        if (is_full)
            return false;
    }
    struct queued_frame *queued = queued_frame_create(frame);
    pthread_mutex_lock(&connection->mutex);
    if (connection->is_closing || (!urgent && is_refused(connection, size))) {
        pthread_mutex_unlock(&connection->mutex);
        queued_frame_destroy(queued);
        return false;
    }
    frame_queue_push(&connection->queue, queued);
    if (!connection->wants_write)
        flush(connection);
    pthread_mutex_unlock(&connection->mutex);
    return true;
}

/* ---- receiving; the transport's thread ---- */

static void fail(struct connection *connection, const char *reason)
{
    pthread_mutex_lock(&connection->mutex);
    begin_close(connection, reason, true);
    pthread_mutex_unlock(&connection->mutex);
}

static bool is_closing(struct connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    const bool closing = connection->is_closing;
    pthread_mutex_unlock(&connection->mutex);
    return closing;
}

static void deliver(void *context, const struct frame *frame)
{
    struct connection *connection = context;
    if (!is_closing(connection) && connection->handler.on_frame != NULL)
        connection->handler.on_frame(connection->handler.context, connection, frame);
}

static void receive(struct connection *connection)
{
    for (size_t total = 0; total < RECEIVE_BYTES_MAX && !is_closing(connection);) {
        struct iovec vectors[2];
        const unsigned count = frame_reader_room(&connection->reader, vectors);
        const size_t room = vectors[0].iov_len + (count > 1 ? vectors[1].iov_len : 0);
        const ssize_t got = readv(connection->fd, vectors, (int)count);
        struct error err;
        if (got < 0) {
            if (errno == EINTR)
                continue;
            if (errno != EAGAIN)
                fail(connection, strerror_r(errno, err.message, sizeof(err.message)));
            return;
        }
        if (got == 0) {
            fail(connection, "closed by the peer");
            return;
        }
        if (frame_reader_take(&connection->reader, (size_t)got, deliver, connection, &err) !=
            STATUS_OK) {
            fail(connection, err.message);
            return;
        }
        if ((size_t)got < room)
            return;
        total += (size_t)got;
    }
}

/* ---- connecting ---- */

/* The mutex is held: tries the addresses that are left. error: of the last one tried. */
static void connect_next(struct connection *connection, int error)
{
    while (connection->next_address != NULL) {
        const struct addrinfo *address = connection->next_address;
        connection->next_address = address->ai_next;
        const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        if (connect(fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
            error = errno;
            (void)close(fd);
            continue;
        }
        take_socket(connection, fd);
        connection->is_connecting = true;
        update_events(connection);
        return;
    }
    char text[256];
    char reason[CONNECTION_REASON_BYTES];
    (void)snprintf(reason, sizeof(reason), "connect to %s: %s", connection->address,
                   strerror_r(error, text, sizeof(text)));
    begin_close(connection, reason, true);
}

/* The mutex is held. The transport's thread. */
static void end_connect(struct connection *connection)
{
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    connection->is_connecting = false;
    if (connection->is_closing)
        return;
    if (error != 0) {
        (void)close(connection->fd); /* epoll forgets it */
        connection->fd = -1;
        connect_next(connection, error);
        return;
    }
    connection->is_connected = true;
    connection->wants_read = true;
    note_addresses(connection);
    update_events(connection);
    flush(connection);
}

/* The mutex is held. */
static void on_resolved(struct connection *connection, int code, struct addrinfo *list)
{
    char reason[CONNECTION_REASON_BYTES];
    if (code != 0) {
        (void)snprintf(reason, sizeof(reason), "connect to %s: %s", connection->address,
                       gai_strerror(code));
        begin_close(connection, reason, true);
        return;
    }
    connection->addresses = list;
    connection->next_address = list;
    if (!connection->is_closing)
        connect_next(connection, EADDRNOTAVAIL);
}

/* A thread of its own: the answer may take its time, and nobody waits for it. */
static void *resolve(void *argument)
{
    struct connection *connection = argument;
    struct addrinfo *list = NULL;
    const int code = socket_address_resolve(connection->address, 0, &list);
    pthread_mutex_lock(&connection->mutex);
    if (!connection->is_closing)
        on_resolved(connection, code, list);
    else if (code == 0)
        connection->addresses = list;
    pthread_mutex_unlock(&connection->mutex);
    socket_connection_unref(connection);
    return NULL;
}

void socket_connection_dial(struct connection *connection)
{
    struct addrinfo *list = NULL;
    const int code = socket_address_resolve(connection->address, AI_NUMERICHOST, &list);
    pthread_mutex_lock(&connection->mutex);
    if (code == EAI_NONAME) {
        pthread_t thread;
        (void)socket_connection_ref(connection);
        if (pthread_create(&thread, NULL, resolve, connection) == 0) {
            (void)pthread_detach(thread);
        } else {
            begin_close(connection, "no thread to resolve its name with", true);
            atomic_fetch_sub_explicit(&connection->references, 1, memory_order_relaxed);
        }
    } else {
        on_resolved(connection, code, list);
    }
    pthread_mutex_unlock(&connection->mutex);
}

/* ---- life ---- */

static void on_event(struct socket_watch *watch, uint32_t events)
{
    struct connection *connection = (struct connection *)watch;
    pthread_mutex_lock(&connection->mutex);
    const bool is_over = (events & (EPOLLHUP | EPOLLERR)) != 0;
    if (connection->is_connecting) {
        end_connect(connection);
        pthread_mutex_unlock(&connection->mutex);
        return;
    }
    if ((events & EPOLLOUT) != 0) {
        connection->wants_write = false;
        flush(connection);
        update_events(connection);
    }
    if (is_over && (connection->is_closing || !connection->wants_read))
        begin_close(connection, "closed by the peer", true);
    pthread_mutex_unlock(&connection->mutex);
    if (is_over || (events & EPOLLIN) != 0)
        receive(connection);
}

struct connection *socket_connection_create(struct socket_transport *transport, const char *address)
{
    struct connection *connection = allocate(sizeof(*connection));
    connection->watch.on_event = on_event;
    connection->transport = transport;
    connection->address = copy_text(address);
    connection->fd = -1;
    frame_queue_init(&connection->queue);
    (void)snprintf(connection->local_host, CONNECTION_HOST_BYTES, "?");
    (void)snprintf(connection->remote_host, CONNECTION_HOST_BYTES, "%s", address);
    atomic_init(&connection->references, 1); /* the list's */
    pthread_mutex_init(&connection->mutex, NULL);
    pthread_mutex_lock(&transport->mutex);
    connection->next = transport->connections;
    transport->connections = connection;
    pthread_mutex_unlock(&transport->mutex);
    return connection;
}

void socket_connection_attach(struct connection *connection, int fd)
{
    pthread_mutex_lock(&connection->mutex);
    take_socket(connection, fd);
    connection->is_connected = true;
    note_addresses(connection);
    pthread_mutex_unlock(&connection->mutex);
}

void socket_connection_start(struct connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    connection->wants_read = true;
    update_events(connection);
    pthread_mutex_unlock(&connection->mutex);
}

void socket_connection_close(struct connection *connection, const char *reason)
{
    pthread_mutex_lock(&connection->mutex);
    begin_close(connection, reason, false);
    pthread_mutex_unlock(&connection->mutex);
}

void socket_connection_addresses(struct connection *connection, char *local, char *remote,
                                 size_t size)
{
    pthread_mutex_lock(&connection->mutex);
    (void)snprintf(local, size, "%s", connection->local_host);
    (void)snprintf(remote, size, "%s", connection->remote_host);
    pthread_mutex_unlock(&connection->mutex);
}

bool socket_connection_tend(struct connection *connection, int64_t *ret_wake_us)
{
    pthread_mutex_lock(&connection->mutex);
    if (connection->is_closing && connection->reap_us <= clock_now_us(clock_system()))
        connection->is_reapable = true;
    /* A thread that is in sendmsg wakes again. */
    const bool is_due = connection->is_reapable && !connection->is_flushing;
    if (connection->is_closing && !connection->is_reapable && connection->reap_us < *ret_wake_us)
        *ret_wake_us = connection->reap_us;
    const bool is_writable = connection->owes_writable && !connection->is_closing;
    connection->owes_writable = false;
    pthread_mutex_unlock(&connection->mutex);
    if (is_writable && connection->handler.on_writable != NULL)
        connection->handler.on_writable(connection->handler.context, connection);
    return is_due;
}

void socket_connection_end(struct connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    if (connection->fd >= 0)
        (void)close(connection->fd); /* epoll forgets it */
    connection->fd = -1;
    connection->is_connected = false;
    pthread_mutex_unlock(&connection->mutex);
    if (connection->handler.on_closed != NULL)
        connection->handler.on_closed(connection->handler.context, connection, connection->reason);
    socket_connection_unref(connection);
}
