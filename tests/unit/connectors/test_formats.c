/* csv and json: golden rows, errors, round trips, mutations, vector and portable twins. */
#include "tests/kit/connector_kit.h"

#include "common/base/allocate.h"
#include "common/base/cpu.h"
#include "common/base/random.h"
#include "connectors/registry.h"

#include <check.h>
#include <string.h>

/* Decodes all of it; rows and "!offset: message" for errors, one a line. step: bytes given at once
 * (0: all). */
static void decode_all(const struct schema *schema, const char *name, const char *option,
                       const char *value, const char *bytes, size_t size, size_t step,
                       struct text *out)
{
    struct connector_kit *kit =
        connector_kit_create(schema_ref(schema), KIT_INLINE, option, value, NULL);
    const struct format *format = format_find(connector_registry_builtin(), name);
    void *decoder = allocate(format->decoder.instance_size + 1);
    struct error err;
    ck_assert_msg(format->decoder.open(decoder, &kit->spec, schema, &err) == STATUS_OK, "%s",
                  err.message);
    if (format->decoder.start != NULL)
        format->decoder.start(decoder, true);
    struct buffer *buffer = buffer_create(NULL, (uint32_t)size);
    memcpy(buffer->bytes, bytes, size);
    buffer->size = (uint32_t)size;
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    uint32_t offset = 0;
    uint32_t known = step == 0 ? (uint32_t)size : 0;
    for (;;) {
        uint32_t consumed = 0;
        struct decode_error error;
        const enum decode decode = format->decoder.decode(
            decoder, buffer, offset, known - offset, known == size, &builder, &consumed, &error);
        ck_assert_uint_le(consumed, known - offset);
        offset += consumed;
        struct batch *batch = batch_builder_take(&builder);
        for (uint32_t row = 0; batch != NULL && row < batch->row_count; row++) {
            batch_format_row(batch, row, out);
            text_append_char(out, '\n');
        }
        batch_unref(batch);
        if (decode == DECODE_ERROR)
            text_format(out, "!%u: %s\n", error.offset, error.message);
        if (decode == DECODE_DONE && known == size)
            break;
        if (decode == DECODE_DONE)
            known = known + step < size ? known + (uint32_t)step : (uint32_t)size;
    }
    ck_assert_uint_eq(offset, size);
    batch_builder_done(&builder);
    buffer_unref(buffer);
    format->decoder.close(decoder);
    free(decoder);
    connector_kit_destroy(kit);
}

static void check_decode(const char *schema_text, const char *name, const char *option,
                         const char *value, const char *bytes, const char *expected)
{
    struct schema *schema = kit_schema(schema_text);
    static const size_t steps[] = {0, 1, 7};
    for (size_t i = 0; i < 3; i++) {
        struct text out;
        text_init(&out, 1 << 20);
        decode_all(schema, name, option, value, bytes, strlen(bytes), steps[i], &out);
        ck_assert_str_eq(out.bytes, expected);
        text_done(&out);
    }
    schema_unref(schema);
}

/* Decodes, encodes again and compares. */
static void check_round_trip(const struct schema *schema, const char *name, const char *bytes)
{
    struct connector_kit *kit = connector_kit_create(schema_ref(schema), KIT_INLINE, NULL);
    const struct format *format = format_find(connector_registry_builtin(), name);
    void *decoder = allocate(format->decoder.instance_size);
    void *encoder = allocate(format->encoder.instance_size);
    ck_assert_int_eq(format->decoder.open(decoder, &kit->spec, schema, NULL), STATUS_OK);
    ck_assert_int_eq(format->encoder.open(encoder, &kit->spec, schema, NULL), STATUS_OK);
    const uint32_t size = (uint32_t)strlen(bytes);
    struct buffer *buffer = buffer_create(NULL, size);
    memcpy(buffer->bytes, bytes, size);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    uint32_t consumed = 0;
    struct decode_error error = {0};
    ck_assert_msg(format->decoder.decode(decoder, buffer, 0, size, true, &builder, &consumed,
                                         &error) == DECODE_DONE,
                  "%s", error.message);
    struct batch *batch = batch_builder_take(&builder);
    ck_assert_ptr_nonnull(batch);
    struct text out;
    text_init(&out, 1 << 20);
    struct error err;
    for (uint32_t row = 0; row < batch->row_count; row++)
        ck_assert_int_eq(format->encoder.encode(encoder, batch, row, &out, &err), STATUS_OK);
    ck_assert_str_eq(out.bytes, bytes);
    text_done(&out);
    batch_unref(batch);
    batch_builder_done(&builder);
    buffer_unref(buffer);
    format->decoder.close(decoder);
    format->encoder.close(encoder);
    free(decoder);
    free(encoder);
    connector_kit_destroy(kit);
}

