/* Addresses as text: see address.h. */
#include "common/base/address.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

char *address_join(const char *host, const char *port)
{
    const bool is_bare_v6 = strchr(host, ':') != NULL && host[0] != '[';
    return format_text(is_bare_v6 ? "[%s]:%s" : "%s:%s", host, port);
}

char *address_join_number(const char *host, int64_t port)
{
    char digits[24];
    (void)snprintf(digits, sizeof(digits), "%" PRId64, port);
    return address_join(host, digits);
}

char *address_advertised(const char *bound, const char *host)
{
    if (bound == NULL)
        return copy_text("");
    const char *port = strrchr(bound, ':');
    if (port == NULL)
        return copy_text(bound);
    if (host != NULL)
        return address_join(host, port + 1);
    const bool is_wildcard = strncmp(bound, "0.0.0.0:", 8) == 0 || strncmp(bound, "[::]:", 5) == 0;
    return copy_text(is_wildcard ? port : bound);
}
