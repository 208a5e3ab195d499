/* The options of the source "kafka": see kafka_source_options.h. */
#include "connectors/kafka/kafka_source_options.h"

#include "common/base/allocate.h"
#include "connectors/kafka/kafka_key_format.h"
#include "connectors/kafka/kafka_topics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define PROPERTIES_PREFIX "connector.properties."

enum source_option {
    SOURCE_BROKERS,
    SOURCE_TOPICS,
    SOURCE_TOPIC_PATTERN,
    SOURCE_GROUP,
    SOURCE_START,
    SOURCE_START_TIMESTAMP,
    SOURCE_START_OFFSETS,
    SOURCE_END,
    SOURCE_END_TIMESTAMP,
    SOURCE_END_OFFSETS,
    SOURCE_DISCOVERY,
    SOURCE_ON_MISSING,
    SOURCE_ON_LOST_OFFSETS,
    SOURCE_FETCH_MEMORY,
    SOURCE_KEY,
    SOURCE_KEY_FORMAT,
    SOURCE_PROPERTIES,
    SOURCE_COUNT
};

/* Ours first, in the order of the enums, then Flink's. */
static const char *const start_choices[] = {
    "group",         "earliest",        "latest",        "timestamp",        "offsets",
    "group-offsets", "earliest-offset", "latest-offset", "specific-offsets", NULL};
static const enum kafka_start starts[] = {
    KAFKA_START_GROUP,     KAFKA_START_EARLIEST, KAFKA_START_LATEST,
    KAFKA_START_TIMESTAMP, KAFKA_START_OFFSETS,  KAFKA_START_GROUP,
    KAFKA_START_EARLIEST,  KAFKA_START_LATEST,   KAFKA_START_OFFSETS};
static const char *const end_choices[] = {
    "unbounded", "latest", "timestamp", "offsets", "latest-offset", "specific-offsets", NULL};
static const enum kafka_end ends[] = {KAFKA_END_NEVER,   KAFKA_END_LATEST, KAFKA_END_TIMESTAMP,
                                      KAFKA_END_OFFSETS, KAFKA_END_LATEST, KAFKA_END_OFFSETS};
static const char *const on_missing_choices[] = {"wait", "fail", NULL};
static const char *const on_lost_choices[] = {"fail", "earliest", "latest", NULL};

