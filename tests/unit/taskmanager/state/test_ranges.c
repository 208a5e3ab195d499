/* taskmanager/state: ranges of namespace-first states against a grid of keys and windows, with
 * random updates, removals, scans, snapshots and restores, in small and large caches. */
#include "common/base/allocate.h"
#include "common/base/random.h"
#include "common/data/schema.h"
#include "taskmanager/state/backend.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY_COUNT    60
#define WINDOW_COUNT 40
#define BATCH_MAX    200
#define NOTE_MAX     120
#define GROUPS       8
#define ROUNDS       200
#define WAIT_MAX     100000

struct cell {
    bool is_present;
    int64_t total;
    int64_t write_ms;
    uint32_t note_size;
};

static char root[64];
static struct file_store *store;
static struct manual_clock manual;
static struct error err;
static struct cell model[KEY_COUNT][WINDOW_COUNT];
static struct cell marked[KEY_COUNT][WINDOW_COUNT];
static struct random random_state;
static uint64_t next_attempt = 1;
static int64_t ttl_ms;
static const struct type bigint = {.kind = TYPE_BIGINT};
static const struct type string = {.kind = TYPE_STRING};

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static void setup(void)
{
    (void)snprintf(root, sizeof(root), "/tmp/state-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    must(file_store_local_create(storage, &store, &err));
    manual_clock_init(&manual, 1000000);
    memset(model, 0, sizeof(model));
    ttl_ms = 0;
}

static void teardown(void)
{
    store->ops->destroy(store);
    struct file_store *whole;
    must(file_store_local_create("/tmp", &whole, &err));
    must(whole->ops->remove_tree(whole, root + strlen("/tmp/"), &err));
    whole->ops->destroy(whole);
}

static struct state_backend *make_backend(enum state_backend_kind kind, uint64_t cache_bytes)
{
    const uint64_t attempt = next_attempt++;
    SCOPED_TEXT char *directory = format_text("%s/%llu", root, (unsigned long long)attempt);
    const struct state_backend_config config = {
        .kind = kind,
        .directory = directory,
        .key_groups = {0, GROUPS - 1},
        .max_parallelism = GROUPS,
        .attempt = {attempt},
        .cache_bytes = kind == STATE_BACKEND_MEMORY ? 64 << 20 : cache_bytes,
        .queue_bytes = 128 << 10,
        .clock = &manual.clock,
        .store = store,
        .store_prefix = "job",
    };
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &err));
    return backend;
}

static struct state *open_state(struct state_backend *backend, const char *name)
{
    struct schema_column columns[2] = {
        {.name = "total", .type = type_of_kind(TYPE_BIGINT), .field_id = 1},
        {.name = "note", .type = type_of_kind(TYPE_STRING), .field_id = 2},
    };
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 2, -1);
    const struct state_descriptor descriptor = {
        .name = name,
        .kind = STATE_AGGREGATING,
        .order = STATE_NAMESPACE_FIRST,
        .key_types = &string,
        .key_count = 1,
        .subkey_types = &bigint,
        .subkey_count = 1,
        .value = schema,
        .ttl_ms = ttl_ms,
    };
    struct keyed_state *keyed = NULL;
    struct state *state = NULL;
    must(state_backend_operator(backend, "windows", &keyed, &err));
    must(keyed->ops->register_state(keyed, &descriptor, &state, &err));
    return state;
}

/* ---- keys and windows ---- */

static char key_texts[KEY_COUNT][64];

/* From -100 upwards, so that order by value and order of bytes differ. */
static int64_t window_time(int window)
{
    return (int64_t)window * 10 - 100;
}

struct cells {
    struct key_batch keys;
    struct key_batch windows;
    const char *key_bytes[BATCH_MAX];
    uint32_t key_sizes[BATCH_MAX];
    uint64_t key_hashes[BATCH_MAX];
    int64_t times[BATCH_MAX + 2];
    const char *window_bytes[BATCH_MAX];
    uint32_t window_sizes[BATCH_MAX];
    uint64_t window_hashes[BATCH_MAX];
    int key_of[BATCH_MAX];
    int window_of[BATCH_MAX];
};

