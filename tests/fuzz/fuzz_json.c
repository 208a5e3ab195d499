/* Format json. */
#include "tests/fuzz/fuzz_format.h"
#include "tests/fuzz/fuzz_schemas.h"

/* Every type that json can write. */
static const struct schema *json_schema(void)
{
    static struct schema *schema;
    if (schema == NULL) {
        struct schema_column columns[EVERY_COLUMN_COUNT];
        uint32_t count = 0;
        for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++) {
            if (every_column[i].type.kind != TYPE_INTERVAL_MONTH &&
                every_column[i].type.kind != TYPE_INTERVAL_SECOND &&
                every_column[i].type.kind != TYPE_MAP)
                columns[count++] = every_column[i];
        }
        schema = schema_create(columns, count, -1);
    }
    return schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct setting settings[] = {{(char *)"format.timestamps", (char *)"epoch_ms"}};
    const uint8_t choice = fuzz_take_byte(&bytes, &size);
    const uint8_t step = fuzz_take_byte(&bytes, &size);
    const struct schema *schemas[] = {json_schema(), fuzz_schema(EVERY_COLUMN_COUNT)};
    const struct fuzz_format fuzz = {
        .format = &format_json,
        .spec = {.settings = settings, .setting_count = (choice & 1) != 0},
        .schema = schemas[choice / 2 % 2]};
    struct error err = {0};
    CHECK(format_json.check_schema(fuzz.schema, true, &err) == STATUS_OK);
    fuzz_format_run(&fuzz, step, (const char *)bytes, size);
    return 0;
}
