/* What every transport promises, with each of them: memory, sockets, nng. */
#include "common/io/transport_memory.h"

#include "common/base/allocate.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/random.h"

#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KINDS       3
#define SENDERS     3
#define FRAMES      300
#define WAIT_US     20000000
#define REASON_SIZE 300

/* One end of a connection and what has come to it. */
struct end {
    struct transport *transport;
    struct connection *connection; /* a reference */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t frames;
    uint64_t bytes;
    uint32_t next[SENDERS]; /* what each sender has to send next */
    bool is_wrong;
    bool must_echo;
    bool is_slow; /* keeps its transport's thread */
    uint32_t writable;
    uint32_t closed;
    char reason[REASON_SIZE];
};

struct pair {
    struct transport *transports[2];
    struct listener *listener;
    char *address;
    struct end dialler;
    struct end acceptor;
};

/* ---- callbacks ---- */

static void on_frame(void *context, struct connection *connection, const struct frame *frame)
{
    struct end *end = context;
    pthread_mutex_lock(&end->mutex);
    while (end->is_slow)
        pthread_cond_wait(&end->changed, &end->mutex);
    const uint32_t size = frame->payload != NULL ? frame->payload->size : 0;
    uint32_t number = 0;
    if (size >= sizeof(number))
        memcpy(&number, frame->payload->bytes, sizeof(number));
    if (frame->channel < SENDERS && frame->kind == 1)
        end->is_wrong |= number != end->next[frame->channel]++;
    for (uint32_t i = sizeof(number); i < size; i++)
        end->is_wrong |= (uint8_t)frame->payload->bytes[i] != (uint8_t)(number + i);
    end->frames++;
    end->bytes += size;
    pthread_cond_broadcast(&end->changed);
    const bool must_echo = end->must_echo;
    pthread_mutex_unlock(&end->mutex);
    if (must_echo)
        (void)end->transport->ops->send(connection, frame, true);
}

static void on_writable(void *context, struct connection *connection)
{
    (void)connection;
    struct end *end = context;
    pthread_mutex_lock(&end->mutex);
    end->writable++;
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->mutex);
}

static void on_closed(void *context, struct connection *connection, const char *reason)
{
    (void)connection;
    struct end *end = context;
    pthread_mutex_lock(&end->mutex);
    end->closed++;
    (void)snprintf(end->reason, REASON_SIZE, "%s", reason);
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->mutex);
}

static struct connection_handler handler_of(struct end *end)
{
    return (struct connection_handler){end, on_frame, on_writable, on_closed};
}

static bool accept_one(void *context, struct connection *connection,
                       struct connection_handler *ret_handler)
{
    struct pair *pair = context;
    struct end *end = &pair->acceptor;
    pthread_mutex_lock(&end->mutex);
    const bool is_first = end->connection == NULL;
    if (is_first)
        end->connection = end->transport->ops->ref(connection);
    pthread_cond_broadcast(&end->changed);
    pthread_mutex_unlock(&end->mutex);
    if (is_first)
        *ret_handler = handler_of(end);
    return is_first;
}

/* ---- fixture ---- */

static void end_init(struct end *end, struct transport *transport)
{
    *end = (struct end){.transport = transport};
    pthread_mutex_init(&end->mutex, NULL);
    pthread_cond_init(&end->changed, NULL);
}

static void end_done(struct end *end)
{
    ck_assert_uint_eq(end->closed, 1);
    ck_assert(!end->is_wrong);
    end->transport->ops->unref(end->connection);
    pthread_mutex_destroy(&end->mutex);
    pthread_cond_destroy(&end->changed);
}

/* Waits until *counter is at least that; it belongs to the end. */
static void wait_for(struct end *end, const uint32_t *counter, uint32_t count)
{
    const int64_t until_us = clock_now_us(clock_system()) + WAIT_US;
    pthread_mutex_lock(&end->mutex);
    while (*counter < count && clock_now_us(clock_system()) < until_us) {
        pthread_mutex_unlock(&end->mutex);
        usleep(200);
        pthread_mutex_lock(&end->mutex);
    }
    ck_assert_uint_ge(*counter, count);
    pthread_mutex_unlock(&end->mutex);
}

static void wait_frames(struct end *end, uint64_t count)
{
    const int64_t until_us = clock_now_us(clock_system()) + WAIT_US;
    pthread_mutex_lock(&end->mutex);
    while (end->frames < count && clock_now_us(clock_system()) < until_us) {
        pthread_mutex_unlock(&end->mutex);
        usleep(50);
        pthread_mutex_lock(&end->mutex);
    }
    ck_assert_uint_ge(end->frames, count);
    pthread_mutex_unlock(&end->mutex);
}

static struct transport *make_transport(int kind)
{
    switch (kind) {
    case 0:
        return transport_memory_create();
    case 1:
        return transport_socket_create();
    case 2:
        return transport_nng_create();
    default:
        UNREACHABLE();
    }
}

