/* Single values as bytes (nested fields of state, keys of nested columns). */
#include "tests/fuzz/fuzz_schemas.h"

#include "common/base/allocate.h"
#include "common/data/value_codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t choice = fuzz_take_byte(&bytes, &size) % EVERY_COLUMN_COUNT;
    const struct schema *schema = fuzz_schema(choice);
    const struct type type = schema->columns[0].type;
    const bool is_canonical = value_is_canonical(type, bytes, size);
    struct batch_builder builder;
    batch_builder_init(&builder, schema, NULL);
    struct error err = {0};
    const enum status code = value_decode(type, bytes, size, &builder, 0, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        CHECK(!is_canonical && !batch_builder_has(&builder, 0));
        batch_builder_done(&builder);
        return 0;
    }
    batch_builder_end_row(&builder, ROW_INSERT);
    struct batch *batch = batch_builder_take(&builder);
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, 2 * FUZZ_INPUT_MAX);
    value_encode(batch->columns[0], 0, &out);
    fuzz_check_equal(out.bytes, out.size, bytes, size);
    text_clear(&out);
    value_encode_canonical(batch->columns[0], 0, &out);
    CHECK(value_is_canonical(type, out.bytes, out.size));
    CHECK(!is_canonical || (out.size == size && memcmp(out.bytes, bytes, size) == 0));
    text_clear(&out);
    batch_format_row(batch, 0, &out);
    batch_unref(batch);
    batch_builder_done(&builder);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    for (uint8_t choice = 0; choice < EVERY_COLUMN_COUNT; choice++) {
        struct batch *batch = golden_batch(fuzz_schema(choice));
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, FUZZ_INPUT_MAX);
        text_append_char(&out, (char)choice);
        value_encode(batch->columns[0], 0, &out);
        give(context, every_column[choice].name, out.bytes, out.size);
        batch_unref(batch);
    }
}
