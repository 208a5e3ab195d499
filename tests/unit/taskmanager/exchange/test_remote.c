/* Channels between two exchanges over each transport: what is sent arrives, in order and whole. */
#include "taskmanager/exchange/exchange.h"

#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/batch_builder.h"
#include "taskmanager/exchange/remote.h"

#include <check.h>
#include <pthread.h>
#include <unistd.h>

#define ACCOUNT_BYTES (64 << 20)
#define WAIT_MS       10000

struct sleeper {
    struct waker waker;
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    bool is_woken;
};

static void on_wake(struct waker *waker)
{
    struct sleeper *sleeper = (struct sleeper *)waker;
    pthread_mutex_lock(&sleeper->mutex);
    sleeper->is_woken = true;
    pthread_cond_signal(&sleeper->woken);
    pthread_mutex_unlock(&sleeper->mutex);
}

static void on_destroy(struct waker *waker)
{
    (void)waker;
}

static void sleep_until_woken(struct sleeper *sleeper)
{
    pthread_mutex_lock(&sleeper->mutex);
    while (!sleeper->is_woken)
        pthread_cond_wait(&sleeper->woken, &sleeper->mutex);
    sleeper->is_woken = false;
    pthread_mutex_unlock(&sleeper->mutex);
}

struct fixture {
    struct transport *transports[2];
    struct memory_account account;
    struct exchange *exchanges[2];
    struct sleeper sleepers[2];
    struct schema *schema;
    struct channel_output *output;
    struct channel_input *input;
};

static void make_transports(struct fixture *fixture, int kind)
{
    if (kind == 0)
        fixture->transports[0] = fixture->transports[1] = transport_memory_create();
    for (int i = 0; i < 2 && kind > 0; i++)
        fixture->transports[i] = kind == 1 ? transport_socket_create() : transport_nng_create();
}

static void set_up(struct fixture *fixture, int kind)
{
    *fixture = (struct fixture){0};
    make_transports(fixture, kind);
    memory_account_init(&fixture->account, "exchange", NULL, ACCOUNT_BYTES);
    const struct schema_column columns[] = {
        {.name = "number", .type = type_of_kind(TYPE_BIGINT)},
        {.name = "text", .type = type_of_kind(TYPE_STRING)},
    };
    fixture->schema = schema_create(columns, 2, -1);
    struct exchange_peer peers[2];
    for (uint8_t i = 0; i < 2; i++) {
        fixture->sleepers[i] = (struct sleeper){.waker = {1, on_wake, on_destroy}};
        pthread_mutex_init(&fixture->sleepers[i].mutex, NULL);
        pthread_cond_init(&fixture->sleepers[i].woken, NULL);
        const struct exchange_config config = {
            .cluster_id = "test",
            .incarnation = {.bytes = {(uint8_t)(i + 1)}},
            .transport = fixture->transports[i],
            .listen_address = kind == 0 ? "memory://x:0" : "127.0.0.1:0",
            .account = &fixture->account,
            .clock = clock_system(),
            .max_record_bytes = 16 << 20,
        };
        struct error err;
        ck_assert_int_eq(exchange_create(&config, &fixture->exchanges[i], &err), STATUS_OK);
        peers[i] = (struct exchange_peer){.incarnation = config.incarnation,
                                          .address = exchange_address(fixture->exchanges[i])};
    }
    const struct channel_identity identity = {.edge = 1, .producer = {1}, .consumer = {2}};
    fixture->output = exchange_open_output(fixture->exchanges[0], &identity, &peers[1],
                                           &fixture->sleepers[0].waker);
    fixture->input = exchange_open_input(fixture->exchanges[1], &identity, &peers[0],
                                         fixture->schema, &fixture->sleepers[1].waker);
}

static void tear_down(struct fixture *fixture)
{
    fixture->output->ops->close(fixture->output);
    fixture->input->ops->close(fixture->input);
    for (int i = 0; i < 2; i++)
        exchange_destroy(fixture->exchanges[i]);
    for (int i = 0; i < 2; i++) {
        if (i == 0 || fixture->transports[i] != fixture->transports[0])
            fixture->transports[i]->ops->destroy(fixture->transports[i]);
        pthread_mutex_destroy(&fixture->sleepers[i].mutex);
        pthread_cond_destroy(&fixture->sleepers[i].woken);
    }
    schema_unref(fixture->schema);
    ck_assert_uint_eq(memory_used(&fixture->account), 0);
}

/* One row with that number and a text of that many bytes. */
static struct batch *make_batch(const struct schema *schema, int64_t number, size_t size)
{
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    char *text = allocate(size + 1);
    memset(text, 'a' + (char)(number % 26), size);
    batch_builder_int(&builder, 0, number);
    batch_builder_bytes(&builder, 1, text, size);
    batch_builder_end_row(&builder, ROW_INSERT);
    struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    free(text);
    return batch;
}

