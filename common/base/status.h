/*
 * Status codes and error details used by every module.
 *
 * A function that can fail returns enum status (MUST_CHECK) and takes `struct error *err` last.
 * The lowest function that knows the reason fills err, each level that adds meaning wraps it.
 * Only the owner of a decision (main loop, job, task) logs; libraries return.
 */
#ifndef COMMON_BASE_STATUS_H
#define COMMON_BASE_STATUS_H

/* X(code, retry class, text). A new code is one line here and nothing elsewhere.
 * The retry class is what the restart policy reads; it never reads the text. */
#define STATUS_TABLE(X)                                                                            \
    X(OK, NONE, "ok")                                                                              \
    X(INVALID, NEVER, "invalid argument or configuration")                                         \
    X(NOT_FOUND, NEVER, "not found")                                                               \
    X(EXISTS, NEVER, "already exists")                                                             \
    X(CORRUPT, NEVER, "stored or received data is corrupt")                                        \
    X(UNSUPPORTED, NEVER, "not supported")                                                         \
    X(FENCED, NEVER, "a newer attempt or leader has taken over")                                   \
    X(CANCELED, NEVER, "canceled")                                                                 \
    X(TIMEOUT, RETRY, "timed out")                                                                 \
    X(UNAVAILABLE, RETRY, "peer or service unavailable")                                           \
    X(LIMIT, RETRY, "a configured limit was reached")                                              \
    X(RECORD, RESTART, "a record could not be processed")                                          \
    X(IO, RESTART, "input/output error")

enum status {
#define X(code, retry, text) STATUS_##code,
    STATUS_TABLE(X)
#undef X
        STATUS_COUNT
};

enum retry_class {
    RETRY_CLASS_NONE,
    RETRY_CLASS_NEVER,   /* the same input fails again                     */
    RETRY_CLASS_RETRY,   /* the same call may succeed later                */
    RETRY_CLASS_RESTART, /* the task has to be restarted from a checkpoint */
};

#define MUST_CHECK __attribute__((warn_unused_result))

#define ERROR_MESSAGE_MAX 1000

/* Details of a failure. Owned by the caller, usually on its stack; never allocated. */
struct error {
    enum status code;
    /* The outermost context first: "restore job 7: open x: timed out". */
    char message[ERROR_MESSAGE_MAX];
};

/* Fills err (may be NULL) and returns code, so that callers write: return error_set(...).
 * A message that does not fit is cut at a character boundary and ends in "...". */
enum status error_set(struct error *err, enum status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts context in front of the message already in err (may be NULL) and returns code. */
enum status error_wrap(struct error *err, enum status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with the text of errno_value appended: "open /x: No such file or directory".
 * The code is chosen from errno (ENOENT: NOT_FOUND, EEXIST: EXISTS, else IO). */
enum status error_set_errno(struct error *err, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* It sees one file at a time and would follow paths on which these return OK. */
#define error_set(err, code, ...)  ((void)error_set(err, code, __VA_ARGS__), (code))
#define error_wrap(err, code, ...) ((void)error_wrap(err, code, __VA_ARGS__), (code))
#define error_set_errno(err, number, ...)                                                          \
    ((void)error_set_errno(err, number, __VA_ARGS__), STATUS_IO)
#endif

/* Static texts, never NULL. */
const char *status_name(enum status code); /* "NOT_FOUND" */
const char *status_text(enum status code); /* "not found" */
enum retry_class status_retry_class(enum status code);

/* Returns from the calling function when expr fails; err already holds the reason. */
#define TRY(expr)                                                                                  \
    do {                                                                                           \
        const enum status try_status_ = (expr);                                                    \
        if (try_status_ != STATUS_OK)                                                              \
            return try_status_;                                                                    \
    } while (0)

#endif