START_TEST(raw_lines_are_what_was_written)
{
    /* lf: a carriage return is a character like any other. */
    check_decode("line STRING", "raw", "format.line_end", "lf", "a\r\n\n\rb\r\r\nlast\r",
                 "+I[a\r]\n+I[]\n+I[\rb\r\r]\n+I[last\r]\n");
    /* crlf: exactly one belongs to the end of a line that has an end. */
    check_decode("line STRING", "raw", "format.line_end", "crlf", "a\r\nb\n\r\nc\r\r\nlast\r",
                 "+I[a]\n+I[b]\n+I[]\n+I[c\r]\n+I[last\r]\n");
    struct schema *schema = kit_schema("line BYTES");
    check_round_trip(schema, "raw", "a\r\n\n\rb\r\r\n\xFF\r\n");
    schema_unref(schema);
}
END_TEST

START_TEST(csv_reads_fields_quotes_and_nulls)
{
    check_decode("word STRING, count BIGINT", "csv", "format.header", "true",
                 "word,count\napple,3\r\n\"a \"\"b\"\"\n,c\",-1\n\n,\nlast,7",
                 "+I[apple, 3]\n+I[a \"b\"\n,c, -1]\n+I[, null]\n+I[last, 7]\n");
    check_decode("a STRING, b STRING", "csv", "format.null_literal", "NULL", "NULL,\"NULL\"\n,x\n",
                 "+I[null, NULL]\n+I[, x]\n");
    check_decode("a INT", "csv", "format.delimiter", "\\t", "1\n2", "+I[1]\n+I[2]\n");
}
END_TEST

START_TEST(csv_says_what_is_wrong_and_goes_on)
{
    check_decode(
        "a TINYINT NOT NULL, b STRING", "csv", "format.header", "false",
        "1,x\n128,y\n,z\n2\n3,a,b\n4,\"q\"r\n5,\xFF\n6,ok\n7,\"open",
        "+I[1, x]\n"
        "!4: column 1 \"a\": expected TINYINT NOT NULL, got \"128\"\n"
        "!10: column 1 \"a\": is NOT NULL, got \"\"\n"
        "!13: the record has 1 field(s), the schema has 2 column(s)\n"
        "!15: the record has 3 field(s), the schema has 2 column(s)\n"
        "!21: expected a delimiter or the line's end behind a quoted field at position 5 of the "
        "record\n"
        "!28: column 2 \"b\": is no valid UTF-8, got \"\xEF\xBF\xBD\"\n"
        "+I[6, ok]\n"
        "!37: a quote is not closed at position 2 of the record\n");
}
END_TEST

START_TEST(csv_takes_a_line_with_a_bad_quote_as_a_whole)
{
    check_decode(
        "a INT", "csv", "format.header", "false", "\"q\"9\"1\n2\n\"x\"3",
        "!0: expected a delimiter or the line's end behind a quoted field at position 3 of "
        "the record\n+I[2]\n"
        "!9: expected a delimiter or the line's end behind a quoted field at position 3 of "
        "the record\n");
}
END_TEST

START_TEST(csv_round_trips_every_simple_type)
{
    struct schema *schema = kit_schema(
        "a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g DOUBLE, h DECIMAL(12,2), "
        "i STRING, j DATE, k TIME(3), l TIMESTAMP(3), m TIMESTAMP_LTZ(3)");
    check_round_trip(schema, "csv",
                     "TRUE,-128,32767,-2147483648,9223372036854775807,1.5,-2.25E10,1234.50,"
                     "\"a,\"\"b\"\"\",2024-01-31,10:00:00.123,2024-01-31 10:00:00.123,"
                     "1969-12-31 23:59:59.999Z\n"
                     ",,,,,,,,,,,,\n");
    schema_unref(schema);
}
END_TEST

START_TEST(json_reads_any_order_and_ignores_unknown_fields)
{
    check_decode(
        "id BIGINT NOT NULL, name STRING, ok BOOLEAN, x DOUBLE", "json", "format.timestamps", "sql",
        "{\"id\":9223372036854775807,\"name\":\"a\",\"ok\":true,\"x\":1.5}\n"
        " { \"x\" : -2e3 , \"ok\":false, \"u\":{\"v\":[1,\"}\",null]}, \"name\":null,\"id\":-1 } \n"
        "\n"
        "{\"id\":1,\"id\":2,\"name\":\"x\",\"name\":\"\\u00e9\\ud83d\\ude00\\n\\\"\"}\n"
        "{\"id\":1,\"name\":\"a\",\"id\":3,\"name\":\"b\",\"ok\":true,\"ok\":false}\n"
        "{\"name\":\"caf\xC3\xA9 and a long string\",\"id\":0}",
        "+I[9223372036854775807, a, TRUE, 1.5]\n"
        "+I[-1, null, FALSE, -2000.0]\n"
        "+I[2, \xC3\xA9\xF0\x9F\x98\x80\n\", null, null]\n"
        "+I[3, b, FALSE, null]\n"
        "+I[0, caf\xC3\xA9 and a long string, null, null]\n");
}
END_TEST

