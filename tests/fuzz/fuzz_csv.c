/* Format csv; also the line scan's vector kernels against their portable twin. */
#include "tests/fuzz/fuzz_format.h"
#include "tests/fuzz/fuzz_schemas.h"

#include "connectors/formats/line_scan.h"

enum { LINE_MAX = 64 };

static void check_line_scan(const uint8_t *bytes, size_t size)
{
    char *padded = allocate(size + BUFFER_PADDING);
    memcpy(padded, bytes, size);
    struct line_end lines[LINE_MAX];
    struct line_end lines_again[LINE_MAX];
    const struct line_scan scan = line_scan(padded, 0, (uint32_t)size, lines, LINE_MAX);
    const struct line_scan again =
        line_scan_scalar(padded, 0, (uint32_t)size, lines_again, LINE_MAX);
    CHECK(scan.count == again.count && scan.next == again.next);
    CHECK(scan.count == LINE_MAX || scan.is_ascii == again.is_ascii);
    for (uint32_t i = 0; i < scan.count; i++)
        CHECK(lines[i].end == lines_again[i].end && lines[i].is_ascii == lines_again[i].is_ascii);
    free(padded);
}

/* Every type that csv can write. */
static const struct schema *csv_schema(void)
{
    static struct schema *schema;
    if (schema == NULL) {
        struct schema_column columns[EVERY_COLUMN_COUNT];
        uint32_t count = 0;
        for (uint32_t i = 0; i < EVERY_COLUMN_COUNT; i++) {
            if (every_column[i].type.kind < TYPE_INTERVAL_MONTH &&
                every_column[i].type.kind != TYPE_BYTES)
                columns[count++] = every_column[i];
        }
        schema = schema_create(columns, count, -1);
    }
    return schema;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct setting settings[] = {{(char *)"format.header", (char *)"true"},
                                        {(char *)"format.null_literal", (char *)"\\N"}};
    const uint8_t choice = fuzz_take_byte(&bytes, &size);
    const uint8_t step = fuzz_take_byte(&bytes, &size);
    const struct schema *schemas[] = {fuzz_schema(3), fuzz_schema(10), csv_schema()};
    /* A header is not written, so with one the round trip starts without. */
    const struct fuzz_format fuzz = {
        .format = &format_csv,
        .spec = {.settings = settings + 1, .setting_count = (choice & 1) != 0},
        .schema = schemas[choice / 2 % 3]};
    fuzz_format_run(&fuzz, step, (const char *)bytes, size);
    check_line_scan(bytes, size);
    return 0;
}
