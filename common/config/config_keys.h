/*
 * Every key of the configuration, in one table: parsing, defaults, docs/configuration.md,
 * conf/millstream.yaml and "did you mean" come from it. Flink's names where they mean the same; the
 * second name is an older name of Flink's that is accepted too.
 *
 * X(SYMBOL, name, alias, TYPE, default, choices, min, max, SCOPE, flags, help)
 * SCOPE: CLUSTER keys belong to the daemons and are an error in a job; JOB keys may stand in a job,
 * and in the cluster's configuration as the default of all jobs.
 */
#ifndef COMMON_CONFIG_CONFIG_KEYS_H
#define COMMON_CONFIG_CONFIG_KEYS_H

#define CONFIG_PORT_MAX 65535
#define CONFIG_GIB      (INT64_C(1) << 30)
#define CONFIG_DAY_MS   INT64_C(86400000)

/* ---- addresses and ports ---- */
#define CONFIG_KEYS_NETWORK(X)                                                                     \
    X(JOBMANAGER_RPC_ADDRESS, "jobmanager.rpc.address", NULL, STRING, "localhost", NULL, 0, 0,     \
      CLUSTER, 0, "Host name or address at which TaskManagers find the JobManager.")               \
    X(JOBMANAGER_RPC_PORT, "jobmanager.rpc.port", NULL, INT, "6123", NULL, 0, CONFIG_PORT_MAX,     \
      CLUSTER, 0, "Port of the JobManager for TaskManagers; 0 takes any free port.")               \
    X(JOBMANAGER_BIND_HOST, "jobmanager.bind-host", NULL, STRING, "127.0.0.1", NULL, 0, 0,         \
      CLUSTER, 0,                                                                                  \
      "Address on which the JobManager listens for TaskManagers; 0.0.0.0 is every interface.")     \
    X(REST_ADDRESS, "rest.address", NULL, STRING, NULL, NULL, 0, 0, CLUSTER, 0,                    \
      "Host name or address at which clients find the REST interface; without it "                 \
      "jobmanager.rpc.address.")                                                                   \
    X(REST_PORT, "rest.port", "jobmanager.web.port", INT, "8081", NULL, 0, CONFIG_PORT_MAX,        \
      CLUSTER, 0, "Port of the REST interface and the dashboard; 0 takes any free port.")          \
    X(REST_BIND_ADDRESS, "rest.bind-address", NULL, STRING, "127.0.0.1", NULL, 0, 0, CLUSTER, 0,   \
      "Address on which the REST interface listens; 0.0.0.0 is every interface.")                  \
    X(TASKMANAGER_HOST, "taskmanager.host", NULL, STRING, NULL, NULL, 0, 0, CLUSTER, 0,            \
      "Address that a TaskManager announces to the others; without it the local address of its "   \
      "connection to the JobManager.")                                                             \
    X(TASKMANAGER_BIND_HOST, "taskmanager.bind-host", NULL, STRING, "127.0.0.1", NULL, 0, 0,       \
      CLUSTER, 0, "Address on which a TaskManager listens; 0.0.0.0 is every interface.")           \
    X(TASKMANAGER_DATA_PORT, "taskmanager.data.port", NULL, INT, "0", NULL, 0, CONFIG_PORT_MAX,    \
      CLUSTER, 0, "Port for data from other TaskManagers; 0 takes any free port.")                 \
    X(TASKMANAGER_HTTP_PORT, "taskmanager.http.port", NULL, INT, "9249", NULL, 0, CONFIG_PORT_MAX, \
      CLUSTER, 0,                                                                                  \
      "Port of /health, /ready and /metrics of a TaskManager; if taken, the next free one up to "  \
      "100 above; 0 takes any free port.")                                                         \
    X(TASKMANAGER_ID, "taskmanager.resource-id", NULL, STRING, NULL, NULL, 0, 0, CLUSTER, 0,       \
      "Name of the TaskManager in logs and lists; without it host and port.")                      \
    X(SECURITY_INSECURE, "security.insecure", NULL, BOOL, "false", NULL, 0, 0, CLUSTER, 0,         \
      "Allows listening beyond this machine without TLS and token: only in a trusted network.")    \
    X(SECRETS_DIR, "security.secrets.dir", NULL, STRING, "/run/secrets", NULL, 0, 0, CLUSTER, 0,   \
      "Directory with one file per ${secret:NAME}; the environment variable "                      \
      "MILLSTREAM_SECRET_NAME stands in for a file.")                                              \
    X(CLUSTER_ID, "cluster.id", "high-availability.cluster-id", STRING, "default", NULL, 0, 0,     \
      CLUSTER, 0, "Name of the cluster: TaskManagers of another one are refused.")

