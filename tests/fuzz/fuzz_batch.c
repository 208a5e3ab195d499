/* Batches as bytes: what decodes must be readable everywhere and survive encoding. */
#include "tests/fuzz/fuzz_schemas.h"

#include "common/base/allocate.h"
#include "common/data/batch_codec.h"

static struct batch *decode(const struct schema *schema, const void *bytes, size_t size)
{
    SCOPED(buffer_unref) struct buffer *buffer = buffer_create(NULL, (uint32_t)size + 3);
    memcpy(buffer->bytes + 3, bytes, size);
    buffer->size = (uint32_t)size + 3;
    struct batch *batch = NULL;
    struct error err = {0};
    const enum status code = batch_decode(schema, buffer, 3, (uint32_t)size, &batch, &err);
    if (code != STATUS_OK)
        fuzz_check_error(code, &err);
    return batch;
}

static size_t encode(const struct batch *batch, void **ret_bytes)
{
    const size_t capacity = batch_encoded_size_max(batch);
    *ret_bytes = allocate(capacity);
    const size_t size = batch_encode(batch, *ret_bytes, capacity);
    CHECK(size <= capacity);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct schema *schema = fuzz_schema(fuzz_take_byte(&bytes, &size));
    struct batch *first = decode(schema, bytes, size);
    if (first == NULL)
        return 0;
    SCOPED_TEXT_BUFFER struct text row_text;
    text_init(&row_text, FUZZ_INPUT_MAX);
    for (uint32_t row = 0; row < first->row_count && row < 100; row++) {
        text_clear(&row_text);
        batch_format_row(first, row, &row_text);
    }
    void *once;
    void *twice;
    const size_t once_size = encode(first, &once);
    struct batch *second = decode(schema, once, once_size);
    CHECK(second != NULL && second->row_count == first->row_count);
    const size_t twice_size = encode(second, &twice);
    fuzz_check_equal(once, once_size, twice, twice_size);
    batch_unref(first);
    batch_unref(second);
    free(once);
    free(twice);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    static const uint8_t choices[] = {3, 10, 18, 20, EVERY_COLUMN_COUNT, EVERY_COLUMN_COUNT + 2};
    struct random random;
    random_init(&random, 7);
    for (size_t i = 0; i < sizeof(choices); i++) {
        struct batch *batch = random_batch(fuzz_schema(choices[i]), 3, &random);
        void *encoded;
        const size_t size = encode(batch, &encoded);
        char *seed = allocate(size + 1);
        seed[0] = (char)choices[i];
        memcpy(seed + 1, encoded, size);
        SCOPED_TEXT char *name = format_text("schema-%u", choices[i]);
        give(context, name, seed, size + 1);
        free(seed);
        free(encoded);
        batch_unref(batch);
    }
}
