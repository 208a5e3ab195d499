/*
 * Splits of sources as the control plane carries them: opaque, copied when passed.
 * The same two parts as struct split of common/api/connector.h.
 */
#ifndef COMMON_GRAPH_SOURCE_SPLIT_H
#define COMMON_GRAPH_SOURCE_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_SPLIT_ID_BYTES_MAX    4096
#define SOURCE_SPLIT_STATE_BYTES_MAX 65536

struct source_split {
    char *id;    /* stable across restarts and attempts */
    char *state; /* where to start reading */
    size_t state_size;
};

struct source_split_list {
    struct source_split *splits;
    size_t count;
    size_t capacity;
};

/* Copies both parts. */
void source_split_list_add(struct source_split_list *list, const char *id, const void *state,
                           size_t state_size);
/* Takes the first split out of the list, which must not be empty. */
struct source_split source_split_list_take_first(struct source_split_list *list);
void source_split_list_copy(struct source_split_list *to, const struct source_split_list *from);
void source_split_list_done(struct source_split_list *list);
void source_split_done(struct source_split *split);

/* The part of a checkpoint that the JobManager itself holds of one source operator. */
struct source_state {
    char *uid;
    struct source_split_list pending; /* found, given to no reader yet */
    char **seen;                      /* ids found so far, sorted; pending ones included */
    size_t seen_count;
    size_t seen_capacity;
    bool is_complete; /* the enumerator has said that there are no more */
};

void source_state_copy(struct source_state *to, const struct source_state *from);
void source_state_done(struct source_state *state);

#endif
