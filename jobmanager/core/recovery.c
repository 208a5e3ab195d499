/* What the store knows: read at start, before anything is decided. */
#include "common/base/allocate.h"
#include "jobmanager/checkpoint/metadata_codec.h"
#include "jobmanager/core/core_state.h"

#include <string.h>

void recovery_start(struct core *core)
{
    core->phase = CORE_LOADING;
    core->load_retry_ms = CORE_NEVER;
    storage_ask(core, STORAGE_LOAD, REQUEST_LOAD, NULL, 0)->path = copy_text("");
}

static const struct core_object *find_object(const struct core_event *event, const char *path)
{
    for (size_t i = 0; i < event->storage.object_count; i++)
        if (strcmp(event->storage.objects[i].path, path) == 0)
            return &event->storage.objects[i];
    return NULL;
}

static void read_checkpoint(struct core *core, struct job *job, uint64_t number)
{
    job->reading_count++;
    storage_ask(core, STORAGE_READ_METADATA, REQUEST_READ_METADATA, job, number)->path =
        format_text("%s/chk-%llu/_metadata", job->id_text, (unsigned long long)number);
}

void recovery_read_missing(struct core *core, struct job *job)
{
    job->reread_ms = CORE_NEVER;
    for (size_t i = 0; i < job->stored_id_count; i++)
        if (job->stored_ids[i] != 0 && job->read[i] == NULL)
            read_checkpoint(core, job, job->stored_ids[i]);
}

/* The state record's content goes into the job. */
static void take_record(struct job *job, struct stored_job *record)
{
    job->start_ms = record->start_ms;
    job->end_ms = record->end_ms;
    job->is_cancel_requested = record->is_cancel_requested;
    job->checkpoint_limit = record->checkpoint_limit;
    if (record->checkpoint_limit > job->checkpoint_next)
        job->checkpoint_next = record->checkpoint_limit;
    job->checkpoint_usable = job->checkpoint_next;
    job->is_final_complete = record->is_final_complete;
    job->restart_count = record->restart_count;
    memcpy(job->exceptions, record->exceptions, sizeof(job->exceptions));
    job->exception_count = record->exception_count;
    record->exception_count = 0; /* moved */
    job->stored_ids = allocate_array(record->retained_count + 1, sizeof(*job->stored_ids));
    job->read = allocate_array(record->retained_count + 1, sizeof(*job->read));
    job->stored_id_count = record->retained_count;
    for (size_t i = 0; i < record->retained_count; i++)
        job->stored_ids[i] = record->retained[i];
    if (job_status_is_terminal(record->status)) {
        job->status = job->ending = record->status;
        job->status_ms[job->status] = record->end_ms;
        job->is_recovered_end = true;
    }
}

static void recover_job(struct core *core, const struct core_event *event,
                        const struct core_object *object)
{
    struct error err;
    struct stored_graph stored = {0};
    struct job_graph *graph = NULL;
    enum status status =
        stored_graph_decode(object->bytes, object->size, object->path, &stored, &err);
    if (status == STATUS_OK)
        status = job_graph_decode(stored.graph, stored.graph_size, &graph, &err);
    free(stored.graph);
    if (status != STATUS_OK) {
        core_log(core, LOG_ERROR, "job_not_recovered", NULL, "%s: %s", object->path, err.message);
        return;
    }
    struct job *job = job_create(core, stored.job, graph);
    job->is_graph_stored = true;
    job->is_recovering = true;
    job->submit_ms = job->start_ms = stored.submit_ms;
    SCOPED_TEXT char *path = format_text("jobs/%s/state", job->id_text);
    const struct core_object *state = find_object(event, path);
    SCOPED(free) void *memory = allocate(sizeof(struct stored_job));
    struct stored_job *record = memory;
    if (status == STATUS_OK)
        status = job_options_read(graph, &job->options, &err);
    coordinator_init(&job->coordinator, job->options.checkpoint_retain_count);
    if (status == STATUS_OK && state != NULL) {
        status = stored_job_decode(state->bytes, state->size, state->path, record, &err);
        if (status == STATUS_OK)
            take_record(job, record);
        stored_job_done(record);
    }
    if (status != STATUS_OK) {
        /* Never from an empty state: it may have had checkpoints. The record stays as it is. */
        core_log(core, LOG_ERROR, "job_not_recovered", job, "%s", err.message);
        job->exceptions[0] = (struct stored_exception){
            .wall_ms = core->wall_ms, .code = status, .message = copy_text(err.message)};
        job->exception_count = 1;
        job->status = job->ending = JOB_FAILED;
        job->end_ms = core->wall_ms;
        job->is_recovered_end = true;
    }
    if (job_status_is_terminal(job->status)) {
        if (status == STATUS_OK)
            job_clean_up(core, job);
    } else {
        core_log(core, LOG_INFO, "job_recovered", job, "checkpoints=%zu", job->stored_id_count);
        recovery_read_missing(core, job);
    }
}

static int compare_jobs(const void *a, const void *b)
{
    const struct job *left = *(struct job *const *)a;
    const struct job *right = *(struct job *const *)b;
    if (left->submit_ms != right->submit_ms)
        return left->submit_ms < right->submit_ms ? -1 : 1;
    return id128_compare(left->id.value, right->id.value);
}