/* ---- processes: memory, slots, directories, log ---- */
#define CONFIG_KEYS_PROCESS(X)                                                                     \
    X(TASKMANAGER_SLOTS, "taskmanager.numberOfTaskSlots", NULL, INT, "1", NULL, 1, 1024, CLUSTER,  \
      0, "Slots of a TaskManager: one worker thread each.")                                        \
    X(TASKMANAGER_MEMORY, "taskmanager.memory.process.size", "taskmanager.memory.flink.size",      \
      SIZE, NULL, NULL, INT64_C(67108864), 1024 * CONFIG_GIB, CLUSTER, 0,                          \
      "Memory of a TaskManager; without it the limit of its cgroup, else 512m.")                   \
    X(MEMORY_EXCHANGE, "taskmanager.memory.exchange.fraction",                                     \
      "taskmanager.memory.network.fraction", DOUBLE, "0.2", NULL, 0, 1, CLUSTER, 0,                \
      "Part of the TaskManager's memory for data between tasks.")                                  \
    X(MEMORY_STATE_CACHE, "taskmanager.memory.state-cache.fraction",                               \
      "taskmanager.memory.managed.fraction", DOUBLE, "0.3", NULL, 0, 1, CLUSTER, 0,                \
      "Part of the TaskManager's memory for keyed state that is in use.")                          \
    X(MEMORY_STATE_CACHE_SIZE, "taskmanager.memory.state-cache.size", NULL, SIZE, NULL, NULL, 1,   \
      1024 * CONFIG_GIB, CLUSTER, 0,                                                               \
      "Memory for keyed state that is in use, in place of the fraction.")                          \
    X(MEMORY_WRITE_QUEUE, "taskmanager.memory.write-queue.fraction", NULL, DOUBLE, "0.1", NULL, 0, \
      1, CLUSTER, 0, "Part of the TaskManager's memory for state on its way to the database.")     \
    X(MEMORY_ROCKSDB, "taskmanager.memory.rocksdb.fraction", NULL, DOUBLE, "0.15", NULL, 0, 1,     \
      CLUSTER, 0, "Part of the TaskManager's memory for RocksDB's block cache and tables.")        \
    X(WORKING_DIR, "process.working-dir", NULL, STRING, NULL, NULL, 0, 0, CLUSTER, 0,              \
      "Directory of the processes' own data; without it /var/lib/millstream if that can be "       \
      "written, else ~/.local/state/millstream.")                                                  \
    X(JOB_STORE_CAPACITY, "jobstore.max-capacity", NULL, INT, "100", NULL, 1, 100000, CLUSTER, 0,  \
      "Ended jobs that are remembered, the newest ones.")                                          \
    X(JOB_STORE_EXPIRATION, "jobstore.expiration-time", NULL, DURATION, "7 d", NULL, 1000,         \
      3650 * CONFIG_DAY_MS, CLUSTER, 0, "How long ended jobs are remembered.")                     \
    X(TMP_DIRS, "io.tmp.dirs", "taskmanager.tmp.dirs", LIST, NULL, NULL, 0, 0, CLUSTER, 0,         \
      "Directories for a TaskManager's local state, of which it takes the one with the most "      \
      "free space; without it process.working-dir.")                                               \
    X(LOG_LEVEL, "log.level", NULL, ENUM, "info", config_log_levels, 0, 0, CLUSTER, 0,             \
      "What is logged: debug, info, warn or error and above.")                                     \
    X(LOG_FORMAT, "log.format", NULL, ENUM, "text", config_log_formats, 0, 0, CLUSTER, 0,          \
      "Form of a log line: text or json.")

