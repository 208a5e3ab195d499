/* The options of the sink "kafka": see kafka_sink_options.h. */
#include "connectors/kafka/kafka_sink_options.h"

#include "common/base/allocate.h"
#include "common/base/nearest.h"
#include "connectors/kafka/kafka_key_format.h"
#include "connectors/kafka/kafka_topics.h"

#include <inttypes.h>
#include <stdio.h>

#define PROPERTIES_PREFIX "connector.properties."
/* Records that are sent together. */
#define SENT_BYTES_MAX      1000000
#define NEAREST_COLUMNS_MAX 100

enum sink_option {
    SINK_BROKERS,
    SINK_TOPIC,
    SINK_MODE,
    SINK_KEY,
    SINK_KEY_FORMAT,
    SINK_VALUE_FIELDS,
    SINK_PARTITIONER,
    SINK_PARTITION_COLUMN,
    SINK_TIMESTAMP,
    SINK_COMPRESSION,
    SINK_CREATE_TOPIC,
    SINK_PARTITIONS,
    SINK_REPLICATION,
    SINK_ON_MISSING,
    SINK_BUFFER_MEMORY,
    SINK_PROPERTIES,
    SINK_COUNT
};

static const char *const mode_choices[] = {"append", "upsert", NULL};
static const char *const value_fields_choices[] = {"all", "except_key", NULL};
/* In the order of the enum; then Flink's. */
static const char *const partitioner_choices[] = {"key",    "round_robin", "fixed",
                                                  "column", "round-robin", NULL};
static const enum kafka_partitioner partitioners[] = {
    KAFKA_PARTITIONER_KEY, KAFKA_PARTITIONER_ROUND_ROBIN, KAFKA_PARTITIONER_FIXED,
    KAFKA_PARTITIONER_COLUMN, KAFKA_PARTITIONER_ROUND_ROBIN};
static const char *const compression_choices[] = {"none", "gzip", "snappy", "lz4", "zstd", NULL};
static const char *const on_missing_choices[] = {"wait", "fail", NULL};

const struct option_spec kafka_sink_option_table[] = {
    [SINK_BROKERS] = KAFKA_OPTION_BROKERS,
    [SINK_TOPIC] = {.name = "topic",
                    .type = OPTION_STRING,
                    .flags = OPTION_REQUIRED | OPTION_MAIN,
                    .help = "The topic to write to."},
    [SINK_MODE] = {.name = "mode",
                   .type = OPTION_ENUM,
                   .fallback = "append",
                   .choices = mode_choices,
                   .help = "append: a record for each row; upsert: the newest record of a key is "
                           "its row, and a deleted row is a record without a value. upsert needs "
                           "`key` and takes changelogs."},
    [SINK_KEY] = {.name = "key",
                  .type = OPTION_LIST,
                  .alias = "key.fields",
                  .help = "Columns that make the record's key; records with equal keys stay in "
                          "order. Without it records have no key."},
    [SINK_KEY_FORMAT] = {.name = "key_format",
                         .type = OPTION_STRING,
                         .alias = "key.format",
                         .help = KAFKA_KEY_FORMAT_HELP},
    [SINK_VALUE_FIELDS] = {.name = "value_fields",
                           .type = OPTION_ENUM,
                           .fallback = "all",
                           .choices = value_fields_choices,
                           .help = "Whether the columns of the key are in the value, too."},
    [SINK_PARTITIONER] = {.name = "partitioner",
                          .type = OPTION_ENUM,
                          .fallback = "key",
                          .choices = partitioner_choices,
                          .alias = "sink.partitioner",
                          .help = "key: by the key's hash as Kafka's own clients do; round_robin; "
                                  "fixed: each subtask has one partition; column: the number in "
                                  "partition_column. All but key count the partitions once, at "
                                  "the start."},
    [SINK_PARTITION_COLUMN] = {.name = "partition_column",
                               .type = OPTION_STRING,
                               .help = "An INT or BIGINT column that holds the partition's number; "
                                       "`set` makes one of any expression. It is not written."},
    [SINK_TIMESTAMP] = {.name = "timestamp",
                        .type = OPTION_STRING,
                        .help = "A TIMESTAMP or TIMESTAMP_LTZ column that becomes the record's "
                                "time; without it that is the time of writing."},
    [SINK_COMPRESSION] = {.name = "compression",
                          .type = OPTION_ENUM,
                          .fallback = "none",
                          .choices = compression_choices,
                          .alias = "properties.compression.type",
                          .help = "How batches of records are compressed."},
    [SINK_CREATE_TOPIC] = {.name = "create_topic",
                           .type = OPTION_BOOL,
                           .fallback = "false",
                           .help = "Make the topic if it is not there."},
    [SINK_PARTITIONS] = {.name = "partitions",
                         .type = OPTION_INT,
                         .min = 1,
                         .max = KAFKA_PARTITIONS_MAX,
                         .help = "Partitions of a topic that is made; the default is the "
                                 "broker's."},
    [SINK_REPLICATION] = {.name = "replication",
                          .type = OPTION_INT,
                          .min = 1,
                          .max = 100,
                          .help = "Replication factor of a topic that is made; the default is the "
                                  "broker's."},
    [SINK_ON_MISSING] = {.name = "on_missing",
                         .type = OPTION_ENUM,
                         .fallback = "wait",
                         .choices = on_missing_choices,
                         .help = "What to do while the topic does not exist."},
    [SINK_BUFFER_MEMORY] = {.name = "buffer_memory",
                            .type = OPTION_SIZE,
                            .fallback = "16m",
                            .alias = "properties.buffer.memory",
                            .min = 1 << 20,
                            .max = INT64_C(1) << 30,
                            .help = "How much each subtask holds that no broker has confirmed; "
                                    "when it is full the sink waits."},
    [SINK_PROPERTIES] = KAFKA_OPTION_PROPERTIES,
    {.name = NULL},
};

