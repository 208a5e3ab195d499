/* Values from text: what is accepted formats to a text that gives the same value. */
#include "tests/fuzz/fuzz.h"

#include "common/config/option.h"
#include "common/data/value_text.h"

#include <stdio.h>

static void check_numbers(const char *text, size_t size, struct text *out)
{
    int64_t number;
    int64_t number_again;
    if (parse_int64(text, size, &number)) {
        text_clear(out);
        format_int64(number, out);
        CHECK(parse_int64(out->bytes, out->size, &number_again) && number_again == number);
    }
    double real;
    double real_again;
    if (parse_double(text, size, &real)) {
        text_clear(out);
        format_double(real, out);
        CHECK(parse_double(out->bytes, out->size, &real_again));
        CHECK(real == real_again || (real != real && real_again != real_again));
    }
    bool boolean;
    (void)parse_bool(text, size, &boolean);
}

static void check_decimal(uint8_t form, const char *text, size_t size, struct text *out)
{
    const unsigned precision = 1 + form % 38U;
    const unsigned scale = (form / 38U * 7U) % (precision + 1);
    __int128 decimal;
    __int128 again;
    if (!parse_decimal(text, size, precision, scale, &decimal))
        return;
    CHECK(decimal < decimal_power(precision) && decimal > -decimal_power(precision));
    text_clear(out);
    format_decimal(decimal, scale, out);
    CHECK(parse_decimal(out->bytes, out->size, precision, scale, &again) && again == decimal);
}

static void check_times(uint8_t form, const char *text, size_t size, struct text *out)
{
    int32_t days;
    int32_t days_again;
    if (parse_date(text, size, &days)) {
        text_clear(out);
        format_date(days, out);
        CHECK(parse_date(out->bytes, out->size, &days_again) && days_again == days);
    }
    int64_t us;
    int64_t us_again;
    if (parse_time(text, size, &us)) {
        text_clear(out);
        format_time(us, 6, out);
        CHECK(parse_time(out->bytes, out->size, &us_again) && us_again == us);
    }
    const unsigned precision = form % 10U;
    int32_t zone = 0;
    bool has_zone = false;
    int64_t ticks;
    int64_t ticks_again;
    (void)parse_timestamp(text, size, precision, &ticks, &zone, &has_zone);
    if (parse_timestamp(text, size, precision, &ticks, NULL, NULL)) {
        text_clear(out);
        format_timestamp(ticks, precision, out);
        CHECK(parse_timestamp(out->bytes, out->size, precision, &ticks_again, NULL, NULL));
        CHECK(ticks_again == ticks);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const uint8_t form = fuzz_take_byte(&bytes, &size);
    const char *text = (const char *)bytes;
    SCOPED_TEXT_BUFFER struct text out;
    text_init(&out, FUZZ_INPUT_MAX);
    check_numbers(text, size, &out);
    check_decimal(form, text, size, &out);
    check_times(form, text, size, &out);
    if (utf8_is_valid(text, size))
        CHECK(utf8_length(text, size) <= size);
    char terminated[64];
    (void)snprintf(terminated, sizeof(terminated), "%.*s", size < 63 ? (int)size : 63, text);
    int64_t number;
    struct error err = {0};
    enum status code = parse_duration_ms(terminated, OPTION_UNITS_OPTIONAL, &number, &err);
    if (code != STATUS_OK)
        fuzz_check_error(code, &err);
    code = parse_size_bytes(terminated, OPTION_UNITS_OPTIONAL, &number, &err);
    if (code != STATUS_OK)
        fuzz_check_error(code, &err);
    return 0;
}
