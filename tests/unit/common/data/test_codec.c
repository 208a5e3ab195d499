/* common/data: batches, schemas and values as bytes: golden vectors, round trips, wrong bytes. */
#include "common/data/batch_codec.h"
#include "common/data/value_codec.h"
#include "tests/unit/common/data/every_type.h"

/* Encodes into memory of exactly the size, then into a buffer without spare room. */
static struct buffer *encode(const struct batch *batch)
{
    const size_t max = batch_encoded_size_max(batch);
    char *bytes = malloc(max);
    const size_t size = batch_encode(batch, bytes, max);
    ck_assert_uint_le(size, max);
    struct buffer *buffer = buffer_create(NULL, (uint32_t)size);
    memcpy(buffer->bytes, bytes, size);
    buffer->size = (uint32_t)size;
    free(bytes);
    return buffer;
}

START_TEST(batches_come_back)
{
    SCOPED(schema_unref)
    struct schema *schema = schema_create(every_column, EVERY_COLUMN_COUNT, 14);
    struct random random;
    random_init(&random, 7);
    for (uint32_t round = 0; round < 60; round++) {
        SCOPED(batch_unref)
        struct batch *batch =
            random_batch(schema, 1 + (uint32_t)random_below(&random, 150), &random);
        if (round % 2 == 1) {
            batch->selection = malloc(batch->row_count * sizeof(uint32_t));
            for (uint32_t row = 0; row < batch->row_count; row++) {
                if (random_below(&random, 3) == 0)
                    batch->selection[batch->selected_count++] = row;
            }
        }
        SCOPED(buffer_unref) struct buffer *buffer = encode(batch);
        SCOPED(batch_unref) struct batch *back = NULL;
        struct error err;
        ck_assert_msg(batch_decode(schema, buffer, 0, buffer->size, &back, &err) == STATUS_OK, "%s",
                      err.message);
        ck_assert_uint_eq(back->row_count, batch_selected(batch));
        for (uint32_t i = 0; i < back->row_count; i++)
            check_rows_equal(back, i, batch, batch_row(batch, i));
        SCOPED(buffer_unref) struct buffer *again = encode(back);
        ck_assert_uint_eq(again->size, buffer->size);
        ck_assert_mem_eq(again->bytes, buffer->bytes, buffer->size);
    }
}
END_TEST

START_TEST(long_strings_and_no_rows)
{
    SCOPED(schema_unref) struct schema *schema = schema_create(&every_column[10], 1, -1);
    static const size_t sizes[] = {0, 12, 13, 255, 256, 65535, 65536, 100000};
    char *bytes = malloc(100000);
    memset(bytes, 'z', 100000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct batch_builder builder;
        batch_builder_init(&builder, schema, NULL);
        for (size_t row = 0; row < 3; row++) {
            batch_builder_bytes(&builder, 0, bytes, row == 1 ? sizes[i] : row);
            batch_builder_end_row(&builder, ROW_INSERT);
        }
        SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
        batch_builder_done(&builder);
        SCOPED(buffer_unref) struct buffer *buffer = encode(batch);
        SCOPED(batch_unref) struct batch *back = NULL;
        ck_assert(batch_decode(schema, buffer, 0, buffer->size, &back, NULL) == STATUS_OK);
        for (uint32_t row = 0; row < 3; row++)
            check_rows_equal(back, row, batch, row);
    }
    free(bytes);
    SCOPED(schema_unref) struct schema *every = schema_create(every_column, EVERY_COLUMN_COUNT, -1);
    SCOPED(batch_unref) struct batch *none = batch_create(every, 0);
    for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++) {
        none->columns[i] = column_create(every->columns[i].type, 0);
        for (uint32_t c = 0; c < none->columns[i]->child_count; c++) {
            none->columns[i]->children[c] = column_create(every_column[18].type, 0);
            none->columns[i]->children[c]->children[0] = column_create(every_column[6].type, 0);
        }
    }
    SCOPED(buffer_unref) struct buffer *buffer = encode(none);
    ck_assert_uint_gt(buffer->size, 8);
}
END_TEST

