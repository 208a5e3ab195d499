/* Sealing and opening of stored records. */
#include "jobmanager/checkpoint/record_header.h"

#include "common/base/crc32c.h"

#include <string.h>

#define FORMAT_OFFSET 8
#define CRC_OFFSET    12
#define SIZE_OFFSET   16
#define WRITER_OFFSET 24
#define WRITER_BYTES  24

static void put_number(uint8_t *to, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        to[i] = (uint8_t)(number >> (8 * i));
}

static uint64_t get_number(const uint8_t *from, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number |= (uint64_t)from[i] << (8 * i);
    return number;
}

void record_seal(const char *magic, uint32_t format, const char *writer, const void *payload,
                 size_t size, struct text *out)
{
    uint8_t header[RECORD_HEADER_BYTES] = {0};
    memcpy(header, magic, RECORD_MAGIC_BYTES);
    put_number(header + FORMAT_OFFSET, format, 4);
    put_number(header + SIZE_OFFSET, size, 8);
    const size_t writer_size = strnlen(writer, WRITER_BYTES - 1);
    memcpy(header + WRITER_OFFSET, writer, writer_size);
    const uint32_t crc = crc32c(crc32c(0, header, sizeof(header)), payload, size);
    put_number(header + CRC_OFFSET, crc, 4);
    text_append_bytes(out, header, sizeof(header));
    text_append_bytes(out, payload, size);
}

enum status record_open(const char *magic, uint32_t format, const char *what, const void *bytes,
                        size_t size, const void **ret_payload, size_t *ret_size, struct error *err)
{
    uint8_t header[RECORD_HEADER_BYTES];
    if (size < sizeof(header))
        return error_set(err, STATUS_CORRUPT, "%s is cut off: %zu bytes", what, size);
    memcpy(header, bytes, sizeof(header));
    if (memcmp(header, magic, RECORD_MAGIC_BYTES) != 0)
        return error_set(err, STATUS_CORRUPT, "%s does not begin with %.8s", what, magic);
    header[WRITER_OFFSET + WRITER_BYTES - 1] = '\0';
    const uint32_t found = (uint32_t)get_number(header + FORMAT_OFFSET, 4);
    if (found > format || found + 1 < format || found == 0)
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s has format version %u, written by %.24s; this program reads %u and "
                         "the one before it",
                         what, found, (const char *)header + WRITER_OFFSET, format);
    if (get_number(header + SIZE_OFFSET, 8) != size - sizeof(header))
        return error_set(err, STATUS_CORRUPT, "%s is cut off: %zu bytes, its header says %llu",
                         what, size,
                         (unsigned long long)get_number(header + SIZE_OFFSET, 8) + sizeof(header));
    const uint32_t stored = (uint32_t)get_number(header + CRC_OFFSET, 4);
    memcpy(header, bytes, sizeof(header));
    put_number(header + CRC_OFFSET, 0, 4);
    const void *payload = (const char *)bytes + sizeof(header);
    if (crc32c(crc32c(0, header, sizeof(header)), payload, size - sizeof(header)) != stored)
        return error_set(err, STATUS_CORRUPT, "%s is damaged: its checksum does not match", what);
    *ret_payload = payload;
    *ret_size = size - sizeof(header);
    return STATUS_OK;
}
