/* common/data: keys: golden vectors, storage order, round trips, wrong bytes. */
#include "common/data/key.h"
#include "common/data/value_codec.h"
#include "tests/unit/common/data/every_type.h"

/* Per type: canonical bytes, hash, key group of 128, storage bytes of the golden value. */
static const struct {
    const char *canonical;
    uint64_t hash;
    uint32_t key_group;
    const char *storage;
} golden[EVERY_COLUMN_COUNT] = {
    {"01", UINT64_C(0xe12ef9d2eb86ceeb), 107, "0101"},                             /* boolean */
    {"fe", UINT64_C(0x6c197e51b9364ce3), 99, "017e"},                              /* tinyint */
    {"feff", UINT64_C(0x00e7cbba5da9e337), 55, "017ffe"},                          /* smallint */
    {"feffffff", UINT64_C(0x70168a72e6d8f6ab), 43, "017ffffffe"},                  /* int */
    {"feffffffffffffff", UINT64_C(0x77f9923217301859), 89, "017ffffffffffffffe"},  /* bigint */
    {"000020c0", UINT64_C(0x3a7a100d82b5d372), 114, "013fdfffff"},                 /* float */
    {"00000000000004c0", UINT64_C(0x9eb5049a14cfadff), 127, "013ffbffffffffffff"}, /* double */
    {"c7cfffffffffffffffffffffffffffff", UINT64_C(0x6353bd616cea2af6), 118,
     "017fffffffffffffffffffffffffffcfc7"},                   /* decimal */
    {"6162", UINT64_C(0xa873719c24d5735c), 92, "0161620001"}, /* char */
    {"666f75727465656e206279746573", UINT64_C(0xb885d1d7e21a71c2), 66,
     "01666f75727465656e2062797465730001"},                                       /* varchar */
    {"6170706c65", UINT64_C(0x517a430dcf1f8a00), 0, "016170706c650001"},          /* string */
    {"610062", UINT64_C(0xd5a06cd078125351), 81, "016100ff620001"},               /* bytes */
    {"03020100", UINT64_C(0x704d8757d30e6499), 25, "0180010203"},                 /* date */
    {"0302010000000000", UINT64_C(0xc8ec6e2e3e624cc3), 67, "018000000000010203"}, /* time */
    {"0302010000000000", UINT64_C(0xc8ec6e2e3e624cc3), 67, "018000000000010203"}, /* timestamp */
    {"0302010000000000", UINT64_C(0xc8ec6e2e3e624cc3), 67,
     "018000000000010203"},                                       /* timestamp_ltz */
    {"03020100", UINT64_C(0x704d8757d30e6499), 25, "0180010203"}, /* interval_month */
    {"0302010000000000", UINT64_C(0xc8ec6e2e3e624cc3), 67,
     "018000000000010203"}, /* interval_second */
    {"0102000000010000000000000000", UINT64_C(0x139a6e3e457486d4), 84,
     "01010200ff00ff00ff0100ff00ff00ff00ff00ff00ff00ff00ff0001"}, /* array */
    {"010100000000010000006b0007000000", UINT64_C(0xc230ef616344d5ae), 46,
     "01010100ff00ff00ff00ff0100ff00ff00ff6b00ff0700ff00ff00ff0001"}, /* map */
    {"01020700000000000000", UINT64_C(0x56f9e538d1cdd7b7), 55,
     "0101020700ff00ff00ff00ff00ff00ff00ff0001"}, /* row */
};

START_TEST(keys_are_those_of_version_1)
{
    SCOPED_TEXT_BUFFER struct text canonical;
    SCOPED_TEXT_BUFFER struct text storage;
    SCOPED_TEXT_BUFFER struct text bytes;
    text_init(&canonical, 1000);
    text_init(&storage, 1000);
    text_init(&bytes, 1000);
    struct key_batch keys;
    key_batch_init(&keys);
    for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++) {
        SCOPED(schema_unref) struct schema *schema = schema_create(&every_column[i], 1, -1);
        SCOPED(batch_unref) struct batch *batch = golden_batch(schema);
        const struct type *type = &schema->columns[0].type;
        key_batch_compute(&keys, batch, &(uint32_t){0}, 1);
        text_clear(&canonical);
        text_clear(&storage);
        text_clear(&bytes);
        append_hex(keys.bytes[0], keys.sizes[0], &canonical);
        key_storage_from_canonical(type, 1, keys.bytes[0], keys.sizes[0], &bytes);
        append_hex(bytes.bytes, bytes.size, &storage);
        const uint32_t key_group = key_group_of(keys.hashes[0], 128);
        if (getenv("PRINT_GOLDEN") != NULL) { /* for a new version or type */
            printf("    {\"%s\", UINT64_C(0x%016lx), %u, \"%s\"}, /* %s */\n", canonical.bytes,
                   keys.hashes[0], key_group, storage.bytes, every_column[i].name);
            continue;
        }
        ck_assert_str_eq(canonical.bytes, golden[i].canonical);
        ck_assert_uint_eq(keys.hashes[0], golden[i].hash);
        ck_assert_uint_eq(key_group, golden[i].key_group);
        ck_assert_str_eq(storage.bytes, golden[i].storage);
        ck_assert_uint_eq(keys.hashes[0], key_hash(keys.bytes[0], keys.sizes[0]));
        ck_assert_uint_eq(keys.sizes[1], KEY_NULL);
        ck_assert_uint_eq(keys.hashes[1], UINT64_C(0xd6bcec3c6b29d72e));
        ck_assert_uint_eq(key_hash(NULL, KEY_NULL), UINT64_C(0xd6bcec3c6b29d72e));
        text_clear(&bytes);
        key_storage_from_canonical(type, 1, keys.bytes[1], keys.sizes[1], &bytes);
        ck_assert(bytes.size == 1 && bytes.bytes[0] == 0);
    }
    key_batch_done(&keys);
}
END_TEST

