/* The client's side of the REST API: see rest_client.h. */
#include "client/rest_client.h"

#include "common/base/allocate.h"
#include "common/base/text.h"

#include <curl/curl.h>
#include <string.h>

struct rest_client {
    CURL *curl;
    char *address;
};

struct rest_client *rest_client_create(const char *address)
{
    struct rest_client *client = allocate(sizeof(*client));
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    client->curl = curl_easy_init();
    client->address =
        strstr(address, "://") != NULL ? copy_text(address) : format_text("http://%s", address);
    return client;
}

void rest_client_destroy(struct rest_client *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->curl);
    free(client->address);
    free(client);
}

const char *rest_client_address(const struct rest_client *client)
{
    return client->address;
}

static size_t collect(char *bytes, size_t size, size_t count, void *out)
{
    struct text *text = out;
    text_append_bytes(text, bytes, size * count);
    return text->overflowed ? 0 : size * count;
}

/* The server's messages, joined: {"errors":["a","b"]}. */
static void join_errors(const json_t *answer, struct text *out)
{
    const json_t *errors = json_object_get(answer, "errors");
    size_t index;
    json_t *message;
    json_array_foreach(errors, index, message)
    {
        if (index > 0)
            text_append_char(out, '\n');
        const char *text = json_string_value(message);
        text_append(out, text != NULL ? text : "(an error without text)");
    }
}

static enum status code_of_http(long http_status)
{
    if (http_status == 404)
        return STATUS_NOT_FOUND;
    if (http_status == 409)
        return STATUS_EXISTS;
    if (http_status == 503)
        return STATUS_UNAVAILABLE;
    return http_status < 500 ? STATUS_INVALID : STATUS_IO;
}

static enum status check_answer(const struct rest_client *client, long http_status,
                                const json_t *answer, const char *wanted, struct error *err)
{
    if (http_status < 300 && json_is_object(answer)) {
        if (wanted == NULL || json_object_get(answer, wanted) != NULL)
            return STATUS_OK;
        return error_set(err, STATUS_IO,
                         "%s answered without \"%s\"; is it a Millstream JobManager?",
                         client->address, wanted);
    }
    struct text message;
    text_init(&message, ERROR_MESSAGE_MAX);
    join_errors(answer, &message);
    if (message.size == 0)
        text_format(&message,
                    "%s answered HTTP %ld without an error message; is it a Millstream "
                    "JobManager?",
                    client->address, http_status);
    const enum status code =
        answer == NULL || http_status < 400 ? STATUS_IO : code_of_http(http_status);
    (void)error_set(err, code, "%s", message.bytes);
    text_done(&message);
    return code;
}

static CURLcode perform(struct rest_client *client, const char *method, const char *path,
                        const char *body, struct text *answer, long *ret_http_status)
{
    SCOPED_TEXT char *url = format_text("%s%s", client->address, path);
    CURL *curl = client->curl;
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_reset(curl);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    /* A cluster is reached directly; a proxy of the environment is for the web. */
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)REST_CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)REST_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (body != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
    const CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_http_status);
    curl_slist_free_all(headers);
    return code;
}

enum status rest_call(struct rest_client *client, const char *method, const char *path,
                      const json_t *body, const char *wanted, json_t **ret_answer,
                      struct error *err)
{
    *ret_answer = NULL;
    char *body_text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    struct text answer_text;
    text_init(&answer_text, REST_ANSWER_BYTES_MAX);
    long http_status = 0;
    const CURLcode code = perform(client, method, path, body_text, &answer_text, &http_status);
    free(body_text);
    enum status status = STATUS_OK;
    if (code != CURLE_OK) {
        status = error_set(err, STATUS_UNAVAILABLE,
                           "cannot reach the JobManager at %s: %s; is it running, and is -m (or "
                           "rest.address and rest.port) right?",
                           client->address, curl_easy_strerror(code));
    } else {
        *ret_answer = json_loadb(answer_text.bytes, answer_text.size, JSON_REJECT_DUPLICATES, NULL);
        status = check_answer(client, http_status, *ret_answer, wanted, err);
    }
    text_done(&answer_text);
    return status;
}
