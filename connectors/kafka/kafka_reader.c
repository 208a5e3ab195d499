/* Reads partitions of Kafka in a task: see kafka_reader.h. */
#include "connectors/kafka/kafka_reader.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "connectors/kafka/kafka_error.h"

#include <inttypes.h>

/* How often brokers are asked for the ends of partitions from which nothing comes. */
#define PROBE_INTERVAL_US INT64_C(2000000)
/* For how long an answer is believed. */
#define KNOWN_US (4 * PROBE_INTERVAL_US)
/* Answers in a row: brokers that start, or take over, may be wrong for a moment. */
#define SHORT_PROBES_MAX   2
#define MISSING_PROBES_MAX 5
/* Of positions for lag tools, while checkpoints are off. */
#define COMMIT_INTERVAL_US INT64_C(5000000)
#define FETCH_MEMORY_MIN   (1024 * 1024)
#define REASON_BYTES_MAX   1000

/* ---- opening and closing ---- */

static enum status checkpoints_are_off(const struct operator_env *env, bool *ret, struct error *err)
{
    const char *text =
        env->job != NULL ? job_graph_config(env->job, "execution.checkpointing.interval") : NULL;
    int64_t interval_ms = 1;
    if (text != NULL)
        TRY(parse_duration_ms(text, OPTION_UNITS_OPTIONAL, &interval_ms, err));
    *ret = interval_ms == 0;
    return STATUS_OK;
}

/* As much of fetch_memory as the task's account has; a little is taken in any case. */
static void reserve_memory(struct kafka_reader *reader)
{
    uint64_t bytes = reader->options.fetch_memory_bytes;
    while (bytes > FETCH_MEMORY_MIN && !memory_reserve(reader->env->memory, bytes))
        bytes /= 2;
    if (bytes <= FETCH_MEMORY_MIN)
        memory_force(reader->env->memory, bytes);
    reader->reserved_bytes = reader->options.fetch_memory_bytes = bytes;
}

enum status kafka_reader_open(void *self, struct operator_env *env, const struct format *format,
                              struct error *err)
{
    struct kafka_reader *reader = self;
    reader->env = env;
    TRY(kafka_source_options_read(env->spec, &reader->options, err));
    TRY(checkpoints_are_off(env, &reader->commits_by_itself, err));
    if (operator_setting(env->spec, SETTING_LEAVES_NO_TRACE) != NULL)
        reader->commits_by_itself = false;
    TRY(kafka_decoder_init(&reader->decoder, env, format, &reader->options, err));
    reserve_memory(reader);
    reader->background = kafka_control_create(env, &reader->options);
    reader->control = background_memory(reader->background);
    return STATUS_OK;
}

void kafka_reader_close(void *self)
{
    struct kafka_reader *reader = self;
    /* Records before the client that gave them. */
    for (size_t i = 0; i < reader->reading_count; i++) {
        kafka_reading_done(reader->readings[i]);
        free(reader->readings[i]);
    }
    free(reader->readings);
    free(reader->by_name);
    free(reader->ready);
    kafka_orders_done(&reader->next);
    if (reader->snapshot != NULL)
        rd_kafka_topic_partition_list_destroy(reader->snapshot);
    background_release(reader->background);
    kafka_decoder_done(&reader->decoder);
    kafka_source_options_done(&reader->options);
    if (reader->reserved_bytes > 0)
        memory_release(reader->env->memory, reader->reserved_bytes);
    *reader = (struct kafka_reader){0};
}

/* ---- partitions ---- */

static int compare_names(const struct kafka_reading *reading, const char *topic, int32_t partition)
{
    const int order = strcmp(reading->split.topic, topic);
    if (order != 0)
        return order;
    return (reading->split.partition > partition) - (reading->split.partition < partition);
}

static int compare_readings(const void *a, const void *b)
{
    const struct kafka_reading *left = *(struct kafka_reading *const *)a;
    const struct kafka_reading *right = *(struct kafka_reading *const *)b;
    return compare_names(left, right->split.topic, right->split.partition);
}

