/* millstream kafka: its command line, and what the three commands share. */
#include "client/kafka.h"

#include "common/base/allocate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage:\n"
    "  millstream kafka topics --brokers HOST:PORT [TOPIC...] [--group GROUP]\n"
    "      lists topics, or for those named their partitions, offsets and a group's lag\n"
    "  millstream kafka topics --brokers HOST:PORT --create TOPIC... [--partitions N]\n"
    "                          [--replication N] [--config NAME=VALUE]...\n"
    "  millstream kafka topics --brokers HOST:PORT --delete TOPIC...\n"
    "  millstream kafka topics --brokers HOST:PORT --grow TOPIC... --partitions N\n"
    "  millstream kafka topics --brokers HOST:PORT --trim OFFSET TOPIC [--partition N]\n"
    "      deletes the records before an offset\n"
    "  millstream kafka produce --brokers HOST:PORT TOPIC [--key-separator TEXT] [--partition N]\n"
    "                           [--compression gzip|snappy|lz4|zstd]\n"
    "      each line of the standard input is a record; --output json: as consume prints them\n"
    "  millstream kafka consume --brokers HOST:PORT TOPIC [--partition N] [--follow] [-n COUNT]\n"
    "                           [--from earliest|latest|OFFSET|@MILLISECONDS] [--output json]\n"
    "      prints values up to the present end, or for ever; in JSON with key, offset and so on\n"
    "  all: -X NAME=VALUE for a property of librdkafka, such as security.protocol=SASL_SSL; a "
    "value\n"
    "       that begins with @ names a file that holds it\n";

/* ---- the command line ---- */

struct kafka_option {
    const char *name;
    const char **text;
    int64_t *number;
    bool *flag;
};

static char *read_value_file(const char *path, struct error *err)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        (void)error_set_errno(err, errno, "open %s", path);
        return NULL;
    }
    char *text = allocate(65537);
    const size_t size = fread(text, 1, 65536, file);
    (void)fclose(file);
    text[size] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

/* NAME=VALUE; the texts are freed with the arguments. */
static enum status add_pair(const char *option, const char *pair, bool may_be_file,
                            struct setting **settings, size_t *count, size_t *capacity,
                            struct error *err)
{
    const char *equals = strchr(pair, '=');
    if (equals == NULL || equals == pair)
        return error_set(err, STATUS_INVALID, "%s needs NAME=VALUE", option);
    char *value =
        may_be_file && equals[1] == '@' ? read_value_file(equals + 2, err) : copy_text(equals + 1);
    if (value == NULL)
        return err->code;
    array_push(*settings, *count, *capacity) =
        (struct setting){.key = copy_text_n(pair, (size_t)(equals - pair)), .value = value};
    return STATUS_OK;
}

static enum status set_number(const char *name, const char *text, int64_t *ret, struct error *err)
{
    char *end = NULL;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0)
        return error_set(err, STATUS_INVALID, "%s needs a number, not \"%.50s\"", name, text);
    *ret = value;
    return STATUS_OK;
}

static enum status parse_option(struct kafka_arguments *arguments, const char *name,
                                const char *value, bool *ret_takes_value, struct error *err)
{
    const struct kafka_option options[] = {
        {"--brokers", &arguments->brokers, NULL, NULL},
        {"--group", &arguments->group, NULL, NULL},
        {"--trim", &arguments->trim, NULL, NULL},
        {"--key-separator", &arguments->key_separator, NULL, NULL},
        {"--compression", &arguments->compression, NULL, NULL},
        {"--from", &arguments->from, NULL, NULL},
        {"--partitions", NULL, &arguments->partitions, NULL},
        {"--replication", NULL, &arguments->replication, NULL},
        {"--partition", NULL, &arguments->partition, NULL},
        {"-n", NULL, &arguments->limit, NULL},
        {"--create", NULL, NULL, &arguments->creates},
        {"--delete", NULL, NULL, &arguments->deletes},
        {"--grow", NULL, NULL, &arguments->grows},
        {"--follow", NULL, NULL, &arguments->follows},
    };
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(options[i].name, name) != 0)
            continue;
        *ret_takes_value = options[i].flag == NULL;
        if (options[i].flag != NULL) {
            *options[i].flag = true;
            return STATUS_OK;
        }
        if (value == NULL)
            return error_set(err, STATUS_INVALID, "%s needs a value", name);
        if (options[i].number != NULL)
            return set_number(name, value, options[i].number, err);
        *options[i].text = value;
        return STATUS_OK;
    }
    return error_set(err, STATUS_INVALID, "unknown option %.100s", name);
}

