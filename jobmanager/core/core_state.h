/*
 * What the files of the core share. Private to jobmanager/core.
 *
 *   core.c            events in, actions out; what is due
 *   storage.c         requests to the stores, records that are written until it worked
 *   membership.c      connections, registration, heartbeats, loss of TaskManagers
 *   dispatcher.c      submit, cancel, finished jobs
 *   recovery.c        what the store knows at start
 *   ended_jobs.c      files of jobs that had ended before
 *   job_master.c      life of one job: states, failures, restarts
 *   execution_graph.c tasks and failover regions
 *   scheduler.c       slots and deployments
 *   job_checkpoint.c  the job master's part in checkpoints
 *   split_assigner.c  splits of sources
 *   snapshot.c        what others may see
 */
#ifndef JOBMANAGER_CORE_CORE_STATE_H
#define JOBMANAGER_CORE_CORE_STATE_H

#include "common/base/random.h"
#include "common/graph/job_graph_codec.h"
#include "jobmanager/checkpoint/coordinator.h"
#include "jobmanager/core/core.h"
#include "jobmanager/core/job_status.h"
#include "jobmanager/core/job_store_format.h"
#include "jobmanager/core/restart_strategy.h"
#include "jobmanager/core/split_assigner.h"

#define ATTEMPT_BLOCK     1000
#define CHECKPOINT_BLOCK  100
#define STORE_RETRY_MS    1000
#define DISK_FREE_PERCENT 5
#define RECORD_REPEAT_MAX 3
#define CLEANUP_RETRY_MS  10000
#define SWEEP_AGAIN_MS    600000
#define SWEEP_TURN_MS     100

struct task_manager {
    uint64_t connection;
    struct id128 incarnation;
    struct message_register registration; /* owned */
    struct message_session session;
    uint64_t sent_sequence;
    int64_t heartbeat_ms; /* monotonic, last */
    int64_t heartbeat_wall_ms;
    int64_t registered_wall_ms;
    uint64_t disk_free_bytes;
    uint64_t disk_total_bytes;
    uint64_t memory_used_bytes;
    struct job **slots; /* who holds each; NULL: free */
};

/* A connection that has not registered yet. */
struct newcomer {
    uint64_t connection;
    int64_t opened_ms;
    char *host;
};

/* A record of the job store: written again until the newest revision is durable. */
struct stored_record {
    uint64_t revision;  /* wanted; 0: never */
    uint64_t in_flight; /* revision being written; 0: none */
    uint64_t durable;
    int64_t retry_ms; /* after a failure */
    char *problem;    /* why the last write failed; NULL */
};

struct task {
    struct job *job;
    uint32_t index; /* in job->tasks */
    uint32_t vertex;
    uint32_t subtask_index;
    uint32_t region;
    struct attempt_id attempt;
    uint32_t attempt_number;
    enum task_status status;
    bool is_drained;
    bool is_finish_sent;
    struct task_manager *task_manager; /* NULL: none, or lost */
    uint32_t slot;
    struct id128 task_manager_id; /* for people, also when it is lost */
    char *host;
    int64_t canceling_ms; /* monotonic, when it was told to stop */
    int64_t status_ms[TASK_STATUS_COUNT];
    struct task_metrics metrics;
};

enum region_phase {
    REGION_WAITING,  /* for slots, ids, the store */
    REGION_LIVE,     /* deployed */
    REGION_STOPPING, /* its tasks are being canceled */
    REGION_DELAYED,  /* its restart waits for its time */
};

/* A connected component of the graph's vertices: what fails and restarts together. */
struct region {
    enum region_phase phase;
    bool is_free_restart; /* a TaskManager was lost: counts for nothing */
    bool has_run;
    struct task_failure cause; /* of what it is stopping for */
    int64_t restart_ms;        /* REGION_DELAYED */
};

struct job_slot {
    struct task_manager *task_manager; /* NULL: not held */
    uint32_t index;
};

struct job {
    struct job_id id;
    char id_text[ID_TEXT_SIZE];
    uint64_t lane;
    struct job_graph *graph;
    char *graph_bytes;
    size_t graph_size;
    struct job_options options;
    enum job_status status;
    int64_t status_ms[JOB_STATUS_COUNT];
    int64_t submit_ms;
    int64_t start_ms;
    int64_t end_ms;
    enum job_status ending; /* terminal state that waits for the store; JOB_INITIALIZING: none */
    uint64_t ending_revision;
    bool is_recovered_end; /* it ended before this process began */

    struct stored_record record;
    bool is_graph_stored;
    uint32_t graph_tries;
    bool is_restore_pending; /* the state record goes first: a start from a savepoint */
    bool is_recovering;      /* stored_ids are what the record names */
    uint64_t reading_count;  /* metadata reads under way */
    uint64_t *stored_ids;    /* retained checkpoints that the store named */
    size_t stored_id_count;
    struct completed_checkpoint **read;    /* beside stored_ids; NULL: not read yet */
    int64_t reread_ms;                     /* when reads that failed are tried again; -1 */
    struct completed_checkpoint *restored; /* a start from a savepoint, until it is adopted */

