/* Bookkeeping of checkpoints. */
#include "jobmanager/checkpoint/coordinator.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/graph/task_state_codec.h"

#include <stdio.h>
#include <string.h>

void coordinator_init(struct coordinator *coordinator, uint32_t retain_count)
{
    *coordinator = (struct coordinator){.retain_count = retain_count > 0 ? retain_count : 1};
}

static void pending_destroy(struct pending_checkpoint *pending)
{
    if (pending == NULL)
        return;
    completed_checkpoint_destroy(pending->content);
    free(pending->tasks);
    free(pending);
}

void coordinator_done(struct coordinator *coordinator)
{
    pending_destroy(coordinator->pending);
    for (size_t i = 0; i < coordinator->retained_count; i++)
        completed_checkpoint_destroy(coordinator->retained[i]);
    free(coordinator->retained);
    file_registry_done(&coordinator->registry);
    file_registry_done(&coordinator->discarded);
    checkpoint_statistics_done(&coordinator->statistics);
    *coordinator = (struct coordinator){0};
}

const struct completed_checkpoint *coordinator_newest(const struct coordinator *coordinator)
{
    return coordinator->retained_count == 0
               ? NULL
               : coordinator->retained[coordinator->retained_count - 1];
}

struct checkpoint_id coordinator_newest_id(const struct coordinator *coordinator)
{
    const struct completed_checkpoint *newest = coordinator_newest(coordinator);
    return newest == NULL ? (struct checkpoint_id){0} : newest->id;
}

static void register_files(struct coordinator *coordinator,
                           const struct completed_checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->task_count; i++) {
        const struct keyed_state_handle *keyed = &checkpoint->tasks[i].keyed;
        for (size_t j = 0; j < keyed->file_count; j++)
            if (keyed->files[j].is_shared)
                file_registry_ref(&coordinator->registry, keyed->files[j].path);
    }
}

static void retain(struct coordinator *coordinator, struct completed_checkpoint *checkpoint)
{
    if (coordinator->retained_count > 0)
        completed_checkpoint_trim(coordinator->retained[coordinator->retained_count - 1]);
    register_files(coordinator, checkpoint);
    array_push(coordinator->retained, coordinator->retained_count, coordinator->retained_capacity) =
        checkpoint;
}

void coordinator_adopt(struct coordinator *coordinator, struct completed_checkpoint *checkpoint)
{
    retain(coordinator, checkpoint);
}

void coordinator_begin(struct coordinator *coordinator, struct checkpoint_id id, bool is_final,
                       const struct attempt_id *attempts, size_t task_count,
                       struct source_state *sources, size_t source_count, int64_t now_ms,
                       int64_t wall_ms)
{
    CHECK(coordinator->pending == NULL);
    struct completed_checkpoint *content = allocate(sizeof(*content));
    content->id = id;
    content->is_final = is_final;
    content->trigger_ms = wall_ms;
    content->tasks = allocate_array(task_count + 1, sizeof(*content->tasks));
    content->task_count = task_count;
    content->sources = sources;
    content->source_count = source_count;
    struct pending_checkpoint *pending = allocate(sizeof(*pending));
    pending->started_ms = now_ms;
    pending->content = content;
    pending->task_count = task_count;
    pending->tasks = allocate_array(task_count + 1, sizeof(*pending->tasks));
    for (size_t i = 0; i < task_count; i++)
        pending->tasks[i].attempt = attempts[i];
    coordinator->pending = pending;
    struct checkpoint_record *record =
        checkpoint_statistics_begin(&coordinator->statistics, id, (uint32_t)task_count);
    record->is_final = is_final;
    record->trigger_ms = wall_ms;
}

/* May this task's acknowledgement of checkpoint id refer to the file? */
static bool may_refer(const struct coordinator *coordinator, const struct state_file *file,
                      struct checkpoint_id id, struct attempt_id attempt)
{
    uint64_t number;
    switch (state_path_parse(file->path, &number)) {
    case STATE_PATH_PRIVATE:
        return !file->is_shared && number == id.value;
    case STATE_PATH_SHARED:
        if (!file->is_shared)
            return false;
        return file_registry_has(&coordinator->registry, file->path) ||
               (number == attempt.value && !file_registry_has(&coordinator->discarded, file->path));
    case STATE_PATH_INVALID:
        break;
    }
    return false;
}

#define DISCARDED_MAX 100000

