/*
 * Accounts of memory that grows with data. An account has a limit; a refused reservation is back
 * pressure or spill, never an abort. Accounts form a tree: a child's use counts in its parents.
 * Every function may be called from any thread.
 */
#ifndef COMMON_BASE_MEMORY_H
#define COMMON_BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_account {
    const char *name; /* "exchange", "state cache", ...: what metrics and messages call it */
    struct memory_account *parent;
    uint64_t limit_bytes;
    _Atomic uint64_t used_bytes;
    _Atomic uint64_t peak_bytes;
};

/* parent may be NULL. name is borrowed. */
void memory_account_init(struct memory_account *account, const char *name,
                         struct memory_account *parent, uint64_t limit_bytes);

/* Books bytes in the account and its parents, or nothing and false: one would exceed its limit. */
bool memory_reserve(struct memory_account *account, size_t bytes)
    __attribute__((warn_unused_result));

/* Books bytes even beyond the limit: for what must exist, such as one frame per channel. */
void memory_force(struct memory_account *account, size_t bytes);

void memory_release(struct memory_account *account, size_t bytes);

static inline uint64_t memory_used(const struct memory_account *account)
{
    return atomic_load_explicit(&account->used_bytes, memory_order_relaxed);
}

#endif
