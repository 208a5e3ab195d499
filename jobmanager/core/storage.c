/* Requests to the stores. */
#include "common/base/allocate.h"
#include "common/base/check.h"
#include "jobmanager/checkpoint/metadata_codec.h"
#include "jobmanager/core/core_state.h"

#include <string.h>

struct storage_request *storage_ask(struct core *core, enum storage_kind kind,
                                    enum request_purpose purpose, const struct job *job,
                                    uint64_t number)
{
    struct open_request *open =
        &array_push(core->requests, core->request_count, core->request_capacity);
    *open = (struct open_request){.id = core->next_request++, .purpose = purpose, .number = number};
    if (job != NULL)
        open->job = job->id;
    struct storage_request *request = &core_act(core, CORE_STORAGE)->storage;
    request->kind = kind;
    request->id = open->id;
    /* Deletions wait behind nothing and hold up nothing. */
    request->lane = job == NULL ? 0 : 2 * job->lane + (purpose == REQUEST_CLEANUP ? 1 : 0);
    return request;
}

static void take_paths(struct storage_request *request, struct path_list *paths)
{
    request->paths = paths->paths;
    request->path_count = paths->count;
    *paths = (struct path_list){0};
}

/* Paths as the coordinator lists them: relative to the job; "chk-<n>/" is a directory. */
void storage_cleanup(struct core *core, const struct job *job, struct path_list *paths)
{
    struct path_list files = {0};
    for (size_t i = 0; i < paths->count; i++) {
        const char *path = paths->paths[i];
        const size_t size = strlen(path);
        if (size > 0 && path[size - 1] == '/') {
            storage_ask(core, STORAGE_DELETE_TREE, REQUEST_CLEANUP, job, 0)->path =
                format_text("%s/%.*s", job->id_text, (int)size - 1, path);
        } else {
            SCOPED_TEXT char *full = format_text("%s/%s", job->id_text, path);
            path_list_add(&files, full);
        }
    }
    if (files.count > 0)
        take_paths(storage_ask(core, STORAGE_DELETE, REQUEST_CLEANUP, job, 0), &files);
    path_list_done(&files);
    path_list_done(paths);
}

static void keep_directory(struct path_list *keep, const struct job *job, const char *name,
                           uint64_t number)
{
    SCOPED_TEXT char *path =
        format_text("%s/%s%llu/", job->id_text, name, (unsigned long long)number);
    path_list_add(keep, path);
}

/* Its directory, and the files that it refers to. */
static void keep_checkpoint(struct path_list *keep, const struct job *job,
                            const struct completed_checkpoint *checkpoint)
{
    keep_directory(keep, job, "chk-", checkpoint->id.value);
    for (size_t i = 0; i < checkpoint->task_count; i++) {
        const struct keyed_state_handle *keyed = &checkpoint->tasks[i].keyed;
        for (size_t j = 0; j < keyed->file_count; j++) {
            SCOPED_TEXT char *path = format_text("%s/%s", job->id_text, keyed->files[j].path);
            path_list_add(keep, path);
        }
    }
}

static void ask_sweep(struct core *core, const struct job *job, struct path_list *keep)
{
    struct storage_request *request = storage_ask(core, STORAGE_SWEEP, REQUEST_CLEANUP, job, 0);
    request->path = copy_text(job->id_text);
    request->attempt_below = core->attempt_next;
    request->checkpoint_below = job->checkpoint_next;
    take_paths(request, keep);
}

void storage_sweep(struct core *core, struct job *job)
{
    struct path_list keep = {0};
    for (size_t i = 0; i < job->coordinator.registry.count; i++) {
        SCOPED_TEXT char *path =
            format_text("%s/%s", job->id_text, job->coordinator.registry.files[i].path);
        path_list_add(&keep, path);
    }
    for (size_t i = 0; i < job->coordinator.retained_count; i++)
        keep_directory(&keep, job, "chk-", job->coordinator.retained[i]->id.value);
    if (job->coordinator.pending != NULL)
        keep_checkpoint(&keep, job, job->coordinator.pending->content); /* may be named already */
    for (size_t i = 0; i < job->task_count; i++)
        if (task_is_live(&job->tasks[i]))
            keep_directory(&keep, job, "shared/", job->tasks[i].attempt.value);
    ask_sweep(core, job, &keep);
}

void storage_sweep_ended(struct core *core, struct job *job)
{
    struct path_list keep = {0};
    for (size_t i = 0; i < job->stored_id_count; i++)
        if (job->read[i] != NULL)
            keep_checkpoint(&keep, job, job->read[i]);
    ask_sweep(core, job, &keep);
}

void storage_delete_job(struct core *core, const struct job *job)
{
    storage_ask(core, STORAGE_DELETE_TREE, REQUEST_CLEANUP, job, 0)->path = copy_text(job->id_text);
}