static enum status parse(int argc, char **argv, struct kafka_arguments *arguments,
                         struct error *err)
{
    size_t property_capacity = 0;
    size_t config_capacity = 0;
    for (int i = 3; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "-X") == 0 || strcmp(argv[i], "--config") == 0) {
            const bool is_property = argv[i][1] == 'X';
            if (value == NULL)
                return error_set(err, STATUS_INVALID, "%s needs NAME=VALUE", argv[i]);
            if (is_property)
                TRY(add_pair("-X", value, true, &arguments->properties, &arguments->property_count,
                             &property_capacity, err));
            else
                TRY(add_pair("--config", value, false, &arguments->configs,
                             &arguments->config_count, &config_capacity, err));
            i++;
        } else if (strcmp(argv[i], "--output") == 0) {
            if (value == NULL || (strcmp(value, "json") != 0 && strcmp(value, "text") != 0))
                return error_set(err, STATUS_INVALID, "--output needs json or text");
            arguments->is_json = strcmp(value, "json") == 0;
            i++;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            bool takes_value = false;
            TRY(parse_option(arguments, argv[i], value, &takes_value, err));
            i += takes_value;
        } else if (arguments->positional_count <
                   sizeof(arguments->positionals) / sizeof(arguments->positionals[0])) {
            arguments->positionals[arguments->positional_count++] = argv[i];
        } else {
            return error_set(err, STATUS_INVALID, "too many topics at once");
        }
    }
    if (arguments->brokers == NULL)
        return error_set(err, STATUS_INVALID, "--brokers HOST:PORT is missing");
    return STATUS_OK;
}

static void settings_done(struct setting *settings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(settings[i].key);
        free(settings[i].value);
    }
    free(settings);
}

/* ---- shared ---- */

enum status kafka_command_client(const struct kafka_arguments *arguments, enum kafka_role role,
                                 struct kafka_client **ret_client, struct error *err)
{
    static const char *const own[] = {"enable.auto.commit",
                                      "false",
                                      "enable.auto.offset.store",
                                      "false",
                                      "enable.partition.eof",
                                      "true",
                                      "auto.offset.reset",
                                      "error",
                                      NULL};
    static const char *const defaults[] = {"isolation.level", "read_committed", NULL};
    static const char *const producer[] = {"enable.idempotence", "true", "message.max.bytes",
                                           "33554432", NULL};
    const struct kafka_client_options options = {
        .role = role,
        .brokers = arguments->brokers,
        .client_id = "millstream-cli",
        .group = role == KAFKA_CONSUMER
                     ? arguments->group != NULL ? arguments->group : "millstream-cli"
                     : NULL,
        .settings = arguments->properties,
        .setting_count = arguments->property_count,
        .prefix = "",
        .own = role == KAFKA_CONSUMER ? own : NULL,
        .defaults = role == KAFKA_CONSUMER ? defaults : producer,
        .delivered = arguments->delivered,
    };
    return kafka_client_create(&options, ret_client, err);
}

enum exit_code command_kafka(int argc, char **argv)
{
    static const struct {
        const char *name;
        enum status (*run)(const struct kafka_arguments *arguments, struct error *err);
    } commands[] = {
        {"topics", kafka_topics}, {"produce", kafka_produce}, {"consume", kafka_consume}};
    struct error err;
    for (size_t i = 0; argc > 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, argv[2]) != 0)
            continue;
        struct kafka_arguments arguments = {
            .partitions = -1, .replication = -1, .partition = -1, .limit = -1};
        enum exit_code code = EXIT_USAGE;
        if (parse(argc, argv, &arguments, &err) != STATUS_OK) {
            (void)fprintf(stderr, "millstream kafka %s: %s\n%s", argv[2], err.message, usage);
        } else {
            const enum status status = commands[i].run(&arguments, &err);
            code = status == STATUS_OK            ? EXIT_DONE
                   : status == STATUS_UNAVAILABLE ? EXIT_UNREACHABLE
                                                  : EXIT_REFUSED;
            if (status != STATUS_OK)
                (void)fprintf(stderr, "millstream kafka %s: %s\n", argv[2], err.message);
        }
        settings_done(arguments.properties, arguments.property_count);
        settings_done(arguments.configs, arguments.config_count);
        return code;
    }
    (void)fputs(usage, argc > 2 && strcmp(argv[2], "help") == 0 ? stdout : stderr);
    return argc > 2 && strcmp(argv[2], "help") == 0 ? EXIT_DONE : EXIT_USAGE;
}
