/* Addresses of TCP sockets as texts: "host:port", "[::1]:port". */
#ifndef COMMON_IO_SOCKET_ADDRESS_H
#define COMMON_IO_SOCKET_ADDRESS_H

#include <netdb.h>
#include <stddef.h>
#include <sys/socket.h>

/* An address without a port or with one too long gives EAI_SERVICE. flags: AI_NUMERICHOST (never
 * waits for a name server), AI_PASSIVE. Returns 0, or a code for gai_strerror; the list is freed
 * with freeaddrinfo. */
int socket_address_resolve(const char *address, int flags, struct addrinfo **ret_list);

/* "10.0.0.1", "[::1]". */
void socket_address_format_host(const struct sockaddr_storage *address, char *text, size_t size);
unsigned socket_address_port(const struct sockaddr_storage *address);

#endif
