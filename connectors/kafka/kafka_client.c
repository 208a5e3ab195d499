/* Clients of Kafka: see kafka_client.h. */
#include "connectors/kafka/kafka_client.h"

#include "common/base/allocate.h"
#include "common/base/log.h"
#include "connectors/kafka/kafka_error.h"

#include <pthread.h>
#include <stdio.h>

#define REASON_BYTES 600

struct kafka_client {
    rd_kafka_t *handle;
    enum kafka_role role;
    pthread_mutex_t lock;
    rd_kafka_resp_err_t code; /* the last error, 0: none */
    char reason[REASON_BYTES];
};

/* Ours, whoever the client is for. broker.address.ttl: names are resolved anew for each
 * connection, since a broker may come back under another address. */
static const char *const common_defaults[] = {
    "socket.keepalive.enable",
    "true",
    "broker.address.ttl",
    "0",
    "reconnect.backoff.ms",
    "50",
    "reconnect.backoff.max.ms",
    "2000",
    "socket.connection.setup.timeout.ms",
    "5000",
    "log.connection.close",
    "false",
    "allow.auto.create.topics",
    "false",
    "topic.metadata.refresh.interval.ms",
    "30000",
    NULL,
};

/* Refused in every job: they load code, or point elsewhere than the options say. */
static const char *const refused[] = {
    "plugin.library.paths", "bootstrap.servers",     "metadata.broker.list", "group.id", "opaque",
    "background_event_cb",  "test.mock.num.brokers", "transactional.id",     NULL,
};

/* Names of the Java client that people have at hand, and what stands for them. */
static const struct {
    const char *java;
    const char *instead;
} java_names[] = {
    {"sasl.jaas.config", "properties.sasl.username and properties.sasl.password"},
    {"ssl.truststore.location", "properties.ssl.ca.location with a PEM file"},
    {"ssl.truststore.password", "properties.ssl.ca.location with a PEM file"},
    {"ssl.truststore.certificates", "properties.ssl.ca.pem"},
    {"ssl.truststore.type", "properties.ssl.ca.location with a PEM file"},
    {"key.serializer", "format or key_format of the node"},
    {"value.serializer", "format of the node"},
    {"key.deserializer", "format or key_format of the node"},
    {"value.deserializer", "format of the node"},
    {"max.poll.records", "nothing: it is not needed"},
};

/* ---- checking ---- */

static const char *find_in(const char *const *names, size_t step, const char *name)
{
    for (; names != NULL && *names != NULL; names += step) {
        if (strcmp(*names, name) == 0)
            return *names;
    }
    return NULL;
}

/* Values of such properties appear in no message. */
static bool is_sensitive(const char *name)
{
    static const char *const parts[] = {"password", "secret", "token", "pem", "key", NULL};
    for (const char *const *part = parts; *part != NULL; part++) {
        if (strstr(name, *part) != NULL)
            return true;
    }
    return false;
}

/* Says what to use in place of a property that only the Java client has. */
static enum status check_java_name(const char *name, struct error *err)
{
    for (size_t i = 0; i < sizeof(java_names) / sizeof(java_names[0]); i++) {
        if (strcmp(java_names[i].java, name) == 0)
            return error_set(err, STATUS_INVALID,
                             "properties.%s belongs to Kafka's Java client: use %s", name,
                             java_names[i].instead);
    }
    return STATUS_OK;
}

static enum status set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                                struct error *err)
{
    char problem[300] = "";
    switch (rd_kafka_conf_set(conf, name, value, problem, sizeof(problem))) {
    case RD_KAFKA_CONF_OK:
        return STATUS_OK;
    case RD_KAFKA_CONF_UNKNOWN:
        return error_set(err, STATUS_INVALID,
                         "properties.%.100s: librdkafka has no property of that name", name);
    case RD_KAFKA_CONF_INVALID:
        break;
    }
    return error_set(err, STATUS_INVALID, "properties.%s: %s", name,
                     is_sensitive(name) ? "librdkafka refuses the value" : problem);
}

static enum status set_pairs(rd_kafka_conf_t *conf, const char *const *pairs, struct error *err)
{
    for (; pairs != NULL && *pairs != NULL; pairs += 2)
        TRY(set_property(conf, pairs[0], pairs[1], err));
    return STATUS_OK;
}

static enum status set_given(rd_kafka_conf_t *conf, const struct kafka_client_options *options,
                             struct error *err)
{
    const size_t prefix_size = strlen(options->prefix);
    for (size_t i = 0; i < options->setting_count; i++) {
        const struct setting *setting = &options->settings[i];
        if (strncmp(setting->key, options->prefix, prefix_size) != 0)
            continue;
        const char *name = setting->key + prefix_size;
        if (strcmp(name, "bootstrap.servers") == 0)
            continue; /* the other name of `brokers` */
        if (find_in(refused, 1, name) != NULL || find_in(options->own, 2, name) != NULL)
            return error_set(err, STATUS_INVALID,
                             "properties.%s cannot be set: the connector decides it itself", name);
        TRY(check_java_name(name, err));
        TRY(set_property(conf, name, setting->value, err));
    }
    return STATUS_OK;
}

