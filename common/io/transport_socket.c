/*
 * Frames over TCP sockets, without TLS: what TaskManagers exchange data over.
 *
 * One thread per transport waits for all sockets (epoll) and makes all callbacks. Who sends writes
 * to the socket itself; while one thread does so, what others send is queued and goes with its next
 * call. What the socket does not take is left to the transport's thread.
 *
 * A connection that is closed still sends what was queued, for at most half a second, so that the
 * reason of a refusal arrives. Names are resolved by a thread of their own.
 */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/io/socket_address.h"
#include "common/io/socket_connection.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define LISTEN_BACKLOG  128
#define ACCEPTS_MAX     16 /* before connections have their turn */
#define ACCEPT_PAUSE_US 100000
#define EVENTS_MAX      64

struct listener {
    struct socket_watch watch; /* first */
    struct listener *next;
    struct socket_transport *transport;
    accept_fn accept;
    void *context;
    int fd;
    int64_t resume_us; /* the thread's: out of descriptors, not in a hurry; 0: accepting */
    bool is_closing;   /* guarded by the transport's mutex, as is_closed */
    bool is_closed;
};

void socket_transport_wake(struct socket_transport *transport)
{
    const uint64_t one = 1;
    CHECK(write(transport->bell, &one, sizeof(one)) == sizeof(one) || errno == EAGAIN);
}

/* ---- listening ---- */

static void watch_listener(struct listener *listener, bool is_accepting)
{
    struct epoll_event event = {.events = is_accepting ? EPOLLIN : 0U, .data = {.ptr = listener}};
    CHECK(epoll_ctl(listener->transport->epoll, EPOLL_CTL_MOD, listener->fd, &event) == 0);
}

static void take_connection(struct listener *listener, int fd)
{
    struct connection *connection = socket_connection_create(listener->transport, "?");
    socket_connection_attach(connection, fd);
    /* Nothing is received before the handler is known. */
    struct connection_handler handler = {0};
    if (listener->accept(listener->context, connection, &handler)) {
        connection->handler = handler;
        socket_connection_start(connection);
    } else {
        socket_connection_close(connection, "refused");
    }
}

static void on_connecting(struct socket_watch *watch, uint32_t events)
{
    struct listener *listener = (struct listener *)watch;
    (void)events;
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(listener, fd);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            listener->resume_us = clock_now_us(clock_system()) + ACCEPT_PAUSE_US;
            watch_listener(listener, false);
        }
        return;
    }
}

static int open_listener(const struct addrinfo *list)
{
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *at = list; at != NULL; at = at->ai_next) {
        const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int on = 1;
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
            bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
            return fd;
        error = errno;
        if (fd >= 0)
            (void)close(fd);
    }
    errno = error;
    return -1;
}

/* The host as it was given, with the port that it got. */
static char *bound_address(int fd, const char *address)
{
    struct sockaddr_storage bound;
    socklen_t size = sizeof(bound);
    CHECK(getsockname(fd, (struct sockaddr *)&bound, &size) == 0);
    return format_text("%.*s:%u", (int)(strrchr(address, ':') - address), address,
                       socket_address_port(&bound));
}