static void cells_init(struct cells *cells)
{
    cells->keys = (struct key_batch){
        .bytes = cells->key_bytes, .sizes = cells->key_sizes, .hashes = cells->key_hashes};
    cells->windows = (struct key_batch){
        .bytes = cells->window_bytes, .sizes = cells->window_sizes, .hashes = cells->window_hashes};
}

static void cells_add(struct cells *cells, int key, int window)
{
    const uint32_t i = cells->keys.count++;
    cells->windows.count++;
    cells->key_of[i] = key;
    cells->window_of[i] = window;
    cells->key_bytes[i] = key_texts[key];
    cells->key_sizes[i] = (uint32_t)strlen(key_texts[key]);
    cells->key_hashes[i] = key_hash(cells->key_bytes[i], cells->key_sizes[i]);
    cells->times[i] = window_time(window);
    cells->window_bytes[i] = (const char *)&cells->times[i];
    cells->window_sizes[i] = 8;
    cells->window_hashes[i] = key_hash(cells->window_bytes[i], 8);
}

static uint32_t below(uint32_t bound)
{
    return (uint32_t)random_below(&random_state, bound);
}

static bool is_handled(enum step step)
{
    if (step == STEP_FAILED)
        ck_abort_msg("%s", err.message);
    if (step == STEP_WAIT)
        (void)usleep(200);
    return step == STEP_DONE;
}

static bool is_there(const struct cell *cell)
{
    return cell->is_present &&
           (ttl_ms == 0 || clock_wall_ms(&manual.clock) - cell->write_ms < ttl_ms);
}

static char note_byte(const struct cell *cell)
{
    return (char)('a' + cell->total % 26);
}

static void check_slot(struct state *state, void *slot, const struct cell *cell)
{
    ck_assert_int_eq(*(int64_t *)slot_field(&state->layout, slot, 0), cell->total);
    const struct state_bytes *note = slot_field(&state->layout, slot, 1);
    ck_assert_uint_eq(note->size, cell->note_size);
    for (uint32_t i = 0; i < note->size; i++)
        ck_assert_int_eq(note->bytes[i], note_byte(cell));
}

static void change_slot(struct state *state, void *slot, struct cell *cell)
{
    char note[NOTE_MAX];
    cell->is_present = true;
    cell->write_ms = clock_wall_ms(&manual.clock);
    cell->total += below(1000);
    cell->note_size = below(NOTE_MAX);
    memset(note, note_byte(cell), sizeof(note));
    *(int64_t *)slot_field(&state->layout, slot, 0) = cell->total;
    state_set_bytes(state, slot, 1, note, cell->note_size);
}

static void do_update(struct state *state, int first_window, int windows)
{
    struct cells cells;
    cells_init(&cells);
    for (uint32_t i = below(BATCH_MAX) + 1; i > 0; i--)
        cells_add(&cells, (int)below(KEY_COUNT), first_window + (int)below((uint32_t)windows));
    for (uint32_t first = 0; first < cells.keys.count;) {
        void *slots[BATCH_MAX];
        uint8_t fresh[BATCH_MAX];
        uint32_t count = 0;
        if (!is_handled(state_update(state, &cells.keys, &cells.windows, first, &count, slots,
                                     fresh, &err)))
            continue;
        for (uint32_t i = 0; i < count; i++) {
            struct cell *cell = &model[cells.key_of[first + i]][cells.window_of[first + i]];
            bool came_before = false;
            for (uint32_t j = 0; j < i; j++)
                came_before |= slots[j] == slots[i];
            if (!came_before) {
                ck_assert_int_eq(fresh[i], !is_there(cell));
                if (fresh[i] != 0)
                    *cell = (struct cell){0};
            }
            check_slot(state, slots[i], cell);
            change_slot(state, slots[i], cell);
        }
        first += count;
    }
}