/* ---- coordination ---- */
#define CONFIG_KEYS_COORDINATION(X)                                                                \
    X(HEARTBEAT_INTERVAL, "heartbeat.interval", NULL, DURATION, "1s", NULL, 10, 3600000, CLUSTER,  \
      0, "Time between two heartbeats of JobManager and TaskManager.")                             \
    X(HEARTBEAT_TIMEOUT, "heartbeat.timeout", NULL, DURATION, "5s", NULL, 20, 3600000, CLUSTER, 0, \
      "Silence after which the other side is taken for lost.")                                     \
    X(HIGH_AVAILABILITY, "high-availability.type", "high-availability", ENUM, "directory",         \
      config_ha_types, 0, 0, CLUSTER, 0, "Where jobs survive the JobManager: directory, or none.") \
    X(HIGH_AVAILABILITY_DIR, "high-availability.storageDir", NULL, STRING, NULL, NULL, 0, 0,       \
      CLUSTER, 0, "Directory of the job store; without it ha/ in process.working-dir.")

/* ---- what a job may set ---- */
#define CONFIG_KEYS_JOB(X)                                                                         \
    X(PARALLELISM, "parallelism.default", NULL, INT, "1", NULL, 1, 1024, JOB, 0,                   \
      "Parallelism of jobs that name none.")                                                       \
    X(MAX_PARALLELISM, "pipeline.max-parallelism", NULL, INT, "128", NULL, 1, 32768, JOB, 0,       \
      "Number of key groups, the highest parallelism a job can ever have; fixed at its first "     \
      "start.")                                                                                    \
    X(MAX_RECORD_SIZE, "pipeline.max-record-size", NULL, SIZE, "16m", NULL, 1024, CONFIG_GIB, JOB, \
      0, "Longest record; what is longer goes to on_error.")                                       \
    X(OPERATOR_CHAINING, "pipeline.operator-chaining.enabled", "pipeline.operator-chaining", BOOL, \
      "true", NULL, 0, 0, JOB, 0, "Whether neighbouring operators share a task.")                  \
    X(AUTO_WATERMARK_INTERVAL, "pipeline.auto-watermark-interval", NULL, DURATION, "200ms", NULL,  \
      0, 3600000, JOB, 0, "Least time between two watermarks of a source; 0: after every batch.")  \
    X(BUFFER_TIMEOUT, "execution.buffer-timeout.interval", "execution.buffer-timeout", DURATION,   \
      "10ms", NULL, 0, 60000, JOB, 0, "How long a batch that is not full may wait.")               \
    X(CHECKPOINT_INTERVAL, "execution.checkpointing.interval", NULL, DURATION, "10s", NULL, 0,     \
      CONFIG_DAY_MS, JOB, 0, "Time between two checkpoints; 0 turns them off.")                    \
    X(CHECKPOINT_TIMEOUT, "execution.checkpointing.timeout", NULL, DURATION, "10m", NULL, 10,      \
      CONFIG_DAY_MS, JOB, 0, "A checkpoint that takes longer is given up.")                        \
    X(CHECKPOINT_MIN_PAUSE, "execution.checkpointing.min-pause", NULL, DURATION, "0ms", NULL, 0,   \
      CONFIG_DAY_MS, JOB, 0, "Least time from the end of a checkpoint to the next one.")           \
    X(CHECKPOINT_DIR, "execution.checkpointing.dir", "state.checkpoints.dir", STRING, NULL, NULL,  \
      0, 0, JOB, 0,                                                                                \
      "Directory of checkpoints, shared by all processes; without it checkpoints/ in "             \
      "process.working-dir.")                                                                      \
    X(CHECKPOINTS_RETAINED, "execution.checkpointing.num-retained",                                \
      "state.checkpoints.num-retained", INT, "3", NULL, 1, 1000, JOB, 0,                           \
      "Completed checkpoints that are kept.")                                                      \
    X(CHECKPOINT_RETENTION, "execution.checkpointing.externalized-checkpoint-retention", NULL,     \
      ENUM, "RETAIN_ON_CANCELLATION", config_retentions, 0, 0, JOB, 0,                             \
      "What happens to the checkpoints of a job that is canceled.")                                \
    X(STATE_BACKEND, "state.backend.type", "state.backend", ENUM, "rocksdb", config_backends, 0,   \
      0, JOB, 0, "Where keyed state lives: rocksdb, or memory (hashmap is the same).")             \
    X(TIME_ZONE, "table.local-time-zone", NULL, STRING, "UTC", NULL, 0, 0, JOB, 0,                 \
      "Time zone of the session, for functions that show or read local time.")