START_TEST(json_fills_what_unknown_fields_stand_in_for)
{
    /* As many fields as columns, the last column last: still one is missing. */
    check_decode("a INT, b STRING, c INT", "json", "format.timestamps", "sql",
                 "{\"a\":1,\"u\":\"x\",\"c\":3}\n{\"u\":1,\"v\":2,\"c\":3}\n",
                 "+I[1, null, 3]\n+I[null, null, 3]\n");
    check_decode("a INT, b STRING NOT NULL, c INT", "json", "format.timestamps", "sql",
                 "{\"a\":1,\"u\":\"x\",\"c\":3}\n",
                 "!0: field \"b\" is NOT NULL and missing, got the end at position 21 of the "
                 "record\n");
}
END_TEST

START_TEST(json_says_what_is_wrong_and_goes_on)
{
    check_decode(
        "id INT NOT NULL, s STRING", "json", "format.timestamps", "sql",
        "{\"id\":\"1\"}\n"
        "{\"id\":1.0}\n"
        "{\"id\":2147483648}\n"
        "{\"id\":null}\n"
        "{\"s\":\"x\"}\n"
        "{\"id\":1,\"s\":2}\n"
        "{\"id\":1,\"s\":\"a\n"
        "[1]\n"
        "{\"id\":1} x\n"
        "{\"id\":1,\"s\":\"\\ud800\"}\n"
        "{\"id\":5}\n",
        "!0: column \"id\": expected INT NOT NULL, got \"1\"} at position 6 of the record\n"
        "!11: column \"id\": expected INT NOT NULL, got 1.0} at position 6 of the record\n"
        "!22: column \"id\": expected INT NOT NULL, got 2147483648} at position 6 of the "
        "record\n"
        "!40: column \"id\": expected INT NOT NULL, got null} at position 6 of the record\n"
        "!52: field \"id\" is NOT NULL and missing, got the end at position 9 of the "
        "record\n"
        "!62: column \"s\": expected STRING, got 2} at position 12 of the record\n"
        "!77: column \"s\": expected the end of a string, got the end at position 14 of "
        "the record\n"
        "!92: expected an object, got [1] at position 0 of the record\n"
        "!96: expected the end of the line behind the object, got x at position 9 of the "
        "record\n"
        "!107: column \"s\": expected the second half of a surrogate pair, got \"} at "
        "position 19 of the record\n"
        "+I[5, null]\n");
}
END_TEST

START_TEST(json_round_trips_simple_and_nested_types)
{
    const struct type bigint = type_of_kind(TYPE_BIGINT);
    const struct type string = type_of_kind(TYPE_STRING);
    const struct type_field entry[] = {{"", bigint}};
    const struct type_field pair[] = {{"", string}, {"", bigint}};
    struct type array = {.kind = TYPE_ARRAY, .nullable = true, .child_count = 1, .children = entry};
    struct type map = {.kind = TYPE_MAP, .nullable = true, .child_count = 2, .children = pair};
    const struct type_field fields[] = {{"x", bigint}, {"l", array}};
    struct type row = {.kind = TYPE_ROW, .nullable = true, .child_count = 2, .children = fields};
    const struct schema_column columns[] = {
        {"a", array, 0},
        {"m", map, 0},
        {"r", row, 0},
        {"t", type_of_kind(TYPE_TIMESTAMP_LTZ), 0},
        {"b", type_of_kind(TYPE_BYTES), 0},
        {"d", type_decimal(20, 3), 0},
    };
    struct schema *schema = schema_create(columns, 6, -1);
    check_round_trip(schema, "json",
                     "{\"a\":[1,null,3],\"m\":{\"k\":1,\"l\":null},\"r\":{\"x\":7,\"l\":[]},"
                     "\"t\":\"2024-01-31 10:00:00.123456Z\",\"b\":\"AAEC/w==\",\"d\":1.500}\n"
                     "{\"a\":[],\"m\":{},\"r\":null,\"t\":null,\"b\":\"\",\"d\":null}\n"
                     "{\"a\":null,\"m\":null,\"r\":{\"x\":null,\"l\":null},\"t\":null,\"b\":null,"
                     "\"d\":-0.001}\n");
    schema_unref(schema);
}
END_TEST