static void do_read(struct state *state)
{
    struct cells cells;
    cells_init(&cells);
    for (uint32_t i = below(BATCH_MAX) + 1; i > 0; i--)
        cells_add(&cells, (int)below(KEY_COUNT), (int)below(WINDOW_COUNT));
    for (uint32_t first = 0; first < cells.keys.count;) {
        void *slots[BATCH_MAX];
        uint32_t count = 0;
        if (!is_handled(state_read(state, &cells.keys, &cells.windows, first, &count, slots, &err)))
            continue;
        for (uint32_t i = 0; i < count; i++) {
            const struct cell *cell = &model[cells.key_of[first + i]][cells.window_of[first + i]];
            ck_assert_int_eq(slots[i] != NULL, is_there(cell));
            if (slots[i] != NULL)
                check_slot(state, slots[i], cell);
        }
        first += count;
    }
}

static void do_remove(struct state *state)
{
    struct cells cells;
    cells_init(&cells);
    for (uint32_t i = below(20) + 1; i > 0; i--)
        cells_add(&cells, (int)below(KEY_COUNT), (int)below(WINDOW_COUNT));
    for (uint32_t first = 0; first < cells.keys.count;) {
        uint32_t count = 0;
        if (!is_handled(state_remove(state, &cells.keys, &cells.windows, first, &count, &err)))
            continue;
        for (uint32_t i = first; i < first + count; i++)
            model[cells.key_of[i]][cells.window_of[i]] = (struct cell){0};
        first += count;
    }
}

/* ---- ranges ---- */

struct window_range {
    struct state_range range;
    int64_t from;
    int64_t to;
    int first; /* windows */
    int end;
};

static void range_of(struct window_range *range, int first, int end, bool is_after)
{
    *range = (struct window_range){.first = first, .end = end};
    range->from = window_time(is_after ? first - 1 : first);
    range->to = window_time(end);
    range->range = (struct state_range){.from = (const char *)&range->from,
                                        .from_size = 8,
                                        .is_after = is_after,
                                        .to = (const char *)&range->to,
                                        .to_size = 8};
    if (first == 0 && !is_after)
        range->range.from = NULL;
    if (end == WINDOW_COUNT)
        range->range.to = NULL;
}

static void random_range(struct window_range *range, int most)
{
    const int first = (int)below(WINDOW_COUNT);
    const int end = first + (int)below((uint32_t)most + 1);
    range_of(range, first, end < WINDOW_COUNT ? end : WINDOW_COUNT, below(2) == 0);
}

static void do_remove_range(struct state *state, int most)
{
    struct window_range range;
    random_range(&range, most);
    while (!is_handled(state_remove_range(state, &range.range, &err)))
        ;
    for (int key = 0; key < KEY_COUNT; key++)
        for (int window = range.first; window < range.end; window++)
            model[key][window] = (struct cell){0};
}

struct place {
    uint32_t group;
    int64_t time;
    char key[64];
};

static int compare_places(const struct place *a, const struct place *b)
{
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    return strcmp(a->key, b->key);
}

static int key_of_entry(const struct state_entry *entry)
{
    for (int key = 0; key < KEY_COUNT; key++) {
        if (strlen(key_texts[key]) == entry->key_size &&
            memcmp(key_texts[key], entry->key, entry->key_size) == 0)
            return key;
    }
    ck_abort_msg("a key that was never set");
}