static void set_up(struct pair *pair, int kind)
{
    *pair = (struct pair){0};
    pair->transports[0] = make_transport(kind);
    pair->transports[1] = kind == 0 ? pair->transports[0] : make_transport(kind);
    end_init(&pair->dialler, pair->transports[0]);
    end_init(&pair->acceptor, pair->transports[1]);
    struct error err;
    ck_assert_int_eq(pair->transports[1]->ops->listen(
                         pair->transports[1], kind == 0 ? "memory://x:0" : "127.0.0.1:0",
                         accept_one, pair, &pair->listener, &pair->address, &err),
                     STATUS_OK);
}

static void connect_pair(struct pair *pair)
{
    const struct connection_handler handler = handler_of(&pair->dialler);
    pair->dialler.connection =
        pair->transports[0]->ops->dial(pair->transports[0], pair->address, &handler);
    /* Frames that are sent before the connection stands are kept. */
    const struct frame hello = {.kind = 9};
    ck_assert(pair->transports[0]->ops->send(pair->dialler.connection, &hello, true));
    wait_frames(&pair->acceptor, 1);
}

static void tear_down(struct pair *pair)
{
    pair->transports[1]->ops->close_listener(pair->listener);
    pair->transports[0]->ops->close(pair->dialler.connection, "the test ends");
    wait_for(&pair->dialler, &pair->dialler.closed, 1);
    wait_for(&pair->acceptor, &pair->acceptor.closed, 1);
    end_done(&pair->dialler);
    end_done(&pair->acceptor);
    pair->transports[0]->ops->destroy(pair->transports[0]);
    if (pair->transports[1] != pair->transports[0])
        pair->transports[1]->ops->destroy(pair->transports[1]);
    free(pair->address);
}

static struct buffer *make_payload(uint32_t number, uint32_t size)
{
    struct buffer *payload = buffer_create(NULL, size);
    memcpy(payload->bytes, &number, sizeof(number));
    for (uint32_t i = sizeof(number); i < size; i++)
        payload->bytes[i] = (char)(uint8_t)(number + i);
    payload->size = size;
    return payload;
}

/* ---- tests ---- */

struct sender {
    struct end *end;
    uint32_t channel;
};

static void *send_many(void *argument)
{
    const struct sender *sender = argument;
    struct end *end = sender->end;
    struct random random;
    random_init(&random, sender->channel + 1);
    for (uint32_t i = 0; i < FRAMES;) {
        const bool is_small = random_below(&random, 3) != 0;
        const uint64_t most = is_small ? 300 : FRAME_PAYLOAD_MAX - sizeof(i) + 1;
        struct buffer *payload =
            make_payload(i, (uint32_t)(sizeof(i) + random_below(&random, most)));
        const struct frame frame = {.kind = 1, .channel = sender->channel, .payload = payload};
        while (!end->transport->ops->send(end->connection, &frame, false))
            usleep(100);
        i++;
        buffer_unref(payload);
    }
    return NULL;
}

/* Of all sizes, from several threads, in both directions. */
START_TEST(frames_arrive_whole_and_in_order)
{
    struct pair pair;
    set_up(&pair, _i);
    connect_pair(&pair);
    struct end *ends[] = {&pair.dialler, &pair.acceptor};
    struct sender senders[2 * SENDERS];
    pthread_t threads[2 * SENDERS];
    for (uint32_t i = 0; i < 2 * SENDERS; i++) {
        senders[i] = (struct sender){ends[i % 2], i / 2};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, send_many, &senders[i]), 0);
    }
    for (uint32_t i = 0; i < 2 * SENDERS; i++)
        pthread_join(threads[i], NULL);
    wait_frames(&pair.dialler, (uint64_t)SENDERS * FRAMES);
    wait_frames(&pair.acceptor, (uint64_t)SENDERS * FRAMES + 1);
    tear_down(&pair);
}
END_TEST

/* Who is refused is told when there is room again; urgent frames are not refused. */
START_TEST(a_full_queue_refuses_and_tells)
{
    struct pair pair;
    set_up(&pair, _i);
    connect_pair(&pair);
    pthread_mutex_lock(&pair.acceptor.mutex);
    pair.acceptor.is_slow = true;
    pthread_mutex_unlock(&pair.acceptor.mutex);
    const struct transport_ops *ops = pair.transports[0]->ops;
    struct buffer *payload = make_payload(0, FRAME_PAYLOAD_MAX);
    struct frame frame = {.kind = 2, .payload = payload};
    uint32_t sent = 0;
    while (ops->send(pair.dialler.connection, &frame, false))
        ck_assert_uint_lt(++sent, 1000); /* the kernel takes some too */
    ck_assert(ops->send(pair.dialler.connection, &frame, true));
    ck_assert_uint_eq(pair.dialler.writable, 0);
    pthread_mutex_lock(&pair.acceptor.mutex);
    pair.acceptor.is_slow = false;
    pthread_cond_broadcast(&pair.acceptor.changed);
    pthread_mutex_unlock(&pair.acceptor.mutex);
    wait_for(&pair.dialler, &pair.dialler.writable, 1);
    wait_frames(&pair.acceptor, sent + 2);
    ck_assert(ops->send(pair.dialler.connection, &frame, false));
    buffer_unref(payload);
    tear_down(&pair);
}
END_TEST

