/* Memory accounts: see memory.h. */
#include "common/base/memory.h"

#include "common/base/check.h"

void memory_account_init(struct memory_account *account, const char *name,
                         struct memory_account *parent, uint64_t limit_bytes)
{
    account->name = name;
    account->parent = parent;
    account->limit_bytes = limit_bytes;
    atomic_init(&account->used_bytes, 0);
    atomic_init(&account->peak_bytes, 0);
}

static void raise_peak(struct memory_account *account, uint64_t used)
{
    uint64_t peak = atomic_load_explicit(&account->peak_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&account->peak_bytes, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void release_one(struct memory_account *account, size_t bytes)
{
    const uint64_t before =
        atomic_fetch_sub_explicit(&account->used_bytes, bytes, memory_order_relaxed);
    CHECK(before >= bytes);
}

bool memory_reserve(struct memory_account *account, size_t bytes)
{
    for (struct memory_account *a = account; a != NULL; a = a->parent) {
        const uint64_t used =
            atomic_fetch_add_explicit(&a->used_bytes, bytes, memory_order_relaxed) + bytes;
        if (used > a->limit_bytes) {
            for (struct memory_account *undo = account; undo != a; undo = undo->parent)
                release_one(undo, bytes);
            release_one(a, bytes);
            return false;
        }
        raise_peak(a, used);
    }
    return true;
}

void memory_force(struct memory_account *account, size_t bytes)
{
    for (struct memory_account *a = account; a != NULL; a = a->parent)
        raise_peak(a,
                   atomic_fetch_add_explicit(&a->used_bytes, bytes, memory_order_relaxed) + bytes);
}

void memory_release(struct memory_account *account, size_t bytes)
{
    for (struct memory_account *a = account; a != NULL; a = a->parent)
        release_one(a, bytes);
}
