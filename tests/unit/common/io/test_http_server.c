/* common/io: the HTTP server's routes, limits and refusals; the event loop. */
#include "common/io/event_loop.h"
#include "common/io/http_server.h"

#include <check.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void answer_job(void *context, const struct http_request *request,
                       struct http_response *response)
{
    (void)context;
    const char *query = http_request_query(request, "q");
    text_format(&response->body, "%s|%s|%s|%zu", request->parameters[0],
                request->parameters[1] != NULL ? request->parameters[1] : "-",
                query != NULL ? query : "-", request->body_size);
}

static const struct http_route routes[] = {
    {"GET", "/jobs/overview", answer_job, ""},
    {"GET", "/jobs/:jobid", answer_job, ""},
    {"GET", "/jobs/:jobid/vertices/:vertexid", answer_job, ""},
    {"POST", "/jobs", answer_job, ""},
    {0},
};

static struct http_server *server;

static void start_server(void)
{
    struct error err;
    ck_assert_msg(http_server_start("127.0.0.1", 0, 0, routes, NULL, &server, &err) == STATUS_OK,
                  "%s", err.message);
}

static void stop_server(void)
{
    http_server_stop(server);
}

static size_t collect(char *bytes, size_t size, size_t count, void *out)
{
    text_append_bytes(out, bytes, size * count);
    return size * count;
}

/* Returns the HTTP status; the answer's body is in out. */
static long ask(const char *method, const char *path, const char *body, size_t body_size,
                struct text *out)
{
    char url[4096];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_server_port(server), path);
    CURL *curl = curl_easy_init();
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (body != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body_size);
    }
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    text_clear(out);
    ck_assert_int_eq(curl_easy_perform(curl), CURLE_OK);
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    return status;
}

START_TEST(routes_match_by_part)
{
    struct text out;
    text_init(&out, 10000);
    ck_assert_int_eq(ask("GET", "/jobs/abc?q=1", NULL, 0, &out), 200);
    ck_assert_str_eq(out.bytes, "abc|-|1|0");
    ck_assert_int_eq(ask("GET", "/v1/jobs/abc/vertices/x", NULL, 0, &out), 200);
    ck_assert_str_eq(out.bytes, "abc|x|-|0");
    ck_assert_int_eq(ask("POST", "/jobs", "hello", 5, &out), 200);
    ck_assert_str_eq(out.bytes, "(null)|-|-|5");
    text_done(&out);
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
    struct text out;
    text_init(&out, 10000);
    ck_assert_int_eq(ask("GET", "/nosuch", NULL, 0, &out), 404);
    ck_assert_str_eq(out.bytes, "{\"errors\":[\"Unable to load requested file /nosuch.\"]}");
    ck_assert_int_eq(ask("GET", "/jobs/", NULL, 0, &out), 404);
    ck_assert_int_eq(ask("GET", "/jobs/a/b", NULL, 0, &out), 404);
    ck_assert_int_eq(ask("DELETE", "/jobs/a", NULL, 0, &out), 405);
    text_done(&out);
}
END_TEST

START_TEST(too_large_bodies_and_paths_are_refused)
{
    struct text out;
    text_init(&out, 10000);
    const size_t size = HTTP_BODY_BYTES_MAX + 1;
    char *body = calloc(1, size + 1);
    memset(body, 'x', size);
    ck_assert_int_eq(ask("POST", "/jobs", body, size, &out), 413);
    free(body);
    char path[HTTP_PATH_BYTES_MAX + 100];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    ck_assert_int_eq(ask("GET", path, NULL, 0, &out), 414);
    text_done(&out);
}
END_TEST

START_TEST(a_port_in_use_is_said)
{
    struct http_server *second = NULL;
    struct error err;
    const uint16_t port = http_server_port(server);
    ck_assert_int_eq(http_server_start("127.0.0.1", port, port, routes, NULL, &second, &err),
                     STATUS_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.message, "the port is in use"));
}
END_TEST

static int64_t count_ticks(void *context, int64_t now_us)
{
    (void)now_us;
    (*(int *)context)++;
    return EVENT_LOOP_NO_DEADLINE;
}

static struct event_loop *loop;
static int calls;

static void count_call(void *argument)
{
    calls++;
    if (argument != NULL)
        event_loop_stop(loop);
}

static void *post_many(void *argument)
{
    (void)argument;
    for (int i = 0; i < 1000; i++)
        ck_assert(event_loop_post(loop, count_call, NULL));
    ck_assert(event_loop_post(loop, count_call, loop));
    return NULL;
}

START_TEST(loop_runs_every_posted_call)
{
    int ticks = 0;
    loop = event_loop_create(clock_system(), count_ticks, &ticks);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, post_many, NULL), 0);
    event_loop_run(loop);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(calls, 1001);
    ck_assert_int_ge(ticks, 1);
    ck_assert(!event_loop_post(loop, count_call, NULL));
    event_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("io");
    TCase *http = tcase_create("http");
    tcase_set_timeout(http, 30);
    tcase_add_checked_fixture(http, start_server, stop_server);
    tcase_add_test(http, routes_match_by_part);
    tcase_add_test(http, what_is_not_there_is_refused);
    tcase_add_test(http, too_large_bodies_and_paths_are_refused);
    tcase_add_test(http, a_port_in_use_is_said);
    suite_add_tcase(suite, http);
    TCase *loops = tcase_create("loop");
    tcase_add_test(loops, loop_runs_every_posted_call);
    suite_add_tcase(suite, loops);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