const struct option_spec kafka_source_option_table[] = {
    [SOURCE_BROKERS] = KAFKA_OPTION_BROKERS,
    [SOURCE_TOPICS] = {.name = "topics",
                       .type = OPTION_LIST,
                       .flags = OPTION_MAIN,
                       .alias = "topic",
                       .help = "Names of the topics to read; this or topic_pattern is needed."},
    [SOURCE_TOPIC_PATTERN] = {.name = "topic_pattern",
                              .type = OPTION_STRING,
                              .alias = "topic-pattern",
                              .help = "An extended regular expression: topics whose whole name "
                                      "matches are read, also those made later."},
    [SOURCE_GROUP] = {.name = "group",
                      .type = OPTION_STRING,
                      .fallback = OPTION_FALLBACK_JOB_NAME,
                      .alias = "properties.group.id",
                      .help = "Consumer group: where `start: group` begins, and under which name "
                              "positions are committed for tools that show lag. Readers do not "
                              "join it: checkpoints hold the positions."},
    [SOURCE_START] = {.name = "start",
                      .type = OPTION_ENUM,
                      .fallback = "group",
                      .choices = start_choices,
                      .alias = "scan.startup.mode",
                      .help = "Where a job without a checkpoint begins; group: at the group's "
                              "committed offset, else at the earliest. Partitions found later "
                              "are read from their beginning."},
    [SOURCE_START_TIMESTAMP] = {.name = "start_timestamp",
                                .type = OPTION_INT,
                                .alias = "scan.startup.timestamp-millis",
                                .max = INT64_C(253402300799999),
                                .help = "For `start: timestamp`: milliseconds since 1970; the "
                                        "first record at or after it."},
    [SOURCE_START_OFFSETS] = {.name = "start_offsets",
                              .type = OPTION_STRING,
                              .alias = "scan.startup.specific-offsets",
                              .help = "For `start: offsets`: \"0:42, 1:300\" or \"orders[0]:42\"; "
                                      "partitions not named begin at the earliest."},
    [SOURCE_END] = {.name = "end",
                    .type = OPTION_ENUM,
                    .fallback = "unbounded",
                    .choices = end_choices,
                    .alias = "scan.bounded.mode",
                    .help = "Where the input ends; latest: at what is there when the job starts."},
    [SOURCE_END_TIMESTAMP] = {.name = "end_timestamp",
                              .type = OPTION_INT,
                              .alias = "scan.bounded.timestamp-millis",
                              .max = INT64_C(253402300799999),
                              .help = "For `end: timestamp`: milliseconds since 1970; the first "
                                      "record at or after it is not read."},
    [SOURCE_END_OFFSETS] = {.name = "end_offsets",
                            .type = OPTION_STRING,
                            .alias = "scan.bounded.specific-offsets",
                            .help = "For `end: offsets`: as start_offsets; the record at the "
                                    "offset is not read, partitions not named end at the latest."},
    [SOURCE_DISCOVERY] = {.name = "discovery",
                          .type = OPTION_DURATION,
                          .fallback = "5s",
                          .alias = "scan.topic-partition-discovery.interval",
                          .max = INT64_C(86400000),
                          .help = "Look for new partitions and topics this often, and for the "
                                  "brokers; 0s: only at the start."},
    [SOURCE_ON_MISSING] = {.name = "on_missing",
                           .type = OPTION_ENUM,
                           .fallback = "wait",
                           .choices = on_missing_choices,
                           .help = "What to do while a topic does not exist."},
    [SOURCE_ON_LOST_OFFSETS] = {.name = "on_lost_offsets",
                                .type = OPTION_ENUM,
                                .fallback = "fail",
                                .choices = on_lost_choices,
                                .help = "What to do when the broker no longer has the offset to go "
                                        "on from, or the topic was made anew: fail, or skip to "
                                        "the earliest or the latest record with a warning."},
    [SOURCE_FETCH_MEMORY] = {.name = "fetch_memory",
                             .type = OPTION_SIZE,
                             .fallback = "16m",
                             .min = 65536,
                             .max = INT64_C(1) << 30,
                             .help = "How much each subtask fetches ahead, over all its "
                                     "partitions; one answer of a broker may come on top."},
    [SOURCE_KEY] = {.name = "key",
                    .type = OPTION_LIST,
                    .alias = "key.fields",
                    .help = "Columns of the schema that are decoded from the record's key."},
    [SOURCE_KEY_FORMAT] = {.name = "key_format",
                           .type = OPTION_STRING,
                           .alias = "key.format",
                           .help = KAFKA_KEY_FORMAT_HELP},
    [SOURCE_PROPERTIES] = KAFKA_OPTION_PROPERTIES,
    {.name = NULL},
};

/* ---- offsets by name ---- */

static enum status bad_offset(const char *option, const char *text, struct error *err)
{
    return error_set(err, STATUS_INVALID,
                     "%s: \"%.80s\" is no partition:offset, such as \"0:42\" or \"orders[0]:42\"",
                     option, text);
}

static bool parse_number(const char **at, int64_t max, int64_t *ret)
{
    if (**at < '0' || **at > '9')
        return false;
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(*at, &end, 10);
    *at = end;
    *ret = value;
    return errno == 0 && value <= max;
}

/* One of "0:42", "orders[0]:42", "partition:0,offset:42". */
static bool parse_named(const char *text, struct kafka_named_offset *ret)
{
    int64_t partition = 0;
    const char *at = text;
    const char *bracket = strchr(text, '[');
    const bool is_flink = strncmp(text, "partition:", 10) == 0;
    if (bracket != NULL)
        at = bracket + 1;
    else if (is_flink)
        at += 10;
    if (!parse_number(&at, INT32_MAX, &partition))
        return false;
    const char *between = bracket != NULL ? "]:" : is_flink ? ",offset:" : ":";
    if (strncmp(at, between, strlen(between)) != 0)
        return false;
    at += strlen(between);
    if (!parse_number(&at, INT64_MAX - 1, &ret->offset) || *at != '\0')
        return false;
    ret->partition = (int32_t)partition;
    ret->topic = bracket != NULL ? copy_text_n(text, (size_t)(bracket - text)) : NULL;
    return true;
}

static enum status parse_offsets(const char *option, const char *text,
                                 struct kafka_named_offset **ret, size_t *ret_count,
                                 struct error *err)
{
    /* Flink's form separates by semicolons and holds a comma itself. */
    const char *separators = strstr(text, "partition:") != NULL ? "; " : ",; ";
    size_t capacity = 0;
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, separators);
        const size_t size = strcspn(at, separators);
        if (size == 0)
            break;
        SCOPED_TEXT char *entry = copy_text_n(at, size);
        struct kafka_named_offset named = {0};
        if (!parse_named(entry, &named))
            return bad_offset(option, entry, err);
        array_push(*ret, *ret_count, capacity) = named;
        at += size;
    }
    return *ret_count > 0 ? STATUS_OK : bad_offset(option, text, err);
}

