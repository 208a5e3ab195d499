/* millstream kafka consume: records of a topic, one line each. */
#include "client/kafka.h"
#include "common/base/allocate.h"
#include "common/data/value_text.h"
#include "connectors/kafka/kafka_error.h"
#include "connectors/kafka/kafka_offsets.h"
#include "connectors/kafka/kafka_topics.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t is_interrupted;

static void on_interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

/* ---- where to begin ---- */

static enum status start_offset(const char *from, int64_t *ret, struct error *err)
{
    if (from == NULL || strcmp(from, "earliest") == 0) {
        *ret = KAFKA_OFFSET_EARLIEST;
        return STATUS_OK;
    }
    if (strcmp(from, "latest") == 0) {
        *ret = KAFKA_OFFSET_LATEST;
        return STATUS_OK;
    }
    char *end = NULL;
    errno = 0;
    *ret = strtoll(from[0] == '@' ? from + 1 : from, &end, 10);
    if (errno != 0 || *end != '\0' || *ret < 0)
        return error_set(err, STATUS_INVALID,
                         "--from needs earliest, latest, an offset, or @ and milliseconds since "
                         "1970");
    return STATUS_OK;
}

/* The partitions wanted, at the offsets where reading begins. */
static enum status find_starts(struct kafka_client *client, const struct kafka_arguments *arguments,
                               rd_kafka_topic_partition_list_t *list, struct error *err)
{
    int64_t start = 0;
    TRY(start_offset(arguments->from, &start, err));
    struct kafka_topic_list topics = {0};
    TRY(kafka_topic_find(client, arguments->positionals[0], KAFKA_COMMAND_MS / 3, &topics, err));
    const struct kafka_topic *topic = &topics.topics[0];
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (arguments->partition < 0 || arguments->partition == topic->partitions[i].id)
            rd_kafka_topic_partition_list_add(list, topic->name, topic->partitions[i].id)->offset =
                start;
    }
    kafka_topic_list_done(&topics);
    if (list->cnt == 0)
        return error_set(err, STATUS_NOT_FOUND, "topic \"%s\" has no partition %" PRId64,
                         arguments->positionals[0], arguments->partition);
    if (start >= 0 && arguments->from[0] != '@')
        return STATUS_OK; /* it is an offset already */
    return kafka_offsets_find(client, list, KAFKA_COMMAND_MS / 3, err);
}

/* ---- printing ---- */

static void append_bytes(struct text *out, const char *name, const void *bytes, size_t size)
{
    text_format(out, ",\"%s\":", name);
    if (bytes == NULL)
        text_append(out, "null");
    else
        text_append_json(out, bytes, size);
}

static void append_headers(struct text *out, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    text_append(out, ",\"headers\":{");
    for (size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        text_append(out, i > 0 ? "," : "");
        text_append_json(out, name, strlen(name));
        text_append_char(out, ':');
        if (value == NULL)
            text_append(out, "null");
        else
            text_append_json(out, value, size);
    }
    text_append_char(out, '}');
}

/* One object a line; bytes that are no UTF-8 are shown as the replacement character. */
static void print_json(const rd_kafka_message_t *message, struct text *out)
{
    text_clear(out);
    text_append(out, "{\"topic\":");
    const char *topic = rd_kafka_topic_name(message->rkt);
    text_append_json(out, topic, strlen(topic));
    text_format(out, ",\"partition\":%d,\"offset\":%" PRId64 ",\"timestamp\":%" PRId64,
                (int)message->partition, message->offset,
                rd_kafka_message_timestamp(message, NULL));
    append_bytes(out, "key", message->key, message->key_len);
    append_bytes(out, "value", message->payload, message->len);
    append_headers(out, message);
    text_append(out, "}\n");
    (void)fwrite(out->bytes, 1, out->size, stdout);
}

static void print_text(const rd_kafka_message_t *message)
{
    (void)fwrite(message->payload != NULL ? message->payload : "", 1, message->len, stdout);
    (void)putchar('\n');
}

/* ---- reading ---- */

static enum status read_records(struct kafka_client *client,
                                const struct kafka_arguments *arguments, int partition_count,
                                struct error *err)
{
    struct text line SCOPED_TEXT_BUFFER;
    text_init(&line, 256 * 1024 * 1024);
    int open_count = partition_count; /* whose end has not been seen */
    for (int64_t printed = 0; arguments->limit < 0 || printed < arguments->limit;) {
        if (is_interrupted || (open_count == 0 && !arguments->follows))
            break;
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka_client_handle(client), 200);
        if (message == NULL) {
            (void)fflush(stdout);
            continue;
        }
        enum status status = STATUS_OK;
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            open_count -= open_count > 0;
        } else if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            if (arguments->is_json)
                print_json(message, &line);
            else
                print_text(message);
            printed++;
        } else if (!kafka_error_is_transient(message->err)) {
            status = error_set(err, kafka_error_status(message->err), "consume: %s",
                               rd_kafka_message_errstr(message));
        } else if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
            status =
                error_set(err, STATUS_NOT_FOUND, "consume: %s", rd_kafka_message_errstr(message));
        }
        rd_kafka_message_destroy(message);
        TRY(status);
    }
    (void)fflush(stdout);
    return STATUS_OK;
}

enum status kafka_consume(const struct kafka_arguments *arguments, struct error *err)
{
    if (arguments->positional_count != 1)
        return error_set(err, STATUS_INVALID, "one TOPIC is needed");
    (void)signal(SIGINT, on_interrupt);
    (void)signal(SIGTERM, on_interrupt);
    struct kafka_client *client = NULL;
    TRY(kafka_command_client(arguments, KAFKA_CONSUMER, &client, err));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    enum status status = find_starts(client, arguments, list, err);
    if (status == STATUS_OK) {
        rd_kafka_t *handle = kafka_client_handle(client);
        (void)rd_kafka_poll_set_consumer(handle);
        const rd_kafka_resp_err_t code = rd_kafka_assign(handle, list);
        status = code == RD_KAFKA_RESP_ERR_NO_ERROR
                     ? read_records(client, arguments, list->cnt, err)
                     : kafka_error_set(err, code, "consume");
    }
    rd_kafka_topic_partition_list_destroy(list);
    kafka_client_destroy(client);
    return status;
}
