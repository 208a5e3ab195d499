/* Format avro: bytes of another implementation, schemas and their errors, prefixes, damage. */
#include "tests/kit/connector_kit.h"

#include "common/base/allocate.h"
#include "common/base/random.h"
#include "connectors/formats/formats.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

/* The records below were written by Apache Avro's Python library with this schema. */
static const char order_schema[] =
    "{\"type\":\"record\",\"name\":\"Order\",\"namespace\":\"shop\",\"fields\":["
    "{\"name\":\"id\",\"type\":\"long\"},"
    "{\"name\":\"extra\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"int\",\"string\"]}},"
    "{\"name\":\"name\",\"type\":[\"null\",\"string\"]},"
    "{\"name\":\"paid\",\"type\":\"boolean\"},"
    "{\"name\":\"small\",\"type\":\"int\"},"
    "{\"name\":\"ratio\",\"type\":\"float\"},"
    "{\"name\":\"exact\",\"type\":\"double\"},"
    "{\"name\":\"state\",\"type\":{\"type\":\"enum\",\"name\":\"State\",\"symbols\":[\"NEW\","
    "\"SENT\"]}},"
    "{\"name\":\"hash\",\"type\":{\"type\":\"fixed\",\"name\":\"Hash\",\"size\":4}},"
    "{\"name\":\"price\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,"
    "\"scale\":2}},"
    "{\"name\":\"day\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
    "{\"name\":\"at\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
    "{\"name\":\"next\",\"type\":[\"null\",\"Order\"]},"
    "{\"name\":\"place\",\"type\":{\"type\":\"record\",\"name\":\"Place\",\"fields\":[{\"name\":"
    "\"x\",\"type\":\"int\"},{\"name\":\"city\",\"type\":[\"string\",\"null\"]}]}}]}";
static const char first_order[] =
    "ffffffffffffffffff01060261020202620002630402780002066ec3a9010d0000003f039300aa4bdd3dfe0241"
    "42434404fb2ed2b402f6b5b0efab6306047431000474330000feffffff0f02";
static const char nested_order[] =
    "06060261020202620002630402780000010d0000003f039300aa4bdd3dfe024142434404fb2ed2b402f6b5b0ef"
    "ab630604743100047433000208060261020202620002630402780002066ec3a9010d0000003f039300aa4bdd3d"
    "fe024142434404fb2ed2b402f6b5b0efab6306047431000474330000feffffff0f02feffffff0f02";

static struct buffer *from_hex(const char *hex)
{
    const uint32_t size = (uint32_t)strlen(hex) / 2;
    struct buffer *buffer = buffer_create(NULL, size + 1);
    for (uint32_t i = 0; i < size; i++) {
        unsigned byte = 0;
        ck_assert_int_eq(sscanf(hex + 2 * (size_t)i, "%2x", &byte), 1);
        buffer->bytes[i] = (char)byte;
    }
    buffer->size = size;
    return buffer;
}

struct reading {
    struct connector_kit *kit;
    void *decoder;
    struct schema *schema;
};

/* settings as of connector_kit_create. */
#define open_reading(ret_reading, columns, ...)                                                    \
    do {                                                                                           \
        (ret_reading)->schema = (columns);                                                         \
        (ret_reading)->kit =                                                                       \
            connector_kit_create(schema_ref((ret_reading)->schema), KIT_INLINE, __VA_ARGS__);      \
        (ret_reading)->decoder = allocate(format_avro.decoder.instance_size);                      \
        struct error err_;                                                                         \
        ck_assert_msg(format_avro.decoder.open((ret_reading)->decoder, &(ret_reading)->kit->spec,  \
                                               (ret_reading)->schema, &err_) == STATUS_OK,         \
                      "%s", err_.message);                                                         \
    } while (0)

static void close_reading(struct reading *reading)
{
    format_avro.decoder.close(reading->decoder);
    free(reading->decoder);
    connector_kit_destroy(reading->kit);
    schema_unref(reading->schema);
}

