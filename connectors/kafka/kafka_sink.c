/*
 * The sink "kafka": a record for each row, at least once, in order per key.
 *
 * A producer with idempotence; its messages never time out. The barrier waits until brokers have
 * confirmed all of them, so that a completed checkpoint covers nothing that could be lost. A record
 * that no broker will ever take (too large for the topic) is found before it is produced and goes
 * through on_error; a refusal that arrives later fails the task.
 *
 * Opening needs answers from brokers: a job on a thread of its own asks for them until it has them
 * (preparing). From then on the same thread serves the producer's events (serving).
 */
#include "connectors/background.h"
#include "connectors/connectors.h"
#include "connectors/kafka/kafka_error.h"
#include "connectors/kafka/kafka_record_encoder.h"
#include "connectors/kafka/kafka_target.h"

#include "common/base/allocate.h"
#include "common/base/log.h"

#include <stdatomic.h>
#include <time.h>

/* What a record adds to key and value in a batch of its own (batch header 61, record up to 21). */
#define RECORD_OVERHEAD_BYTES 128
#define BUFFER_BYTES_MIN      (UINT64_C(1) << 20)
#define RETRY_MS              500
#define SERVE_MS              200
#define REASON_BYTES          600

/* What the thread and the worker share. */
struct kafka_link {
    struct background *background;
    struct memory_account *account;
    uint64_t booked_bytes;
    struct kafka_sink_options options;
    struct kafka_client *client; /* first one that only asks, then the producer */
    struct kafka_client *asking; /* the first one, to be released off the worker */
    /* preparing; the worker reads them once the job has ended */
    enum status status;
    struct error err;
    struct kafka_target target;
    /* serving */
    _Atomic uint64_t outstanding; /* produced and neither confirmed nor refused */
    _Atomic uint64_t settled;     /* confirmed or refused since the thread last looked */
    _Atomic bool wants_wake;      /* the worker waits for outstanding to shrink */
    /* under background_lock */
    char reason[REASON_BYTES]; /* why nothing goes on; "" */
    bool has_failed;           /* err: a record was refused for good */
};

enum sink_phase { SINK_NEW, SINK_PREPARING, SINK_SERVING };

struct kafka_sink {
    struct operator_env *env;
    struct background *background;
    struct kafka_link *link; /* the background's memory */
    struct kafka_record_encoder encoder;
    rd_kafka_topic_t *topic;
    enum sink_phase phase;
    uint32_t next_row;        /* of the batch being written */
    bool is_started;          /* the encoder knows the batch being written */
    uint32_t next_partition;  /* round robin */
    char shown[REASON_BYTES]; /* what waits_for was told; "" */
};

/* ---- the thread ---- */

static void link_done(void *memory)
{
    struct kafka_link *link = memory;
    kafka_client_destroy(link->client);
    kafka_client_destroy(link->asking);
    memory_release(link->account, link->booked_bytes);
    kafka_sink_options_done(&link->options);
}

static void set_reason(struct kafka_link *link, const char *reason)
{
    background_lock(link->background);
    const bool is_new = strcmp(link->reason, reason) != 0;
    if (is_new)
        (void)snprintf(link->reason, sizeof(link->reason), "%s", reason);
    background_unlock(link->background);
    if (is_new)
        background_wake(link->background);
}

static void prepare_run(void *memory)
{
    struct kafka_link *link = memory;
    struct error err;
    while (!background_is_closing(link->background)) {
        link->status = kafka_target_find(link->client, &link->options, true, KAFKA_REQUEST_MS,
                                         &link->target, &err);
        if (link->status == STATUS_OK || link->status == STATUS_INVALID)
            break;
        set_reason(link, err.message);
        const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    if (link->status != STATUS_OK)
        link->err = err;
    else if (kafka_target_weakness(&link->target) != NULL)
        log_event(LOG_WARN, "kafka_sink", "topic", link->options.topic, "weakness",
                  kafka_target_weakness(&link->target), NULL);
    set_reason(link, "");
}

static void on_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)opaque;
    struct kafka_link *link = message->_private;
    atomic_fetch_sub_explicit(&link->outstanding, 1, memory_order_acq_rel);
    atomic_fetch_add_explicit(&link->settled, 1, memory_order_acq_rel);
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    background_lock(link->background);
    if (!link->has_failed) {
        SCOPED_TEXT char *what = format_text("write to topic \"%s\", a record of %zu bytes",
                                             link->options.topic, message->len + message->key_len);
        /* After a fatal error all that waits is purged: the first reason says more. */
        char reason[400];
        const rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(handle, reason, sizeof(reason));
        if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
            (void)error_set(&link->err, kafka_error_status(fatal), "%s: %s", what, reason);
        else
            (void)kafka_error_set(&link->err, message->err, what);
        link->has_failed = true;
    }
    background_unlock(link->background);
}

