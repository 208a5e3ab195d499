/* Rings and partitioners: every row once, to the right subtask, in order per key. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "taskmanager/exchange/partitioner.h"
#include "taskmanager/exchange/ring.h"
#include "tests/kit/task_kit.h"

#include <check.h>
#include <sched.h>
#include <string.h>

#define CHANNELS 5
#define KEYS     97
#define BATCHES  200

static _Atomic uint32_t wakes;

static void count_wake(struct waker *waker)
{
    (void)waker;
    atomic_fetch_add(&wakes, 1);
}

static void keep_waker(struct waker *waker)
{
    (void)waker;
}

static struct waker waker = {.references = 1, .wake = count_wake, .destroy = keep_waker};

struct outcome {
    uint64_t rows;
    uint64_t sum;
    uint32_t batches;
    uint32_t controls;
    bool is_ordered;
    int64_t last[KEYS];
    bool has_key[KEYS];
};

static uint32_t key_of(const struct batch *batch, uint32_t row)
{
    char text[64] = "";
    const struct string_view *view = &column_views(batch->columns[0])[row];
    memcpy(text, string_view_bytes(batch->columns[0], view), view->size);
    const char *digits = strpbrk(text, "0123456789");
    return (uint32_t)strtoul(digits, NULL, 10);
}

static void take_all(struct channel_input *input, struct outcome *outcome)
{
    struct element element;
    struct error err;
    while (input->ops->take(input, &element, &err) == TAKE_ELEMENT) {
        if (element.kind != ELEMENT_BATCH) {
            outcome->controls++;
            continue;
        }
        outcome->batches++;
        for (uint32_t i = 0; i < batch_selected(element.batch); i++) {
            const uint32_t row = batch_row(element.batch, i);
            const int64_t value = ((const int64_t *)element.batch->columns[1]->values)[row];
            const uint32_t key = key_of(element.batch, row);
            outcome->rows++;
            outcome->sum += (uint64_t)value;
            outcome->is_ordered &= !outcome->has_key[key] || outcome->last[key] < value;
            outcome->last[key] = value;
            outcome->has_key[key] = true;
        }
        element_release(&element);
    }
}

struct fixture {
    struct ring *rings[CHANNELS];
    struct channel_input *inputs[CHANNELS];
    struct partitioner *partitioner;
    struct outcome outcomes[CHANNELS];
};

static void set_up(struct fixture *fixture, enum partitioning partitioning, int64_t timeout_us)
{
    memset(fixture, 0, sizeof(*fixture));
    struct channel_output *outputs[CHANNELS];
    const uint32_t count = partitioning == PARTITION_FORWARD ? 1 : CHANNELS;
    for (uint32_t i = 0; i < count; i++) {
        fixture->rings[i] = ring_create(NULL);
        outputs[i] = ring_open_output(fixture->rings[i], &waker);
        fixture->inputs[i] = ring_open_input(fixture->rings[i], &waker);
        fixture->outcomes[i].is_ordered = true;
    }
    struct schema *schema = kit_row_schema();
    const uint32_t keys[] = {0};
    const struct partitioner_config config = {
        .partitioning = partitioning,
        .schema = schema,
        .keys = keys,
        .key_count = 1,
        .channels = outputs,
        .channel_count = count,
        .max_parallelism = 128,
        .buffer_timeout_us = timeout_us,
    };
    fixture->partitioner = partitioner_create(&config);
    schema_unref(schema);
}

static void take_from_all(struct fixture *fixture)
{
    for (uint32_t i = 0; i < CHANNELS && fixture->inputs[i] != NULL; i++)
        take_all(fixture->inputs[i], &fixture->outcomes[i]);
}

static void tear_down(struct fixture *fixture)
{
    partitioner_destroy(fixture->partitioner);
    for (uint32_t i = 0; i < CHANNELS && fixture->inputs[i] != NULL; i++)
        fixture->inputs[i]->ops->close(fixture->inputs[i]);
}

/* Random sizes, selections now and then, consumers that look now and then. */
static int64_t run(struct fixture *fixture, uint64_t seed)
{
    struct random random;
    random_init(&random, seed);
    struct error err;
    int64_t next = 0;
    int64_t now_us = 0;
    for (int i = 0; i < BATCHES; i++) {
        const uint32_t count = 1 + (uint32_t)random_below(&random, i % 3 == 0 ? 4096 : 40);
        struct batch *batch = kit_rows(next, count, KEYS);
        next += count;
        partitioner_push(fixture->partitioner, batch);
        do {
            if (random_below(&random, 3) == 0)
                take_from_all(fixture);
            now_us += 1000;
            ck_assert_int_eq(partitioner_pump(fixture->partitioner, now_us, &err), STATUS_OK);
        } while (!partitioner_has_room(fixture->partitioner));
    }
    const struct element end = {.kind = ELEMENT_END};
    partitioner_control(fixture->partitioner, &end);
    while (!partitioner_is_drained(fixture->partitioner)) {
        take_from_all(fixture);
        ck_assert_int_eq(partitioner_pump(fixture->partitioner, now_us, &err), STATUS_OK);
    }
    take_from_all(fixture);
    return next;
}

