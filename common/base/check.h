/*
 * Checks of programming errors. Peers, files and users never trigger one: what comes from outside
 * is answered with a status.
 *
 * CHECK is always on; DCHECK is for inner loops and vanishes with NDEBUG.
 */
#ifndef COMMON_BASE_CHECK_H
#define COMMON_BASE_CHECK_H

_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(__FILE__, __LINE__, #condition);                                          \
    } while (0)

#ifdef NDEBUG
#define DCHECK(condition) ((void)0)
#else
#define DCHECK(condition) CHECK(condition)
#endif

#define UNREACHABLE() check_failed(__FILE__, __LINE__, "unreachable")

#endif
