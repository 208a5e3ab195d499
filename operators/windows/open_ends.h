/*
 * Ends of the windows (or slices) that have state, in order: what an operator looks at when time
 * passes. Not part of a snapshot: read from the state again after a restore.
 */
#ifndef OPERATORS_WINDOWS_OPEN_ENDS_H
#define OPERATORS_WINDOWS_OPEN_ENDS_H

#include "common/api/state.h"

#define OPEN_ENDS_MAX ((size_t)1 << 22)

struct open_ends {
    int64_t *ends; /* ascending */
    size_t count;
    size_t capacity;
    bool is_complete; /* restored, or nothing to restore */
};

void open_ends_done(struct open_ends *open);
/* false: OPEN_ENDS_MAX are open. */
bool open_ends_add(struct open_ends *open, int64_t end);
/* How many are at or below. */
size_t open_ends_up_to(const struct open_ends *open, int64_t end);
void open_ends_drop_first(struct open_ends *open, size_t count);
/* Adds all first subkeys (BIGINT) of a namespace-first state. Resumable; does it once. */
enum step open_ends_restore(struct open_ends *open, struct state *state, struct error *err);

/* Ranges of a state whose subkey is one BIGINT. They point into bounds. */
struct end_range {
    int64_t bounds[2 + 2]; /* and 16 readable bytes */
    struct state_range range;
};
/* Ends in [from, to). */
void end_range_init(struct end_range *range, int64_t from, int64_t to);

#endif
