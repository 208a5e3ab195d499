/*
 * The JobManager's core: everything that decides, as one deterministic state machine.
 *
 * core_step takes one event and the time and appends what is to be done to the output; it never
 * blocks and touches no socket, file, thread or clock. Whoever wires it (the daemon, `run --local`,
 * the simulator) executes the actions in their order. The same seed and the same events give the
 * same actions, byte for byte: no container is iterated in address or hash order.
 *
 * One thread. Times: now_ms is monotonic, wall_ms is since 1970 (only shown and stored).
 *
 * Storage. Requests of one core are executed in order per `lane`; each is answered by exactly one
 * CORE_EVENT_STORAGE_DONE with its id. Any status but OK of a write means "result unknown": the
 * core writes the whole record again until one write succeeds, and acts only then. STATUS_FENCED
 * means that another JobManager owns the store: the core asks for the end of the process.
 */
#ifndef JOBMANAGER_CORE_CORE_H
#define JOBMANAGER_CORE_CORE_H

#include "common/base/log.h"
#include "common/graph/job_graph.h"
#include "common/rpc/message.h"
#include "jobmanager/core/job_options.h"

#define CORE_JOB_MAX          1000 /* not finished */
#define CORE_TASK_MANAGER_MAX 1000
#define CORE_NEVER            INT64_MAX

struct core_config {
    char *cluster_id;
    char *host;                 /* of this JobManager, for messages */
    char *version;              /* of the program */
    uint64_t leader_epoch;      /* raised and fsynced before the core starts; > 0 */
    struct id128 incarnation;   /* of this process */
    char *checkpoint_directory; /* as configured here */
    char *token;                /* what this JobManager wrote into its token file */
    int64_t heartbeat_interval_ms;
    int64_t heartbeat_timeout_ms;
    int64_t registration_timeout_ms; /* a connection that says nothing is closed after this */
    size_t ended_job_max;            /* remembered */
    int64_t ended_job_keep_ms;
};

/* Flink's defaults; the strings stay NULL. */
void core_config_init(struct core_config *config);

/* ---- events ---- */

enum core_event_kind {
    CORE_EVENT_START, /* once, first: asks for the stored jobs */
    CORE_EVENT_OPENED,
    CORE_EVENT_CLOSED,
    CORE_EVENT_MESSAGE,
    CORE_EVENT_TICK,
    CORE_EVENT_STORAGE_DONE,
    CORE_EVENT_SUBMIT,
    CORE_EVENT_CANCEL,
    CORE_EVENT_DISCOVERED,
};

/* An object read from a store. */
struct core_object {
    char *path;
    char *bytes;
    size_t size;
};

/* Everything in an event is borrowed but what says "taken". */
struct core_event {
    enum core_event_kind kind;
    uint64_t connection; /* OPENED, CLOSED, MESSAGE: chosen by the wiring, never used again */
    union {
        struct {
            const char *remote_host;
        } opened;
        struct {
            const char *reason;
        } closed;
        struct message *message; /* taken, decoded */
        struct {
            uint64_t request;
            enum status code;
            const char *message;               /* why, if code is not OK */
            const struct core_object *objects; /* of LOAD and READ */
            size_t object_count;
        } storage;
        struct {
            uint64_t token; /* of the reply */
            struct job_id job;
            struct job_graph *graph;      /* taken */
            const char *restore_path;     /* run --from-savepoint: for messages; NULL: none */
            const char *restore_metadata; /* content of its _metadata */
            size_t restore_metadata_size;
        } submit;
        struct {
            uint64_t token;
            struct job_id job;
        } cancel;
        struct {
            struct job_id job;
            uint32_t operator_index;
            uint64_t enumerator;             /* id from CORE_DISCOVER_START */
            enum status code;                /* not OK: shown as waited for, or fails the job */
            const char *message;             /* why */
            struct source_split_list splits; /* borrowed */
            bool is_last;                    /* bounded: no more will ever be found */
        } discovered;
    };
};

/* ---- actions ---- */

