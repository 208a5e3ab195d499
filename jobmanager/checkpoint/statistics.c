/* History of checkpoints. */
#include "jobmanager/checkpoint/statistics.h"

#include "common/base/allocate.h"

#include <string.h>

static void record_done(struct checkpoint_record *record)
{
    free(record->failure);
    free(record->path);
    if (record->figures != NULL && --record->figures->references == 0)
        free(record->figures);
    *record = (struct checkpoint_record){0};
}

static void record_copy(struct checkpoint_record *to, const struct checkpoint_record *from)
{
    *to = *from;
    to->failure = from->failure == NULL ? NULL : copy_text(from->failure);
    to->path = from->path == NULL ? NULL : copy_text(from->path);
    if (to->figures != NULL)
        to->figures->references++;
}

void checkpoint_statistics_copy(struct checkpoint_statistics *to,
                                const struct checkpoint_statistics *from)
{
    *to = *from;
    for (size_t i = 0; i < from->history_count; i++)
        record_copy(&to->history[i], &from->history[i]);
    record_copy(&to->latest_completed, &from->latest_completed);
    record_copy(&to->latest_failed, &from->latest_failed);
}

void checkpoint_statistics_done(struct checkpoint_statistics *statistics)
{
    for (size_t i = 0; i < statistics->history_count; i++)
        record_done(&statistics->history[i]);
    record_done(&statistics->latest_completed);
    record_done(&statistics->latest_failed);
    *statistics = (struct checkpoint_statistics){0};
}

struct checkpoint_record *checkpoint_statistics_begin(struct checkpoint_statistics *statistics,
                                                      struct checkpoint_id id, uint32_t task_count)
{
    struct checkpoint_record *history = statistics->history;
    if (statistics->history_count == CHECKPOINT_HISTORY_MAX)
        record_done(&history[CHECKPOINT_HISTORY_MAX - 1]);
    else
        statistics->history_count++;
    memmove(history + 1, history, (statistics->history_count - 1) * sizeof(*history));
    history[0] = (struct checkpoint_record){
        .id = id, .end_ms = -1, .latest_ack_ms = -1, .task_count = task_count};
    history[0].figures =
        allocate(sizeof(*history[0].figures) + task_count * sizeof(struct checkpoint_task_figures));
    history[0].figures->references = 1;
    statistics->triggered_count++;
    return &history[0];
}

struct checkpoint_record *checkpoint_statistics_find(struct checkpoint_statistics *statistics,
                                                     struct checkpoint_id id)
{
    for (size_t i = 0; i < statistics->history_count; i++)
        if (statistics->history[i].id.value == id.value)
            return &statistics->history[i];
    return NULL;
}

void checkpoint_statistics_end(struct checkpoint_statistics *statistics, struct checkpoint_id id,
                               enum checkpoint_outcome outcome, const char *failure,
                               int64_t wall_ms)
{
    struct checkpoint_record *latest = outcome == CHECKPOINT_COMPLETED
                                           ? &statistics->latest_completed
                                           : &statistics->latest_failed;
    if (outcome == CHECKPOINT_COMPLETED)
        statistics->completed_count++;
    else
        statistics->failed_count++;
    struct checkpoint_record *record = checkpoint_statistics_find(statistics, id);
    if (record == NULL)
        return;
    record->outcome = outcome;
    record->end_ms = wall_ms;
    free(record->failure);
    record->failure = failure == NULL ? NULL : copy_text(failure);
    record_done(latest);
    record_copy(latest, record);
}
