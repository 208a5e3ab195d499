/* A TCP client that comes back: see connection.h. */
#include "connectors/socket/connection.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long a closing may go unnoticed. */
#define SLICE_MS 100

enum status connection_init(struct connection *connection, struct background *background,
                            const char *address, const char *greeting, struct error *err)
{
    *connection = (struct connection){
        .background = background, .fd = -1, .pause_ms = CONNECTION_PAUSE_FIRST_MS};
    uint64_t seed = 0;
    random_from_system(&seed, sizeof(seed));
    random_init(&connection->random, seed);
    const char *colon = strrchr(address, ':');
    const bool has_brackets = colon != NULL && address[0] == '[' && colon[-1] == ']';
    char *end = NULL;
    const long port = colon != NULL ? strtol(colon + 1, &end, 10) : 0;
    if (colon == NULL || colon == address || port < 1 || port > 65535 || *end != '\0' ||
        (!has_brackets && memchr(address, ':', (size_t)(colon - address)) != NULL))
        return error_set(err, STATUS_INVALID,
                         "address: expected host:port (IPv6 as [::1]:port), got \"%s\"", address);
    const char *host = address + has_brackets;
    connection->host = copy_text_n(host, (size_t)(colon - host) - has_brackets);
    connection->port = copy_text(colon + 1);
    if (greeting != NULL)
        connection->greeting = format_text("%s\n", greeting);
    return STATUS_OK;
}

void connection_done(struct connection *connection)
{
    connection_close(connection);
    free(connection->host);
    free(connection->port);
    free(connection->greeting);
    connection->host = connection->port = connection->greeting = NULL;
}

void connection_close(struct connection *connection)
{
    if (connection->fd >= 0)
        (void)close(connection->fd); /* what was lost shows in the rows, not here */
    connection->fd = -1;
}

/* Waits at most ms; false: closing. */
static bool pause_for(struct connection *connection, int64_t ms)
{
    for (; ms > 0; ms -= SLICE_MS) {
        if (background_is_closing(connection->background))
            return false;
        (void)poll(NULL, 0, (int)(ms < SLICE_MS ? ms : SLICE_MS));
    }
    return !background_is_closing(connection->background);
}

bool connection_wait(struct connection *connection, short events)
{
    struct pollfd ready = {.fd = connection->fd, .events = events};
    while (!background_is_closing(connection->background)) {
        const int count = poll(&ready, 1, SLICE_MS);
        if (count > 0 || (count < 0 && errno != EINTR))
            return true;
    }
    return false;
}

static bool try_address(struct connection *connection, const struct addrinfo *address)
{
    connection->fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                            address->ai_protocol);
    if (connection->fd < 0)
        return false;
    int reason = 0;
    socklen_t size = sizeof(reason);
    if (connect(connection->fd, address->ai_addr, address->ai_addrlen) == 0)
        return true;
    if (errno == EINPROGRESS && connection_wait(connection, POLLOUT) &&
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &reason, &size) == 0 && reason == 0)
        return true;
    connection_close(connection);
    return false;
}

bool connection_send(struct connection *connection, const char *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t count = send(connection->fd, bytes + done, size - done, MSG_NOSIGNAL);
        if (count >= 0)
            done += (size_t)count;
        else if (errno == EAGAIN && !connection_wait(connection, POLLOUT))
            return false;
        else if (errno != EAGAIN && errno != EINTR)
            return false;
    }
    return true;
}

static bool greet(struct connection *connection)
{
    if (connection->greeting == NULL ||
        connection_send(connection, connection->greeting, strlen(connection->greeting)))
        return true;
    connection_close(connection);
    return false;
}

static bool try_connect(struct connection *connection)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *addresses = NULL;
    /* Resolved anew each time: names move. */
    if (getaddrinfo(connection->host, connection->port, &hints, &addresses) != 0)
        return false;
    bool is_connected = false;
    for (const struct addrinfo *at = addresses; at != NULL && !is_connected; at = at->ai_next)
        is_connected = try_address(connection, at);
    freeaddrinfo(addresses);
    return is_connected && greet(connection);
}

bool connection_open(struct connection *connection)
{
    while (!try_connect(connection)) {
        const int64_t pause_ms = connection->pause_ms;
        const int64_t jitter =
            (int64_t)random_below(&connection->random, (uint64_t)pause_ms / 5 + 1);
        if (!pause_for(connection, pause_ms + jitter))
            return false;
        connection->pause_ms =
            pause_ms * 2 < CONNECTION_PAUSE_MAX_MS ? pause_ms * 2 : CONNECTION_PAUSE_MAX_MS;
    }
    connection->pause_ms = CONNECTION_PAUSE_FIRST_MS;
    return true;
}