/* Ends only when the sink is closed. */
static void serve_run(void *memory)
{
    struct kafka_link *link = memory;
    rd_kafka_t *handle = kafka_client_handle(link->client);
    kafka_client_destroy(link->asking);
    link->asking = NULL;
    while (!background_is_closing(link->background)) {
        (void)rd_kafka_poll(handle, SERVE_MS);
        const uint64_t settled = atomic_exchange_explicit(&link->settled, 0, memory_order_acq_rel);
        if (settled > 0)
            kafka_client_is_well(link->client);
        struct text reason SCOPED_TEXT_BUFFER;
        text_init(&reason, REASON_BYTES - 1);
        if (atomic_load_explicit(&link->outstanding, memory_order_acquire) > 0)
            (void)kafka_client_reason(link->client, &reason);
        set_reason(link, reason.bytes);
        if (settled > 0 && atomic_exchange_explicit(&link->wants_wake, false, memory_order_acq_rel))
            background_wake(link->background);
    }
}

/* ---- opening ---- */

/* As much of what was asked for as the task's account gives. */
static uint64_t book_buffer(struct memory_account *account, uint64_t wanted)
{
    uint64_t bytes = wanted;
    while (bytes > BUFFER_BYTES_MIN && !memory_reserve(account, bytes))
        bytes /= 2;
    if (bytes > BUFFER_BYTES_MIN)
        return bytes;
    memory_force(account, BUFFER_BYTES_MIN);
    return BUFFER_BYTES_MIN;
}

static enum status sink_open(void *self, struct operator_env *env, const struct format *format,
                             struct error *err)
{
    struct kafka_sink *sink = self;
    sink->env = env;
    const struct schema *rows = env->spec->inputs[0];
    struct kafka_sink_options options;
    TRY(kafka_sink_options_read(env->spec, rows, &options, err));
    sink->background =
        background_create(env, BACKGROUND_OWN_THREAD, sizeof(struct kafka_link), link_done);
    struct kafka_link *link = sink->link = background_memory(sink->background);
    link->background = sink->background;
    link->account = env->memory;
    link->options = options;
    TRY(kafka_record_encoder_init(&sink->encoder, env->spec, &link->options, rows, format, err));
    return kafka_sink_client(env->spec, &link->options, NULL, BUFFER_BYTES_MIN, BUFFER_BYTES_MIN,
                             NULL, &link->client, err);
}

static void sink_close(void *self)
{
    struct kafka_sink *sink = self;
    if (sink->topic != NULL)
        rd_kafka_topic_destroy(sink->topic);
    kafka_record_encoder_done(&sink->encoder);
    background_release(sink->background);
    *sink = (struct kafka_sink){0};
}

/* Tells the job's status why nothing goes on; "" when it does. */
static void show_reason(struct kafka_sink *sink, bool is_waiting)
{
    char reason[REASON_BYTES] = "";
    if (is_waiting) {
        background_lock(sink->background);
        memcpy(reason, sink->link->reason, sizeof(reason));
        background_unlock(sink->background);
    }
    if (strcmp(reason, sink->shown) == 0)
        return;
    memcpy(sink->shown, reason, sizeof(reason));
    sink->env->ops->waits_for(sink->env, reason[0] != '\0' ? reason : NULL);
}

/* The topic is known: the producer can be made. */
static enum status start_serving(struct kafka_sink *sink, struct error *err)
{
    struct kafka_link *link = sink->link;
    if (link->status != STATUS_OK)
        return error_set(err, link->err.code, "%s", link->err.message);
    link->booked_bytes = book_buffer(link->account, link->options.buffer_bytes);
    struct kafka_client *producer = NULL;
    SCOPED_TEXT char *name =
        format_text("millstream-%s-%u", sink->env->spec->name, sink->env->subtask_index);
    TRY(kafka_sink_client(sink->env->spec, &link->options, name, link->booked_bytes,
                          link->target.message_bytes_max, on_delivered, &producer, err));
    link->asking = link->client;
    link->client = producer;
    sink->topic = rd_kafka_topic_new(kafka_client_handle(producer), link->options.topic, NULL);
    if (sink->topic == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), link->options.topic);
    sink->next_partition = sink->env->subtask_index;
    sink->phase = SINK_SERVING;
    background_start(sink->background, serve_run);
    return STATUS_OK;
}

