/* Format avro: messages of a schema with every kind of type, and texts of schemas. */
#include "tests/fuzz/fuzz.h"

#include "common/api/connector.h"
#include "common/base/allocate.h"
#include "connectors/formats/avro/avro_schema.h"
#include "connectors/formats/formats.h"

static const char record_schema[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":["
    "{\"name\":\"a\",\"type\":[\"null\",\"long\"]},{\"name\":\"b\",\"type\":\"string\"},"
    "{\"name\":\"c\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":[\"null\","
    "\"R\",\"double\"]}}},"
    "{\"name\":\"d\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,"
    "\"scale\":3}},"
    "{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"X\",\"Y\"]}}]}";

static struct schema *columns(void)
{
    static struct schema *schema;
    if (schema == NULL) {
        struct schema_column of[] = {{"a", type_of_kind(TYPE_SMALLINT), 0},
                                     {"b", type_of_kind(TYPE_STRING), 0},
                                     {"d", type_decimal(10, 5), 0},
                                     {"e", type_of_kind(TYPE_STRING), 0}};
        schema = schema_create(of, 4, -1);
    }
    return schema;
}

static void decode_message(const uint8_t *bytes, size_t size)
{
    static struct setting settings[] = {{(char *)"format.schema", (char *)record_schema}};
    const struct operator_spec spec = {.settings = settings, .setting_count = 1};
    void *decoder = allocate(format_avro.decoder.instance_size);
    struct error err;
    CHECK(format_avro.decoder.open(decoder, &spec, columns(), &err) == STATUS_OK);
    struct buffer *buffer = buffer_create(NULL, (uint32_t)size);
    memcpy(buffer->bytes, bytes, size);
    buffer->size = (uint32_t)size;
    struct batch_builder builder;
    batch_builder_init(&builder, columns(), NULL);
    uint32_t consumed = 0;
    struct decode_error error;
    const enum decode decode = format_avro.decoder.decode(decoder, buffer, 0, (uint32_t)size, true,
                                                          &builder, &consumed, &error);
    CHECK(consumed == size && decode != DECODE_FULL);
    struct batch *batch = batch_builder_take(&builder);
    CHECK((batch != NULL) == (decode == DECODE_DONE && size > 0));
    batch_unref(batch);
    batch_builder_done(&builder);
    buffer_unref(buffer);
    format_avro.decoder.close(decoder);
    free(decoder);
}

static void parse_schema(const uint8_t *bytes, size_t size)
{
    struct avro_document *document = NULL;
    struct error err = {0};
    const enum status status = avro_schema_parse((const char *)bytes, size, &document, &err);
    if (status != STATUS_OK)
        fuzz_check_error(status, &err);
    else
        avro_document_destroy(document);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t choice = fuzz_take_byte(&bytes, &size);
    if (choice % 2 == 0)
        decode_message(bytes, size);
    else
        parse_schema(bytes, size);
    return 0;
}