/* A safety net only (tasks may refer to nothing that is not complete), so it may forget. */
static void remember_discarded(struct coordinator *coordinator, const char *path)
{
    if (coordinator->discarded.count >= DISCARDED_MAX)
        file_registry_done(&coordinator->discarded);
    if (!file_registry_has(&coordinator->discarded, path))
        file_registry_ref(&coordinator->discarded, path);
}

/* Lists the files of a state that no checkpoint will refer to, and remembers that they are gone. */
static void discard_files(struct coordinator *coordinator, const struct task_state *state,
                          bool with_private, struct path_list *ret_delete)
{
    for (size_t i = 0; i < state->keyed.file_count; i++) {
        const struct state_file *file = &state->keyed.files[i];
        uint64_t number;
        const enum state_path_kind kind = state_path_parse(file->path, &number);
        if (kind == STATE_PATH_PRIVATE && with_private) {
            path_list_add(ret_delete, file->path);
        } else if (kind == STATE_PATH_SHARED && number == state->attempt.value &&
                   !file_registry_has(&coordinator->registry, file->path) &&
                   !file_registry_has(&coordinator->discarded, file->path)) {
            path_list_add(ret_delete, file->path);
            remember_discarded(coordinator, file->path);
        }
    }
}

static uint64_t state_size_bytes(const struct task_state *state)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < state->keyed.file_count; i++)
        bytes += state->keyed.files[i].size;
    for (size_t i = 0; i < state->operator_count; i++)
        for (size_t j = 0; j < state->operators[i].entry_count; j++)
            bytes += state->operators[i].entries[j].size;
    return bytes;
}

static void note_acknowledgement(struct coordinator *coordinator, struct checkpoint_id id,
                                 size_t task_index, const struct task_state *state, int64_t wall_ms)
{
    struct checkpoint_record *record = checkpoint_statistics_find(&coordinator->statistics, id);
    if (record == NULL)
        return;
    const struct checkpoint_task_figures figures = {
        .ack_ms = wall_ms,
        .state_bytes = state_size_bytes(state),
        .uploaded_bytes = state->uploaded_bytes,
        .align_ms = state->align_ms,
        .pause_us = state->pause_us,
        .async_ms = state->async_ms,
    };
    record->figures->tasks[task_index] = figures;
    record->acknowledged_count++;
    record->latest_ack_ms = wall_ms;
    record->uploaded_bytes += figures.uploaded_bytes;
    record->key_count += state->keyed.key_count;
    record->state_bytes += figures.state_bytes;
    if (state->align_ms > record->align_ms_max)
        record->align_ms_max = state->align_ms;
    if (state->pause_us > record->pause_us_max)
        record->pause_us_max = state->pause_us;
    if (state->async_ms > record->async_ms_max)
        record->async_ms_max = state->async_ms;
}

static bool is_retained(const struct coordinator *coordinator, struct checkpoint_id id)
{
    for (size_t i = 0; i < coordinator->retained_count; i++)
        if (coordinator->retained[i]->id.value == id.value)
            return true;
    return false;
}

/* An acknowledgement that the checkpoint in progress does not wait for. */
static enum acknowledge_result acknowledge_late(struct coordinator *coordinator,
                                                struct checkpoint_id id, struct task_state *state,
                                                struct path_list *ret_delete)
{
    coordinator->statistics.late_ack_count++;
    const bool is_known =
        is_retained(coordinator, id) ||
        (coordinator->pending != NULL && coordinator->pending->content->id.value == id.value);
    if (!is_known)
        discard_files(coordinator, state, true, ret_delete);
    task_state_done(state);
    return ACKNOWLEDGE_LATE;
}

