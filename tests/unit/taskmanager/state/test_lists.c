/* common/api/state_list and state_fold over both backends, with a cache too small for the state. */
#include "common/api/state_fold.h"
#include "common/api/state_list.h"
#include "common/base/allocate.h"
#include "taskmanager/state/backend.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYS   300
#define ROUNDS 30

static char root[64];
static struct error err;
static struct state_backend *backend;
static struct keyed_state *keyed;
static int64_t values[KEYS + 2];
static const char *bytes[KEYS];
static uint32_t sizes[KEYS];
static uint64_t hashes[KEYS];
static struct key_batch keys;
static const struct type bigint_key = {.kind = TYPE_BIGINT};

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static bool again(enum step step)
{
    if (step == STEP_FAILED)
        ck_abort_msg("%s", err.message);
    if (step == STEP_WAIT)
        (void)usleep(500);
    return step != STEP_DONE;
}

static void setup(int i)
{
    (void)snprintf(root, sizeof(root), "/tmp/state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *directory = format_text("%s/state", root);
    const struct state_backend_config config = {
        .kind = i == 0 ? STATE_BACKEND_ROCKSDB : STATE_BACKEND_MEMORY,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {1},
        .cache_bytes = i == 0 ? (128 << 10) : (64 << 20),
        .clock = clock_system(),
    };
    must(state_backend_create(&config, &backend, &err));
    must(state_backend_operator(backend, "op", &keyed, &err));
    for (int k = 0; k < KEYS; k++) {
        values[k] = k;
        bytes[k] = (const char *)&values[k];
        sizes[k] = 8;
        hashes[k] = key_hash(bytes[k], 8);
    }
    keys = (struct key_batch){.count = KEYS, .bytes = bytes, .sizes = sizes, .hashes = hashes};
}

static void teardown(void)
{
    state_backend_destroy(backend);
    ck_assert_int_eq(rmdir(root), 0);
}

static struct state_descriptor describe(enum state_kind kind, const struct schema *schema)
{
    return (struct state_descriptor){
        .name = "rows", .kind = kind, .key_types = &bigint_key, .key_count = 1, .value = schema};
}

static struct schema *count_schema(void)
{
    struct schema_column column = {.name = "value", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    return schema_create(&column, 1, -1);
}

static void expect_list(struct state_list *list, int64_t key, int64_t first, int64_t last)
{
    const char *at = (const char *)&key;
    ck_assert_int_eq(state_list_start(list, at, 8, key_hash(at, 8), &err), STEP_DONE);
    int64_t next = first;
    for (;;) {
        struct state_entry entries[7];
        uint32_t count = 0;
        struct state *state = list->elements;
        if (state->ops->scan_next(state, entries, 7, &count, &err) != STEP_DONE)
            ck_abort_msg("%s", err.message);
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count; i++)
            ck_assert_int_eq(*(int64_t *)slot_field(&state->layout, entries[i].slot, 0),
                             key * 1000 + next++);
    }
    ck_assert_int_eq(next, last);
}

START_TEST(lists_keep_their_order)
{
    setup(_i);
    SCOPED(schema_unref) struct schema *schema = count_schema();
    const struct state_descriptor descriptor = describe(STATE_LIST, schema);
    struct state_list list;
    must(state_list_register(&list, keyed, &descriptor, &err));
    void *slots[STATE_LIST_BATCH_MAX];
    uint32_t count = 0;
    for (int64_t round = 0; round < ROUNDS; round++) {
        for (uint32_t first = 0; first < KEYS; first += count) {
            while (again(state_list_append(&list, &keys, first, &count, slots, &err)))
                ;
            for (uint32_t i = 0; i < count; i++)
                *(int64_t *)slot_field(&list.elements->layout, slots[i], 0) =
                    values[first + i] * 1000 + round;
        }
    }
    for (int64_t key = 0; key < KEYS; key += 37)
        expect_list(&list, key, 0, ROUNDS);
    while (again(state_list_remove_first(&list, bytes[37], 8, hashes[37], 10, &err)))
        ;
    expect_list(&list, 37, 10, ROUNDS);
    while (again(state_list_remove_first(&list, bytes[74], 8, hashes[74], 100, &err)))
        ;
    expect_list(&list, 74, ROUNDS, ROUNDS);
    int64_t list_sizes[STATE_LIST_BATCH_MAX];
    for (uint32_t first = 0; first < KEYS; first += count) {
        while (again(state_list_sizes(&list, &keys, first, &count, list_sizes, &err)))
            ;
        for (uint32_t i = 0; i < count; i++)
            ck_assert_int_eq(list_sizes[i], first + i == 37   ? ROUNDS - 10
                                            : first + i == 74 ? 0
                                                              : ROUNDS);
    }
    teardown();
}
END_TEST

static enum status fold_max(void *context, struct state *state, void *slot, bool is_fresh,
                            uint32_t row, struct error *error)
{
    (void)error;
    const int64_t *rows = context;
    int64_t *field = slot_field(&state->layout, slot, 0);
    if (is_fresh || rows[row] > *field)
        *field = rows[row];
    return STATUS_OK;
}

START_TEST(rows_are_folded_once)
{
    setup(_i);
    SCOPED(schema_unref) struct schema *schema = count_schema();
    const struct state_descriptor descriptor = describe(STATE_REDUCING, schema);
    struct state *state = NULL;
    must(keyed->ops->register_state(keyed, &descriptor, &state, &err));
    static const int64_t turns[3] = {-7, -3, -5};
    int64_t rows[KEYS];
    uint32_t count = 0;
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < KEYS; i++)
            rows[i] = turns[turn] - i;
        for (uint32_t first = 0; first < KEYS; first += count) {
            while (again(state_fold(state, &keys, NULL, first, &count, fold_max, rows, &err)))
                ;
        }
    }
    void *slots[KEYS];
    for (uint32_t first = 0; first < KEYS; first += count) {
        while (again(state_read(state, &keys, NULL, first, &count, slots, &err)))
            ;
        for (uint32_t i = 0; i < count; i++)
            ck_assert_int_eq(*(int64_t *)slot_field(&state->layout, slots[i], 0),
                             -3 - (int64_t)(first + i));
    }
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_lists");
    TCase *tests = tcase_create("lists");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, lists_keep_their_order, 0, 2);
    tcase_add_loop_test(tests, rows_are_folded_once, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
