/* Schemas as bytes. */
#include "tests/fuzz/fuzz_schemas.h"

#include "common/base/allocate.h"
#include "common/data/batch_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct schema *schema = NULL;
    struct error err = {0};
    const enum status code = schema_decode(bytes, size, &schema, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        CHECK(schema == NULL);
        return 0;
    }
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, 2 * FUZZ_INPUT_MAX);
    schema_encode(schema, &out);
    fuzz_check_equal(out.bytes, out.size, bytes, size);
    text_clear(&out);
    schema_format(schema, &out);
    CHECK(schema_equals(schema, schema, true));
    schema_unref(schema);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    static const uint8_t choices[] = {7, 19, EVERY_COLUMN_COUNT + 1, EVERY_COLUMN_COUNT + 2};
    for (size_t i = 0; i < sizeof(choices); i++) {
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, FUZZ_INPUT_MAX);
        schema_encode(fuzz_schema(choices[i]), &out);
        SCOPED_TEXT char *name = format_text("schema-%u", choices[i]);
        give(context, name, out.bytes, out.size);
    }
}
