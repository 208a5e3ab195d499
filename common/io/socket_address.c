/* Addresses of TCP sockets. */
#include "common/io/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define HOST_BYTES 256
#define PORT_BYTES 16

int socket_address_resolve(const char *address, int flags, struct addrinfo **ret_list)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || strlen(colon + 1) >= PORT_BYTES || colon[1] == '\0')
        return EAI_SERVICE;
    const char *from = address;
    size_t size = (size_t)(colon - address);
    if (size >= 2 && from[0] == '[' && from[size - 1] == ']') {
        from++;
        size -= 2;
    }
    if (size == 0 || size >= HOST_BYTES)
        return EAI_NONAME;
    char host[HOST_BYTES];
    memcpy(host, from, size);
    host[size] = '\0';
    const struct addrinfo hints = {
        .ai_flags = flags | AI_NUMERICSERV,
        .ai_socktype = SOCK_STREAM,
    };
    return getaddrinfo(host, colon + 1, &hints, ret_list);
}

void socket_address_format_host(const struct sockaddr_storage *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        (void)inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
        (void)snprintf(text, size, "%s", host);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)address;
        (void)inet_ntop(AF_INET6, &in->sin6_addr, host, sizeof(host));
        (void)snprintf(text, size, "[%s]", host);
    } else {
        (void)snprintf(text, size, "?");
    }
}

unsigned socket_address_port(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)address)->sin_port);
    if (address->ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    return 0;
}
