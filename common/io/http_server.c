/* The HTTP server of both daemons: see http_server.h. */
#include "common/io/http_server.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <microhttpd.h>

#define CONNECTION_MEMORY_BYTES (32 * 1024)

struct http_server {
    struct MHD_Daemon *daemon;
    const struct http_route *routes;
    void *context;
    uint16_t port;
};

/* One request while its body comes in. */
struct incoming {
    const struct http_route *route;
    int refusal; /* HTTP status with which the request is refused, 0 if it is not */
    struct text body;
    char path[HTTP_PATH_BYTES_MAX + 1]; /* cut at '/' by match(): parameters point into it */
    struct http_request request;
};

const char *http_request_query(const struct http_request *request, const char *name)
{
    /* The library's interface takes a pointer to non-const but only reads. */
    struct MHD_Connection *connection = (struct MHD_Connection *)(uintptr_t)request->connection;
    return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

void http_response_error(struct http_response *response, int status, const char *format, ...)
{
    char message[ERROR_MESSAGE_MAX * 2];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    response->status = status;
    text_clear(&response->body);
    text_append(&response->body, "{\"errors\":[");
    text_append_json(&response->body, message, strlen(message));
    text_append(&response->body, "]}");
}

/* Matches a path against a pattern, part by part; the path's slashes become NUL. */
static bool match(const char *pattern, char *path, const char **parameters)
{
    size_t count = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        const size_t pattern_size = strcspn(pattern, "/");
        const size_t path_size = strcspn(path, "/");
        const bool is_parameter = pattern[0] == ':';
        if (is_parameter ? path_size == 0
                         : pattern_size != path_size || memcmp(pattern, path, path_size) != 0)
            return false;
        const bool is_last = path[path_size] == '\0';
        if (is_last != (pattern[pattern_size] == '\0'))
            return false;
        if (is_parameter)
            parameters[count++] = path;
        pattern += pattern_size;
        path += path_size;
    }
    return *pattern == '\0' && *path == '\0';
}

static void cut_parameters(struct http_request *request)
{
    for (size_t i = 0; i < HTTP_PATH_PARAMETERS_MAX && request->parameters[i] != NULL; i++) {
        char *parameter = (char *)(uintptr_t)request->parameters[i];
        parameter[strcspn(parameter, "/")] = '\0';
    }
}

static const struct http_route *find_route(const struct http_server *server, const char *method,
                                           struct incoming *incoming, bool *ret_path_known)
{
    char *path = incoming->path;
    if (strncmp(path, "/v1/", 4) == 0)
        path += 3;
    const bool is_head = strcmp(method, "HEAD") == 0;
    for (const struct http_route *route = server->routes; route->method != NULL; route++) {
        const char *parameters[HTTP_PATH_PARAMETERS_MAX] = {0};
        if (!match(route->pattern, path, parameters))
            continue;
        *ret_path_known = true;
        if (strcmp(route->method, is_head ? "GET" : method) == 0) {
            memcpy(incoming->request.parameters, parameters, sizeof(parameters));
            cut_parameters(&incoming->request);
            return route;
        }
    }
    return NULL;
}

static struct incoming *incoming_create(const struct http_server *server, const char *url,
                                        const char *method)
{
    struct incoming *incoming = allocate(sizeof(*incoming));
    text_init(&incoming->body, HTTP_BODY_BYTES_MAX);
    if (strlen(url) > HTTP_PATH_BYTES_MAX) {
        incoming->refusal = MHD_HTTP_URI_TOO_LONG;
        return incoming;
    }
    (void)snprintf(incoming->path, sizeof(incoming->path), "%s", url);
    bool is_path_known = false;
    incoming->route = find_route(server, method, incoming, &is_path_known);
    if (incoming->route == NULL)
        incoming->refusal = is_path_known ? MHD_HTTP_METHOD_NOT_ALLOWED : MHD_HTTP_NOT_FOUND;
    return incoming;
}

static void answer_refusal(const struct incoming *incoming, const char *method, const char *url,
                           struct http_response *response)
{
    switch (incoming->refusal) {
    case MHD_HTTP_NOT_FOUND:
        http_response_error(response, incoming->refusal, "Unable to load requested file %.200s.",
                            url);
        break;
    case MHD_HTTP_METHOD_NOT_ALLOWED:
        http_response_error(response, incoming->refusal, "%.20s is not supported for %.200s",
                            method, url);
        break;
    case MHD_HTTP_CONTENT_TOO_LARGE:
        http_response_error(response, incoming->refusal, "body larger than %d bytes",
                            HTTP_BODY_BYTES_MAX);
        break;
    default:
        http_response_error(response, incoming->refusal, "request refused");
        break;
    }
}

