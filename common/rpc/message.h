/*
 * The control messages between JobManager and TaskManagers, as plain structs.
 *
 * A TaskManager dials; both sides number their messages on a connection from 1 on. A receiver takes
 * them in that order: a number seen before is a duplicate and dropped, a gap breaks the connection.
 * Every message names its sender's incarnation and the leader epoch under which it was written;
 * message_session_check is the one place that refuses what is stale, before anything is dispatched.
 *
 * Every message is bytes on the wire by message_codec.h only. A message owns what it points to.
 */
#ifndef COMMON_RPC_MESSAGE_H
#define COMMON_RPC_MESSAGE_H

#include "common/base/ids.h"
#include "common/base/late_counters.h"
#include "common/base/scoped.h"
#include "common/graph/deployment.h"
#include "common/graph/source_split.h"
#include "common/graph/task_state.h"

#define RPC_PROTOCOL_MAJOR 1
#define RPC_PROTOCOL_MINOR 0

enum message_kind {
    MESSAGE_NONE,
    /* TaskManager to JobManager */
    MESSAGE_REGISTER,
    MESSAGE_HEARTBEAT,
    MESSAGE_TASK_UPDATE,
    MESSAGE_ACKNOWLEDGE,
    MESSAGE_DECLINE,
    MESSAGE_DRAINED,
    MESSAGE_WANT_SPLITS,
    /* JobManager to TaskManager */
    MESSAGE_REGISTERED,
    MESSAGE_REFUSED,
    MESSAGE_HEARTBEAT_REPLY,
    MESSAGE_DEPLOY,
    MESSAGE_CANCEL,
    MESSAGE_TRIGGER,
    MESSAGE_ABORT,
    MESSAGE_COMPLETED,
    MESSAGE_SPLITS,
    MESSAGE_FINISH,
    MESSAGE_KIND_COUNT,
};

/* Flink's execution states. CREATED and SCHEDULED exist only in the JobManager. */
enum task_status {
    TASK_CREATED,
    TASK_SCHEDULED,
    TASK_DEPLOYING,
    TASK_INITIALIZING, /* restoring */
    TASK_RUNNING,
    TASK_FINISHED,
    TASK_CANCELING,
    TASK_CANCELED,
    TASK_FAILED,
    TASK_STATUS_COUNT,
};

/* Why a task failed. */
struct task_failure {
    enum status code; /* its retry class decides */
    char *message;    /* outermost context first; NULL: none */
    char *record;     /* what identifies the record that failed: "lines /in/a.txt:123"; NULL */
    struct id128 lost_peer; /* incarnation of the TaskManager whose exchange broke; none */
};

void task_failure_done(struct task_failure *failure);
void task_failure_copy(struct task_failure *to, const struct task_failure *from);

/* Longer chains report their first operators only. */
#define TASK_METRICS_OPERATOR_MAX 24

/* Counters of one attempt since its start. */
struct task_metrics {
    struct job_id job;
    struct attempt_id attempt;
    uint64_t records_in;
    uint64_t records_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t busy_ms;
    uint64_t idle_ms;
    uint64_t back_pressured_ms;
    uint64_t late_records;                    /* came after their windows */
    uint64_t late_buckets[LATE_BUCKET_COUNT]; /* of them, by how late */
    uint64_t error_records;                   /* skipped or dead-lettered */
    uint64_t state_bytes;
    uint64_t state_keys;
    int64_t watermark_ms; /* INT64_MIN: none yet; INT64_MAX: its input has ended */
    bool is_time_idle;    /* it does not hold event time back */
    /* Of the operators of the chain, in the order of job_vertex.operators. */
    uint32_t operator_count;
    uint64_t operator_records_in[TASK_METRICS_OPERATOR_MAX];
    uint64_t operator_records_out[TASK_METRICS_OPERATOR_MAX];
    uint64_t records_lag_max; /* of a source that knows how far it is behind: has_lag */
    bool has_lag;
    char *waits_for; /* "/in/a.txt: No such file or directory"; NULL: nothing */
};