/* disturb: another state is used in the middle of the scan, so that sets are released. */
static void check_scan(struct state *state, const struct window_range *range, struct state *disturb)
{
    struct state_entry entries[37];
    int expected = 0;
    for (int key = 0; key < KEY_COUNT; key++)
        for (int window = range->first; window < range->end; window++)
            expected += is_there(&model[key][window]) ? 1 : 0;
    ck_assert_int_eq(state_scan_range(state, &range->range, &err), STEP_DONE);
    struct place last = {0};
    int seen = 0;
    for (;;) {
        uint32_t count = 0;
        if (!is_handled(state_scan_next(state, entries, 1 + below(37), &count, &err)))
            continue;
        if (count == 0)
            break;
        for (uint32_t i = 0; i < count; i++, seen++) {
            struct place place = {.group = key_group_of(entries[i].hash, GROUPS)};
            ck_assert_uint_eq(entries[i].subkey_size, 8);
            memcpy(&place.time, entries[i].subkey, 8);
            memcpy(place.key, entries[i].key, entries[i].key_size);
            ck_assert(seen == 0 || compare_places(&last, &place) < 0);
            last = place;
            const int window = (int)((place.time + 100) / 10);
            ck_assert(window >= range->first && window < range->end);
            const struct cell *cell = &model[key_of_entry(&entries[i])][window];
            ck_assert(is_there(cell));
            check_slot(state, entries[i].slot, cell);
        }
        if (disturb != NULL) {
            struct cells cells;
            cells_init(&cells);
            for (int i = 0; i < 100; i++)
                cells_add(&cells, (int)below(KEY_COUNT), (int)below(WINDOW_COUNT));
            void *slots[BATCH_MAX];
            uint8_t fresh[BATCH_MAX];
            (void)is_handled(
                state_update(disturb, &cells.keys, &cells.windows, 0, &count, slots, fresh, &err));
        }
    }
    ck_assert_int_eq(seen, expected);
}

static void check_find(struct state *state, const struct window_range *within)
{
    struct window_range range = *within;
    for (int window = range.first; window <= range.end; window++) {
        bool is_open = false;
        for (int key = 0; key < KEY_COUNT && window < range.end; key++)
            is_open |= is_there(&model[key][window]);
        if (!is_open && window < range.end)
            continue;
        bool found = false;
        const char *subkey = NULL;
        uint32_t size = 0;
        while (!is_handled(state_find_subkey(state, &range.range, &found, &subkey, &size, &err)))
            ;
        ck_assert_int_eq(found, window < range.end);
        if (!found)
            break;
        ck_assert_uint_eq(size, 8);
        memcpy(&range.from, subkey, 8);
        ck_assert_int_eq(range.from, window_time(window));
        range.range.from = (const char *)&range.from;
        range.range.from_size = 8;
        range.range.is_after = true;
    }
}

static void check_all(struct state *state)
{
    struct window_range all;
    range_of(&all, 0, WINDOW_COUNT, false);
    check_scan(state, &all, NULL);
    check_find(state, &all);
    /* The plain scan goes the same way. */
    struct state_entry entries[50];
    uint32_t count = 0;
    int seen = 0;
    int expected = 0;
    for (int key = 0; key < KEY_COUNT; key++)
        for (int window = 0; window < WINDOW_COUNT; window++)
            expected += is_there(&model[key][window]) ? 1 : 0;
    ck_assert_int_eq(state->ops->scan_start(state, &err), STEP_DONE);
    do {
        while (!is_handled(state_scan_next(state, entries, 50, &count, &err)))
            ;
        seen += (int)count;
    } while (count > 0);
    ck_assert_int_eq(seen, expected);
}

/* ---- snapshots ---- */

static void free_handle(struct keyed_state_handle *handle)
{
    struct task_state state = {.keyed = *handle};
    task_state_done(&state);
    *handle = (struct keyed_state_handle){0};
}

static void wait_snapshot(struct state_backend *backend, struct state_snapshot *snapshot)
{
    for (int i = 0; !state_backend_poll_snapshot(backend, snapshot); i++) {
        ck_assert_int_lt(i, WAIT_MAX);
        (void)usleep(200);
    }
    err = snapshot->err;
    must(snapshot->status);
}

static void check_restore(enum state_backend_kind kind, const struct keyed_state_handle *handle,
                          uint64_t cache_bytes)
{
    static struct cell saved[KEY_COUNT][WINDOW_COUNT];
    memcpy(saved, model, sizeof(saved));
    memcpy(model, marked, sizeof(model));
    struct state_backend *backend = make_backend(kind, cache_bytes);
    must(state_backend_restore(backend, handle, (struct checkpoint_id){1}, &err));
    struct state *state = open_state(backend, "windows");
    check_all(state);
    do_remove_range(state, 5);
    do_update(state, 0, WINDOW_COUNT);
    check_all(state);
    state_backend_destroy(backend);
    memcpy(model, saved, sizeof(model));
}

