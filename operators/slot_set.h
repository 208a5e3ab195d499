/*
 * The distinct slots of a run of entries, in order of first appearance: a small open-addressing
 * table over addresses. Entries carry the generation of their run, so that clearing is free.
 */
#ifndef OPERATORS_SLOT_SET_H
#define OPERATORS_SLOT_SET_H

#include <stdbool.h>
#include <stdint.h>

struct slot_set {
    uint64_t *table; /* generation in the upper half, index in the lower */
    uint32_t table_mask;
    uint32_t generation;
    void **slots; /* distinct, count of them */
    uint32_t count;
    uint32_t capacity;
};

/* Empties the set and makes room for `count` slots. */
void slot_set_start(struct slot_set *set, uint32_t count);
void slot_set_done(struct slot_set *set);

/* The slot's index among the distinct ones; *ret_is_first if it was not there yet. */
static inline uint32_t slot_set_add(struct slot_set *set, void *slot, bool *ret_is_first)
{
    const uint64_t hash = ((uint64_t)(uintptr_t)slot >> 3) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t at = (uint32_t)(hash >> 40) & set->table_mask;
    for (;; at = (at + 1) & set->table_mask) {
        const uint64_t entry = set->table[at];
        if (entry >> 32 != set->generation) {
            set->table[at] = (uint64_t)set->generation << 32 | set->count;
            set->slots[set->count] = slot;
            *ret_is_first = true;
            return set->count++;
        }
        const uint32_t index = (uint32_t)entry;
        if (set->slots[index] == slot) {
            *ret_is_first = false;
            return index;
        }
    }
}

#endif
