/*
 * The simulator: one JobManager core and some TaskManager controls, unchanged, in one thread, with
 * simulated time, network, storage, tasks and jobs. A seed decides everything; see sim_main.c.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "common/base/allocate.h"
#include "common/base/random.h"
#include "jobmanager/core/core.h"
#include "taskmanager/control/control.h"

#define SIM_KEYS             8
#define SIM_TASK_MANAGER_MAX 4
#define SIM_SOURCE_MAX       2
#define SIM_JOB_MAX          3
#define SIM_VIOLATION_MAX    500

enum sim_plant {
    PLANT_NONE,
    PLANT_STORE_LIES,    /* writes are answered before they are durable */
    PLANT_NO_ALIGNMENT,  /* the first barrier is taken for all */
    PLANT_DELETE_EARLY,  /* _metadata n removes checkpoint n - 1 */
    PLANT_SPLITS_TWICE,  /* a split reaches its reader twice */
    PLANT_IDS_FORGOTTEN, /* the record of attempt ids is not written */
    PLANT_COUNT,
};

/* ---- storage: paths and bytes, sorted ---- */

struct sim_file {
    char *path;
    char *bytes;
    size_t size;
};

struct sim_store {
    struct sim_file *files;
    size_t count;
    size_t capacity;
};

const struct sim_file *sim_store_find(const struct sim_store *store, const char *path);
void sim_store_put(struct sim_store *store, const char *path, const void *bytes, size_t size);
void sim_store_remove(struct sim_store *store, const char *path);
/* Every path that begins with prefix. */
void sim_store_remove_prefix(struct sim_store *store, const char *prefix);
void sim_store_done(struct sim_store *store);

/* ---- events ---- */

enum sim_event_kind {
    SIM_TO_CORE,     /* link, bytes */
    SIM_TO_CONTROL,  /* link, bytes */
    SIM_OPEN,        /* link: a dial arrives */
    SIM_CORE_CLOSED, /* link */
    SIM_CONTROL_CLOSED,
    SIM_STORAGE, /* request */
    SIM_CORE_TICK,
    SIM_CONTROL_TICK,
    SIM_DISCOVER,
    SIM_TASKS,     /* tasks of a TaskManager take a turn */
    SIM_TASK_SENT, /* an asynchronous part is done: acknowledge */
    SIM_FAULT,
    SIM_START_CORE,
    SIM_START_TASK_MANAGER,
    SIM_SUBMIT,
    SIM_CANCEL,
};

struct sim_event {
    int64_t time_ms;
    uint64_t sequence;
    enum sim_event_kind kind;
    uint64_t number;     /* link, TaskManager, attempt... */
    uint64_t generation; /* of the process it is for */
    uint32_t job;        /* DISCOVER, SUBMIT, CANCEL: index */
    void *content;       /* owned */
    size_t size;
};

/* ---- the world ---- */

struct sim_channel_item {
    enum { ITEM_RECORD, ITEM_BARRIER, ITEM_END } kind;
    uint32_t key;
    int64_t amount;
    struct checkpoint_id checkpoint;
    struct checkpoint_id completed;
};

struct sim_channel {
    struct attempt_id from;
    struct attempt_id to;
    struct sim_channel_item *items;
    size_t first;
    size_t count;
    size_t capacity;
};

struct sim_task; /* sim_task.c */

enum sim_strategy {
    STRATEGY_EXPONENTIAL,
    STRATEGY_FIXED_DELAY,
    STRATEGY_FAILURE_RATE,
    STRATEGY_NONE, /* the job may end as FAILED */
    STRATEGY_COUNT,
};

struct sim_job {
    struct job_id id;
    uint32_t source_count; /* independent pipelines: failover regions */
    uint32_t parallelism;
    uint32_t split_count; /* per source */
    uint32_t records_per_split;
    bool checkpoints_on;
    enum sim_strategy strategy;
    int32_t from; /* starts from a checkpoint of that job, which is canceled; -1: from nothing */
    char *restore_path;
    int64_t expected[SIM_KEYS];
    int64_t results[SIM_SOURCE_MAX][8][SIM_KEYS]; /* per pipeline and sum subtask */
    bool is_submitted;                            /* acknowledged */
    bool is_cancel_wanted;
    bool is_done;
    bool keeps_files; /* it ended as CANCELED or FAILED */
    uint64_t newest_checkpoint;
    uint64_t newest_checkpoint_step; /* in which it was triggered */
    uint32_t restart_count;
};

struct sim_task_manager {
    bool is_alive;
    uint64_t generation;
    int64_t frozen_until_ms; /* SIGSTOP: nothing is processed before */
    struct id128 incarnation;
    struct control *control;
    struct control_output output;
    struct sim_task **tasks;
    size_t task_count;
    size_t task_capacity;
};

