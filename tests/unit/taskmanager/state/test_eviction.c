/* What leaves the cache: an entry that is used again while its eviction set still fills up. */
#include "common/base/allocate.h"
#include "taskmanager/state/parts.h"

#include <check.h>
#include <stdio.h>
#include <unistd.h>

#define KEYS   40
#define ROUNDS 20

#define BALLAST_BYTES ((size_t)1 << 20)

static struct error err;

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static void add_to_all(struct state *state, const struct key_batch *keys, int64_t round)
{
    void *slots[KEYS];
    uint8_t fresh[KEYS];
    for (uint32_t first = 0, count = 0; first < keys->count; first += count, count = 0) {
        const enum step step = state_update(state, keys, NULL, first, &count, slots, fresh, &err);
        if (step == STEP_FAILED)
            ck_abort_msg("%s", err.message);
        if (step == STEP_WAIT)
            (void)usleep(500);
        for (uint32_t i = 0; i < count; i++) {
            ck_assert_int_eq(fresh[i] != 0, round == 0);
            int64_t *total = slot_field(&state->layout, slots[i], 0);
            ck_assert_int_eq(*total, round * (round - 1) / 2);
            *total += round;
        }
    }
}

static struct state *open_totals(struct state_backend *backend)
{
    static const struct type key_type = {.kind = TYPE_BIGINT};
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(backend, "op", &keyed, &err));
    struct schema_column column = {.name = "total", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct state_descriptor descriptor = {.name = "totals",
                                                .kind = STATE_VALUE,
                                                .key_types = &key_type,
                                                .key_count = 1,
                                                .value = schema};
    struct state *state = NULL;
    must(keyed->ops->register_state(keyed, &descriptor, &state, &err));
    return state;
}

/* A full cache has its entries written and lets some go: all may but those of the last call. */
static void evict(struct state_backend *backend, struct state *state, struct key_batch keys)
{
    const uint64_t limit = backend->config.cache_bytes;
    backend->config.cache_bytes = backend->arena.used_bytes - 1;
    keys.count = 1;
    for (enum step step = STEP_AGAIN; step != STEP_DONE;) {
        void *slot = NULL;
        uint32_t count = 0;
        step = state_read(state, &keys, NULL, 0, &count, &slot, &err);
        if (step == STEP_FAILED)
            ck_abort_msg("%s", err.message);
        if (step == STEP_WAIT)
            (void)usleep(500);
    }
    backend->config.cache_bytes = limit;
}

START_TEST(an_entry_is_in_a_set_once)
{
    char root[] = "/tmp/state-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *directory = format_text("%s/state", root);
    const struct state_backend_config config = {
        .kind = STATE_BACKEND_ROCKSDB,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {1},
        .cache_bytes = 16 << 20,
        .clock = clock_system(),
    };
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &err));
    struct state *state = open_totals(backend);
    int64_t values[KEYS];
    const char *bytes[KEYS];
    uint32_t sizes[KEYS];
    uint64_t hashes[KEYS];
    for (int i = 0; i < KEYS; i++) {
        values[i] = i;
        bytes[i] = (const char *)&values[i];
        sizes[i] = sizeof(values[i]);
        hashes[i] = key_hash(bytes[i], sizes[i]);
    }
    const struct key_batch keys = {.count = KEYS, .bytes = bytes, .sizes = sizes, .hashes = hashes};
    int64_t round = 0;
    add_to_all(state, &keys, round++);
    /* The cache is nearly full, so that the hand goes round; the entries do not fill a set. */
    void *ballast = arena_take_bytes(&backend->arena, BALLAST_BYTES);
    backend->config.cache_bytes = backend->arena.used_bytes * 16 / 15;
    while (round < ROUNDS)
        add_to_all(state, &keys, round++);
    ck_assert_ptr_nonnull(backend->open_set);
    evict(backend, state, keys);
    while (round < 2 * ROUNDS)
        add_to_all(state, &keys, round++);
    arena_give_bytes(&backend->arena, ballast, BALLAST_BYTES);
    ck_assert_uint_gt(backend->evicted_entries, 0);
    state_backend_destroy(backend);
    ck_assert_int_eq(rmdir(root), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_eviction");
    TCase *tests = tcase_create("eviction");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, an_entry_is_in_a_set_once);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