/* The row of one message, or "!" and what is wrong. */
static void read_message(struct reading *reading, struct buffer *message, struct text *out)
{
    struct batch_builder builder;
    batch_builder_init(&builder, reading->schema, NULL);
    uint32_t consumed = 0;
    struct decode_error error;
    const enum decode decode = format_avro.decoder.decode(
        reading->decoder, message, 0, message->size, true, &builder, &consumed, &error);
    ck_assert_uint_eq(consumed, message->size);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    if (decode == DECODE_ERROR) {
        ck_assert_ptr_null(batch);
        text_format(out, "!%s", error.message);
    } else {
        ck_assert_uint_eq(batch->row_count, 1);
        batch_format_row(batch, 0, out);
    }
    batch_builder_done(&builder);
}

static void check_message(struct reading *reading, const char *hex, const char *expected)
{
    struct buffer *message = from_hex(hex);
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, 10000);
    read_message(reading, message, &out);
    ck_assert_str_eq(out.bytes, expected);
    buffer_unref(message);
}

/* Every column of an order. */
static struct schema *order_columns(void)
{
    static const struct type_field place_fields[] = {
        {"city", {.kind = TYPE_STRING, .nullable = true}},
        {"x", {.kind = TYPE_BIGINT, .nullable = true}},
        {"unknown", {.kind = TYPE_INT, .nullable = true}}};
    static const struct type_field entry[] = {{"", {.kind = TYPE_STRING, .nullable = true}}};
    struct schema_column columns[] = {
        {"id", type_of_kind(TYPE_BIGINT), 0},
        {"name", type_of_kind(TYPE_STRING), 0},
        {"paid", type_of_kind(TYPE_BOOLEAN), 0},
        {"small", type_of_kind(TYPE_TINYINT), 0},
        {"ratio", type_of_kind(TYPE_DOUBLE), 0},
        {"exact", type_of_kind(TYPE_DOUBLE), 0},
        {"state", type_of_kind(TYPE_STRING), 0},
        {"hash", type_of_kind(TYPE_BYTES), 0},
        {"price", type_decimal(20, 4), 0},
        {"day", type_of_kind(TYPE_DATE), 0},
        {"at", type_of_kind(TYPE_TIMESTAMP_LTZ), 0},
        {"tags", {.kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = entry}, 0},
        {"place",
         {.kind = TYPE_ROW, .nullable = true, .child_count = 3, .children = place_fields},
         0},
        {"absent", type_of_kind(TYPE_INT), 0},
    };
    return schema_create(columns, sizeof(columns) / sizeof(columns[0]), -1);
}

START_TEST(records_of_another_implementation_are_read)
{
    struct reading reading;
    open_reading(&reading, order_columns(), "format.schema", order_schema, NULL);
    static const char rest[] = "TRUE, -7, 0.5, -1.25E300, SENT, ABCD, -12.3400, 2024-01-31, "
                               "2024-01-31 10:00:00.123000, [t1, , t3], (null, 2147483647, null), "
                               "null]";
    SCOPED_TEXT char *first = format_text("+I[-9223372036854775808, n\xC3\xA9, %s", rest);
    SCOPED_TEXT char *second = format_text("+I[3, null, %s", rest);
    check_message(&reading, first_order, first);
    check_message(&reading, nested_order, second);
    close_reading(&reading);
}
END_TEST

START_TEST(a_schema_of_the_columns_needs_no_other)
{
    struct reading reading;
    open_reading(&reading, kit_schema("key STRING NOT NULL, value BIGINT"), "format", "avro", NULL);
    check_message(&reading, "02610208", "+I[a, 4]");
    check_message(&reading, "026100", "+I[a, null]");
    check_message(&reading, "0261",
                  "!column \"value\": the message ends within the record at byte 2 of the message; "
                  "is it written with another schema?");
    check_message(&reading, "02610009",
                  "!bytes are left behind the record at byte 3 of the "
                  "message; is it written with another schema?");
    check_message(&reading, "026104",
                  "!column \"value\": a union's branch that its schema does "
                  "not have at byte 3 of the message; is it written with "
                  "another schema?");
    check_message(&reading, "02ff00",
                  "!column \"key\": a string that is no valid UTF-8 at byte 2 "
                  "of the message; is it written with another schema?");
    check_message(&reading, "02610281828384858687888a8b01",
                  "!column \"value\": a number of more than 64 bits at byte 13 of the message; is "
                  "it written with another schema?");
    close_reading(&reading);
}
END_TEST

