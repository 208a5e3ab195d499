/* A connection of transport_socket.c: what its thread and its callers share. */
#ifndef COMMON_IO_SOCKET_CONNECTION_H
#define COMMON_IO_SOCKET_CONNECTION_H

#include "common/io/frame_stream.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>

#define CONNECTION_HOST_BYTES   64
#define CONNECTION_REASON_BYTES 600

struct socket_transport {
    struct transport transport; /* first */
    int epoll;
    int bell; /* eventfd: something is to be tended */
    pthread_t thread;
    pthread_mutex_t mutex; /* after a connection's */
    pthread_cond_t changed;
    struct connection *connections; /* until on_closed was called; only the thread removes */
    struct listener *listeners;     /* likewise, until close_listener has seen is_closed */
    bool is_closing;
};

/* What an event of epoll belongs to; first in it. */
struct socket_watch {
    void (*on_event)(struct socket_watch *watch, uint32_t events);
};

struct connection {
    struct socket_watch watch; /* first */
    struct connection *next;
    struct socket_transport *transport;
    _Atomic uint32_t references;
    char *address;                     /* dialled */
    struct connection_handler handler; /* the thread's, once it is set */

    pthread_mutex_t mutex; /* guards what follows */
    int fd;                /* closed by the transport's thread alone; -1: none */
    uint32_t events;       /* what epoll is asked for */
    struct addrinfo *addresses;
    struct addrinfo *next_address; /* to be tried */
    bool is_connecting;
    bool is_connected;
    bool wants_read;
    bool wants_write; /* the socket is full: the thread goes on when it is not */
    bool is_flushing; /* a thread is in sendmsg */
    bool was_refused;
    bool owes_writable;
    bool is_closing; /* no frame is delivered any more */
    bool is_reapable;
    int64_t reap_us; /* while closing: at the latest */
    char reason[CONNECTION_REASON_BYTES];
    char local_host[CONNECTION_HOST_BYTES];
    char remote_host[CONNECTION_HOST_BYTES];
    struct frame_queue queue;

    struct frame_reader reader; /* the thread's own */
};

/* transport_socket.c: the thread is to look after all connections. */
void socket_transport_wake(struct socket_transport *transport);
/* Puts it into the list, which gets a reference of its own. */
struct connection *socket_connection_create(struct socket_transport *transport, const char *address)
    __attribute__((returns_nonnull, warn_unused_result));

/* An accepted socket; nothing is read before socket_connection_start. */
void socket_connection_attach(struct connection *connection, int fd);
void socket_connection_start(struct connection *connection);
/* Begins to connect; resolves the name first. */
void socket_connection_dial(struct connection *connection);

bool socket_connection_send(struct connection *connection, const struct frame *frame, bool urgent);
void socket_connection_close(struct connection *connection, const char *reason);
struct connection *socket_connection_ref(struct connection *connection);
void socket_connection_unref(struct connection *connection);
void socket_connection_addresses(struct connection *connection, char *local, char *remote,
                                 size_t size);

/* The thread's look after it. true: it is to be taken from the list and ended; else *ret_wake_us
 * is lowered to when the next look is due. */
bool socket_connection_tend(struct connection *connection, int64_t *ret_wake_us);
/* Closes the socket, calls on_closed, drops the list's reference. */
void socket_connection_end(struct connection *connection);

#endif
