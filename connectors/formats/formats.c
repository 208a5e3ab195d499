/* What the formats share: see formats.h. */
#include "connectors/formats/formats.h"

#include "common/data/value_text.h"

#include <stdarg.h>
#include <stdio.h>

enum decode decode_failed(struct decode_error *error, uint32_t offset, uint32_t size,
                          const char *format, ...)
{
    error->offset = offset;
    error->size = size;
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    if (length < 0)
        error->message[0] = '\0';
    return DECODE_ERROR;
}

size_t utf8_first_bad_byte(const char *bytes, size_t size)
{

    size_t good = 0;
    while (good < size) {
        size_t step = 1;
        while (step <= 4 && good + step <= size && !utf8_is_valid(bytes + good, step))
            step++;
        if (step > 4 || good + step > size)
            break;
        good += step;
    }
    return good;
}