/* ---- columns ---- */

static enum status find_column(const struct schema *rows, const char *option, const char *name,
                               uint32_t *ret_index, struct error *err)
{
    const char *names[NEAREST_COLUMNS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->column_count; i++) {
        if (strcmp(rows->columns[i].name, name) == 0) {
            *ret_index = i;
            return STATUS_OK;
        }
        if (count < NEAREST_COLUMNS_MAX)
            names[count++] = rows->columns[i].name;
    }
    const char *nearest = nearest_name(name, names, count);
    return error_set(err, STATUS_INVALID, "%s: there is no column \"%.100s\"%s%s%s", option, name,
                     nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?" : "");
}

static enum status read_key(const char *names, const struct schema *rows,
                            struct kafka_sink_options *options, struct error *err)
{
    options->key = allocate_array(rows->column_count, sizeof(*options->key));
    for (const char *at = names; *at != '\0';) {
        at += strspn(at, " ");
        const size_t size = strcspn(at, ",");
        size_t name_size = size;
        while (name_size > 0 && at[name_size - 1] == ' ')
            name_size--;
        SCOPED_TEXT char *name = copy_text_n(at, name_size);
        uint32_t index = 0;
        TRY(find_column(rows, "key", name, &index, err));
        for (uint32_t i = 0; i < options->key_count; i++) {
            if (options->key[i] == index)
                return error_set(err, STATUS_INVALID, "key: \"%s\" stands there twice", name);
        }
        options->key[options->key_count++] = index;
        at += size;
        at += *at == ',';
    }
    return STATUS_OK;
}

static enum status read_key_format(const char *given, const struct schema *rows,
                                   struct kafka_sink_options *options, struct error *err)
{
    if (options->key_count == 0)
        return given == NULL ? STATUS_OK
                             : error_set(err, STATUS_INVALID,
                                         "key_format: there is no `key` that it could be for");
    struct schema_column *columns = allocate_array(options->key_count, sizeof(*columns));
    for (uint32_t i = 0; i < options->key_count; i++)
        columns[i] = rows->columns[options->key[i]];
    SCOPED(schema_unref) struct schema *key = schema_create(columns, options->key_count, -1);
    free(columns);
    return kafka_key_format(given, key, false, &options->key_format, err);
}

static enum status read_partition_column(const char *given, const struct schema *rows,
                                         struct kafka_sink_options *options, struct error *err)
{
    const bool is_wanted = options->partitioner == KAFKA_PARTITIONER_COLUMN;
    if (!is_wanted && given != NULL)
        return error_set(err, STATUS_INVALID,
                         "partition_column: say `partitioner: column` to use it");
    if (!is_wanted)
        return STATUS_OK;
    if (given == NULL)
        return error_set(err, STATUS_INVALID,
                         "partitioner: column needs `partition_column`, the name of a column");
    TRY(find_column(rows, "partition_column", given, &options->partition_column, err));
    const enum type_kind kind = rows->columns[options->partition_column].type.kind;
    if (kind != TYPE_INT && kind != TYPE_BIGINT)
        return error_set(err, STATUS_INVALID,
                         "partition_column: \"%s\" must be INT or BIGINT: use cast(... as int)",
                         given);
    return STATUS_OK;
}

static enum status read_timestamp(const char *given, const struct schema *rows,
                                  struct kafka_sink_options *options, struct error *err)
{
    if (given == NULL)
        return STATUS_OK;
    options->has_timestamp = true;
    TRY(find_column(rows, "timestamp", given, &options->timestamp_column, err));
    const enum type_kind kind = rows->columns[options->timestamp_column].type.kind;
    if (kind != TYPE_TIMESTAMP && kind != TYPE_TIMESTAMP_LTZ)
        return error_set(err, STATUS_INVALID,
                         "timestamp: \"%s\" must be TIMESTAMP or TIMESTAMP_LTZ", given);
    return STATUS_OK;
}

/* ---- all of it ---- */

static enum status read_values(const struct option_value *values, const struct schema *rows,
                               struct kafka_sink_options *options, struct error *err)
{
    options->mode = (enum kafka_mode)values[SINK_MODE].integer;
    options->is_key_in_value = values[SINK_VALUE_FIELDS].integer == 0;
    options->partitioner = partitioners[values[SINK_PARTITIONER].integer];
    options->must_create = values[SINK_CREATE_TOPIC].boolean;
    options->partition_count =
        values[SINK_PARTITIONS].is_set ? (int)values[SINK_PARTITIONS].integer : -1;
    options->replication =
        values[SINK_REPLICATION].is_set ? (int)values[SINK_REPLICATION].integer : -1;
    options->must_exist = values[SINK_ON_MISSING].integer == 1;
    options->buffer_bytes = (uint64_t)values[SINK_BUFFER_MEMORY].integer;
    TRY(kafka_topic_name_check(options->topic, err));
    if (values[SINK_KEY].text != NULL)
        TRY(read_key(values[SINK_KEY].text, rows, options, err));
    if (options->mode == KAFKA_MODE_UPSERT && options->key_count == 0)
        return error_set(err, STATUS_INVALID,
                         "mode: upsert needs `key`, the columns that say which row is replaced");
    if (!options->must_create && (options->partition_count > 0 || options->replication > 0))
        return error_set(err, STATUS_INVALID,
                         "partitions, replication: they are for a topic that is made; say "
                         "`create_topic: true`");
    TRY(read_key_format(values[SINK_KEY_FORMAT].text, rows, options, err));
    TRY(read_partition_column(values[SINK_PARTITION_COLUMN].text, rows, options, err));
    return read_timestamp(values[SINK_TIMESTAMP].text, rows, options, err);
}

/* What at-least-once in order per key stands on. A message never times out: it waits for its
 * broker, and the checkpoint with it. */
static const char *const own_properties[] = {
    "acks", "all", "enable.idempotence", "true", "message.timeout.ms", "0", NULL,
};

static struct kafka_client_options client_options(const struct operator_spec *spec,
                                                  const struct kafka_sink_options *options)
{
    return (struct kafka_client_options){
        .role = KAFKA_PRODUCER,
        .brokers = options->brokers,
        .settings = spec->settings,
        .setting_count = spec->setting_count,
        .prefix = PROPERTIES_PREFIX,
        .own = own_properties,
    };
}

static enum status read_all(const struct operator_spec *spec, const struct schema *rows,
                            struct kafka_sink_options *options, struct error *err)
{
    struct option_value values[SINK_COUNT];
    TRY(options_from_settings(kafka_sink_option_table, spec->settings, spec->setting_count,
                              "connector.", values, err));
    options->brokers = copy_text(values[SINK_BROKERS].text);
    options->topic = copy_text(values[SINK_TOPIC].text);
    options->compression = copy_text(values[SINK_COMPRESSION].text);
    TRY(read_values(values, rows, options, err));
    const struct kafka_client_options client = client_options(spec, options);
    return kafka_client_check(&client, err);
}

enum status kafka_sink_options_read(const struct operator_spec *spec, const struct schema *rows,
                                    struct kafka_sink_options *ret_options, struct error *err)
{
    struct kafka_sink_options options = {0};
    const enum status status = read_all(spec, rows, &options, err);
    if (status != STATUS_OK)
        kafka_sink_options_done(&options);
    else
        *ret_options = options;
    return status;
}

void kafka_sink_options_done(struct kafka_sink_options *options)
{
    free(options->brokers);
    free(options->topic);
    free(options->key);
    free(options->compression);
    *options = (struct kafka_sink_options){0};
}

#define NUMBER_BYTES 24

enum status kafka_sink_client(const struct operator_spec *spec,
                              const struct kafka_sink_options *options, const char *client_id,
                              uint64_t buffer_bytes, uint64_t message_bytes,
                              void (*delivered)(rd_kafka_t *handle,
                                                const rd_kafka_message_t *message, void *opaque),
                              struct kafka_client **ret_client, struct error *err)
{
    char buffer_kbytes[NUMBER_BYTES];
    char message_max[NUMBER_BYTES];
    char batch_size[NUMBER_BYTES];
    (void)snprintf(buffer_kbytes, NUMBER_BYTES, "%" PRIu64, buffer_bytes / 1024);
    (void)snprintf(message_max, NUMBER_BYTES, "%" PRIu64, message_bytes);
    /* A batch counts as one message for the broker's limit. */
    (void)snprintf(batch_size, NUMBER_BYTES, "%" PRIu64,
                   message_bytes < SENT_BYTES_MAX ? message_bytes : SENT_BYTES_MAX);
    const char *const defaults[] = {
        "queue.buffering.max.kbytes", buffer_kbytes, "message.max.bytes", message_max, "batch.size",
        batch_size, "compression.codec", options->compression,
        /* Kafka's own hash, so that other clients find a key where they expect it. */
        "partitioner", "murmur2_random", NULL};
    struct kafka_client_options client = client_options(spec, options);
    client.client_id = client_id;
    client.defaults = defaults;
    client.delivered = delivered;
    return kafka_client_create(&client, ret_client, err);
}