static void check_total(const struct fixture *fixture, int64_t rows, uint32_t copies)
{
    uint64_t row_count = 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < CHANNELS && fixture->inputs[i] != NULL; i++) {
        row_count += fixture->outcomes[i].rows;
        sum += fixture->outcomes[i].sum;
        ck_assert_uint_eq(fixture->outcomes[i].controls, 1);
        ck_assert(fixture->outcomes[i].is_ordered);
    }
    ck_assert_uint_eq(row_count, (uint64_t)rows * copies);
    ck_assert_uint_eq(sum, (uint64_t)(rows * (rows - 1) / 2) * copies);
}

START_TEST(hash_sends_each_key_to_its_subtask)
{
    struct fixture fixture;
    set_up(&fixture, PARTITION_HASH, 10000);
    check_total(&fixture, run(&fixture, (uint64_t)_i), 1);
    for (uint32_t key = 0; key < KEYS; key++) {
        struct batch *one = kit_rows(key, 1, KEYS);
        const struct string_view *view = column_views(one->columns[0]);
        const uint64_t hash = key_hash(string_view_bytes(one->columns[0], view), view->size);
        const uint32_t subtask = key_group_subtask(key_group_of(hash, 128), CHANNELS, 128);
        for (uint32_t i = 0; i < CHANNELS; i++)
            ck_assert(fixture.outcomes[i].has_key[key] == (i == subtask));
        batch_unref(one);
    }
    tear_down(&fixture);
}
END_TEST

START_TEST(others_lose_and_repeat_nothing)
{
    const enum partitioning all[] = {PARTITION_FORWARD, PARTITION_REBALANCE, PARTITION_RESCALE,
                                     PARTITION_BROADCAST};
    struct fixture fixture;
    set_up(&fixture, all[_i], 10000);
    const int64_t rows = run(&fixture, 7);
    check_total(&fixture, rows, all[_i] == PARTITION_BROADCAST ? CHANNELS : 1);
    for (uint32_t i = 0; i < CHANNELS && fixture.inputs[i] != NULL; i++)
        ck_assert_uint_gt(fixture.outcomes[i].rows, (uint64_t)rows / (2 * CHANNELS));
    tear_down(&fixture);
}
END_TEST

START_TEST(small_pieces_wait_for_the_timeout)
{
    struct fixture fixture;
    set_up(&fixture, PARTITION_FORWARD, 10000);
    struct error err;
    ck_assert_int_eq(partitioner_pump(fixture.partitioner, 1000000, &err), STATUS_OK);
    partitioner_push(fixture.partitioner, kit_rows(0, 1, KEYS));
    ck_assert_int_eq(partitioner_pump(fixture.partitioner, 1000001, &err), STATUS_OK);
    take_from_all(&fixture);
    ck_assert_uint_eq(fixture.outcomes[0].rows, 1); /* the channel was idle */
    partitioner_push(fixture.partitioner, kit_rows(1, 1, KEYS));
    ck_assert_int_eq(partitioner_pump(fixture.partitioner, 1000100, &err), STATUS_OK);
    ck_assert_int_eq(partitioner_due_us(fixture.partitioner), 1000001 + 10000);
    take_from_all(&fixture);
    ck_assert_uint_eq(fixture.outcomes[0].rows, 1);
    ck_assert_int_eq(partitioner_pump(fixture.partitioner, 1010001, &err), STATUS_OK);
    take_from_all(&fixture);
    ck_assert_uint_eq(fixture.outcomes[0].rows, 2);
    ck_assert(partitioner_due_us(fixture.partitioner) == INT64_MAX);
    tear_down(&fixture);
}
END_TEST