static void push(struct fixture *fixture, struct element element)
{
    struct channel_output *output = fixture->output;
    struct error err;
    for (;;) {
        ck_assert_msg(output->ops->pump(output, &err) == STATUS_OK, "%s", err.message);
        if (output->ops->has_room(output, element.kind))
            break;
        sleep_until_woken(&fixture->sleepers[0]);
    }
    output->ops->push(output, element);
}

static void drain(struct fixture *fixture)
{
    struct channel_output *output = fixture->output;
    struct error err;
    while (!output->ops->is_drained(output)) {
        ck_assert_msg(output->ops->pump(output, &err) == STATUS_OK, "%s", err.message);
        if (!output->ops->is_drained(output))
            sleep_until_woken(&fixture->sleepers[0]);
    }
}

static bool try_take(struct fixture *fixture, struct element *ret_element)
{
    struct error err;
    const enum take result = fixture->input->ops->take(fixture->input, ret_element, &err);
    ck_assert_msg(result != TAKE_FAILED, "%s", err.message);
    return result == TAKE_ELEMENT;
}

static struct element take(struct fixture *fixture)
{
    struct element element;
    while (!try_take(fixture, &element))
        sleep_until_woken(&fixture->sleepers[1]);
    return element;
}

static void check_row(struct element element, int64_t number, size_t size)
{
    ck_assert_int_eq(element.kind, ELEMENT_BATCH);
    const struct column *text = element.batch->columns[1];
    const struct string_view *view = &column_views(text)[0];
    ck_assert_uint_eq(element.batch->row_count, 1);
    ck_assert_int_eq(((const int64_t *)element.batch->columns[0]->values)[0], number);
    ck_assert_uint_eq(view->size, size);
    const char *bytes = string_view_bytes(text, view);
    for (size_t i = 0; i < size; i += i + 997 < size ? 997 : 1)
        ck_assert_int_eq(bytes[i], 'a' + (char)(number % 26));
    element_release(&element);
}

#define RANDOM_BATCHES 200

/* Rows of all sizes, also of several frames; every tenth element is a watermark. */
static size_t random_size(struct random *random)
{
    switch (random_below(random, 4)) {
    case 0:
        return random_below(random, 100);
    case 1:
        return random_below(random, 50000);
    case 2:
        return FRAME_PAYLOAD_MAX - 100 + random_below(random, 200);
    default:
        return random_below(random, 1 << 20);
    }
}

static void *produce(void *argument)
{
    struct fixture *fixture = argument;
    struct random random;
    random_init(&random, 7);
    for (int64_t i = 0; i < RANDOM_BATCHES; i++) {
        if (i % 10 == 9)
            push(fixture, (struct element){.kind = ELEMENT_WATERMARK, .watermark_ms = i});
        else
            push(fixture, element_of_batch(make_batch(fixture->schema, i, random_size(&random))));
    }
    drain(fixture);
    return NULL;
}

/* One batch through the channel, by one thread for both ends. */
static void send_through(struct fixture *fixture, int64_t number, size_t size)
{
    push(fixture, element_of_batch(make_batch(fixture->schema, number, size)));
    struct element element;
    struct error err;
    bool is_taken = false;
    for (int i = 0; i < WAIT_MS && !is_taken; i++) {
        ck_assert(fixture->output->ops->pump(fixture->output, &err) == STATUS_OK);
        is_taken = try_take(fixture, &element);
        if (!is_taken)
            usleep(1000);
    }
    ck_assert_msg(is_taken, "row %lld of %zu bytes does not arrive", (long long)number, size);
    check_row(element, number, size);
}

/* _i: 0 memory, 1 sockets, 2 nng. */
START_TEST(everything_arrives_in_order)
{
    struct fixture fixture;
    set_up(&fixture, _i);
    pthread_t producer;
    ck_assert_int_eq(pthread_create(&producer, NULL, produce, &fixture), 0);
    struct random random;
    random_init(&random, 7);
    for (int64_t i = 0; i < RANDOM_BATCHES; i++) {
        if (i % 10 == 9) {
            const struct element element = take(&fixture);
            ck_assert_int_eq(element.kind, ELEMENT_WATERMARK);
            ck_assert_int_eq(element.watermark_ms, i);
        } else {
            check_row(take(&fixture), i, random_size(&random));
        }
    }
    pthread_join(producer, NULL);
    tear_down(&fixture);
}
END_TEST

/* What a small batch has used of the credit is not given back at once: a full one must go all the
 * same, in pieces. */
START_TEST(a_full_batch_behind_a_small_one)
{
    struct fixture fixture;
    set_up(&fixture, _i);
    int64_t number = 0;
    for (size_t small = 100; small < 200000; small *= 3) {
        send_through(&fixture, number++, small);
        send_through(&fixture, number++, FRAME_PAYLOAD_MAX - 64);
    }
    drain(&fixture);
    tear_down(&fixture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("remote");
    TCase *channels = tcase_create("channels");
    tcase_set_timeout(channels, 60);
    tcase_add_loop_test(channels, everything_arrives_in_order, 0, 3);
    tcase_add_loop_test(channels, a_full_batch_behind_a_small_one, 0, 3);
    suite_add_tcase(suite, channels);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
