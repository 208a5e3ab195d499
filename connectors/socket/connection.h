/*
 * One TCP connection to a server, as a client that comes back: blocking, for threads of the socket
 * source and sink. Every wait is short, so that whoever closes is noticed.
 */
#ifndef CONNECTORS_SOCKET_CONNECTION_H
#define CONNECTORS_SOCKET_CONNECTION_H

#include "connectors/background.h"

#include "common/base/random.h"

/* Between two attempts: 10 ms doubling to 5 s, with jitter, for ever. */
#define CONNECTION_PAUSE_FIRST_MS 10
#define CONNECTION_PAUSE_MAX_MS   5000

struct connection {
    struct background *background; /* whose closing ends every wait; borrowed */
    char *host;
    char *port;
    char *greeting; /* with its line end, sent first over each connection; NULL: none */
    int fd;         /* -1: not connected */
    int64_t pause_ms;
    struct random random;
};

/* address: "host:port", IPv6 in brackets. greeting: a line without its end, or NULL. */
enum status connection_init(struct connection *connection, struct background *background,
                            const char *address, const char *greeting,
                            struct error *err) MUST_CHECK;
void connection_done(struct connection *connection);

/* Connects, with pauses, until it works; false: closing. */
bool connection_open(struct connection *connection);
void connection_close(struct connection *connection);
/* false: the connection broke or its user is closing. */
bool connection_send(struct connection *connection, const char *bytes, size_t size);
/* Waits until the socket is ready for POLLIN or POLLOUT; false: closing. */
bool connection_wait(struct connection *connection, short events);

#endif