/* NULL for a partition that is not ours. */
static struct kafka_reading *find_reading(const struct kafka_reader *reader, const char *topic,
                                          int32_t partition)
{
    size_t first = 0;
    size_t end = reader->reading_count;
    while (first < end) {
        const size_t middle = first + (end - first) / 2;
        const int order = compare_names(reader->by_name[middle], topic, partition);
        if (order == 0)
            return reader->by_name[middle];
        if (order < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return NULL;
}

static void fetch_from(struct kafka_reader *reader, const struct kafka_reading *reading)
{
    kafka_orders_add(&reader->next.assign, reading->split.topic, reading->split.partition,
                     kafka_reading_fetch_from(reading));
}

static void add_reading(struct kafka_reader *reader, const struct kafka_split *split)
{
    struct kafka_reading *reading = allocate(sizeof(*reading));
    kafka_reading_init(reading, split, (uint32_t)reader->reading_count);
    array_push(reader->readings, reader->reading_count, reader->reading_capacity) = reading;
    if (reading->is_finished)
        reader->finished_count++;
    else
        fetch_from(reader, reading);
}

/* old_count: of the readings when the ring of the ready ones was made. */
static void index_readings(struct kafka_reader *reader, size_t old_count)
{
    const size_t count = reader->reading_count;
    reader->by_name = reallocate_array(reader->by_name, count, sizeof(*reader->by_name));
    memcpy(reader->by_name, reader->readings, count * sizeof(*reader->by_name));
    qsort(reader->by_name, count, sizeof(*reader->by_name), compare_readings);
    struct kafka_reading **ready = allocate_array(count, sizeof(*ready));
    for (size_t i = 0; i < reader->ready_count; i++)
        ready[i] = reader->ready[(reader->ready_first + i) % old_count];
    free(reader->ready);
    reader->ready = ready;
    reader->ready_first = 0;
}

enum status kafka_reader_add_splits(void *self, const struct split_list *splits, struct error *err)
{
    struct kafka_reader *reader = self;
    if (splits->count == 0)
        return STATUS_OK;
    const size_t old_count = reader->reading_count;
    for (size_t i = 0; i < splits->count; i++) {
        struct kafka_split split;
        TRY(kafka_split_decode(splits->splits[i].id, splits->splits[i].state,
                               splits->splits[i].state_size, &split, err));
        add_reading(reader, &split);
    }
    index_readings(reader, old_count);
    for (size_t i = 1; i < reader->reading_count; i++) {
        if (compare_readings(&reader->by_name[i - 1], &reader->by_name[i]) == 0)
            return error_set(err, STATUS_CORRUPT, "partition %s was given twice",
                             reader->by_name[i]->split.id);
    }
    reader->wants_splits = true;
    return STATUS_OK;
}

static void push_ready(struct kafka_reader *reader, struct kafka_reading *reading)
{
    if (reading->is_ready || reading->is_paused || reading->count == 0)
        return;
    reading->is_ready = true;
    reader->ready[(reader->ready_first + reader->ready_count++) % reader->reading_count] = reading;
}

static struct kafka_reading *take_ready(struct kafka_reader *reader)
{
    while (reader->ready_count > 0) {
        struct kafka_reading *reading = reader->ready[reader->ready_first];
        reader->ready_first = (reader->ready_first + 1) % reader->reading_count;
        reader->ready_count--;
        reading->is_ready = false;
        if (!reading->is_paused && reading->count > 0)
            return reading;
    }
    return NULL;
}

/* ---- positions that are gone ---- */

static void lose(struct kafka_reader *reader, struct kafka_reading *reading, bool is_other)
{
    if (reading->is_lost || reading->is_finished)
        return;
    reading->is_lost = true;
    reading->is_other = is_other;
    kafka_reading_clear(reading);
    kafka_orders_add(&reader->next.unassign, reading->split.topic, reading->split.partition, 0);
}

static enum status fail_lost(const struct kafka_reading *reading, int64_t first, int64_t end,
                             struct error *err)
{
    return error_set(err, STATUS_NOT_FOUND,
                     "%s: the job goes on at offset %" PRId64 ", the broker has %" PRId64
                     " to %" PRId64 "%s; "
                     "on_lost_offsets: earliest or latest goes on there, without what is lost",
                     reading->split.id, reading->split.next, first, end,
                     reading->is_other ? " of another topic: it was deleted and made anew"
                     : reading->split.next < first
                         ? ": what is between was deleted (retention) before it was read"
                         : ": the topic was made anew, or the broker lost records");
}

/* The range of a lost partition is known: goes on there, or fails. */
static enum status on_range(struct kafka_reader *reader, struct kafka_reading *reading,
                            int64_t first, int64_t end, struct error *err)
{
    struct kafka_split *split = &reading->split;
    reading->is_lost = false;
    if (!reading->is_other && split->next >= first && split->next <= end) {
        /* Only the record read last is gone, which is no loss. */
        reading->must_verify = false;
        reading->rows_skip = split->rows_done;
        reading->short_probes = 0;
        fetch_from(reader, reading);
        return STATUS_OK;
    }
    if (reader->options.on_lost == KAFKA_ON_LOST_FAIL)
        return fail_lost(reading, first, end, err);
    const int64_t next = reader->options.on_lost == KAFKA_ON_LOST_EARLIEST ? first : end;
    log_event(LOG_WARN, "kafka_offsets_lost", "partition", split->id, "wanted",
              LOG_NUMBER(split->next), "first", LOG_NUMBER(first), "end", LOG_NUMBER(end),
              "goes_on_at", LOG_NUMBER(next), NULL);
    split->next = next;
    split->last_offset = -1;
    split->rows_done = 0;
    reading->rows_skip = 0;
    reading->must_verify = reading->is_other = false;
    reading->short_probes = 0;
    fetch_from(reader, reading);
    return STATUS_OK;
}

/* ---- what the control says ---- */

static enum status on_end(struct kafka_reader *reader, struct kafka_reading *reading,
                          const rd_kafka_topic_partition_t *answer, int64_t now_us,
                          struct error *err)
{
    const struct kafka_split *split = &reading->split;
    const bool is_missing = kafka_error_status(answer->err) == STATUS_NOT_FOUND;
    reading->missing_probes = is_missing ? reading->missing_probes + 1 : 0;
    if (reading->missing_probes >= MISSING_PROBES_MAX &&
        reader->options.on_lost == KAFKA_ON_LOST_FAIL)
        return error_set(err, STATUS_NOT_FOUND,
                         "%s: the job goes on at offset %" PRId64 ", and the brokers know no such "
                         "topic or partition any more: it was deleted",
                         split->id, split->next);
    reading->is_answered = answer->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!reading->is_answered)
        return STATUS_OK;
    reading->end_seen = answer->offset;
    reading->short_probes = answer->offset < split->next ? reading->short_probes + 1 : 0;
    if (reading->short_probes >= SHORT_PROBES_MAX)
        lose(reader, reading, false);
    else if (answer->offset > split->next)
        reading->is_at_end = false;
    else if (reading->is_at_end)
        reading->known_us = now_us;
    return STATUS_OK;
}

/* Tells the job's status which brokers do not answer, and why. */
static void show_reason(struct kafka_reader *reader)
{
    const struct kafka_reading *silent = NULL;
    for (size_t i = 0; i < reader->reading_count && silent == NULL; i++) {
        if (!reader->readings[i]->is_answered && !reader->readings[i]->is_finished)
            silent = reader->readings[i];
    }
    if (silent == NULL && !reader->is_waiting)
        return;
    reader->is_waiting = silent != NULL;
    if (silent == NULL) {
        reader->env->ops->waits_for(reader->env, NULL);
        return;
    }
    struct text text SCOPED_TEXT_BUFFER;
    text_init(&text, REASON_BYTES_MAX);
    text_format(&text, "the broker of %s: ", silent->split.id);
    if (!kafka_client_reason(reader->control->client, &text))
        text_append(&text, "no answer");
    reader->env->ops->waits_for(reader->env, text.bytes);
}

static enum status take_answers(struct kafka_reader *reader, struct error *err)
{
    struct kafka_control *control = reader->control;
    if (control->code != STATUS_OK) {
        *err = control->err;
        return control->code;
    }
    const int64_t now_us = clock_now_us(reader->env->clock);
    enum status status = STATUS_OK;
    if (control->ends != NULL) {
        for (int i = 0; i < control->ends->cnt && status == STATUS_OK; i++) {
            const rd_kafka_topic_partition_t *answer = &control->ends->elems[i];
            struct kafka_reading *reading = find_reading(reader, answer->topic, answer->partition);
            /* Records may have come since it was asked. */
            if (reading != NULL && reading->count == 0 && !reading->is_lost &&
                !reading->is_finished)
                status = on_end(reader, reading, answer, now_us, err);
        }
        rd_kafka_topic_partition_list_destroy(control->ends);
        control->ends = NULL;
        show_reason(reader);
    }
    if (control->ranged != NULL) {
        const rd_kafka_topic_partition_t *answer = &control->ranged->elems[0];
        struct kafka_reading *reading = find_reading(reader, answer->topic, answer->partition);
        if (status == STATUS_OK && reading != NULL && reading->is_lost)
            status = on_range(reader, reading, control->range_first, control->range_end, err);
        rd_kafka_topic_partition_list_destroy(control->ranged);
        control->ranged = NULL;
    }
    return status;
}

/* ---- orders ---- */

/* Positions of all partitions, for commits. */
static rd_kafka_topic_partition_list_t *positions(const struct kafka_reader *reader)
{
    rd_kafka_topic_partition_list_t *list = NULL;
    for (size_t i = 0; i < reader->reading_count; i++) {
        const struct kafka_split *split = &reader->readings[i]->split;
        if (split->last_offset >= 0)
            kafka_orders_add(&list, split->topic, split->partition, split->next);
    }
    return list;
}

static void order_commit(struct kafka_reader *reader, rd_kafka_topic_partition_list_t *list)
{
    if (reader->next.commit != NULL)
        rd_kafka_topic_partition_list_destroy(reader->next.commit);
    reader->next.commit = list;
}

/* By the ends that came with the answers of brokers: nothing is asked for it. */
static void measure_lag(struct kafka_reader *reader)
{
    uint64_t most = 0;
    for (size_t i = 0; i < reader->reading_count && reader->control->client != NULL; i++) {
        const struct kafka_split *split = &reader->readings[i]->split;
        int64_t first = 0;
        int64_t end = 0;
        if (reader->readings[i]->is_finished ||
            rd_kafka_get_watermark_offsets(kafka_client_handle(reader->control->client),
                                           split->topic, split->partition, &first,
                                           &end) != RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        const int64_t lag = (end < split->end ? end : split->end) - split->next;
        /* At the end the rest is markers of transactions. */
        if (lag > 0 && (uint64_t)lag > most && !reader->readings[i]->is_at_end)
            most = (uint64_t)lag;
    }
    reader->lag_max = most;
}

static void order_what_is_due(struct kafka_reader *reader)
{
    const int64_t now_us = clock_now_us(reader->env->clock);
    if (reader->commits_by_itself && now_us - reader->committed_us >= COMMIT_INTERVAL_US) {
        reader->committed_us = now_us;
        order_commit(reader, positions(reader));
    }
    if (now_us - reader->probed_us < PROBE_INTERVAL_US)
        return;
    reader->probed_us = now_us;
    measure_lag(reader);
    for (size_t i = 0; i < reader->reading_count; i++) {
        const struct kafka_reading *reading = reader->readings[i];
        const struct kafka_split *split = &reading->split;
        if (reading->is_lost && reader->next.range == NULL)
            kafka_orders_add(&reader->next.range, split->topic, split->partition, 0);
        else if (reading->count == 0 && !reading->is_finished && !reading->is_lost)
            kafka_orders_add(&reader->next.probe, split->topic, split->partition, 0);
    }
}

static enum status control(struct kafka_reader *reader, struct error *err)
{
    if (background_is_busy(reader->background))
        return STATUS_OK;
    TRY(take_answers(reader, err));
    order_what_is_due(reader);
    if (kafka_orders_exist(&reader->next)) {
        kafka_orders_done(&reader->control->orders);
        reader->control->orders = reader->next;
        reader->next = (struct kafka_orders){0};
        background_start(reader->background, kafka_control_run);
    }
    return STATUS_OK;
}

/* ---- records ---- */

/* An error in place of a record; true: it is to be handled in its turn. */
static bool is_of_record(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
           code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION ||
           code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED;
}

static void distribute(struct kafka_reader *reader, rd_kafka_message_t *record)
{
    struct kafka_reading *reading = reader->latest;
    const char *topic = record->rkt != NULL ? rd_kafka_topic_name(record->rkt) : NULL;
    if (topic == NULL)
        reading = NULL;
    else if (reading == NULL || compare_names(reading, topic, record->partition) != 0)
        reading = find_reading(reader, topic, record->partition);
    if (reading == NULL || reading->is_finished || reading->is_lost || !is_of_record(record->err)) {
        if (reading != NULL && (record->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                                record->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE))
            lose(reader, reading, false);
        /* All other errors are of connections: librdkafka tries again, probes tell. */
        rd_kafka_message_destroy(record);
        return;
    }
    reader->latest = reading;
    kafka_reading_push(reading, record);
    push_ready(reader, reading);
}

/* Takes what librdkafka has; false: nothing. */
static bool take_records(struct kafka_reader *reader)
{
    rd_kafka_queue_t *queue = atomic_load_explicit(&reader->control->records, memory_order_acquire);
    if (queue == NULL)
        return false;
    const ssize_t count = rd_kafka_consume_batch_queue(queue, 0, reader->taken, KAFKA_TAKE_MAX);
    for (ssize_t i = 0; i < count; i++)
        distribute(reader, reader->taken[i]);
    return count > 0;
}

static void after_run(struct kafka_reader *reader, struct kafka_reading *reading, bool was_finished)
{
    if (reading->is_finished && !was_finished) {
        reader->finished_count++;
        kafka_orders_add(&reader->next.unassign, reading->split.topic, reading->split.partition, 0);
    }
    if (reading->is_at_end && reading->count == 0)
        reading->known_us = clock_now_us(reader->env->clock);
    reading->is_answered = true;
}

/* Decodes records of the next partition that has some. */
static enum poll decode_next(struct kafka_reader *reader, struct emitter *out,
                             struct batch **ret_batch, struct error *err)
{
    struct kafka_reading *reading = reader->blocked != NULL ? reader->blocked : take_ready(reader);
    if (reading == NULL)
        return POLL_IDLE;
    const bool was_finished = reading->is_finished;
    struct batch *batch = NULL;
    const enum kafka_decoded result =
        kafka_decoder_run(&reader->decoder, reading, out, &batch, err);
    after_run(reader, reading, was_finished);
    reader->blocked = NULL;
    switch (result) {
    case KAFKA_DECODED_ALL:
    case KAFKA_DECODED_FULL:
    case KAFKA_DECODED_NO_ROOM:
        /* An error that waits to be handled is of this partition's head. */
        if (reader->decoder.has_error)
            reader->blocked = reading;
        else
            push_ready(reader, reading);
        break;
    case KAFKA_DECODED_LOST:
        lose(reader, reading, true);
        reader->probed_us = 0;
        break;
    case KAFKA_DECODED_FAILED:
        batch_unref(batch);
        return POLL_FAILED;
    }
    *ret_batch = batch;
    return batch != NULL ? POLL_BATCH : POLL_AGAIN;
}

enum poll kafka_reader_poll(void *self, struct emitter *out, struct batch **ret_batch,
                            struct error *err)
{
    struct kafka_reader *reader = self;
    if (control(reader, err) != STATUS_OK)
        return POLL_FAILED;
    if (reader->wants_splits) {
        reader->wants_splits = false;
        reader->env->ops->wake(reader->env);
        return POLL_NEED_SPLITS;
    }
    if (reader->finished_count == reader->reading_count)
        return POLL_NEED_SPLITS;
    if (reader->ready_count == 0 && reader->blocked == NULL && !take_records(reader))
        return POLL_IDLE;
    return decode_next(reader, out, ret_batch, err);
}

int64_t kafka_reader_next_wake_us(const void *self)
{
    const struct kafka_reader *reader = self;
    if (reader->finished_count == reader->reading_count)
        return INT64_MAX;
    if (background_is_busy(reader->background))
        return INT64_MAX; /* its end wakes */
    return reader->probed_us + PROBE_INTERVAL_US;
}

/* ---- splits ---- */

enum status kafka_reader_snapshot(void *self, struct split_list *ret_splits, struct error *err)
{
    (void)err;
    struct kafka_reader *reader = self;
    for (size_t i = 0; i < reader->reading_count; i++) {
        const struct kafka_reading *reading = reader->readings[i];
        if (reading->is_finished)
            continue;
        uint8_t state[KAFKA_SPLIT_BYTES];
        kafka_split_encode(&reading->split, state);
        split_list_add(ret_splits, reading->split.id, state, sizeof(state));
    }
    if (reader->snapshot != NULL)
        rd_kafka_topic_partition_list_destroy(reader->snapshot);
    reader->snapshot = positions(reader);
    return STATUS_OK;
}

void kafka_reader_checkpoint_completed(void *self, struct checkpoint_id id)
{
    (void)id;
    struct kafka_reader *reader = self;
    if (reader->snapshot == NULL)
        return;
    order_commit(reader, reader->snapshot);
    reader->snapshot = NULL;
    reader->env->ops->wake(reader->env);
}

uint64_t kafka_reader_records_lag_max(const void *self)
{
    return ((const struct kafka_reader *)self)->lag_max;
}

enum split_status kafka_reader_split_status(const void *self, uint32_t split)
{
    const struct kafka_reader *reader = self;
    if (split >= reader->reading_count)
        return SPLIT_HAS_MORE;
    const struct kafka_reading *reading = reader->readings[split];
    if (reading->is_finished)
        return SPLIT_FINISHED;
    if (reading->count > 0 || reading->is_lost)
        return SPLIT_HAS_MORE;
    if (!reading->is_answered)
        return SPLIT_UNREACHABLE;
    if (!reading->is_at_end || reading->known_us == 0)
        return SPLIT_HAS_MORE;
    return clock_now_us(reader->env->clock) - reading->known_us <= KNOWN_US ? SPLIT_AT_END
                                                                            : SPLIT_UNREACHABLE;
}

void kafka_reader_pause_split(void *self, uint32_t split, bool is_paused)
{
    struct kafka_reader *reader = self;
    if (split >= reader->reading_count)
        return;
    struct kafka_reading *reading = reader->readings[split];
    if (reading->is_paused == is_paused || reading->is_finished)
        return;
    reading->is_paused = is_paused;
    kafka_orders_pause(&reader->next, reading->split.topic, reading->split.partition, is_paused);
    push_ready(reader, reading);
    reader->env->ops->wake(reader->env);
}
