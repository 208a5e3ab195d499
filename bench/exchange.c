/*
 * Bytes from one process to another: bare nng byte streams, and batches through the exchange.
 *
 *     exchange tcp|ipc BYTES FRAME_BYTES   bare streams, frame after frame
 *     exchange ours BYTES ROW_BYTES        one channel, batches of rows with one string each
 *
 * Prints MB/s and the CPU seconds of both processes as JSON. MB: 10^6 bytes of payload.
 */
#include "taskmanager/exchange/exchange.h"
#include "common/base/allocate.h"
#include "common/data/batch_builder.h"

#include <errno.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ADDRESS_MAX   256
#define RECEIVE_BYTES (256 * 1024)
#define ACCOUNT_BYTES (64 * 1024 * 1024)

static void fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "exchange: %s: %s\n", what, why);
    exit(1);
}

static void must(int code, const char *what)
{
    if (code != 0)
        fail(what, nng_strerror(code));
}

/* Addresses travel through pipes as blocks of ADDRESS_MAX. */
static void tell(int fd, const char *address)
{
    char text[ADDRESS_MAX] = {0};
    (void)snprintf(text, sizeof(text), "%s", address);
    if (write(fd, text, sizeof(text)) != (ssize_t)sizeof(text))
        fail("pipe", strerror(errno));
}

static void hear(int fd, char address[static ADDRESS_MAX])
{
    if (read(fd, address, ADDRESS_MAX) != ADDRESS_MAX)
        fail("pipe", "the other process has ended");
}

struct pipes {
    int in;
    int out;
};

/* ---- bare streams ---- */

static nng_stream *stream_of(nng_aio *aio, const char *what)
{
    nng_aio_wait(aio);
    must(nng_aio_result(aio), what);
    return nng_aio_get_output(aio, 0);
}

static void receive_bare(struct pipes pipes, const char *url, uint64_t bytes)
{
    nng_stream_listener *listener;
    nng_aio *aio;
    must(nng_stream_listener_alloc(&listener, url), url);
    must(nng_stream_listener_listen(listener), url);
    must(nng_aio_alloc(&aio, NULL, NULL), "aio");
    char address[ADDRESS_MAX];
    (void)snprintf(address, sizeof(address), "%s", url);
    if (strncmp(url, "tcp", 3) == 0) {
        int port = 0;
        must(nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port), "port");
        (void)snprintf(address, sizeof(address), "tcp://127.0.0.1:%d", port);
    }
    tell(pipes.out, address);
    nng_stream_listener_accept(listener, aio);
    nng_stream *stream = stream_of(aio, "accept");
    char *buffer = allocate(RECEIVE_BYTES);
    for (uint64_t got = 0; got < bytes; got += nng_aio_count(aio)) {
        nng_iov iov = {.iov_buf = buffer, .iov_len = RECEIVE_BYTES};
        must(nng_aio_set_iov(aio, 1, &iov), "iov");
        nng_stream_recv(stream, aio);
        nng_aio_wait(aio);
        must(nng_aio_result(aio), "receive");
    }
    tell(pipes.out, "received");
    nng_stream_free(stream);
    nng_stream_listener_free(listener);
    nng_aio_free(aio);
    free(buffer);
}

static void send_bare(struct pipes pipes, uint64_t bytes, size_t frame_bytes)
{
    char address[ADDRESS_MAX];
    hear(pipes.in, address);
    nng_stream_dialer *dialer;
    nng_aio *aio;
    must(nng_stream_dialer_alloc(&dialer, address), address);
    must(nng_aio_alloc(&aio, NULL, NULL), "aio");
    nng_stream_dialer_dial(dialer, aio);
    nng_stream *stream = stream_of(aio, "dial");
    char *buffer = allocate(frame_bytes);
    memset(buffer, 0, frame_bytes);
    for (uint64_t sent = 0; sent < bytes;) {
        const uint64_t left = bytes - sent;
        const size_t size = left < frame_bytes ? (size_t)left : frame_bytes;
        for (size_t at = 0; at < size;) {
            nng_iov iov = {.iov_buf = buffer + at, .iov_len = size - at};
            must(nng_aio_set_iov(aio, 1, &iov), "iov");
            nng_stream_send(stream, aio);
            nng_aio_wait(aio);
            must(nng_aio_result(aio), "send");
            at += nng_aio_count(aio);
        }
        sent += size;
    }
    hear(pipes.in, address);
    nng_stream_free(stream);
    nng_stream_dialer_free(dialer);
    nng_aio_free(aio);
    free(buffer);
}

