/*
 * The splits of one source operator: which are known, which still wait for a reader. A split is
 * given to one reader at a time; from then on the reader's snapshots hold it. Its own part of a
 * checkpoint is taken in the step that sends the triggers, so that what was given before is in the
 * readers' part and what is given later is in this one.
 */
#ifndef JOBMANAGER_CORE_SPLIT_ASSIGNER_H
#define JOBMANAGER_CORE_SPLIT_ASSIGNER_H

#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/graph/source_split.h"

#define SPLIT_SEEN_MAX 1000000

struct split_waiter {
    struct attempt_id attempt;
    uint32_t subtask_index;
};

struct split_assigner {
    uint32_t operator_index;
    uint32_t vertex;
    struct source_state state;
    uint64_t enumerator;          /* under way; 0: none */
    char *waits_for;              /* why discovery failed last; NULL */
    struct split_waiter *waiting; /* readers that asked and got nothing yet, in order */
    size_t waiting_count;
    size_t waiting_capacity;
    /* Splits given to each subtask since the last reset, for those that are spread evenly; NULL:
     * they go to whoever asks first. */
    uint32_t *given;
    uint32_t parallelism;
    size_t told_count; /* so many of them, the first, know that there is none for them now */
    bool has_looked;   /* discovery has succeeded since the readers were started */
};

void split_assigner_init(struct split_assigner *assigner, uint32_t operator_index, uint32_t vertex,
                         const char *uid);
/* Splits that never end are spread over so many readers, all of which keep asking: one that has
 * more than another waits for that one. */
void split_assigner_spread(struct split_assigner *assigner, uint32_t parallelism);
void split_assigner_done(struct split_assigner *assigner);
/* Back to what a checkpoint holds; NULL: to the beginning. Nobody waits any more. */
void split_assigner_reset(struct split_assigner *assigner, const struct source_state *state);
/* Adds what was not seen before. STATUS_LIMIT beyond SPLIT_SEEN_MAX. */
enum status split_assigner_add(struct split_assigner *assigner,
                               const struct source_split_list *found, struct error *err) MUST_CHECK;
/* A reader asks; it is queued, once. */
void split_assigner_ask(struct split_assigner *assigner, uint32_t subtask_index,
                        struct attempt_id attempt);
/* Can a reader that waits be answered, the first if possible? Then *ret_attempt is taken from the
 * queue and *ret_splits holds one split, or none if there will be no more. */
bool split_assigner_next(struct split_assigner *assigner, struct attempt_id *ret_attempt,
                         struct source_split_list *ret_splits);
/* A reader that waits, and that does not know yet that there is none for it now (it goes on
 * waiting). false: no such reader, or it is not known. */
bool split_assigner_none(struct split_assigner *assigner, struct attempt_id *ret_attempt);

#endif