static enum MHD_Result send_response(struct MHD_Connection *connection,
                                     struct http_response *response)
{
    const size_t size = response->body.size;
    struct MHD_Response *answer =
        MHD_create_response_from_buffer(size, text_take(&response->body), MHD_RESPMEM_MUST_FREE);
    if (answer == NULL)
        return MHD_NO;
    enum MHD_Result result =
        MHD_add_response_header(answer, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type);
    if (result == MHD_YES)
        result = MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
    if (result == MHD_YES)
        result = MHD_queue_response(connection, (unsigned)response->status, answer);
    MHD_destroy_response(answer);
    return result;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request_slot)
{
    (void)version;
    const struct http_server *server = context;
    struct incoming *incoming = *request_slot;
    if (incoming == NULL) {
        *request_slot = incoming_create(server, url, method);
        return MHD_YES;
    }
    if (*upload_size > 0) {
        text_append_bytes(&incoming->body, upload, *upload_size);
        if (incoming->body.overflowed)
            incoming->refusal = MHD_HTTP_CONTENT_TOO_LARGE;
        *upload_size = 0;
        return MHD_YES;
    }
    struct http_response response = {.status = MHD_HTTP_OK,
                                     .content_type = "application/json; charset=UTF-8"};
    text_init(&response.body, HTTP_ANSWER_BYTES_MAX);
    if (incoming->refusal != 0) {
        answer_refusal(incoming, method, url, &response);
    } else {
        incoming->request.method = method;
        incoming->request.path = url;
        incoming->request.body = incoming->body.bytes;
        incoming->request.body_size = incoming->body.size;
        incoming->request.connection = connection;
        incoming->route->handler(server->context, &incoming->request, &response);
    }
    const enum MHD_Result result = send_response(connection, &response);
    text_done(&response.body);
    return result;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_slot,
                         enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)connection;
    (void)code;
    struct incoming *incoming = *request_slot;
    if (incoming != NULL)
        text_done(&incoming->body);
    free(incoming);
    *request_slot = NULL;
}

static enum status resolve(const char *host, uint16_t port, struct addrinfo **ret_address,
                           struct error *err)
{
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const int code = getaddrinfo(host, service, &hints, ret_address);
    if (code != 0)
        return error_set(err, STATUS_INVALID, "address \"%s\": %s", host, gai_strerror(code));
    return STATUS_OK;
}

static struct MHD_Daemon *start_daemon(struct http_server *server, const char *host, uint16_t port,
                                       struct error *err)
{
    struct addrinfo *address = NULL;
    if (resolve(host, port, &address, err) != STATUS_OK)
        return NULL;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD;
    if (address->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        flags, port, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR, address->ai_addr,
        MHD_OPTION_THREAD_POOL_SIZE, (unsigned)HTTP_THREADS, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_PER_ADDRESS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES, MHD_OPTION_END);
    const int start_errno = errno;
    freeaddrinfo(address);
    if (daemon == NULL && start_errno == EADDRINUSE)
        (void)error_set(err, STATUS_EXISTS, "listen on %s:%u: the port is in use", host, port);
    else if (daemon == NULL)
        (void)error_set_errno(err, start_errno, "listen on %s:%u", host, port);
    return daemon;
}

enum status http_server_start(const char *host, uint16_t port, uint16_t last_port,
                              const struct http_route *routes, void *context,
                              struct http_server **ret_server, struct error *err)
{
    struct http_server *server = allocate(sizeof(*server));
    server->routes = routes;
    server->context = context;
    struct error reason = {0};
    for (uint32_t try_port = port; server->daemon == NULL && try_port <= last_port; try_port++) {
        server->daemon = start_daemon(server, host, (uint16_t)try_port, &reason);
        if (server->daemon == NULL && reason.code != STATUS_EXISTS)
            break;
    }
    if (server->daemon == NULL) {
        free(server);
        return error_set(err, reason.code, "%s", reason.message);
    }
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_BIND_PORT);
    server->port = info != NULL ? info->port : port;
    *ret_server = server;
    return STATUS_OK;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_stop(struct http_server *server)
{
    if (server == NULL)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}