static enum status socket_transport_listen(struct transport *base, const char *address,
                                           accept_fn accept, void *context,
                                           struct listener **ret_listener, char **ret_address,
                                           struct error *err)
{
    struct socket_transport *transport = (struct socket_transport *)base;
    struct addrinfo *list;
    const int code = socket_address_resolve(address, AI_PASSIVE, &list);
    if (code != 0)
        return error_set(err, STATUS_INVALID, "listen at %s: %s", address, gai_strerror(code));
    const int fd = open_listener(list);
    const int error = errno;
    freeaddrinfo(list);
    if (fd < 0) {
        (void)error_set_errno(err, error, "listen at %s", address);
        return err->code = error == EADDRINUSE ? STATUS_EXISTS : STATUS_IO;
    }
    struct listener *listener = allocate(sizeof(*listener));
    *listener = (struct listener){.watch = {on_connecting},
                                  .transport = transport,
                                  .accept = accept,
                                  .context = context,
                                  .fd = fd};
    *ret_address = bound_address(fd, address);
    *ret_listener = listener;
    pthread_mutex_lock(&transport->mutex);
    listener->next = transport->listeners;
    transport->listeners = listener;
    pthread_mutex_unlock(&transport->mutex);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = listener}};
    CHECK(epoll_ctl(transport->epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return STATUS_OK;
}

/* Not in a callback: waits for the thread. */
static void close_socket_listener(struct listener *listener)
{
    struct socket_transport *transport = listener->transport;
    pthread_mutex_lock(&transport->mutex);
    listener->is_closing = true;
    socket_transport_wake(transport);
    while (!listener->is_closed)
        pthread_cond_wait(&transport->changed, &transport->mutex);
    pthread_mutex_unlock(&transport->mutex);
    free(listener);
}

/* The transport's mutex is held. */
static void tend_listeners(struct socket_transport *transport, int64_t *ret_wake_us)
{
    struct listener **at = &transport->listeners;
    while (*at != NULL) {
        struct listener *listener = *at;
        if (listener->is_closing) {
            (void)close(listener->fd); /* epoll forgets it */
            *at = listener->next;
            listener->is_closed = true;
            pthread_cond_broadcast(&transport->changed);
            continue;
        }
        if (listener->resume_us > 0 && listener->resume_us <= clock_now_us(clock_system())) {
            listener->resume_us = 0;
            watch_listener(listener, true);
        } else if (listener->resume_us > 0 && listener->resume_us < *ret_wake_us) {
            *ret_wake_us = listener->resume_us;
        }
        at = &listener->next;
    }
}

/* ---- the thread ---- */

static void remove_connection(struct socket_transport *transport, struct connection *connection)
{
    pthread_mutex_lock(&transport->mutex);
    struct connection **at = &transport->connections;
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    pthread_mutex_unlock(&transport->mutex);
}

/* Returns when the next look is due. */
static int64_t tend(struct socket_transport *transport)
{
    int64_t wake_us = INT64_MAX;
    pthread_mutex_lock(&transport->mutex);
    tend_listeners(transport, &wake_us);
    struct connection *connection = transport->connections;
    pthread_mutex_unlock(&transport->mutex);
    /* Only this thread takes connections out, others put them in front. */
    while (connection != NULL) {
        struct connection *next = connection->next;
        if (socket_connection_tend(connection, &wake_us)) {
            remove_connection(transport, connection);
            socket_connection_end(connection);
        }
        connection = next;
    }
    return wake_us;
}

static int timeout_ms(int64_t wake_us)
{
    if (wake_us == INT64_MAX)
        return -1;
    const int64_t in_us = wake_us - clock_now_us(clock_system());
    if (in_us <= 0)
        return 0;
    return in_us / 1000 < INT_MAX ? (int)(in_us / 1000) + 1 : INT_MAX;
}

static bool is_over(struct socket_transport *transport)
{
    pthread_mutex_lock(&transport->mutex);
    const bool over = transport->is_closing && transport->connections == NULL;
    pthread_mutex_unlock(&transport->mutex);
    return over;
}

static void *run(void *argument)
{
    struct socket_transport *transport = argument;
    int64_t wake_us = INT64_MAX;
    for (;;) {
        struct epoll_event events[EVENTS_MAX];
        const int count = epoll_wait(transport->epoll, events, EVENTS_MAX, timeout_ms(wake_us));
        CHECK(count >= 0 || errno == EINTR);
        /* Traffic of others must not keep what is due from being done. */
        bool has_news = count <= 0 || timeout_ms(wake_us) == 0;
        for (int i = 0; i < count; i++) {
            struct socket_watch *watch = events[i].data.ptr;
            if (watch != NULL) {
                watch->on_event(watch, events[i].events);
                continue;
            }
            uint64_t rings;
            (void)!read(transport->bell, &rings, sizeof(rings));
            has_news = true;
        }
        if (!has_news)
            continue;
        wake_us = tend(transport);
        if (is_over(transport))
            return NULL;
    }
}

/* ---- the transport ---- */

static struct connection *socket_transport_dial(struct transport *base, const char *address,
                                                const struct connection_handler *handler)
{
    struct socket_transport *transport = (struct socket_transport *)base;
    struct connection *connection = socket_connection_create(transport, address);
    connection->handler = *handler;
    (void)socket_connection_ref(connection); /* the caller's */
    socket_connection_dial(connection);
    return connection;
}

static void socket_transport_destroy(struct transport *base)
{
    struct socket_transport *transport = (struct socket_transport *)base;
    pthread_mutex_lock(&transport->mutex);
    CHECK(transport->listeners == NULL);
    transport->is_closing = true;
    size_t count = 0;
    size_t capacity = 0;
    struct connection **all = NULL;
    for (struct connection *at = transport->connections; at != NULL; at = at->next)
        array_push(all, count, capacity) = socket_connection_ref(at);
    pthread_mutex_unlock(&transport->mutex);
    for (size_t i = 0; i < count; i++) {
        socket_connection_close(all[i], "the transport is closing");
        socket_connection_unref(all[i]);
    }
    free(all);
    socket_transport_wake(transport);
    pthread_join(transport->thread, NULL);
    (void)close(transport->epoll);
    (void)close(transport->bell);
    pthread_mutex_destroy(&transport->mutex);
    pthread_cond_destroy(&transport->changed);
    free(transport);
}

static const struct transport_ops socket_ops = {
    .listen = socket_transport_listen,
    .close_listener = close_socket_listener,
    .dial = socket_transport_dial,
    .send = socket_connection_send,
    .close = socket_connection_close,
    .ref = socket_connection_ref,
    .unref = socket_connection_unref,
    .addresses = socket_connection_addresses,
    .destroy = socket_transport_destroy,
};

struct transport *transport_socket_create(void)
{
    struct socket_transport *transport = allocate(sizeof(*transport));
    transport->transport.ops = &socket_ops;
    pthread_mutex_init(&transport->mutex, NULL);
    pthread_cond_init(&transport->changed, NULL);
    transport->epoll = epoll_create1(EPOLL_CLOEXEC);
    transport->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(transport->epoll >= 0 && transport->bell >= 0);
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};
    CHECK(epoll_ctl(transport->epoll, EPOLL_CTL_ADD, transport->bell, &event) == 0);
    CHECK(pthread_create(&transport->thread, NULL, run, transport) == 0);
    return &transport->transport;
}
