/* Submit, cancel, and the jobs that have ended. */
#include "common/base/allocate.h"
#include "jobmanager/checkpoint/metadata_codec.h"
#include "jobmanager/core/core_state.h"

#include <string.h>

#define GRAPH_TRIES_MAX 3
#define FORGET_PAUSE_MS 1000

static void remove_job(struct core *core, struct job *job)
{
    size_t place = 0;
    while (core->jobs[place] != job)
        place++;
    core->job_count--;
    memmove(core->jobs + place, core->jobs + place + 1,
            (core->job_count - place) * sizeof(*core->jobs));
    job_destroy(job);
}

/* ---- submit ---- */

static void answer_submits(struct core *core, struct job *job, enum status code,
                           const char *message)
{
    for (size_t i = 0; i < job->submit_token_count; i++)
        core_reply(core, REPLY_SUBMIT, job->submit_tokens[i], job->id, code, message);
    job->submit_token_count = 0;
}

static void give_up_submit(struct core *core, struct job *job, enum status code,
                           const char *message)
{
    core_log(core, LOG_WARN, "submit_failed", job, "%s", message);
    answer_submits(core, job, code, message);
    storage_ask(core, STORAGE_REMOVE_RECORDS, REQUEST_CLEANUP, job, 0)->path =
        format_text("jobs/%s", job->id_text);
    if (job->restored != NULL || job->coordinator.retained_count > 0)
        storage_delete_job(core, job);
    remove_job(core, job);
}

void dispatcher_store_graph(struct core *core, struct job *job)
{
    const struct stored_graph graph = {.job = job->id,
                                       .submit_ms = job->submit_ms,
                                       .graph = job->graph_bytes,
                                       .graph_size = job->graph_size};
    struct text text;
    text_init(&text, JOB_STORE_RECORD_MAX);
    stored_graph_encode(&graph, core->config.version, &text);
    struct storage_request *request =
        storage_ask(core, STORAGE_PUT_RECORD, REQUEST_GRAPH_RECORD, job, 0);
    request->path = format_text("jobs/%s/graph", job->id_text);
    request->size = text.size;
    request->bytes = text_take(&text);
    text_done(&text);
}

void dispatcher_on_graph_stored(struct core *core, struct job *job, enum status code,
                                const char *message)
{
    if (code != STATUS_OK && ++job->graph_tries < GRAPH_TRIES_MAX) {
        dispatcher_store_graph(core, job);
        return;
    }
    if (code != STATUS_OK) {
        SCOPED_TEXT char *text = format_text("the job cannot be stored: %s", message);
        give_up_submit(core, job, code, text);
        return;
    }
    job->is_graph_stored = true;
    core_log(core, LOG_INFO, "job_submitted", job, "name=%s submitter=%s", job->graph->name,
             job->graph->submitter == NULL ? "" : job->graph->submitter);
    answer_submits(core, job, STATUS_OK, NULL);
    job_start(core, job);
}

/* ---- start from a savepoint ---- */

static void compare_vertex(const struct job_graph *graph, const struct job_graph *old,
                           const struct job_vertex *vertex, struct text *differences)
{
    for (uint32_t i = 0; i < vertex->operator_count; i++) {
        const struct operator_spec *spec = &graph->operators[vertex->operators[i]];
        const int64_t place = job_graph_find_uid(old, spec->uid);
        if (place < 0)
            text_format(differences, "; node %s is new", spec->uid);
        else if (old->operators[place].parallelism != spec->parallelism)
            text_format(differences, "; node %s has parallelism %u, in the checkpoint %u",
                        spec->uid, spec->parallelism, old->operators[place].parallelism);
    }
}

/* Same uids in the same chains at the same parallelism, or a list of what differs. */
static enum status compare_graphs(const struct job_graph *graph, const struct job_graph *old,
                                  const char *path, struct error *err)
{
    struct text differences SCOPED_TEXT_BUFFER;
    text_init(&differences, ERROR_MESSAGE_MAX / 2);
    if (graph->max_parallelism != old->max_parallelism)
        text_format(&differences, "; max parallelism is %u, in the checkpoint %u",
                    graph->max_parallelism, old->max_parallelism);
    for (uint32_t v = 0; v < graph->vertex_count; v++)
        compare_vertex(graph, old, &graph->vertices[v], &differences);
    for (uint32_t i = 0; i < old->operator_count; i++)
        if (job_graph_find_uid(graph, old->operators[i].uid) < 0)
            text_format(&differences, "; node %s is missing", old->operators[i].uid);
    for (uint32_t v = 0; v < graph->vertex_count && differences.size == 0; v++) {
        bool is_found = false;
        for (uint32_t w = 0; w < old->vertex_count; w++)
            is_found |= id128_equals(graph->vertices[v].id, old->vertices[w].id) &&
                        graph->vertices[v].operator_count == old->vertices[w].operator_count;
        if (!is_found)
            text_format(&differences, "; %s is chained otherwise", graph->vertices[v].name);
    }
    if (differences.size == 0)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "the checkpoint %s is of another graph: %s (a checkpoint restores only the "
                     "same nodes at the same parallelism)",
                     path, differences.bytes + 2);
}

