/* Status codes and error details: see status.h. */
#include "common/base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The static analyzer's, see status.h. */
#undef error_set
#undef error_wrap
#undef error_set_errno

static const char *const names[] = {
#define X(code, retry, text) #code,
    STATUS_TABLE(X)
#undef X
};

static const char *const texts[] = {
#define X(code, retry, text) text,
    STATUS_TABLE(X)
#undef X
};

static const enum retry_class classes[] = {
#define X(code, retry, text) RETRY_CLASS_##retry,
    STATUS_TABLE(X)
#undef X
};

const char *status_name(enum status code)
{
    return (unsigned)code < STATUS_COUNT ? names[code] : "UNKNOWN";
}

const char *status_text(enum status code)
{
    return (unsigned)code < STATUS_COUNT ? texts[code] : "unknown status";
}

enum retry_class status_retry_class(enum status code)
{
    return (unsigned)code < STATUS_COUNT ? classes[code] : RETRY_CLASS_NEVER;
}

/* A cut message must stay valid UTF-8: step back over the bytes of a split character. */
static void mark_as_cut(char *message, size_t size)
{
    size_t end = size - 4;
    while (end > 0 && ((unsigned char)message[end] & 0xC0) == 0x80)
        end--;
    memcpy(message + end, "...", 4);
}

__attribute__((format(printf, 3, 0))) static void format_into(char *out, size_t size,
                                                              const char *format, va_list args)
{
    const int length = vsnprintf(out, size, format, args);
    if (length >= 0 && (size_t)length >= size)
        mark_as_cut(out, size);
}

enum status error_set(struct error *err, enum status code, const char *format, ...)
{
    if (err != NULL) {
        /* The arguments may point into err->message itself. */
        char message[ERROR_MESSAGE_MAX];
        va_list args;
        va_start(args, format);
        format_into(message, sizeof(message), format, args);
        va_end(args);
        err->code = code;
        memcpy(err->message, message, sizeof(message));
    }
    return code;
}

static void append_reason(char *message, size_t size, const char *reason)
{
    const size_t used = strlen(message);
    const int length = snprintf(message + used, size - used, ": %s", reason);
    if (length >= 0 && used + (size_t)length >= size)
        mark_as_cut(message, size);
}

enum status error_wrap(struct error *err, enum status code, const char *format, ...)
{
    if (err != NULL) {
        char message[ERROR_MESSAGE_MAX];
        va_list args;
        va_start(args, format);
        format_into(message, sizeof(message), format, args);
        va_end(args);
        append_reason(message, sizeof(message), err->message);
        err->code = code;
        memcpy(err->message, message, sizeof(message));
    }
    return code;
}

static enum status code_of_errno(int errno_value)
{
    switch (errno_value) {
    case ENOENT:
        return STATUS_NOT_FOUND;
    case EEXIST:
        return STATUS_EXISTS;
    default:
        return STATUS_IO;
    }
}

enum status error_set_errno(struct error *err, int errno_value, const char *format, ...)
{
    const enum status code = code_of_errno(errno_value);
    if (err != NULL) {
        char message[ERROR_MESSAGE_MAX];
        va_list args;
        va_start(args, format);
        format_into(message, sizeof(message), format, args);
        va_end(args);
        char reason[128];
        append_reason(message, sizeof(message), strerror_r(errno_value, reason, sizeof(reason)));
        err->code = code;
        memcpy(err->message, message, sizeof(message));
    }
    return code;
}
