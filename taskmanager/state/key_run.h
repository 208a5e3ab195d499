/* Entries in storage order: by key group first, then, a group at a time, by their storage bytes. */
#ifndef TASKMANAGER_STATE_KEY_RUN_H
#define TASKMANAGER_STATE_KEY_RUN_H

#include "taskmanager/state/parts.h"

struct key_run_item {
    uint64_t prefix; /* the 8 bytes behind the key group, for comparing */
    size_t offset;
    uint32_t size;
    struct entry *entry;
};

struct key_run {
    struct text keys;
    struct key_run_item *items;
    size_t count;
    size_t capacity;
};

void key_run_init(struct key_run *run);
void key_run_done(struct key_run *run);
/* Replaces the content by these entries, sorted. */
void key_run_load(struct key_run *run, const struct state_table *table,
                  struct entry *const *entries, size_t count);
/* Reorders entries (NULLs are dropped) by key group. */
void key_run_sort_by_group(const struct state_table *table, struct entry **entries, size_t *count);
/* How many entries at the front share the first one's key group; count > 0. */
size_t key_run_group_size(const struct state_table *table, struct entry *const *entries,
                          size_t count);

static inline const char *key_run_key(const struct key_run *run, size_t i)
{
    return run->keys.bytes + run->items[i].offset;
}

#endif