static enum status take_cluster(struct core *core, const struct core_event *event,
                                struct error *err)
{
    const struct core_object *object = find_object(event, "cluster");
    if (object == NULL)
        return event->storage.object_count == 0
                   ? STATUS_OK
                   : error_set(err, STATUS_CORRUPT,
                               "the job store holds jobs but no record \"cluster\": the next "
                               "attempt id is unknown; restore that file or empty the store");
    struct stored_cluster cluster;
    TRY(stored_cluster_decode(object->bytes, object->size, "job store record \"cluster\"", &cluster,
                              err));
    const bool is_own = strcmp(cluster.cluster_id, core->config.cluster_id) == 0;
    if (!is_own)
        (void)error_set(err, STATUS_INVALID,
                        "the job store belongs to cluster %.100s, this JobManager to %.100s: set "
                        "cluster.id or high-availability.storageDir",
                        cluster.cluster_id, core->config.cluster_id);
    free(cluster.cluster_id);
    if (!is_own)
        return STATUS_INVALID;
    core->attempt_limit = core->attempt_usable = cluster.attempt_limit;
    if (cluster.attempt_limit > core->attempt_next)
        core->attempt_next = cluster.attempt_limit;
    return STATUS_OK;
}

void recovery_on_loaded(struct core *core, const struct core_event *event)
{
    struct error err;
    if (event->storage.code != STATUS_OK) {
        core_log(core, LOG_ERROR, "job_store_unreadable", NULL, "%s; it is tried again",
                 event->storage.message == NULL ? "" : event->storage.message);
        core->load_retry_ms = core->now_ms + STORE_RETRY_MS;
        return;
    }
    if (take_cluster(core, event, &err) != STATUS_OK) {
        core_fatal(core, err.message);
        return;
    }
    for (size_t i = 0; i < event->storage.object_count; i++) {
        const struct core_object *object = &event->storage.objects[i];
        const size_t size = strlen(object->path);
        if (size > 6 && strcmp(object->path + size - 6, "/graph") == 0)
            recover_job(core, event, object);
    }
    if (core->job_count > 1)
        qsort(core->jobs, core->job_count, sizeof(*core->jobs), compare_jobs);
    core->phase = CORE_READY;
    if (core->cluster_record.revision == 0 && core->attempt_limit == 0) {
        /* A new store says at once whose it is. */
        core->attempt_limit = core->attempt_next + ATTEMPT_BLOCK;
        (void)stored_record_touch(&core->cluster_record);
    }
}

/* ---- checkpoints ---- */

void recovery_on_metadata(struct core *core, struct job *job, uint64_t number,
                          const struct core_event *event)
{
    job->reading_count--;
    size_t place = 0;
    while (place < job->stored_id_count && job->stored_ids[place] != number)
        place++;
    if (place == job->stored_id_count || !job->is_recovering)
        return;
    struct error err;
    enum status status = event->storage.code;
    if (status == STATUS_OK && event->storage.object_count == 1) {
        const struct core_object *object = &event->storage.objects[0];
        struct checkpoint_metadata metadata = {0};
        status =
            checkpoint_metadata_decode(object->bytes, object->size, object->path, &metadata, &err);
        if (status == STATUS_OK)
            job->read[place] = take_pointer(&metadata.checkpoint);
        checkpoint_metadata_done(&metadata);
    } else {
        (void)error_set(
            &err, status, "%s/chk-%llu/_metadata: %s", job->id_text, (unsigned long long)number,
            event->storage.message == NULL ? status_text(status) : event->storage.message);
    }
    if (job_status_is_terminal(job->status)) {
        ended_job_on_read(core, job, status, err.message);
        return;
    }
    if (status == STATUS_OK || job->status != JOB_INITIALIZING)
        return;
    if (status_retry_class(status) != RETRY_CLASS_NEVER) {
        core_log(core, LOG_WARN, "checkpoint_unreadable", job, "%s; it is tried again",
                 err.message);
        job->reread_ms = core->now_ms + STORE_RETRY_MS;
        return;
    }
    if (place + 1 < job->stored_id_count) {
        core_log(core, LOG_WARN, "older_checkpoint_dropped", job, "%s", err.message);
        job->stored_ids[place] = 0;
        return;
    }
    /* Never an automatic fallback to an older one. */
    SCOPED_TEXT char *message = format_text(
        "the newest checkpoint cannot be read: %s; to go back to an older one: millstream run "
        "--from-savepoint <checkpoint directory>/%s/chk-<n> <job file>",
        err.message, job->id_text);
    job_fail(core, job, status, message);
}

void recovery_check(struct core *core, struct job *job)
{
    if (!job->is_recovering)
        return;
    if (core->now_ms >= job->reread_ms)
        recovery_read_missing(core, job);
    if (job->reading_count > 0 || job->reread_ms != CORE_NEVER)
        return;
    for (size_t i = 0; i < job->stored_id_count; i++)
        if (job->stored_ids[i] != 0)
            coordinator_adopt(&job->coordinator, take_pointer(&job->read[i]));
    job->stored_id_count = 0;
    job->is_recovering = false;
    job_start(core, job);
    if (job->is_cancel_requested)
        job_cancel(core, job);
    else
        storage_sweep(core, job);
}
