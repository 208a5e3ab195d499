/* taskmanager/state: timers against a grid of times, keys and namespaces, with caches that hold few
 * of them, snapshots and restores; how they are stored; a million of them in a bounded cache. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "tests/kit/state_kit.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#define KEY_COUNT  50
#define TIME_COUNT 60
#define SPACES     3
#define ROUNDS     200

static bool model[2][TIME_COUNT][KEY_COUNT][SPACES];
static bool marked[2][TIME_COUNT][KEY_COUNT][SPACES];
static struct random random_state;
static const char *const spaces[SPACES] = {"", "a", "ab"};

struct test_key {
    char bytes[32];
    uint32_t size;
};

static struct test_key keys[KEY_COUNT]; /* in their order */

static uint32_t below(uint32_t bound)
{
    return (uint32_t)random_below(&random_state, bound);
}

static int compare_keys(const void *left, const void *right)
{
    const struct test_key *a = left;
    const struct test_key *b = right;
    if (a->size == KEY_NULL || b->size == KEY_NULL)
        return (b->size == KEY_NULL) - (a->size == KEY_NULL);
    const int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* NULL, the empty one, numbers with zero bytes, texts that begin with each other. */
static void make_keys(void)
{
    memset(keys, 0, sizeof(keys));
    keys[0].size = KEY_NULL;
    for (int i = 2; i < KEY_COUNT; i++) {
        if (i % 2 == 0) {
            const int64_t number = (int64_t)i * 1009;
            memcpy(keys[i].bytes, &number, sizeof(number));
            keys[i].size = 8;
        } else {
            keys[i].size = (uint32_t)(i % 13 + 1);
            for (uint32_t b = 0; b < keys[i].size; b++)
                keys[i].bytes[b] = (char)(b + 1 < keys[i].size ? 'a' : i);
        }
    }
    qsort(keys, KEY_COUNT, sizeof(keys[0]), compare_keys);
}

static int64_t time_ms_of(int time)
{
    return (int64_t)time * 100 - 1000;
}

static struct timer timer_of(int kind, int time, int key, int space)
{
    return (struct timer){
        .kind = (enum timer_kind)kind,
        .time_ms = time_ms_of(time),
        .key = keys[key].bytes,
        .key_size = keys[key].size,
        .hash = key_hash(keys[key].bytes, keys[key].size),
        .name_space = spaces[space],
        .name_space_size = (uint32_t)strlen(spaces[space]),
    };
}

static void change_timers(struct keyed_state *keyed, bool is_set, int first_time, int times)
{
    for (uint32_t i = below(100); i > 0; i--) {
        const int kind = below(4) == 0 ? TIMER_PROCESSING_TIME : TIMER_EVENT_TIME;
        const int time = first_time + (int)below((uint32_t)times);
        const int key = (int)below(KEY_COUNT);
        const int space = (int)below(SPACES);
        const struct timer timer = timer_of(kind, time, key, space);
        while (again(is_set ? keyed->ops->set_timer(keyed, &timer, &kit.err)
                            : keyed->ops->delete_timer(keyed, &timer, &kit.err)))
            ;
        model[kind][time][key][space] = is_set;
    }
}

/* The earliest timer of the model up to a time; false: none. */
static bool model_first(int kind, int last_time, int place[static 3])
{
    for (int time = 0; time <= last_time; time++)
        for (int key = 0; key < KEY_COUNT; key++)
            for (int space = 0; space < SPACES; space++) {
                if (!model[kind][time][key][space])
                    continue;
                place[0] = time;
                place[1] = key;
                place[2] = space;
                return true;
            }
    return false;
}

/* Fires at most `most` timers. */
static void fire(struct keyed_state *keyed, int kind, int last_time, int most, bool is_exact)
{
    for (int i = 0; i < most; i++) {
        int place[3] = {0};
        const bool is_due = model_first(kind, last_time, place);
        const int64_t next_ms = state_timers_next_ms(keyed, (enum timer_kind)kind);
        if (is_due)
            ck_assert_int_le(next_ms, time_ms_of(place[0]));
        if (is_due && is_exact)
            ck_assert_int_eq(next_ms, time_ms_of(place[0]));
        struct timer timer;
        bool found = false;
        while (again(state_timers_pop(keyed, (enum timer_kind)kind, time_ms_of(last_time), &found,
                                      &timer, &kit.err)))
            ;
        ck_assert_int_eq(found, is_due);
        if (!found) {
            ck_assert_int_gt(state_timers_next_ms(keyed, (enum timer_kind)kind),
                             time_ms_of(last_time));
            return;
        }
        const struct timer expected = timer_of(kind, place[0], place[1], place[2]);
        ck_assert_int_eq(timer.kind, expected.kind);
        ck_assert_int_eq(timer.time_ms, expected.time_ms);
        ck_assert_uint_eq(timer.key_size, expected.key_size);
        ck_assert_uint_eq(timer.hash, expected.hash);
        if (timer.key_size != KEY_NULL)
            ck_assert_int_eq(memcmp(timer.key, expected.key, timer.key_size), 0);
        ck_assert_uint_eq(timer.name_space_size, expected.name_space_size);
        ck_assert_int_eq(memcmp(timer.name_space, expected.name_space, timer.name_space_size), 0);
        model[kind][place[0]][place[1]][place[2]] = false;
    }
}

static void check_restore(enum state_backend_kind kind, struct state_snapshot *snapshot)
{
    static bool saved[2][TIME_COUNT][KEY_COUNT][SPACES];
    memcpy(saved, model, sizeof(saved));
    memcpy(model, marked, sizeof(model));
    struct state_backend *backend = make_backend(kind);
    must(state_backend_restore(backend, &snapshot->handle, (struct checkpoint_id){1}, &kit.err));
    struct keyed_state *keyed = open_operator(backend);
    fire(keyed, TIMER_EVENT_TIME, TIME_COUNT - 1, 50, true);
    change_timers(keyed, true, 0, TIME_COUNT);
    change_timers(keyed, false, 0, TIME_COUNT);
    for (int k = 0; k < 2; k++)
        fire(keyed, k, TIME_COUNT - 1, INT32_MAX, false);
    state_backend_destroy(backend);
    memcpy(model, saved, sizeof(model));
}

/* Another state takes the cache, so that timers are evicted. */
static void press(struct state *state)
{
    struct numbers numbers;
    (void)add_to_counts(state, number_keys(&numbers, (int64_t)below(4000), 200, 7), NULL, 1);
}

static void check_random(enum state_backend_kind kind, uint64_t seed)
{
    random_init(&random_state, seed);
    make_keys();
    memset(model, 0, sizeof(model));
    struct state_backend *backend = make_backend(kind);
    struct keyed_state *keyed = open_operator(backend);
    struct state *state = open_count(backend, false, 0);
    struct state_snapshot snapshot;
    uint64_t checkpoint = 0;
    uint64_t completed = 0;
    bool is_running = false;
    for (int i = 0; i < ROUNDS; i++) {
        const int now = i * (TIME_COUNT - 20) / ROUNDS;
        const uint32_t dice = below(100);
        if (dice < 35)
            change_timers(keyed, true, now, 20);
        else if (dice < 40)
            change_timers(keyed, true, 0, TIME_COUNT); /* also of the past */
        else if (dice < 50)
            change_timers(keyed, false, now, 20);
        else if (dice < 75)
            fire(keyed, (int)below(2), now, 1 + (int)below(100), kind == STATE_BACKEND_MEMORY);
        else if (dice < 88)
            press(state);
        else if (dice < 92 && !is_running) {
            memcpy(marked, model, sizeof(model));
            must(state_backend_begin_snapshot(backend, (struct checkpoint_id){++checkpoint},
                                              (struct checkpoint_id){completed}, &kit.err));
            is_running = true;
        } else if (dice == 99 && is_running) {
            state_backend_abort_snapshot(backend, (struct checkpoint_id){checkpoint});
            is_running = false;
        }
        if (is_running && below(10) == 0) {
            wait_snapshot(backend, &snapshot);
            must(snapshot.status);
            check_restore(kind, &snapshot);
            completed = checkpoint;
            state_backend_checkpoint_completed(backend, (struct checkpoint_id){completed});
            free_snapshot(&snapshot);
            is_running = false;
        }
    }
    for (int k = 0; k < 2; k++)
        fire(keyed, k, TIME_COUNT - 1, INT32_MAX, false);
    ck_assert_int_eq(state_timers_next_ms(keyed, TIMER_EVENT_TIME), INT64_MAX);
    ck_assert_int_eq(state_timers_next_ms(keyed, TIMER_PROCESSING_TIME), INT64_MAX);
    ck_assert_uint_gt(completed, 0);
    struct state_metrics metrics;
    state_backend_metrics(backend, &metrics);
    if (kind == STATE_BACKEND_ROCKSDB && kit.cache_bytes < 1 << 20)
        ck_assert_uint_gt(metrics.evicted_entries, 0);
    state_backend_destroy(backend);
}

START_TEST(random_timers_in_memory)
{
    check_random(STATE_BACKEND_MEMORY, (uint64_t)_i + 1);
}
END_TEST

START_TEST(random_timers_in_a_small_cache)
{
    kit.cache_bytes = 64 << 10;
    check_random(STATE_BACKEND_ROCKSDB, (uint64_t)_i + 1);
}
END_TEST

START_TEST(random_timers_in_a_larger_cache)
{
    kit.cache_bytes = (uint64_t)256 << (10 + 3 * _i);
    check_random(STATE_BACKEND_ROCKSDB, (uint64_t)_i + 1);
}
END_TEST

/* ---- how they are stored ---- */

static const struct {
    int64_t time_ms;
    const char *key;
    uint32_t key_size;
    const char *name_space;
    const char *stored; /* behind the key group, hex */
} golden[] = {
    {0, "k", 1, "",
     "00"
     "8000000000000000"
     "016b0001"},
    {-1, "k", 1, "ns",
     "00"
     "7fffffffffffffff"
     "016b0001"
     "6e73"},
    {1000, "a\0b", 3, "",
     "00"
     "80000000000003e8"
     "016100ff620001"},
    {1000, "", 0, "x",
     "00"
     "80000000000003e8"
     "010001"
     "78"},
    {INT64_MAX, NULL, KEY_NULL, "",
     "00"
     "ffffffffffffffff"
     "00"},
};

START_TEST(timers_are_stored_as_ever)
{
    struct state_backend *backend = make_backend(STATE_BACKEND_MEMORY);
    struct keyed_state *keyed = open_operator(backend);
    const struct timer timer = {
        .kind = TIMER_EVENT_TIME,
        .time_ms = golden[_i].time_ms,
        .key = golden[_i].key,
        .key_size = golden[_i].key_size,
        .hash = key_hash(golden[_i].key, golden[_i].key_size),
        .name_space = golden[_i].name_space,
        .name_space_size = (uint32_t)strlen(golden[_i].name_space),
    };
    while (again(keyed->ops->set_timer(keyed, &timer, &kit.err)))
        ;
    struct state_snapshot snapshot;
    take_snapshot(backend, 1, 0, &snapshot);
    ck_assert_uint_eq(snapshot.handle.file_count, 1);
    struct text SCOPED_TEXT_BUFFER content;
    text_init(&content, 1 << 20);
    SCOPED_TEXT char *path = format_text("job/%s", snapshot.handle.files[0].path);
    must(kit.store->ops->get(kit.store, path, &content, &kit.err));
    /* File and block heads of 8 bytes each, 16-bit state, 32-bit size, 16-bit key group. */
    char hex[200] = "";
    uint32_t size;
    memcpy(&size, content.bytes + 18, sizeof(size));
    for (uint32_t i = 2; i < size; i++)
        (void)snprintf(hex + strlen(hex), 3, "%02x", (unsigned char)content.bytes[22 + i]);
    ck_assert_str_eq(hex, golden[_i].stored);
    free_snapshot(&snapshot);
    state_backend_destroy(backend);
}
END_TEST

/* ---- many ---- */

#define MANY 150000

/* At one time, of many keys: neither memory nor time may depend on how many are due at once. */
START_TEST(many_timers_stay_in_the_budget)
{
    kit.cache_bytes = 4 << 20;
    struct state_backend *backend = make_backend(STATE_BACKEND_ROCKSDB);
    struct keyed_state *keyed = open_operator(backend);
    uint64_t most_bytes = 0;
    struct state_metrics metrics;
    for (int64_t i = 0; i < MANY; i++) {
        const int64_t key = i * 7919 % MANY;
        const struct timer timer = {.kind = TIMER_EVENT_TIME,
                                    .time_ms = _i == 0 ? 5000 : key % 1000,
                                    .key = (const char *)&key,
                                    .key_size = 8,
                                    .hash = key_hash((const char *)&key, 8),
                                    .name_space = "window",
                                    .name_space_size = 6};
        while (again(keyed->ops->set_timer(keyed, &timer, &kit.err)))
            ;
        state_backend_metrics(backend, &metrics);
        most_bytes = metrics.cache_bytes > most_bytes ? metrics.cache_bytes : most_bytes;
    }
    struct timer last = {0};
    char last_key[8] = {0};
    for (int64_t fired = 0; fired < MANY; fired++) {
        struct timer timer;
        bool found = false;
        while (again(state_timers_pop(keyed, TIMER_EVENT_TIME, 5000, &found, &timer, &kit.err)))
            ;
        ck_assert(found);
        ck_assert(fired == 0 || last.time_ms < timer.time_ms ||
                  (last.time_ms == timer.time_ms && memcmp(last_key, timer.key, 8) < 0));
        last = timer;
        memcpy(last_key, timer.key, 8);
        state_backend_metrics(backend, &metrics);
        most_bytes = metrics.cache_bytes > most_bytes ? metrics.cache_bytes : most_bytes;
    }
    ck_assert_int_eq(state_timers_next_ms(keyed, TIMER_EVENT_TIME), INT64_MAX);
    ck_assert_uint_gt(metrics.evicted_entries, MANY / 2);
    ck_assert_uint_le(most_bytes, kit.cache_bytes + (64 << 10));
    state_backend_destroy(backend);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_timers");
    TCase *tests = tcase_create("timers");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, state_kit_init, state_kit_done);
    tcase_add_loop_test(tests, random_timers_in_memory, 0, 2);
    tcase_add_loop_test(tests, random_timers_in_a_small_cache, 0, 2);
    tcase_add_loop_test(tests, random_timers_in_a_larger_cache, 0, 2);
    tcase_add_loop_test(tests, timers_are_stored_as_ever, 0, 5);
    tcase_add_loop_test(tests, many_timers_stay_in_the_budget, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
