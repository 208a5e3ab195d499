/*
 * Clients of Kafka, made from the options that source, sink and the command line share.
 *
 * A client is one librdkafka handle with its threads. Its defaults are ours where they bear on
 * correctness (kafka_client.c has the list); `properties.*` of the job go to librdkafka as they
 * are, except those that the connectors need for themselves. Secrets are already in the values.
 *
 * Threads: create, destroy, and everything with a timeout may block and belong off the worker;
 * kafka_client_reason may be called anywhere.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_CLIENT_H
#define CONNECTORS_KAFKA_KAFKA_CLIENT_H

#include "common/api/connector.h"

#include <librdkafka/rdkafka.h>

/* The rows that every table of options begins with. */
#define KAFKA_OPTION_BROKERS                                                                       \
    {                                                                                              \
        .name = "brokers", .type = OPTION_LIST, .flags = OPTION_REQUIRED,                          \
        .alias = "properties.bootstrap.servers",                                                   \
        .help = "host:port of one or more brokers; the others are found through them."             \
    }
#define KAFKA_OPTION_PROPERTIES                                                                    \
    {                                                                                              \
        .name = "properties.*", .type = OPTION_MAP,                                                \
        .help = "Passed to librdkafka as they are: properties.security.protocol, "                 \
                "properties.sasl.mechanism, properties.ssl.ca.location, and the rest of its list " \
                "(CONFIGURATION.md of librdkafka 2.0)."                                            \
    }

/* Milliseconds that one request to a broker may take in enumerators and checks. */
#define KAFKA_REQUEST_MS 3000
/* Milliseconds that a probe at submit may take in all. */
#define KAFKA_PROBE_MS 2000

enum kafka_role { KAFKA_CONSUMER, KAFKA_PRODUCER };

struct kafka_client;

struct kafka_client_options {
    enum kafka_role role;
    const char *brokers;
    const char *client_id; /* NULL: "millstream" */
    const char *group;     /* consumers; NULL: none */
    /* settings of the operator's spec: those that begin with prefix ("connector.properties.") */
    const struct setting *settings;
    size_t setting_count;
    const char *prefix;
    /* What the connector needs itself: pairs of name and value that end in NULL. These names are
     * refused among the job's properties. */
    const char *const *own;
    /* Defaults of the connector that a job's properties may replace; the same form, or NULL. */
    const char *const *defaults;
    /* Producers: called for each message that was confirmed or given up, on the thread that polls
     * the handle; the message's own opaque is in it. NULL: nobody wants to know. */
    void (*delivered)(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque);
};

/* Is everything right that can be seen without a broker: names and values of properties, brokers
 * of the form host:port? STATUS_INVALID says which and what to write. Reads the files that
 * properties name. */
enum status kafka_client_check(const struct kafka_client_options *options,
                               struct error *err) MUST_CHECK;

/* Opens no connection by itself. */
enum status kafka_client_create(const struct kafka_client_options *options,
                                struct kafka_client **ret_client, struct error *err) MUST_CHECK;
/* Consumers leave without a commit; producers drop what they have not sent. May take seconds. */
void kafka_client_destroy(struct kafka_client *client);

rd_kafka_t *kafka_client_handle(struct kafka_client *client);

/* Why brokers cannot be reached or refuse us, as the client saw it last: "127.0.0.1:9092: Connect
 * to ... failed: Connection refused". false if nothing is known to be wrong. */
bool kafka_client_reason(struct kafka_client *client, struct text *out);
/* A broker has answered: what was wrong before is over. Any thread. */
void kafka_client_is_well(struct kafka_client *client);

/* Fills err with "<what>: <reason>", the reason being the client's or the code's text. */
enum status kafka_client_failed(struct kafka_client *client, rd_kafka_resp_err_t code,
                                const char *what, struct error *err);

#endif
