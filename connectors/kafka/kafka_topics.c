/* What brokers know about topics: see kafka_topics.h. */
#include "connectors/kafka/kafka_topics.h"

#include "common/base/allocate.h"
#include "connectors/kafka/kafka_error.h"

#include <regex.h>

void kafka_topic_list_done(struct kafka_topic_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->topics[i].name);
        free(list->topics[i].partitions);
    }
    free(list->topics);
    *list = (struct kafka_topic_list){0};
}

static int compare_partitions(const void *a, const void *b)
{
    const int32_t left = ((const struct kafka_partition *)a)->id;
    const int32_t right = ((const struct kafka_partition *)b)->id;
    return (left > right) - (left < right);
}

static int compare_topics(const void *a, const void *b)
{
    return strcmp(((const struct kafka_topic *)a)->name, ((const struct kafka_topic *)b)->name);
}

static enum status add_topic(struct kafka_topic_list *list, const rd_kafka_metadata_topic_t *from,
                             struct error *err)
{
    if (list->count >= KAFKA_TOPICS_MAX || from->partition_cnt > KAFKA_PARTITIONS_MAX)
        return error_set(err, STATUS_LIMIT, "more than %d topics or %d partitions: name fewer",
                         KAFKA_TOPICS_MAX, KAFKA_PARTITIONS_MAX);
    struct kafka_topic *topic = &array_push(list->topics, list->count, list->capacity);
    topic->name = copy_text(from->topic);
    topic->partition_count = (uint32_t)from->partition_cnt;
    topic->partitions = allocate_array(topic->partition_count + 1, sizeof(*topic->partitions));
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const rd_kafka_metadata_partition_t *partition = &from->partitions[i];
        topic->partitions[i] = (struct kafka_partition){
            .id = partition->id,
            .leader = partition->leader,
            .replica_count = (uint32_t)partition->replica_cnt,
            .in_sync_count = (uint32_t)partition->isr_cnt,
        };
    }
    qsort(topic->partitions, topic->partition_count, sizeof(*topic->partitions),
          compare_partitions);
    return STATUS_OK;
}

enum status kafka_topic_find(struct kafka_client *client, const char *name, int timeout_ms,
                             struct kafka_topic_list *list, struct error *err)
{
    SCOPED_TEXT char *what = format_text("topic \"%s\"", name);
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, name, NULL);
    if (topic == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), what);
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(handle, 0, topic, &metadata, timeout_ms);
    rd_kafka_topic_destroy(topic);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, what, err);
    kafka_client_is_well(client);
    enum status status = STATUS_OK;
    if (metadata->topic_cnt < 1)
        status = kafka_error_set(err, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, what);
    else if (metadata->topics[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
        status = kafka_error_set(err, metadata->topics[0].err, what);
    else
        status = add_topic(list, &metadata->topics[0], err);
    list->broker_count = (uint32_t)metadata->broker_cnt;
    rd_kafka_metadata_destroy(metadata);
    return status;
}

/* ---- patterns ---- */

static enum status compile_pattern(const char *pattern, regex_t *ret_regex, struct error *err)
{
    SCOPED_TEXT char *whole = format_text("^(%s)$", pattern);
    const int code = regcomp(ret_regex, whole, REG_EXTENDED | REG_NOSUB);
    if (code == 0)
        return STATUS_OK;
    char problem[200];
    (void)regerror(code, ret_regex, problem, sizeof(problem));
    return error_set(err, STATUS_INVALID, "topic_pattern \"%.200s\" is no regular expression: %s",
                     pattern, problem);
}

enum status kafka_topic_pattern_check(const char *pattern, struct error *err)
{
    regex_t regex;
    TRY(compile_pattern(pattern, &regex, err));
    regfree(&regex);
    return STATUS_OK;
}

enum status kafka_topic_name_check(const char *name, struct error *err)
{
    const size_t size = strlen(name);
    if (size > 0 && size <= KAFKA_TOPIC_NAME_BYTES_MAX && strcmp(name, ".") != 0 &&
        strcmp(name, "..") != 0 &&
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == size)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID,
                     "\"%.260s\" is no name of a topic: letters, digits, '.', '_' and '-', at most "
                     "%d of them",
                     name, KAFKA_TOPIC_NAME_BYTES_MAX);
}

/* Kafka's own topics of state: of groups and of transactions. */
static bool is_internal(const char *name)
{
    return strcmp(name, "__consumer_offsets") == 0 || strcmp(name, "__transaction_state") == 0;
}

enum status kafka_topics_matching(struct kafka_client *client, const char *pattern, int timeout_ms,
                                  struct kafka_topic_list *list, struct error *err)
{
    regex_t regex;
    if (pattern != NULL)
        TRY(compile_pattern(pattern, &regex, err));
    const rd_kafka_metadata_t *metadata = NULL;
    const rd_kafka_resp_err_t code =
        rd_kafka_metadata(kafka_client_handle(client), 1, NULL, &metadata, timeout_ms);
    enum status status = STATUS_OK;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = kafka_client_failed(client, code, "list the topics", err);
    } else {
        kafka_client_is_well(client);
        list->broker_count = (uint32_t)metadata->broker_cnt;
        for (int i = 0; i < metadata->topic_cnt && status == STATUS_OK; i++) {
            const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
            if (topic->err == RD_KAFKA_RESP_ERR_NO_ERROR && !is_internal(topic->topic) &&
                (pattern == NULL || regexec(&regex, topic->topic, 0, NULL, 0) == 0))
                status = add_topic(list, topic, err);
        }
        if (list->count > 0)
            qsort(list->topics, list->count, sizeof(*list->topics), compare_topics);
        rd_kafka_metadata_destroy(metadata);
    }
    if (pattern != NULL)
        regfree(&regex);
    return status;
}

/* ---- making topics ---- */

static enum status created(rd_kafka_event_t *event, const char *what, struct kafka_client *client,
                           struct error *err)
{
    if (event == NULL)
        return kafka_client_failed(client, RD_KAFKA_RESP_ERR__TIMED_OUT, what, err);
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, what, err);
    size_t count = 0;
    const rd_kafka_topic_result_t **results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    if (count == 0 || rd_kafka_topic_result_error(results[0]) == RD_KAFKA_RESP_ERR_NO_ERROR)
        return STATUS_OK;
    const char *text = rd_kafka_topic_result_error_string(results[0]);
    const rd_kafka_resp_err_t refused = rd_kafka_topic_result_error(results[0]);
    return error_set(err, kafka_error_status(refused), "%s: %s%s", what,
                     text != NULL ? text : rd_kafka_err2str(refused), kafka_error_hint(refused));
}

enum status kafka_topic_create(struct kafka_client *client, const char *name, int partition_count,
                               int replication, const char *const *configs, int timeout_ms,
                               struct error *err)
{
    SCOPED_TEXT char *what = format_text("create topic \"%s\"", name);
    char problem[300] = "";
    rd_kafka_NewTopic_t *topic =
        rd_kafka_NewTopic_new(name, partition_count, replication, problem, sizeof(problem));
    if (topic == NULL)
        return error_set(err, STATUS_INVALID, "%s: %s", what, problem);
    for (; configs != NULL && *configs != NULL; configs += 2)
        (void)rd_kafka_NewTopic_set_config(topic, configs[0], configs[1]);
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, NULL, 0);
    (void)rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, NULL, 0);
    rd_kafka_CreateTopics(handle, &topic, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    const enum status status = created(event, what, client, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_NewTopic_destroy(topic);
    return status;
}
