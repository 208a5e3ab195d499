/* "host:port" texts, in which the colons of a bare IPv6 host need brackets. */
#ifndef COMMON_BASE_ADDRESS_H
#define COMMON_BASE_ADDRESS_H

#include "common/base/allocate.h"

#include <stdint.h>

/* Fresh memory: "10.0.0.1:6123", "[::1]:6123"; a host in brackets already is taken as it is. */
char *address_join(const char *host, const char *port) RETURNS_MEMORY;
char *address_join_number(const char *host, int64_t port) RETURNS_MEMORY;
/* What peers are told to dial: host (if not NULL) with the port of the bound address; a wildcard
 * without a host gives ":port", to which whoever knows this host adds its name. bound NULL: "". */
char *address_advertised(const char *bound, const char *host) RETURNS_MEMORY;

#endif
