/* A GET with libcurl: see http_fetch.h. */
#include "common/io/http_fetch.h"

#include "common/base/allocate.h"

#include <curl/curl.h>
#include <pthread.h>
#include <string.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t collect(char *bytes, size_t size, size_t count, void *out)
{
    struct text *text = out;
    text_append_bytes(text, bytes, size * count);
    return text->overflowed ? 0 : size * count;
}

enum status http_fetch(const char *host, uint16_t port, const char *path, int64_t timeout_ms,
                       struct text *out, struct error *err)
{
    (void)pthread_once(&once, init);
    const bool is_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
    SCOPED_TEXT char *url =
        format_text(is_ipv6 ? "http://[%s]:%u%s" : "http://%s:%u%s", host, (unsigned)port, path);
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return error_set(err, STATUS_LIMIT, "%s: no HTTP client", url);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    const CURLcode code = curl_easy_perform(curl);
    long http_status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http_status);
    curl_easy_cleanup(curl);
    if (code != CURLE_OK)
        return error_set(err, STATUS_UNAVAILABLE, "%s: %s", url, curl_easy_strerror(code));
    if (http_status != 200)
        return error_set(err, STATUS_UNAVAILABLE, "%s answered HTTP %ld", url, http_status);
    return STATUS_OK;
}