/* ---- the exchange ---- */

struct sleeper {
    struct waker waker;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool is_woken;
};

static void on_wake(struct waker *waker)
{
    struct sleeper *sleeper = (struct sleeper *)waker;
    (void)pthread_mutex_lock(&sleeper->mutex);
    sleeper->is_woken = true;
    (void)pthread_cond_signal(&sleeper->woken);
    (void)pthread_mutex_unlock(&sleeper->mutex);
}

static void on_destroy(struct waker *waker)
{
    (void)waker;
}

static void sleep_until_woken(struct sleeper *sleeper)
{
    (void)pthread_mutex_lock(&sleeper->mutex);
    while (!sleeper->is_woken)
        (void)pthread_cond_wait(&sleeper->woken, &sleeper->mutex);
    sleeper->is_woken = false;
    (void)pthread_mutex_unlock(&sleeper->mutex);
}

struct end {
    struct memory_account account;
    struct transport *transport;
    struct exchange *exchange;
    struct sleeper sleeper;
    struct schema *schema;
    struct exchange_peer peer;
    char peer_address[ADDRESS_MAX];
};

static const struct channel_identity identity = {.edge = 1, .producer = {1}, .consumer = {2}};

static void open_end(struct end *end, uint8_t self, uint8_t other, struct pipes pipes)
{
    *end = (struct end){.sleeper = {.waker = {1, on_wake, on_destroy},
                                    .mutex = PTHREAD_MUTEX_INITIALIZER,
                                    .woken = PTHREAD_COND_INITIALIZER}};
    memory_account_init(&end->account, "exchange", NULL, ACCOUNT_BYTES);
    end->transport = transport_socket_create();
    const struct schema_column column = {.name = "payload", .type = type_of_kind(TYPE_STRING)};
    end->schema = schema_create(&column, 1, -1);
    const struct exchange_config config = {.cluster_id = "bench",
                                           .incarnation = {.bytes = {self}},
                                           .transport = end->transport,
                                           .listen_address = "127.0.0.1:0",
                                           .account = &end->account,
                                           .clock = clock_system(),
                                           .max_record_bytes = 16 << 20};
    struct error err;
    if (exchange_create(&config, &end->exchange, &err) != STATUS_OK)
        fail("exchange", err.message);
    tell(pipes.out, exchange_address(end->exchange));
    hear(pipes.in, end->peer_address);
    end->peer =
        (struct exchange_peer){.incarnation = {.bytes = {other}}, .address = end->peer_address};
}

static void close_end(struct end *end)
{
    exchange_destroy(end->exchange);
    end->transport->ops->destroy(end->transport);
    schema_unref(end->schema);
}

