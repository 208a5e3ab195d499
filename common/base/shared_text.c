/* A text under a sequence counter: see shared_text.h. */
#include "common/base/shared_text.h"

#include <string.h>

void shared_text_write(struct shared_text *shared, const char *text)
{
    uint64_t words[SHARED_TEXT_BYTES / 8] = {0};
    if (text != NULL)
        memcpy(words, text, strnlen(text, SHARED_TEXT_BYTES - 1));
    const uint32_t version = atomic_load_explicit(&shared->version, memory_order_relaxed);
    atomic_store_explicit(&shared->version, version + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (unsigned i = 0; i < SHARED_TEXT_BYTES / 8; i++)
        atomic_store_explicit(&shared->words[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&shared->version, version + 2, memory_order_release);
}

void shared_text_read(const struct shared_text *shared, char ret_text[static SHARED_TEXT_BYTES])
{
    uint64_t words[SHARED_TEXT_BYTES / 8];
    uint32_t before;
    uint32_t after;
    do {
        before = atomic_load_explicit(&shared->version, memory_order_acquire);
        for (unsigned i = 0; i < SHARED_TEXT_BYTES / 8; i++)
            words[i] = atomic_load_explicit(&shared->words[i], memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&shared->version, memory_order_relaxed);
    } while (before != after || before % 2 != 0);
    memcpy(ret_text, words, SHARED_TEXT_BYTES);
}
