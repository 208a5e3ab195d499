/* Identifiers: see ids.h. */
#include "common/base/ids.h"

#include "common/base/random.h"

#include <stddef.h>
#include <string.h>

struct id128 id128_random(void)
{
    struct id128 id;
    do {
        random_from_system(id.bytes, sizeof(id.bytes));
    } while (id128_is_none(id));
    return id;
}

int id128_compare(struct id128 a, struct id128 b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes));
}

bool id128_equals(struct id128 a, struct id128 b)
{
    return id128_compare(a, b) == 0;
}

bool id128_is_none(struct id128 id)
{
    return id128_equals(id, (struct id128){{0}});
}

void id128_format(struct id128 id, char text[static ID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof(id.bytes); i++) {
        text[2 * i] = digits[id.bytes[i] >> 4];
        text[2 * i + 1] = digits[id.bytes[i] & 15];
    }
    text[ID_TEXT_SIZE - 1] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

enum status id128_parse(const char *text, struct id128 *ret_id, struct error *err)
{
    struct id128 id;
    for (size_t i = 0; i < 2 * sizeof(id.bytes); i++) {
        const int value = digit_value(text[i]);
        if (value < 0)
            return error_set(err, STATUS_INVALID, "id \"%.40s\": expected 32 hex digits", text);
        if (i % 2 == 0)
            id.bytes[i / 2] = (uint8_t)(value << 4);
        else
            id.bytes[i / 2] |= (uint8_t)value;
    }
    if (text[2 * sizeof(id.bytes)] != '\0')
        return error_set(err, STATUS_INVALID, "id \"%.40s\": expected 32 hex digits", text);
    *ret_id = id;
    return STATUS_OK;
}
