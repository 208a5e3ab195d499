/*
 * A short text that one thread replaces and any thread reads, without a lock: a sequence counter
 * around relaxed words (H.-J. Boehm, "Can seqlocks get along with programming language memory
 * models?", 2012). A reader that meets a writer tries again.
 */
#ifndef COMMON_BASE_SHARED_TEXT_H
#define COMMON_BASE_SHARED_TEXT_H

#include <stdatomic.h>
#include <stdint.h>

#define SHARED_TEXT_BYTES 512 /* with the terminating NUL; what is longer is cut */

/* All zero: empty. */
struct shared_text {
    _Atomic uint32_t version; /* odd while it is being written */
    _Atomic uint64_t words[SHARED_TEXT_BYTES / 8];
};

/* The one thread; NULL is the empty text. */
void shared_text_write(struct shared_text *shared, const char *text);
/* Any thread. */
void shared_text_read(const struct shared_text *shared, char ret_text[static SHARED_TEXT_BYTES]);

#endif