    uint64_t *submit_tokens;
    size_t submit_token_count;
    size_t submit_token_capacity;
    uint64_t *cancel_tokens;
    size_t cancel_token_count;
    size_t cancel_token_capacity;
    bool is_cancel_requested;
    uint64_t cancel_revision;

    struct task *tasks; /* vertex by vertex */
    size_t task_count;
    uint32_t *first_task; /* of each vertex */
    struct region *regions;
    uint32_t region_count;
    uint32_t *region_of; /* of each vertex */
    struct job_slot *slots;
    uint32_t slot_count;              /* needed: the largest parallelism */
    struct split_assigner *assigners; /* one per source operator */
    size_t assigner_count;

    struct coordinator coordinator;
    uint64_t checkpoint_next;
    uint64_t checkpoint_limit;  /* wanted in the record */
    uint64_t checkpoint_usable; /* durable */
    uint64_t limit_revision;
    uint64_t storing_revision; /* PENDING_STORING is durable with it */
    int64_t next_trigger_ms;
    int64_t final_after_ms; /* a failed final checkpoint is not tried again before */
    bool is_final_complete;
    int64_t sweep_ms;   /* when to sweep; CORE_NEVER */
    bool sweep_problem; /* a checkpoint that the job retains could not be read: ended_jobs.c */
    bool is_cleaned_up; /* job_clean_up was called */

    struct restart_strategy restart;
    uint32_t restart_count;
    struct stored_exception exceptions[JOB_STORE_EXCEPTION_MAX]; /* newest first */
    size_t exception_count;
    char *repeated_record; /* record and message of the last failures, if it is the same */
    uint32_t repeated_count;
    char *waits_for; /* set by the scheduler */
};

enum request_purpose {
    REQUEST_LOAD,
    REQUEST_CLUSTER_RECORD,
    REQUEST_JOB_RECORD,
    REQUEST_GRAPH_RECORD,
    REQUEST_READ_METADATA,
    REQUEST_WRITE_METADATA,
    REQUEST_COPY,
    REQUEST_RESTORE_METADATA,
    REQUEST_CLEANUP,
};

struct open_request {
    uint64_t id;
    enum request_purpose purpose;
    struct job_id job;
    uint64_t number; /* checkpoint id */
};

enum core_phase { CORE_NEW, CORE_LOADING, CORE_READY, CORE_DEAD };

struct core {
    struct core_config config;
    struct random random;
    enum core_phase phase;
    int64_t now_ms;
    int64_t wall_ms;
    struct core_output *output;          /* of the step under way */
    struct task_manager **task_managers; /* in order of registration */
    size_t task_manager_count;
    size_t task_manager_capacity;
    struct newcomer *newcomers;
    size_t newcomer_count;
    size_t newcomer_capacity;
    struct job **jobs; /* in order of submission, finished ones too */
    size_t job_count;
    size_t job_capacity;
    struct open_request *requests;
    size_t request_count;
    size_t request_capacity;
    struct stored_record cluster_record;
    uint64_t attempt_next;
    uint64_t attempt_limit;  /* wanted in the record */
    uint64_t attempt_usable; /* durable */
    uint64_t next_request;
    uint64_t next_lane;
    uint64_t next_enumerator;
    int64_t load_retry_ms;
    struct job_id sweeping; /* whose metadata is being read by ended_jobs.c; 0: none */
    uint64_t stale_count;
    uint64_t duplicate_count;
};