int64_t kafka_named_offset_find(const struct kafka_named_offset *offsets, size_t count,
                                const char *topic, int32_t partition)
{
    int64_t found = -1;
    for (size_t i = 0; i < count; i++) {
        if (offsets[i].partition != partition)
            continue;
        if (offsets[i].topic == NULL)
            found = offsets[i].offset;
        else if (strcmp(offsets[i].topic, topic) == 0)
            return offsets[i].offset;
    }
    return found;
}

/* ---- reading ---- */

void kafka_source_options_done(struct kafka_source_options *options)
{
    for (size_t i = 0; i < options->topic_count; i++)
        free(options->topics[i]);
    for (size_t i = 0; i < options->start_offset_count; i++)
        free(options->start_offsets[i].topic);
    for (size_t i = 0; i < options->end_offset_count; i++)
        free(options->end_offsets[i].topic);
    free(options->start_offsets);
    free(options->end_offsets);
    free(options->topics);
    free(options->brokers);
    free(options->pattern);
    free(options->group);
    free(options->key);
    free(options->key_format);
    *options = (struct kafka_source_options){0};
}

static enum status read_topics(const char *text, struct kafka_source_options *options,
                               struct error *err)
{
    size_t capacity = 0;
    for (const char *at = text; *at != '\0';) {
        at += strspn(at, ",; ");
        const size_t size = strcspn(at, ",; ");
        if (size == 0)
            break;
        char *name = copy_text_n(at, size);
        at += size;
        array_push(options->topics, options->topic_count, capacity) = name;
        TRY(kafka_topic_name_check(name, err));
        for (size_t i = 0; i + 1 < options->topic_count; i++) {
            if (strcmp(options->topics[i], name) == 0)
                return error_set(err, STATUS_INVALID, "topics: \"%s\" is named twice", name);
        }
    }
    return options->topic_count > 0 ? STATUS_OK
                                    : error_set(err, STATUS_INVALID, "topics: no topic is named");
}

static enum status check_together(bool is_wanted, bool is_given, const char *option,
                                  const char *mode, struct error *err)
{
    if (is_wanted && !is_given)
        return error_set(err, STATUS_INVALID, "`%s` needs the option %s", mode, option);
    if (!is_wanted && is_given)
        return error_set(err, STATUS_INVALID, "the option %s is only used with `%s`", option, mode);
    return STATUS_OK;
}

static enum status check_options(const struct option_value *values,
                                 const struct kafka_source_options *options, struct error *err)
{
    if (values[SOURCE_TOPICS].is_set == values[SOURCE_TOPIC_PATTERN].is_set)
        return error_set(err, STATUS_INVALID, "give one of the options topics and topic_pattern");
    TRY(check_together(options->start == KAFKA_START_TIMESTAMP,
                       values[SOURCE_START_TIMESTAMP].is_set, "start_timestamp", "start: timestamp",
                       err));
    TRY(check_together(options->start == KAFKA_START_OFFSETS, values[SOURCE_START_OFFSETS].is_set,
                       "start_offsets", "start: offsets", err));
    TRY(check_together(options->end == KAFKA_END_TIMESTAMP, values[SOURCE_END_TIMESTAMP].is_set,
                       "end_timestamp", "end: timestamp", err));
    TRY(check_together(options->end == KAFKA_END_OFFSETS, values[SOURCE_END_OFFSETS].is_set,
                       "end_offsets", "end: offsets", err));
    if (values[SOURCE_KEY_FORMAT].is_set && !values[SOURCE_KEY].is_set)
        return error_set(err, STATUS_INVALID,
                         "key_format needs the option key: the columns that the key holds");
    return STATUS_OK;
}

static char *copy_if_given(const struct option_value *value)
{
    return value->text != NULL ? copy_text(value->text) : NULL;
}

