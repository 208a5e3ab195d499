/*
 * The HTTP server of both daemons (libmicrohttpd): a table of routes, limits on everything that
 * comes from outside, JSON errors in Flink's form {"errors":["..."]}.
 *
 * Handlers run on the server's threads and may block for a moment (they ask the daemon's event
 * loop); they never run on that loop.
 */
#ifndef COMMON_IO_HTTP_SERVER_H
#define COMMON_IO_HTTP_SERVER_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_BODY_BYTES_MAX              (16 * 1024 * 1024)
#define HTTP_ANSWER_BYTES_MAX            (64 * 1024 * 1024)
#define HTTP_PATH_BYTES_MAX              1024
#define HTTP_PATH_PARAMETERS_MAX         4
#define HTTP_CONNECTIONS_MAX             256
#define HTTP_CONNECTIONS_PER_ADDRESS_MAX 64
#define HTTP_IDLE_SECONDS                30
#define HTTP_THREADS                     2

struct http_request {
    const char *method;
    const char *path;
    /* What the pattern's :names matched, in order; never empty, never with '/' or NUL. */
    const char *parameters[HTTP_PATH_PARAMETERS_MAX];
    const char *body; /* terminated by NUL, which body_size does not count */
    size_t body_size;
    const void *connection;
};

struct http_response {
    int status;               /* 200 at first */
    const char *content_type; /* "application/json; charset=UTF-8" at first */
    struct text body;
};

/* The value of a query argument, or NULL. Valid until the handler returns. */
const char *http_request_query(const struct http_request *request, const char *name);

/* Answers {"errors":["..."]} with that status. */
void http_response_error(struct http_response *response, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef void (*http_handler)(void *context, const struct http_request *request,
                             struct http_response *response);

struct http_route {
    const char *method;  /* "GET"; NULL ends the table */
    const char *pattern; /* "/jobs/:jobid/checkpoints"; also answered below /v1 */
    http_handler handler;
    const char *help; /* one line, for the documents */
};

struct http_server;

/* Listens on host ("127.0.0.1", "::1", "0.0.0.0") and the first free port of [port, last_port];
 * port 0: any. A port in use is STATUS_EXISTS. routes and context live as long as the server. */
enum status http_server_start(const char *host, uint16_t port, uint16_t last_port,
                              const struct http_route *routes, void *context,
                              struct http_server **ret_server, struct error *err) MUST_CHECK;
uint16_t http_server_port(const struct http_server *server);
/* Waits for running handlers; NULL is ignored. */
void http_server_stop(struct http_server *server);

#endif
