/* One short GET of another daemon's HTTP server (libcurl). Blocks; not for event loops. */
#ifndef COMMON_IO_HTTP_FETCH_H
#define COMMON_IO_HTTP_FETCH_H

#include "common/base/status.h"
#include "common/base/text.h"

#include <stdint.h>

/* host: a name or an address, IPv6 without brackets. Appends the body of an answer 200 to out,
 * whose maximum is a limit too. Any thread. */
enum status http_fetch(const char *host, uint16_t port, const char *path, int64_t timeout_ms,
                       struct text *out, struct error *err) MUST_CHECK;

#endif
