/*
 * The namespaces of a namespace-first state that have entries in memory, for each key group in the
 * order of their storage bytes, each with a list of its entries.
 *
 * A treap for each key group (Seidel and Aragon 1996; priorities are hashes of the namespaces); the
 * lists run through struct namespace_link in the entries. Adding and taking out an entry cost a
 * search among the open namespaces of one key group. Namespaces without entries are dropped. One
 * thread: the worker.
 */
#ifndef TASKMANAGER_STATE_NAMESPACE_INDEX_H
#define TASKMANAGER_STATE_NAMESPACE_INDEX_H

#include "common/data/key.h"
#include "taskmanager/state/arena.h"

/* In each entry, at an offset fixed per table. */
struct namespace_link {
    struct namespace_node *node; /* NULL: in no list */
    uint32_t next;               /* refs of entries, 0: none */
    uint32_t previous;
};

struct namespace_node {
    struct namespace_node *left;
    struct namespace_node *right;
    uint32_t first; /* ref of an entry, never 0 */
    uint32_t priority;
    uint32_t group;
    uint32_t size;
    char bytes[]; /* storage bytes */
};

struct namespace_index {
    struct arena *arena;
    struct key_group_range groups;
    struct namespace_node **roots; /* of groups.first .. groups.last */
    uint32_t link_offset;          /* in an entry */
};

void namespace_index_init(struct namespace_index *index, struct arena *arena,
                          struct key_group_range groups, uint32_t link_offset);
/* Frees all namespaces; the entries are left alone. */
void namespace_index_done(struct namespace_index *index);

/* entry is in no list. */
void namespace_index_add(struct namespace_index *index, void *entry, uint32_t group,
                         const char *bytes, uint32_t size);
/* Nothing if it is in no list. */
void namespace_index_remove(struct namespace_index *index, void *entry);

/* The first namespace of a group that is not before bytes (is_after: that is behind them); NULL:
 * none. bytes NULL: the first of all. */
struct namespace_node *namespace_index_find(const struct namespace_index *index, uint32_t group,
                                            const char *bytes, uint32_t size, bool is_after);

static inline struct namespace_link *namespace_link_of(const struct namespace_index *index,
                                                       void *entry)
{
    return (struct namespace_link *)(void *)((char *)entry + index->link_offset);
}

static inline bool namespace_index_has_group(const struct namespace_index *index, uint32_t group)
{
    return index->roots[group - index->groups.first] != NULL;
}

#endif