/* ---- records ---- */

uint64_t stored_record_touch(struct stored_record *record)
{
    return ++record->revision;
}

static bool wants_write(const struct core *core, const struct stored_record *record)
{
    return record->in_flight == 0 && record->durable < record->revision &&
           core->now_ms >= record->retry_ms;
}

static void take_text(struct storage_request *request, struct text *text)
{
    request->size = text->size;
    request->bytes = text_take(text);
    text_done(text);
}

void storage_write_cluster(struct core *core)
{
    if (!wants_write(core, &core->cluster_record))
        return;
    core->cluster_record.in_flight = core->cluster_record.revision;
    const struct stored_cluster cluster = {.attempt_limit = core->attempt_limit,
                                           .cluster_id = core->config.cluster_id};
    struct text text;
    text_init(&text, JOB_STORE_RECORD_MAX);
    stored_cluster_encode(&cluster, core->config.version, &text);
    struct storage_request *request =
        storage_ask(core, STORAGE_PUT_RECORD, REQUEST_CLUSTER_RECORD, NULL, core->attempt_limit);
    request->path = copy_text("cluster");
    take_text(request, &text);
}

void storage_write_job(struct core *core, struct job *job)
{
    if (!wants_write(core, &job->record))
        return;
    job->record.in_flight = job->record.revision;
    struct text text;
    text_init(&text, JOB_STORE_RECORD_MAX);
    job_encode_record(job, &text);
    struct storage_request *request =
        storage_ask(core, STORAGE_PUT_RECORD, REQUEST_JOB_RECORD, job, job->checkpoint_limit);
    request->path = format_text("jobs/%s/state", job->id_text);
    take_text(request, &text);
}

/* true: a newer revision is durable. */
static bool record_done(struct core *core, struct stored_record *record, const struct job *job,
                        const struct core_event *event)
{
    const uint64_t written = record->in_flight;
    record->in_flight = 0;
    free(record->problem);
    record->problem = NULL;
    if (event->storage.code == STATUS_OK) {
        record->durable = written;
        record->retry_ms = 0;
        return true;
    }
    record->problem = copy_text(event->storage.message);
    record->retry_ms = core->now_ms + STORE_RETRY_MS;
    core_log(core, LOG_WARN, "job_store_write_failed", job, "%s; it is tried again",
             record->problem);
    return false;
}

static void on_job_request(struct core *core, const struct open_request *open,
                           const struct core_event *event)
{
    struct job *job = core_find_job(core, open->job);
    if (job == NULL)
        return;
    const enum status code = event->storage.code;
    const char *message = event->storage.message == NULL ? "" : event->storage.message;
    switch (open->purpose) {
    case REQUEST_JOB_RECORD:
        if (record_done(core, &job->record, job, event)) {
            if (open->number > job->checkpoint_usable)
                job->checkpoint_usable = open->number;
            job_on_record_durable(core, job);
        }
        break;
    case REQUEST_GRAPH_RECORD:
        dispatcher_on_graph_stored(core, job, code, message);
        break;
    case REQUEST_READ_METADATA:
        recovery_on_metadata(core, job, open->number, event);
        break;
    case REQUEST_WRITE_METADATA:
        job_on_metadata_written(core, job, open->number, code, message);
        break;
    case REQUEST_COPY:
        dispatcher_on_copied(core, job, code, message);
        break;
    case REQUEST_RESTORE_METADATA:
        dispatcher_on_restore_written(core, job, code, message);
        break;
    case REQUEST_CLEANUP:
        if (code != STATUS_OK) {
            core_log(core, LOG_WARN, "cleanup_failed", job, "%s", message);
            job->sweep_ms = core->now_ms + CLEANUP_RETRY_MS;
        }
        break;
    case REQUEST_LOAD:
    case REQUEST_CLUSTER_RECORD:
        break;
    }
}

void storage_on_done(struct core *core, const struct core_event *event)
{
    size_t place = 0;
    while (place < core->request_count && core->requests[place].id != event->storage.request)
        place++;
    if (place == core->request_count)
        return;
    const struct open_request open = core->requests[place];
    core->request_count--;
    memmove(core->requests + place, core->requests + place + 1,
            (core->request_count - place) * sizeof(*core->requests));
    if (event->storage.code == STATUS_FENCED) {
        core_fatal(core, event->storage.message);
        return;
    }
    if (open.purpose == REQUEST_LOAD) {
        recovery_on_loaded(core, event);
    } else if (open.purpose == REQUEST_CLUSTER_RECORD) {
        if (record_done(core, &core->cluster_record, NULL, event))
            core->attempt_usable = open.number;
    } else {
        on_job_request(core, &open, event);
    }
}