/* The files become the new job's own, below shared/0/: lists from and to, rewrites the paths. */
static void own_files(const struct job *job, const char *old_job,
                      struct completed_checkpoint *checkpoint, struct path_list *copies)
{
    uint32_t number = 0;
    for (size_t i = 0; i < checkpoint->task_count; i++) {
        struct keyed_state_handle *keyed = &checkpoint->tasks[i].keyed;
        for (size_t j = 0; j < keyed->file_count; j++) {
            struct state_file *file = &keyed->files[j];
            const char *base = strrchr(file->path, '/') + 1;
            char *own = format_text("shared/0/%u-%s", number++, base);
            SCOPED_TEXT char *from = format_text("%s/%s", old_job, file->path);
            SCOPED_TEXT char *to = format_text("%s/%s", job->id_text, own);
            path_list_add(copies, from);
            path_list_add(copies, to);
            free(file->path);
            file->path = own;
            file->is_shared = true;
        }
    }
    checkpoint->id.value = 1;
    checkpoint->is_final = false;
}

static void write_restored(struct core *core, struct job *job)
{
    const struct checkpoint_metadata metadata = {.job = job->id,
                                                 .leader_epoch = core->config.leader_epoch,
                                                 .graph = job->graph_bytes,
                                                 .graph_size = job->graph_size,
                                                 .checkpoint = job->restored};
    struct text text;
    text_init(&text, METADATA_BYTES_MAX);
    checkpoint_metadata_encode(&metadata, core->config.version, &text);
    struct storage_request *request =
        storage_ask(core, STORAGE_PUT_METADATA, REQUEST_RESTORE_METADATA, job, 1);
    request->path = format_text("%s/chk-1/_metadata", job->id_text);
    request->size = text.size;
    request->bytes = text_take(&text);
    text_done(&text);
}

void dispatcher_on_copied(struct core *core, struct job *job, enum status code, const char *message)
{
    if (code == STATUS_OK) {
        write_restored(core, job);
        return;
    }
    SCOPED_TEXT char *text = format_text("the checkpoint cannot be copied: %s", message);
    give_up_submit(core, job, code, text);
}

void dispatcher_on_restore_written(struct core *core, struct job *job, enum status code,
                                   const char *message)
{
    if (code != STATUS_OK) {
        SCOPED_TEXT char *text =
            format_text("the restored checkpoint cannot be written: %s", message);
        give_up_submit(core, job, code, text);
        return;
    }
    coordinator_adopt(&job->coordinator, take_pointer(&job->restored));
    job->checkpoint_next = 2;
    job->checkpoint_limit = 2;
    job->is_restore_pending = true;
    (void)stored_record_touch(&job->record);
}

static enum status begin_restore(struct core *core, struct job *job, const struct core_event *event,
                                 struct error *err)
{
    struct checkpoint_metadata metadata = {0};
    SCOPED_TEXT char *file = format_text("%s/_metadata", event->submit.restore_path);
    TRY(checkpoint_metadata_decode(event->submit.restore_metadata,
                                   event->submit.restore_metadata_size, file, &metadata, err));
    struct job_graph *old = NULL;
    enum status status = job_graph_decode(metadata.graph, metadata.graph_size, &old, err);
    if (status == STATUS_OK)
        status = compare_graphs(job->graph, old, event->submit.restore_path, err);
    job_graph_destroy(old);
    if (status == STATUS_OK) {
        char old_job[ID_TEXT_SIZE];
        id128_format(metadata.job.value, old_job);
        job->restored = take_pointer(&metadata.checkpoint);
        struct path_list copies = {0};
        own_files(job, old_job, job->restored, &copies);
        struct storage_request *request = storage_ask(core, STORAGE_COPY, REQUEST_COPY, job, 0);
        request->path = copy_text(job->id_text);
        request->paths = copies.paths;
        request->path_count = copies.count;
    }
    checkpoint_metadata_done(&metadata);
    return status;
}

/* ---- */

static bool is_same_graph(const struct job *job, const struct job_graph *graph)
{
    struct text text SCOPED_TEXT_BUFFER;
    text_init(&text, JOB_GRAPH_BYTES_MAX);
    job_graph_encode(graph, &text);
    return text.size == job->graph_size && memcmp(text.bytes, job->graph_bytes, text.size) == 0;
}

static void submit_again(struct core *core, struct job *job, const struct core_event *event)
{
    const uint64_t token = event->submit.token;
    if (!is_same_graph(job, event->submit.graph))
        core_reply(core, REPLY_SUBMIT, token, job->id, STATUS_EXISTS,
                   "a job with this id and another graph exists; submit without an id or with "
                   "another one");
    else if (job->is_graph_stored)
        core_reply(core, REPLY_SUBMIT, token, job->id, STATUS_OK, NULL);
    else
        array_push(job->submit_tokens, job->submit_token_count, job->submit_token_capacity) = token;
}