START_TEST(wrong_bytes_are_refused_or_safe)
{
    SCOPED(schema_unref)
    struct schema *schema = schema_create(every_column, EVERY_COLUMN_COUNT, -1);
    struct random random;
    random_init(&random, 3);
    SCOPED(batch_unref) struct batch *batch = random_batch(schema, 9, &random);
    SCOPED(buffer_unref) struct buffer *good = encode(batch);
    struct error err;
    uint32_t accepted = 0;
    for (uint32_t at = 0; at < good->size; at++) {
        struct batch *back = NULL;
        ck_assert_int_eq(batch_decode(schema, good, 0, at, &back, &err), STATUS_CORRUPT);
        ck_assert_ptr_null(back);
        static const uint8_t flips[] = {1, 2, 0x10, 0x80, 0xFF};
        for (size_t f = 0; f < sizeof(flips); f++) {
            SCOPED(buffer_unref) struct buffer *bad = buffer_create(NULL, good->size);
            memcpy(bad->bytes, good->bytes, good->size);
            bad->bytes[at] = (char)((uint8_t)bad->bytes[at] ^ flips[f]);
            if (batch_decode(schema, bad, 0, good->size, &back, &err) != STATUS_OK)
                continue;
            /* Every value can be read and written again. */
            SCOPED(buffer_unref) struct buffer *again = encode(back);
            ck_assert_uint_gt(again->size, 0);
            for (uint32_t row = 0; row < back->row_count; row++)
                check_rows_equal(back, row, back, row);
            batch_unref(back);
            accepted++;
        }
    }
    ck_assert_uint_gt(accepted, 0);
}
END_TEST

START_TEST(schemas_come_back)
{
    SCOPED(schema_unref)
    struct schema *schema = schema_create(every_column, EVERY_COLUMN_COUNT, 14);
    SCOPED_TEXT_BUFFER struct text bytes;
    text_init(&bytes, 100000);
    schema_encode(schema, &bytes);
    SCOPED(schema_unref) struct schema *back = NULL;
    struct error err;
    ck_assert_msg(schema_decode(bytes.bytes, bytes.size, &back, &err) == STATUS_OK, "%s",
                  err.message);
    ck_assert(schema_equals(schema, back, true));
    ck_assert_int_eq(back->event_time, 14);
    ck_assert_uint_eq(back->columns[20].field_id, 21);
    for (size_t at = 0; at < bytes.size; at++) {
        struct schema *wrong = NULL;
        char *copy = malloc(bytes.size);
        memcpy(copy, bytes.bytes, bytes.size);
        char *cut = realloc(copy, at > 0 ? at : 1);
        ck_assert_int_eq(schema_decode(cut, at, &wrong, &err), STATUS_CORRUPT);
        free(cut);
        for (unsigned bit = 0; bit < 8; bit++) {
            copy = malloc(bytes.size);
            memcpy(copy, bytes.bytes, bytes.size);
            copy[at] = (char)((uint8_t)copy[at] ^ (1U << bit));
            if (schema_decode(copy, bytes.size, &wrong, &err) == STATUS_OK)
                schema_unref(wrong);
            free(copy);
        }
    }
    SCOPED(schema_unref) struct schema *one = schema_create(&every_column[18], 1, -1);
    text_clear(&bytes);
    schema_encode(one, &bytes);
    SCOPED_TEXT_BUFFER struct text hex;
    text_init(&hex, 1000);
    append_hex(bytes.bytes, bytes.size, &hex);
    ck_assert_str_eq(hex.bytes, "0101000000ffffffff01000000050061727261791301000000000000"
                                "0100000007010000000000000000");
}
END_TEST

START_TEST(values_come_back)
{
    SCOPED(schema_unref)
    struct schema *schema = schema_create(every_column, EVERY_COLUMN_COUNT, -1);
    struct random random;
    random_init(&random, 11);
    SCOPED(batch_unref) struct batch *batch = random_batch(schema, 200, &random);
    SCOPED_TEXT_BUFFER struct text bytes;
    text_init(&bytes, 100000);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    struct error err;
    for (uint32_t row = 0; row < batch->row_count; row++) {
        for (uint32_t i = 0; i < batch->column_count; i++) {
            if (column_is_null(batch->columns[i], row)) {
                batch_builder_null(&builder, i);
                continue;
            }
            text_clear(&bytes);
            value_encode(batch->columns[i], row, &bytes);
            for (size_t size = 0; size < bytes.size; size++)
                ck_assert_int_eq(
                    value_decode(every_column[i].type, bytes.bytes, size, &builder, i, &err),
                    STATUS_CORRUPT);
            ck_assert(value_decode(every_column[i].type, bytes.bytes, bytes.size, &builder, i,
                                   &err) == STATUS_OK);
        }
        batch_builder_end_row(&builder, batch_row_kind(batch, row));
        /* Whatever one wrong byte gives, the unfinished row can be undone. */
        for (size_t at = 0; at < bytes.size; at++) {
            bytes.bytes[at] = (char)((uint8_t)bytes.bytes[at] ^ 0x81);
            const uint32_t last = EVERY_COLUMN_COUNT - 1;
            (void)!value_decode(every_column[last].type, bytes.bytes, bytes.size, &builder, last,
                                &err);
            batch_builder_undo_row(&builder);
            bytes.bytes[at] = (char)((uint8_t)bytes.bytes[at] ^ 0x81);
        }
    }
    SCOPED(batch_unref) struct batch *back = batch_builder_take(&builder);
    batch_builder_done(&builder);
    for (uint32_t row = 0; row < batch->row_count; row++)
        check_rows_equal(back, row, batch, row);
}
END_TEST

