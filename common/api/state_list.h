/*
 * Lists in keyed state: per key a sequence of rows.
 *
 * Two states lie behind a list `name`: `name`, a map from position (BIGINT) to element, and
 * `name.ends`, the first and the next position of each key. Calls are by the batch, resumable, with
 * the results of enum step as in state.h. Elements of one key are read in order by
 * state_list_start and state_scan_next on `elements`. One thread: the task's.
 */
#ifndef COMMON_API_STATE_LIST_H
#define COMMON_API_STATE_LIST_H

#include "common/api/state.h"

#define STATE_LIST_BATCH_MAX 256

struct state_list {
    struct state *elements;
    struct state *ends;
    /* A call that was not finished: positions that are taken but not yet filled. */
    int64_t positions[STATE_LIST_BATCH_MAX + 2];
    const char *position_bytes[STATE_LIST_BATCH_MAX];
    uint32_t position_sizes[STATE_LIST_BATCH_MAX];
    uint64_t position_hashes[STATE_LIST_BATCH_MAX];
    uint32_t reserved_first;
    uint32_t reserved_count;
};

/* descriptor: of the elements, kind STATE_LIST, without subkey. In open only. */
enum status state_list_register(struct state_list *list, struct keyed_state *keyed,
                                const struct state_descriptor *descriptor,
                                struct error *err) MUST_CHECK;

/* Appends one element to the list of each key from `first` on: slots of fresh elements, to be
 * filled before the next call. After STEP_AGAIN and STEP_WAIT the same call must come again. */
enum step state_list_append(struct state_list *list, const struct key_batch *keys, uint32_t first,
                            uint32_t *ret_count, void **ret_slots, struct error *err);

/* The elements of one key, in order, then state_scan_next on list->elements. */
enum step state_list_start(struct state_list *list, const char *key, uint32_t key_size,
                           uint64_t hash, struct error *err);

/* How many elements each key has. */
enum step state_list_sizes(struct state_list *list, const struct key_batch *keys, uint32_t first,
                           uint32_t *ret_count, int64_t *ret_sizes, struct error *err);

/* Removes the oldest `count` elements of one key (all if it has fewer); may take several calls:
 * STEP_AGAIN until STEP_DONE. */
enum step state_list_remove_first(struct state_list *list, const char *key, uint32_t key_size,
                                  uint64_t hash, int64_t count, struct error *err);

#endif