struct sim_link {
    uint64_t id;
    uint32_t task_manager;
    uint64_t task_manager_generation;
    uint64_t control_connection;
    uint64_t core_generation;
    bool is_open_at_core;
    bool is_open_at_control;
    int64_t to_core_ms; /* delivery keeps the order of each direction */
    int64_t to_control_ms;
    int64_t held_until_ms; /* partitioned */
};

struct sim {
    uint64_t seed;
    struct random random;
    enum sim_plant plant;
    bool trace;
    int64_t now_ms;
    uint64_t next_sequence;
    struct sim_event *heap;
    size_t heap_count;
    size_t heap_capacity;
    uint64_t trace_hash; /* of everything that the machines did */

    bool core_alive;
    uint64_t core_generation;
    struct core *core;
    struct core_output core_output;
    uint64_t leader_epoch;
    struct sim_store job_store;
    struct sim_store checkpoints;
    struct { /* per lane: requests keep their order */
        uint64_t lane;
        int64_t last_ms;
    } lanes[64];
    size_t lane_count;

    struct sim_task_manager task_managers[SIM_TASK_MANAGER_MAX];
    uint32_t task_manager_count;
    struct sim_link *links;
    size_t link_count;
    size_t link_capacity;
    struct sim_channel **channels;
    size_t channel_count;
    size_t channel_capacity;

    struct sim_job jobs[SIM_JOB_MAX];
    uint32_t job_count;
    bool is_done; /* all have ended */

    /* faults */
    int64_t faults_until_ms;
    uint32_t storage_fail_percent;
    uint32_t drop_permille;
    uint32_t duplicate_permille;
    uint32_t crash_permille; /* of the JobManager between two actions */
    uint32_t slow_ms;
    uint32_t hang_permille; /* a task that is canceled takes up to 25 s to end */

    uint64_t step;           /* of the core */
    uint64_t newest_attempt; /* ever deployed */
    uint64_t violation_count;
    char violation[SIM_VIOLATION_MAX];
    uint64_t completed_count;
};

void sim_violate(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct sim_event *sim_schedule(struct sim *sim, int64_t delay_ms, enum sim_event_kind kind,
                               uint64_t number, uint64_t generation);
bool sim_has_faults(const struct sim *sim);
uint64_t sim_below(struct sim *sim, uint64_t bound);
bool sim_chance(struct sim *sim, uint32_t permille);

/* sim_core.c: the JobManager's side */
void sim_core_start(struct sim *sim);
void sim_core_kill(struct sim *sim);
void sim_core_step(struct sim *sim, struct core_event *event);
void sim_core_on_storage(struct sim *sim, struct sim_event *event);
void sim_core_on_discover(struct sim *sim, const struct sim_event *event);
void sim_core_submit(struct sim *sim, uint32_t index);

/* sim_checks.c */
void sim_check_sent(struct sim *sim, const struct message *message);
void sim_check_retained(struct sim *sim, const char *when);
/* The newest checkpoint that the store names of the job; 0: none. */
uint64_t sim_newest_retained(struct sim *sim, const struct sim_job *job);
/* Has every job ended as it may? Then sim->is_done. */
void sim_check_end(struct sim *sim);

/* sim_network.c: links and the TaskManagers' side */
void sim_task_manager_start(struct sim *sim, uint32_t index);
void sim_task_manager_kill(struct sim *sim, uint32_t index);
void sim_control_step(struct sim *sim, uint32_t index, struct control_event *event);
void sim_send(struct sim *sim, struct sim_link *link, bool to_core, const struct message *message);
void sim_break_link(struct sim *sim, struct sim_link *link, bool tell_core, bool tell_control);
struct sim_link *sim_link_of(struct sim *sim, uint64_t id);
void sim_network_on(struct sim *sim, struct sim_event *event);

/* sim_task.c: a model of tasks */
void sim_task_deploy(struct sim *sim, uint32_t index, struct control_action *action);
void sim_task_command(struct sim *sim, uint32_t index, struct control_action *action);
void sim_tasks_turn(struct sim *sim, uint32_t index);
void sim_task_on_sent(struct sim *sim, struct sim_event *event);
void sim_task_fail_one(struct sim *sim, uint32_t index);
void sim_tasks_done(struct sim_task_manager *task_manager);

/* sim_job.c */
/* Draws the jobs of a seed. */
void sim_choose_jobs(struct sim *sim);
struct sim_job *sim_find_job(struct sim *sim, struct job_id id);
struct job_graph *sim_graph(const struct sim_job *job);
/* What a record at that position of "split-<n>" adds, and to which key: the same functions make the
 * input and the expectation. */
uint32_t sim_key_at(const char *split, uint32_t position);
int64_t sim_amount_at(const char *split, uint32_t position);

#endif