static void check_random(enum state_backend_kind kind, uint64_t seed, uint64_t cache_bytes)
{
    random_init(&random_state, seed);
    for (int key = 0; key < KEY_COUNT; key++)
        (void)snprintf(key_texts[key], sizeof(key_texts[key]), "%.*skey-%d", key % 40,
                       "a prefix that makes some of the keys long", key * 7919 % 1009);
    struct state_backend *backend = make_backend(kind, cache_bytes);
    struct state *state = open_state(backend, "windows");
    struct state *other = open_state(backend, "other");
    struct state_snapshot snapshot;
    uint64_t checkpoint = 0;
    uint64_t completed = 0;
    bool is_running = false;
    for (int i = 0; i < ROUNDS; i++) {
        const uint32_t dice = below(100);
        struct window_range range;
        if (dice < 40)
            do_update(state, i * (WINDOW_COUNT - 8) / ROUNDS, 8);
        else if (dice < 45)
            do_update(state, 0, WINDOW_COUNT);
        else if (dice < 50)
            do_remove(state);
        else if (dice < 62)
            do_remove_range(state, below(4) == 0 ? WINDOW_COUNT : 3);
        else if (dice < 70)
            do_read(state);
        else if (dice < 80) {
            random_range(&range, 10);
            check_scan(state, &range, below(2) == 0 ? other : NULL);
        } else if (dice < 84) {
            random_range(&range, 20);
            check_find(state, &range);
        } else if (dice < 86)
            check_all(state);
        else if (dice < 90 && !is_running) {
            memcpy(marked, model, sizeof(model));
            must(state_backend_begin_snapshot(backend, (struct checkpoint_id){++checkpoint},
                                              (struct checkpoint_id){completed}, &err));
            is_running = true;
        } else if (dice == 94 && is_running) {
            state_backend_abort_snapshot(backend, (struct checkpoint_id){checkpoint});
            is_running = false;
        } else if (ttl_ms > 0 && dice > 96)
            manual.us += 400000;
        if (is_running && below(12) == 0) {
            wait_snapshot(backend, &snapshot);
            check_restore(kind, &snapshot.handle, cache_bytes);
            completed = checkpoint;
            state_backend_checkpoint_completed(backend, (struct checkpoint_id){completed});
            free_handle(&snapshot.handle);
            is_running = false;
        }
    }
    check_all(state);
    ck_assert_uint_gt(completed, 0);
    state_backend_destroy(backend);
}

START_TEST(random_ranges_in_memory)
{
    check_random(STATE_BACKEND_MEMORY, (uint64_t)_i + 1, 0);
}
END_TEST

START_TEST(random_ranges_in_a_small_cache)
{
    check_random(STATE_BACKEND_ROCKSDB, (uint64_t)_i + 1, 96 << 10);
}
END_TEST

START_TEST(random_ranges_in_a_large_cache)
{
    check_random(STATE_BACKEND_ROCKSDB, (uint64_t)_i + 1, 16 << 20);
}
END_TEST

START_TEST(random_ranges_that_expire)
{
    ttl_ms = 1000;
    check_random(_i == 0 ? STATE_BACKEND_MEMORY : STATE_BACKEND_ROCKSDB, (uint64_t)_i + 1,
                 128 << 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_ranges");
    TCase *tests = tcase_create("model");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, random_ranges_in_memory, 0, 1);
    tcase_add_loop_test(tests, random_ranges_in_a_small_cache, 0, 2);
    tcase_add_loop_test(tests, random_ranges_in_a_large_cache, 0, 2);
    tcase_add_loop_test(tests, random_ranges_that_expire, 0, 2);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
