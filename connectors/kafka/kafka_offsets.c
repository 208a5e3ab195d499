/* Offsets of partitions as brokers know them: see kafka_offsets.h. */
#include "connectors/kafka/kafka_offsets.h"

#include "common/base/allocate.h"
#include "connectors/kafka/kafka_error.h"

static enum status first_failure(struct kafka_client *client,
                                 const rd_kafka_topic_partition_list_t *list, struct error *err)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *entry = &list->elems[i];
        if (entry->err == RD_KAFKA_RESP_ERR_NO_ERROR)
            continue;
        SCOPED_TEXT char *what =
            format_text("offsets of %s[%d]", entry->topic, (int)entry->partition);
        return kafka_client_failed(client, entry->err, what, err);
    }
    return STATUS_OK;
}

static rd_kafka_topic_partition_list_t *entries_at(const rd_kafka_topic_partition_list_t *list,
                                                   bool (*is_wanted)(int64_t offset))
{
    rd_kafka_topic_partition_list_t *chosen = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *entry = &list->elems[i];
        if (is_wanted(entry->offset))
            rd_kafka_topic_partition_list_add(chosen, entry->topic, entry->partition)->offset =
                RD_KAFKA_OFFSET_END;
    }
    return chosen;
}

static bool is_end(int64_t offset)
{
    return offset == RD_KAFKA_OFFSET_END;
}

/* A time behind the last record gives no offset: the end is meant. */
static enum status find_ends(struct kafka_client *client, rd_kafka_topic_partition_list_t *list,
                             int timeout_ms, struct error *err)
{
    rd_kafka_topic_partition_list_t *ends = entries_at(list, is_end);
    enum status status = STATUS_OK;
    if (ends->cnt > 0) {
        const rd_kafka_resp_err_t code =
            rd_kafka_offsets_for_times(kafka_client_handle(client), ends, timeout_ms);
        status = first_failure(client, ends, err);
        if (status == STATUS_OK && code != RD_KAFKA_RESP_ERR_NO_ERROR)
            status = kafka_client_failed(client, code, "find the ends of partitions", err);
    }
    for (int i = 0; i < ends->cnt && status == STATUS_OK; i++) {
        const rd_kafka_topic_partition_t *end = &ends->elems[i];
        rd_kafka_topic_partition_list_find(list, end->topic, end->partition)->offset = end->offset;
    }
    rd_kafka_topic_partition_list_destroy(ends);
    return status;
}

enum status kafka_offsets_find(struct kafka_client *client, rd_kafka_topic_partition_list_t *list,
                               int timeout_ms, struct error *err)
{
    if (list->cnt == 0)
        return STATUS_OK;
    const rd_kafka_resp_err_t code =
        rd_kafka_offsets_for_times(kafka_client_handle(client), list, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        TRY(first_failure(client, list, err));
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, "find offsets", err);
    kafka_client_is_well(client);
    return find_ends(client, list, timeout_ms, err);
}

enum status kafka_offsets_committed(struct kafka_client *client,
                                    rd_kafka_topic_partition_list_t *list, int timeout_ms,
                                    struct error *err)
{
    if (list->cnt == 0)
        return STATUS_OK;
    const rd_kafka_resp_err_t code =
        rd_kafka_committed(kafka_client_handle(client), list, timeout_ms);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_client_failed(client, code, "read the offsets that the group committed", err);
    kafka_client_is_well(client);
    return first_failure(client, list, err);
}

enum status kafka_offsets_range(struct kafka_client *client, const char *topic, int32_t partition,
                                int timeout_ms, int64_t *ret_first, int64_t *ret_end,
                                struct error *err)
{
    const rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        kafka_client_handle(client), topic, partition, ret_first, ret_end, timeout_ms);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        kafka_client_is_well(client);
        return STATUS_OK;
    }
    SCOPED_TEXT char *what = format_text("offsets of %s[%d]", topic, (int)partition);
    return kafka_client_failed(client, code, what, err);
}
