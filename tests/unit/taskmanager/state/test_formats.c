/* taskmanager/state: golden vectors of what lasts: values, meta data, the memory file. */
#include "common/base/allocate.h"
#include "common/data/schema.h"
#include "taskmanager/state/backend.h"
#include "taskmanager/state/state_meta.h"
#include "taskmanager/state/state_value.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GOLDEN_FILE                                                                                \
    "4d53544d010000001e000000372b3e790000080000000063016b657900010c00000001000000"                 \
    "070000000000000000000000000000000100000000000000"
#define GOLDEN_META                                                                                \
    "4d534b53010001008000000001000000020000006f7001000000760000000000000000000000"                 \
    "190000000101000000ffffffff0100000000000b000000000000000000090000000100000000"                 \
    "ffffffff010000001a0000000101000000ffffffff0100000001006e05000000000000000000"                 \
    "1c9d5929"

static struct error err;

static void must(enum status status)
{
    if (status != STATUS_OK)
        ck_abort_msg("%s", err.message);
}

static void expect_hex(const void *bytes, size_t size, const char *expected)
{
    struct text SCOPED_TEXT_BUFFER hex;
    text_init(&hex, 100000);
    for (size_t i = 0; i < size; i++)
        text_format(&hex, "%02x", ((const unsigned char *)bytes)[i]);
    ck_assert_str_eq(hex.bytes, expected);
}

static struct schema *row_schema(void)
{
    struct schema_column columns[4] = {
        {.name = "n", .type = type_of_kind(TYPE_BIGINT)},
        {.name = "s", .type = type_of_kind(TYPE_STRING)},
        {.name = "d", .type = type_of_kind(TYPE_INT)},
        {.name = "m", .type = type_decimal(20, 2)},
    };
    columns[0].type.nullable = false;
    return schema_create(columns, 4, -1);
}

START_TEST(values)
{
    SCOPED(schema_unref) struct schema *schema = row_schema();
    for (int has_ttl = 0; has_ttl < 2; has_ttl++) {
        struct state_value_codec codec;
        must(state_value_codec_init(&codec, NULL, 0, schema, has_ttl != 0, &err));
        struct arena arena;
        arena_init(&arena, NULL);
        _Alignas(16) char slot[128] = {0};
        ck_assert_uint_le(codec.layout.size, sizeof(slot));
        *(int64_t *)slot_field(&codec.layout, slot, 0) = 258;
        state_slot_set_bytes(slot_field(&codec.layout, slot, 1), "abc", 3, &arena);
        slot_set_null(slot, 2, true);
        *(__int128 *)slot_field(&codec.layout, slot, 3) = -2;
        struct text SCOPED_TEXT_BUFFER bytes;
        text_init(&bytes, 1000);
        state_value_encode(&codec, slot, 1000, &bytes);
        expect_hex(bytes.bytes, bytes.size,
                   has_ttl != 0 ? "810000e803000000000000"
                                  "04020100000000000003000000616263"
                                  "feffffffffffffffffffffffffffffff"
                                : "010000"
                                  "04020100000000000003000000616263"
                                  "feffffffffffffffffffffffffffffff");
        /* Every cut is refused, the whole gives the same slot. */
        int64_t write_ms;
        for (size_t size = 0; size <= bytes.size; size++) {
            _Alignas(16) char back[128] = {0};
            const enum status status =
                state_value_decode(&codec, bytes.bytes, size, back, &write_ms, &arena, &err);
            ck_assert_int_eq(status, size == bytes.size ? STATUS_OK : STATUS_CORRUPT);
            if (status == STATUS_OK) {
                ck_assert_int_eq(write_ms, has_ttl != 0 ? 1000 : -1);
                struct text SCOPED_TEXT_BUFFER again;
                text_init(&again, 1000);
                state_value_encode(&codec, back, 1000, &again);
                ck_assert_uint_eq(again.size, bytes.size);
                ck_assert_int_eq(memcmp(again.bytes, bytes.bytes, bytes.size), 0);
            }
        }
        arena_done(&arena);
        state_value_codec_done(&codec);
    }
}
END_TEST

