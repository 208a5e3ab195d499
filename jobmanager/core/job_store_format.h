/*
 * The records of the job store: record header (jobmanager/checkpoint/record_header.h), then a
 * message of proto/job_store.proto. The only place where the two meet.
 *
 *   cluster            StoredCluster "MSCLUST1"
 *   jobs/<id>/graph    StoredGraph   "MSGRAPH1"  a job exists if this record does
 *   jobs/<id>/state    StoredJob     "MSJOBST1"
 */
#ifndef JOBMANAGER_CORE_JOB_STORE_FORMAT_H
#define JOBMANAGER_CORE_JOB_STORE_FORMAT_H

#include "common/base/text.h"
#include "jobmanager/core/job_status.h"

#define JOB_STORE_FORMAT        1
#define JOB_STORE_RECORD_MAX    (32 * 1024 * 1024)
#define JOB_STORE_RETAINED_MAX  1000
#define JOB_STORE_EXCEPTION_MAX 16

struct stored_exception {
    int64_t wall_ms;
    enum status code;
    char *message;
    char *record; /* or NULL */
    char *task;   /* or NULL */
    char *host;   /* or NULL */
    struct attempt_id attempt;
};

void stored_exception_done(struct stored_exception *exception);
void stored_exception_copy(struct stored_exception *to, const struct stored_exception *from);

struct stored_job {
    struct job_id job;
    enum job_status status; /* terminal, or JOB_RUNNING */
    int64_t start_ms;
    int64_t end_ms;
    bool is_cancel_requested;
    uint64_t checkpoint_limit;
    uint64_t retained[JOB_STORE_RETAINED_MAX]; /* oldest first */
    size_t retained_count;
    bool is_final_complete;
    uint32_t restart_count;
    struct stored_exception exceptions[JOB_STORE_EXCEPTION_MAX]; /* newest first */
    size_t exception_count;
};

void stored_job_done(struct stored_job *job);

struct stored_graph {
    struct job_id job;
    int64_t submit_ms;
    char *graph; /* encoded */
    size_t graph_size;
};

struct stored_cluster {
    uint64_t attempt_limit;
    char *cluster_id;
};

void stored_job_encode(const struct stored_job *job, const char *writer, struct text *out);
enum status stored_job_decode(const void *bytes, size_t size, const char *what,
                              struct stored_job *ret_job, struct error *err) MUST_CHECK;
void stored_graph_encode(const struct stored_graph *graph, const char *writer, struct text *out);
/* ret_graph->graph is to be freed. */
enum status stored_graph_decode(const void *bytes, size_t size, const char *what,
                                struct stored_graph *ret_graph, struct error *err) MUST_CHECK;
void stored_cluster_encode(const struct stored_cluster *cluster, const char *writer,
                           struct text *out);
/* ret_cluster->cluster_id is to be freed. */
enum status stored_cluster_decode(const void *bytes, size_t size, const char *what,
                                  struct stored_cluster *ret_cluster, struct error *err) MUST_CHECK;

#endif