/* What several columns are: given by hand. */
START_TEST(several_columns_and_none)
{
    const struct schema_column columns[] = {every_column[3], every_column[10], every_column[20]};
    SCOPED(schema_unref) struct schema *schema = schema_create(columns, 3, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    for (uint32_t i = 0; i < 3; i++)
        append_golden(&builder, i, columns[i].type);
    batch_builder_end_row(&builder, ROW_INSERT);
    batch_builder_null_missing(&builder);
    batch_builder_end_row(&builder, ROW_INSERT);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    struct key_batch keys;
    key_batch_init(&keys);
    const uint32_t order[] = {1, 0, 2};
    key_batch_compute(&keys, batch, order, 3);
    SCOPED_TEXT_BUFFER struct text hex;
    text_init(&hex, 1000);
    append_hex(keys.bytes[0], keys.sizes[0], &hex);
    ck_assert_str_eq(hex.bytes, "01050000006170706c65"
                                "01feffffff"
                                "010a00000001020700000000000000");
    ck_assert_uint_eq(keys.hashes[0], key_hash(keys.bytes[0], keys.sizes[0]));
    ck_assert_uint_eq(keys.sizes[1], 3);
    ck_assert_mem_eq(keys.bytes[1], "\0\0\0", 3);
    key_batch_compute(&keys, batch, NULL, 0);
    ck_assert_uint_eq(keys.count, 2);
    ck_assert_uint_eq(keys.sizes[0], 0);
    ck_assert_uint_eq(keys.hashes[0], key_hash("", 0));
    batch->selection = malloc(sizeof(uint32_t));
    batch->selection[0] = 1;
    batch->selected_count = 1;
    key_batch_compute(&keys, batch, order, 1);
    ck_assert_uint_eq(keys.count, 1);
    ck_assert_uint_eq(keys.sizes[0], KEY_NULL);
    key_batch_done(&keys);
}
END_TEST

START_TEST(equal_numbers_are_one_key)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(&every_column[5], 2, -1);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    const double values[] = {0.0, -0.0, (double)NAN, -(double)NAN};
    for (uint32_t i = 0; i < 4; i++) {
        batch_builder_double(&builder, 0, values[i]);
        batch_builder_double(&builder, 1, values[i]);
        batch_builder_end_row(&builder, ROW_INSERT);
    }
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    struct key_batch keys;
    key_batch_init(&keys);
    const uint32_t columns[] = {0, 1};
    for (uint32_t first = 0; first < 2; first++) {
        for (uint32_t count = 1; first + count <= 2; count++) {
            key_batch_compute(&keys, batch, columns + first, count);
            for (uint32_t i = 0; i < 4; i += 2) {
                ck_assert_uint_eq(keys.hashes[i], keys.hashes[i + 1]);
                ck_assert_mem_eq(keys.bytes[i], keys.bytes[i + 1], keys.sizes[i]);
            }
            ck_assert_uint_ne(keys.hashes[0], keys.hashes[2]);
        }
    }
    key_batch_done(&keys);
}
END_TEST

#define COMPARE(type)                                                                              \
    do {                                                                                           \
        const type *numbers = column->values;                                                      \
        return (numbers[a] > numbers[b]) - (numbers[a] < numbers[b]);                              \
    } while (0)