struct message_register {
    uint32_t protocol_major;
    uint32_t protocol_minor;
    char *version;    /* of the program */
    char *cluster_id; /* cluster.id of its configuration */
    char *name;       /* resource id: stable over restarts where configured */
    char *host;
    char *data_address; /* "host:port" of the exchange */
    uint32_t http_port; /* 0: none */
    uint32_t slot_count;
    uint32_t cpu_count; /* of its host */
    uint64_t memory_bytes;
    char *checkpoint_directory; /* as this TaskManager sees it */
    char *token;                /* what its token file holds; "" if it could not be read */
    char *token_error;          /* why; "" if it was read */
};

struct message_registered {
    int64_t heartbeat_interval_ms;
    int64_t heartbeat_timeout_ms;
};

struct message_refused {
    char *reason; /* for people: what differs and what to do */
};

struct message_heartbeat {
    uint64_t disk_free_bytes; /* of the working directory */
    uint64_t disk_total_bytes;
    uint64_t memory_used_bytes;
    struct task_metrics *tasks;
    size_t task_count;
    bool is_urgent; /* not sent: some task waits for the reply's limits */
};

struct message_task_update {
    enum task_status status;
    struct task_failure failure; /* of TASK_FAILED */
};

struct message_acknowledge {
    struct checkpoint_id checkpoint;
    struct task_state state;
};

struct message_decline {
    struct checkpoint_id checkpoint;
    char *reason;
};

struct message_want_splits {
    uint32_t operator_index;
};

/* Everything of one job that one TaskManager gets at one time. */
struct message_deploy {
    char *graph; /* encoded job graph */
    size_t graph_size;
    struct task_deployment *tasks;
    size_t task_count;
};

/* Of CANCEL, TRIGGER, ABORT, COMPLETED and FINISH: the attempts they are for. Of HEARTBEAT_REPLY:
 * aligned sources, and the event time beyond which each is to wait. */
struct attempt_list {
    struct attempt_id *attempts;
    size_t count;
    int64_t *limits_ms; /* of HEARTBEAT_REPLY, `count` of them; else NULL */
};

struct message_checkpoint {
    struct checkpoint_id checkpoint;
    struct checkpoint_id completed; /* newest complete: only its files may be referenced */
    bool is_final;                  /* no record will follow: every task is drained */
    char *reason;                   /* of an abort; NULL else */
};

struct message_splits {
    uint32_t operator_index;
    struct source_split_list splits;
    bool is_last; /* no more will come */
};

struct message {
    enum message_kind kind;
    uint64_t sequence;     /* on this connection, from 1 */
    uint64_t leader_epoch; /* of REGISTER: 0 */
    struct id128 sender;
    struct job_id job;           /* of messages about a job */
    struct attempt_id attempt;   /* of messages about one task */
    struct attempt_list targets; /* of messages to several tasks */
    union {
        struct message_register registration;
        struct message_registered registered;
        struct message_refused refused;
        struct message_heartbeat heartbeat;
        struct message_task_update task_update;
        struct message_acknowledge acknowledge;
        struct message_decline decline;
        struct message_want_splits want_splits;
        struct message_deploy deploy;
        struct message_checkpoint checkpoint; /* TRIGGER, ABORT, COMPLETED */
        struct message_splits splits;
    };
};

void message_done(struct message *message);
/* On the heap; zeroed but for the kind. */
struct message *message_create(enum message_kind kind)
    __attribute__((returns_nonnull, warn_unused_result));
void message_destroy(struct message *message);
DEFINE_SCOPED(struct message, message_destroy)

const char *message_kind_name(enum message_kind kind); /* "REGISTER" */
const char *task_status_name(enum task_status status); /* "RUNNING" */
bool task_status_is_terminal(enum task_status status); /* FINISHED, CANCELED, FAILED */

/* ---- sessions ---- */

/* The receiving end of one connection. */
struct message_session {
    uint64_t last_sequence;
    uint64_t leader_epoch; /* what messages must carry; 0: any (before registration) */
    struct id128 peer;     /* who sends; none: the first message says */
    uint64_t duplicate_count;
    uint64_t stale_count;
};

enum session_verdict {
    SESSION_TAKE,
    SESSION_DROP,  /* duplicate or of another epoch: counted */
    SESSION_BREAK, /* a gap or another sender: the connection is of no use any more */
};

enum session_verdict message_session_check(struct message_session *session,
                                           const struct message *message);

#endif