static struct batch *make_batch(const struct schema *schema, size_t row_bytes)
{
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    char *row = allocate(row_bytes);
    memset(row, 'x', row_bytes);
    while (!batch_builder_is_full(&builder)) {
        batch_builder_bytes(&builder, 0, row, row_bytes);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    free(row);
    return batch;
}

static void send_ours(struct pipes pipes, uint64_t bytes, size_t row_bytes)
{
    struct end end;
    open_end(&end, 1, 2, pipes);
    struct batch *batch = make_batch(end.schema, row_bytes);
    struct channel_output *output =
        exchange_open_output(end.exchange, &identity, &end.peer, &end.sleeper.waker);
    const uint64_t per_batch = batch->row_count * row_bytes;
    struct error err;
    for (uint64_t sent = 0; sent < bytes;) {
        if (output->ops->pump(output, &err) != STATUS_OK)
            fail("send", err.message);
        if (!output->ops->has_room(output, ELEMENT_BATCH)) {
            sleep_until_woken(&end.sleeper);
            continue;
        }
        output->ops->push(output, element_of_batch(batch_ref(batch)));
        sent += per_batch;
    }
    while (!output->ops->is_drained(output)) {
        if (output->ops->pump(output, &err) != STATUS_OK)
            fail("send", err.message);
        if (!output->ops->is_drained(output))
            sleep_until_woken(&end.sleeper);
    }
    char answer[ADDRESS_MAX];
    hear(pipes.in, answer);
    output->ops->close(output);
    batch_unref(batch);
    close_end(&end);
}

static void receive_ours(struct pipes pipes, uint64_t bytes)
{
    struct end end;
    open_end(&end, 2, 1, pipes);
    struct channel_input *input =
        exchange_open_input(end.exchange, &identity, &end.peer, end.schema, &end.sleeper.waker);
    struct error err;
    for (uint64_t got = 0; got < bytes;) {
        struct element element;
        const enum take take = input->ops->take(input, &element, &err);
        if (take == TAKE_FAILED)
            fail("receive", err.message);
        if (take == TAKE_EMPTY) {
            sleep_until_woken(&end.sleeper);
            continue;
        }
        const struct string_view *views = column_views(element.batch->columns[0]);
        for (uint32_t row = 0; row < element.batch->row_count; row++)
            got += views[row].size;
        element_release(&element);
    }
    tell(pipes.out, "received");
    input->ops->close(input);
    close_end(&end);
}

static double now_seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double cpu_seconds(int who)
{
    struct rusage usage;
    (void)getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

int main(int argument_count, char **arguments)
{
    if (argument_count != 4) {
        (void)fprintf(stderr, "usage: exchange tcp|ipc|ours BYTES FRAME_OR_ROW_BYTES\n");
        return 2;
    }
    const bool is_ours = strcmp(arguments[1], "ours") == 0;
    const uint64_t bytes = strtoull(arguments[2], NULL, 10);
    const size_t piece = strtoull(arguments[3], NULL, 10);
    char url[ADDRESS_MAX] = "tcp://127.0.0.1:0";
    if (strcmp(arguments[1], "ipc") == 0)
        (void)snprintf(url, sizeof(url), "ipc:///tmp/millstream-bench-%ld.ipc", (long)getpid());
    allocate_keep_batches();
    int there[2];
    int back[2];
    if (pipe(there) != 0 || pipe(back) != 0)
        fail("pipe", strerror(errno));
    const double start = now_seconds();
    const pid_t child = fork();
    if (child < 0)
        fail("fork", strerror(errno));
    if (child == 0) {
        const struct pipes pipes = {.in = there[0], .out = back[1]};
        (void)close(there[1]);
        (void)close(back[0]);
        if (is_ours)
            receive_ours(pipes, bytes);
        else
            receive_bare(pipes, url, bytes);
        exit(0);
    }
    const struct pipes pipes = {.in = back[0], .out = there[1]};
    (void)close(there[0]);
    (void)close(back[1]);
    if (is_ours)
        send_ours(pipes, bytes, piece);
    else
        send_bare(pipes, bytes, piece);
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (status != 0)
        return 1;
    const double wall = now_seconds() - start;
    printf("{\"mb-per-second\": %.0f, \"cpu-sender\": %.3f, \"cpu-receiver\": %.3f}\n",
           (double)bytes / 1e6 / wall, cpu_seconds(RUSAGE_SELF), cpu_seconds(RUSAGE_CHILDREN));
    return 0;
}
