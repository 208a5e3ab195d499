/* Format raw: lines of UTF-8. */
#include "tests/fuzz/fuzz_format.h"
#include "tests/fuzz/fuzz_schemas.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t choice = fuzz_take_byte(&bytes, &size);
    const uint8_t step = fuzz_take_byte(&bytes, &size);
    const struct schema *schemas[] = {fuzz_schema(10), fuzz_schema(11)};
    const struct fuzz_format fuzz = {
        .format = &format_raw, .schema = schemas[choice % 2], .is_lossy = true};
    fuzz_format_run(&fuzz, step, (const char *)bytes, size);
    return 0;
}
