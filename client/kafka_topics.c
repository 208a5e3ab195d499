/* millstream kafka topics: lists, makes, deletes, grows and trims topics. */
#include "connectors/kafka/kafka_topics.h"
#include "client/kafka.h"
#include "common/base/allocate.h"
#include "connectors/kafka/kafka_error.h"
#include "connectors/kafka/kafka_offsets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LEADER_POLL_MS 50

/* ---- listing ---- */

static enum status list_all(struct kafka_client *client, struct error *err)
{
    struct kafka_topic_list list = {0};
    const enum status status =
        kafka_topics_matching(client, NULL, KAFKA_COMMAND_MS / 3, &list, err);
    for (size_t i = 0; i < list.count && status == STATUS_OK; i++) {
        const struct kafka_topic *topic = &list.topics[i];
        (void)printf("%s\t%u partitions\t%u replicas\n", topic->name, topic->partition_count,
                     topic->partition_count > 0 ? topic->partitions[0].replica_count : 0);
    }
    kafka_topic_list_done(&list);
    return status;
}

static enum status show_partition(struct kafka_client *client, const char *group,
                                  const struct kafka_topic *topic,
                                  const struct kafka_partition *partition, struct error *err)
{
    int64_t first = 0;
    int64_t end = 0;
    TRY(kafka_offsets_range(client, topic->name, partition->id, KAFKA_COMMAND_MS / 3, &first, &end,
                            err));
    (void)printf("%s[%d]\tleader %d\treplicas %u\tin sync %u\tfirst %" PRId64 "\tend %" PRId64,
                 topic->name, (int)partition->id, (int)partition->leader, partition->replica_count,
                 partition->in_sync_count, first, end);
    if (group != NULL) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        (void)rd_kafka_topic_partition_list_add(list, topic->name, partition->id);
        const enum status status = kafka_offsets_committed(client, list, KAFKA_COMMAND_MS / 3, err);
        const int64_t committed = list->elems[0].offset;
        rd_kafka_topic_partition_list_destroy(list);
        TRY(status);
        if (committed >= 0)
            (void)printf("\tcommitted %" PRId64 "\tlag %" PRId64, committed, end - committed);
        else
            (void)printf("\tcommitted -\tlag %" PRId64, end - first);
    }
    (void)printf("\n");
    return STATUS_OK;
}

static enum status show_topic(struct kafka_client *client, const char *group, const char *name,
                              struct error *err)
{
    struct kafka_topic_list list = {0};
    enum status status = kafka_topic_find(client, name, KAFKA_COMMAND_MS / 3, &list, err);
    for (uint32_t i = 0; status == STATUS_OK && i < list.topics[0].partition_count; i++)
        status = show_partition(client, group, &list.topics[0], &list.topics[0].partitions[i], err);
    kafka_topic_list_done(&list);
    return status;
}

/* ---- changing ---- */

/* The first failure among the topics of an admin request's answer. */
static enum status check_topics(const rd_kafka_topic_result_t **results, size_t count,
                                const char *what, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);
        if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
            return error_set(err, kafka_error_status(code), "%s \"%s\": %s", what,
                             rd_kafka_topic_result_name(results[i]), rd_kafka_err2str(code));
    }
    return STATUS_OK;
}

static enum status check_answer(struct kafka_client *client, rd_kafka_event_t *event,
                                const char *what, struct error *err)
{
    if (event == NULL)
        return kafka_client_failed(client, RD_KAFKA_RESP_ERR__TIMED_OUT, what, err);
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, what, err);
    size_t count = 0;
    const rd_kafka_topic_result_t **results = NULL;
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DELETETOPICS_RESULT)
        results =
            rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATEPARTITIONS_RESULT)
        results = rd_kafka_CreatePartitions_result_topics(
            rd_kafka_event_CreatePartitions_result(event), &count);
    return check_topics(results, count, what, err);
}

static enum status await(struct kafka_client *client, rd_kafka_queue_t *queue, const char *what,
                         struct error *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, KAFKA_COMMAND_MS);
    const enum status status = check_answer(client, event, what, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return status;
}

static enum status delete_topic(struct kafka_client *client, const char *name, struct error *err)
{
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_DeleteTopics(handle, &topic, 1, NULL, queue);
    rd_kafka_DeleteTopic_destroy(topic);
    return await(client, queue, "delete topic", err);
}

