/* What a reader does off its worker: see kafka_control.h. */
#include "connectors/kafka/kafka_control.h"

#include "common/base/allocate.h"
#include "common/base/log.h"
#include "connectors/kafka/kafka_error.h"
#include "connectors/kafka/kafka_offsets.h"

#include <stdatomic.h>

#define PROBE_MS 2000

static void list_done(rd_kafka_topic_partition_list_t **list)
{
    if (*list != NULL)
        rd_kafka_topic_partition_list_destroy(*list);
    *list = NULL;
}

void kafka_orders_done(struct kafka_orders *orders)
{
    list_done(&orders->unassign);
    list_done(&orders->assign);
    list_done(&orders->pause);
    list_done(&orders->resume);
    list_done(&orders->commit);
    list_done(&orders->probe);
    list_done(&orders->range);
}

static void control_done(void *memory)
{
    struct kafka_control *control = memory;
    kafka_orders_done(&control->orders);
    list_done(&control->ends);
    list_done(&control->ranged);
    rd_kafka_queue_t *records = control->records;
    if (records != NULL) {
        rd_kafka_queue_cb_event_enable(records, NULL, NULL);
        rd_kafka_queue_destroy(records);
    }
    kafka_client_destroy(control->client);
    for (uint32_t i = 0; i < control->spec.setting_count; i++) {
        free(control->spec.settings[i].key);
        free(control->spec.settings[i].value);
    }
    free(control->spec.settings);
    free(control->client_id);
    kafka_source_options_done(&control->options);
}

/* A copy with what a client is made from. */
static void copy_settings(struct operator_spec *to, const struct operator_spec *from)
{
    to->settings = allocate_array(from->setting_count + 1, sizeof(*to->settings));
    to->setting_count = from->setting_count;
    for (uint32_t i = 0; i < from->setting_count; i++)
        to->settings[i] =
            (struct setting){copy_text(from->settings[i].key), copy_text(from->settings[i].value)};
}

struct background *kafka_control_create(struct operator_env *env,
                                        const struct kafka_source_options *options)
{
    struct background *background =
        background_create(env, BACKGROUND_OWN_THREAD, sizeof(struct kafka_control), control_done);
    struct kafka_control *control = background_memory(background);
    control->background = background;
    control->options.brokers = copy_text(options->brokers);
    control->options.group = copy_text(options->group);
    control->queue_bytes = options->fetch_memory_bytes;
    copy_settings(&control->spec, env->spec);
    control->client_id = format_text("millstream-%s-%u", env->spec->name, env->subtask_index);
    return background;
}

void kafka_orders_add(rd_kafka_topic_partition_list_t **list, const char *topic, int32_t partition,
                      int64_t offset)
{
    if (*list == NULL)
        *list = rd_kafka_topic_partition_list_new(8);
    rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_find(*list, topic, partition);
    if (entry == NULL)
        entry = rd_kafka_topic_partition_list_add(*list, topic, partition);
    entry->offset = offset;
}

void kafka_orders_pause(struct kafka_orders *orders, const char *topic, int32_t partition,
                        bool is_paused)
{
    rd_kafka_topic_partition_list_t *other = is_paused ? orders->resume : orders->pause;
    if (other != NULL)
        (void)rd_kafka_topic_partition_list_del(other, topic, partition);
    kafka_orders_add(is_paused ? &orders->pause : &orders->resume, topic, partition, 0);
}

bool kafka_orders_exist(const struct kafka_orders *orders)
{
    return orders->unassign != NULL || orders->assign != NULL || orders->pause != NULL ||
           orders->resume != NULL || orders->commit != NULL || orders->probe != NULL ||
           orders->range != NULL;
}

/* ---- on the thread ---- */

static void on_records(rd_kafka_t *handle, void *opaque)
{
    (void)handle;
    background_wake(opaque);
}

