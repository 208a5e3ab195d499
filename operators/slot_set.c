/* Sets of slots: see slot_set.h. */
#include "operators/slot_set.h"

#include "common/base/allocate.h"
#include "common/base/check.h"

#define SLOT_SET_TABLE_MIN 1024
#define SLOT_SET_TABLE_MAX (1U << 23)

void slot_set_start(struct slot_set *set, uint32_t count)
{
    if (count > set->capacity) {
        uint32_t size = SLOT_SET_TABLE_MIN;
        while (size < 2 * (uint64_t)count)
            size *= 2;
        CHECK(size <= SLOT_SET_TABLE_MAX);
        free(set->table);
        set->table = allocate_array(size, sizeof(*set->table));
        set->table_mask = size - 1;
        set->slots = reallocate_array(set->slots, count, sizeof(*set->slots));
        set->capacity = count;
        set->generation = 0;
    }
    set->count = 0;
    if (++set->generation == 0) { /* after 2^32 runs */
        for (uint32_t i = 0; i <= set->table_mask; i++)
            set->table[i] = 0;
        set->generation = 1;
    }
}

void slot_set_done(struct slot_set *set)
{
    free(set->table);
    free(set->slots);
    *set = (struct slot_set){0};
}
