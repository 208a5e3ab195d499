/*
 * The contracts of sources, sinks and formats.
 *
 * A source has two halves. The enumerator runs in the JobManager, off its event loop: it finds
 * splits (a part of a file, a partition); the core hands them out. The reader runs in a task and
 * turns splits into batches. A sink has one half, the writer, in a task; commits follow completed
 * checkpoints. A format turns bytes into rows and back and knows no connector.
 *
 * Threads, output, ownership, replay and NULL hooks: as operator.h. What may block (files, client
 * libraries) goes through env->ops->run_blocking or the connector's own threads.
 */
#ifndef COMMON_API_CONNECTOR_H
#define COMMON_API_CONNECTOR_H

#include "common/api/operator.h"
#include "common/config/option.h"
#include "common/data/batch_builder.h"

#define SPLIT_ID_BYTES_MAX    4096
#define SPLIT_STATE_BYTES_MAX 65536

/* ---- formats ---- */

/* A record that could not be decoded. */
struct decode_error {
    uint32_t offset;   /* of the record in the buffer */
    uint32_t size;     /* bytes of the record that are known */
    char message[400]; /* "column 2 \"count\": expected BIGINT, got \"x1\"" */
};

enum decode {
    DECODE_DONE,  /* everything complete was decoded: more bytes are needed          */
    DECODE_FULL,  /* the builder is full: take the batch and call again              */
    DECODE_ERROR, /* ret_error describes one record, which has been consumed         */
};

struct format;

struct decoder_ops {
    size_t instance_size;
    /* options: settings with the prefix "format."; schema: physical columns in order. */
    enum status (*open)(void *self, const struct operator_spec *spec, const struct schema *schema,
                        struct error *err);
    /* Decodes complete records of buffer->bytes[offset, offset + size) into out and says how many
     * bytes that took. is_end: no byte follows, so the last record may lack its terminator; a
     * single message (Kafka) is passed with is_end. Rows may share the buffer. */
    enum decode (*decode)(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                          bool is_end, struct batch_builder *out, uint32_t *ret_consumed,
                          struct decode_error *ret_error);
    void (*close)(void *self);
    /* Bytes of another stream follow: from its beginning (where a header may be), or from behind
     * one of its records. Not called for single messages. [nothing] */
    void (*start)(void *self, bool at_beginning);
    /* One message that is one record, whatever bytes it holds: for formats that would cut it at
     * line ends. [decode with is_end] */
    enum decode (*decode_message)(void *self, struct buffer *buffer, uint32_t offset, uint32_t size,
                                  struct batch_builder *out, struct decode_error *ret_error);
};

struct encoder_ops {
    size_t instance_size;
    enum status (*open)(void *self, const struct operator_spec *spec, const struct schema *schema,
                        struct error *err);
    /* Appends one row, with its terminator where the format is a stream of lines. A row that the
     * format cannot express gives STATUS_RECORD. */
    enum status (*encode)(void *self, const struct batch *batch, uint32_t row, struct text *out,
                          struct error *err);
    void (*close)(void *self);
};

struct format {
    uint32_t abi_size;
    const char *name; /* "raw", "csv", "json" */
    const char *help; /* one sentence */
    const struct option_spec *options;
    const char *file_extension; /* "csv", "json", "txt" */
    struct decoder_ops decoder; /* open == NULL: cannot be read */
    struct encoder_ops encoder; /* open == NULL: cannot be written */
    /* Which schemas it can express, checked at submit. [all] */
    enum status (*check_schema)(const struct schema *schema, bool is_source, struct error *err);
    /* The encoder ends each row with a newline, which a message of its own does not have. */
    bool ends_rows_with_newline;
    /* Its records have no end that a stream of bytes would show: one needs a message of its own. */
    bool needs_messages;
    /* As check_schema, where the settings say more; called instead of it. */
    enum status (*check_settings)(const struct operator_spec *spec, const struct schema *schema,
                                  bool is_source, struct error *err);
};

/* ---- sources ---- */

/* An opaque unit of reading. Owned by whoever holds the list; both parts are copied when passed. */
struct split {
    char *id;    /* stable across restarts and attempts: "/data/in.txt:0-268435456" */
    char *state; /* where to start reading; written by the enumerator, later by the reader */
    size_t state_size;
};

struct split_list {
    struct split *splits;
    size_t count;
    size_t capacity;
};

void split_list_add(struct split_list *list, const char *id, const void *state, size_t state_size);
void split_list_done(struct split_list *list);

