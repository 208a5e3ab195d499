/* Splits of one source operator. */
#include "jobmanager/core/split_assigner.h"

#include "common/base/allocate.h"

#include <string.h>

void split_assigner_init(struct split_assigner *assigner, uint32_t operator_index, uint32_t vertex,
                         const char *uid)
{
    *assigner = (struct split_assigner){
        .operator_index = operator_index, .vertex = vertex, .state.uid = copy_text(uid)};
}

void split_assigner_spread(struct split_assigner *assigner, uint32_t parallelism)
{
    assigner->parallelism = parallelism;
    assigner->given = allocate_array(parallelism, sizeof(*assigner->given));
}

void split_assigner_done(struct split_assigner *assigner)
{
    source_state_done(&assigner->state);
    free(assigner->waiting);
    free(assigner->given);
    free(assigner->waits_for);
    *assigner = (struct split_assigner){0};
}

void split_assigner_reset(struct split_assigner *assigner, const struct source_state *state)
{
    char *uid = take_pointer(&assigner->state.uid);
    source_state_done(&assigner->state);
    if (state != NULL) {
        source_state_copy(&assigner->state, state);
        free(assigner->state.uid);
    }
    assigner->state.uid = uid;
    assigner->waiting_count = 0;
    assigner->told_count = 0;
    assigner->has_looked = false;
    if (assigner->given != NULL)
        memset(assigner->given, 0, assigner->parallelism * sizeof(*assigner->given));
    free(assigner->waits_for);
    assigner->waits_for = NULL;
}

struct found_split {
    const char *id;
    size_t index;
};

static int compare_found(const void *a, const void *b)
{
    const struct found_split *left = a;
    const struct found_split *right = b;
    const int order = strcmp(left->id, right->id);
    if (order != 0)
        return order;
    return left->index < right->index ? -1 : 1;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool was_seen(const struct source_state *state, const char *id)
{
    return state->seen_count > 0 &&
           bsearch(&id, state->seen, state->seen_count, sizeof(*state->seen), compare_ids) != NULL;
}

enum status split_assigner_add(struct split_assigner *assigner,
                               const struct source_split_list *found, struct error *err)
{
    struct source_state *state = &assigner->state;
    if (found->count == 0)
        return STATUS_OK;
    if (found->count > SPLIT_SEEN_MAX || state->seen_count + found->count > 2 * SPLIT_SEEN_MAX)
        return error_set(err, STATUS_LIMIT,
                         "source %s has more than %d splits; use larger or fewer files", state->uid,
                         SPLIT_SEEN_MAX);
    struct found_split *sorted = allocate_array(found->count, sizeof(*sorted));
    bool *is_new = allocate_array(found->count, sizeof(*is_new));
    for (size_t i = 0; i < found->count; i++)
        sorted[i] = (struct found_split){.id = found->splits[i].id, .index = i};
    qsort(sorted, found->count, sizeof(*sorted), compare_found);
    for (size_t i = 0; i < found->count; i++)
        is_new[sorted[i].index] = !was_seen(state, sorted[i].id) &&
                                  (i == 0 || strcmp(sorted[i].id, sorted[i - 1].id) != 0);
    for (size_t i = 0; i < found->count; i++) {
        const struct source_split *split = &found->splits[i];
        if (is_new[i])
            source_split_list_add(&state->pending, split->id, split->state, split->state_size);
    }
    for (size_t i = 0; i < found->count; i++)
        if (is_new[i])
            array_push(state->seen, state->seen_count, state->seen_capacity) =
                copy_text(found->splits[i].id);
    if (state->seen_count > 0)
        qsort(state->seen, state->seen_count, sizeof(*state->seen), compare_ids);
    free(sorted);
    free(is_new);
    return STATUS_OK;
}

void split_assigner_ask(struct split_assigner *assigner, uint32_t subtask_index,
                        struct attempt_id attempt)
{
    for (size_t i = 0; i < assigner->waiting_count; i++)
        if (assigner->waiting[i].attempt.value == attempt.value)
            return;
    array_push(assigner->waiting, assigner->waiting_count, assigner->waiting_capacity) =
        (struct split_waiter){.attempt = attempt, .subtask_index = subtask_index};
}

static uint32_t least_given(const struct split_assigner *assigner)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < assigner->parallelism; i++)
        least = assigner->given[i] < least ? assigner->given[i] : least;
    return least;
}

/* The first reader that may have a split; waiting_count if none. */
static size_t find_waiter(const struct split_assigner *assigner)
{
    if (assigner->given == NULL || assigner->state.pending.count == 0)
        return 0;
    const uint32_t least = least_given(assigner);
    size_t i = 0;
    while (i < assigner->waiting_count &&
           assigner->given[assigner->waiting[i].subtask_index] > least)
        i++;
    return i;
}

bool split_assigner_next(struct split_assigner *assigner, struct attempt_id *ret_attempt,
                         struct source_split_list *ret_splits)
{
    struct source_state *state = &assigner->state;
    const size_t chosen = find_waiter(assigner);
    if (chosen >= assigner->waiting_count || (state->pending.count == 0 && !state->is_complete))
        return false;
    const struct split_waiter waiter = assigner->waiting[chosen];
    *ret_attempt = waiter.attempt;
    assigner->waiting_count--;
    assigner->told_count -= chosen < assigner->told_count;
    memmove(assigner->waiting + chosen, assigner->waiting + chosen + 1,
            (assigner->waiting_count - chosen) * sizeof(*assigner->waiting));
    if (state->pending.count > 0) {
        struct source_split split = source_split_list_take_first(&state->pending);
        array_push(ret_splits->splits, ret_splits->count, ret_splits->capacity) = split;
        if (assigner->given != NULL)
            assigner->given[waiter.subtask_index]++;
    }
    return true;
}

bool split_assigner_none(struct split_assigner *assigner, struct attempt_id *ret_attempt)
{
    if (!assigner->has_looked || assigner->told_count >= assigner->waiting_count)
        return false;
    *ret_attempt = assigner->waiting[assigner->told_count++].attempt;
    return true;
}