/* An array's entries may have no bytes: a small message must not become a large value. */
START_TEST(a_bomb_is_refused)
{
    struct reading reading;
    struct schema_column column = {"n", type_of_kind(TYPE_INT), 0};
    open_reading(&reading, schema_create(&column, 1, -1), "format.schema",
                 "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"l\",\"type\":{"
                 "\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":\"null\"}}}]}",
                 NULL);
    /* 1,000,000 entries that are arrays of 1,000,000 nulls each, as far as the bytes go. */
    check_message(&reading, "80897a80897a00",
                  "!column \"l\": more than 1000000 entries of arrays and maps in one record at "
                  "byte 6 of the message; is it written with another schema?");
    close_reading(&reading);
}
END_TEST

START_TEST(what_was_written_is_read_again)
{
    struct reading reading;
    open_reading(&reading, order_columns(), "format.schema", order_schema, NULL);
    struct buffer *message = from_hex(first_order);
    struct batch_builder builder;
    batch_builder_init(&builder, reading.schema, NULL);
    uint32_t consumed = 0;
    ck_assert_int_eq(format_avro.decoder.decode(reading.decoder, message, 0, message->size, true,
                                                &builder, &consumed, NULL),
                     DECODE_DONE);
    SCOPED(batch_unref) struct batch *batch = batch_builder_take(&builder);
    batch_builder_done(&builder);
    /* With the schema of the columns: every kind of value goes there and back. */
    struct connector_kit *kit =
        connector_kit_create(schema_ref(reading.schema), KIT_INLINE, "format", "avro", NULL);
    void *encoder = allocate(format_avro.encoder.instance_size);
    struct error err;
    ck_assert_msg(format_avro.encoder.open(encoder, &kit->spec, reading.schema, &err) == STATUS_OK,
                  "%s", err.message);
    SCOPED_TEXT_BUFFER struct text bytes;
    text_init(&bytes, 10000);
    ck_assert_int_eq(format_avro.encoder.encode(encoder, batch, 0, &bytes, &err), STATUS_OK);
    struct buffer *again = buffer_create(NULL, (uint32_t)bytes.size);
    memcpy(again->bytes, bytes.bytes, bytes.size);
    again->size = (uint32_t)bytes.size;
    struct reading derived;
    open_reading(&derived, schema_ref(reading.schema), "format", "avro", NULL);
    SCOPED_TEXT_BUFFER struct text expected;
    SCOPED_TEXT_BUFFER struct text found;
    text_init(&expected, 10000);
    text_init(&found, 10000);
    batch_format_row(batch, 0, &expected);
    read_message(&derived, again, &found);
    ck_assert_str_eq(found.bytes, expected.bytes);
    close_reading(&derived);
    buffer_unref(again);
    format_avro.encoder.close(encoder);
    free(encoder);
    connector_kit_destroy(kit);
    buffer_unref(message);
    close_reading(&reading);
}
END_TEST