struct enumerator_ops {
    size_t instance_size;
    enum status (*open)(void *self, const struct operator_spec *spec, struct error *err);
    /* All splits that exist now; the core ignores ids it has seen before. *ret_is_last: no later
     * call can find more (bounded). On a pooled thread, may block. A source that is not there yet
     * gives STATUS_UNAVAILABLE or STATUS_NOT_FOUND: it is tried again and shown as waited for. */
    enum status (*discover)(void *self, struct split_list *ret_found, bool *ret_is_last,
                            struct error *err);
    /* Milliseconds between two calls of discover while not the last. */
    int64_t (*interval_ms)(const void *self);
    void (*close)(void *self);
    /* Once, after open, if an earlier enumerator has found splits of which a checkpoint knows.
     * [nothing] */
    void (*resume)(void *self);
};

enum poll {
    POLL_BATCH, /* *ret_batch is a batch (owned by the caller): poll again soon */
    /* Nothing now: env->ops->wake will be called when there may be, and next_wake_us says from when
     * on poll is to be called without a wake. */
    POLL_IDLE,
    /* All given splits are read: ask for more. A reader of many splits at once says so also after
     * each call of add_splits, and wakes the task. */
    POLL_NEED_SPLITS,
    POLL_FAILED, /* err says why */
    POLL_AGAIN,  /* the turn is over, or an error row found no room: poll again later */
};

/* What a reader knows of one of its splits: whether its silence means that there is nothing. */
enum split_status {
    SPLIT_HAS_MORE,    /* unread input is known                                                */
    SPLIT_AT_END,      /* all there is has been returned by poll; more may come                */
    SPLIT_UNREACHABLE, /* what holds it has not answered (yet): nothing can be said            */
    SPLIT_FINISHED,    /* everything has been returned by poll, nothing will come              */
    SPLIT_UNKNOWN,     /* the connector can never know (a socket): silence has to count        */
};

/* Splits have numbers: the one that add_splits is given first has 0, the next 1, and so on, over
 * all calls. A batch holds rows of one split, whose number is in its origin. */
struct reader_ops {
    size_t instance_size;
    enum status (*open)(void *self, struct operator_env *env, const struct format *format,
                        struct error *err);
    /* Takes splits to read, new ones and restored ones. */
    enum status (*add_splits)(void *self, const struct split_list *splits, struct error *err);
    /* At most one batch. Bad records go through env->ops->row_error with out. */
    enum poll (*poll)(void *self, struct emitter *out, struct batch **ret_batch, struct error *err);
    /* State of every split not yet finished, exactly behind the last batch that poll returned. */
    enum status (*snapshot)(void *self, struct split_list *ret_splits, struct error *err);
    /* A good moment to commit positions outside; losing this call is harmless. [nothing] */
    void (*checkpoint_completed)(void *self, struct checkpoint_id id);
    void (*close)(void *self);
    /* After POLL_IDLE: the time (clock_now_us of env->clock) at which to poll again even if nobody
     * woke the task; INT64_MAX: only a wake. Readers that pace themselves need it. [INT64_MAX] */
    int64_t (*next_wake_us)(const void *self);
    /* What is known of the split with that number, which add_splits has been given; must be cheap.
     * A change that comes without a batch is told by env->ops->wake. [SPLIT_UNKNOWN] */
    enum split_status (*split_status)(const void *self, uint32_t split);
    /* No batch of the split until it is called with false: other splits are far behind in time.
     * Splits start unpaused; snapshots of paused ones are taken as always. [the task stops calling
     * poll while all splits that are not finished should pause] */
    void (*pause_split)(void *self, uint32_t split, bool is_paused);
    /* How many records the split that is farthest behind its end has not read, as last heard; must
     * be cheap. [not known, not shown] */
    uint64_t (*records_lag_max)(const void *self);
};

/* What a source can say of each row beside the format's columns, for a column declared as
 * `at: bigint metadata from 'file.offset'`. The reader finds "metadata.<column>": key in its spec
 * (connectors/metadata.h). */
struct source_metadata {
    const char *key; /* "file.offset"; NULL ends a table */
    /* As in a schema: "BIGINT"; a declared type must be the same, NOT NULL aside. Several that the
     * source can give are separated by '|' without spaces. */
    const char *type;
    const char *help;
};