/* ---- restart of failed jobs ---- */
#define CONFIG_KEYS_RESTART(X)                                                                     \
    X(RESTART_STRATEGY, "restart-strategy.type", "restart-strategy", ENUM, "exponential-delay",    \
      config_restart_strategies, 0, 0, JOB, 0,                                                     \
      "How a failed job is restarted: none, fixed-delay, exponential-delay or failure-rate.")      \
    X(FIXED_DELAY_ATTEMPTS, "restart-strategy.fixed-delay.attempts", NULL, INT, "1", NULL, 0,      \
      INT32_MAX, JOB, 0, "Restarts before the job is FAILED.")                                     \
    X(FIXED_DELAY, "restart-strategy.fixed-delay.delay", NULL, DURATION, "1s", NULL, 0,            \
      CONFIG_DAY_MS, JOB, 0, "Pause before a restart.")                                            \
    X(EXPONENTIAL_INITIAL, "restart-strategy.exponential-delay.initial-backoff", NULL, DURATION,   \
      "1s", NULL, 1, CONFIG_DAY_MS, JOB, 0, "Pause before the first restart.")                     \
    X(EXPONENTIAL_MAX, "restart-strategy.exponential-delay.max-backoff", NULL, DURATION, "1m",     \
      NULL, 1, CONFIG_DAY_MS, JOB, 0, "Longest pause before a restart.")                           \
    X(EXPONENTIAL_MULTIPLIER, "restart-strategy.exponential-delay.backoff-multiplier", NULL,       \
      DOUBLE, "1.5", NULL, 1, 100, JOB, 0, "Factor from one pause to the next.")                   \
    X(EXPONENTIAL_JITTER, "restart-strategy.exponential-delay.jitter-factor", NULL, DOUBLE, "0.1", \
      NULL, 0, 1, JOB, 0, "Random part of a pause.")                                               \
    X(EXPONENTIAL_RESET, "restart-strategy.exponential-delay.reset-backoff-threshold", NULL,       \
      DURATION, "1m", NULL, 1, CONFIG_DAY_MS, JOB, 0,                                              \
      "Time without failure, with two completed checkpoints, after which failures are forgotten.") \
    X(FAILURE_RATE, "restart-strategy.failure-rate.max-failures-per-interval", NULL, INT, "1",     \
      NULL, 1, INT32_MAX, JOB, 0, "Failures in the interval that are restarted.")                  \
    X(FAILURE_RATE_INTERVAL, "restart-strategy.failure-rate.failure-rate-interval", NULL,          \
      DURATION, "1m", NULL, 1, CONFIG_DAY_MS, JOB, 0, "Interval in which failures are counted.")   \
    X(FAILURE_RATE_DELAY, "restart-strategy.failure-rate.delay", NULL, DURATION, "1s", NULL, 0,    \
      CONFIG_DAY_MS, JOB, 0, "Pause before a restart.")

#define CONFIG_KEY_TABLE(X)                                                                        \
    CONFIG_KEYS_NETWORK(X)                                                                         \
    CONFIG_KEYS_PROCESS(X)                                                                         \
    CONFIG_KEYS_COORDINATION(X)                                                                    \
    CONFIG_KEYS_JOB(X)                                                                             \
    CONFIG_KEYS_RESTART(X)

#endif