static enum status check_submit(const struct core *core, const struct core_event *event,
                                struct job_options *options, struct error *err)
{
    if (core->phase != CORE_READY)
        return error_set(err, STATUS_UNAVAILABLE,
                         "the JobManager is still reading its job store; try again");
    if (core->attempt_usable == 0)
        return error_set(err, STATUS_UNAVAILABLE, "the job store cannot be written%s%s; try again",
                         core->cluster_record.problem == NULL ? "" : ": ",
                         core->cluster_record.problem == NULL ? "" : core->cluster_record.problem);
    size_t live_count = 0;
    for (size_t i = 0; i < core->job_count; i++)
        live_count += job_status_is_terminal(core->jobs[i]->status) ? 0 : 1;
    if (live_count >= CORE_JOB_MAX)
        return error_set(err, STATUS_LIMIT, "%zu jobs are running, the most allowed", live_count);
    if (id128_is_none(event->submit.job.value))
        return error_set(err, STATUS_INVALID, "the job id is zero");
    TRY(job_graph_check(event->submit.graph, err));
    return job_options_read(event->submit.graph, options, err);
}

void dispatcher_submit(struct core *core, const struct core_event *event)
{
    struct job_graph *graph = event->submit.graph;
    struct error err;
    struct job_options options;
    struct job *existing = core_find_job(core, event->submit.job);
    if (existing != NULL) {
        submit_again(core, existing, event);
        job_graph_destroy(graph);
        return;
    }
    if (check_submit(core, event, &options, &err) != STATUS_OK) {
        core_reply(core, REPLY_SUBMIT, event->submit.token, event->submit.job, err.code,
                   err.message);
        job_graph_destroy(graph);
        return;
    }
    struct job *job = job_create(core, event->submit.job, graph);
    job->options = options;
    coordinator_init(&job->coordinator, options.checkpoint_retain_count);
    array_push(job->submit_tokens, job->submit_token_count, job->submit_token_capacity) =
        event->submit.token;
    if (event->submit.restore_metadata == NULL) {
        dispatcher_store_graph(core, job);
    } else if (begin_restore(core, job, event, &err) != STATUS_OK) {
        answer_submits(core, job, err.code, err.message);
        remove_job(core, job);
    }
}

void dispatcher_cancel(struct core *core, const struct core_event *event)
{
    struct job *job = core_find_job(core, event->cancel.job);
    enum status code = STATUS_OK;
    const char *message = NULL;
    if (job == NULL) {
        code = core->phase == CORE_READY ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE;
        message = core->phase == CORE_READY ? "no such job" : "the JobManager is starting";
    } else if (job_status_is_terminal(job->status)) {
        code = job->status == JOB_CANCELED ? STATUS_OK : STATUS_INVALID;
        message = job->status == JOB_CANCELED ? NULL : "the job has ended already";
    } else if (!job->is_graph_stored) {
        code = STATUS_UNAVAILABLE;
        message = "the job is still being stored; try again";
    } else {
        array_push(job->cancel_tokens, job->cancel_token_count, job->cancel_token_capacity) =
            event->cancel.token;
        job->is_cancel_requested = true;
        (void)stored_record_touch(&job->record);
        job_cancel(core, job);
        return;
    }
    core_reply(core, REPLY_CANCEL, event->cancel.token, event->cancel.job, code, message);
}

/* ---- ended jobs ---- */

void dispatcher_forget_old(struct core *core)
{
    size_t ended_count = 0;
    for (size_t i = 0; i < core->job_count; i++)
        ended_count += job_status_is_terminal(core->jobs[i]->status) ? 1 : 0;
    for (size_t i = 0; i < core->job_count && ended_count > 0;) {
        struct job *job = core->jobs[i];
        const bool is_old = core->wall_ms - job->end_ms >= core->config.ended_job_keep_ms;
        if (!job_status_is_terminal(job->status) ||
            (ended_count <= core->config.ended_job_max && !is_old)) {
            i++;
            continue;
        }
        storage_ask(core, STORAGE_REMOVE_RECORDS, REQUEST_CLEANUP, job, 0)->path =
            format_text("jobs/%s", job->id_text);
        remove_job(core, job);
        ended_count--;
    }
}

int64_t dispatcher_next_ms(const struct core *core)
{
    int64_t next = CORE_NEVER;
    for (size_t i = 0; i < core->job_count; i++) {
        const struct job *job = core->jobs[i];
        if (!job_status_is_terminal(job->status))
            continue;
        /* The wall clock may jump: never in a hurry. */
        const int64_t left_ms = job->end_ms + core->config.ended_job_keep_ms - core->wall_ms;
        const int64_t due = core->now_ms + (left_ms > FORGET_PAUSE_MS ? left_ms : FORGET_PAUSE_MS);
        next = due < next ? due : next;
    }
    return next;
}