struct source_connector {
    uint32_t abi_size;
    const char *name; /* "file" */
    const char *help;
    const struct option_spec *options; /* settings with the prefix "connector." */
    bool is_replayable;                /* false: at most once from here on */
    bool needs_format;
    bool makes_splits; /* true: add_splits with one pseudo split per subtask, no discovery */
    /* Does this configuration end by itself? */
    bool (*is_bounded)(const struct operator_spec *spec);
    /* The schema of a source that knows its own; NULL: the job declares it. */
    const struct schema *(*schema)(const struct operator_spec *spec);
    struct enumerator_ops enumerator;
    struct reader_ops reader;
    const struct source_metadata *metadata; /* NULL: none */
    bool idles_by_silence;                  /* split_status may be SPLIT_UNKNOWN: plans say so */
    /* What settings and schema show to be wrong, beyond the single options. At submit. [nothing] */
    enum status (*check)(const struct operator_spec *spec, struct error *err);
    /* What is wrong outside at this moment (no broker, no topic), tried for about 2 s at submit:
     * a warning there. May block. [nothing] */
    enum status (*probe)(const struct operator_spec *spec, struct error *err);
    /* Splits do not end by themselves: they are spread evenly over the readers instead of going
     * to whoever asks first. */
    bool spreads_splits;
    bool gives_messages; /* records are messages of their own, not parts of a stream */
};

/* ---- sinks ---- */

struct sink_writer_ops {
    size_t instance_size;
    enum status (*open)(void *self, struct operator_env *env, const struct format *format,
                        struct error *err);
    /* Finishes or discards what earlier attempts left, before the first write: `pending` is what
     * the restored checkpoint holds; none after a start without one. [nothing to do] */
    enum step (*recover)(void *self, const struct snapshot_reader *pending, struct error *err);
    /* Consumes a batch; the same one again after STEP_AGAIN or STEP_WAIT. */
    enum step (*write)(void *self, struct batch *in, struct emitter *out, struct error *err);
    /* Pushes out what has waited for more. [nothing] */
    enum step (*flush)(void *self, struct error *err);
    /* Everything written so far becomes durable, though not yet visible. [nothing] */
    enum step (*before_barrier)(void *self, struct error *err);
    /* Names what the checkpoint's completion will commit. [nothing] */
    enum status (*snapshot)(void *self, struct checkpoint_id id, struct snapshot_writer *writer,
                            struct error *err);
    /* Commits everything up to id; idempotent; may take its time (STEP_WAIT). [nothing] */
    enum step (*checkpoint_completed)(void *self, struct checkpoint_id id, struct error *err);
    /* Input has ended. [nothing] */
    enum step (*finish)(void *self, struct error *err);
    void (*close)(void *self);
};

enum guarantee { GUARANTEE_AT_LEAST_ONCE, GUARANTEE_IDEMPOTENT, GUARANTEE_EXACTLY_ONCE };

struct sink_connector {
    uint32_t abi_size;
    const char *name;
    const char *help;
    const struct option_spec *options;
    bool needs_format;
    bool takes_changes; /* rows of other kinds than +I */
    enum guarantee guarantee;
    struct sink_writer_ops writer;
    /* At submit: the columns of its input that the format writes, a new reference; or NULL, and err
     * says what settings and columns show to be wrong. [all columns] */
    struct schema *(*written_schema)(const struct operator_spec *spec, const struct schema *rows,
                                     struct error *err);
    /* Where takes_changes and guarantee depend on the settings. [they do not] */
    bool (*takes_changes_with)(const struct operator_spec *spec);
    enum guarantee (*guarantee_with)(const struct operator_spec *spec);
    /* As that of a source. */
    enum status (*probe)(const struct operator_spec *spec, struct error *err);
    bool takes_messages; /* a row is a message of its own, not a part of a stream */
};

bool sink_takes_changes(const struct sink_connector *sink, const struct operator_spec *spec);
enum guarantee sink_guarantee(const struct sink_connector *sink, const struct operator_spec *spec);

/* ---- the lists (connectors/registry.c) are passed in by whoever links them ---- */

struct connector_registry {
    const struct source_connector *const *sources; /* ends in NULL */
    const struct sink_connector *const *sinks;     /* ends in NULL */
    const struct format *const *formats;           /* ends in NULL */
};

const struct source_connector *source_connector_find(const struct connector_registry *registry,
                                                     const char *name);
const struct sink_connector *sink_connector_find(const struct connector_registry *registry,
                                                 const char *name);
const struct format *format_find(const struct connector_registry *registry, const char *name);

#endif
