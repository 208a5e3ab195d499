/* librdkafka's error codes: see kafka_error.h. */
#include "connectors/kafka/kafka_error.h"

enum status kafka_error_status(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return STATUS_OK;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        return STATUS_NOT_FOUND;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION:
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
        return STATUS_INVALID;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        return STATUS_EXISTS;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
        return STATUS_UNAVAILABLE;
    default: /* the codes are the library's, and it adds some */
        return STATUS_UNAVAILABLE;
    }
}

bool kafka_error_is_transient(rd_kafka_resp_err_t code)
{
    return kafka_error_status(code) == STATUS_UNAVAILABLE;
}

const char *kafka_error_hint(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
        return ": create it (millstream kafka topics --create), or correct the name";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return ": the brokers' access lists must let this user describe and read or write the "
               "topic";
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return ": the brokers' access lists must let this user read with this group";
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        /* Kafka 4 checks a nonce that older versions of the library get wrong. */
        return rd_kafka_version() < 0x02060100
                   ? ": check properties.sasl.username, properties.sasl.password, "
                     "properties.sasl.mechanism; SCRAM with brokers of Kafka 4 needs librdkafka "
                     "2.6.1 or newer, this one is older"
                   : ": check properties.sasl.username, properties.sasl.password, "
                     "properties.sasl.mechanism";
    case RD_KAFKA_RESP_ERR__SSL:
        return ": check properties.ssl.ca.location and the broker's certificate";
    case RD_KAFKA_RESP_ERR__RESOLVE:
        return ": check the name of the broker";
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return ": there are fewer brokers than that";
    default:
        return "";
    }
}

enum status kafka_error_set(struct error *err, rd_kafka_resp_err_t code, const char *what)
{
    return error_set(err, kafka_error_status(code), "%s: %s%s", what, rd_kafka_err2str(code),
                     kafka_error_hint(code));
}