enum core_action_kind {
    CORE_SEND,
    CORE_CLOSE, /* answered by no event: the connection is forgotten */
    CORE_STORAGE,
    CORE_DISCOVER_START, /* open the enumerator, call discover now and every interval_ms */
    CORE_DISCOVER_STOP,
    CORE_REPLY,
    CORE_LOG,
    CORE_FATAL, /* end the process with this text */
};

enum storage_kind {
    STORAGE_LOAD,           /* job store: every object below path (recursively), sorted by path */
    STORAGE_PUT_RECORD,     /* job store: create or replace */
    STORAGE_REMOVE_RECORDS, /* job store: the directory path with everything below */
    STORAGE_READ_METADATA,  /* checkpoint storage: one object; done.objects[0] */
    STORAGE_PUT_METADATA,   /* checkpoint storage: create or replace */
    STORAGE_DELETE,         /* checkpoint storage: paths[]; a missing one is no error */
    STORAGE_DELETE_TREE,    /* checkpoint storage: directory path with everything below */
    /* Checkpoint storage: below the job's directory `path`, every file in chk-<n>/ with n <
     * checkpoint_below and in shared/<a>/ with a < attempt_below, but those in paths[]; an entry of
     * paths[] that ends in '/' keeps the whole directory. Empty directories go too. */
    STORAGE_SWEEP,
    STORAGE_COPY, /* checkpoint storage: paths[2i] to the new paths[2i + 1] */
};

/* Paths of checkpoint storage begin with the job's id. */
struct storage_request {
    enum storage_kind kind;
    uint64_t id;
    uint64_t lane; /* requests of one lane are executed in order, lanes may overtake each other */
    char *path;
    char *bytes;
    size_t size;
    char **paths;
    size_t path_count;
    uint64_t attempt_below;    /* SWEEP */
    uint64_t checkpoint_below; /* SWEEP */
};

enum reply_kind { REPLY_SUBMIT, REPLY_CANCEL };

struct core_action {
    enum core_action_kind kind;
    uint64_t connection; /* SEND, CLOSE */
    union {
        struct message *message; /* owned by the action */
        struct {
            char *reason;
        } close;
        struct storage_request storage;
        struct {
            struct job_id job;
            uint32_t operator_index;
            uint64_t enumerator;
            const struct operator_spec *spec; /* borrowed from a graph: copy it in this step */
            const struct job_graph *graph;    /* borrowed likewise */
            bool is_resumed;                  /* a checkpoint knows splits found before */
        } discover;
        struct {
            uint64_t token;
            enum reply_kind kind;
            struct job_id job;
            enum status code;
            char *message; /* why it was refused; NULL if OK */
        } reply;
        struct {
            enum log_level level;
            const char *event;
            char *job; /* id as text, or NULL */
            char *text;
        } log;
        struct {
            char *message;
        } fatal;
    };
};

struct core_output {
    struct core_action *actions;
    size_t count;
    size_t capacity;
    int64_t next_tick_ms; /* when the core wants CORE_EVENT_TICK at the latest; CORE_NEVER */
};

/* Releases the actions; the output can be used again. */
void core_output_clear(struct core_output *output);
void core_output_done(struct core_output *output);

/* ---- the machine ---- */

struct core;

/* Copies the configuration. seed: of jitter only; nothing else is random. */
struct core *core_create(const struct core_config *config, uint64_t seed)
    __attribute__((returns_nonnull, warn_unused_result));
void core_destroy(struct core *core);
DEFINE_SCOPED(struct core, core_destroy)

/* Appends to output. */
void core_step(struct core *core, const struct core_event *event, int64_t now_ms, int64_t wall_ms,
               struct core_output *output);

/* Is the stored work loaded and recovered as far as it needs no TaskManager? */
bool core_is_ready(const struct core *core);
/* And has the job store been written, so that submits are not refused? (/ready) */
bool core_takes_submits(const struct core *core);

/* The graph of a job, finished ones included; NULL: no such job. Borrowed until the next step. */
const struct job_graph *core_find_graph(const struct core *core, struct job_id job);

#endif