static enum step sink_recover(void *self, const struct snapshot_reader *pending, struct error *err)
{
    (void)pending; /* nothing is left over from an earlier attempt */
    struct kafka_sink *sink = self;
    if (sink->phase == SINK_NEW) {
        sink->phase = SINK_PREPARING;
        background_start(sink->background, prepare_run);
    }
    show_reason(sink, true);
    if (background_is_busy(sink->background))
        return STEP_WAIT;
    return start_serving(sink, err) == STATUS_OK ? STEP_DONE : STEP_FAILED;
}

/* ---- writing ---- */

static enum step check_failure(struct kafka_sink *sink, struct error *err)
{
    struct kafka_link *link = sink->link;
    background_lock(sink->background);
    const bool has_failed = link->has_failed;
    if (has_failed)
        (void)error_set(err, link->err.code, "%s", link->err.message);
    background_unlock(sink->background);
    return has_failed ? STEP_FAILED : STEP_DONE;
}

/* Kafka's own partitioner chooses for -1. */
static int32_t choose_partition(struct kafka_sink *sink, const struct kafka_record *record)
{
    const uint32_t count = (uint32_t)sink->link->target.partition_count;
    switch (sink->link->options.partitioner) {
    case KAFKA_PARTITIONER_KEY:
        return RD_KAFKA_PARTITION_UA;
    case KAFKA_PARTITIONER_ROUND_ROBIN:
        return (int32_t)(sink->next_partition % count);
    case KAFKA_PARTITIONER_FIXED:
        return (int32_t)(sink->env->subtask_index % count);
    case KAFKA_PARTITIONER_COLUMN:
        return record->partition;
    }
    UNREACHABLE();
}

static rd_kafka_resp_err_t produce(struct kafka_sink *sink, const struct kafka_record *record)
{
    struct kafka_link *link = sink->link;
    atomic_fetch_add_explicit(&link->outstanding, 1, memory_order_acq_rel);
    const rd_kafka_resp_err_t code = rd_kafka_producev(
        kafka_client_handle(link->client), RD_KAFKA_V_RKT(sink->topic),
        RD_KAFKA_V_PARTITION(choose_partition(sink, record)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(record->key, record->key_size),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value, record->value_size),
        RD_KAFKA_V_TIMESTAMP(record->timestamp_ms), RD_KAFKA_V_OPAQUE(link), RD_KAFKA_V_END);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        atomic_fetch_sub_explicit(&link->outstanding, 1, memory_order_acq_rel);
    else
        sink->next_partition++;
    return code;
}

static enum step refuse(struct kafka_sink *sink, const struct batch *in,
                        const struct kafka_record *record, const char *cause, const char *message,
                        struct emitter *out, struct error *err)
{
    const struct row_error error = {
        .cause = cause,
        .message = message,
        .origin = &in->origin,
        .position = -1,
        .raw = record->value,
        .raw_size = record->value_size,
        .key = record->key,
        .key_size = record->key_size,
    };
    struct error why;
    const enum step step = sink->env->ops->row_error(sink->env, &error, out, &why);
    if (step == STEP_FAILED)
        *err = why;
    return step;
}

static enum step refuse_size(struct kafka_sink *sink, const struct batch *in,
                             const struct kafka_record *record, struct emitter *out,
                             struct error *err)
{
    SCOPED_TEXT char *message = format_text(
        "a record of %zu bytes; topic \"%s\" takes %llu at most: raise its max.message.bytes",
        record->key_size + record->value_size, sink->link->options.topic,
        (unsigned long long)sink->link->target.message_bytes_max);
    return refuse(sink, in, record, "too_large", message, out, err);
}

static enum step refuse_partition(struct kafka_sink *sink, const struct batch *in,
                                  const struct kafka_record *record, struct emitter *out,
                                  struct error *err)
{
    SCOPED_TEXT char *message = format_text(
        "topic \"%s\" has no partition %d; it had %d when the task started",
        sink->link->options.topic, record->partition, sink->link->target.partition_count);
    return refuse(sink, in, record, "partition", message, out, err);
}

