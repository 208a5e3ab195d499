/* Unpredictable bytes: see random.h. */
#include "common/base/random.h"

#include "common/base/check.h"

#include <errno.h>
#include <sys/random.h>

void random_from_system(void *bytes, size_t size)
{
    unsigned char *next = bytes;
    while (size > 0) {
        const ssize_t got = getrandom(next, size, 0);
        CHECK(got > 0 || errno == EINTR);
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
}
