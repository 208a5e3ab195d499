/* Records of the job store to bytes and back. */
#include "jobmanager/core/job_store_format.h"

#include "common/graph/codec_scratch.h"
#include "jobmanager/checkpoint/record_header.h"
#include "proto/job_store.pb-c.h"

#include <string.h>

#define MAGIC_JOB     "MSJOBST1"
#define MAGIC_GRAPH   "MSGRAPH1"
#define MAGIC_CLUSTER "MSCLUST1"

void stored_exception_done(struct stored_exception *exception)
{
    free(exception->message);
    free(exception->record);
    free(exception->task);
    free(exception->host);
    *exception = (struct stored_exception){0};
}

static char *copy_optional(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : copy_text(text);
}

void stored_exception_copy(struct stored_exception *to, const struct stored_exception *from)
{
    *to = *from;
    to->message = copy_text(from->message);
    to->record = copy_optional(from->record);
    to->task = copy_optional(from->task);
    to->host = copy_optional(from->host);
}

void stored_job_done(struct stored_job *job)
{
    for (size_t i = 0; i < job->exception_count; i++)
        stored_exception_done(&job->exceptions[i]);
    job->exception_count = 0;
}

static char *text_or_empty(char *text)
{
    return text == NULL ? (char *)"" : text;
}

void stored_job_encode(const struct stored_job *job, const char *writer, struct text *out)
{
    struct codec_scratch scratch = {0};
    struct id128 id = job->job.value;
    Millstream__StoredJob to;
    millstream__stored_job__init(&to);
    to.job.data = id.bytes;
    to.job.len = sizeof(id.bytes);
    to.status = (char *)job_status_name(job->status);
    to.start_ms = job->start_ms;
    to.end_ms = job->end_ms;
    to.is_cancel_requested = job->is_cancel_requested;
    to.checkpoint_limit = job->checkpoint_limit;
    to.n_retained = job->retained_count;
    to.retained = (uint64_t *)job->retained;
    to.is_final_complete = job->is_final_complete;
    to.restart_count = job->restart_count;
    to.n_exceptions = job->exception_count;
    to.exceptions = codec_scratch_take(&scratch, job->exception_count, sizeof(*to.exceptions));
    for (size_t i = 0; i < job->exception_count; i++) {
        const struct stored_exception *from = &job->exceptions[i];
        Millstream__StoredException *exception =
            codec_scratch_take(&scratch, 1, sizeof(*exception));
        millstream__stored_exception__init(exception);
        exception->wall_ms = from->wall_ms;
        exception->code = (char *)status_name(from->code);
        exception->message = text_or_empty(from->message);
        exception->record = text_or_empty(from->record);
        exception->task = text_or_empty(from->task);
        exception->host = text_or_empty(from->host);
        exception->attempt = from->attempt.value;
        to.exceptions[i] = exception;
    }
    const size_t size = millstream__stored_job__get_packed_size(&to);
    uint8_t *packed = codec_scratch_take(&scratch, size, 1);
    millstream__stored_job__pack(&to, packed);
    record_seal(MAGIC_JOB, JOB_STORE_FORMAT, writer, packed, size, out);
    codec_scratch_done(&scratch);
}

static enum status code_of(const char *name)
{
    for (int code = 0; code < STATUS_COUNT; code++)
        if (strcmp(name, status_name((enum status)code)) == 0)
            return (enum status)code;
    return STATUS_IO;
}

static enum status take_job(const Millstream__StoredJob *from, struct stored_job *to,
                            struct error *err)
{
    if (from->job.len != sizeof(to->job.value.bytes) || from->n_retained > JOB_STORE_RETAINED_MAX)
        return error_set(err, STATUS_CORRUPT, "its content makes no sense");
    memcpy(to->job.value.bytes, from->job.data, from->job.len);
    to->status = JOB_STATUS_COUNT;
    for (int status = 0; status < JOB_STATUS_COUNT; status++)
        if (strcmp(from->status, job_status_name((enum job_status)status)) == 0)
            to->status = (enum job_status)status;
    if (to->status == JOB_STATUS_COUNT)
        return error_set(err, STATUS_UNSUPPORTED, "unknown job state %.100s", from->status);
    to->start_ms = from->start_ms;
    to->end_ms = from->end_ms;
    to->is_cancel_requested = from->is_cancel_requested;
    to->checkpoint_limit = from->checkpoint_limit;
    to->is_final_complete = from->is_final_complete;
    to->restart_count = from->restart_count;
    to->retained_count = from->n_retained;
    for (size_t i = 0; i < from->n_retained; i++)
        to->retained[i] = from->retained[i];
    for (size_t i = 0; i < from->n_exceptions && i < JOB_STORE_EXCEPTION_MAX; i++) {
        const Millstream__StoredException *exception = from->exceptions[i];
        to->exceptions[to->exception_count++] = (struct stored_exception){
            .wall_ms = exception->wall_ms,
            .code = code_of(exception->code),
            .message = copy_text(exception->message),
            .record = copy_optional(exception->record),
            .task = copy_optional(exception->task),
            .host = copy_optional(exception->host),
            .attempt = {exception->attempt},
        };
    }
    return STATUS_OK;
}

