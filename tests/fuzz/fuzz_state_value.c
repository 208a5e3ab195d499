/* Values of keyed state as bytes, also as older schemas wrote them. */
#include "tests/fuzz/fuzz_schemas.h"

#include "common/base/allocate.h"
#include "taskmanager/state/state_value.h"

/* The schema of everything, its columns one type wider or nullable where they can be. */
static const struct schema *newer_schema(void)
{
    static struct schema *schema;
    if (schema == NULL) {
        struct schema_column columns[EVERY_COLUMN_COUNT];
        memcpy(columns, every_column, sizeof(columns));
        for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++)
            columns[i].field_id = i + 1;
        columns[1].type.kind = TYPE_BIGINT;
        columns[3].type.kind = TYPE_BIGINT;
        columns[5].type.kind = TYPE_DOUBLE;
        columns[9].type.kind = TYPE_STRING;
        columns[9].type.length = 0;
        columns[10].field_id = 1000;
        schema = schema_create(columns, EVERY_COLUMN_COUNT, -1);
    }
    return schema;
}

static void check_value(const struct state_value_codec *codec, const uint8_t *bytes, size_t size)
{
    struct arena arena;
    arena_init(&arena, NULL);
    SCOPED_TEXT_BUFFER struct text first;
    SCOPED_TEXT_BUFFER struct text second;
    text_init(&first, 4 * FUZZ_INPUT_MAX);
    text_init(&second, 4 * FUZZ_INPUT_MAX);
    void *slot = allocate(codec->layout.size);
    void *again = allocate(codec->layout.size);
    int64_t write_ms = 0;
    int64_t again_ms = 0;
    struct error err = {0};
    const enum status code = state_value_decode(codec, bytes, size, slot, &write_ms, &arena, &err);
    if (code != STATUS_OK) {
        fuzz_check_error(code, &err);
    } else {
        int64_t head_ms;
        CHECK(!state_value_write_ms(bytes, size, &head_ms) || head_ms == write_ms);
        state_value_encode(codec, slot, write_ms, &first);
        CHECK(state_value_decode(codec, first.bytes, first.size, again, &again_ms, &arena, &err) ==
              STATUS_OK);
        state_value_encode(codec, again, write_ms, &second);
        fuzz_check_equal(first.bytes, first.size, second.bytes, second.size);
        CHECK(!codec->has_ttl || again_ms == write_ms);
        state_slot_release(&codec->layout, slot, &arena);
        state_slot_release(&codec->layout, again, &arena);
    }
    free(slot);
    free(again);
    arena_done(&arena);
}

static void init_codec(struct state_value_codec *codec, uint8_t choice)
{
    struct error err = {0};
    const struct schema *older = fuzz_schema(EVERY_COLUMN_COUNT + 2);
    const bool is_newer = (choice & 0x40) != 0;
    const bool has_ttl = (choice & 0x80) != 0;
    CHECK(state_value_codec_init(codec, &older, is_newer ? 1 : 0,
                                 is_newer ? newer_schema() : fuzz_schema(choice & 0x3F), has_ttl,
                                 &err) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct state_value_codec codec;
    init_codec(&codec, fuzz_take_byte(&bytes, &size));
    check_value(&codec, bytes, size);
    state_value_codec_done(&codec);
    return 0;
}

void fuzz_make_seeds(fuzz_seed_fn *give, void *context)
{
    static const uint8_t choices[] = {3, 10, 0x80 | 6, EVERY_COLUMN_COUNT + 2, 0xC0};
    for (size_t i = 0; i < sizeof(choices); i++) {
        struct state_value_codec codec;
        init_codec(&codec, choices[i]);
        struct arena arena;
        arena_init(&arena, NULL);
        void *slot = allocate(codec.layout.size);
        for (uint32_t f = 0; f < codec.layout.field_count; f++) {
            if (type_is_view(codec.layout.schema->columns[f].type.kind))
                state_slot_set_bytes(slot_field(&codec.layout, slot, f), "apple", 5, &arena);
        }
        SCOPED_TEXT_BUFFER struct text out;
        text_init(&out, FUZZ_INPUT_MAX);
        text_append_char(&out, (char)choices[i]);
        state_value_encode(&codec, slot, 1700000000000, &out);
        SCOPED_TEXT char *name = format_text("schema-%u", choices[i]);
        give(context, name, out.bytes, out.size);
        if (choices[i] == 0xC0) {
            /* As the older of the two schemas wrote it. */
            out.bytes[2] = 0;
            give(context, "older", out.bytes, out.size);
        }
        state_slot_release(&codec.layout, slot, &arena);
        free(slot);
        arena_done(&arena);
        state_value_codec_done(&codec);
    }
}