/* ---- core.c ---- */
struct core_action *core_act(struct core *core, enum core_action_kind kind);
void core_log(struct core *core, enum log_level level, const char *event, const struct job *job,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
void core_fatal(struct core *core, const char *message);
void core_reply(struct core *core, enum reply_kind kind, uint64_t token, struct job_id job,
                enum status code, const char *message);
struct job *core_find_job(const struct core *core, struct job_id id);

/* ---- storage.c ---- */
struct storage_request *storage_ask(struct core *core, enum storage_kind kind,
                                    enum request_purpose purpose, const struct job *job,
                                    uint64_t number);
void storage_cleanup(struct core *core, const struct job *job, struct path_list *paths);
void storage_sweep(struct core *core, struct job *job);
/* The same for a job whose retained checkpoints are in job->read. */
void storage_sweep_ended(struct core *core, struct job *job);
void storage_delete_job(struct core *core, const struct job *job);
uint64_t stored_record_touch(struct stored_record *record);
void storage_write_cluster(struct core *core);
void storage_write_job(struct core *core, struct job *job);
void storage_on_done(struct core *core, const struct core_event *event);

/* ---- membership.c ---- */
void membership_on_opened(struct core *core, uint64_t connection, const char *host);
void membership_on_closed(struct core *core, uint64_t connection, const char *reason);
void membership_on_message(struct core *core, uint64_t connection, struct message *message);
void membership_check(struct core *core);
int64_t membership_next_ms(const struct core *core);
/* Closes the connection; its tasks are lost. */
void membership_drop(struct core *core, struct task_manager *task_manager, const char *reason);
/* The message is taken. */
void membership_send(struct core *core, struct task_manager *task_manager, struct message *message);
void task_manager_destroy(struct task_manager *task_manager);

/* ---- dispatcher.c ---- */
void dispatcher_submit(struct core *core, const struct core_event *event);
void dispatcher_cancel(struct core *core, const struct core_event *event);
void dispatcher_store_graph(struct core *core, struct job *job);
void dispatcher_on_graph_stored(struct core *core, struct job *job, enum status code,
                                const char *message);
void dispatcher_on_copied(struct core *core, struct job *job, enum status code,
                          const char *message);
void dispatcher_on_restore_written(struct core *core, struct job *job, enum status code,
                                   const char *message);
void dispatcher_forget_old(struct core *core);
int64_t dispatcher_next_ms(const struct core *core);

/* ---- recovery.c ---- */
void recovery_start(struct core *core);
void recovery_on_loaded(struct core *core, const struct core_event *event);
void recovery_on_metadata(struct core *core, struct job *job, uint64_t number,
                          const struct core_event *event);
void recovery_check(struct core *core, struct job *job);
/* Asks for the metadata of the stored checkpoints that are not read yet. */
void recovery_read_missing(struct core *core, struct job *job);

/* ---- ended_jobs.c ---- */
/* Removes what a job that ended under an earlier leader does not keep. */
void ended_job_sweep(struct core *core, struct job *job);
/* One of its reads is done; message: why it failed. */
void ended_job_on_read(struct core *core, struct job *job, enum status status, const char *message);

/* ---- job_master.c ---- */
struct job *job_create(struct core *core, struct job_id id, struct job_graph *graph);
void job_destroy(struct job *job);
void job_set_status(struct core *core, struct job *job, enum job_status status);
/* May run from now on: INITIALIZING to CREATED. */
void job_start(struct core *core, struct job *job);
void job_cancel(struct core *core, struct job *job);
/* Is it decided how the job ends, if only the store does not know it yet? */
static inline bool job_end_is_decided(const struct job *job)
{
    return job->ending != JOB_INITIALIZING;
}
/* Ends as FAILED, whatever the strategy says. */
void job_fail(struct core *core, struct job *job, enum status code, const char *message);
void job_on_task_update(struct core *core, struct task *task,
                        const struct message_task_update *update);
void job_on_drained(struct task *task);
void job_on_task_manager_lost(struct core *core, struct job *job,
                              const struct task_manager *task_manager, const char *reason);
/* Removes what an ended job does not keep; again after a failure and after a restart. */
void job_clean_up(struct core *core, struct job *job);
void job_on_record_durable(struct core *core, struct job *job);
void job_check(struct core *core, struct job *job);
int64_t job_next_ms(const struct job *job);
/* The state record as it should be now. */
void job_encode_record(const struct job *job, struct text *out);

/* ---- execution_graph.c ---- */
void execution_graph_build(struct job *job);
void execution_graph_done(struct job *job);
void task_set_status(struct core *core, struct task *task, enum task_status status);
bool task_is_live(const struct task *task); /* a TaskManager runs it, as far as is known */
void task_describe(const struct task *task, char *text, size_t size); /* "lines (2/4)" */
struct task *execution_graph_find(const struct core *core, struct job_id job,
                                  struct attempt_id attempt);
bool execution_graph_all(const struct job *job, enum task_status status);
bool region_has_live_tasks(const struct job *job, uint32_t region);
/* A message of this kind to the live tasks of a region (or all: UINT32_MAX), one per TaskManager.
 * checkpoint: content of TRIGGER, ABORT, COMPLETED; else NULL. */
void execution_graph_tell(struct core *core, struct job *job, uint32_t region,
                          enum message_kind kind, const struct message_checkpoint *checkpoint);

/* ---- scheduler.c ---- */
void scheduler_try(struct core *core, struct job *job);
void scheduler_release(struct job *job);

/* ---- job_checkpoint.c ---- */
void job_checkpoint_check(struct core *core, struct job *job);
int64_t job_checkpoint_next_ms(const struct job *job);
void job_checkpoint_abort(struct core *core, struct job *job, const char *reason);
void job_on_acknowledge(struct core *core, struct task *task, struct message_acknowledge *message);
void job_on_decline(struct core *core, struct task *task, const struct message_decline *message);
void job_on_metadata_written(struct core *core, struct job *job, uint64_t number, enum status code,
                             const char *message);
void job_checkpoint_on_durable(struct core *core, struct job *job);

/* ---- split assigners of a job ---- */
/* alignment.c: how far the aligned sources of this TaskManager may go. */
void alignment_answer(const struct core *core, const struct task_manager *task_manager,
                      struct attempt_list *targets);
void job_on_want_splits(struct core *core, struct task *task, uint32_t operator_index);
void job_on_discovered(struct core *core, const struct core_event *event);
void job_sources_start(struct core *core, struct job *job, uint32_t region);
void job_sources_stop(struct core *core, struct job *job, uint32_t region);

#endif