enum status stored_job_decode(const void *bytes, size_t size, const char *what,
                              struct stored_job *ret_job, struct error *err)
{
    const void *payload;
    size_t payload_size;
    TRY(record_open(MAGIC_JOB, JOB_STORE_FORMAT, what, bytes, size, &payload, &payload_size, err));
    Millstream__StoredJob *from = millstream__stored_job__unpack(NULL, payload_size, payload);
    if (from == NULL)
        return error_set(err, STATUS_CORRUPT, "%s cannot be decoded", what);
    *ret_job = (struct stored_job){0};
    const enum status status = take_job(from, ret_job, err);
    millstream__stored_job__free_unpacked(from, NULL);
    return status == STATUS_OK ? status : error_wrap(err, status, "%s", what);
}

void stored_graph_encode(const struct stored_graph *graph, const char *writer, struct text *out)
{
    struct id128 id = graph->job.value;
    Millstream__StoredGraph to;
    millstream__stored_graph__init(&to);
    to.job.data = id.bytes;
    to.job.len = sizeof(id.bytes);
    to.submit_ms = graph->submit_ms;
    to.graph.data = (uint8_t *)graph->graph;
    to.graph.len = graph->graph_size;
    const size_t size = millstream__stored_graph__get_packed_size(&to);
    uint8_t *packed = allocate(size + 1);
    millstream__stored_graph__pack(&to, packed);
    record_seal(MAGIC_GRAPH, JOB_STORE_FORMAT, writer, packed, size, out);
    free(packed);
}

enum status stored_graph_decode(const void *bytes, size_t size, const char *what,
                                struct stored_graph *ret_graph, struct error *err)
{
    const void *payload;
    size_t payload_size;
    TRY(record_open(MAGIC_GRAPH, JOB_STORE_FORMAT, what, bytes, size, &payload, &payload_size,
                    err));
    Millstream__StoredGraph *from = millstream__stored_graph__unpack(NULL, payload_size, payload);
    if (from == NULL)
        return error_set(err, STATUS_CORRUPT, "%s cannot be decoded", what);
    const bool is_valid = from->job.len == sizeof(struct id128) && from->graph.len > 0;
    if (is_valid) {
        *ret_graph = (struct stored_graph){
            .submit_ms = from->submit_ms,
            .graph = copy_text_n((const char *)from->graph.data, from->graph.len),
            .graph_size = from->graph.len,
        };
        memcpy(ret_graph->job.value.bytes, from->job.data, from->job.len);
    }
    millstream__stored_graph__free_unpacked(from, NULL);
    return is_valid ? STATUS_OK : error_set(err, STATUS_CORRUPT, "%s makes no sense", what);
}

void stored_cluster_encode(const struct stored_cluster *cluster, const char *writer,
                           struct text *out)
{
    Millstream__StoredCluster to;
    millstream__stored_cluster__init(&to);
    to.attempt_limit = cluster->attempt_limit;
    to.cluster_id = text_or_empty(cluster->cluster_id);
    const size_t size = millstream__stored_cluster__get_packed_size(&to);
    uint8_t *packed = allocate(size + 1);
    millstream__stored_cluster__pack(&to, packed);
    record_seal(MAGIC_CLUSTER, JOB_STORE_FORMAT, writer, packed, size, out);
    free(packed);
}

enum status stored_cluster_decode(const void *bytes, size_t size, const char *what,
                                  struct stored_cluster *ret_cluster, struct error *err)
{
    const void *payload;
    size_t payload_size;
    TRY(record_open(MAGIC_CLUSTER, JOB_STORE_FORMAT, what, bytes, size, &payload, &payload_size,
                    err));
    Millstream__StoredCluster *from =
        millstream__stored_cluster__unpack(NULL, payload_size, payload);
    if (from == NULL)
        return error_set(err, STATUS_CORRUPT, "%s cannot be decoded", what);
    ret_cluster->attempt_limit = from->attempt_limit;
    ret_cluster->cluster_id = copy_text(from->cluster_id);
    millstream__stored_cluster__free_unpacked(from, NULL);
    return STATUS_OK;
}
