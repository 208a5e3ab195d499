/* Settings of topics: see kafka_topic_config.h. */
#include "connectors/kafka/kafka_topic_config.h"

#include "common/base/allocate.h"
#include "connectors/kafka/kafka_error.h"

#define MESSAGE_BYTES_DEFAULT 1048588

static void take_entry(const rd_kafka_ConfigEntry_t *entry, struct kafka_topic_config *config)
{
    const char *name = rd_kafka_ConfigEntry_name(entry);
    const char *value = rd_kafka_ConfigEntry_value(entry);
    if (name == NULL || value == NULL)
        return;
    const unsigned long long number = strtoull(value, NULL, 10);
    if (strcmp(name, "max.message.bytes") == 0 && number > 0)
        config->message_bytes_max = number;
    else if (strcmp(name, "min.insync.replicas") == 0 && number > 0 && number < UINT32_MAX)
        config->in_sync_min = (uint32_t)number;
    else if (strcmp(name, "cleanup.policy") == 0)
        config->is_compacted = strstr(value, "compact") != NULL;
}

/* A client that may not read settings may still write. */
static bool is_not_allowed(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
           code == RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
}

static enum status take_result(rd_kafka_event_t *event, const char *what,
                               struct kafka_client *client, struct kafka_topic_config *config,
                               struct error *err)
{
    if (event == NULL)
        return kafka_client_failed(client, RD_KAFKA_RESP_ERR__TIMED_OUT, what, err);
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (is_not_allowed(code))
        return STATUS_OK;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, what, err);
    size_t count = 0;
    const rd_kafka_ConfigResource_t **resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event), &count);
    if (count == 0)
        return STATUS_OK;
    code = rd_kafka_ConfigResource_error(resources[0]);
    if (is_not_allowed(code))
        return STATUS_OK;
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, what, err);
    size_t entry_count = 0;
    const rd_kafka_ConfigEntry_t **entries =
        rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++)
        take_entry(entries[i], config);
    return STATUS_OK;
}

enum status kafka_topic_config_read(struct kafka_client *client, const char *topic, int timeout_ms,
                                    struct kafka_topic_config *ret_config, struct error *err)
{
    SCOPED_TEXT char *what = format_text("settings of topic \"%s\"", topic);
    rd_kafka_t *handle = kafka_client_handle(client);
    rd_kafka_ConfigResource_t *resource =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(handle);
    rd_kafka_AdminOptions_t *options =
        rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, NULL, 0);
    rd_kafka_DescribeConfigs(handle, &resource, 1, options, queue);
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, timeout_ms + 1000);
    struct kafka_topic_config config = {.message_bytes_max = MESSAGE_BYTES_DEFAULT,
                                        .in_sync_min = 1};
    const enum status status = take_result(event, what, client, &config, err);
    if (event != NULL)
        rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    if (status == STATUS_OK)
        *ret_config = config;
    return status;
}
