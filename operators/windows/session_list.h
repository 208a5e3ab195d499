/*
 * The sessions of one key while they are worked on, in memory: accumulators in slots of their own,
 * laid out as those of the state, so that rows can be added and sessions merged without asking it.
 * Disjoint and in the order of time.
 */
#ifndef OPERATORS_WINDOWS_SESSION_LIST_H
#define OPERATORS_WINDOWS_SESSION_LIST_H

#include "operators/windows/accumulator_merge.h"

struct session {
    int64_t start;
    int64_t end;
    bool is_fired; /* its result was given, and no row has come since */
    void *slot;
};

struct session_list {
    struct state memory; /* first: what accumulators keep bytes in */
    struct aggregate_parts *parts;
    const struct state *home; /* where the parts are placed otherwise */
    struct session *sessions;
    size_t count;
    size_t capacity;
};

/* The layout is that of the home state. */
void session_list_open(struct session_list *list, struct aggregate_parts *parts,
                       const struct state *home);
void session_list_close(struct session_list *list);
void session_list_clear(struct session_list *list);
/* Appends a session with the accumulators of a slot (NULL: of no rows). */
void session_list_add(struct session_list *list, int64_t start, int64_t end, bool is_fired,
                      void *slot);
void session_list_sort(struct session_list *list);
void session_list_remove(struct session_list *list, size_t index);
/* Makes room for a row at `time` (its own session is [time, time + gap)): the index of the session
 * that holds it now, made of all that it touches. */
size_t session_list_take(struct session_list *list, int64_t time, int64_t gap);
/* The end that this session would have. */
int64_t session_list_end_with(const struct session_list *list, int64_t time, int64_t gap);
/* Adds row `row` (an index of the parts' rows) to a session. */
void session_list_apply(struct session_list *list, size_t index, uint32_t row);

#endif
