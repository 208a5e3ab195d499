/* The handlers of the REST API, one file per resource; rest.c holds the table of routes. */
#ifndef JOBMANAGER_REST_HANDLERS_H
#define JOBMANAGER_REST_HANDLERS_H

#include "common/io/http_server.h"
#include "jobmanager/rest/rate.h"
#include "jobmanager/rest/rest.h"

#include <jansson.h>

struct rest {
    struct rest_service service;
    struct http_server *server;
    struct rate_table *rates;
};

/* Cluster */
void handle_overview(void *context, const struct http_request *, struct http_response *);
void handle_config(void *context, const struct http_request *, struct http_response *);
void handle_jobmanager_config(void *context, const struct http_request *, struct http_response *);
void handle_task_managers(void *context, const struct http_request *, struct http_response *);
void handle_task_manager(void *context, const struct http_request *, struct http_response *);
void handle_task_manager_stdout(void *context, const struct http_request *, struct http_response *);
void handle_health(void *context, const struct http_request *, struct http_response *);
void handle_ready(void *context, const struct http_request *, struct http_response *);
void handle_metrics(void *context, const struct http_request *, struct http_response *);

/* Jobs */
void handle_jobs(void *context, const struct http_request *, struct http_response *);
void handle_jobs_overview(void *context, const struct http_request *, struct http_response *);
void handle_job(void *context, const struct http_request *, struct http_response *);
void handle_job_status(void *context, const struct http_request *, struct http_response *);
void handle_job_plan(void *context, const struct http_request *, struct http_response *);
void handle_job_config(void *context, const struct http_request *, struct http_response *);
void handle_job_definition(void *context, const struct http_request *, struct http_response *);
void handle_job_exceptions(void *context, const struct http_request *, struct http_response *);
void handle_job_cancel(void *context, const struct http_request *, struct http_response *);
void handle_job_submit(void *context, const struct http_request *, struct http_response *);
void handle_vertex(void *context, const struct http_request *, struct http_response *);
void handle_vertex_watermarks(void *context, const struct http_request *, struct http_response *);

/* Metrics by name */
void handle_jobmanager_metrics(void *context, const struct http_request *, struct http_response *);
void handle_task_manager_metrics(void *context, const struct http_request *,
                                 struct http_response *);
void handle_job_metrics(void *context, const struct http_request *, struct http_response *);
void handle_vertex_metrics(void *context, const struct http_request *, struct http_response *);
void handle_subtask_metrics(void *context, const struct http_request *, struct http_response *);

/* Checkpoints */
void handle_checkpoints(void *context, const struct http_request *, struct http_response *);
void handle_checkpoints_config(void *context, const struct http_request *, struct http_response *);
void handle_checkpoint(void *context, const struct http_request *, struct http_response *);
void handle_checkpoint_subtasks(void *context, const struct http_request *, struct http_response *);

/* Answers with the value, whose reference is taken; false-y snapshots are answered as 503. */
void respond_json(struct http_response *response, json_t *value);

/* Builds the answer from a snapshot: fn returns the value (reference given away) or NULL after it
 * called http_response_error. */
typedef json_t *(*build_fn)(struct rest *rest, const struct cluster_snapshot *snapshot,
                            const struct http_request *request, struct http_response *response);
void respond_from_snapshot(struct rest *rest, const struct http_request *request,
                           struct http_response *response, build_fn build);

/* The job that the first path parameter names; NULL after an error was answered (400, 404). */
const struct job_snapshot *find_job(const struct cluster_snapshot *snapshot,
                                    const struct http_request *request,
                                    struct http_response *response);

/* The vertex that the second path parameter names; NULL after an error was answered. */
const struct vertex_snapshot *find_vertex(const struct job_snapshot *job,
                                          const struct http_request *request,
                                          struct http_response *response);
/* The TaskManager that the first one names, by its name or its incarnation; NULL likewise. */
const struct task_manager_snapshot *find_task_manager(const struct cluster_snapshot *snapshot,
                                                      const struct http_request *request,
                                                      struct http_response *response);

/* The ids in the path (parameter: which part of it); false after an error was answered (400). */
bool read_job_id(const struct http_request *request, struct http_response *response,
                 struct job_id *ret_id);
bool read_vertex_id(const struct http_request *request, struct http_response *response,
                    uint32_t parameter, struct id128 *ret_id);

/* ---- pieces of answers ---- */

/* A JSON text in which bytes that are no UTF-8 are U+FFFD; null for NULL. */
json_t *text_json(const char *text);
json_t *metrics_json(const struct task_metrics *metrics);
int64_t subtask_end_ms(const struct subtask_snapshot *subtask); /* -1: it has not ended */
/* From start to end, or till now; -1 if it has not begun. */
json_int_t passed_ms(int64_t start_ms, int64_t end_ms);

int64_t wall_now_ms(void);
int64_t job_duration_ms(const struct job_snapshot *job);
/* The vertex's state as Flink sums it up from its subtasks. */
enum task_status vertex_status(const struct vertex_snapshot *vertex);
/* Where event time is: the least of the subtasks that hold it back. INT64_MIN: not known yet. */
int64_t vertex_watermark_ms(const struct vertex_snapshot *vertex, bool *ret_is_idle);
bool job_has_event_time(const struct job_snapshot *job);
struct task_metrics vertex_metrics(const struct vertex_snapshot *vertex); /* sums; texts NULL */
json_t *checkpoint_json(const struct rest *rest, const struct checkpoint_record *record,
                        const struct job_snapshot *job);
const char *checkpoint_outcome_name(enum checkpoint_outcome outcome);
/* Minimum, maximum, average and quantiles. values: at least one place, also for none; sorted. */
json_t *figures_summary_json(int64_t *values, size_t count);
/* The "millstream" part of a job: what Flink's API has no field for. */
json_t *job_extension_json(struct rest *rest, const struct job_snapshot *job);

#endif