static enum status read_values(const struct option_value *values,
                               struct kafka_source_options *options, struct error *err)
{
    options->brokers = copy_text(values[SOURCE_BROKERS].text);
    options->pattern = copy_if_given(&values[SOURCE_TOPIC_PATTERN]);
    options->group = copy_text(values[SOURCE_GROUP].text);
    options->start = starts[values[SOURCE_START].integer];
    options->start_ms = values[SOURCE_START_TIMESTAMP].integer;
    options->end = ends[values[SOURCE_END].integer];
    options->end_ms = values[SOURCE_END_TIMESTAMP].integer;
    options->discovery_ms = values[SOURCE_DISCOVERY].integer;
    options->on_missing = (enum kafka_on_missing)values[SOURCE_ON_MISSING].integer;
    options->on_lost = (enum kafka_on_lost)values[SOURCE_ON_LOST_OFFSETS].integer;
    options->fetch_memory_bytes = (uint64_t)values[SOURCE_FETCH_MEMORY].integer;
    options->key = copy_if_given(&values[SOURCE_KEY]);
    options->key_format = copy_if_given(&values[SOURCE_KEY_FORMAT]);
    TRY(check_options(values, options, err));
    if (options->pattern != NULL)
        TRY(kafka_topic_pattern_check(options->pattern, err));
    else
        TRY(read_topics(values[SOURCE_TOPICS].text, options, err));
    if (options->start == KAFKA_START_OFFSETS)
        TRY(parse_offsets("start_offsets", values[SOURCE_START_OFFSETS].text,
                          &options->start_offsets, &options->start_offset_count, err));
    if (options->end == KAFKA_END_OFFSETS)
        TRY(parse_offsets("end_offsets", values[SOURCE_END_OFFSETS].text, &options->end_offsets,
                          &options->end_offset_count, err));
    return STATUS_OK;
}

/* ---- the client ---- */

/* What a reader that keeps its own positions needs; lost offsets have rules of their own. */
static const char *const own_properties[] = {
    "enable.auto.commit",
    "false",
    "enable.auto.offset.store",
    "false",
    "auto.offset.reset",
    "error",
    "enable.partition.eof",
    "true",
    "check.crcs",
    "true",
    NULL,
};

static struct kafka_client_options client_options(const struct operator_spec *spec,
                                                  const struct kafka_source_options *options)
{
    return (struct kafka_client_options){
        .role = KAFKA_CONSUMER,
        .brokers = options->brokers,
        .group = options->group,
        .settings = spec->settings,
        .setting_count = spec->setting_count,
        .prefix = PROPERTIES_PREFIX,
        .own = own_properties,
    };
}

enum status kafka_source_client(const struct operator_spec *spec,
                                const struct kafka_source_options *options, const char *client_id,
                                uint64_t queue_bytes, struct kafka_client **ret_client,
                                struct error *err)
{
    const uint64_t part_bytes = queue_bytes / 4 < 1048576 ? queue_bytes / 4 : 1048576;
    const uint64_t half = queue_bytes / 2 < 8388608 ? queue_bytes / 2 : 8388608;
    const uint64_t answer_bytes = half > 1048576 ? half : 1048576; /* librdkafka wants no less */
    char queue_kbytes[24];
    char part[24];
    char answer[24];
    (void)snprintf(queue_kbytes, sizeof(queue_kbytes), "%" PRIu64, queue_bytes / 1024);
    (void)snprintf(part, sizeof(part), "%" PRIu64, part_bytes);
    (void)snprintf(answer, sizeof(answer), "%" PRIu64, answer_bytes);
    const char *const defaults[] = {
        "isolation.level", "read_committed", "queued.max.messages.kbytes", queue_kbytes,
        "fetch.message.max.bytes", part, "fetch.max.bytes", answer,
        /* Brokers answer at once when there is something; this is how long they wait if not. */
        "fetch.wait.max.ms", "500", "fetch.error.backoff.ms", "100", NULL};
    struct kafka_client_options given = client_options(spec, options);
    given.client_id = client_id;
    given.defaults = defaults;
    return kafka_client_create(&given, ret_client, err);
}

enum status kafka_source_options_read(const struct operator_spec *spec,
                                      struct kafka_source_options *ret_options, struct error *err)
{
    struct option_value values[SOURCE_COUNT];
    TRY(options_from_settings(kafka_source_option_table, spec->settings, spec->setting_count,
                              "connector.", values, err));
    struct kafka_source_options options = {0};
    enum status status = read_values(values, &options, err);
    if (status == STATUS_OK) {
        const struct kafka_client_options client = client_options(spec, &options);
        status = kafka_client_check(&client, err);
    }
    if (status == STATUS_OK)
        *ret_options = options;
    else
        kafka_source_options_done(&options);
    return status;
}