static struct state_backend *open_memory(const char *root, int attempt, struct file_store *store)
{
    SCOPED_TEXT char *directory = format_text("%s/%d", root, attempt);
    const struct state_backend_config config = {
        .kind = STATE_BACKEND_MEMORY,
        .directory = directory,
        .key_groups = {0, 127},
        .max_parallelism = 128,
        .attempt = {(uint64_t)attempt},
        .cache_bytes = 1 << 20,
        .clock = clock_system(),
        .store = store,
        .store_prefix = "job",
    };
    struct state_backend *backend = NULL;
    must(state_backend_create(&config, &backend, &err));
    return backend;
}

START_TEST(the_memory_file_and_the_meta_data)
{
    char root[] = "/tmp/state-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(root));
    struct file_store *store;
    SCOPED_TEXT char *storage = format_text("%s/storage", root);
    must(file_store_local_create(storage, &store, &err));
    struct state_backend *backend = open_memory(root, 1, store);
    struct keyed_state *keyed = NULL;
    must(state_backend_operator(backend, "op", &keyed, &err));
    struct schema_column column = {.name = "n", .type = type_of_kind(TYPE_BIGINT)};
    column.type.nullable = false;
    SCOPED(schema_unref) struct schema *schema = schema_create(&column, 1, -1);
    const struct type key_type = {.kind = TYPE_STRING};
    const struct state_descriptor descriptor = {
        .name = "v", .kind = STATE_VALUE, .key_types = &key_type, .key_count = 1, .value = schema};
    struct state *state = NULL;
    must(keyed->ops->register_state(keyed, &descriptor, &state, &err));
    static const char text[32] = "key";
    const char *key = text;
    uint32_t size = 3;
    uint64_t hash = key_hash(key, size);
    const struct key_batch keys = {.count = 1, .bytes = &key, .sizes = &size, .hashes = &hash};
    void *slot = NULL;
    uint8_t fresh;
    uint32_t count;
    ck_assert_int_eq(state_update(state, &keys, NULL, 0, &count, &slot, &fresh, &err), STEP_DONE);
    *(int64_t *)slot_field(&state->layout, slot, 0) = 7;
    must(state_backend_begin_snapshot(backend, (struct checkpoint_id){9}, (struct checkpoint_id){0},
                                      &err));
    struct state_snapshot snapshot;
    while (!state_backend_poll_snapshot(backend, &snapshot))
        (void)usleep(1000);
    must(snapshot.status);
    ck_assert_uint_eq(snapshot.handle.file_count, 1);
    ck_assert_str_eq(snapshot.handle.files[0].path, "chk-9/1/memory.state");
    struct text SCOPED_TEXT_BUFFER content;
    text_init(&content, 1000);
    must(store->ops->get(store, "job/chk-9/1/memory.state", &content, &err));
    expect_hex(content.bytes, content.size, GOLDEN_FILE);
    expect_hex(snapshot.handle.meta, snapshot.handle.meta_size, GOLDEN_META);
    for (size_t cut = 0; cut < snapshot.handle.meta_size; cut++) {
        struct state_meta meta;
        ck_assert_int_ne(state_meta_decode(snapshot.handle.meta, cut, &meta, &err), STATUS_OK);
    }
    struct task_state whole = {.keyed = snapshot.handle};
    task_state_done(&whole);
    state_backend_destroy(backend);
    store->ops->destroy(store);
    must(file_store_local_create("/tmp", &store, &err));
    must(store->ops->remove_tree(store, root + strlen("/tmp/"), &err));
    store->ops->destroy(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("state_formats");
    TCase *tests = tcase_create("formats");
    tcase_add_test(tests, values);
    tcase_add_test(tests, the_memory_file_and_the_meta_data);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
