/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), reflected, polynomial 0x1EDC6F41. */
#ifndef COMMON_BASE_CRC32C_H
#define COMMON_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* crc of the bytes before (0 at the start) continued over size bytes: 0xE3069283 of "123456789". */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);
/* The portable twin of the run-time chosen kernel: for tests. */
uint32_t crc32c_scalar(uint32_t crc, const void *bytes, size_t size);

#endif