/* Per type: a batch of its golden value and a NULL; the value alone. */
static const struct {
    const char *batch;
    const char *value;
} golden[EVERY_COLUMN_COUNT] = {
    {"010001000200000001010100", "0101"},                                           /* boolean */
    {"01000100020000000101fe00", "01fe"},                                           /* tinyint */
    {"01000100020000000101feff0000", "01feff"},                                     /* smallint */
    {"01000100020000000101feffffff00000000", "01feffffff"},                         /* int */
    {"01000100020000000101feffffffffffffff0000000000000000", "01feffffffffffffff"}, /* bigint */
    {"01000100020000000101000020c000000000", "01000020c0"},                         /* float */
    {"0100010002000000010100000000000004c00000000000000000", "0100000000000004c0"}, /* double */
    {"01000100020000000101c7cfffffffffffffffffffffffffffff00000000000000000000000000000000",
     "01c7cfffffffffffffffffffffffffffff"},             /* decimal */
    {"0100010002000000010102006162", "01020000006162"}, /* char */
    {"010001000200000001010e00666f75727465656e206279746573",
     "010e000000666f75727465656e206279746573"},                                     /* varchar */
    {"0100010002000000010105006170706c65", "01050000006170706c65"},                 /* string */
    {"010001000200000001010300610062", "0103000000610062"},                         /* bytes */
    {"010001000200000001010302010000000000", "0103020100"},                         /* date */
    {"0100010002000000010103020100000000000000000000000000", "010302010000000000"}, /* time */
    {"0100010002000000010103020100000000000000000000000000", "010302010000000000"}, /* timestamp */
    {"0100010002000000010103020100000000000000000000000000",
     "010302010000000000"},                                 /* timestamp_ltz */
    {"010001000200000001010302010000000000", "0103020100"}, /* interval_month */
    {"0100010002000000010103020100000000000000000000000000",
     "010302010000000000"}, /* interval_second */
    {"010001000200000001010200000000000000010200000000000000000000000000000080",
     "0102000000010000000000000080"}, /* array */
    {"01000100020000000101010000000000000000016b0007000000",
     "010100000000010000006b0007000000"}, /* map */
    {"010001000200000001010101070000000000000000000000000000000100000000000000000000",
     "01020700000000000000"}, /* row */
};

START_TEST(bytes_are_those_of_version_1)
{
    SCOPED_TEXT_BUFFER struct text batch_hex;
    SCOPED_TEXT_BUFFER struct text value_hex;
    SCOPED_TEXT_BUFFER struct text bytes;
    text_init(&batch_hex, 10000);
    text_init(&value_hex, 10000);
    text_init(&bytes, 10000);
    for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++) {
        SCOPED(schema_unref) struct schema *schema = schema_create(&every_column[i], 1, -1);
        SCOPED(batch_unref) struct batch *batch = golden_batch(schema);
        SCOPED(buffer_unref) struct buffer *buffer = encode(batch);
        text_clear(&batch_hex);
        text_clear(&value_hex);
        text_clear(&bytes);
        append_hex(buffer->bytes, buffer->size, &batch_hex);
        value_encode(batch->columns[0], 0, &bytes);
        append_hex(bytes.bytes, bytes.size, &value_hex);
        if (getenv("PRINT_GOLDEN") != NULL) { /* for a new version or type */
            printf("    {\"%s\", \"%s\"}, /* %s */\n", batch_hex.bytes, value_hex.bytes,
                   every_column[i].name);
            continue;
        }
        ck_assert_str_eq(batch_hex.bytes, golden[i].batch);
        ck_assert_str_eq(value_hex.bytes, golden[i].value);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("codec");
    TCase *tests = tcase_create("codec");
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, batches_come_back);
    tcase_add_test(tests, long_strings_and_no_rows);
    tcase_add_test(tests, wrong_bytes_are_refused_or_safe);
    tcase_add_test(tests, schemas_come_back);
    tcase_add_test(tests, values_come_back);
    tcase_add_test(tests, bytes_are_those_of_version_1);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