static enum status grow_topic(struct kafka_client *client, const char *name, int64_t partitions,
                              struct error *err)
{
    char problem[300] = "";
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_NewPartitions_t *more =
        rd_kafka_NewPartitions_new(name, (size_t)partitions, problem, sizeof(problem));
    if (more == NULL)
        return error_set(err, STATUS_INVALID, "grow topic \"%s\": %s", name, problem);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_CreatePartitions(handle, &more, 1, NULL, queue);
    rd_kafka_NewPartitions_destroy(more);
    return await(client, queue, "grow topic", err);
}

static enum status trim_topic(struct kafka_client *client, const struct kafka_arguments *arguments,
                              const char *name, struct error *err)
{
    struct kafka_topic_list list = {0};
    TRY(kafka_topic_find(client, name, KAFKA_COMMAND_MS / 3, &list, err));
    rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(8);
    for (uint32_t i = 0; i < list.topics[0].partition_count; i++) {
        const int32_t id = list.topics[0].partitions[i].id;
        if (arguments->partition < 0 || arguments->partition == id)
            rd_kafka_topic_partition_list_add(offsets, name, id)->offset =
                strtoll(arguments->trim, NULL, 10);
    }
    kafka_topic_list_done(&list);
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_DeleteRecords_t *records = rd_kafka_DeleteRecords_new(offsets);
    rd_kafka_topic_partition_list_destroy(offsets);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_DeleteRecords(handle, &records, 1, NULL, queue);
    rd_kafka_DeleteRecords_destroy(records);
    return await(client, queue, "trim topic", err);
}

/* Until each partition has a leader: whoever comes next can use it. */
static enum status wait_for_leaders(struct kafka_client *client, const char *name,
                                    struct error *err)
{
    for (int waited_ms = 0;; waited_ms += LEADER_POLL_MS) {
        struct kafka_topic_list list = {0};
        enum status status = kafka_topic_find(client, name, KAFKA_COMMAND_MS / 3, &list, err);
        for (uint32_t i = 0; status == STATUS_OK && i < list.topics[0].partition_count; i++) {
            int64_t first = 0;
            int64_t end = 0;
            status = kafka_offsets_range(client, name, list.topics[0].partitions[i].id,
                                         KAFKA_COMMAND_MS / 3, &first, &end, err);
        }
        kafka_topic_list_done(&list);
        if (status == STATUS_OK || status == STATUS_INVALID || waited_ms >= KAFKA_COMMAND_MS / 3)
            return status;
        const struct timespec pause = {.tv_nsec = LEADER_POLL_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
}

static enum status create_topic(struct kafka_client *client,
                                const struct kafka_arguments *arguments, const char *name,
                                struct error *err)
{
    const char **configs = allocate_array(2 * arguments->config_count + 1, sizeof(*configs));
    for (size_t i = 0; i < arguments->config_count; i++) {
        configs[2 * i] = arguments->configs[i].key;
        configs[2 * i + 1] = arguments->configs[i].value;
    }
    const enum status status =
        kafka_topic_create(client, name, (int)arguments->partitions, (int)arguments->replication,
                           configs, KAFKA_COMMAND_MS, err);
    free(configs);
    return status == STATUS_OK ? wait_for_leaders(client, name, err) : status;
}

static enum status run(const struct kafka_arguments *arguments, struct kafka_client *client,
                       struct error *err)
{
    if (arguments->positional_count == 0)
        return list_all(client, err);
    for (size_t i = 0; i < arguments->positional_count; i++) {
        const char *name = arguments->positionals[i];
        if (arguments->creates)
            TRY(create_topic(client, arguments, name, err));
        else if (arguments->deletes)
            TRY(delete_topic(client, name, err));
        else if (arguments->grows)
            TRY(grow_topic(client, name, arguments->partitions, err));
        else if (arguments->trim != NULL)
            TRY(trim_topic(client, arguments, name, err));
        else
            TRY(show_topic(client, arguments->group, name, err));
    }
    return STATUS_OK;
}

enum status kafka_topics(const struct kafka_arguments *arguments, struct error *err)
{
    struct kafka_client *client = NULL;
    TRY(kafka_command_client(arguments, KAFKA_CONSUMER, &client, err));
    const enum status status = run(arguments, client, err);
    kafka_client_destroy(client);
    return status;
}
