/* Base64 (RFC 4648 section 4): see json.h. */
#include "connectors/formats/json.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const char *bytes, size_t size, struct text *out)
{
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const unsigned a = (unsigned char)bytes[i];
        const unsigned b = left > 1 ? (unsigned char)bytes[i + 1] : 0;
        const unsigned c = left > 2 ? (unsigned char)bytes[i + 2] : 0;
        const unsigned bits = a << 16 | b << 8 | c;
        const char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                              left > 1 ? digits[bits >> 6 & 63] : '=',
                              left > 2 ? digits[bits & 63] : '='};
        text_append_bytes(out, four, 4);
    }
}

static int digit_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(const char *text, size_t size, struct text *out)
{
    if (size % 4 != 0)
        return false;
    for (size_t i = 0; i < size; i += 4) {
        const bool is_last = i + 4 == size;
        const unsigned padding = !is_last || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
        unsigned bits = 0;
        for (unsigned k = 0; k < 4; k++) {
            const int value = k >= 4 - padding ? 0 : digit_value(text[i + k]);
            if (value < 0)
                return false;
            bits = bits << 6 | (unsigned)value;
        }
        const char three[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        text_append_bytes(out, three, 3 - padding);
    }
    return true;
}