START_TEST(a_message_of_several_lines_is_one_record)
{
    struct schema *schema = kit_schema("a INT, b INT");
    struct text out;
    text_init(&out, 1000);
    static const char message[] = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
    decode_all(schema, "json", "format.timestamps", "sql", message, strlen(message), 0, &out);
    ck_assert_str_eq(out.bytes, "+I[1, 2]\n");
    text_done(&out);
    schema_unref(schema);
}
END_TEST

/* Damages good input at random: both twins must give the same, and nothing may be read outside
 * (AddressSanitizer). */
static void mutate(const char *name, const char *good)
{
    struct schema *schema = kit_schema(
        "id BIGINT, name STRING, ok BOOLEAN, x DOUBLE, d DATE, t TIMESTAMP(3), n DECIMAL(10,2)");
    struct random random;
    random_init(&random, 11);
    const size_t size = strlen(good);
    static const char interesting[] = "\"\\{}[]:,\n\r\t 0-eEu.\xFF\xC3nt";
    for (unsigned round = 0; round < 1500; round++) {
        char *bytes = copy_memory(good, size);
        const unsigned count = 1 + (unsigned)random_below(&random, 4);
        for (unsigned i = 0; i < count; i++)
            bytes[random_below(&random, size)] =
                interesting[random_below(&random, sizeof(interesting))];
        const size_t cut = size - random_below(&random, 10);
        struct text vectors;
        struct text portable;
        text_init(&vectors, 1 << 16);
        text_init(&portable, 1 << 16);
        decode_all(schema, name, "format.timestamps", "sql", bytes, cut, 0, &vectors);
        const unsigned before = cpu_restrict(0);
        decode_all(schema, name, "format.timestamps", "sql", bytes, cut, 0, &portable);
        (void)cpu_restrict(before);
        ck_assert_uint_eq(vectors.size, portable.size);
        ck_assert(memcmp(vectors.bytes, portable.bytes, vectors.size) == 0);
        text_done(&vectors);
        text_done(&portable);
        free(bytes);
    }
    schema_unref(schema);
}

START_TEST(damaged_json_never_misleads_either_twin)
{
    mutate("json", "{\"id\":12,\"name\":\"abc \\u00e9 def and more\",\"ok\":true,\"x\":1.5e3,"
                   "\"d\":\"2024-01-31\",\"t\":\"2024-01-31 10:00:00.123\",\"n\":12.34,"
                   "\"more\":{\"deep\":[1,2,[3,{\"k\":null}]]}}\n"
                   "{\"id\":null}\n{\"name\":\"\xC3\xA9\",\"id\":-9223372036854775808}\n");
}
END_TEST

START_TEST(damaged_csv_never_misleads)
{
    mutate("csv", "12,\"a \"\"b\"\"\n c\",true,1.5,2024-01-31,2024-01-31 10:00:00.123,12.34\n"
                  ",,,,,,\n-1,\xC3\xA9,false,NaN,1970-01-01,1970-01-01 00:00:00,0.01\r\n");
}
END_TEST

START_TEST(schemas_without_a_form_are_refused)
{
    struct schema *schema = kit_schema("a INT, b INT");
    const struct connector_registry *registry = connector_registry_builtin();
    struct error err;
    ck_assert_int_eq(format_find(registry, "raw")->check_schema(schema, true, &err),
                     STATUS_INVALID);
    schema_unref(schema);
    const struct type_field entry[] = {{"", type_of_kind(TYPE_BIGINT)}};
    const struct schema_column column = {
        "a", {.kind = TYPE_ARRAY, .child_count = 1, .children = entry}, 0};
    schema = schema_create(&column, 1, -1);
    ck_assert_int_eq(format_find(registry, "csv")->check_schema(schema, true, &err),
                     STATUS_UNSUPPORTED);
    ck_assert_int_eq(format_find(registry, "json")->check_schema(schema, true, &err), STATUS_OK);
    schema_unref(schema);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("formats");
    TCase *cases = tcase_create("formats");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, raw_lines_are_what_was_written);
    tcase_add_test(cases, csv_reads_fields_quotes_and_nulls);
    tcase_add_test(cases, csv_says_what_is_wrong_and_goes_on);
    tcase_add_test(cases, csv_takes_a_line_with_a_bad_quote_as_a_whole);
    tcase_add_test(cases, csv_round_trips_every_simple_type);
    tcase_add_test(cases, json_reads_any_order_and_ignores_unknown_fields);
    tcase_add_test(cases, json_fills_what_unknown_fields_stand_in_for);
    tcase_add_test(cases, json_says_what_is_wrong_and_goes_on);
    tcase_add_test(cases, json_round_trips_simple_and_nested_types);
    tcase_add_test(cases, a_message_of_several_lines_is_one_record);
    tcase_add_test(cases, damaged_json_never_misleads_either_twin);
    tcase_add_test(cases, damaged_csv_never_misleads);
    tcase_add_test(cases, schemas_without_a_form_are_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