/* host:port, [v6]:port, or with a listener's name in front of "://". */
static enum status check_broker(const char *text, size_t size, struct error *err)
{
    const char *end = text + size;
    const char *colon = end;
    while (colon > text && colon[-1] != ':')
        colon--;
    bool is_good = colon > text + 1 && colon < end && end - colon <= 5;
    for (const char *at = colon; is_good && at < end; at++)
        is_good = *at >= '0' && *at <= '9';
    if (is_good)
        return STATUS_OK;
    return error_set(err, STATUS_INVALID, "brokers: \"%.*s\" is no host:port, such as kafka-1:9092",
                     size < 100 ? (int)size : 100, text);
}

static enum status check_brokers(const char *brokers, struct error *err)
{
    const char *at = brokers;
    while (true) {
        at += strspn(at, " ");
        const size_t size = strcspn(at, ", ");
        TRY(check_broker(at, size, err));
        at += size;
        at += strspn(at, " ");
        if (*at == '\0')
            return STATUS_OK;
        at++;
    }
}

/* ---- events ---- */

static bool is_vague(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT;
}

/* A refused password is followed by the end of the connection: the first says more. */
static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque)
{
    (void)handle;
    struct kafka_client *client = opaque;
    const rd_kafka_resp_err_t error = (rd_kafka_resp_err_t)code;
    (void)pthread_mutex_lock(&client->lock);
    const bool is_less = error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && client->code != 0;
    if (!is_less && (client->code == 0 || is_vague(client->code) || !is_vague(error))) {
        client->code = error;
        (void)snprintf(client->reason, sizeof(client->reason), "%s", reason);
    }
    (void)pthread_mutex_unlock(&client->lock);
}

/* librdkafka's own log: what matters comes as errors, too. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
    log_event(level <= 3 ? LOG_WARN : LOG_DEBUG, "kafka_client", "client",
              handle != NULL ? rd_kafka_name(handle) : NULL, "about", facility, "text", text, NULL);
}

/* ---- making one ---- */

static enum status make_conf(const struct kafka_client_options *options, rd_kafka_conf_t *conf,
                             struct error *err)
{
    TRY(check_brokers(options->brokers, err));
    TRY(set_pairs(conf, common_defaults, err));
    TRY(set_property(conf, "client.id",
                     options->client_id != NULL ? options->client_id : "millstream", err));
    if (options->group != NULL)
        TRY(set_property(conf, "group.id", options->group, err));
    TRY(set_pairs(conf, options->defaults, err));
    TRY(set_given(conf, options, err));
    TRY(set_pairs(conf, options->own, err));
    return set_property(conf, "bootstrap.servers", options->brokers, err);
}

enum status kafka_client_check(const struct kafka_client_options *options, struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const enum status status = make_conf(options, conf, err);
    rd_kafka_conf_destroy(conf);
    return status;
}

enum status kafka_client_create(const struct kafka_client_options *options,
                                struct kafka_client **ret_client, struct error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const enum status status = make_conf(options, conf, err);
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    struct kafka_client *client = allocate(sizeof(*client));
    client->role = options->role;
    (void)pthread_mutex_init(&client->lock, NULL);
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (options->delivered != NULL)
        rd_kafka_conf_set_dr_msg_cb(conf, options->delivered);
    char problem[400] = "";
    client->handle =
        rd_kafka_new(options->role == KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf,
                     problem, sizeof(problem));
    if (client->handle == NULL) {
        rd_kafka_conf_destroy(conf);
        kafka_client_destroy(client);
        return error_set(err, STATUS_INVALID, "make a Kafka client: %s", problem);
    }
    *ret_client = client;
    return STATUS_OK;
}

void kafka_client_destroy(struct kafka_client *client)
{
    if (client == NULL)
        return;
    if (client->handle != NULL)
        rd_kafka_destroy_flags(client->handle, client->role == KAFKA_CONSUMER
                                                   ? RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE
                                                   : 0);
    (void)pthread_mutex_destroy(&client->lock);
    free(client);
}

rd_kafka_t *kafka_client_handle(struct kafka_client *client)
{
    return client->handle;
}

bool kafka_client_reason(struct kafka_client *client, struct text *out)
{
    (void)pthread_mutex_lock(&client->lock);
    const rd_kafka_resp_err_t code = client->code;
    if (code != 0)
        text_format(out, "%s%s", client->reason, kafka_error_hint(code));
    (void)pthread_mutex_unlock(&client->lock);
    return code != 0;
}

void kafka_client_is_well(struct kafka_client *client)
{
    (void)pthread_mutex_lock(&client->lock);
    client->code = 0;
    (void)pthread_mutex_unlock(&client->lock);
}

enum status kafka_client_failed(struct kafka_client *client, rd_kafka_resp_err_t code,
                                const char *what, struct error *err)
{
    (void)rd_kafka_poll(client->handle, 0); /* errors that wait to be seen */
    struct text reason SCOPED_TEXT_BUFFER;
    text_init(&reason, REASON_BYTES + 200);
    if (kafka_error_is_transient(code) && kafka_client_reason(client, &reason))
        return error_set(err, STATUS_UNAVAILABLE, "%s: %s", what, reason.bytes);
    return kafka_error_set(err, code, what);
}
