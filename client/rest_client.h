/*
 * The client's side of the REST API: one call at a time to one JobManager (libcurl, jansson).
 * One thread.
 */
#ifndef CLIENT_REST_CLIENT_H
#define CLIENT_REST_CLIENT_H

#include "common/base/status.h"

#include <jansson.h>

#define REST_ANSWER_BYTES_MAX   (64 * 1024 * 1024)
#define REST_CONNECT_TIMEOUT_MS 5000
#define REST_TIMEOUT_MS         30000

struct rest_client;

/* address: "host:port", "[::1]:8081" or "http://host:port". */
struct rest_client *rest_client_create(const char *address) __attribute__((returns_nonnull));
void rest_client_destroy(struct rest_client *client);
const char *rest_client_address(const struct rest_client *client); /* "http://host:port" */

/*
 * method "GET", "POST", "PATCH"; path with its query ("/jobs/overview"); body may be NULL
 * (borrowed); wanted: a field that a JobManager's answer has, or NULL. On an HTTP status below 400
 * *ret_answer is the answer (json_decref it). Else: STATUS_UNAVAILABLE  no contact; the message
 * names the address and what to do STATUS_NOT_FOUND    404      STATUS_EXISTS 409 STATUS_INVALID
 * other 4xx STATUS_IO           5xx, or an answer that is no JSON object or has no field named
 * wanted with the server's "errors" joined by line breaks as message. *ret_answer is then the
 * server's JSON, if there is any, else NULL.
 */
enum status rest_call(struct rest_client *client, const char *method, const char *path,
                      const json_t *body, const char *wanted, json_t **ret_answer,
                      struct error *err) MUST_CHECK;

#endif
