/* Storage bytes of keys: the only bytes that decode to a key are those that it encodes to. */
#include "tests/fuzz/fuzz_schemas.h"

#include "common/base/allocate.h"
#include "common/data/key.h"

static uint32_t key_types(uint8_t choice, struct type types[EVERY_COLUMN_COUNT])
{
    const struct schema *schema = fuzz_schema(choice);
    for (uint32_t i = 0; i < schema->column_count; i++)
        types[i] = schema->columns[i].type;
    return schema->column_count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct type types[EVERY_COLUMN_COUNT];
    const uint8_t choice = fuzz_take_byte(&bytes, &size);
    const uint32_t count = key_types(choice, types);
    SCOPED_TEXT_BUFFER struct text canonical;
    SCOPED_TEXT_BUFFER struct text stored;
    text_init(&canonical, FUZZ_INPUT_MAX);
    text_init(&stored, 4 * FUZZ_INPUT_MAX);
    size_t taken = 0;
    uint32_t canonical_size = 0;
    struct error err = {0};
    const enum status code = key_canonical_from_storage(types, count, bytes, size, &taken,
                                                        &canonical, &canonical_size, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
        CHECK(canonical.size == 0);
        return 0;
    }
    CHECK(taken <= size && (canonical_size == KEY_NULL || canonical_size == canonical.size));
    key_storage_from_canonical(types, count, canonical.bytes, canonical_size, &stored);
    fuzz_check_equal(stored.bytes, stored.size, bytes, taken);
    (void)key_hash(canonical.bytes, canonical_size);
    struct batch_builder builder;
    batch_builder_init(&builder, fuzz_schema(choice), NULL);
    key_append_to_builder(types, count, canonical.bytes, canonical_size, &builder);
    batch_builder_end_row(&builder, ROW_INSERT);
    struct batch *batch = batch_builder_take(&builder);
    struct key_batch keys;
    key_batch_init(&keys);
    uint32_t columns[EVERY_COLUMN_COUNT];
    for (uint32_t i = 0; i < count; i++)
        columns[i] = i;
    key_batch_compute(&keys, batch, columns, count);
    CHECK(keys.count == 1 && keys.sizes[0] == canonical_size);
    CHECK(canonical_size == KEY_NULL || canonical_size == 0 ||
          memcmp(keys.bytes[0], canonical.bytes, canonical_size) == 0);
    key_batch_done(&keys);
    batch_unref(batch);
    batch_builder_done(&builder);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    struct random random;
    random_init(&random, 11);
    static const uint8_t choices[] = {
        3, 6, 7, 10, 15, 18, 20, EVERY_COLUMN_COUNT, EVERY_COLUMN_COUNT + 2};
    for (size_t i = 0; i < sizeof(choices); i++) {
        struct type types[EVERY_COLUMN_COUNT];
        uint32_t columns[EVERY_COLUMN_COUNT];
        const uint32_t count = key_types(choices[i], types);
        for (uint32_t c = 0; c < count; c++)
            columns[c] = c;
        struct batch *batch = random_batch(fuzz_schema(choices[i]), 1, &random);
        struct key_batch keys;
        key_batch_init(&keys);
        key_batch_compute(&keys, batch, columns, count);
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, FUZZ_INPUT_MAX);
        text_append_char(&out, (char)choices[i]);
        key_storage_from_canonical(types, count, keys.bytes[0], keys.sizes[0], &out);
        SCOPED_TEXT char *name = format_text("schema-%u", choices[i]);
        give(context, name, out.bytes, out.size);
        key_batch_done(&keys);
        batch_unref(batch);
    }
}