START_TEST(confluent_prefixes_name_schemas_in_files)
{
    char *directory = kit_directory_make();
    SCOPED_TEXT char *path = format_text("%s/7.avsc", directory);
    static const char schema[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\","
                                 "\"type\":\"int\"},{\"name\":\"a\",\"type\":\"int\"}]}";
    struct reading reading;
    open_reading(&reading, kit_schema("a BIGINT, c STRING"), "format.prefix", "confluent",
                 "format.schemas", directory, NULL);
    SCOPED_TEXT char *missing =
        format_text("!schema 7: read Avro schema %s/7.avsc: No such file or directory", directory);
    check_message(&reading, "00000000070204", missing);
    kit_file_write(path, schema, sizeof(schema) - 1);
    check_message(&reading, "00000000070204", "+I[2, null]");
    check_message(&reading, "7b00000007",
                  "!the message does not begin with the zero byte of "
                  "Confluent's prefix: say `prefix: none` if there is "
                  "none");
    check_message(&reading, "0000",
                  "!2 bytes hold no Confluent prefix (a zero byte and four of "
                  "the schema's number)");
    close_reading(&reading);
    kit_directory_remove(directory);
}
END_TEST

START_TEST(schemas_that_do_not_fit_are_refused_by_name)
{
    static const struct {
        bool is_source;
        const char *schema;
        const char *columns;
        const char *expected;
    } cases[] = {
        {true, "{", "a INT", "the Avro schema is no JSON"},
        {true, "\"int\"", "a INT", "the Avro schema must be a record"},
        {true, "[]", "a INT", "a union without branches"},
        {true, "\"Missing\"", "a INT", "there is no type \"Missing\""},
        {true,
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":"
         "\"string\"}]}",
         "a INT", "column \"a\": string of Avro cannot be read as INT"},
        {true,
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\","
         "\"int\",\"string\"]}]}",
         "a INT", "column \"a\": string of Avro cannot be read as INT"},
        {true,
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
         "{\"name\":\"a\",\"type\":\"int\"}]}",
         "a INT", "field \"a\" stands there twice"},
        {false,
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"b\",\"type\":\"int\"}"
         "]}",
         "b INT NOT NULL, a INT", "column \"a\": record R has no field of that name"},
        {false,
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},"
         "{\"name\":\"b\",\"type\":\"int\"}]}",
         "a INT NOT NULL", "field \"b\" of record R has no column, and takes no null"},
        {false,
         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}"
         "]}",
         "a BIGINT", "column \"a\": int of Avro cannot hold BIGINT"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        SCOPED(schema_unref) struct schema *schema = kit_schema(cases[i].columns);
        struct connector_kit *kit = connector_kit_create(schema_ref(schema), KIT_INLINE,
                                                         "format.schema", cases[i].schema, NULL);
        struct error err;
        ck_assert_int_ne(format_avro.check_settings(&kit->spec, schema, cases[i].is_source, &err),
                         STATUS_OK);
        ck_assert_msg(strstr(err.message, cases[i].expected) != NULL, "%s", err.message);
        connector_kit_destroy(kit);
    }
}
END_TEST

/* Nothing outside the message is read, and nothing hangs (AddressSanitizer, the time limit). */
START_TEST(damaged_messages_are_rows_or_errors)
{
    struct reading reading;
    open_reading(&reading, order_columns(), "format.schema", order_schema, NULL);
    struct random random;
    random_init(&random, 5);
    unsigned refused = 0;
    for (unsigned round = 0; round < 3000; round++) {
        struct buffer *message = from_hex(nested_order);
        message->size -= (uint32_t)random_below(&random, 3) * (uint32_t)random_below(&random, 40);
        for (unsigned i = 0; i < 1 + round % 3; i++)
            message->bytes[random_below(&random, message->size)] =
                (char)(uint8_t)random_below(&random, 256);
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, 100000);
        read_message(&reading, message, &out);
        refused += out.bytes[0] == '!';
        buffer_unref(message);
    }
    ck_assert_uint_gt(refused, 300);
    close_reading(&reading);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("avro");
    TCase *records = tcase_create("records");
    tcase_set_timeout(records, 30);
    tcase_add_test(records, records_of_another_implementation_are_read);
    tcase_add_test(records, a_schema_of_the_columns_needs_no_other);
    tcase_add_test(records, a_bomb_is_refused);
    tcase_add_test(records, what_was_written_is_read_again);
    tcase_add_test(records, confluent_prefixes_name_schemas_in_files);
    tcase_add_test(records, schemas_that_do_not_fit_are_refused_by_name);
    tcase_add_test(records, damaged_messages_are_rows_or_errors);
    suite_add_tcase(suite, records);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
