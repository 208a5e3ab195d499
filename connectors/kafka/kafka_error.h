/*
 * What librdkafka's error codes mean for a job, and texts that say what to do.
 */
#ifndef CONNECTORS_KAFKA_KAFKA_ERROR_H
#define CONNECTORS_KAFKA_KAFKA_ERROR_H

#include "common/base/status.h"

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* STATUS_UNAVAILABLE: brokers that come back by themselves (leader elections, restarts, networks);
 * STATUS_NOT_FOUND: a topic or partition that is not there; STATUS_INVALID: no waiting helps
 * without someone changing something (authorization, configuration). What a broker says while it
 * starts or a password is being changed counts as unavailable: it is waited for, and shown. */
enum status kafka_error_status(rd_kafka_resp_err_t code);

/* Is it something that the client itself goes on trying? */
bool kafka_error_is_transient(rd_kafka_resp_err_t code);

/* What to do about it, beginning with ": ", or "". Static. */
const char *kafka_error_hint(rd_kafka_resp_err_t code);

/* Fills err with "<what>: <text of the code><hint>" and returns kafka_error_status(code). */
enum status kafka_error_set(struct error *err, rd_kafka_resp_err_t code, const char *what);

#endif