static enum status make_client(struct kafka_control *control, struct error *err)
{
    TRY(kafka_source_client(&control->spec, &control->options, control->client_id,
                            control->queue_bytes, &control->client, err));
    rd_kafka_t *handle = kafka_client_handle(control->client);
    (void)rd_kafka_poll_set_consumer(handle);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(handle);
    rd_kafka_queue_cb_event_enable(queue, (void (*)(rd_kafka_t *, void *))on_records,
                                   control->background);
    atomic_store_explicit(&control->records, queue, memory_order_release);
    return STATUS_OK;
}

/* rd_kafka_incremental_assign and its opposite. */
static enum status change(struct kafka_control *control, rd_kafka_topic_partition_list_t **list,
                          rd_kafka_error_t *(*call)(rd_kafka_t *,
                                                    const rd_kafka_topic_partition_list_t *),
                          const char *what, struct error *err)
{
    if (*list == NULL)
        return STATUS_OK;
    rd_kafka_error_t *error = call(kafka_client_handle(control->client), *list);
    list_done(list);
    if (error == NULL)
        return STATUS_OK;
    const enum status status =
        error_set(err, STATUS_IO, "%s: %s", what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return status;
}

static void pause_and_resume(struct kafka_control *control)
{
    rd_kafka_t *handle = kafka_client_handle(control->client);
    /* Both fail only for partitions that are not fetched any more. */
    if (control->orders.pause != NULL)
        (void)rd_kafka_pause_partitions(handle, control->orders.pause);
    if (control->orders.resume != NULL)
        (void)rd_kafka_resume_partitions(handle, control->orders.resume);
    list_done(&control->orders.pause);
    list_done(&control->orders.resume);
}

/* For tools that show lag: nothing depends on it, and losing it is harmless. */
static void commit(struct kafka_control *control)
{
    if (control->orders.commit == NULL)
        return;
    const rd_kafka_resp_err_t code =
        rd_kafka_commit(kafka_client_handle(control->client), control->orders.commit, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        log_event(LOG_WARN, "kafka_commit", "group", control->options.group, "failed",
                  rd_kafka_err2str(code), NULL);
    list_done(&control->orders.commit);
}

static void probe(struct kafka_control *control)
{
    rd_kafka_topic_partition_list_t *list = control->orders.probe;
    if (list == NULL)
        return;
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = KAFKA_OFFSET_LATEST;
    const rd_kafka_resp_err_t code =
        rd_kafka_offsets_for_times(kafka_client_handle(control->client), list, PROBE_MS);
    bool is_well = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *entry = &list->elems[i];
        if (entry->err == RD_KAFKA_RESP_ERR_NO_ERROR && entry->offset < 0)
            entry->err = code != RD_KAFKA_RESP_ERR_NO_ERROR ? code : RD_KAFKA_RESP_ERR__TIMED_OUT;
        is_well = is_well && entry->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    if (is_well)
        kafka_client_is_well(control->client);
    list_done(&control->ends);
    control->ends = list;
    control->orders.probe = NULL;
}

static void find_range(struct kafka_control *control)
{
    rd_kafka_topic_partition_list_t *list = control->orders.range;
    if (list == NULL)
        return;
    control->orders.range = NULL;
    struct error err;
    if (kafka_offsets_range(control->client, list->elems[0].topic, list->elems[0].partition,
                            KAFKA_REQUEST_MS, &control->range_first, &control->range_end,
                            &err) == STATUS_OK) {
        list_done(&control->ranged);
        control->ranged = list;
    } else {
        rd_kafka_topic_partition_list_destroy(list); /* the worker asks again */
    }
}

static enum status run(struct kafka_control *control, struct error *err)
{
    if (control->client == NULL)
        TRY(make_client(control, err));
    TRY(change(control, &control->orders.unassign, rd_kafka_incremental_unassign, "stop fetching",
               err));
    TRY(change(control, &control->orders.assign, rd_kafka_incremental_assign, "begin to fetch",
               err));
    pause_and_resume(control);
    commit(control);
    find_range(control);
    probe(control);
    return STATUS_OK;
}

void kafka_control_run(void *memory)
{
    struct kafka_control *control = memory;
    if (!background_is_closing(control->background) && control->code == STATUS_OK)
        control->code = run(control, &control->err);
}
