/*
 * millstream kafka topics | produce | consume: for people without Kafka's own tools.
 *
 * Results go to stdout, one line each; exit codes as everywhere. The commands share how a cluster
 * is named: --brokers HOST:PORT[,...], -X NAME=VALUE for properties of librdkafka.
 */
#ifndef CLIENT_KAFKA_H
#define CLIENT_KAFKA_H

#include "client/command.h"
#include "connectors/kafka/kafka_client.h"

#define KAFKA_COMMAND_MS 30000

struct kafka_arguments {
    const char *brokers;
    struct setting *properties; /* borrowed texts, names without prefix */
    size_t property_count;
    const char *positionals[16];
    size_t positional_count;
    bool is_json;
    /* topics */
    bool creates;
    bool deletes;
    bool grows;
    const char *trim; /* offset before which records are deleted */
    const char *group;
    int64_t partitions;  /* -1: the broker's default */
    int64_t replication; /* -1: the broker's default */
    struct setting *configs;
    size_t config_count;
    /* produce and consume */
    int64_t partition; /* -1: any, all */
    const char *key_separator;
    const char *compression;
    const char *from; /* earliest, latest, an offset, or a time in ms after '@' */
    int64_t limit;    /* -1: none */
    bool follows;
    /* Of produce: as in struct kafka_client_options. */
    void (*delivered)(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque);
};

enum status kafka_command_client(const struct kafka_arguments *arguments, enum kafka_role role,
                                 struct kafka_client **ret_client, struct error *err) MUST_CHECK;

enum status kafka_topics(const struct kafka_arguments *arguments, struct error *err) MUST_CHECK;
enum status kafka_produce(const struct kafka_arguments *arguments, struct error *err) MUST_CHECK;
enum status kafka_consume(const struct kafka_arguments *arguments, struct error *err) MUST_CHECK;

/* The whole command line; argv[1] is "kafka". */
enum exit_code command_kafka(int argc, char **argv);

#endif