static int compare_reals(double a, double b)
{
    if (isnan(a) || isnan(b))
        return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

/* The order of values that the storage bytes must have. */
static int compare_values(const struct column *column, uint32_t a, uint32_t b)
{
    if (column_is_null(column, a) || column_is_null(column, b))
        return column_is_null(column, b) - column_is_null(column, a);
    if (type_is_view(column->type.kind)) {
        const struct string_view *left = &column_views(column)[a];
        const struct string_view *right = &column_views(column)[b];
        const uint32_t size = left->size < right->size ? left->size : right->size;
        const int order =
            memcmp(string_view_bytes(column, left), string_view_bytes(column, right), size);
        return order != 0 ? order : (left->size > right->size) - (left->size < right->size);
    }
    if (column->type.kind == TYPE_FLOAT)
        return compare_reals((double)((const float *)column->values)[a],
                             (double)((const float *)column->values)[b]);
    if (column->type.kind == TYPE_DOUBLE)
        return compare_reals(((const double *)column->values)[a],
                             ((const double *)column->values)[b]);
    switch (type_value_size(column->type.kind)) {
    case 1:
        COMPARE(int8_t);
    case 2:
        COMPARE(int16_t);
    case 4:
        COMPARE(int32_t);
    case 8:
        COMPARE(int64_t);
    default:
        COMPARE(__int128);
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

/* Storage bytes of all keys of a batch; row i at texts[i]. */
static struct text *store_all(const struct schema *schema, const struct key_batch *keys,
                              const uint32_t *columns, uint32_t column_count, struct type *types)
{
    for (uint32_t i = 0; i < column_count; i++)
        types[i] = schema->columns[columns[i]].type;
    struct text *texts = malloc(keys->count * sizeof(struct text));
    for (uint32_t i = 0; i < keys->count; i++) {
        text_init(&texts[i], 10000);
        key_storage_from_canonical(types, column_count, keys->bytes[i], keys->sizes[i], &texts[i]);
    }
    return texts;
}

static void check_round_trip(const struct key_batch *keys, uint32_t i, const struct type *types,
                             uint32_t column_count, struct text *stored)
{
    SCOPED_TEXT_BUFFER struct text canonical;
    text_init(&canonical, 10000);
    text_append(&canonical, "before");
    size_t taken = 0;
    uint32_t size = 0;
    struct error err;
    const size_t stored_size = stored->size;
    text_append(stored, "after");
    ck_assert_msg(key_canonical_from_storage(types, column_count, stored->bytes, stored->size,
                                             &taken, &canonical, &size, &err) == STATUS_OK,
                  "%s", err.message);
    stored->size = stored_size;
    ck_assert_uint_eq(taken, stored_size);
    ck_assert_uint_eq(size, keys->sizes[i]);
    if (size != KEY_NULL) {
        ck_assert_uint_eq(canonical.size, size + 6);
        ck_assert_mem_eq(canonical.bytes + 6, keys->bytes[i], size);
    }
}

static void check_order(const struct schema *schema, const uint32_t *columns, uint32_t column_count,
                        struct random *random)
{
    struct key_batch keys;
    struct type types[4];
    SCOPED(batch_unref) struct batch *batch = random_batch(schema, 90, random);
    key_batch_init(&keys);
    key_batch_compute(&keys, batch, columns, column_count);
    struct text *texts = store_all(schema, &keys, columns, column_count, types);
    for (uint32_t a = 0; a < keys.count; a++) {
        check_round_trip(&keys, a, types, column_count, &texts[a]);
        for (uint32_t b = 0; b < keys.count; b++) {
            int expected = 0;
            for (uint32_t i = 0; i < column_count && expected == 0; i++)
                expected = compare_values(batch->columns[columns[i]], a, b);
            const size_t size = texts[a].size < texts[b].size ? texts[a].size : texts[b].size;
            int order = memcmp(texts[a].bytes, texts[b].bytes, size);
            if (order == 0)
                order = (texts[a].size > texts[b].size) - (texts[a].size < texts[b].size);
            ck_assert_msg(sign(order) == sign(expected), "column %u, rows %u and %u", columns[0], a,
                          b);
            /* One key is no front of another, so that ranges by key are exact. */
            ck_assert(order == 0 || memcmp(texts[a].bytes, texts[b].bytes, size) != 0);
            /* By definition NULL shares its hash with the byte 0xFF, a string or TINYINT -1. */
            if (keys.sizes[a] != KEY_NULL && keys.sizes[b] != KEY_NULL)
                ck_assert((order == 0) == (keys.hashes[a] == keys.hashes[b]));
        }
    }
    for (uint32_t i = 0; i < keys.count; i++)
        text_done(&texts[i]);
    free(texts);
    key_batch_done(&keys);
}

START_TEST(storage_bytes_order_as_values_do)
{
    SCOPED(schema_unref)
    struct schema *schema = schema_create(every_column, EVERY_COLUMN_COUNT, -1);
    struct random random;
    random_init(&random, 5);
    for (uint32_t i = 0; i < 18; i++)
        check_order(schema, &i, 1, &random);
    static const uint32_t several[][3] = {{0, 1, 10}, {11, 10, 9}, {0, 6, 7}, {10, 0, 5}};
    for (uint32_t i = 0; i < 4; i++)
        check_order(schema, several[i], 3, &random);
}
END_TEST

START_TEST(keys_go_through_storage_and_builder)
{
    SCOPED(schema_unref)
    struct schema *schema = schema_create(every_column, EVERY_COLUMN_COUNT, -1);
    struct random random;
    random_init(&random, 6);
    SCOPED(batch_unref) struct batch *batch = random_batch(schema, 100, &random);
    uint32_t columns[EVERY_COLUMN_COUNT];
    struct type types[EVERY_COLUMN_COUNT];
    for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++)
        columns[i] = i;
    struct key_batch keys;
    key_batch_init(&keys);
    key_batch_compute(&keys, batch, columns, EVERY_COLUMN_COUNT);
    struct text *texts = store_all(schema, &keys, columns, EVERY_COLUMN_COUNT, types);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    SCOPED_TEXT_BUFFER struct text canonical;
    text_init(&canonical, 10000);
    struct error err;
    for (uint32_t i = 0; i < keys.count; i++) {
        check_round_trip(&keys, i, types, EVERY_COLUMN_COUNT, &texts[i]);
        key_append_to_builder(types, EVERY_COLUMN_COUNT, keys.bytes[i], keys.sizes[i], &builder);
        batch_builder_end_row(&builder, ROW_INSERT);
        for (size_t at = 0; at < texts[i].size; at++) {
            size_t taken = 0;
            uint32_t size = 0;
            char *cut = malloc(at > 0 ? at : 1);
            memcpy(cut, texts[i].bytes, at);
            ck_assert_int_eq(key_canonical_from_storage(types, EVERY_COLUMN_COUNT, cut, at, &taken,
                                                        &canonical, &size, &err),
                             STATUS_CORRUPT);
            ck_assert_uint_eq(canonical.size, 0);
            free(cut);
            char *wrong = malloc(texts[i].size);
            memcpy(wrong, texts[i].bytes, texts[i].size);
            wrong[at] = (char)((uint8_t)wrong[at] ^ (1U << random_below(&random, 8)));
            if (key_canonical_from_storage(types, EVERY_COLUMN_COUNT, wrong, texts[i].size, &taken,
                                           &canonical, &size, &err) == STATUS_OK) {
                key_append_to_builder(types, EVERY_COLUMN_COUNT, canonical.bytes, size, &builder);
                batch_builder_undo_row(&builder);
            }
            free(wrong);
            text_clear(&canonical);
        }
        text_done(&texts[i]);
    }
    free(texts);
    SCOPED(batch_unref) struct batch *back = batch_builder_take(&builder);
    batch_builder_done(&builder);
    struct key_batch back_keys;
    key_batch_init(&back_keys);
    key_batch_compute(&back_keys, back, columns, EVERY_COLUMN_COUNT);
    for (uint32_t i = 0; i < keys.count; i++)
        ck_assert_uint_eq(back_keys.hashes[i], keys.hashes[i]);
    key_batch_done(&back_keys);
    key_batch_done(&keys);
}
END_TEST

START_TEST(key_groups_are_all_assigned_once)
{
    static const uint32_t maxima[] = {1, 2, 7, 128, 1000};
    for (size_t m = 0; m < 5; m++) {
        for (uint32_t parallelism = 1; parallelism <= maxima[m]; parallelism++) {
            uint32_t next = 0;
            for (uint32_t subtask = 0; subtask < parallelism; subtask++) {
                const struct key_group_range range =
                    key_group_range_of(subtask, parallelism, maxima[m]);
                ck_assert_uint_eq(range.first, next);
                ck_assert_uint_le(range.first, range.last);
                ck_assert_uint_eq(key_group_subtask(range.first, parallelism, maxima[m]), subtask);
                ck_assert_uint_eq(key_group_subtask(range.last, parallelism, maxima[m]), subtask);
                next = range.last + 1;
            }
            ck_assert_uint_eq(next, maxima[m]);
        }
    }
    const struct key_group_range empty = key_group_range_of(1, 4, 2);
    ck_assert(empty.first > empty.last || key_group_subtask(empty.first, 4, 2) == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("key");
    TCase *tests = tcase_create("key");
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, keys_are_those_of_version_1);
    tcase_add_test(tests, several_columns_and_none);
    tcase_add_test(tests, equal_numbers_are_one_key);
    tcase_add_test(tests, storage_bytes_order_as_values_do);
    tcase_add_test(tests, keys_go_through_storage_and_builder);
    tcase_add_test(tests, key_groups_are_all_assigned_once);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