/* What was queued before a close arrives, then the peer learns of the close. */
START_TEST(a_close_comes_behind_what_was_sent)
{
    struct pair pair;
    set_up(&pair, _i);
    connect_pair(&pair);
    const struct transport_ops *ops = pair.transports[0]->ops;
    struct buffer *payload = make_payload(0, 100000);
    const struct frame frame = {.kind = 2, .payload = payload};
    for (int i = 0; i < 5; i++)
        ck_assert(ops->send(pair.dialler.connection, &frame, false));
    ops->close(pair.dialler.connection, "enough");
    ck_assert(!ops->send(pair.dialler.connection, &frame, true));
    buffer_unref(payload);
    wait_for(&pair.acceptor, &pair.acceptor.closed, 1);
    ck_assert_uint_eq(pair.acceptor.frames, 6);
    wait_for(&pair.dialler, &pair.dialler.closed, 1);
    ck_assert_str_eq(pair.dialler.reason, "enough");
    tear_down(&pair);
}
END_TEST

/* A small frame behind another waits for no acknowledgement, which may take 40 ms. */
START_TEST(small_frames_go_at_once)
{
    enum { ROUNDS = 100 };
    struct pair pair;
    set_up(&pair, _i);
    connect_pair(&pair);
    pair.acceptor.must_echo = true;
    const struct frame frame = {.kind = 2};
    const int64_t start_us = clock_now_us(clock_system());
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        ck_assert(pair.transports[0]->ops->send(pair.dialler.connection, &frame, true));
        ck_assert(pair.transports[0]->ops->send(pair.dialler.connection, &frame, true));
        wait_frames(&pair.dialler, 2 * i);
    }
    ck_assert_int_lt(clock_now_us(clock_system()) - start_us, ROUNDS * 20000);
    tear_down(&pair);
}
END_TEST

/* Nobody listens, a name that does not exist, no address at all: the reason names the address,
 * where there is one. */
START_TEST(a_dial_that_fails_says_why)
{
    struct transport *transport = make_transport(_i);
    const char *addresses[] = {_i == 0 ? "memory://nobody:1" : "127.0.0.1:1",
                               _i == 0 ? "memory://x:9" : "no-such-host.invalid:80",
                               _i == 0 ? "memory://x" : "no-port"};
    for (int i = 0; i < 3; i++) {
        struct end end;
        end_init(&end, transport);
        const struct connection_handler handler = handler_of(&end);
        end.connection = transport->ops->dial(transport, addresses[i], &handler);
        wait_for(&end, &end.closed, 1);
        ck_assert_msg(_i == 0 || strstr(end.reason, addresses[i]) != NULL, "%s", end.reason);
        end_done(&end);
    }
    transport->ops->destroy(transport);
}
END_TEST

/* A name is resolved, and all its addresses are tried: localhost may be ::1 first, where nobody
 * listens. */
START_TEST(a_name_is_resolved)
{
    struct pair pair;
    set_up(&pair, _i);
    char *named = format_text("localhost%s", strrchr(pair.address, ':'));
    free(pair.address);
    pair.address = named;
    connect_pair(&pair);
    char local[64];
    char remote[64];
    pair.transports[0]->ops->addresses(pair.dialler.connection, local, remote, sizeof(remote));
    ck_assert_str_eq(local, "127.0.0.1");
    ck_assert_str_eq(remote, "127.0.0.1");
    tear_down(&pair);
}
END_TEST

/* A second connection is refused, and the first does not notice. */
START_TEST(a_refused_connection_is_closed)
{
    struct pair pair;
    set_up(&pair, _i);
    connect_pair(&pair);
    struct end second;
    end_init(&second, pair.transports[0]);
    const struct connection_handler handler = handler_of(&second);
    second.connection = pair.transports[0]->ops->dial(pair.transports[0], pair.address, &handler);
    wait_for(&second, &second.closed, 1);
    end_done(&second);
    const struct frame frame = {.kind = 2};
    ck_assert(pair.transports[0]->ops->send(pair.dialler.connection, &frame, true));
    wait_frames(&pair.acceptor, 2);
    ck_assert_uint_eq(pair.acceptor.closed, 0);
    tear_down(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transport");
    TCase *all = tcase_create("all");
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, frames_arrive_whole_and_in_order, 0, KINDS);
    tcase_add_loop_test(all, a_full_queue_refuses_and_tells, 0, KINDS);
    tcase_add_loop_test(all, a_close_comes_behind_what_was_sent, 0, KINDS);
    tcase_add_loop_test(all, small_frames_go_at_once, 0, KINDS);
    tcase_add_loop_test(all, a_dial_that_fails_says_why, 0, KINDS);
    tcase_add_loop_test(all, a_name_is_resolved, 1, 2); /* sockets; nng takes one address only */
    tcase_add_loop_test(all, a_refused_connection_is_closed, 0, KINDS);
    suite_add_tcase(suite, all);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