enum acknowledge_result coordinator_acknowledge(struct coordinator *coordinator,
                                                struct checkpoint_id id, size_t task_index,
                                                struct attempt_id attempt, struct task_state *state,
                                                int64_t wall_ms, struct path_list *ret_delete,
                                                struct error *err)
{
    struct pending_checkpoint *pending = coordinator->pending;
    if (pending == NULL || pending->content->id.value != id.value)
        return acknowledge_late(coordinator, id, state, ret_delete);
    CHECK(task_index < pending->task_count);
    struct pending_task *task = &pending->tasks[task_index];
    if (task->attempt.value != attempt.value) {
        coordinator->statistics.stale_ack_count++;
        task_state_done(state);
        return ACKNOWLEDGE_STALE;
    }
    if (task->is_acknowledged) {
        coordinator->statistics.duplicate_ack_count++;
        task_state_done(state);
        return ACKNOWLEDGE_DUPLICATE;
    }
    for (size_t i = 0; i < state->keyed.file_count; i++) {
        const struct state_file *file = &state->keyed.files[i];
        if (may_refer(coordinator, file, id, attempt))
            continue;
        (void)error_set(err, STATUS_INVALID,
                        "attempt %llu refers to the file %s, which no retained checkpoint holds",
                        (unsigned long long)attempt.value, file->path);
        task_state_done(state);
        return ACKNOWLEDGE_INVALID;
    }
    note_acknowledgement(coordinator, id, task_index, state, wall_ms);
    task->is_acknowledged = true;
    pending->content->tasks[task_index] = *state;
    *state = (struct task_state){0};
    if (++pending->acknowledged_count < pending->task_count)
        return ACKNOWLEDGE_RECORDED;
    pending->content->complete_ms = wall_ms;
    pending->phase = PENDING_WRITING;
    return ACKNOWLEDGE_ALL;
}

void coordinator_abort(struct coordinator *coordinator, const char *reason, int64_t wall_ms,
                       struct path_list *ret_delete)
{
    struct pending_checkpoint *pending = coordinator->pending;
    CHECK(pending != NULL && pending->phase != PENDING_STORING);
    for (size_t i = 0; i < pending->task_count; i++)
        if (pending->tasks[i].is_acknowledged)
            discard_files(coordinator, &pending->content->tasks[i], false, ret_delete);
    checkpoint_statistics_end(&coordinator->statistics, pending->content->id, CHECKPOINT_FAILED,
                              reason, wall_ms);
    pending_destroy(pending);
    coordinator->pending = NULL;
}

/* The oldest retained checkpoint goes. */
static void drop_oldest(struct coordinator *coordinator, struct path_list *ret_delete)
{
    struct completed_checkpoint *oldest = coordinator->retained[0];
    coordinator->retained_count--;
    memmove(coordinator->retained, coordinator->retained + 1,
            coordinator->retained_count * sizeof(*coordinator->retained));
    for (size_t i = 0; i < oldest->task_count; i++) {
        const struct keyed_state_handle *keyed = &oldest->tasks[i].keyed;
        for (size_t j = 0; j < keyed->file_count; j++)
            if (keyed->files[j].is_shared &&
                file_registry_unref(&coordinator->registry, keyed->files[j].path)) {
                path_list_add(ret_delete, keyed->files[j].path);
                remember_discarded(coordinator, keyed->files[j].path);
            }
    }
    char directory[32];
    (void)snprintf(directory, sizeof(directory), "chk-%llu/", (unsigned long long)oldest->id.value);
    path_list_add(ret_delete, directory);
    struct checkpoint_record *record =
        checkpoint_statistics_find(&coordinator->statistics, oldest->id);
    if (record != NULL)
        record->is_discarded = true;
    completed_checkpoint_destroy(oldest);
}

void coordinator_complete(struct coordinator *coordinator, int64_t wall_ms,
                          struct path_list *ret_delete)
{
    struct pending_checkpoint *pending = coordinator->pending;
    CHECK(pending != NULL && pending->phase == PENDING_STORING);
    struct completed_checkpoint *checkpoint = take_pointer(&pending->content);
    coordinator->pending = NULL;
    pending_destroy(pending);
    checkpoint_statistics_end(&coordinator->statistics, checkpoint->id, CHECKPOINT_COMPLETED, NULL,
                              wall_ms);
    retain(coordinator, checkpoint);
    while (coordinator->retained_count > coordinator->retain_count)
        drop_oldest(coordinator, ret_delete);
}

size_t coordinator_list_ids(const struct coordinator *coordinator, uint64_t *ret_ids, size_t max)
{
    const struct pending_checkpoint *pending = coordinator->pending;
    const bool with_pending = pending != NULL && pending->phase == PENDING_STORING;
    size_t total = coordinator->retained_count + (with_pending ? 1 : 0);
    size_t limit = coordinator->retain_count < max ? coordinator->retain_count : max;
    size_t first = total > limit ? total - limit : 0;
    size_t count = 0;
    for (size_t i = first; i < coordinator->retained_count; i++)
        ret_ids[count++] = coordinator->retained[i]->id.value;
    if (with_pending)
        ret_ids[count++] = pending->content->id.value;
    return count;
}
