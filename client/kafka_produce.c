/* millstream kafka produce: lines of the standard input become records. */
#include "client/kafka.h"
#include "common/base/allocate.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct producing {
    const struct kafka_arguments *arguments;
    struct kafka_client *client;
    const char *topic;
    rd_kafka_resp_err_t failure; /* of the first record that was not delivered */
};

static void on_delivered(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
    (void)handle;
    (void)opaque;
    struct producing *producing = message->_private;
    if (producing->failure == RD_KAFKA_RESP_ERR_NO_ERROR)
        producing->failure = message->err;
}

struct record {
    const void *key;
    size_t key_size;
    const void *value;
    size_t value_size;
    int32_t partition;
    int64_t timestamp_ms; /* 0: now */
    rd_kafka_headers_t *headers;
};

#define PARTS_MAX 8

static size_t make_parts(struct producing *producing, const struct record *record,
                         rd_kafka_vu_t parts[static PARTS_MAX])
{
    size_t count = 0;
    void *value = (void *)(uintptr_t)record->value;
    void *key = (void *)(uintptr_t)record->key;
    parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = producing->topic};
    parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition};
    parts[count++] =
        (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, record->value_size}};
    parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {key, record->key_size}};
    parts[count++] =
        (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp_ms};
    parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
    parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = producing};
    if (record->headers != NULL)
        parts[count++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_HEADERS,
                                         .u.headers = rd_kafka_headers_copy(record->headers)};
    return count;
}

static enum status send_record(struct producing *producing, const struct record *record,
                               struct error *err)
{
    rd_kafka_t *handle = kafka_client_handle(producing->client);
    while (producing->failure == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_vu_t parts[PARTS_MAX];
        const size_t count = make_parts(producing, record, parts);
        rd_kafka_error_t *error = rd_kafka_produceva(handle, parts, count);
        if (error == NULL)
            return STATUS_OK;
        /* It takes the headers only if it takes the record. */
        if (record->headers != NULL)
            rd_kafka_headers_destroy(parts[count - 1].u.headers);
        const bool is_full = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL;
        const enum status status =
            error_set(err, STATUS_INVALID, "produce: %s", rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        if (!is_full)
            return status;
        (void)rd_kafka_poll(handle, 1000);
    }
    return kafka_client_failed(producing->client, producing->failure, "produce", err);
}

/* ---- what a line says ---- */

static enum status text_record(const struct kafka_arguments *arguments, const char *line,
                               size_t size, struct record *record, struct error *err)
{
    record->value = line;
    record->value_size = size;
    if (arguments->key_separator == NULL)
        return STATUS_OK;
    const size_t separator_size = strlen(arguments->key_separator);
    const char *at = memmem(line, size, arguments->key_separator, separator_size);
    if (at == NULL)
        return error_set(err, STATUS_INVALID, "a line lacks the separator \"%.20s\": %.*s",
                         arguments->key_separator, size < 100 ? (int)size : 100, line);
    record->key = line;
    record->key_size = (size_t)(at - line);
    record->value = at + separator_size;
    record->value_size = size - record->key_size - separator_size;
    return STATUS_OK;
}

static void read_headers(const json_t *object, struct record *record)
{
    if (json_object_size(object) == 0)
        return;
    record->headers = rd_kafka_headers_new(json_object_size(object));
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        (void)rd_kafka_header_add(record->headers, name, -1, json_string_value(value),
                                  (ssize_t)json_string_length(value));
    }
}

/* {"key", "value", "partition", "timestamp", "headers": {}}; null or absent: none. */
static enum status json_record(json_t *object, struct record *record, struct error *err)
{
    json_t *key = json_object_get(object, "key");
    json_t *value = json_object_get(object, "value");
    if (!json_is_object(object) || (key != NULL && !json_is_string(key) && !json_is_null(key)) ||
        (value != NULL && !json_is_string(value) && !json_is_null(value)))
        return error_set(err, STATUS_INVALID,
                         "with --output json each line is an object whose key and value are "
                         "strings or null");
    record->key = json_string_value(key);
    record->key_size = json_string_length(key);
    record->value = json_string_value(value);
    record->value_size = json_string_length(value);
    const json_t *partition = json_object_get(object, "partition");
    if (json_is_integer(partition))
        record->partition = (int32_t)json_integer_value(partition);
    record->timestamp_ms = json_integer_value(json_object_get(object, "timestamp"));
    read_headers(json_object_get(object, "headers"), record);
    return STATUS_OK;
}

static enum status send_line(struct producing *producing, const char *line, size_t size,
                             struct error *err)
{
    struct record record = {.partition = (int32_t)producing->arguments->partition};
    if (!producing->arguments->is_json) {
        TRY(text_record(producing->arguments, line, size, &record, err));
        return send_record(producing, &record, err);
    }
    json_error_t where;
    json_t *object = json_loadb(line, size, JSON_ALLOW_NUL, &where);
    if (object == NULL)
        return error_set(err, STATUS_INVALID, "a line is no JSON: %s", where.text);
    enum status status = json_record(object, &record, err);
    if (status == STATUS_OK)
        status = send_record(producing, &record, err);
    if (record.headers != NULL)
        rd_kafka_headers_destroy(record.headers);
    json_decref(object);
    return status;
}

/* ---- all of it ---- */

static enum status send_lines(struct producing *producing, struct error *err)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && (size = getline(&line, &capacity, stdin)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            size--;
        status = send_line(producing, line, (size_t)size, err);
    }
    free(line);
    return status;
}

static enum status wait_for_all(struct producing *producing, struct error *err)
{
    rd_kafka_resp_err_t code =
        rd_kafka_flush(kafka_client_handle(producing->client), KAFKA_COMMAND_MS);
    if (producing->failure != RD_KAFKA_RESP_ERR_NO_ERROR)
        code = producing->failure;
    return code == RD_KAFKA_RESP_ERR_NO_ERROR
               ? STATUS_OK
               : kafka_client_failed(producing->client, code, "produce", err);
}

enum status kafka_produce(const struct kafka_arguments *arguments, struct error *err)
{
    if (arguments->positional_count != 1)
        return error_set(err, STATUS_INVALID, "one TOPIC is needed");
    struct kafka_arguments with = *arguments;
    struct setting *properties = allocate_array(arguments->property_count + 1, sizeof(*properties));
    if (arguments->property_count > 0)
        memcpy(properties, arguments->properties, arguments->property_count * sizeof(*properties));
    with.properties = properties;
    if (arguments->compression != NULL)
        properties[with.property_count++] = (struct setting){
            (char *)(uintptr_t) "compression.type", (char *)(uintptr_t)arguments->compression};
    struct producing producing = {.arguments = arguments, .topic = arguments->positionals[0]};
    with.delivered = on_delivered;
    enum status status = kafka_command_client(&with, KAFKA_PRODUCER, &producing.client, err);
    if (status == STATUS_OK)
        status = send_lines(&producing, err);
    if (status == STATUS_OK)
        status = wait_for_all(&producing, err);
    kafka_client_destroy(producing.client);
    free(properties);
    return status;
}