/* ---- ring under two threads ---- */

#define RING_ELEMENTS 30000

static void *produce(void *argument)
{
    struct channel_output *output = argument;
    struct batch *batch = kit_rows(0, 1, KEYS);
    for (int64_t i = 0; i < RING_ELEMENTS; i++) {
        const bool is_batch = i % 3 == 0;
        while (!output->ops->has_room(output, is_batch ? ELEMENT_BATCH : ELEMENT_WATERMARK))
            sched_yield();
        output->ops->push(
            output, is_batch ? element_of_batch(batch_ref(batch))
                             : (struct element){.kind = ELEMENT_WATERMARK, .watermark_ms = i});
    }
    batch_unref(batch);
    output->ops->close(output);
    return NULL;
}

START_TEST(ring_keeps_order_between_threads)
{
    struct memory_account account;
    memory_account_init(&account, "ring", NULL, 1 << 20);
    struct ring *ring = ring_create(&account);
    struct channel_input *input = ring_open_input(ring, &waker);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, produce, ring_open_output(ring, &waker)), 0);
    for (int64_t i = 0; i < RING_ELEMENTS;) {
        struct element element;
        struct error err;
        if (input->ops->take(input, &element, &err) == TAKE_EMPTY) {
            sched_yield();
            continue;
        }
        ck_assert_int_eq(element.kind, i % 3 == 0 ? ELEMENT_BATCH : ELEMENT_WATERMARK);
        if (element.kind == ELEMENT_WATERMARK)
            ck_assert_int_eq(element.watermark_ms, i);
        element_release(&element);
        i++;
    }
    pthread_join(thread, NULL);
    ck_assert_uint_gt(atomic_load(&wakes), 0);
    input->ops->close(input);
    ck_assert_uint_eq(memory_used(&account), 0);
}
END_TEST

START_TEST(control_elements_are_read_back)
{
    const struct element elements[] = {
        {.kind = ELEMENT_WATERMARK, .watermark_ms = -5},
        {.kind = ELEMENT_BARRIER, .barrier = {{7}, {6}, 1234567890123, true}},
        {.kind = ELEMENT_LATENCY, .latency = {42, {{1, 2}}, 3}},
        {.kind = ELEMENT_IDLE},
        {.kind = ELEMENT_ACTIVE},
        {.kind = ELEMENT_END},
    };
    /* Golden: a barrier of version 1. */
    static const uint8_t golden[] = {1, 5, 7, 0, 0,    0,    0,    0,    0,    0, 6, 0, 0, 0,
                                     0, 0, 0, 0, 0xcb, 0x04, 0xfb, 0x71, 0x1f, 1, 0, 0, 1};
    for (size_t i = 0; i < sizeof(elements) / sizeof(elements[0]); i++) {
        uint8_t bytes[ELEMENT_CONTROL_BYTES_MAX];
        const size_t size = element_encode(&elements[i], bytes);
        struct element back;
        struct error err;
        ck_assert_int_eq(element_decode(bytes, size, &back, &err), STATUS_OK);
        uint8_t again[ELEMENT_CONTROL_BYTES_MAX];
        ck_assert_uint_eq(element_encode(&back, again), size);
        ck_assert_mem_eq(again, bytes, size);
        ck_assert_int_eq(element_decode(bytes, size - 1, &back, &err), STATUS_CORRUPT);
        if (elements[i].kind == ELEMENT_BARRIER) {
            ck_assert_uint_eq(size, sizeof(golden));
            ck_assert_mem_eq(bytes, golden, size);
        }
        bytes[1] = 1;
        ck_assert_int_eq(element_decode(bytes, size, &back, &err), STATUS_CORRUPT);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("partitioner");
    TCase *rows = tcase_create("rows");
    /* Two threads on a busy machine take their time. */
    tcase_set_timeout(rows, 60);
    tcase_add_loop_test(rows, hash_sends_each_key_to_its_subtask, 0, 4);
    tcase_add_loop_test(rows, others_lose_and_repeat_nothing, 0, 4);
    tcase_add_test(rows, small_pieces_wait_for_the_timeout);
    tcase_add_test(rows, ring_keeps_order_between_threads);
    tcase_add_test(rows, control_elements_are_read_back);
    suite_add_tcase(suite, rows);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