/* Produces, or waits for room. */
static enum step send_record(struct kafka_sink *sink, const struct batch *in,
                             const struct kafka_record *record, struct emitter *out,
                             struct error *err)
{
    struct kafka_link *link = sink->link;
    if (record->key_size + record->value_size + RECORD_OVERHEAD_BYTES >
        link->target.message_bytes_max)
        return refuse_size(sink, in, record, out, err);
    /* Before it knows the topic the producer would take any number and refuse it too late. */
    if (link->options.partitioner == KAFKA_PARTITIONER_COLUMN &&
        record->partition >= link->target.partition_count)
        return refuse_partition(sink, in, record, out, err);
    rd_kafka_resp_err_t code = produce(sink, record);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        /* A confirmation between the two calls sees the flag or leaves room. */
        atomic_store_explicit(&link->wants_wake, true, memory_order_release);
        code = produce(sink, record);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            show_reason(sink, true);
            return STEP_WAIT;
        }
    }
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STEP_DONE;
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return refuse_size(sink, in, record, out, err);
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION)
        return refuse_partition(sink, in, record, out, err);
    (void)kafka_client_failed(link->client, code, link->options.topic, err);
    return STEP_FAILED;
}

static enum step write_row(struct kafka_sink *sink, const struct batch *in, uint32_t row,
                           struct emitter *out, struct error *err)
{
    /* An upsert needs no word of what it replaces. */
    if (batch_row_kind(in, row) == ROW_UPDATE_BEFORE)
        return STEP_DONE;
    struct kafka_record record = {0};
    const enum status status = kafka_record_encode(&sink->encoder, in, row, &record, err);
    if (status == STATUS_OK)
        return send_record(sink, in, &record, out, err);
    if (status != STATUS_RECORD)
        return STEP_FAILED;
    SCOPED_TEXT char *message = copy_text(err->message);
    return refuse(sink, in, &record, "format", message, out, err);
}

static enum step sink_write(void *self, struct batch *in, struct emitter *out, struct error *err)
{
    struct kafka_sink *sink = self;
    enum step step = check_failure(sink, err);
    if (!sink->is_started && step == STEP_DONE) {
        kafka_record_encoder_start(&sink->encoder, in);
        sink->is_started = true;
    }
    while (step == STEP_DONE && sink->next_row < batch_selected(in)) {
        step = write_row(sink, in, batch_row(in, sink->next_row), out, err);
        sink->next_row += step == STEP_DONE;
    }
    if (step != STEP_DONE)
        return step;
    show_reason(sink, false);
    kafka_record_encoder_start(&sink->encoder, NULL);
    sink->is_started = false;
    sink->next_row = 0;
    return STEP_DONE;
}

/* Until every record is confirmed. */
static enum step wait_for_confirmations(struct kafka_sink *sink, struct error *err)
{
    struct kafka_link *link = sink->link;
    atomic_store_explicit(&link->wants_wake, true, memory_order_seq_cst);
    const bool is_waiting = atomic_load_explicit(&link->outstanding, memory_order_seq_cst) > 0;
    show_reason(sink, is_waiting);
    const enum step step = check_failure(sink, err);
    if (step != STEP_DONE)
        return step;
    return is_waiting ? STEP_WAIT : STEP_DONE;
}

static enum step sink_before_barrier(void *self, struct error *err)
{
    return wait_for_confirmations(self, err);
}

static enum step sink_finish(void *self, struct error *err)
{
    return wait_for_confirmations(self, err);
}

/* ---- at submit ---- */

static bool is_upsert(const struct operator_spec *spec)
{
    const char *mode = operator_setting(spec, "connector.mode");
    return mode != NULL && strcmp(mode, "upsert") == 0;
}

static enum guarantee guarantee_with(const struct operator_spec *spec)
{
    return is_upsert(spec) ? GUARANTEE_IDEMPOTENT : GUARANTEE_AT_LEAST_ONCE;
}

static struct schema *written_schema(const struct operator_spec *spec, const struct schema *rows,
                                     struct error *err)
{
    struct kafka_sink_options options;
    if (kafka_sink_options_read(spec, rows, &options, err) != STATUS_OK)
        return NULL;
    struct schema *schema = kafka_value_schema(&options, rows);
    kafka_sink_options_done(&options);
    return schema;
}

const struct sink_connector sink_kafka = {
    .abi_size = sizeof(struct sink_connector),
    .name = "kafka",
    .help = "Writes records to a topic of Kafka: all replicas confirm, retries make no duplicates "
            "and keep the order; rows since the last checkpoint are written again after a failure.",
    .options = kafka_sink_option_table,
    .needs_format = true,
    .guarantee = GUARANTEE_AT_LEAST_ONCE,
    .writer = {.instance_size = sizeof(struct kafka_sink),
               .open = sink_open,
               .recover = sink_recover,
               .write = sink_write,
               .before_barrier = sink_before_barrier,
               .finish = sink_finish,
               .close = sink_close},
    .written_schema = written_schema,
    .takes_changes_with = is_upsert,
    .guarantee_with = guarantee_with,
    .takes_messages = true,
    .probe = kafka_sink_probe,
};
